/*
 * Attention of many queries in f32: a block holds a tile of queries of one head and walks the keys in tiles of 32, all
 * in shared memory as f32, with a running maximum and sum a row. Whole sequences side by side (SDPA_SEGMENTS) and dense
 * batches are the same walk; only where a tile's rows and keys lie differs.
 *
 * A warp owns 4 * PER rows: lane = 8 * row group + column; a lane has PER rows (group + 4 i) and, of scores, keys
 * column + 8 j; of results, four dims in every 32. Rows in shared memory are padded by 16 bytes, so that neighbours lie
 * in other banks.
 */
#ifndef EM_DEVICE_CUDA_ATTENTION_ROWS_CUH
#define EM_DEVICE_CUDA_ATTENTION_ROWS_CUH

#include "device/cuda/attention.cuh"

namespace em_rows
{

enum { THREADS = 128, KEYS = 32 };

/* Where packed sequences are: SDPA_SEGMENTS. */
struct segments {
    const int32_t *offsets; /* NULL: dense */
    int64_t stride;
    int count;   /* of segments */
    int longest; /* tokens that the bias allows; the bias is the mask */
};

/* A block's part: queries [query, query + rows) of a sequence of `keys` keys, whose tokens begin at `token`. */
struct part {
    int b, h, kv, query, rows, keys, token;
};

/* Offset i held inside [0, tokens]; *to not below *from. */
__device__ __forceinline__ void segment_range(const em_attend &a, const segments &s, int i, int *from, int *to)
{
    *from = min(max(s.offsets[i * s.stride], 0), a.queries);
    *to = min(max(s.offsets[(i + 1) * s.stride], *from), a.queries);
}

/* Tile t of all, of TILE queries: segment i owns tiles from `offset / TILE + i` on, which never are too few. False
 * when the tile is empty. Every thread of the block calls it. */
template <int TILE> __device__ __forceinline__ bool find_segment(const em_attend &a, const segments &s, int t, part *p)
{
    int before = 0, from, to;
    for (int base = 0; base < s.count; base += THREADS) {
        const int i = base + threadIdx.x;
        bool starts = false;
        if (i < s.count) {
            segment_range(a, s, i, &from, &to);
            starts = from / TILE + i <= t;
        }
        before += __syncthreads_count(starts);
    }
    if (before == 0)
        return false;
    segment_range(a, s, before - 1, &from, &to);
    p->token = from;
    p->keys = to - from;
    p->query = (t - (from / TILE + before - 1)) * TILE;
    p->rows = min(TILE, p->keys - p->query);
    return p->rows > 0;
}

/* Tokens of no segment are zero: those of tile t, of head h. */
template <int TILE> __device__ __forceinline__ void clear_outside(const em_attend &a, const segments &s, int t, int h)
{
    const int first = s.count > 0 ? min(max(s.offsets[0], 0), a.queries) : a.queries;
    const int last = s.count > 0 ? min(max(s.offsets[s.count * s.stride], first), a.queries) : a.queries;
    const int from = t * TILE, end = min(from + TILE, a.queries);
    if (from >= first && end <= last)
        return;
#pragma unroll 1
    for (int token = from; token < end; token++)
        for (int d = threadIdx.x; d < a.value_size && (token < first || token >= last); d += THREADS)
            em_store_as(a.dtype, a.out, ((int64_t)token * a.heads + h) * a.value_size + d, 0);
}

/* The block's part of a dense call; the longest rows of a causal one first. */
template <int TILE> __device__ __forceinline__ em_keys find_rows(const em_attend &a, part *p)
{
    p->query = (gridDim.x - 1 - blockIdx.x) * TILE;
    p->rows = min(TILE, a.queries - p->query);
    p->keys = em_attend_length(a, p->b);
    p->token = 0;
    return {em_attend_seen(a, p->keys, p->query).first, em_attend_seen(a, p->keys, p->query + p->rows - 1).end};
}

/* Rows on their way to shared memory: 8 elements a piece, EACH pieces a thread. */
template <typename T, int SIZE, int TILE> struct pieces {
    static constexpr int ROW = SIZE / 8, EACH = (TILE * ROW + THREADS - 1) / THREADS;
    em_eight<T> x[EACH];
};

/* Those of rows 0 .. rows - 1; the others are zero. Nothing where rows are not wide: `store` reads them itself. */
template <typename T, int SIZE, int TILE>
__device__ __forceinline__ void fetch(pieces<T, SIZE, TILE> *p, const T *from, const em_attend_operand &o, int rows,
                                      int size)
{
    typedef pieces<T, SIZE, TILE> all;
#pragma unroll
    for (int i = 0; i < all::EACH; i++) {
        const int at = threadIdx.x + i * THREADS, row = at / all::ROW, d = at % all::ROW * 8;
        p->x[i] = em_fetch_eight(from + row * o.token + d, o.wide && row < rows && d < size);
    }
}

template <typename T, int SIZE, int TILE>
__device__ __forceinline__ void store(float *to, const pieces<T, SIZE, TILE> &p, const T *from,
                                      const em_attend_operand &o, int rows, int size, const float *scales)
{
    typedef pieces<T, SIZE, TILE> all;
    if (!o.wide) {
#pragma unroll 1
        for (int at = threadIdx.x; at < TILE * SIZE; at += THREADS) {
            const int row = at / SIZE, d = at % SIZE;
            const float x = row < rows && d < size ? em_as_float(from[row * o.token + d]) : 0;
            to[row * (SIZE + 4) + d] = scales && row < rows ? x * scales[row] : x;
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < all::EACH; i++) {
        const int at = threadIdx.x + i * THREADS, row = at / all::ROW, d = at % all::ROW * 8;
        const float scale = scales && row < rows ? scales[row] : 1;
        if (TILE * all::ROW % THREADS != 0 && row >= TILE)
            continue;
#pragma unroll
        for (int k = 0; k < 8; k += 4)
            *(float4 *)(to + row * (SIZE + 4) + d + k) =
                make_float4(em_as_float(p.x[i].x[k]) * scale, em_as_float(p.x[i].x[k + 1]) * scale,
                            em_as_float(p.x[i].x[k + 2]) * scale, em_as_float(p.x[i].x[k + 3]) * scale);
    }
}

template <int SIZE, int TILE>
__device__ __forceinline__ void stage_queries(float *to, const em_attend &a, const part &p)
{
    const int64_t at = p.b * a.q.batch + p.h * a.q.head + (int64_t)(p.token + p.query) * a.q.token;
    em_by_dtype(a.dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T *from = (const T *)a.q.data + at;
        pieces<T, SIZE, TILE> x;
        fetch(&x, from, a.q, p.rows, a.size);
        store(to, x, from, a.q, p.rows, a.size, NULL);
    });
}

__device__ __forceinline__ float4 four(const float *p)
{
    return *(const float4 *)p;
}

__device__ __forceinline__ float dot_onto(float sum, float4 x, float4 y)
{
    sum = fmaf(x.x, y.x, sum);
    sum = fmaf(x.y, y.y, sum);
    sum = fmaf(x.z, y.z, sum);
    return fmaf(x.w, y.w, sum);
}

__device__ __forceinline__ void add_times(float4 *sum, float w, float4 x)
{
    sum->x = fmaf(w, x.x, sum->x);
    sum->y = fmaf(w, x.y, sum->y);
    sum->z = fmaf(w, x.z, sum->z);
    sum->w = fmaf(w, x.w, sum->w);
}

template <int SIZE, int PER> __host__ __device__ constexpr int shared_floats()
{
    return (16 * PER + 2 * KEYS) * (SIZE + 4) + 16 * PER * (KEYS + 4);
}

/* What a lane has of its rows. */
template <int SIZE, int PER> struct lane_rows {
    float top[PER], sum[PER];
    float4 acc[PER][SIZE / 32];
};

/* How this block's products become scores. */
struct scoring {
    int64_t mask; /* where the mask of this lane's first row begins */
    float scale;
    bool bent;
};

__device__ __forceinline__ int first_row(int per)
{
    return threadIdx.x / 32 * 4 * per + threadIdx.x % 32 / 8;
}

/* Products of this lane's rows with its keys of a tile. */
template <int SIZE, int PER>
__device__ __forceinline__ void multiply(float (&x)[PER][4], const float *qs, const float *ks)
{
    constexpr int WIDE = SIZE + 4;
    const int own = first_row(PER), column = threadIdx.x % 8;
#pragma unroll 4
    for (int d = 0; d < SIZE; d += 4) {
        float4 k4[4];
#pragma unroll
        for (int j = 0; j < 4; j++)
            k4[j] = four(ks + (column + 8 * j) * WIDE + d);
#pragma unroll
        for (int i = 0; i < PER; i++) {
            const float4 q4 = four(qs + (own + 4 * i) * WIDE + d);
#pragma unroll
            for (int j = 0; j < 4; j++)
                x[i][j] = dot_onto(x[i][j], q4, k4[j]);
        }
    }
}

/* Products to weights, in shared memory; what the rows have so far shrinks to the new top. */
template <int SIZE, int PER>
__device__ __forceinline__ void weigh(const em_attend &a, const scoring &how, const em_keys (&seen)[PER], int from,
                                      float (&x)[PER][4], lane_rows<SIZE, PER> *lane, float *ps)
{
    const int own = first_row(PER), column = threadIdx.x % 8;
#pragma unroll
    for (int i = 0; i < PER; i++) {
        float high = lane->top[i];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int key = from + column + 8 * j;
            const bool is_seen = key >= seen[i].first && key < seen[i].end;
            x[i][j] *= how.scale;
            if (how.bent && is_seen)
                x[i][j] = em_attend_bend(a, how.mask + 4 * i * a.mask_strides[2] + key * a.mask_strides[3], x[i][j]);
            x[i][j] = is_seen ? x[i][j] : -INFINITY;
            high = fmaxf(high, x[i][j]);
        }
#pragma unroll
        for (int o = 4; o; o /= 2)
            high = fmaxf(high, __shfl_xor_sync(~0u, high, o));
        const float base = em_finite_top(high), shrink = em_exp_fast(lane->top[i] - base);
        lane->top[i] = high;
        lane->sum[i] *= shrink;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float w = em_exp_fast(x[i][j] - base);
            lane->sum[i] += w;
            ps[(own + 4 * i) * (KEYS + 4) + column + 8 * j] = w;
        }
#pragma unroll
        for (int c = 0; c < SIZE / 32; c++) {
            lane->acc[i][c].x *= shrink;
            lane->acc[i][c].y *= shrink;
            lane->acc[i][c].z *= shrink;
            lane->acc[i][c].w *= shrink;
        }
    }
}

