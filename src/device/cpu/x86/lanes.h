/* How many lanes a mask takes. */
#ifndef EM_DEVICE_CPU_X86_LANES_H
#define EM_DEVICE_CPU_X86_LANES_H

#include <immintrin.h>
#include <stdint.h>

/*
 * By an instruction that GCC can't see through: it takes a mask for one of 32 bits whose upper ones are zeros, which
 * holds in a register; but a mask that it spills has 16 bits in memory, of which GCC 12 then counts 32.
 */
static inline int em__lanes(__mmask16 mask)
{
    uint32_t wide;
    __asm__("kmovw %1, %0" : "=r"(wide) : "k"(mask));
    return __builtin_popcount(wide);
}

#endif
