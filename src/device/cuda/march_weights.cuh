/*
 * Kinds of weights of a march: how a tile of them is fetched, how x is laid out for it, its product. This one: bf16.
 *
 * mma.m16n8k16 multiplies 16 rows of A, which are the weights', by 8 columns of B, of which the first three are x in
 * three parts of bf16 whose sum is the float, so that every product is exact, and sums are of f32; where x is not
 * finite the sum is NaN. The order of k within a step is free, as long as it is that of both.
 *
 * A stage is up to ROWS rows, of a pair as many of each matrix, by some blocks of 32 columns for each warp. Stages lie
 * in the ring one behind the other, as large as they are; in a stage odd rows lie behind the even ones, a pad between
 * them, so that lanes meet in no bank. A copy costs the warp that asks for it some 60 cycles, so several warps ask.
 *
 * x lies in blocks of 32 columns: [block][part][32], in the order in which lanes want it.
 */
#ifndef EM_DEVICE_CUDA_MARCH_WEIGHTS_CUH
#define EM_DEVICE_CUDA_MARCH_WEIGHTS_CUH

#include "device/cuda/gemv_kernel.cuh"
#include "device/cuda/march_mail.cuh"
#include "device/cuda/march_memory.cuh"
#include "device/cuda/wgmma.cuh"

