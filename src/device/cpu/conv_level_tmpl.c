/*
 * Convolution kernels of one level. Included by conv_portable.c and x86/conv_{avx2,avx512}.c after the level's vecmath
 * header, with FILL the name of the function that puts them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#include <string.h>

#include "device/cpu/conv.h"

#define BLOCK 4 /* vectors of one row at a time: their chains of multiply-adds overlap */

/* out[x] = sum over taps of weights[t] * src[reach[t] + x], one chain of fused multiply-adds. */
static void depth_row(float *out, const float *src, const float *weights, const int64_t *reach, int64_t taps, int64_t n)
{
    int64_t x = 0;
    for (; x + BLOCK * VF_LANES <= n; x += BLOCK * VF_LANES) {
        vf sum[BLOCK];
        for (int i = 0; i < BLOCK; i++)
            sum[i] = vf_set1(0.0f);
        for (int64_t t = 0; t < taps; t++) {
            const vf w = vf_set1(weights[t]);
            for (int i = 0; i < BLOCK; i++)
                sum[i] = vf_fma(w, vf_load(src + reach[t] + x + i * VF_LANES), sum[i]);
        }
        for (int i = 0; i < BLOCK; i++)
            vf_store(out + x + i * VF_LANES, sum[i]);
    }
    for (; x < n; x += VF_LANES) {
        const int count = n - x < VF_LANES ? (int)(n - x) : VF_LANES;
        vf sum = vf_set1(0.0f);
        for (int64_t t = 0; t < taps; t++)
            sum = vf_fma(vf_set1(weights[t]), vf_load_n(src + reach[t] + x, count), sum);
        vf_store_n(out + x, sum, count);
    }
}

void FILL(em__conv_kernels *kernels)
{
    kernels->depth_row = depth_row;
#ifdef HAVE_PACK
    kernels->pack = pack;
    kernels->every_second = every_second;
#endif
}
