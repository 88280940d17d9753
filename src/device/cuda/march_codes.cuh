/*
 * A march's weights of 4-bit codes, affine, in groups of 64, scales and biases of bf16.
 *
 * A step is up to 32 rows of one matrix by the whole depth. Its rows lie side by side in memory, so three copies fetch
 * it: codes, scales, biases. (A copy costs the warp that asks for it some 60 cycles; that lanes of two rows meet in a
 * bank costs less.) Steps take what bytes they need of a ring.
 *
 * A warp has an eighth of the depth, side by side, and brings x of it to shared memory by itself: nobody else reads it.
 * x lies in three parts of bf16, which add up to it. mma.m16n8k16 multiplies 16 rows of codes by them. A code becomes
 * bf16 by standing alone in its half of a word: that is the number c * 2^-133, or c * 2^-129 four bits further up. So
 * x is multiplied by 2^90 before, and is exact from 2^-60 on, up to 2^38.
 * A lane's 16 bytes of codes lie in one group, and two groups meet in a product: three columns of B are the parts of
 * one, three those of the other, with zeros for the other's codes. A row of ones gives the groups' sums of x, for the
 * biases. Where x is not finite or too large the sum is NaN.
 *
 * x lies by 32 columns that a lane's 16 bytes have, [slice][word][part][8], in the order in which words give codes.
 */
#ifndef EM_DEVICE_CUDA_MARCH_CODES_CUH
#define EM_DEVICE_CUDA_MARCH_CODES_CUH

#include "device/cuda/march_mail.cuh"
#include "device/cuda/march_weights.cuh"

/* True in one lane of the warp. */
__device__ __forceinline__ bool em_march_elect()
{
    uint32_t mine;
    asm volatile("{\n"
                 ".reg .pred mine;\n"
                 "elect.sync _|mine, 0xffffffff;\n"
                 "selp.u32 %0, 1, 0, mine;\n"
                 "}"
                 : "=r"(mine));
    return mine != 0;
}

struct em_march_codes {
    static constexpr int FETCHERS = 1; /* warps */
    static constexpr int GROUP = 64, PARTS = 3;
    static constexpr int PAIR = 2 * GROUP;            /* columns of a product */
    static constexpr int SLICE = 4 * PARTS * 16;      /* bytes of x of 32 columns */
    static constexpr int ZEROS = 3 * PARTS * 16 + 16; /* bytes */
    static constexpr int STEP = 60 << 10;             /* bytes of a step, about, at most */
    static constexpr int BATCH = 10;                  /* quads of x that a thread asks for at once */
    static constexpr float SCALE = 0x1p90f;           /* of x */
    static constexpr float HIGHER = 0x1p86f;          /* of x that meets codes four bits further up */
    static constexpr float BACK = 0x1p43f;            /* of sums */
    static constexpr uint32_t LOW = 0x000f000f, HIGH = 0x00f000f0;
    static constexpr uint32_t ONE = 0x00010001, SIXTEEN = 0x00100010; /* two codes of one */

    /* Rows of a step. */
    static __host__ __device__ __forceinline__ int rows_of(int depth)
    {
        const int rows = STEP / (depth / 16 * 9);
        return rows < 32 ? rows : 32;
    }

    /* Pairs of groups of a warp; the second group of the last one may be none. */
    static __host__ __device__ __forceinline__ int pairs_of(int depth)
    {
        return (depth / (EM_MARCH_WARPS * GROUP) + 1) / 2;
    }

    /* Bytes of a row of scales; codes have eight times as many, biases as many. */
    static __host__ __device__ __forceinline__ int scales_of(int depth)
    {
        return depth / GROUP * 2;
    }

    /* Bytes of a step in the ring. */
    static __host__ __device__ __forceinline__ int bytes_of(int depth, int rows)
    {
        return rows * (depth / 2 + 2 * scales_of(depth));
    }

    /* A warp's share of x, which ends with zeros: as many as a lane reads of a pair of groups. */
    static __host__ __device__ __forceinline__ int zeros_at(int pairs)
    {
        return pairs * (PAIR / 32 * SLICE);
    }

