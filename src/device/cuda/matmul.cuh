/*
 * Products of half types on Hopper's matrix units, and all that follows them, in one kernel:
 *
 *     out[m, n] = activation(sum over k of x[m, k] w[n, k] + bias[n]) + residual[m, n]
 *
 * of up to three weights side by side, or of a pair: out = activation(x w0^T) * (x w1^T); or heads of attention, made
 * ready for it. Sums are f32 until the end.
 *
 * A block makes a tile of the result: one warp has the copy engine bring tiles of x and of the weights into a ring in
 * shared memory, warpgroups multiply from there. Where there are few tiles the blocks of a cluster divide the depth
 * among them and add up their sums in order of depth. Which tile and which cluster: by shapes and chip alone.
 *
 * Weights that are constants of a program begin to flow before the kernel before has ended.
 */
#ifndef EM_DEVICE_CUDA_MATMUL_CUH
#define EM_DEVICE_CUDA_MATMUL_CUH

#include "device/cuda/common.cuh"

enum { EM_MATMUL_MATRICES = 3 };

/* Instead of activation and residual, for weights whose rows are heads of a decoder's queries, keys or values: each
 * head of a row of x is normalised, its halves turned, and it goes where it belongs as bf16. */
typedef struct em__matmul_heads {
    int size;            /* of a head: 64 or 128 */
    const float2 *turns; /* [m, size / 2]: cosine and sine of a row's angles */
    struct {
        const float *gain; /* [size]; NULL: not normalised */
        float eps;
        bool turned;
        void *out; /* elements from head to head and from row to row: multiples of 8 */
        int64_t head, token;
        const int32_t *slot; /* the row of `out` for the first of x, which becomes one of 0 .. last_slot; NULL: 0 */
        int last_slot;
    } of[EM_MATMUL_MATRICES];
} em__matmul_heads;

typedef struct em__matmul {
    em_dtype dtype; /* of x and the weights: EM_BF16 or EM_F16 */
    int64_t m, k;
    const void *x;
    int64_t x_step; /* elements from row to row, a multiple of 8 as k is */
    int matrices;
    struct {
        int64_t n;
        const void *weight;          /* [n, k] */
        int64_t step;                /* elements from row to row, a multiple of 8 */
        const void *bias;            /* [n]; NULL: none */
        void *out;                   /* [m, n], row-major; of a joined result and of a pair only the first */
        const void *scales, *biases; /* of codes: bf16 [n, k >> shift] */
    } matrix[EM_MATMUL_MATRICES];
    int shift;                     /* 0; of affine 4-bit codes, row-major, log2 of a group: `step` is not looked at */
    bool joined;                   /* one result for all matrices: [m, sum of n] */
    bool pair;                     /* two matrices of as many rows, one result; neither bias nor residual */
    bool constant;                 /* weights and biases are constants */
    const em__matmul_heads *heads; /* of bf16; NULL: none */
    em__op activation;             /* COPY: none; of a pair, that of the first */
    const void *residual;          /* laid out as the one result is, which it may be; NULL: none */
    em_dtype bias_dtype;           /* f32 or `dtype` */
    em_dtype residual_dtype, out_dtype; /* f32, bf16, f16 */
} em__matmul;

/* Whether the chip and the kernels take this job: dtypes, shapes, steps. Looks at no pointer. */
bool em__matmul_takes(const em__cuda *cuda, const em__matmul *job);

/* Whether it is no slower than cuBLASLt and what would follow that, as measured. Of a job that is taken. */
bool em__matmul_pays(const em__cuda *cuda, const em__matmul *job);

/* Whether x, the weights and the result of a pair lie at multiples of 16 bytes, as they must. */
bool em__matmul_aligned(const em__matmul *job);

/* Asks for the launch. */
em_status em__matmul_run(em__cuda *cuda, const em__matmul *job, const char *what);

#endif
