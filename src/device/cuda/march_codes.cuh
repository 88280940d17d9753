/*
 * A march's weights of 4-bit codes, affine, in groups of 64, scales and biases of bf16.
 *
 * A step is up to 32 rows of one matrix by the whole depth. Its rows lie side by side in memory, so few copies fetch
 * it: codes, the second half of its rows behind a pad, scales, biases. (A copy costs the warp that asks for it some 60
 * cycles.) Rows of the two halves take turns in A, and so lanes that load at the same time meet in no bank. Steps take
 * what bytes they need of a ring.
 *
 * A warp has an eighth of the depth, side by side, and brings x of it to shared memory by itself: nobody else reads it.
 * x lies there in whole numbers of a unit, of which the warp's largest |x| has 2^29 to 2^30, as four digits of 8 bits
 * with signs. mma.m16n8k32 multiplies 16 rows of codes by them. A word of eight codes makes two operands by masks:
 * the codes in the low halves of its bytes, and sixteen times the others, whose x is of sixteen times the unit.
 * A lane's 16 bytes of codes lie in one group, and two groups meet in a product: four columns of B are the digits of
 * one, four those of the other, with zeros for the other's codes. Sums are exact, below 2^22, and become floats by
 * lying down in the mantissa of 1.5 * 2^23. Biases meet the groups' sums of x. x is off by 2^-26 of the warp's largest,
 * at most; where x is not finite the sum is NaN.
 *
 * x lies by 32 columns that a lane's 16 bytes have, [slice][half][digit][word][2][4], the columns of low codes and of
 * high ones, and a gap behind each slice: what a warp stores, and loads, at the same time lies in different banks. In
 * the gaps lie what lanes sum up, and in a pair's first one its groups' sums, of which two lanes of four take one.
 */
#ifndef EM_DEVICE_CUDA_MARCH_CODES_CUH
#define EM_DEVICE_CUDA_MARCH_CODES_CUH

