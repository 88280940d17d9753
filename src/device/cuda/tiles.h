/*
 * Products of f32 with bf16 weights on Hopper's matrix units, in one kernel from x to the result (tiles.cu): x is cut
 * into bf16 parts, or rounded, on its way into them, and bias, activation and residual follow in the same kernel.
 */
#ifndef EM_DEVICE_CUDA_TILES_H
#define EM_DEVICE_CUDA_TILES_H

#include "device/cuda/blas.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EM__TILES_WEIGHTS 8

/* out[m, n] = activation(x w^T + bias) + residual, the weights' rows side by side. */
typedef struct em__tiles {
    int64_t m, n, k;
    bool round; /* x to bf16; otherwise each product of elements is exact */
    bool cut;   /* the weights are f32 that em__cuda_tiles_cut has cut: products to f32's last bit */
    bool ready; /* they were cut beforehand, which costs this product nothing, and are constants */
    em__op activation;
    em__matrix x;
    const float *at;
    int weights;
    struct {
        int64_t n;
        em__matrix as;
        const void *at;
    } w[EM__TILES_WEIGHTS];
    const float *bias, *residual; /* NULL: none; the residual may be `out` */
    float *out;                   /* rows n apart */
} em__tiles;

/* Whether the chip and the shapes suit, and cuBLASLt would be slower; to be asked when a call is prepared. Looks at no
 * pointer. */
bool em__cuda_tiles_takes(em__cuda *cuda, const em__tiles *tiles);

/* A weight of f32, not laid across, as three bf16: 6 bytes an element, rows `depth` apart. The depth is even. */
em_status em__cuda_tiles_cut(em__cuda *cuda, const float *w, const em__matrix *as, int64_t rows, int64_t depth,
                             void *to);

/* Whether the operands lie at multiples of 16 bytes, as they must. */
bool em__cuda_tiles_aligned(const em__tiles *tiles);
em_status em__cuda_tiles(em__cuda *cuda, const em__tiles *tiles);

#ifdef __cplusplus
}
#endif
#endif
