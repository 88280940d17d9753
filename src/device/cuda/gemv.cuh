/*
 * Products of few rows with a wide matrix: y[m, n] = sum over k of x[m, k] w[n, k], for m = 1 .. 8, which is as fast as
 * the weights stream from memory.
 *
 * A unit is four rows of weights by one chunk of the depth, as wide as the lanes of a warp load at 16 bytes each. A
 * warp has one or more chunks and goes through units of rows: of one row of x it keeps the chunk in registers, several
 * lie in shared memory, where they meet a unit's weights in registers. Its loads run ahead in a ring in shared memory
 * that no other warp touches, so nothing waits for anything but its own bytes. Each unit's sums go to a table
 * [chunk][row] in shared memory, which the block adds up in order of chunks at the end: the same order for every m,
 * grid and chip. More rows than fit go through in turns.
 *
 * Weights that are constants of a program (em__call.constant) begin to flow before the kernel before has ended.
 *
 * A march (march.cuh) runs jobs of one row one behind the other, and divides their rows by its own rule.
 */
#ifndef EM_DEVICE_CUDA_GEMV_CUH
#define EM_DEVICE_CUDA_GEMV_CUH

#include "device/cuda/common.cuh"

enum {
    EM_GEMV_MOST = 8,     /* rows of x */
    EM_GEMV_MATRICES = 3, /* side by side */
    EM_GEMV_UNIT = 4,     /* rows of weights */
    EM_GEMV_STAGES = 3,   /* units of the ring */
    EM_GEMV_WARPS = 16,   /* at most */
};

typedef struct em__gemv {
    /* weights, row-major [rows, depth]; of quantized ones codes, and scales and biases of each group */
    const char *weight[EM_GEMV_MATRICES], *scales[EM_GEMV_MATRICES], *biases[EM_GEMV_MATRICES];
    const void *x;     /* [m, depth] */
    const float *gain; /* of a norm, f32 [depth]; NULL: none */
    const float *bias, *residual;
    void *out[EM_GEMV_MATRICES]; /* [m, rows of the matrix]; of a pair only the first */
    int end[EM_GEMV_MATRICES];   /* rows of this matrix and those before it; the last: of all */
    int depth;
    float eps;              /* of the norm */
    int per_block;          /* rows; filled by em__gemv_run, as are chunks and warps */
    uint16_t chunks;        /* of the depth */
    uint16_t activation;    /* em__op of the sum + bias; COPY: none; of a pair, that of the first */
    uint8_t weights, scale; /* em_dtype; EM_U32: 4-bit codes */
    uint8_t x_dtype, out_dtype;
    uint8_t m, shift, warps; /* rows of x; log2 of the group of 4-bit codes */
    bool norm;               /* rms_norm of x before the product */
    bool pair;               /* two matrices: out[i] = activation(row i of the first) * row i of the second */
    bool joined;             /* one result for all matrices, out[0]: [m, rows] */
    bool constant;           /* weights, scales, biases and gain are constants */
} em__gemv;

/* In how many pieces of b, the last one perhaps a part, a comes. */
static inline int em_gemv_cuts(int a, int b)
{
    return (a + b - 1) / b;
}

/* Rows of all matrices. */
static __host__ __device__ __forceinline__ int em_gemv_rows(const em__gemv &g)
{
    return g.end[EM_GEMV_MATRICES - 1];
}

/* The job of a DOT_GENERAL, FUSED_LINEAR or QUANTIZED_MATMUL; false when it is none. */
bool em__gemv_read(const em__call *call, em__gemv *job);

/* The matrix of `more`, which has the same rows of x, beside the n that the job has, which it is made of where n is 0;
 * false where it can't be. */
bool em__gemv_add(em__gemv *job, int n, const em__gemv *more);

/* The product's job gets the residual that the call behind it adds, and its result; false where that is none. */
bool em__gemv_add_residual(em__gemv *job, const em__call *product, const em__call *add);

/* Whether the kernels take this job: dtypes, depth. Looks at no pointer. */
bool em__gemv_takes(const em__gemv *job);

/* Asks for the launch. */
em_status em__gemv_run(em__cuda *cuda, em__gemv *job, const char *what);

#endif