    static __host__ __device__ __forceinline__ int share_of(int pairs)
    {
        return zeros_at(pairs) + ZEROS;
    }

    /* Bytes of x as it is staged. */
    static size_t staged(const em__gemv *g)
    {
        return (size_t)(EM_MARCH_WARPS * share_of(pairs_of(g->depth)));
    }

    /* Whether there is a product for these weights, and they lie as they are fetched. */
    static bool takes(const em__gemv *g)
    {
        uintptr_t all = (uintptr_t)g->gain | (uintptr_t)g->x;
        for (int i = 0; i < EM_GEMV_MATRICES; i++)
            all |= (uintptr_t)g->weight[i] | (uintptr_t)g->scales[i] | (uintptr_t)g->biases[i];
        return g->scale == EM_BF16 && 1 << g->shift == GROUP && all % 16 == 0 && g->depth % 512 == 0 &&
               rows_of(g->depth) > 0;
    }

    /* Rows of a block are a multiple of it. */
    static int unit(const em__gemv *g)
    {
        return g->pair ? 2 : 1;
    }

    /* Bytes of the smallest ring for it: two steps. */
    static size_t least(const em__gemv *g)
    {
        return 2 * (size_t)bytes_of(g->depth, rows_of(g->depth));
    }

    static void cut(em__gemv *)
    {
    }

    static void set_ring(em__march *m, size_t bytes)
    {
        m->slots = EM_MARCH_SLOTS;
        m->ring = (int)(bytes / 16 * 16);
    }

    /* A step of a tile: rows first .. first + rows - 1 of the matrix. */
    struct step {
        int matrix, first, rows;
    };

    /* What all steps of a tile have in common. */
    struct walk {
        int depth, together; /* together: rows of a step, at most */
        int first, rows, half, end[2];

        __device__ __forceinline__ walk(const em__gemv &g, const em_march_tile &t)
            : depth(g.depth), together(rows_of(depth)), first(g.pair ? t.first / 2 : t.first), rows(t.rows),
              half(g.pair ? t.rows / 2 : 0), end{g.end[0], g.end[1]}
        {
        }

        __device__ __forceinline__ step at(int row) const
        {
            const int here = first + row;
            if (half)
                return {row >= half, row >= half ? here - half : here,
                        min(together, row >= half ? rows - row : half - row)};
            if (here < end[0])
                return {0, here, min(together, min(rows - row, end[0] - here))};
            if (here < end[1])
                return {1, here - end[0], min(together, min(rows - row, end[1] - here))};
            return {2, here - end[1], min(together, rows - row)};
        }
    };

    /* Where a row of the result stands in the table; `second`: its other half, of a pair of n rows. */
    static __device__ __forceinline__ int entry(const em__gemv &, int row, int n, bool second)
    {
        return second ? row + n : row;
    }

    static __device__ __forceinline__ int at_table(int row, int warp)
    {
        return row * EM_MARCH_WARPS + warp;
    }

    typedef em_march_slots reader;

    static __device__ __forceinline__ reader begin_reading(const em__march &m)
    {
        return {m.slots, 0, 0};
    }

    /* The fetching warp's place: the next step, the oldest one that is not known to be free, where the next begins. */
    struct fetcher {
        em_march_slots at, oldest;
        int live, head; /* steps from the oldest on; bytes */
    };

    static __device__ __forceinline__ fetcher begin(const em__march &m)
    {
        return {{m.slots, 0, 0}, {m.slots, 0, 0}, 0, 0};
    }

    /* Waits until the ring has so many bytes side by side, and a slot for them: where. */
    static __device__ __forceinline__ int make_room(const em__march &m, em_march_memory &memory, fetcher &f, int bytes)
    {
        for (;;) {
            const int tail = f.live ? memory.places[f.oldest.slot] : -1;
            if (!f.live)
                f.head = 0;
            if (f.live < m.slots) {
                if (tail < f.head && f.head + bytes > m.ring && bytes <= tail)
                    f.head = 0;
                if (f.head + bytes <= (tail < f.head || !f.live ? m.ring : tail))
                    return f.head;
            }
            em_barrier_wait(&memory.empty[f.oldest.slot], f.oldest.phase);
            f.oldest.step();
            f.live--;
        }
    }

