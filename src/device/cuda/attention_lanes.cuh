/*
 * What kernels of attention on matrix units share. A warp has 16 queries, a lane rows g and g + 8 of them, g being a
 * quarter of its number, and in each pieces of two elements, 8 apart: queries in registers as operands of products,
 * products of four warps at once with keys and values in shared memory (compute capability 9), results on their way
 * out.
 *
 * Keys and values lie in shared memory in panels of 64 columns: rows of 128 bytes, swizzled, 8 of them in 1024 bytes.
 */
#ifndef EM_DEVICE_CUDA_ATTENTION_LANES_CUH
#define EM_DEVICE_CUDA_ATTENTION_LANES_CUH

#include "device/cuda/attention_flash.cuh"
#include "device/cuda/wgmma.cuh"

namespace
{

template <typename T> struct pair_of;
template <> struct pair_of<__half> {
    static __device__ __forceinline__ uint32_t make(float x, float y)
    {
        const __half2 p = __floats2half2_rn(x, y);
        return *(const uint32_t *)&p;
    }
    static __device__ __forceinline__ float2 widen(uint32_t p)
    {
        return __half22float2(*(const __half2 *)&p);
    }
};
template <> struct pair_of<__nv_bfloat16> {
    static __device__ __forceinline__ uint32_t make(float x, float y)
    {
        const __nv_bfloat162 p = __floats2bfloat162_rn(x, y);
        return *(const uint32_t *)&p;
    }
    static __device__ __forceinline__ float2 widen(uint32_t p)
    {
        return make_float2(__uint_as_float(p << 16), __uint_as_float(p & 0xffff0000u));
    }
};

/* Queries of a warp, rows g and g + 8 of each lane, as operands of products; f32 ones as PASSES halves. */
template <typename T, int WIDTH, int PASSES> struct warp_queries {
    uint32_t x[PASSES][WIDTH / 16][4];
    float unit[2]; /* what the rows' products are multiplied by */
};

__device__ __forceinline__ float2 read_two(const float *p)
{
    return *(const float2 *)p;
}
__device__ __forceinline__ float2 read_two(const __half *p)
{
    return __half22float2(*(const __half2 *)p);
}
__device__ __forceinline__ float2 read_two(const __nv_bfloat16 *p)
{
    return __bfloat1622float2(*(const __nv_bfloat162 *)p);
}

/* Dims 8 i + 2 t, + 1 of a row of queries that is there. What lies past the row's end is read at its end: nothing hangs
 * on a condition, so that all are under way at once. */
template <int WIDTH> __device__ __forceinline__ void read_row(float2 (&x)[WIDTH / 8], const em_attend &a, int64_t at)
{
    const int t = threadIdx.x % 4;
    em_by_dtype(a.dtype, [&](auto zero) {
        const decltype(zero) *p = (const decltype(zero) *)a.q.data + at;
        if (a.q.wide) {
#pragma unroll
            for (int i = 0; i < WIDTH / 8; i++)
                x[i] = read_two(p + min(8 * i + 2 * t, a.size - 2));
        } else {
#pragma unroll
            for (int i = 0; i < WIDTH / 8; i++) {
                const int d = min(8 * i + 2 * t, a.size - 2);
                x[i] = make_float2(em_as_float(p[d]), em_as_float(p[d + 1]));
            }
        }
    });
}

/* f16 has few exponents: a power of two that brings the row's largest f32 near the top of them. */
__device__ __forceinline__ float half_unit(float top)
{
#pragma unroll
    for (int o = 2; o; o /= 2)
        top = fmaxf(top, __shfl_xor_sync(~0u, top, o));
    const int exponent = (int)(__float_as_uint(top) >> 23) - 127;
    return top > 0 && exponent > -100 && exponent < 128 ? __uint_as_float((unsigned)(127 + 14 - exponent) << 23) : 1;
}

template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void load_queries(const em_attend &a, int b, int h, int first,
                                             warp_queries<T, WIDTH, PASSES> *q)
{
    const int g = threadIdx.x % 32 / 4;
    float2 rows[2][WIDTH / 8];
#pragma unroll
    for (int half = 0; half < 2; half++)
        read_row<WIDTH>(rows[half], a,
                        b * a.q.batch + h * a.q.head + min(first + g + 8 * half, a.queries - 1) * a.q.token);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const bool is = first + g + 8 * half < a.queries;
        float2(&x)[WIDTH / 8] = rows[half];
        float top = 0, unit = 1;
#pragma unroll
        for (int i = 0; i < WIDTH / 8; i++)
            if (!is || 8 * i + 2 * (int)(threadIdx.x % 4) >= a.size)
                x[i] = make_float2(0, 0);
#pragma unroll
        for (int i = 0; i < WIDTH / 8; i++)
            top = fmaxf(top, fmaxf(fabsf(x[i].x), fabsf(x[i].y)));
        if (PASSES == 2 && __is_same(T, __half))
            unit = half_unit(top);
        q->unit[half] = 1 / unit;
#pragma unroll
        for (int i = 0; i < WIDTH / 8; i++) {
            float2 y = make_float2(x[i].x * unit, x[i].y * unit);
#pragma unroll
            for (int pass = 0; pass < PASSES; pass++) {
                const uint32_t p = pair_of<T>::make(y.x, y.y);
                const float2 there = pair_of<T>::widen(p);
                q->x[pass][i / 2][i % 2 * 2 + half] = p;
                y = make_float2(y.x - there.x, y.y - there.y);
            }
        }
    }
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define EM_FLASH_GROUPS 1
#else
#define EM_FLASH_GROUPS 0
#endif

/* Where products of a warp group find a tile's panels, which have so many rows each, or rows of them. */
template <int ROWS> __device__ __forceinline__ uint64_t matrix_at(unsigned at)
{
    return (uint64_t)(at >> 4 & 0x3fff) | (uint64_t)(ROWS * 128 >> 4) << 16 | (uint64_t)(1024 >> 4) << 32 |
           (uint64_t)1 << 62;
}

#define EM_FOUR(c, j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define EM_SIXTEEN(c, j) EM_FOUR(c, j), EM_FOUR(c, j + 1), EM_FOUR(c, j + 2), EM_FOUR(c, j + 3)
#define EM_32                                                                                                          \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "   \
    "%24, %25, %26, %27, %28, %29, %30, %31"
#define EM_64                                                                                                          \
    EM_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, "     \
          "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define EM_GROUP_64(TYPE)                                                                                              \
    asm volatile("{.reg .pred p;\n\tsetp.ne.b32 p, %37, 0;\n\twgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE        \
                 " {" EM_32 "}, {%32, %33, %34, %35}, %36, p, 1, 1, %38;}"                                             \
                 : EM_SIXTEEN(c, 0), EM_SIXTEEN(c, 4)                                                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(onto), "n"(TURNED))
#define EM_GROUP_128(TYPE)                                                                                             \
    asm volatile("{.reg .pred p;\n\tsetp.ne.b32 p, %69, 0;\n\twgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE       \
                 " {" EM_64 "}, {%64, %65, %66, %67}, %68, p, 1, 1, %70;}"                                             \
                 : EM_SIXTEEN(c, 0), EM_SIXTEEN(c, 4), EM_SIXTEEN(c, 8), EM_SIXTEEN(c, 12)                             \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(onto), "n"(TURNED))

/* Begins c = a b, or c += a b: 64 x 16, 16 rows a warp, by 16 x 8 N. TURNED: b's rows are what is summed over. */
template <typename T, int TURNED>
__device__ __forceinline__ void multiply_group(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b, int onto)
{
#if EM_FLASH_GROUPS
    if constexpr (__is_same(T, __half))
        EM_GROUP_64("f16.f16");
    else
        EM_GROUP_64("bf16.bf16");
#endif
}

template <typename T, int TURNED>
__device__ __forceinline__ void multiply_group(float (&c)[16][4], const uint32_t (&a)[4], uint64_t b, int onto)
{
#if EM_FLASH_GROUPS
    if constexpr (__is_same(T, __half))
        EM_GROUP_128("f16.f16");
    else
        EM_GROUP_128("bf16.bf16");
#endif
}

__device__ __forceinline__ void group_begin()
{
#if EM_FLASH_GROUPS
    em_wgmma_begin();
#endif
}

__device__ __forceinline__ void group_end()
{
#if EM_FLASH_GROUPS
    em_wgmma_commit();
    em_wgmma_wait<0>();
#endif
}

__device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* A lane's two rows. Scores count in powers of two, once `unit` has multiplied them. */
struct lane_rows {
    em_keys seen[2];
    int64_t mask[2];
    float unit[2], top[2], sum[2];
};

/* Scores become weights: powers of two of how far they are from the row's top, in its unit, which is positive. The tops
 * are of scores as they came; `shrink`: what the rows have so far is multiplied by. */
template <int PIECES>
__device__ __forceinline__ void soften(float (&s)[PIECES][4], const float (&unit)[2], lane_rows *rows,
                                       float (&shrink)[2])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float high = rows->top[half], sum[2] = {0, 0};
#pragma unroll
        for (int j = 0; j < PIECES; j++)
            high = fmaxf(high, fmaxf(s[j][2 * half], s[j][2 * half + 1]));
#pragma unroll
        for (int o = 2; o; o /= 2)
            high = fmaxf(high, __shfl_xor_sync(~0u, high, o));
        const float base = em_finite_top(high) * unit[half];
        shrink[half] = power_of_two(rows->top[half] * unit[half] - base);
        rows->top[half] = high;
#pragma unroll
        for (int j = 0; j < PIECES; j++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                sum[i] += s[j][2 * half + i] = power_of_two(fmaf(s[j][2 * half + i], unit[half], -base));
        rows->sum[half] = rows->sum[half] * shrink[half] + (sum[0] + sum[1]);
    }
}

