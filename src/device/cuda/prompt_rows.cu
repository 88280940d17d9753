/* Rows between the products of a prompt: see prompt_rows.cuh. */
#include "device/cuda/prompt_rows.cuh"

#include "device/cuda/op_math.cuh"
#include "device/cuda/rows.cuh"

namespace
{

enum { FOUR = 4, MOST_THREADS = 1024, PIECES = EM_PROMPT_MOST / FOUR / MOST_THREADS, WARP = 32 };

struct alignas(8) halves {
    __nv_bfloat162 low, high;
};

__device__ __forceinline__ void write_four(__nv_bfloat16 *to, float4 x)
{
    *(halves *)to = {__floats2bfloat162_rn(x.x, x.y), __floats2bfloat162_rn(x.z, x.w)};
}

/* The sum over the block, in every thread. */
__device__ __forceinline__ float over_block(float sum)
{
    __shared__ float sums[WARP];
    sum = em_lanes_sum(sum, WARP);
    if (threadIdx.x % WARP == 0)
        sums[threadIdx.x / WARP] = sum;
    __syncthreads();
    return em_lanes_sum(threadIdx.x % WARP < blockDim.x / WARP ? sums[threadIdx.x % WARP] : 0, WARP);
}

/* In double, as ROPE has them. */
__device__ __forceinline__ float2 turn_of(double position, double step, float period)
{
    double c, s;
    sincos(position * step / (double)period, &s, &c);
    return make_float2((float)c, (float)s);
}

/* A block a row, which works out the row's turns while x comes. */
template <bool TURNS>
__global__ void __launch_bounds__(MOST_THREADS)
    norm_kernel(const float *x, const float *gain, float eps, int n, __nv_bfloat16 *out, const em_prompt_turns turns)
{
    const int step = (int)blockDim.x * FOUR, first = (int)threadIdx.x * FOUR;
    float4 v[PIECES];
    float sum = 0;
    em_grid_next();
    em_grid_wait();
    x += (int64_t)blockIdx.x * n;
    out += (int64_t)blockIdx.x * n;
#pragma unroll
    for (int i = 0; i < PIECES; i++)
        v[i] = first + i * step < n ? *(const float4 *)(x + first + i * step) : make_float4(0, 0, 0, 0);
    for (int i = (int)threadIdx.x; TURNS && i < turns.pairs; i += (int)blockDim.x)
        turns.out[(int64_t)blockIdx.x * turns.pairs + i] =
            turn_of((double)blockIdx.x + (double)*turns.at, turns.step, turns.periods[i]);
#pragma unroll
    for (int i = 0; i < PIECES; i++)
        sum += v[i].x * v[i].x + v[i].y * v[i].y + v[i].z * v[i].z + v[i].w * v[i].w;
    const float scale = 1 / sqrtf(over_block(sum) / (float)n + eps);
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        const int at = first + i * step;
        if (at >= n)
            return;
        const float4 by = gain ? *(const float4 *)(gain + at) : make_float4(1, 1, 1, 1);
        write_four(out + at, make_float4(v[i].x * scale * by.x, v[i].y * scale * by.y, v[i].z * scale * by.z,
                                         v[i].w * scale * by.w));
    }
}

template <int OP> __device__ __forceinline__ float gated(float gate, float up)
{
    return OP == EM__OP_SILU ? em_silu(gate) * up : OP == EM__OP_GELU ? em_gelu(gate) * up : em_gelu_tanh(gate) * up;
}

/* A block a row, which it has read before it writes. */
template <int OP> __global__ void __launch_bounds__(MOST_THREADS) gate_kernel(float *gate, const float *up, int n)
{
    const int step = (int)blockDim.x * FOUR, first = (int)threadIdx.x * FOUR;
    float4 v[PIECES], w[PIECES];
    em_grid_next();
    em_grid_wait();
    gate += (int64_t)blockIdx.x * n;
    up += (int64_t)blockIdx.x * n;
#pragma unroll
    for (int i = 0; i < PIECES; i++)
        if (first + i * step < n) {
            v[i] = *(const float4 *)(gate + first + i * step);
            w[i] = *(const float4 *)(up + first + i * step);
        }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < PIECES; i++)
        if (first + i * step < n)
            write_four((__nv_bfloat16 *)gate + first + i * step,
                       make_float4(gated<OP>(v[i].x, w[i].x), gated<OP>(v[i].y, w[i].y), gated<OP>(v[i].z, w[i].z),
                                   gated<OP>(v[i].w, w[i].w)));
}