template <int SIZE, int PER>
__device__ __forceinline__ void add_values(float4 (&acc)[PER][SIZE / 32], const float *ps, const float *vs)
{
    constexpr int WIDE = SIZE + 4;
    const int own = first_row(PER), column = threadIdx.x % 8;
#pragma unroll 2
    for (int j = 0; j < KEYS; j += 4) {
        float4 w[PER];
#pragma unroll
        for (int i = 0; i < PER; i++)
            w[i] = four(ps + (own + 4 * i) * (KEYS + 4) + j);
#pragma unroll
        for (int c = 0; c < SIZE / 32; c++) {
            const float *v = vs + j * WIDE + c * 32 + column * 4;
            const float4 v0 = four(v), v1 = four(v + WIDE), v2 = four(v + 2 * WIDE), v3 = four(v + 3 * WIDE);
#pragma unroll
            for (int i = 0; i < PER; i++) {
                add_times(&acc[i][c], w[i].x, v0);
                add_times(&acc[i][c], w[i].y, v1);
                add_times(&acc[i][c], w[i].z, v2);
                add_times(&acc[i][c], w[i].w, v3);
            }
        }
    }
}

template <int SIZE, int PER>
__device__ __forceinline__ void write_rows(const em_attend &a, const part &p, bool packed,
                                           const lane_rows<SIZE, PER> &lane)
{
    const int own = first_row(PER), column = threadIdx.x % 8;
#pragma unroll
    for (int i = 0; i < PER; i++) {
        float total = lane.sum[i], shrink = 1;
#pragma unroll
        for (int o = 4; o; o /= 2)
            total += __shfl_xor_sync(~0u, total, o);
        if (own + 4 * i >= p.rows)
            continue;
        if (a.sinks) {
            const float sink = a.sinks[p.h], high = em_finite_top(fmaxf(lane.top[i], sink));
            shrink = total != 0 ? em_exp_fast(em_finite_top(lane.top[i]) - high) : 0;
            total = total * shrink + em_exp_fast(sink - high);
        }
        const int query = p.query + own + 4 * i;
        const int64_t row =
            packed ? (int64_t)(p.token + query) * a.heads + p.h : ((int64_t)p.b * a.heads + p.h) * a.queries + query;
        const float factor = total == 0 ? 0 : shrink / total;
#pragma unroll
        for (int c = 0; c < SIZE / 32; c++) {
            const int d = c * 32 + column * 4;
            const float4 y = lane.acc[i][c];
            em_write_four(a.out, a.dtype, row * a.value_size + d, a.value_size - d, a.value_size % 4 == 0,
                          make_float4(y.x * factor, y.y * factor, y.z * factor, y.w * factor));
        }
    }
}

