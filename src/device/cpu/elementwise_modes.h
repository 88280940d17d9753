/*
 * Scalar operands for loops that only know arrays: the scalar is repeated into a block that stays in L1, and the loop
 * runs block by block.
 */
#ifndef EM_DEVICE_CPU_ELEMENTWISE_MODES_H
#define EM_DEVICE_CPU_ELEMENTWISE_MODES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "device/cpu/elementwise.h"

#define EM__MODE_BLOCK 256

typedef void (*em__array_fn)(void *out, const void *a, const void *b, size_t n);

static inline const void *em__repeat(uint8_t *block, const void *scalar, size_t size, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memcpy(block + i * size, scalar, size);
    return block;
}

/* `out_size` and `size` are the bytes of an element of the result and of the operands. */
static inline void em__run_modes(void *out, size_t out_size, const void *a, const void *b, size_t size, size_t n,
                                 em__mode mode, em__array_fn fn)
{
    if (mode == EM__VV) {
        fn(out, a, b, n);
        return;
    }
    _Alignas(64) uint8_t block_a[EM__MODE_BLOCK * 16], block_b[EM__MODE_BLOCK * 16];
    size_t most = n < EM__MODE_BLOCK ? n : EM__MODE_BLOCK;
    const uint8_t *pa = mode & EM__SCALAR_A ? em__repeat(block_a, a, size, most) : a;
    const uint8_t *pb = mode & EM__SCALAR_B ? em__repeat(block_b, b, size, most) : b;
    for (size_t i = 0; i < n; i += EM__MODE_BLOCK) {
        size_t count = n - i < EM__MODE_BLOCK ? n - i : EM__MODE_BLOCK;
        fn((uint8_t *)out + i * out_size, pa, pb, count);
        pa += mode & EM__SCALAR_A ? 0 : count * size;
        pb += mode & EM__SCALAR_B ? 0 : count * size;
    }
}

#endif