enum { MOST_HALF = EM_PROMPT_HEAD / 2, AT_ONCE = 4, HEAD_WARPS = 16 };

/* A row's pairs of a lane: elements p, p + 1 of each half of the row, then those 64 further on. */
template <int PAIRS> struct row_pairs {
    float2 a[PAIRS], b[PAIRS];
};

template <int PAIRS> __device__ __forceinline__ void read_pairs(row_pairs<PAIRS> &v, const float *row, int half)
{
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const int p = 2 * ((int)threadIdx.x % WARP + i * WARP);
        v.a[i] = p < half ? *(const float2 *)(row + p) : make_float2(0, 0);
        v.b[i] = p < half ? *(const float2 *)(row + half + p) : make_float2(0, 0);
    }
}

template <int PAIRS>
__device__ __forceinline__ void norm_pairs(row_pairs<PAIRS> &v, const row_pairs<PAIRS> &by, float eps, int half)
{
    float sum = 0;
#pragma unroll
    for (int i = 0; i < PAIRS; i++)
        sum += v.a[i].x * v.a[i].x + v.a[i].y * v.a[i].y + v.b[i].x * v.b[i].x + v.b[i].y * v.b[i].y;
    const float scale = 1 / sqrtf(em_lanes_sum(sum, WARP) / (float)(2 * half) + eps);
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        v.a[i] = make_float2(v.a[i].x * scale * by.a[i].x, v.a[i].y * scale * by.a[i].y);
        v.b[i] = make_float2(v.b[i].x * scale * by.b[i].x, v.b[i].y * scale * by.b[i].y);
    }
}

template <int PAIRS>
__device__ __forceinline__ void turn_pairs(row_pairs<PAIRS> &v, const float *cosine, const float *sine, int half)
{
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const int p = 2 * ((int)threadIdx.x % WARP + i * WARP);
        if (p >= half)
            continue;
        const float2 c = *(const float2 *)(cosine + p), s = *(const float2 *)(sine + p), a = v.a[i], b = v.b[i];
        v.a[i] = make_float2(a.x * c.x - b.x * s.x, a.y * c.y - b.y * s.y);
        v.b[i] = make_float2(b.x * c.x + a.x * s.x, b.y * c.y + a.y * s.y);
    }
}

template <int PAIRS>
__device__ __forceinline__ void write_pairs(__nv_bfloat16 *row, const row_pairs<PAIRS> &v, int half)
{
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const int p = 2 * ((int)threadIdx.x % WARP + i * WARP);
        if (p >= half)
            continue;
        *(__nv_bfloat162 *)(row + p) = __floats2bfloat162_rn(v.a[i].x, v.a[i].y);
        *(__nv_bfloat162 *)(row + half + p) = __floats2bfloat162_rn(v.b[i].x, v.b[i].y);
    }
}

__device__ __forceinline__ int64_t clamped(const int32_t *slot, int most)
{
    return max(0, min(*slot, most));
}

/* Row `row` of the token's: first those of the queries, then of keys, then of values. */
struct token_row {
    int head;
    bool query, key;
};

__device__ __forceinline__ token_row row_of(const em_prompt_heads &a, int row)
{
    const bool query = row < a.heads, key = !query && row < a.heads + a.kv_heads;
    return {query ? row : key ? row - a.heads : row - a.heads - a.kv_heads, query, key};
}

__device__ __forceinline__ float *from_of(const em_prompt_heads &a, const token_row &r, int64_t token)
{
    float *from = r.query ? a.q : (float *)(r.key ? a.k : a.v);
    return from + (token * (r.query ? a.heads : a.kv_heads) + r.head) * a.size;
}

/* What all rows of a token share, asked for before anything waits. */
template <int PAIRS> struct token_share {
    row_pairs<PAIRS> q_gain, k_gain;
    int64_t k_place, v_place;
};

template <int PAIRS>
__device__ __forceinline__ void read_share(token_share<PAIRS> &s, const em_prompt_heads &a, int64_t token)
{
    if (a.q_gain)
        read_pairs(s.q_gain, a.q_gain, a.size / 2);
    if (a.k_gain)
        read_pairs(s.k_gain, a.k_gain, a.size / 2);
    s.k_place = token + clamped(a.k_slot, a.capacity - a.tokens);
    s.v_place = token + clamped(a.v_slot, a.capacity - a.tokens);
}