    /* All steps of a tile, by a warp. */
    static __device__ __forceinline__ void fetch_tile(const em__march &m, const em__gemv &g, const em_march_tile &t,
                                                      em_march_memory &memory, char *ring, fetcher &f, int)
    {
        const walk w(g, t);
        const int scales = scales_of(w.depth);
#pragma unroll 1
        for (int row = 0; row < w.rows;) {
            const step s = w.at(row);
            const int codes = s.rows * (w.depth / 2), extra = s.rows * scales, bytes = codes + 2 * extra;
            uint64_t *const full = &memory.full[f.at.slot];
            const int at = make_room(m, memory, f, bytes);
            if (em_march_elect()) {
                char *const to = ring + at;
                memory.places[f.at.slot] = at;
                em_barrier_expect(full, bytes);
                em_bulk_pass(to, g.weight[s.matrix] + (int64_t)s.first * (w.depth / 2), codes, full);
                em_bulk_pass(to + codes, g.scales[s.matrix] + (int64_t)s.first * scales, extra, full);
                em_bulk_pass(to + codes + extra, g.biases[s.matrix] + (int64_t)s.first * scales, extra, full);
            }
            __syncwarp();
            f.head = at + bytes;
            f.live++;
            f.at.step();
            row += s.rows;
        }
    }

    static __device__ __forceinline__ void staged_sync()
    {
        __syncwarp();
    }

