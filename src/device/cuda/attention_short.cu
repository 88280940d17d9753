/*
 * Sequences side by side (SDPA_SEGMENTS), a warp for 16 queries of a head: attention_short.cuh. A block has ACROSS
 * warps along the queries of a sequence, and as many heads as four warps allow.
 */
#include "device/cuda/attention_short.cuh"

#include "device/cuda/attention_rows.cuh"

using namespace em_short;
using em_rows::part;
using em_rows::segments;

enum { THREADS = em_rows::THREADS, WARPS = THREADS / 32 };

/* Eight elements, at a multiple of 16 bytes. */
template <typename T> __device__ __forceinline__ void write_eight(T *to, const float *x)
{
    uint4 words[em_mma_traits<T>::FETCHES];
#pragma unroll
    for (int i = 0; i < 8; i++)
        ((T *)words)[i] = (T)x[i];
#pragma unroll
    for (int i = 0; i < em_mma_traits<T>::FETCHES; i++)
        ((uint4 *)to)[i] = words[i];
}

/* 16 queries of head h, from `query` on, of the part's sequence. */
template <typename T, int SIZE>
__device__ __forceinline__ void attend(const em_attend &a, const part &p, int h, int query)
{
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
    const head<T> one = {(const T *)a.q.data + p.token * a.q.token + h * a.q.head,
                         (const T *)a.k.data + p.token * a.k.token + h * a.k.head,
                         (const T *)a.v.data + p.token * a.v.token + h * a.v.head,
                         a.q.token,
                         a.k.token,
                         a.v.token};
    const seen keys = {{0, 0}, {p.keys, p.keys}};
    queries<T, SIZE> q;
    tile<T, SIZE> t;
    result<SIZE> r;
    start(&r);
    fetch_queries<true>(&q, one, query, p.keys);
    for (int from = 0; from < p.keys; from += KEYS) {
        fetch_tile<true>(&t, one, from, p.keys);
        add_tile(q, t, from, keys, a.scale * 1.4426950408889634f, &r);
    }
#pragma unroll
    for (int row = 0; row < 2; row++) {
        float x[SIZE / 4];
        divided(r, row, x);
        T *to = (T *)a.out + ((int64_t)(p.token + query + g + 8 * row) * a.heads + h) * SIZE + SIZE / 4 * c;
#pragma unroll
        for (int i = 0; i < SIZE / 4; i += 8)
            if (query + g + 8 * row < p.keys)
                write_eight(to + i, x + i);
    }
}

/* What is outside all sequences comes last: nothing waits for it. */
template <typename T, int SIZE, int ACROSS>
__global__ void __launch_bounds__(THREADS)
    short_kernel(const __grid_constant__ em_attend a, const __grid_constant__ segments s)
{
    constexpr int TILE = QUERIES * ACROSS, HEADS = WARPS / ACROSS;
    const int warp = threadIdx.x / 32, first_head = blockIdx.y * HEADS, h = first_head + warp / ACROSS;
    part p;
    em_grid_next();
    em_grid_wait();
    if (em_rows::find_segment<TILE>(a, s, blockIdx.x, &p)) {
        const int query = p.query + warp % ACROSS * QUERIES;
        if (h < a.heads && query < p.keys)
            attend<T, SIZE>(a, p, h, query);
    }
    for (int i = first_head; i < first_head + HEADS && i < a.heads; i++)
        em_rows::clear_outside<TILE>(a, s, blockIdx.x, i);
}

template <typename T, int SIZE, int ACROSS>
static em_status start_kernel(em__cuda *cuda, const em_attend &a, const segments &s)
{
    constexpr int TILE = QUERIES * ACROSS, HEADS = WARPS / ACROSS;
    const dim3 grid((unsigned)((a.queries + TILE - 1) / TILE + s.count), em_blocks(a.heads, HEADS));
    return em_launch(cuda, "sdpa", short_kernel<T, SIZE, ACROSS>, grid, THREADS, 0, a, s);
}

/* More queries of a sequence in a block where sequences are long: they read the same keys. */
template <typename T, int SIZE> static em_status by_length(em__cuda *cuda, const em_attend &a, const segments &s)
{
    return a.queries >= 96 * (int64_t)s.count ? start_kernel<T, SIZE, 4>(cuda, a, s)
                                              : start_kernel<T, SIZE, 2>(cuda, a, s);
}

bool em_attend_short_takes(const em_attend &a)
{
    const bool fits = a.dtype == EM_F32 ? a.size == 32 : a.size == 32 || a.size == 64;
    return (a.dtype == EM_F32 || a.dtype == EM_BF16 || a.dtype == EM_F16) && fits && !a.mask && a.softcap == 0 &&
           !a.causal && !a.window && a.kv_heads == a.heads && a.size == a.value_size && a.q.wide && a.k.wide &&
           a.v.wide && (uintptr_t)a.out % 16 == 0;
}

em_status em_attend_short(em__cuda *cuda, const em_attend &a, const segments &s)
{
    switch (a.dtype) {
    case EM_F32: return by_length<float, 32>(cuda, a, s);
    case EM_F16: return a.size == 32 ? by_length<__half, 32>(cuda, a, s) : by_length<__half, 64>(cuda, a, s);
    default: return a.size == 32 ? by_length<__nv_bfloat16, 32>(cuda, a, s) : by_length<__nv_bfloat16, 64>(cuda, a, s);
    }
}
