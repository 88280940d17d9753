/*
 * The kernel family of attention: the row operations between the two products. The products are the tiles of
 * gemm_kernels.h. Filled from attention_tmpl.c, once per vector width.
 */
#ifndef EM_DEVICE_CPU_ATTENTION_KERNELS_H
#define EM_DEVICE_CPU_ATTENTION_KERNELS_H

#include "device/cpu/attention.h"
#include "device/cpu/gemm_kernels.h"

#define EM__ATTENTION_LANES 16 /* rows of scores are readable and writable up to a multiple of this */

/* What a row has seen so far. */
typedef struct em__softmax_state {
    float maximum; /* -inf at first */
    float sum;     /* of exp(score - maximum) */
} em__softmax_state;

struct em__attention_kernels {
    const em__gemm_kernels *gemm;

    /* Turns n raw scores (times scale, plus add[] unless it is NULL) into exp(score - maximum), zeroes the elements
     * from n to `filled`, and moves the state on. Returns what earlier sums and outputs of this row are to be
     * multiplied by. */
    float (*softmax)(float *scores, const float *add, int64_t n, int64_t filled, float scale, em__softmax_state *state);

    /* scores[i] = cap * tanh(scores[i] * by), n of them */
    void (*cap)(float *scores, int64_t n, float by, float cap);

    /* out[i] = x[i] * by; out may be x */
    void (*scale)(float *out, const float *x, float by, int64_t n);
};

void em__attention_kernels_portable(em__attention_kernels *kernels);
void em__attention_kernels_avx2(em__attention_kernels *kernels);
void em__attention_kernels_avx512(em__attention_kernels *kernels);

#endif
