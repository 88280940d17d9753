/* Products of f32 with half weights: see mixed.h. */
#include "device/cuda/mixed.h"

#include "device/cuda/common.cuh"
#include "device/cuda/side.h"

enum { THREADS = 256, PLANES = 3 };

#define WIDENED_BYTES ((int64_t)64 << 20) /* of an f16 weight that is widened at a time, unless a row is longer */

/* The upper 16 bits, which are a bf16: what is left over is exact, and no finite value becomes infinite. */
__device__ __forceinline__ float upper_half(float x)
{
    return __uint_as_float(__float_as_uint(x) & 0xffff0000u);
}

__device__ __forceinline__ void cut(float x, __nv_bfloat16 (&part)[PLANES])
{
    float high = upper_half(x), rest = isfinite(x) ? x - high : 0.0f, middle = upper_half(rest);
    part[0] = isnan(x) ? __float2bfloat16_rn(x) : __float2bfloat16_rn(high);
    part[1] = __float2bfloat16_rn(middle);
    part[2] = __float2bfloat16_rn(rest - middle);
}

/* x [rows, depth] to bf16 row-major, rounded, or cut into three planes. VECTOR elements a thread. */
template <bool CUT, int VECTOR>
__global__ void prepare_x(const float *x, int64_t row_step, int64_t depth_step, int64_t size, uint32_t depth,
                          __nv_bfloat16 *to)
{
    em_grid_wait();
    int64_t step = (int64_t)gridDim.x * THREADS * VECTOR;
    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * VECTOR; i < size; i += step) {
        int64_t row = size <= UINT32_MAX ? (uint32_t)i / depth : i / depth, at = i - row * depth;
        float values[VECTOR];
        if (VECTOR == 4) {
            *(float4 *)values = *(const float4 *)(x + row * row_step + at);
        } else {
            values[0] = x[row * row_step + at * depth_step];
        }
        __nv_bfloat16 parts[PLANES][VECTOR];
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
            __nv_bfloat16 part[PLANES];
            cut(values[j], part);
            parts[0][j] = CUT ? part[0] : __float2bfloat16_rn(values[j]);
            parts[1][j] = part[1];
            parts[2][j] = part[2];
        }
        for (int p = 0; p < (CUT ? PLANES : 1); p++) {
            if (VECTOR == 4)
                *(uint2 *)(to + p * size + i) = *(const uint2 *)parts[p];
            else
                to[p * size + i] = parts[p][0];
        }
    }
}

/* A matrix of halves to f32 [rows, depth]. */
template <typename T>
__global__ void widen(const T *w, int64_t row_step, int64_t depth_step, int64_t size, int64_t depth, float *to)
{
    em_grid_wait();
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < size; i += (int64_t)gridDim.x * THREADS) {
        int64_t row = i / depth, at = i - row * depth;
        to[i] = (float)w[row * row_step + at * depth_step];
    }
}

static bool is_widened(const em__mixed *m)
{
    return m->weight == EM_F16;
}

/* Products of f32, with x as it is. */
static bool is_wide(const em__mixed *m)
{
    return m->weight != EM_BF16;
}

static size_t x_bytes(const em__mixed *m)
{
    return is_wide(m) ? 0 : em__scratch_bytes(m->m * m->k * (m->round ? 1 : PLANES), EM_BF16);
}

static int64_t widened_rows(const em__mixed *m, int64_t n)
{
    int64_t rows = WIDENED_BYTES / 4 / (m->k ? m->k : 1);
    return rows < 1 ? 1 : rows < n ? rows : n;
}

extern "C" size_t em__cuda_mixed_scratch(const em__mixed *mixed, int64_t rows)
{
    return x_bytes(mixed) + (is_widened(mixed) ? em__scratch_bytes(widened_rows(mixed, rows) * mixed->k, EM_F32) : 0);
}

static em__gemm gemm_of(const em__mixed *m, const em__mixed_weight *weight)
{
    em__gemm g = {};
    g.from = is_wide(m) ? EM_F32 : EM_BF16;
    g.to = EM_F32;
    g.m = m->m;
    g.n = is_widened(m) ? widened_rows(m, weight->n) : weight->n;
    g.k = m->k;
    g.batch = 1;
    g.a.ld = m->k;
    if (is_wide(m))
        g.a = m->x;
    g.b = weight->as;
    if (is_widened(m))
        g.b = {m->k, 0, 0};
    g.a.batch_step = g.b.batch_step = 0;
    g.ldd = weight->ldd;
    return g;
}

