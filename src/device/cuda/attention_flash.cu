/*
 * Many queries of a cache of halves, on tensor cores: a block holds 64 queries of one head, 16 a warp, and walks the
 * keys in tiles of 64, fetched a tile ahead. Scores and results are f32 in registers, with a running maximum and sum.
 *
 * f32 queries are the sum of two halves, and so are the weights that meet the values: 16 bits and more of each count,
 * for twice the products (PASSES 2). Queries that are halves, or that half_products lets round, go through once.
 *
 * A tile lies in shared memory in pieces of 16 bytes, piece c of row r at c ^ (r & 7), so that what one load of
 * matrices wants is in different banks.
 *
 * Compute capability 9 has products of four warps at once (GROUP), which read keys and values where they lie: then a
 * tile is two panels of 64 columns, rows of 128 bytes. They serve causal calls with heads of 65 to 128; others run
 * products of one warp.
 */
#include "device/cuda/attention.cuh"
#include "device/cuda/wgmma.cuh"

namespace
{

enum { THREADS = 128, WARPS = THREADS / 32, ROWS = 16 * WARPS, KEYS = 64 };

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

/* c += a b: 16 x 16 by 16 x 8. */
template <typename T>
__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    if constexpr (sizeof(T) == 2 && __is_same(T, __half))
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Four 8 x 8 matrices, whose rows' addresses lanes 8 i .. 8 i + 7 bring. */
template <bool TURNED> __device__ __forceinline__ void load_matrices(uint32_t (&x)[4], unsigned at)
{
    if (TURNED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(at));
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(at));
}

template <int WIDTH, bool GROUP> __device__ __forceinline__ unsigned place(unsigned base, int row, int piece)
{
    if (GROUP)
        return base + piece / 8 * (KEYS * 128) + row * 128 + ((piece % 8 ^ (row & 7)) << 4);
    return base + row * WIDTH * 2 + ((piece ^ (row & 7)) << 4);
}

/* Starts the fetch of a tile: its rows from `rows` on, and pieces past `size`, become zero. */
template <typename T, int WIDTH, bool GROUP>
__device__ __forceinline__ void fetch(unsigned to, const T *from, int64_t stride, int rows, int size)
{
    constexpr int PIECES = WIDTH / 8, STEP = THREADS / PIECES; /* rows that the block fetches at a time: 8 or 16 */
    const int row = threadIdx.x / PIECES, piece = threadIdx.x % PIECES;
    const T *p = from + row * stride + piece * 8;
    to = place<WIDTH, GROUP>(to, row, piece);
#pragma unroll
    for (int i = 0; i < KEYS / STEP; i++, p += STEP * stride) {
        const bool is = row + i * STEP < rows && piece * 8 < size;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to + i * STEP * (GROUP ? 128 : WIDTH * 2)),
                     "l"(is ? p : from), "r"(is ? 16 : 0)
                     : "memory");
    }
}

/* Queries of a warp, rows g and g + 8 of each lane, as operands of products; f32 ones as PASSES halves. */
template <typename T, int WIDTH, int PASSES> struct warp_queries {
    uint32_t x[PASSES][WIDTH / 16][4];
    float unit[2]; /* what the rows' products are multiplied by */
};

