/*
 * What stands between the products of a prompt's layer, where their x is bf16: rows normalised, heads normalised,
 * turned and put where attention reads them, gates. Each rounds once, where the product of f32 would have rounded.
 */
#ifndef EM_DEVICE_CUDA_PROMPT_ROWS_CUH
#define EM_DEVICE_CUDA_PROMPT_ROWS_CUH

#include "device/cuda/common.cuh"

enum { EM_PROMPT_MOST = 16384 }; /* elements of a row that is normalised or gated, a multiple of 4 */

/* Cosine and sine of the angles by which halves of heads turn, as ROPE has them: [rows, pairs]. */
typedef struct em_prompt_turns {
    float2 *out;
    const float *periods; /* [pairs]; NULL: there is nothing to work out */
    const int32_t *at;    /* the position of the first row */
    double step;          /* a position counts so much */
    int pairs;
} em_prompt_turns;

/* rms_norm of rows of f32, side by side, to bf16; gain f32 [n], NULL: none. Beside it, turns of as many rows. */
em_status em_prompt_norm(em__cuda *cuda, const float *x, const float *gain, float eps, int64_t rows, int64_t n,
                         __nv_bfloat16 *out, const em_prompt_turns *turns);

/* activation(gate) * up, rows of n side by side. The result as bf16 lies over the first half of each row of gate. */
em_status em_prompt_gate(em__cuda *cuda, em__op activation, float *gate, const float *up, int64_t rows, int64_t n);

/* Queries and keys of each head and token as the products left them, and values. Rows are `size` wide, a multiple of 4,
 * at most EM_PROMPT_HEAD. */
enum { EM_PROMPT_HEAD = 256 };
typedef struct em_prompt_heads {
    float *q;                     /* [tokens, heads, size]; afterwards bf16 in the first half of each row */
    const float *k, *v;           /* [tokens, kv_heads, size] */
    const float *q_gain, *k_gain; /* [size]; NULL: not normalised */
    float q_eps, k_eps;
    const float *periods;           /* [size / 2]; NULL: not turned */
    const int32_t *at;              /* the position of the first token */
    double step;                    /* a position counts so much */
    const int32_t *k_slot, *v_slot; /* where the first row goes */
    __nv_bfloat16 *keys, *values;   /* [kv_heads, capacity, size] */
    int tokens, heads, kv_heads, size, capacity;
} em_prompt_heads;
em_status em_prompt_place(em__cuda *cuda, const em_prompt_heads *job);

#endif
