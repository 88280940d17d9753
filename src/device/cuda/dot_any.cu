/* Products in tiles through shared memory, of any element type: see dot.h. */
#include "device/cuda/common.cuh"
#include "device/cuda/dot.h"

enum { TILE = 32, DEEP = 32, THREADS = 256, EACH = TILE * TILE / THREADS };

/* How elements are read, multiplied and added, and what becomes of the sum. Integers wrap around, so that those of both
 * signs are one; narrow ones are summed in 32 bits. */
template <typename T, typename S> struct integer {
    typedef T element;
    typedef S sum;
    static __device__ S load(T x)
    {
        return (S)x;
    }
    static __device__ S add(S sum, S a, S b)
    {
        return sum + a * b;
    }
    static __device__ T store(S sum)
    {
        return (T)sum;
    }
};

struct predicate {
    typedef uint8_t element;
    typedef uint32_t sum;
    static __device__ uint32_t load(uint8_t x)
    {
        return x != 0;
    }
    static __device__ uint32_t add(uint32_t sum, uint32_t a, uint32_t b)
    {
        return sum | (a & b);
    }
    static __device__ uint8_t store(uint32_t sum)
    {
        return (uint8_t)sum;
    }
};

template <typename F, __nv_fp8_interpretation_t KIND> struct eighth {
    typedef F element;
    typedef float sum;
    static __device__ float load(F x)
    {
        return (float)x;
    }
    static __device__ float add(float sum, float a, float b)
    {
        return fmaf(a, b, sum);
    }
    static __device__ F store(float sum)
    {
        F out;
        out.__x = __nv_cvt_float_to_fp8(sum, __NV_NOSAT, KIND);
        return out;
    }
};

template <typename O>
__device__ __forceinline__ void load_tile(const typename O::element *from, const em__matrix &as, int64_t row,
                                          int64_t rows, int64_t depth, int64_t depths,
                                          typename O::sum (&tile)[TILE][DEEP + 1])
{
    for (int i = threadIdx.x; i < TILE * DEEP; i += THREADS) {
        int r = as.across ? i % TILE : i / DEEP, d = as.across ? i / TILE : i % DEEP;
        bool there = row + r < rows && depth + d < depths;
        int64_t at = as.across ? row + r + (depth + d) * as.ld : (row + r) * as.ld + depth + d;
        tile[r][d] = there ? O::load(from[at]) : typename O::sum(0);
    }
}

template <typename O>
__global__ void product(const __grid_constant__ em__gemm g, const typename O::element *a, const typename O::element *b,
                        typename O::element *d)
{
    __shared__ typename O::sum tile_a[TILE][DEEP + 1], tile_b[TILE][DEEP + 1];
    const int64_t row = (int64_t)blockIdx.y * TILE, column = (int64_t)blockIdx.x * TILE;
    const int mine = threadIdx.x % TILE, first = threadIdx.x / TILE;
    em_grid_wait();
    for (int64_t batch = blockIdx.z; batch < g.batch; batch += gridDim.z) {
        typename O::sum sums[EACH] = {};
        for (int64_t depth = 0; depth < g.k; depth += DEEP) {
            load_tile<O>(a + batch * g.a.batch_step, g.a, row, g.m, depth, g.k, tile_a);
            load_tile<O>(b + batch * g.b.batch_step, g.b, column, g.n, depth, g.k, tile_b);
            __syncthreads();
            for (int i = 0; i < DEEP; i++)
#pragma unroll
                for (int j = 0; j < EACH; j++)
                    sums[j] = O::add(sums[j], tile_a[first + j * (THREADS / TILE)][i], tile_b[mine][i]);
            __syncthreads();
        }
        for (int j = 0; j < EACH; j++) {
            int64_t r = row + first + j * (THREADS / TILE), c = column + mine;
            if (r < g.m && c < g.n)
                d[batch * g.batch_step_d + r * g.ldd + c] = O::store(sums[j]);
        }
    }
}

template <typename O> static em_status run(em__cuda *cuda, const em__gemm *g, const void *a, const void *b, void *d)
{
    typedef typename O::element element;
    dim3 grid(em_blocks(g->n, TILE), em_blocks(g->m, TILE), (unsigned)(g->batch < 65535 ? g->batch : 65535));
    return em_launch(cuda, "product", product<O>, grid, THREADS, 0, *g, (const element *)a, (const element *)b,
                     (element *)d);
}

extern "C" bool em__cuda_product_any_takes(const em__gemm *gemm)
{
    em_dtype_kind kind = em_dtype_get_kind((em_dtype)gemm->to);
    return (kind < EM_KIND_FLOAT || em_dtype_size((em_dtype)gemm->to) == 1) && gemm->m <= (int64_t)65535 * TILE &&
           gemm->n <= (int64_t)INT32_MAX;
}

extern "C" em_status em__cuda_product_any(em__cuda *cuda, const em__gemm *g, const void *a, const void *b, void *d)
{
    if (g->m == 0 || g->n == 0 || g->batch == 0)
        return EM_OK;
    if (g->to == EM_PRED)
        return run<predicate>(cuda, g, a, b, d);
    if (g->to == EM_F8_E4M3FN)
        return run<eighth<__nv_fp8_e4m3, __NV_E4M3>>(cuda, g, a, b, d);
    if (g->to == EM_F8_E5M2)
        return run<eighth<__nv_fp8_e5m2, __NV_E5M2>>(cuda, g, a, b, d);
    switch (em_dtype_size((em_dtype)g->to)) {
    case 1: return run<integer<uint8_t, uint32_t>>(cuda, g, a, b, d);
    case 2: return run<integer<uint16_t, uint32_t>>(cuda, g, a, b, d);
    case 4: return run<integer<uint32_t, uint32_t>>(cuda, g, a, b, d);
    default: return run<integer<uint64_t, uint64_t>>(cuda, g, a, b, d);
    }
}