/* Product `i`, the last of which is 0: the first adds to c and the others to what is there, the last adds the bias. */
static void join(em__gemm *g, const em__mixed_weight *weight, int i, int last)
{
    g->add = i < last || weight->c != NULL;
    g->bias = i == 0 && weight->bias != NULL;
}

static int last_plane(const em__mixed *m)
{
    return is_wide(m) || m->round || m->k == 0 ? 0 : PLANES - 1;
}

extern "C" bool em__cuda_mixed_takes(em__cuda *cuda, const em__mixed *mixed, const em__mixed_weight *weight)
{
    em__gemm g = gemm_of(mixed, weight);
    for (int i = last_plane(mixed); i >= 0; i--) {
        join(&g, weight, i, last_plane(mixed));
        if (!em__cuda_gemm_takes(cuda, &g))
            return false;
    }
    return mixed->k <= UINT32_MAX;
}

extern "C" em_status em__cuda_mixed_begin(em__cuda *cuda, const em__mixed *mixed, const void *x, char *scratch)
{
    int64_t size = mixed->m * mixed->k, row_step = em__matrix_row_step(&mixed->x);
    int64_t depth_step = mixed->x.across ? mixed->x.ld : 1;
    if (size == 0 || is_wide(mixed))
        return EM_OK;
    bool vector =
        !mixed->x.across && mixed->k % 4 == 0 && (mixed->m == 1 || row_step % 4 == 0) && ((uintptr_t)x & 15) == 0;
    auto kernel = mixed->round ? (vector ? prepare_x<false, 4> : prepare_x<false, 1>)
                               : (vector ? prepare_x<true, 4> : prepare_x<true, 1>);
    return em_launch(cuda, "product of f32 and bf16", kernel, em_blocks(size, THREADS * (vector ? 4 : 1)), THREADS, 0,
                     (const float *)x, row_step, depth_step, size, (uint32_t)mixed->k, (__nv_bfloat16 *)scratch);
}

static em_status run_widened(em__cuda *cuda, const em__mixed *m, const void *x, const em__mixed_weight *weight,
                             char *scratch)
{
    int64_t row_step = em__matrix_row_step(&weight->as), depth_step = weight->as.across ? weight->as.ld : 1;
    int64_t part = widened_rows(m, weight->n);
    em__gemm g = gemm_of(m, weight);
    join(&g, weight, 0, 0);
    for (int64_t row = 0; row < weight->n; row += part) {
        g.n = weight->n - row < part ? weight->n - row : part;
        int64_t size = g.n * m->k;
        if (size > 0)
            EM__TRY(em_launch(cuda, "product of f32 and f16", widen<__half>, em_blocks(size, THREADS * 4), THREADS, 0,
                              (const __half *)weight->w + row * row_step, row_step, depth_step, size, m->k,
                              (float *)scratch));
        EM__TRY(em__cuda_gemm(cuda, &g, x, scratch, weight->bias ? weight->bias + row : NULL,
                              weight->c ? weight->c + row : NULL, weight->d + row));
    }
    return EM_OK;
}

extern "C" em_status em__cuda_mixed_run(em__cuda *cuda, const em__mixed *mixed, const void *x,
                                        const em__mixed_weight *weight, char *scratch)
{
    if (is_widened(mixed))
        return run_widened(cuda, mixed, x, weight, scratch);
    em__gemm g = gemm_of(mixed, weight);
    int last = last_plane(mixed);
    for (int i = last; i >= 0; i--) {
        const void *a = is_wide(mixed) ? x : (const __nv_bfloat16 *)scratch + i * mixed->m * mixed->k;
        join(&g, weight, i, last);
        EM__TRY(em__cuda_gemm(cuda, &g, a, weight->w, weight->bias, i < last ? weight->d : weight->c, weight->d));
    }
    return EM_OK;
}

extern "C" em_status em__cuda_widen(em__cuda *cuda, const void *from, em_dtype dtype, int64_t size, float *to)
{
    if (size == 0)
        return EM_OK;
    unsigned blocks = em_blocks(size, THREADS * 4);
    if (dtype == EM_F16)
        return em_launch(cuda, "widen", widen<__half>, blocks, THREADS, 0, (const __half *)from, size, 1, size, size,
                         to);
    return em_launch(cuda, "widen", widen<__nv_bfloat16>, blocks, THREADS, 0, (const __nv_bfloat16 *)from, size, 1,
                     size, size, to);
}
