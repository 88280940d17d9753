/*
 * Convolution kernels of one level. Included by conv_portable.c and x86/conv_{avx2,avx512}.c after the level's vecmath
 * header, with FILL the name of the function that puts them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <string.h>

#include "device/cpu/conv.h"
#include "device/cpu/conv_winograd_tmpl.c"

#define BLOCK 4 /* vectors of one row at a time: their chains of multiply-adds overlap */

/* Up to BLOCK vectors, the last one with `count` elements: out[x] = sum over t of weights[t] * src[reach[t] + x]. */
static inline __attribute__((always_inline)) void depth_block(float *out, const float *src, const float *weights,
                                                              const int64_t *reach, int64_t taps, const int vectors,
                                                              int count)
{
    vf sum[BLOCK];
    for (int i = 0; i < vectors; i++)
        sum[i] = vf_set1(0.0f);
    for (int64_t t = 0; t < taps; t++) {
        const vf w = vf_set1(weights[t]);
        const float *from = src + reach[t];
        for (int i = 0; i < vectors - 1; i++)
            sum[i] = vf_fma(w, vf_load(from + i * VF_LANES), sum[i]);
        sum[vectors - 1] = vf_fma(w, vf_load_n(from + (vectors - 1) * VF_LANES, count), sum[vectors - 1]);
    }
    for (int i = 0; i < vectors - 1; i++)
        vf_store(out + i * VF_LANES, sum[i]);
    vf_store_n(out + (vectors - 1) * VF_LANES, sum[vectors - 1], count);
}

static void depth_row(float *out, const float *src, const float *weights, const int64_t *reach, int64_t taps, int64_t n)
{
    for (int64_t x = 0; x < n; x += BLOCK * VF_LANES) {
        const int left = n - x < BLOCK * VF_LANES ? (int)(n - x) : BLOCK * VF_LANES;
        const int vectors = (left + VF_LANES - 1) / VF_LANES, count = left - (vectors - 1) * VF_LANES;
        switch (vectors) {
        case 1: depth_block(out + x, src + x, weights, reach, taps, 1, count); break;
        case 2: depth_block(out + x, src + x, weights, reach, taps, 2, count); break;
        case 3: depth_block(out + x, src + x, weights, reach, taps, 3, count); break;
        default: depth_block(out + x, src + x, weights, reach, taps, BLOCK, count); break;
        }
    }
}

void FILL(em__conv_kernels *kernels)
{
    kernels->depth_row = depth_row;
    kernels->winograd_input = winograd_input;
    kernels->winograd_weights = winograd_weights;
    kernels->winograd_output = winograd_output;
#ifdef HAVE_PACK
    kernels->pack = pack;
    kernels->pad_row = pad_row;
    kernels->every_second = every_second;
    kernels->turn_lines = turn_lines;
#endif
}