/* Dims 8 i + 2 t, + 1 of a row of queries; zeros where it has none. */
template <int WIDTH>
__device__ __forceinline__ void read_row(float2 (&x)[WIDTH / 8], const em_attend &a, int64_t at, bool is)
{
    const int t = threadIdx.x % 4;
    em_by_dtype(a.dtype, [&](auto zero) {
        const decltype(zero) *p = (const decltype(zero) *)a.q.data + at;
#pragma unroll
        for (int i = 0; i < WIDTH / 8; i++) {
            const int d = 8 * i + 2 * t;
            x[i] = is && d < a.size ? make_float2(em_as_float(p[d]), em_as_float(p[d + 1])) : make_float2(0, 0);
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
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + g + 8 * half;
        const int64_t at = b * a.q.batch + h * a.q.head + row * a.q.token;
        float2 x[WIDTH / 8];
        float top = 0, unit = 1;
        read_row<WIDTH>(x, a, at, row < a.queries);
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

/* Products of a warp's queries with a tile's keys: n tile j, columns 8 j + 2 t, + 1 of rows g and g + 8. */
template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void score_tile(float (&s)[KEYS / 8][4], const warp_queries<T, WIDTH, PASSES> &q,
                                           unsigned keys)
{
    const int lane = threadIdx.x % 32, row = lane / 16 * 8 + lane % 8, piece = lane / 8 % 2;
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            s[j][i] = 0;
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
#pragma unroll
        for (int j = 0; j < KEYS / 16; j++) {
            uint32_t b[4];
            load_matrices<false>(b, place<WIDTH, false>(keys, j * 16 + row, k * 2 + piece));
#pragma unroll
            for (int pass = PASSES - 1; pass >= 0; pass--) {
                multiply<T>(s[2 * j], q.x[pass][k], b[0], b[1]);
                multiply<T>(s[2 * j + 1], q.x[pass][k], b[2], b[3]);
            }
        }
}

/* The weights of 16 keys of a tile, as PASSES halves. */
template <typename T, int PASSES>
__device__ __forceinline__ void split_weights(uint32_t (&w)[PASSES][KEYS / 16][4], const float (&s)[KEYS / 8][4], int k)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 y = make_float2(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
            w[pass][k][i] = pair_of<T>::make(y.x, y.y);
            const float2 there = pair_of<T>::widen(w[pass][k][i]);
            y = make_float2(y.x - there.x, y.y - there.y);
        }
    }
}

/* Adds the values of a tile, weighed. */
template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void value_tile(float (&acc)[WIDTH / 8][4], const float (&s)[KEYS / 8][4], unsigned values)
{
    const int lane = threadIdx.x % 32, row = lane / 8 % 2 * 8 + lane % 8, piece = lane / 16;
    uint32_t w[PASSES][KEYS / 16][4];
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
        split_weights<T, PASSES>(w, s, k);
#pragma unroll
        for (int j = 0; j < WIDTH / 16; j++) {
            uint32_t b[4];
            load_matrices<true>(b, place<WIDTH, false>(values, k * 16 + row, j * 2 + piece));
#pragma unroll
            for (int pass = PASSES - 1; pass >= 0; pass--) {
                multiply<T>(acc[2 * j], w[pass][k], b[0], b[1]);
                multiply<T>(acc[2 * j + 1], w[pass][k], b[2], b[3]);
            }
        }
    }
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define EM_FLASH_GROUPS 1
#else
#define EM_FLASH_GROUPS 0
#endif

/* Where products of a warp group find a tile's panel, or rows of it: swizzled rows of 128 bytes, 8 rows in 1024. */
__device__ __forceinline__ uint64_t matrix_at(unsigned at)
{
    return (uint64_t)(at >> 4 & 0x3fff) | (uint64_t)(KEYS * 128 >> 4) << 16 | (uint64_t)(1024 >> 4) << 32 |
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

template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void score_group(float (&s)[KEYS / 8][4], const warp_queries<T, WIDTH, PASSES> &q,
                                            unsigned keys)
{
    group_begin();
#pragma unroll
    for (int pass = PASSES - 1; pass >= 0; pass--)
#pragma unroll
        for (int k = 0; k < WIDTH / 16; k++)
            multiply_group<T, 0>(s, q.x[pass][k], matrix_at(keys + k / 4 * (KEYS * 128) + k % 4 * 32),
                                 k > 0 || pass < PASSES - 1);
    group_end();
}

template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void value_group(float (&acc)[WIDTH / 8][4], const float (&s)[KEYS / 8][4], unsigned values)
{
    uint32_t w[PASSES][KEYS / 16][4];
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++)
        split_weights<T, PASSES>(w, s, k);
    group_begin();
#pragma unroll
    for (int pass = PASSES - 1; pass >= 0; pass--)
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++)
            multiply_group<T, 1>(acc, w[pass][k], matrix_at(values + k * 2048), 1);
    group_end();
}

/* A lane's two rows, g and g + 8 of its warp. Scores count in powers of two. */
struct lane_rows {
    em_keys seen[2];
    int64_t mask[2];
    float unit[2], top[2], sum[2];
};

static __device__ __noinline__ float bend(const em_attend &a, int64_t at, float score)
{
    const float x = em_attend_bend(a, at, score * 0.6931471805599453f), y = x * 1.4426950408889634f;
    return x != -INFINITY && y == -INFINITY ? -3.4e38f : y;
}

/* Scores that some rows may not see, or that a mask bends. */
template <bool BENT>
__device__ __forceinline__ void hide(const em_attend &a, float (&s)[KEYS / 8][4], const lane_rows &rows, int from)
{
    const bool bent = BENT && (a.mask || a.softcap != 0);
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + 8 * j + threadIdx.x % 4 * 2 + i % 2;
            const bool is = key >= rows.seen[i / 2].first && key < rows.seen[i / 2].end;
            if (bent && is)
                s[j][i] = bend(a, rows.mask[i / 2] + key * a.mask_strides[3], s[j][i]);
            s[j][i] = is ? s[j][i] : -INFINITY;
        }
}