    /* Two numbers in parts of bf16, side by side, `apart` bytes apart. */
    static __device__ __forceinline__ void split(float first, float second, uint32_t (&parts)[PARTS])
    {
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            const __nv_bfloat162 rounded = __floats2bfloat162_rn(first, second);
            parts[part] = *(const uint32_t *)&rounded;
            first -= __uint_as_float(parts[part] << 16);
            second -= __uint_as_float(parts[part] & 0xffff0000u);
        }
    }

    /* Four columns of x from column `4 * lane` of a pair of groups on, to their places. Lanes of two hold what a word
     * of codes meets, columns 0 .. 3 and 4 .. 7: the even one keeps 0, 1, 4, 5, which the word's first byte and third
     * have, the odd one the others. */
    static __device__ __forceinline__ void put(char *pair, float4 x, int lane)
    {
        const bool odd = lane & 1;
        const float got[2] = {__shfl_xor_sync(~0u, odd ? x.x : x.z, 1), __shfl_xor_sync(~0u, odd ? x.y : x.w, 1)};
        uint32_t low[PARTS], high[PARTS];
        split((odd ? got[0] : x.x) * SCALE, (odd ? x.z : got[0]) * SCALE, low);
        split((odd ? got[1] : x.y) * HIGHER, (odd ? x.w : got[1]) * HIGHER, high);
        char *const to = pair + (lane >> 1) * (PARTS * 16) + odd * 8;
#pragma unroll
        for (int part = 0; part < PARTS; part++)
            *(uint2 *)(to + part * 16) = make_uint2(low[part], high[part]);
    }

    /* The warp brings N pairs of groups of its `columns` columns of x to shared memory, from column `from` on, or as
     * many as there are if not `all`; what lies behind the end is zero. The sum of the lane's squares. */
    template <int N, bool all>
    static __device__ __forceinline__ float stage_pairs(const em__gemv &g, const float *mail, int from, int columns,
                                                        char *to, int lane)
    {
        const int n = all ? N : min(N, (columns - from + GROUP) / PAIR);
        const int first = (int)(threadIdx.x >> 5) * columns;
        int at[N];
        float4 x[N], gain[N];
        float sum = 0;
#pragma unroll
        for (int i = 0; i < N; i++) {
            const int column = from + i * PAIR + lane * 4;
            at[i] = first + (column < columns ? column : column % GROUP);
            gain[i] = g.gain && i < n ? *(const float4 *)(g.gain + at[i]) : make_float4(1, 1, 1, 1);
        }
        if (mail)
            em_mail_receive_quads<N>(mail, at, n, x);
        else
#pragma unroll
            for (int i = 0; i < N; i++)
                if (i < n)
                    x[i] = *(const float4 *)((const float *)g.x + at[i]);
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n) {
                if (from + i * PAIR + lane * 4 >= columns)
                    x[i] = make_float4(0, 0, 0, 0);
                sum = fmaf(x[i].x, x[i].x, fmaf(x[i].y, x[i].y, sum));
                sum = fmaf(x[i].z, x[i].z, fmaf(x[i].w, x[i].w, sum));
                x[i] = make_float4(x[i].x * gain[i].x, x[i].y * gain[i].y, x[i].z * gain[i].z, x[i].w * gain[i].w);
                put(to + i * (PAIR / 32 * SLICE), x[i], lane);
            }
        return sum;
    }

    /* The warp brings its columns of x to shared memory, times the gain of a norm; the sum of the lane's squares. */
    static __device__ __forceinline__ float stage(const em__gemv &g, const float *mail, char *room, int)
    {
        const int lane = threadIdx.x & 31, pairs = pairs_of(g.depth), columns = g.depth / EM_MARCH_WARPS;
        char *const to = room + (threadIdx.x >> 5) * share_of(pairs);
        float sum = 0;
        if (lane < ZEROS / 16)
            *(uint4 *)(to + zeros_at(pairs) + lane * 16) = make_uint4(0, 0, 0, 0);
        switch (pairs) {
        case 1: return stage_pairs<1, true>(g, mail, 0, columns, to, lane);
        case 2: return stage_pairs<2, true>(g, mail, 0, columns, to, lane);
        case 3: return stage_pairs<3, true>(g, mail, 0, columns, to, lane);
        case 4: return stage_pairs<4, true>(g, mail, 0, columns, to, lane);
        }
#pragma unroll 1
        for (int from = 0; from < columns; from += BATCH * PAIR)
            sum += stage_pairs<BATCH, false>(g, mail, from, columns, to + from / 32 * SLICE, lane);
        return sum;
    }

    /* What a lane multiplies of a pair of groups by N times 16 rows. */
    template <int N> struct part {
        uint4 codes[2 * N];
    };

    template <int N>
    static __device__ __forceinline__ void load(part<N> &l, const char *const (&codes)[2 * N], int pair)
    {
#pragma unroll
        for (int i = 0; i < 2 * N; i++)
            l.codes[i] = *(const uint4 *)(codes[i] + pair * (PAIR / 2));
    }

    /* acc += scales * (codes by x) + biases * (ones by x), of a pair of groups. A product waits for the one before it
     * that adds to the same sums: they take turns with two. */
    template <int N>
    static __device__ __forceinline__ void multiply(const part<N> &l, const char *x, const char *const (&scales)[2 * N],
                                                    int group, int behind, float (&acc)[N][4])
    {
        float d[2][N][4] = {}, ones[2][4] = {};
#pragma unroll
        for (int word = 0; word < 4; word++) {
            const uint4 b = *(const uint4 *)(x + word * (PARTS * 16));
#pragma unroll
            for (int n = 0; n < N; n++) {
                const uint32_t u = (&l.codes[2 * n].x)[word], v = (&l.codes[2 * n + 1].x)[word];
                const uint32_t s = u >> 8, t = v >> 8;
                em_march_multiply(d[0][n], u & LOW, v & LOW, u & HIGH, v & HIGH, b.x, b.y);
                em_march_multiply(d[1][n], s & LOW, t & LOW, s & HIGH, t & HIGH, b.z, b.w);
            }
            em_march_multiply(ones[0], ONE, ONE, SIXTEEN, SIXTEEN, b.x, b.y);
            em_march_multiply(ones[1], ONE, ONE, SIXTEEN, SIXTEEN, b.z, b.w);
        }
#pragma unroll
        for (int i = 0; i < 2 * N; i++) {
            const uint16_t *const its = (const uint16_t *)(scales[i] + group);
            const float scale = __uint_as_float((uint32_t)its[0] << 16);
            const float bias = __uint_as_float((uint32_t) * (const uint16_t *)((const char *)its + behind) << 16);
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const int at = i % 2 * 2 + k;
                float &sum = acc[i / 2][at];
                sum = fmaf(scale, d[0][i / 2][at] + d[1][i / 2][at], sum);
                sum = fmaf(bias, ones[0][k] + ones[1][k], sum);
            }
        }
    }

    /* The warp's sums of a step's rows go to the table: lanes of four share rows out and add up. */
    template <int N>
    static __device__ __forceinline__ void put_sums(const float (&acc)[N][4], em_march_memory &memory, int row,
                                                    int rows, int warp, int lane)
    {
        const bool odd = lane & 1;
        float v[2 * N];
#pragma unroll
        for (int i = 0; i < 2 * N; i++)
            v[i] = (acc[i / 2][i % 2 * 2] + acc[i / 2][i % 2 * 2 + 1]) * BACK;
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = (odd ? v[2 * i + 1] : v[2 * i]) + __shfl_xor_sync(~0u, odd ? v[2 * i] : v[2 * i + 1], 1);
        int at = 8 * odd + (lane >> 2);
        if constexpr (N == 2) {
            const bool high = lane & 2;
            v[0] = (high ? v[1] : v[0]) + __shfl_xor_sync(~0u, high ? v[0] : v[1], 2);
            at += 16 * high;
        } else {
            v[0] += __shfl_xor_sync(~0u, v[0], 2);
        }
        if (at < rows && (N == 2 || (lane & 2) == 0))
            memory.table[at_table(row + at, warp)] = v[0];
    }

    /* A step of up to 16 N rows, by the warp's columns. */
    template <int N>
    static __device__ __forceinline__ void multiply_step(const walk &w, int n, em_march_memory &memory,
                                                         const char *ring, em_march_slots &at, int row, int warp,
                                                         int lane)
    {
        const int line = w.depth / 2, scales_line = scales_of(w.depth), pairs = pairs_of(w.depth);
        const int quarter = lane & 3, column = lane >> 2; /* of A's columns; of B's, and the row of A */
        const bool mine = column % 4 < PARTS && column / 4 == quarter / 2;
        const int last = w.depth / (EM_MARCH_WARPS * GROUP) - 1; /* group of the warp */
        const int step = mine ? PAIR / 32 * SLICE : 0;
        const char *x =
            memory.room + warp * share_of(pairs) + (mine ? quarter * SLICE + column % 4 * 16 : zeros_at(pairs));
        const char *codes[2 * N], *scales[2 * N];
        float acc[N][4] = {};
        part<N> its;
        em_barrier_wait(&memory.full[at.slot], at.phase);
        const char *const stage = ring + memory.places[at.slot];
#pragma unroll
        for (int i = 0; i < 2 * N; i++) {
            const int its = min(column + 8 * i, n - 1);
            codes[i] = stage + its * line + warp * (line / EM_MARCH_WARPS) + quarter * 16;
            scales[i] = stage + n * line + its * scales_line + warp * (scales_line / EM_MARCH_WARPS);
        }
#pragma unroll 1
        for (int pair = 0; pair < pairs; pair++) {
            load(its, codes, pair);
            multiply(its, x, scales, 2 * min(2 * pair + quarter / 2, last), n * scales_line, acc);
            x += step;
        }
        __syncwarp();
        if (lane == 0)
            em_barrier_arrive(&memory.empty[at.slot]);
        at.step();
        put_sums<N>(acc, memory, row, n, warp, lane);
    }

    /* The block's warps multiply a tile, each its columns; their sums go to the table. */
    static __device__ __forceinline__ void multiply_tile(const em__gemv &g, const em_march_tile &t,
                                                         em_march_memory &memory, const char *ring, em_march_slots &at,
                                                         int warp, int lane)
    {
        const walk w(g, t);
#pragma unroll 1
        for (int row = 0; row < w.rows;) {
            const int n = w.at(row).rows;
            if (n > 16)
                multiply_step<2>(w, n, memory, ring, at, row, warp, lane);
            else
                multiply_step<1>(w, n, memory, ring, at, row, warp, lane);
            row += n;
        }
    }
};

#endif
