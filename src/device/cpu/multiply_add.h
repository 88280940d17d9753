/* a * b + c of the portable kernels: rounded once where the compiler's target does that at no cost. */
#ifndef EM_DEVICE_CPU_MULTIPLY_ADD_H
#define EM_DEVICE_CPU_MULTIPLY_ADD_H

#include <math.h>

static inline float em__multiply_add(float a, float b, float c)
{
#ifdef __FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

#endif