#include "device/cuda/digits.cuh"
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
    static constexpr int GROUP = 64, DIGITS = EM_DIGITS;
    static constexpr int PAIR = 2 * GROUP;      /* columns of a product */
    static constexpr int HALF = DIGITS * 16;    /* bytes of x of two words' columns */
    static constexpr int SLICE = 2 * HALF + 48; /* of 32 columns, and the gap */
    static constexpr int SUMS = 2 * HALF;       /* where a pair's sums lie in its first slice */
    static constexpr int ZEROS = HALF + 16;     /* bytes: what a lane reads of a slice */
    static constexpr int STEP = 60 << 10;       /* bytes of a step, about, at most */
    static constexpr int PAD = 64;              /* bytes, between the halves of a step's codes */
    static constexpr int BATCH = 10;            /* quads of x that a thread asks for at once */

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
        return rows * (depth / 2 + 2 * scales_of(depth)) + PAD;
    }

    /* Rows of the first half of a step. */
    static __device__ __forceinline__ int front_of(int rows)
    {
        return (rows + 1) / 2;
    }

    /* A warp's share of x, which ends with zeros and the unit. */
    static __host__ __device__ __forceinline__ int zeros_at(int pairs)
    {
        return pairs * (PAIR / 32 * SLICE);
    }

    static __host__ __device__ __forceinline__ int unit_at(int pairs)
    {
        return zeros_at(pairs) + ZEROS;
    }

    static __host__ __device__ __forceinline__ int share_of(int pairs)
    {
        return unit_at(pairs) + 16;
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
            const int line = w.depth / 2, front = front_of(s.rows) * line, codes = s.rows * line + PAD;
            const int extra = s.rows * scales, bytes = codes + 2 * extra;
            uint64_t *const full = &memory.full[f.at.slot];
            const int at = make_room(m, memory, f, bytes);
            if (em_march_elect()) {
                char *const to = ring + at;
                memory.places[f.at.slot] = at;
                const char *const from = g.weight[s.matrix] + (int64_t)s.first * line;
                em_barrier_expect(full, bytes - PAD);
                em_bulk_pass(to, from, front, full);
                if (s.rows > 1)
                    em_bulk_pass(to + front + PAD, from + front, codes - PAD - front, full);
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

    /* Four columns of x from column `4 * lane` of a pair of groups on, to their places. Two lanes hold what a word of
     * codes meets: the even one gets the columns of low codes, the odd one those of high ones. Eight bits are
     * a digit; what lies above half of the range counts as negative, with one more for the next digit. Their
     * sum goes to the gap. */
    static __device__ __forceinline__ void put(char *pair, float4 x, float turn, int lane)
    {
        const bool odd = lane & 1;
        const float got[2] = {__shfl_xor_sync(~0u, odd ? x.x : x.y, 1), __shfl_xor_sync(~0u, odd ? x.z : x.w, 1)};
        const float mine[4] = {odd ? got[0] : x.x, odd ? got[1] : x.z, odd ? x.y : got[0], odd ? x.w : got[1]};
        uint32_t digits[DIGITS];
        em_digits_of(mine, odd ? turn * 0.0625f : turn, digits);
        const int word = lane >> 1;
        uint32_t *const to =
            (uint32_t *)(pair + (word >> 2) * SLICE + (word >> 1 & 1) * HALF + (word & 1) * 8 + odd * 4);
#pragma unroll
        for (int i = 0; i < DIGITS; i++)
            to[4 * i] = digits[i];
        *(float *)(pair + (word >> 2) * SLICE + SUMS + 16 + (lane & 7) * 4) = (x.x + x.y) + (x.z + x.w);
    }

    /* The groups' sums of x, in units, of what lanes have put. */
    static __device__ __forceinline__ void put_group_sums(char *to, int pairs, float turn, int lane)
    {
        __syncwarp();
#pragma unroll 1
        for (int group = lane; group < 2 * pairs; group += 32) {
            char *const slice = to + group * (2 * SLICE) + SUMS + 16;
            float sum = 0;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float4 its = *(const float4 *)(slice + i / 2 * SLICE + i % 2 * 16);
                sum += (its.x + its.y) + (its.z + its.w);
            }
            *(float2 *)(to + group / 2 * (4 * SLICE) + SUMS + group % 2 * 8) = make_float2(sum * turn, 0);
        }
    }

    /* N pairs of groups of the warp's `columns` columns of x, times the gain of a norm, from column `from` on, n
     * if not `all`; what lies behind the end is zero. The sum of the lane's squares. */
    template <int N, bool all>
    static __device__ __forceinline__ float take(const em__gemv &g, const float *mail, int from, int columns, int n,
                                                 int lane, float4 (&x)[N])
    {
        const int first = (int)(threadIdx.x >> 5) * columns;
        int at[N];
        float4 gain[N];
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
        for (int i = 0; i < N; i++) {
            if ((!all && i >= n) || from + i * PAIR + lane * 4 >= columns)
                x[i] = make_float4(0, 0, 0, 0);
            sum = fmaf(x[i].x, x[i].x, fmaf(x[i].y, x[i].y, sum));
            sum = fmaf(x[i].z, x[i].z, fmaf(x[i].w, x[i].w, sum));
            x[i] = make_float4(x[i].x * gain[i].x, x[i].y * gain[i].y, x[i].z * gain[i].z, x[i].w * gain[i].w);
        }
        return sum;
    }

    /* Bits of the largest |x|; a NaN is larger than all. */
    template <int N> static __device__ __forceinline__ uint32_t find_largest(const float4 (&x)[N])
    {
        uint32_t most = 0;
#pragma unroll
        for (int i = 0; i < N; i++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                most = max(most, __float_as_uint((&x[i].x)[k]) & 0x7fffffffu);
        return most;
    }

    /* The warp's largest |x| decides the unit, a power of two, which goes behind its zeros: 1 / unit. */
    static __device__ __forceinline__ float agree(char *to, int pairs, uint32_t most, int lane)
    {
        float unit;
        const float turn = em_digits_turn(__reduce_max_sync(~0u, most), unit);
        if (lane < ZEROS / 16)
            *(uint4 *)(to + zeros_at(pairs) + lane * 16) = make_uint4(0, 0, 0, 0);
        if (lane == 0)
            *(float *)(to + unit_at(pairs)) = unit;
        return turn;
    }

    /* All N pairs of groups of a warp. */
    template <int N>
    static __device__ __forceinline__ float stage_pairs(const em__gemv &g, const float *mail, int columns, char *to,
                                                        int lane)
    {
        float4 x[N];
        const float sum = take<N, true>(g, mail, 0, columns, N, lane, x), turn = agree(to, N, find_largest(x), lane);
#pragma unroll
        for (int i = 0; i < N; i++)
            put(to + i * (PAIR / 32 * SLICE), x[i], turn, lane);
        put_group_sums(to, N, turn, lane);
        return sum;
    }

    /* As many as there are, in batches: for the largest, and where they are several, once more for their places. */
    static __device__ __forceinline__ float stage_batches(const em__gemv &g, const float *mail, int columns, int pairs,
                                                          char *to, int lane)
    {
        const int n = (pairs + BATCH - 1) / BATCH;
        float4 x[BATCH];
        float sum = 0, turn = 0;
        uint32_t most = 0;
#pragma unroll 1
        for (int i = 0; i < 2 * n; i++) {
            const int at = (i < n ? i : i - n) * BATCH;
            float squares = 0;
            if (i < n || n > 1)
                squares = take<BATCH, false>(g, mail, at * PAIR, columns, min(BATCH, pairs - at), lane, x);
            if (i < n) {
                sum += squares;
                most = max(most, find_largest(x));
                continue;
            }
            if (i == n)
                turn = agree(to, pairs, most, lane);
#pragma unroll
            for (int k = 0; k < BATCH; k++)
                if (at + k < pairs)
                    put(to + (at + k) * (PAIR / 32 * SLICE), x[k], turn, lane);
        }
        put_group_sums(to, pairs, turn, lane);
        return sum;
    }

    /* The warp brings its columns of x to shared memory, times the gain of a norm; the sum of the lane's squares. */
    static __device__ __forceinline__ float stage(const em__gemv &g, const float *mail, char *room, int)
    {
        const int lane = threadIdx.x & 31, pairs = pairs_of(g.depth), columns = g.depth / EM_MARCH_WARPS;
        char *const to = room + (threadIdx.x >> 5) * share_of(pairs);
        switch (pairs) {
        case 1: return stage_pairs<1>(g, mail, columns, to, lane);
        case 2: return stage_pairs<2>(g, mail, columns, to, lane);
        case 3: return stage_pairs<3>(g, mail, columns, to, lane);
        case 4: return stage_pairs<4>(g, mail, columns, to, lane);
        default: return stage_batches(g, mail, columns, pairs, to, lane);
        }
    }

    /* acc += scales * (codes by x) + biases * sums of x, of a pair of groups, by 16 N rows: a lane has words of their
     * codes; `sum` meets the first column only. A product waits for the one before it that adds to the same sums: of 16
     * rows they take turns with two. */
    template <int N>
    static __device__ __forceinline__ void multiply(const uint4 (&codes)[2 * N], const char *x, float sum,
                                                    const float (&scale)[2 * N], const float (&bias)[2 * N],
                                                    float (&acc)[N][4])
    {
        constexpr int TURNS = N == 1 ? 2 : 1;
        const uint4 halves[2] = {*(const uint4 *)x, *(const uint4 *)(x + HALF)};
        int d[TURNS][N][4];
#pragma unroll
        for (int i = 0; i < 4 * N; i++) {
            d[TURNS - 1][i / 4][i % 4] = 0;
            d[0][i / 4][i % 4] = EM_DIGITS_SUM;
        }
#pragma unroll
        for (int word = 0; word < 4; word++) {
            const uint4 b = halves[word / 2];
            const uint32_t low = word % 2 ? b.z : b.x, high = word % 2 ? b.w : b.y;
#pragma unroll
            for (int n = 0; n < N; n++) {
                const uint32_t u = (&codes[2 * n].x)[word], v = (&codes[2 * n + 1].x)[word];
                int(&to)[4] = d[word % TURNS][n];
                em_multiply_codes(to, u & EM_LOW_CODES, v & EM_LOW_CODES, u & EM_HIGH_CODES, v & EM_HIGH_CODES, low,
                                  high, to);
            }
        }
#pragma unroll
        for (int i = 0; i < 4 * N; i++) {
            const int n = i / 4, at = i % 4;
            const int all = TURNS == 2 ? d[0][n][at] + d[TURNS - 1][n][at] : d[0][n][at];
            acc[n][at] = fmaf(scale[i / 2], __int_as_float(all) - EM_DIGITS_ZERO, acc[n][at]);
            if (at % 2 == 0)
                acc[n][at] = fmaf(bias[i / 2], sum, acc[n][at]);
        }
    }

    /* Place i of a lane's 2 N among a step's n rows: those of A take turns with the halves of the step. */
    static __device__ __forceinline__ int find_row(int column, int i, int n)
    {
        return (column & 1 ? front_of(n) : 0) + (column >> 1) + 4 * i;
    }

    /* The warp's sums of a step's rows go to the table: lanes of four share rows out and add up digits. */
    template <int N>
    static __device__ __forceinline__ void put_sums(const float (&acc)[N][4], float weight, em_march_memory &memory,
                                                    int row, int n, int warp, int lane)
    {
        const bool odd = lane & 1;
        float v[2 * N];
#pragma unroll
        for (int i = 0; i < 2 * N; i++)
            v[i] = fmaf(acc[i / 2][i % 2 * 2 + 1], 256, acc[i / 2][i % 2 * 2]) * weight;
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = (odd ? v[2 * i + 1] : v[2 * i]) + __shfl_xor_sync(~0u, odd ? v[2 * i] : v[2 * i + 1], 1);
        int i = odd;
        if constexpr (N == 2) {
            const bool high = lane & 2;
            v[0] = (high ? v[1] : v[0]) + __shfl_xor_sync(~0u, high ? v[0] : v[1], 2);
            i += 2 * high;
        } else {
            v[0] += __shfl_xor_sync(~0u, v[0], 2);
        }
        const int column = lane >> 2, at = find_row(column, i, n), end = column & 1 ? n : front_of(n);
        if (at < end && (N == 2 || (lane & 2) == 0))
            memory.table[at_table(row + at, warp)] = v[0];
    }

    static __device__ __forceinline__ float open(const char *from)
    {
        return __uint_as_float((uint32_t) * (const uint16_t *)from << 16);
    }

    /* A step of up to 16 N rows, by the warp's columns. */
    template <int N>
    static __device__ __forceinline__ void multiply_step(const walk &w, int n, em_march_memory &memory,
                                                         const char *ring, em_march_slots &at, int row, int warp,
                                                         int lane, float weight)
    {
        const int line = w.depth / 2, scales_line = scales_of(w.depth), pairs = pairs_of(w.depth);
        const int quarter = lane & 3, column = lane >> 2; /* of A's columns; of B's, and the row of A */
        const bool mine = column / DIGITS == quarter / 2;
        const int last = w.depth / (EM_MARCH_WARPS * GROUP) - 1; /* group of the warp */
        const int step = mine ? PAIR / 32 * SLICE : 0;
        const char *const share = memory.room + warp * share_of(pairs);
        const char *x = share + (mine ? quarter * SLICE + column % DIGITS * 16 : zeros_at(pairs));
        const char *codes[2 * N], *scales[2 * N];
        float acc[N][4] = {};
        em_barrier_wait(&memory.full[at.slot], at.phase);
        const char *const stage = ring + memory.places[at.slot];
#pragma unroll
        for (int i = 0; i < 2 * N; i++) {
            const int its = min(find_row(column, i, n), n - 1);
            codes[i] = stage + its * line + (column & 1) * PAD + warp * (line / EM_MARCH_WARPS) + quarter * 16;
            scales[i] = stage + n * line + PAD + its * scales_line + warp * (scales_line / EM_MARCH_WARPS);
        }
        const char *sums = share + SUMS + quarter * 4;
        const int behind = n * scales_line;
#pragma unroll 1
        for (int pair = 0; pair < pairs; pair++) {
            const int group = 2 * min(2 * pair + quarter / 2, last);
            uint4 its[2 * N];
            float scale[2 * N], bias[2 * N];
#pragma unroll
            for (int i = 0; i < 2 * N; i++) {
                its[i] = *(const uint4 *)codes[i];
                codes[i] += PAIR / 2;
            }
#pragma unroll
            for (int i = 0; i < 2 * N; i++) {
                scale[i] = open(scales[i] + group);
                bias[i] = open(scales[i] + group + behind);
            }
            multiply<N>(its, x, *(const float *)sums, scale, bias, acc);
            x += step;
            sums += PAIR / 32 * SLICE;
        }
        __syncwarp();
        if (lane == 0)
            em_barrier_arrive(&memory.empty[at.slot]);
        at.step();
        put_sums<N>(acc, weight, memory, row, n, warp, lane);
    }

    /* The block's warps multiply a tile, each its columns; their sums go to the table. */
    static __device__ __forceinline__ void multiply_tile(const em__gemv &g, const em_march_tile &t,
                                                         em_march_memory &memory, const char *ring, em_march_slots &at,
                                                         int warp, int lane)
    {
        const walk w(g, t);
        const int pairs = pairs_of(w.depth);
        const float unit = *(const float *)(memory.room + warp * share_of(pairs) + unit_at(pairs));
        const float weight = lane & 1 ? unit * 65536 : unit; /* of the lane's digits */
#pragma unroll 1
        for (int row = 0; row < w.rows;) {
            const int n = w.at(row).rows;
            if (n > 16)
                multiply_step<2>(w, n, memory, ring, at, row, warp, lane, weight);
            else
                multiply_step<1>(w, n, memory, ring, at, row, warp, lane, weight);
            row += n;
        }
    }
};

#endif
