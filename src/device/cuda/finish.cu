/* What follows the sums of a product: see finish.h. */
#include "device/cuda/finish.h"

#include "device/cuda/activate.cuh"

enum { THREADS = 256 };

/* VECTOR elements a thread. Sums and residual may lie where the result does. */
template <typename T, typename S, int VECTOR>
__global__ void finish_kernel(const S *sums, const T *bias, const T *residual, T *out, int64_t size, int64_t columns,
                              int op)
{
    struct alignas(VECTOR * sizeof(S)) sum_vector {
        S at[VECTOR];
    };
    struct alignas(VECTOR * sizeof(T)) vector {
        T at[VECTOR];
    };
    em_grid_wait();
    int64_t step = (int64_t)gridDim.x * THREADS * VECTOR;
    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * VECTOR; i < size; i += step) {
        int64_t column = size <= UINT32_MAX ? (uint32_t)i % (uint32_t)columns : i % columns;
        sum_vector x = *(const sum_vector *)(sums + i);
        vector b, r, to;
        if (bias)
            b = *(const vector *)(bias + column);
        if (residual)
            r = *(const vector *)(residual + i);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
            S value = em_activate(op, bias ? x.at[j] + (S)b.at[j] : x.at[j]);
            to.at[j] = (T)(residual ? value + (S)r.at[j] : value);
        }
        *(vector *)(out + i) = to;
    }
}

static bool is_aligned(const void *a, const void *b, const void *c, size_t bytes)
{
    return (((uintptr_t)a | (uintptr_t)b | (uintptr_t)c) & (bytes - 1)) == 0;
}

template <typename T, typename S> static em_status run(em__cuda *cuda, const em__finish *f)
{
    bool four = f->columns % 4 == 0 && is_aligned(f->bias, f->residual, f->out, 4 * sizeof(T)) &&
                is_aligned(f->sums, NULL, NULL, 4 * sizeof(S));
    auto kernel = four ? finish_kernel<T, S, 4> : finish_kernel<T, S, 1>;
    return em_launch(cuda, "fused_linear", kernel, em_blocks(f->size, THREADS * (four ? 4 : 1)), THREADS, 0,
                     (const S *)f->sums, (const T *)f->bias, (const T *)f->residual, (T *)f->out, f->size, f->columns,
                     (int)f->activation);
}

extern "C" bool em__cuda_finish_takes(em__op activation)
{
    return activation == EM__OP_COPY || activation == EM__OP_RELU || activation == EM__OP_SILU ||
           activation == EM__OP_GELU || activation == EM__OP_GELU_TANH || activation == EM__OP_TANH ||
           activation == EM__OP_SIGMOID;
}

extern "C" em_status em__cuda_finish(em__cuda *cuda, const em__finish *finish)
{
    if (finish->size == 0)
        return EM_OK;
    switch (finish->dtype) {
    case EM_F64: return run<double, double>(cuda, finish);
    case EM_F16: return run<__half, float>(cuda, finish);
    case EM_BF16: return run<__nv_bfloat16, float>(cuda, finish);
    default: return run<float, float>(cuda, finish);
    }
}
