/*
 * All layers of an encoder by one kernel, for a few hundred tokens of halves:
 *
 *     y = layer_norm(attention(x wq^T, x wk^T, x wv^T) wo^T + x),   x' = layer_norm(act(y wu^T) wd^T + y)
 *
 * with heads of 32, as many as a cluster has blocks, and an inner width of four times the outer one. A cluster takes a
 * tile of rows through all layers; of each layer a block has one head, 32 columns of the result and 128 of what lies
 * between. So each product reads its weights once a tile, and four times a layer the blocks tell each other what they
 * have, from shared memory to shared memory (stack_kernel.cuh). Nothing between the layers is written to memory.
 *
 * Texts that lie in more than one tile have their keys and values in memory, where clusters wait for each other's: all
 * clusters run at the same time.
 */
#ifndef EM_DEVICE_CUDA_STACK_CUH
#define EM_DEVICE_CUDA_STACK_CUH

#include <cuda.h>

#include "device/cuda/common.cuh"

enum {
    EM_STACK_LAYERS = 24, /* of a launch: what its parameters hold */
    EM_STACK_HEADS = 12,
    EM_STACK_HEAD = 32,
    EM_STACK_WIDTH = EM_STACK_HEADS * EM_STACK_HEAD,
    EM_STACK_INNER = 4 * EM_STACK_WIDTH,
    EM_STACK_STAGES = 12, /* of a ring of weights, at most */
};

/* The matrices of a layer. */
enum { EM_STACK_Q, EM_STACK_K, EM_STACK_V, EM_STACK_OUT, EM_STACK_UP, EM_STACK_DOWN, EM_STACK_WEIGHTS };

typedef struct em__stack_layer {
    CUtensorMap w[EM_STACK_WEIGHTS];
    const void *qkv_bias, *out_bias, *up_bias, *down_bias;
    const void *gain[2], *bias[2]; /* of the norms */
    void *qkv;                     /* [m, 3 * width] */
} em__stack_layer;

typedef struct em__stack {
    em__stack_layer layers[EM_STACK_LAYERS];
    float eps[EM_STACK_LAYERS][2];
    em_dtype dtype; /* of everything: bf16 or f16 */
    int n, m, segments;
    int stages, op, each; /* of a ring; the activation */
    bool constant;        /* nobody writes weights, biases and gains */
    const void *x;        /* [m, width] */
    void *out;            /* the same, and may be the same memory */
    const int32_t *offsets;
    int64_t offset_step;
    float scale;
    uint32_t *layers_done; /* [tiles][heads]: layers whose keys and values are in memory */
} em__stack;

/* Asks for the launch. */
em_status em__stack_run(em__cuda *cuda, em__stack *stack);

/* How many of the calls are layers that `kernel` runs at once; 0: none. */
size_t em__stack_merge(em__cuda *cuda, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

#endif
