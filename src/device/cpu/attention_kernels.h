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

/* One head of one sequence. */
typedef struct em__attention_place {
    int64_t sequence, head;
    int64_t queries, keys; /* those that exist */
} em__attention_place;

/* The keys that a query sees lie in [first, end); neither falls as the query grows. */
int64_t em__attention_first(const em__attention_args *args, const em__attention_place *at, int64_t query);
int64_t em__attention_end(const em__attention_args *args, const em__attention_place *at, int64_t query);

/* What is added to the scores of a query with keys [key, key + n): straight from its source, or put together in `add`
 * [n]; NULL for nothing. Keys from em__attention_end on are not its business. */
const float *em__attention_addend(const em__attention_args *args, const em__attention_place *at, int64_t query,
                                  int64_t key, int64_t n, float *add);

/* Those of token 0 of a key head; NULL for none. */
static inline const float *em__attention_scales_of(const em__attention_scales *scales, int64_t batch, int64_t kv)
{
    return scales->data ? scales->data + batch * scales->batch + kv * scales->head : NULL;
}

#define EM__DECODE_ROWS 4 /* most rows of one call */

/* What is read after this: as many rows as there are keys, `bytes` each, `step` apart; from NULL for nothing. */
typedef struct em__decode_ahead {
    const char *from;
    int64_t step, bytes;
} em__decode_ahead;

/* Few queries against many keys, keys and values as they lie (of one dtype). */
typedef struct em__decode_kernels {
    /* scores[r * stride + j] = q[r] . k[j]; q[r] is zero from dim up to a multiple of EM__ATTENTION_LANES */
    void (*scores)(float *scores, int64_t stride, const float *q, int64_t q_stride, int rows, const void *k,
                   int64_t token, int64_t keys, int64_t dim, em__decode_ahead ahead);
    /* out[r] = the sum of weights[r * stride + j] v[j]; out[r] is writable up to a multiple of EM__ATTENTION_LANES */
    void (*values)(float *out, int64_t out_stride, const float *weights, int64_t stride, int rows, const void *v,
                   int64_t token, int64_t keys, int64_t dim, em__decode_ahead ahead);
    void (*widen)(float *out, const void *x, int64_t n);
    void (*narrow)(void *out, const float *x, int64_t n);
} em__decode_kernels;

struct em__attention_kernels {
    const em__gemm_kernels *gemm;
    em__decode_kernels decode[EM_DTYPE_COUNT]; /* of f32, f16, bf16; of s8, which nothing is narrowed to */

    /* Turns n raw scores (times scale, plus add[] unless it is NULL) into exp(score - maximum), zeroes the elements
     * from n to `filled`, and moves the state on. Returns what earlier sums and outputs of this row are to be
     * multiplied by. */
    float (*softmax)(float *scores, const float *add, int64_t n, int64_t filled, float scale, em__softmax_state *state);

    /* scores[i] = cap * tanh(scores[i] * by), n of them */
    void (*cap)(float *scores, int64_t n, float by, float cap);

    /* out[i] = x[i] * by; out may be x */
    void (*scale)(float *out, const float *x, float by, int64_t n);

    /* out[i] += x[i] * by */
    void (*add)(float *out, const float *x, float by, int64_t n);

    /* x[i] *= by[i] */
    void (*multiply)(float *x, const float *by, int64_t n);

    /* max |x| / 127, NaN if some x is not finite */
    float (*code_scale)(const float *x, int64_t n);

    /* codes[i] = x[i] / scale, rounded to even, in [-127, 127]; x is finite and scale > 0 */
    void (*encode)(int8_t *codes, const float *x, float scale, int64_t n);
};

void em__attention_kernels_portable(em__attention_kernels *kernels);
void em__attention_kernels_avx2(em__attention_kernels *kernels);
void em__attention_kernels_avx512(em__attention_kernels *kernels);

#endif
