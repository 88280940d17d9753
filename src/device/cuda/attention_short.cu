/*
 * Sequences side by side (SDPA_SEGMENTS) in half types, a warp for 16 queries of a head: attention_short.cuh. A block
 * has ACROSS warps along the queries of a sequence, and as many heads as four warps allow.
 */
#include "device/cuda/attention_short.cuh"

#include "device/cuda/attention_rows.cuh"

using namespace em_short;
using em_rows::part;
using em_rows::segments;

enum { THREADS = em_rows::THREADS, WARPS = THREADS / 32 };

template <typename T, int SIZE, int ACROSS>
__global__ void __launch_bounds__(THREADS)
    short_kernel(const __grid_constant__ em_attend a, const __grid_constant__ segments s)
{
    constexpr int TILE = QUERIES * ACROSS, HEADS = WARPS / ACROSS;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    const int first_head = blockIdx.y * HEADS, h = first_head + warp / ACROSS;
    em_grid_next();
    em_grid_wait();
    for (int i = first_head; i < first_head + HEADS && i < a.heads; i++)
        em_rows::clear_outside<TILE>(a, s, blockIdx.x, i);
    part p;
    if (!em_rows::find_segment<TILE>(a, s, blockIdx.x, &p))
        return;
    const int query = p.query + warp % ACROSS * QUERIES;
    if (h >= a.heads || query >= p.keys)
        return;
    const head<T> one = {(const T *)a.q.data + p.token * a.q.token + h * a.q.head,
                         (const T *)a.k.data + p.token * a.k.token + h * a.k.head,
                         (const T *)a.v.data + p.token * a.v.token + h * a.v.head,
                         a.q.token,
                         a.k.token,
                         a.v.token,
                         p.keys,
                         a.scale * 1.4426950408889634f,
                         true};
    const result<SIZE> r = attend<T, SIZE>(one, query, 0, {{0, 0}, {p.keys, p.keys}});
#pragma unroll
    for (int row = 0; row < 2; row++) {
        uint32_t words[SIZE / 8];
        if (query + g + 8 * row >= p.keys)
            continue;
        divided<T, SIZE>(r, row, words);
        T *to = (T *)a.out + ((int64_t)(p.token + query + g + 8 * row) * a.heads + h) * SIZE + SIZE / 4 * c;
#pragma unroll
        for (int i = 0; i < SIZE / 8; i += 4)
            ((uint4 *)to)[i / 4] = {words[i], words[i + 1], words[i + 2], words[i + 3]};
    }
}

template <typename T, int SIZE, int ACROSS>
static em_status start(em__cuda *cuda, const em_attend &a, const segments &s)
{
    constexpr int TILE = QUERIES * ACROSS, HEADS = WARPS / ACROSS;
    const dim3 grid((unsigned)((a.queries + TILE - 1) / TILE + s.count), em_blocks(a.heads, HEADS));
    return em_launch(cuda, "sdpa", short_kernel<T, SIZE, ACROSS>, grid, THREADS, 0, a, s);
}

/* More queries of a sequence in a block where sequences are long: they read the same keys. */
template <typename T, int SIZE> static em_status by_length(em__cuda *cuda, const em_attend &a, const segments &s)
{
    return a.queries >= 96 * (int64_t)s.count ? start<T, SIZE, 4>(cuda, a, s) : start<T, SIZE, 2>(cuda, a, s);
}

bool em_attend_short_takes(const em_attend &a)
{
    return (a.dtype == EM_BF16 || a.dtype == EM_F16) && !a.mask && a.softcap == 0 && a.size == a.value_size &&
           (a.size == 32 || a.size == 64) && a.q.wide && a.k.wide && a.v.wide && (uintptr_t)a.out % 16 == 0;
}

em_status em_attend_short(em__cuda *cuda, const em_attend &a, const segments &s)
{
    if (a.dtype == EM_F16)
        return a.size == 32 ? by_length<__half, 32>(cuda, a, s) : by_length<__half, 64>(cuda, a, s);
    return a.size == 32 ? by_length<__nv_bfloat16, 32>(cuda, a, s) : by_length<__nv_bfloat16, 64>(cuda, a, s);
}