template <int WIDTH>
__device__ __forceinline__ void write_rows(const em_attend &a, const em_attend_out &out, int b, int h, int first,
                                           const lane_rows &rows, const float (&acc)[WIDTH / 8][4])
{
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + g + 8 * half;
        float total = rows.sum[half], shrink = 1;
#pragma unroll
        for (int o = 2; o; o /= 2)
            total += __shfl_xor_sync(~0u, total, o);
        if (row >= a.queries)
            continue;
        if (a.sinks) {
            const float sink = a.sinks[h] * 1.4426950408889634f, high = em_finite_top(fmaxf(rows.top[half], sink));
            shrink = total != 0 ? power_of_two(em_finite_top(rows.top[half]) - high) : 0;
            total = total * shrink + power_of_two(sink - high);
        }
        const float factor = total == 0 ? 0 : shrink / total;
        const int64_t at = b * out.batch + h * out.head + row * out.token;
        em_by_dtype(a.dtype, [&](auto zero) {
            typedef decltype(zero) T;
#pragma unroll
            for (int j = 0; j < WIDTH / 8; j++) {
                const int d = 8 * j + 2 * t;
                const float x = acc[j][2 * half] * factor, y = acc[j][2 * half + 1] * factor;
                if (d >= a.value_size)
                    continue;
                if constexpr (sizeof(T) == 4)
                    *(float2 *)((float *)a.out + at + d) = make_float2(x, y);
                else
                    *(uint32_t *)((T *)a.out + at + d) = pair_of<T>::make(x, y);
            }
        });
    }
}

} // namespace

#endif