__device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Scores to weights; what the rows have so far shrinks to the new top. */
template <int WIDTH>
__device__ __forceinline__ void soften(float (&s)[KEYS / 8][4], lane_rows *rows, float (&acc)[WIDTH / 8][4])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float high = rows->top[half], sum = 0;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
            high = fmaxf(high, fmaxf(s[j][2 * half], s[j][2 * half + 1]));
#pragma unroll
        for (int o = 2; o; o /= 2)
            high = fmaxf(high, __shfl_xor_sync(~0u, high, o));
        const float base = em_finite_top(high), shrink = power_of_two(rows->top[half] - base);
        rows->top[half] = high;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 2 * half; i < 2 * half + 2; i++)
                sum += s[j][i] = power_of_two(s[j][i] - base);
        rows->sum[half] = rows->sum[half] * shrink + sum;
#pragma unroll
        for (int j = 0; j < WIDTH / 8; j++) {
            acc[j][2 * half] *= shrink;
            acc[j][2 * half + 1] *= shrink;
        }
    }
}

template <int WIDTH>
__device__ __forceinline__ void write_rows(const em_attend &a, int b, int h, int first, const lane_rows &rows,
                                           const float (&acc)[WIDTH / 8][4])
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
        const int64_t at = (((int64_t)b * a.heads + h) * a.queries + row) * a.value_size;
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

__device__ __forceinline__ void begin_rows(const em_attend &a, int b, int h, int first, int length,
                                           const float (&unit)[2], lane_rows *rows)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + threadIdx.x % 32 / 4 + 8 * half;
        rows->top[half] = -INFINITY;
        rows->sum[half] = 0;
        rows->seen[half] = em_attend_seen(a, length, row);
        rows->seen[half].end = row < a.queries ? rows->seen[half].end : 0;
        rows->unit[half] = unit[half] * a.scale * 1.4426950408889634f;
        rows->mask[half] = b * a.mask_strides[0] + h * a.mask_strides[1] + row * a.mask_strides[2];
    }
}

/* The block's tile of queries. Long ones first; where all blocks run at once, two a processor, long and short meet. */
__device__ __forceinline__ int query_tile(const em_attend &a, bool meet)
{
    const int tiles = gridDim.y, order = blockIdx.y;
    if (!a.causal)
        return order;
    const int half = tiles / 2;
    return !meet || order < half ? tiles - 1 - order : order - half;
}

