/*
 * Attention of one new token, with what goes before it: queries and keys as the products left them are normalised by
 * head and turned, the new key and value are put into the cache, the query sees the cache.
 *
 * A cluster of blocks works for one head of the cache. Keys go round among groups of lanes, each of which holds one
 * key; the partial sums meet in shared memory, first of the block, then of the cluster. The order is given by the
 * length alone.
 */
#ifndef EM_DEVICE_CUDA_STEP_ATTEND_CUH
#define EM_DEVICE_CUDA_STEP_ATTEND_CUH

#include "device/cuda/common.cuh"

typedef struct em__step_attend {
    const float *products;        /* q [heads, size], k and v [kv_heads, size], */
    int q_at, k_at, v_at;         /* which begin there */
    const float *q_gain, *k_gain; /* [size]; NULL: not normalised */
    float q_eps, k_eps;
    const float *periods;           /* [size / 2] or shorter */
    const int32_t *at;              /* the position of the token */
    double step;                    /* a position counts so much */
    const int32_t *k_slot, *v_slot; /* where the new rows go */
    const int32_t *length;          /* of the cache, with the new row; NULL: all */
    void *keys, *values;            /* [kv_heads, capacity, size] */
    float *out;                     /* [heads, size] */
    int heads, kv_heads, size, capacity, turned, window;
    em_dtype cache;
    float scale;
} em__step_attend;

bool em__step_attend_takes(const em__step_attend *job);
em_status em__step_attend_run(em__cuda *cuda, const em__step_attend *job);

#endif