/* sum += A by B: lane l has columns 2 (l % 4), + 1 of the sums of rows l / 4 and l / 4 + 8. */
__device__ __forceinline__ void em_march_multiply(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                                  uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

struct em_march_bf16 {
    static constexpr int ROWS = 32;    /* of a stage, at most */
    static constexpr int FETCHERS = 3; /* warps */
    static constexpr int MOST = 4;     /* blocks of a warp in a stage of 16 rows; of more rows half of them */
    static constexpr int PARTS = 3;
    static constexpr int PAIRS = 5;                  /* of x that a thread waits for at once */
    static constexpr int STEP = EM_MARCH_WARPS * 64; /* columns between a thread's pairs */
    static constexpr int BLOCK = 32 * PARTS * 2;     /* bytes of a block of x */
    static constexpr int PAD = 64;                   /* bytes, as is ALIGNED */
    static constexpr int ALIGNED = 128;

    /* Whether weights lie as they are fetched. */
    static bool takes(const em__gemv *g)
    {
        uintptr_t all = (uintptr_t)g->gain | (uintptr_t)g->x;
        for (int i = 0; i < EM_GEMV_MATRICES; i++)
            all |= (uintptr_t)g->weight[i];
        return all % 16 == 0 && g->depth % 64 == 0;
    }

    /* Rows of a block are a multiple of it: of a pair, as many of either matrix. */
    static int unit(const em__gemv *g)
    {
        return g->pair ? 2 : 1;
    }

    /* Bytes of x as it is staged. */
    static size_t staged(const em__gemv *g)
    {
        return (size_t)g->depth / 32 * BLOCK;
    }

    /* Bytes of the smallest ring for it: two stages. */
    static size_t least(const em__gemv *)
    {
        return 2 * (ROWS * 512 * 2 + 2 * PAD);
    }

    static void set_ring(em__march *m, size_t bytes)
    {
        m->slots = EM_MARCH_SLOTS;
        m->ring = (int)(bytes / ALIGNED * ALIGNED);
    }

    /* A stage in the ring: `rows` rows of `columns` columns; odd rows lie behind the even ones. */
    struct slab {
        int rows, columns;

        __device__ __forceinline__ int bytes() const
        {
            return rows * columns * 2 + 2 * PAD;
        }
        __device__ __forceinline__ int at(int row) const
        {
            return (row >> 1) * columns * 2 + (row & 1) * (((rows + 1) >> 1) * columns * 2 + PAD);
        }
    };

    /* Sets what the job's stages have, all but the last of a tile or of the depth: `warps` rows, a multiple of 256
     * columns that is `chunks`, blocks for all warps; as equal as can be. */
    static void cut(em__gemv *g)
    {
        const int step = g->pair ? 2 : 1, groups = (g->per_block + ROWS - 1) / ROWS;
        const int rows = (g->per_block / step + groups - 1) / groups * step;
        const int blocks = (g->depth + 255) / 256, most = rows > 16 ? MOST / 2 : MOST;
        const int stages = (blocks + most - 1) / most;
        g->warps = (uint8_t)rows;
        g->chunks = (uint16_t)((blocks + stages - 1) / stages);
    }

    /* The ring as one who goes through it in order of stages sees it: a stage lies in one piece. */
    struct reader : em_march_slots {
        int capacity, at;

        /* Where the next stage begins, of so many bytes. */
        __device__ __forceinline__ int find(int bytes) const
        {
            return at + bytes > capacity ? 0 : at;
        }
        __device__ __forceinline__ void pass(int bytes)
        {
            at = find(bytes) + bytes;
            step();
        }
    };

    static __device__ __forceinline__ reader begin_reading(const em__march &m)
    {
        return {{m.slots, 0, 0}, m.ring, 0};
    }

    /* The same for a warp that fetches: it waits until the bytes are free, from the oldest stage on. Positions count
     * on from lap to lap. */
    struct fetcher : reader {
        em_march_slots oldest;
        int stages;                     /* in the ring */
        uint32_t position, from, start; /* of the next stage, of the oldest, of that in slot number `lane` */

        __device__ __forceinline__ void reserve(em_march_memory &memory, int bytes, int lane)
        {
            if (find(bytes) != at)
                position += (uint32_t)(capacity - at);
            while (stages && (stages == slots || position + (uint32_t)bytes - from > (uint32_t)capacity)) {
                em_barrier_wait(&memory.empty[oldest.slot], oldest.phase);
                oldest.step();
                stages--;
                from = __shfl_sync(~0u, start, oldest.slot);
            }
            if (stages++ == 0)
                from = position;
            start = lane == slot ? position : start;
            position += (uint32_t)bytes;
        }
    };

    static __device__ __forceinline__ fetcher begin(const em__march &m)
    {
        return {begin_reading(m), {m.slots, 0, 0}, 0, 0, 0, 0};
    }

    /* Weights of row `i` of `rows` of a stage, whose first row is `row` of the tile. */
    static __device__ __forceinline__ const char *find(const em__gemv &g, const em_march_tile &t, int row, int rows,
                                                       int i)
    {
        int matrix = i >= rows >> 1, at = ((t.first + row) >> 1) + i - (matrix ? rows >> 1 : 0);
        if (!g.pair) {
            at = t.first + row + i;
            matrix = at < g.end[0] ? 0 : at < g.end[1] ? 1 : 2;
            at -= matrix ? g.end[matrix - 1] : 0;
        }
        return g.weight[matrix] + (int64_t)at * g.depth * 2;
    }

    /* All stages of a tile, by one of FETCHERS warps: rows go round among them, one a lane. */
    static __device__ __forceinline__ void fetch_tile(const em__march &, const em__gemv &g, const em_march_tile &t,
                                                      em_march_memory &memory, char *ring, fetcher &at, int lane)
    {
        const int warp = (threadIdx.x >> 5) - EM_MARCH_WARPS, i = lane * FETCHERS + warp;
        const slab most = {g.warps, g.chunks * 256};
#pragma unroll 1
        for (int row = 0; row < t.rows; row += most.rows) {
            const int rows = min(most.rows, t.rows - row), mine = (rows - warp + FETCHERS - 1) / FETCHERS;
            const char *from = i < rows ? find(g, t, row, rows, i) : NULL;
#pragma unroll 1
            for (int column = 0; column < g.depth; column += most.columns) {
                const slab s = {rows, min(most.columns, g.depth - column)};
                at.reserve(memory, s.bytes(), lane);
                if (lane == 0)
                    em_barrier_expect(&memory.full[at.slot], mine * s.columns * 2);
                __syncwarp();
                if (from)
                    em_bulk_pass(ring + at.find(s.bytes()) + s.at(i), from + column * 2, s.columns * 2,
                                 &memory.full[at.slot]);
                at.pass(s.bytes());
            }
        }
    }

    static __device__ __forceinline__ void staged_sync()
    {
        __syncwarp();
    }

    /* x[k], x[k + 1] to their places, in parts. */
    static __device__ __forceinline__ void put(char *staged, int k, float2 x)
    {
        char *const block = staged + k / 32 * BLOCK + (k & 31) * 2;
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            const __nv_bfloat162 rounded = __float22bfloat162_rn(x);
            *(__nv_bfloat162 *)(block + part * 64) = rounded;
            const float2 back = __bfloat1622float2(rounded);
            x = make_float2(x.x - back.x, x.y - back.y);
        }
    }

    /* N pairs of x, STEP columns apart, to shared memory, times the gain of a norm; what there is of them, or ALL. The
     * sum of squares. */
    template <int N, bool ALL>
    static __device__ __forceinline__ float put_pairs(const em__gemv &g, int k, const float2 (&x)[N],
                                                      const float2 (&gain)[N], char *room)
    {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < N; i++)
            if (ALL || k + i * STEP < g.depth) {
                sum = fmaf(x[i].x, x[i].x, fmaf(x[i].y, x[i].y, sum));
                put(room, k + i * STEP, make_float2(x[i].x * gain[i].x, x[i].y * gain[i].y));
            }
        return sum;
    }

    /* A thread's x, of N pairs. */
    template <int N>
    static __device__ __forceinline__ float stage_all(const em__gemv &g, const float *from, bool mail, char *room,
                                                      int k)
    {
        float2 x[N], gain[N];
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = em_mail_peek_pair(from + k + i * STEP);
#pragma unroll
        for (int i = 0; i < N; i++)
            gain[i] = g.gain ? *(const float2 *)(g.gain + k + i * STEP) : make_float2(1, 1);
        if (mail)
            em_mail_hear_pairs<N>(
                N, [&](int i) { return from + k + i * STEP; }, x);
        return put_pairs<N, true>(g, k, x, gain, room);
    }

    /* Of any number of pairs: the next ones are asked for before these are put to their places. What lies behind the
     * end is a pair of the first block again, so that all lanes take the same way. */
    static __device__ __forceinline__ float stage_some(const em__gemv &g, const float *from, bool mail, char *room,
                                                       int k, int spare)
    {
        const auto at = [&](int column) { return column < g.depth ? column : spare; };
        const auto ask = [&](int column, int n, float2(&x)[PAIRS]) {
#pragma unroll
            for (int i = 0; i < PAIRS; i++)
                if (i < n)
                    x[i] = em_mail_peek_pair(from + at(column + i * STEP));
        };
        int n = (g.depth + STEP - 1) / STEP;
        float2 next[PAIRS];
        float sum = 0;
        ask(k, n, next);
#pragma unroll 1
        for (; n > 0; n -= PAIRS, k += PAIRS * STEP) {
            float2 x[PAIRS], gain[PAIRS];
#pragma unroll
            for (int i = 0; i < PAIRS; i++)
                gain[i] = g.gain && i < n ? *(const float2 *)(g.gain + at(k + i * STEP)) : make_float2(1, 1);
            if (mail)
                em_mail_hear_pairs<PAIRS>(
                    n, [&](int i) { return from + at(k + i * STEP); }, next);
#pragma unroll
            for (int i = 0; i < PAIRS; i++)
                x[i] = next[i];
            ask(k + PAIRS * STEP, n - PAIRS, next);
            sum += put_pairs<PAIRS, false>(g, k, x, gain, room);
        }
        return sum;
    }

    /* The blocks of x that a warp multiplies, by it: a lane has every STEP-th pair of columns. The lane's sum of
     * squares. Depths that are common have a text of their own. */
    static __device__ __forceinline__ float stage(const em__gemv &g, const float *mail, char *room, int thread)
    {
        const float *const from = mail ? mail : (const float *)g.x;
        const int spare = (thread & 15) * 2, k = (thread >> 4 & 1) * 256 + (thread >> 5) * 32 + spare;
        switch (g.depth) {
        case 2 * STEP: return stage_all<2>(g, from, mail, room, k);
        case 4 * STEP: return stage_all<4>(g, from, mail, room, k);
        case 5 * STEP: return stage_all<5>(g, from, mail, room, k);
        case 6 * STEP: return stage_all<6>(g, from, mail, room, k);
        case 8 * STEP: return stage_all<8>(g, from, mail, room, k);
        default: return stage_some(g, from, mail, room, k, spare);
        }
    }

    /* The lane's x of a block. */
    static __device__ __forceinline__ uint4 take(const char *staged, int block, int lane)
    {
        const int part = lane >> 2;
        return part < PARTS ? *(const uint4 *)(staged + block * BLOCK + part * 64 + (lane & 3) * 16)
                            : make_uint4(0, 0, 0, 0);
    }

    /* What a lane has of a stage's rows, of which 16 are multiplied at once: rows of the slot, and where their sums go
     * in the table, -1: nowhere. Rows that there are not are the last ones again. */
    struct share {
        int row[4], to[4];
    };

    static __device__ __forceinline__ share find_share(const em__gemv &g, const em_march_tile &t, int first, int rows,
                                                       int lane)
    {
        const int half = rows >> 1, mine = lane >> 2;
        share s;
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (g.pair) { /* of 16 rows eight are of either matrix; of 32, the first 16 of the first */
                const bool second = rows > 16 ? i >> 1 : i & 1;
                const int pair = mine + (rows > 16 ? (i & 1) * 8 : 0);
                s.row[i] = (second ? half : 0) + min(pair, half - 1);
                s.to[i] = pair < half ? (second ? t.rows >> 1 : 0) + (first >> 1) + pair : -1;
            } else {
                s.row[i] = min(mine + 8 * i, rows - 1);
                s.to[i] = mine + 8 * i < rows ? first + mine + 8 * i : -1;
            }
        return s;
    }

    /* A warp's n blocks of a stage, eight apart, by 16 HALVES rows: `rows` are the lane's, x is that of the first
     * block. The slot is free when all is in registers. */
    template <int HALVES>
    static __device__ __forceinline__ void multiply(int n, const char *const (&rows)[4], const char *x, uint64_t *empty,
                                                    int lane, float (&sum)[2][2][4])
    {
        constexpr int N = MOST / HALVES;
        uint4 w[N][2 * HALVES], its[N];
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n) {
#pragma unroll
                for (int r = 0; r < 2 * HALVES; r++)
                    w[i][r] = *(const uint4 *)(rows[r] + i * 512);
                its[i] = take(x, i * EM_MARCH_WARPS, lane);
            }
        __syncwarp();
        if (lane == 0)
            em_barrier_arrive(empty);
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n) {
#pragma unroll
                for (int h = 0; h < HALVES; h++) {
                    const int to = HALVES == 2 ? h : i & 1;
                    const uint4 low = w[i][2 * h], high = w[i][2 * h + 1];
                    em_march_multiply(sum[to][0], low.x, high.x, low.y, high.y, its[i].x, its[i].y);
                    em_march_multiply(sum[to][1], low.z, high.z, low.w, high.w, its[i].z, its[i].w);
                }
            }
    }

    /* Where a row of n of the result stands in the table; `second`: its other half, of a pair. */
    static __device__ __forceinline__ int entry(const em__gemv &, int row, int n, bool second)
    {
        return second ? n + row : row;
    }

    /* Where the table has a warp's sum of a row. */
    static __device__ __forceinline__ int at_table(int row, int warp)
    {
        return warp * EM_MARCH_MOST + row;
    }

    /* A warp's sums to the table: the first lane of four has two parts of x, the second one. */
    template <int HALVES>
    static __device__ __forceinline__ void keep(const float (&sum)[2][2][4], const share &s, em_march_memory &memory,
                                                int warp, int lane)
    {
#pragma unroll
        for (int i = 0; i < 2 * HALVES; i++) {
            const int h = i >> 1, at = 2 * (i & 1);
            float first = sum[h][0][at] + sum[h][1][at], second = sum[h][0][at + 1] + sum[h][1][at + 1];
            if (HALVES == 1) {
                first += sum[1][0][at] + sum[1][1][at];
                second += sum[1][0][at + 1] + sum[1][1][at + 1];
            }
            const float third = __shfl_down_sync(~0u, first, 1);
            if ((lane & 3) == 0 && s.to[i] >= 0)
                memory.table[at_table(s.to[i], warp)] = first + second + third;
        }
    }

    /* Rows `first` .. `first` + `rows` - 1 of a tile, by a warp. */
    template <int HALVES>
    static __device__ __forceinline__ void multiply_rows(const em__gemv &g, const em_march_tile &t, int first, int rows,
                                                         int columns, em_march_memory &memory, const char *ring,
                                                         reader &at, int warp, int lane)
    {
        const share its = find_share(g, t, first, rows, lane);
        float sum[2][2][4] = {};
#pragma unroll 1
        for (int column = 0; column < g.depth; column += columns) {
            const slab s = {rows, min(columns, g.depth - column)};
            const char *const slot = ring + at.find(s.bytes()) + warp * 64 + (lane & 3) * 16, *lanes[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                lanes[i] = slot + s.at(its.row[i]);
            em_barrier_wait(&memory.full[at.slot], at.phase);
            multiply<HALVES>((s.columns / 32 - warp + EM_MARCH_WARPS - 1) / EM_MARCH_WARPS, lanes,
                             memory.room + (column / 32 + warp) * BLOCK, &memory.empty[at.slot], lane, sum);
            at.pass(s.bytes());
        }
        keep<HALVES>(sum, its, memory, warp, lane);
    }

    /* The block's warps multiply a tile, each its columns; their sums go to the table. */
    static __device__ __forceinline__ void multiply_tile(const em__gemv &g, const em_march_tile &t,
                                                         em_march_memory &memory, const char *ring, reader &at,
                                                         int warp, int lane)
    {
        const slab most = {g.warps, g.chunks * 256};
#pragma unroll 1
        for (int row = 0; row < t.rows; row += most.rows) {
            const int rows = min(most.rows, t.rows - row);
            if (rows > 16)
                multiply_rows<2>(g, t, row, rows, most.columns, memory, ring, at, warp, lane);
            else
                multiply_rows<1>(g, t, row, rows, most.columns, memory, ring, at, warp, lane);
        }
    }
};

#endif