template <typename T, int WIDTH, int PASSES, bool GROUP>
__global__ void __launch_bounds__(THREADS, PASSES == 1 ? 3 : 2)
    flash_kernel(const __grid_constant__ em_attend a, bool meet)
{
    constexpr unsigned TILE = KEYS * WIDTH * 2;
    extern __shared__ uint4 shared[];
    const unsigned base = ((unsigned)__cvta_generic_to_shared(shared) + 1023) & ~1023u;
    const int h = blockIdx.x, b = blockIdx.z, kv = h / (a.heads / a.kv_heads);
    em_grid_next();
    em_grid_wait();
    const int length = em_attend_length(a, b), tile = query_tile(a, meet) * ROWS;
    const int first = tile + threadIdx.x / 32 * 16; /* this warp's first query */
    const em_keys low = em_attend_seen(a, length, tile);
    const em_keys high = em_attend_seen(a, length, min(tile + ROWS, a.queries) - 1);
    const T *keys = (const T *)a.k.data + b * a.k.batch + kv * a.k.head;
    const T *values = (const T *)a.v.data + b * a.v.batch + kv * a.v.head;
    auto fetch_tile = [&](int from, int turn) {
        const unsigned to = base + turn * 2 * TILE;
        fetch<T, WIDTH, GROUP>(to, keys + from * a.k.token, a.k.token, high.end - from, a.size);
        fetch<T, WIDTH, GROUP>(to + TILE, values + from * a.v.token, a.v.token, high.end - from, a.value_size);
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    if (low.first < high.end)
        fetch_tile(low.first, 0);
    warp_queries<T, WIDTH, PASSES> q;
    load_queries(a, b, h, first, &q);
    lane_rows rows;
    begin_rows(a, b, h, first, length, q.unit, &rows);
    float acc[WIDTH / 8][4] = {};
    const bool bent = !GROUP && (a.mask || a.softcap != 0);
    int turn = 0;
    for (int from = low.first; from < high.end; from += KEYS, turn ^= 1) {
        asm volatile("cp.async.wait_group 0;" ::: "memory");
#if EM_FLASH_GROUPS
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
        __syncthreads();
        if (from + KEYS < high.end)
            fetch_tile(from + KEYS, turn ^ 1);
        float s[KEYS / 8][4];
        if (GROUP)
            score_group<T, WIDTH, PASSES>(s, q, base + turn * 2 * TILE);
        else
            score_tile<T, WIDTH, PASSES>(s, q, base + turn * 2 * TILE);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                s[j][i] *= rows.unit[i / 2];
        const bool whole = from >= rows.seen[0].first && from >= rows.seen[1].first &&
                           from + KEYS <= rows.seen[0].end && from + KEYS <= rows.seen[1].end;
        if (bent || !__all_sync(~0u, whole))
            hide<!GROUP>(a, s, rows, from);
        soften<WIDTH>(s, &rows, acc);
        if (GROUP)
            value_group<T, WIDTH, PASSES>(acc, s, base + turn * 2 * TILE + TILE);
        else
            value_tile<T, WIDTH, PASSES>(acc, s, base + turn * 2 * TILE + TILE);
    }
    write_rows<WIDTH>(a, b, h, first, rows, acc);
}

template <typename T, int WIDTH, int PASSES, bool GROUP> em_status launch(em__cuda *cuda, const em_attend &a)
{
    const size_t shared = (size_t)4 * KEYS * WIDTH * 2 + 1024;
    auto kernel = flash_kernel<T, WIDTH, PASSES, GROUP>;
    EM__TRY(em__cuda_check(cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
                           "sdpa"));
    const dim3 grid((unsigned)a.heads, em_blocks(a.queries, ROWS), (unsigned)a.batch);
    const int64_t blocks = (int64_t)grid.x * grid.y * grid.z;
    const bool meet = grid.y % 2 == 0 && blocks > cuda->sms && blocks <= 2 * cuda->sms;
    return em_launch(cuda, "sdpa", kernel, grid, THREADS, shared, a, meet);
}

template <typename T> em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    const em_attend a = em_attend_of(call);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    if (!a.k.wide || !a.v.wide)
        return em_attend_rows(device, call);
    const bool once = a.dtype != EM_F32 || (call->half_products && a.cache == EM_BF16);
    const bool narrow = a.size <= 64 && a.value_size <= 64;
    const bool group = cuda->major == 9 && a.causal && !a.mask && a.softcap == 0;
    if (narrow)
        return once ? launch<T, 64, 1, false>(cuda, a) : launch<T, 64, 2, false>(cuda, a);
    if (group)
        return once ? launch<T, 128, 1, true>(cuda, a) : launch<T, 128, 2, true>(cuda, a);
    return once ? launch<T, 128, 1, false>(cuda, a) : launch<T, 128, 2, false>(cuda, a);
}

} // namespace

bool em_attend_prepare_flash(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    const em__spec *q = &call->in[0].spec, *k = &call->in[1].spec;
    const int64_t value_size = call->out.spec.dims[3];
    (void)cuda;
    if (q->dims[0] > UINT16_MAX || q->dims[2] > UINT16_MAX * (int64_t)ROWS || q->dims[3] > 128 || value_size > 128 ||
        q->dims[3] % 8 || value_size % 8)
        return false;
    plan->kernel = k->dtype == EM_BF16 ? run<__nv_bfloat16> : run<__half>;
    return k->dtype == EM_BF16 || k->dtype == EM_F16;
}