template <int PAIRS>
__device__ __forceinline__ void finish_row(const em_prompt_heads &a, const token_row &r, int64_t token,
                                           const token_share<PAIRS> &s, row_pairs<PAIRS> &v, const float *cosine,
                                           const float *sine)
{
    const int half = a.size / 2;
    if (r.query && a.q_gain)
        norm_pairs(v, s.q_gain, a.q_eps, half);
    if (r.key && a.k_gain)
        norm_pairs(v, s.k_gain, a.k_eps, half);
    if ((r.query || r.key) && a.periods)
        turn_pairs(v, cosine, sine, half);
    __nv_bfloat16 *to = r.query ? (__nv_bfloat16 *)from_of(a, r, token)
                        : r.key ? a.keys + ((int64_t)r.head * a.capacity + s.k_place) * a.size
                                : a.values + ((int64_t)r.head * a.capacity + s.v_place) * a.size;
    write_pairs(to, v, half);
}

/* cos and sin of the token's angles. */
__device__ __forceinline__ void find_angles(const em_prompt_heads &a, int64_t token, float *cosine, float *sine)
{
    for (int i = (int)threadIdx.x; a.periods && i < a.size / 2; i += (int)blockDim.x) {
        const float2 turn = turn_of((double)token + (double)*a.at, a.step, a.periods[i]);
        cosine[i] = turn.x;
        sine[i] = turn.y;
    }
    __syncthreads();
}

/* A block a token, a warp some rows at a time, which it asks for before it works out the token's angles. */
template <int PAIRS>
__global__ void __launch_bounds__(HEAD_WARPS *WARP) place_kernel(const __grid_constant__ em_prompt_heads a)
{
    __shared__ alignas(16) float cosine[MOST_HALF], sine[MOST_HALF];
    const int64_t token = blockIdx.x;
    const int rows = a.heads + 2 * a.kv_heads, warp = (int)threadIdx.x / WARP, warps = (int)blockDim.x / WARP;
    row_pairs<PAIRS> v[AT_ONCE];
    token_share<PAIRS> share;
    em_grid_next();
    em_grid_wait();
    for (int round = 0; round < rows; round += warps * AT_ONCE) {
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            read_pairs(v[i], from_of(a, row_of(a, min(round + warp + i * warps, rows - 1)), token), a.size / 2);
        if (round == 0) {
            read_share(share, a, token);
            find_angles(a, token, cosine, sine);
        }
        __syncthreads(); /* a query's row is written over itself */
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            if (round + warp + i * warps < rows)
                finish_row(a, row_of(a, round + warp + i * warps), token, share, v[i], cosine, sine);
    }
}

/* Threads, a multiple of a warp, that have a row in few pieces of four. */
unsigned threads_of(int64_t n)
{
    const int64_t each = n <= 4096 ? 2 : 3, threads = (n + FOUR * each * WARP - 1) / (FOUR * each * WARP) * WARP;
    return threads < MOST_THREADS ? (unsigned)threads : (unsigned)MOST_THREADS;
}

} // namespace

em_status em_prompt_norm(em__cuda *cuda, const float *x, const float *gain, float eps, int64_t rows, int64_t n,
                         __nv_bfloat16 *out, const em_prompt_turns *turns)
{
    auto kernel = turns->periods ? norm_kernel<true> : norm_kernel<false>;
    return em_launch(cuda, "norm of a prompt", kernel, (unsigned)rows, threads_of(n), 0, x, gain, eps, (int)n, out,
                     *turns);
}

em_status em_prompt_gate(em__cuda *cuda, em__op activation, float *gate, const float *up, int64_t rows, int64_t n)
{
    auto kernel = activation == EM__OP_SILU   ? gate_kernel<EM__OP_SILU>
                  : activation == EM__OP_GELU ? gate_kernel<EM__OP_GELU>
                                              : gate_kernel<EM__OP_GELU_TANH>;
    return em_launch(cuda, "gates of a prompt", kernel, (unsigned)rows, threads_of(n), 0, gate, up, (int)n);
}

em_status em_prompt_place(em__cuda *cuda, const em_prompt_heads *job)
{
    const int rows = job->heads + 2 * job->kv_heads, warps = (rows + AT_ONCE - 1) / AT_ONCE;
    auto kernel = job->size <= 4 * WARP ? place_kernel<1> : place_kernel<2>;
    return em_launch(cuda, "heads of a prompt", kernel, (unsigned)job->tokens,
                     (unsigned)(warps < HEAD_WARPS ? warps : HEAD_WARPS) * WARP, 0, *job);
}