/* Keys [from, end) of the part's, a tile at a time; the next is fetched while one is worked on. */
template <typename T, int SIZE, int PER>
__device__ __forceinline__ void walk_keys(const em_attend &a, const part &p, const em_keys &all, const scoring &how,
                                          const em_keys (&seen)[PER], float *qs, lane_rows<SIZE, PER> *lane)
{
    constexpr int TILE = 16 * PER, WIDE = SIZE + 4;
    float *ks = qs + TILE * WIDE, *vs = ks + KEYS * WIDE, *ps = vs + KEYS * WIDE;
    const T *keys = (const T *)a.k.data + p.b * a.k.batch + p.kv * a.k.head + p.token * a.k.token;
    const T *values = (const T *)a.v.data + p.b * a.v.batch + p.kv * a.v.head + p.token * a.v.token;
    const int64_t scales = ((int64_t)p.b * a.kv_heads + p.kv) * a.keys;
    pieces<T, SIZE, KEYS> k, v;
    fetch(&k, keys + all.first * a.k.token, a.k, all.end - all.first, a.size);
    fetch(&v, values + all.first * a.v.token, a.v, all.end - all.first, a.value_size);
    stage_queries<SIZE, TILE>(qs, a, p);
    for (int from = all.first; from < all.end; from += KEYS) {
        const int next = from + KEYS;
        __syncthreads();
        store(ks, k, keys + from * a.k.token, a.k, all.end - from, a.size,
              a.k_scales ? a.k_scales + scales + from : NULL);
        store(vs, v, values + from * a.v.token, a.v, all.end - from, a.value_size,
              a.v_scales ? a.v_scales + scales + from : NULL);
        __syncthreads();
        if (next < all.end) {
            fetch(&k, keys + next * a.k.token, a.k, all.end - next, a.size);
            fetch(&v, values + next * a.v.token, a.v, all.end - next, a.value_size);
        }
        float x[PER][4] = {};
        multiply<SIZE, PER>(x, qs, ks);
        weigh<SIZE, PER>(a, how, seen, from, x, lane, ps);
        __syncwarp();
        add_values<SIZE, PER>(lane->acc, ps, vs);
    }
}

/* Blocks: dense, [tiles, heads, batch]; segments, [tiles, heads]. */
template <typename T, int SIZE, int PER>
__global__ void __launch_bounds__(THREADS)
    rows_kernel(const __grid_constant__ em_attend a, const __grid_constant__ segments s)
{
    constexpr int TILE = 16 * PER;
    extern __shared__ float4 shared[];
    em_grid_next();
    em_grid_wait();
    part p = {(int)blockIdx.z, (int)blockIdx.y, (int)blockIdx.y / (a.heads / a.kv_heads)};
    em_keys all;
    if (s.offsets) {
        clear_outside<TILE>(a, s, blockIdx.x, p.h);
        if (!find_segment<TILE>(a, s, blockIdx.x, &p))
            return;
        all = {em_attend_seen_at(a, p.keys, p.query).first, em_attend_seen_at(a, p.keys, p.query + p.rows - 1).end};
    } else {
        all = find_rows<TILE>(a, &p);
    }
    const bool outside = s.offsets && a.mask && p.keys > s.longest; /* no bias for such a segment: all is NaN */
    scoring how = {0, outside ? __int_as_float(0x7fffffff) : a.scale, (a.mask || a.softcap != 0) && !outside};
    how.mask = p.b * a.mask_strides[0] + p.h * a.mask_strides[1] + (p.query + first_row(PER)) * a.mask_strides[2];
    em_keys seen[PER];
    lane_rows<SIZE, PER> lane = {};
#pragma unroll
    for (int i = 0; i < PER; i++) {
        const int row = first_row(PER) + 4 * i;
        lane.top[i] = -INFINITY;
        seen[i] = s.offsets ? em_attend_seen_at(a, p.keys, p.query + row) : em_attend_seen(a, p.keys, p.query + row);
        if (row >= p.rows)
            seen[i].end = 0;
    }
    walk_keys<T>(a, p, all, how, seen, (float *)shared, &lane);
    write_rows(a, p, s.offsets != NULL, lane);
}

template <typename T, int SIZE, int PER> em_status launch(em__cuda *cuda, const em_attend &a, const segments &s)
{
    constexpr int TILE = 16 * PER;
    const size_t shared = sizeof(float) * shared_floats<SIZE, PER>();
    auto kernel = rows_kernel<T, SIZE, PER>;
    EM__TRY(em__cuda_check(cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
                           "sdpa"));
    const unsigned tiles = s.offsets ? (unsigned)((a.queries + TILE - 1) / TILE + s.count) : em_blocks(a.queries, TILE);
    return em_launch(cuda, "sdpa", kernel, dim3(tiles, (unsigned)a.heads, (unsigned)a.batch), THREADS, shared, a, s);
}

} // namespace em_rows

/* Heads of 32, or 64 of halves, that see all of their segment, without a bias (attention_short.cu). */
bool em_attend_short_takes(const em_attend &a);
em_status em_attend_short(em__cuda *cuda, const em_attend &a, const em_rows::segments &s);

#endif
