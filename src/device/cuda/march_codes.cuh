/*
 * A march's weights of 4-bit codes, affine, in groups of 64, scales and biases of bf16.
 *
 * A step is up to 32 rows of one matrix by the whole depth; stages are up to BLOCKS blocks of 128 columns of it, and
 * its first one holds the rows' scales and biases too. Stages take what bytes they need of a ring.
 *
 * mma.m16n8k32 multiplies 16 rows of codes by x in whole numbers: x is digits[0] * 2^16 + digits[1] * 2^8 + digits[2]
 * units of its group, digits of eight bits, the largest |x| of a group nearly 2^23 units. That is f32's own precision,
 * for the largest. A lane's 16 bytes of codes lie in one group, and two groups meet in a product: three columns of B
 * are the digits of one, three those of the other, with zeros for the other's codes. Sums are exact, and become floats
 * by lying down in the mantissa of 1.5 * 2^23. Biases meet each group's sum of x, in three parts of bf16, in a product
 * of their own. Where x is not finite the sum is NaN.
 *
 * x lies as digits, [block][half][quarter of the columns][digit][16], as lanes want them; then units of the groups,
 * then the sums of the groups, [512 columns][part][8].
 */
#ifndef EM_DEVICE_CUDA_MARCH_CODES_CUH
#define EM_DEVICE_CUDA_MARCH_CODES_CUH

#include "device/cuda/march_weights.cuh"

/* d += 16 rows of unsigned bytes by 8 columns of signed ones, exactly. */
__device__ __forceinline__ void em_march_multiply_codes(int (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                                        uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/* sum += 16 rows of bf16, eight columns of them, by x's. */
__device__ __forceinline__ void em_march_multiply_biases(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t b)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a0), "r"(a1), "r"(b));
}

/* 16 bytes where the lane is one of those that have some; its registers stay as they are where not. */
__device__ __forceinline__ void em_march_load(uint4 &v, uint32_t at, int there)
{
    asm volatile("{\n"
                 ".reg .pred there;\n"
                 "setp.ne.s32 there, %5, 0;\n"
                 "@there ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];\n"
                 "}"
                 : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
                 : "r"(at), "r"(there));
}

struct em_march_codes {
    static constexpr int BLOCK = 128, BLOCKS = 10, GROUP = 64, DIGITS = 3, HALF = 4 * DIGITS * 16;
    static constexpr int PAD = 64;                   /* bytes, behind a row of codes: lanes meet in no bank */
    static constexpr float UNITS = 8355000;          /* of the largest |x|; digits reach 8355711 */
    static constexpr float LEAST = 1e-30f;           /* the largest |x| of a group is taken for that, at least */
    static constexpr unsigned INFINITE = 0x7f800000; /* bits of a float */

    /* Rows of a step: its stages are in the ring at the same time. */
    static __host__ __device__ __forceinline__ int rows_of(int depth)
    {
        return depth <= 4096 ? 32 : 16;
    }

    /* Blocks of a stage. */
    static __host__ __device__ __forceinline__ int blocks_of(int depth)
    {
        const int all = depth / BLOCK, stages = (all + BLOCKS - 1) / BLOCKS;
        return (all + stages - 1) / stages;
    }

    static __host__ __device__ __forceinline__ int units_at(int depth)
    {
        return depth * DIGITS;
    }

    static __host__ __device__ __forceinline__ int sums_at(int depth)
    {
        return units_at(depth) + depth / GROUP * 4;
    }

    /* Bytes of x as it is staged. */
    static __host__ __device__ __forceinline__ size_t staged(const em__gemv *g)
    {
        return (size_t)(sums_at(g->depth) + g->depth / 512 * 48);
    }

    /* Bytes of a row of scales; codes have eight times as many, biases as many. */
    static __host__ __device__ __forceinline__ int scales_of(int depth)
    {
        return depth / GROUP * 2;
    }

    /* Whether there is a product for these weights, and they lie as they are fetched. */
    static bool takes(const em__gemv *g)
    {
        uintptr_t all = (uintptr_t)g->gain | (uintptr_t)g->x;
        for (int i = 0; i < EM_GEMV_MATRICES; i++)
            all |= (uintptr_t)g->weight[i] | (uintptr_t)g->scales[i] | (uintptr_t)g->biases[i];
        return g->scale == EM_BF16 && 1 << g->shift == GROUP && all % 16 == 0 && g->depth % 512 == 0;
    }

    /* Rows of a block are a multiple of it. */
    static int unit(const em__gemv *g)
    {
        return g->pair ? 2 : 1;
    }

    /* Bytes of the smallest ring for it: a step, and what a stage may leave free at the end. */
    static size_t least(const em__gemv *g)
    {
        const size_t rows = (size_t)rows_of(g->depth), blocks = (size_t)(g->depth / BLOCK);
        const size_t stages = (blocks + BLOCKS - 1) / BLOCKS, all = blocks * (BLOCK / 2) + stages * PAD;
        return rows * (all + BLOCKS * (BLOCK / 2) + PAD + 4 * (size_t)scales_of(g->depth));
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

    static __device__ __forceinline__ step find(const em__gemv &g, const em_march_tile &t, int row)
    {
        if (g.pair) {
            const int half = t.rows / 2, matrix = row >= half;
            row -= matrix * half;
            return {matrix, t.first / 2 + row, min(rows_of(g.depth), half - row)};
        }
        const int at = t.first + row, matrix = at < g.end[0] ? 0 : at < g.end[1] ? 1 : 2;
        return {matrix, at - (matrix ? g.end[matrix - 1] : 0),
                min(rows_of(g.depth), min(t.rows - row, g.end[matrix] - at))};
    }

    /* Where a row of the result stands in the table; `second`: its other half, of a pair of n rows. */
    static __device__ __forceinline__ int entry(const em__gemv &, int row, int n, bool second)
    {
        return second ? row + n : row;
    }

    static __device__ __forceinline__ int at_table(int row, int warp)
    {
        return row * EM_MARCH_WARPS + warp;
    }

    /* The fetching warp's place: the next stage, the oldest one that is not known to be free, where the next begins. */
    struct fetcher {
        em_march_slots at, oldest;
        int live, head; /* stages from the oldest on; bytes */
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

    static __device__ __forceinline__ void fetch(const em__march &m, const em__gemv &g, const step &s, int block,
                                                 int blocks, em_march_memory &memory, char *ring, fetcher &f, int lane)
    {
        const int row = blocks * (BLOCK / 2), all = g.depth / 2, scales = scales_of(g.depth), stride = row + PAD;
        const int extra = block == 0 ? s.rows * scales : 0, bytes = s.rows * stride + 2 * extra;
        uint64_t *const full = &memory.full[f.at.slot];
        const int at = make_room(m, memory, f, bytes);
        if (lane == 0) {
            memory.places[f.at.slot] = at;
            em_barrier_expect(full, s.rows * row + 2 * extra);
        }
        __syncwarp();
        char *const to = ring + at;
        if (lane < s.rows)
            em_bulk_load(to + lane * stride, g.weight[s.matrix] + (int64_t)(s.first + lane) * all + block * (BLOCK / 2),
                         row, full);
        if (extra && lane < 2)
            em_bulk_load(to + s.rows * stride + lane * extra,
                         (lane ? g.biases : g.scales)[s.matrix] + (int64_t)s.first * scales, extra, full);
        f.head = at + bytes;
        f.live++;
        f.at.step();
    }

    /* All stages of a tile, by a warp. */
    static __device__ __forceinline__ void fetch_tile(const em__march &m, const em__gemv &g, const em_march_tile &t,
                                                      em_march_memory &memory, char *ring, fetcher &f, int lane)
    {
        const int all = g.depth / BLOCK, blocks = blocks_of(g.depth);
#pragma unroll 1
        for (int row = 0; row < t.rows;) {
            const step s = find(g, t, row);
#pragma unroll 1
            for (int block = 0; block < all; block += blocks)
                fetch(m, g, s, block, min(blocks, all - block), memory, ring, f, lane);
            row += s.rows;
        }
    }

    /* x[k], x[k + 1] to their places; a warp has a group. */
    static __device__ __forceinline__ void put(char *staged, int depth, int k, float2 x)
    {
        const int lane = threadIdx.x & 31, group = k / GROUP;
        const unsigned most = __reduce_max_sync(~0u, max(__float_as_uint(fabsf(x.x)), __float_as_uint(fabsf(x.y))));
        const float unit = fmaxf(__uint_as_float(most), LEAST) * (1 / UNITS);
        float turn; /* 1 / unit */
        asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(turn) : "f"(unit));
        turn = fmaf(turn, fmaf(-unit, turn, 1), turn);
        const int first = __float2int_rn(x.x * turn), second = __float2int_rn(x.y * turn);
        const unsigned digits[2] = {((unsigned)first + 0x808080) ^ 0x808080, ((unsigned)second + 0x808080) ^ 0x808080};
        const int at = k % 128, word = at % 32 / 8;
        char *const to =
            staged + k / 128 * (2 * HALF) + word / 2 * HALF + at / 32 * (DIGITS * 16) + word % 2 * 8 + at % 8 / 2;
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int digit = 0; digit < DIGITS; digit++)
                to[digit * 16 + i * 4] = (char)(digits[i] >> (16 - 8 * digit));
        const int sum = __reduce_add_sync(~0u, first + second);
        if (lane != 0)
            return;
        const float one = most < INFINITE ? unit : __uint_as_float(0x7fffffff);
        float rest = (float)sum * one;
        *(float *)(staged + units_at(depth) + group * 4) = one;
        __nv_bfloat16 *parts = (__nv_bfloat16 *)(staged + sums_at(depth) + k / 512 * 48) + group % 8;
#pragma unroll
        for (int part = 0; part < 3; part++) {
            parts[part * 8] = __float2bfloat16_rn(rest);
            rest -= __bfloat162float(parts[part * 8]);
        }
    }

    /* What a lane knows of x and of its own place in a product. */
    struct place {
        uint32_t digits;      /* where its digits begin, in shared memory */
        const char *units;    /* the groups' units, of its two columns */
        const char *sums;     /* of biases */
        uint32_t choice[2];   /* which half of a word of scales is that of its columns */
        float weight[2];      /* of a unit, in its columns */
        int there, second[2]; /* whether it has digits; which group its columns are of */
    };

    static __device__ __forceinline__ place look_up(const char *staged, int depth, int lane)
    {
        place p;
        const int column = lane >> 2, quarter = lane & 3, digit = column % DIGITS;
        p.there = column / DIGITS == quarter / 2;
        p.digits = em_shared(staged) + quarter * (DIGITS * 16) + digit * 16;
        p.units = staged + units_at(depth);
        p.sums = staged + sums_at(depth) + min(column, DIGITS - 1) * 16 + quarter * 4;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int mine = 2 * quarter + i;
            p.second[i] = mine >= DIGITS;
            p.choice[i] = mine >= DIGITS ? 0x3244 : 0x1044;
            p.weight[i] = mine >= 2 * DIGITS ? 0 : mine % DIGITS == 0 ? 65536 : mine % DIGITS == 1 ? 256 : 1;
        }
        return p;
    }

    /* N times 16 rows by a block; the lane's rows of codes and of scales lie at `codes` and `scales`. */
    template <int N>
    static __device__ __forceinline__ void multiply(const char *const (&codes)[N][2], const char *const (&scales)[N][2],
                                                    const place &p, int block, uint4 (&x)[2], float (&acc)[N][4])
    {
        constexpr uint32_t LOW = 0x0f0f0f0f;
        uint4 w[N][2];
        uint32_t s[N][2];
        int d[N][4];
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 2; i++) {
                w[n][i] = *(const uint4 *)(codes[n][i] + block * (BLOCK / 2));
                s[n][i] = *(const uint32_t *)(scales[n][i] + block * 4);
                d[n][2 * i] = d[n][2 * i + 1] = 0x4b400000;
            }
        em_march_load(x[0], p.digits + block * (2 * HALF), p.there);
        em_march_load(x[1], p.digits + block * (2 * HALF) + HALF, p.there);
        float unit[2];
#pragma unroll
        for (int i = 0; i < 2; i++)
            unit[i] = *(const float *)(p.units + block * 8 + p.second[i] * 4);
        const uint32_t b[8] = {x[0].x, x[0].y, x[0].z, x[0].w, x[1].x, x[1].y, x[1].z, x[1].w};
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int n = 0; n < N; n++) {
                const uint32_t u = (&w[n][0].x)[i], v = (&w[n][1].x)[i];
                em_march_multiply_codes(d[n], u & LOW, v & LOW, u >> 4 & LOW, v >> 4 & LOW, b[2 * i], b[2 * i + 1]);
            }
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float scale = __uint_as_float(__byte_perm(s[n][i / 2], 0, p.choice[i % 2]));
                acc[n][i] = fmaf(scale * unit[i % 2], __int_as_float(d[n][i]) - 12582912.0f, acc[n][i]);
            }
    }

    /* Biases of N times 16 rows by the sums of x: the warp's share of them. */
    template <int N>
    static __device__ __forceinline__ void add_biases(const char *const (&biases)[N][2], const place &p, int depth,
                                                      int warp, float (&sum)[N][4])
    {
#pragma unroll 1
        for (int i = warp; i < depth / 512; i += EM_MARCH_WARPS) {
            const uint32_t x = *(const uint32_t *)(p.sums + i * 48);
#pragma unroll
            for (int n = 0; n < N; n++)
                em_march_multiply_biases(sum[n], *(const uint32_t *)(biases[n][0] + i * 16),
                                         *(const uint32_t *)(biases[n][1] + i * 16), x);
        }
    }

    /* The warp's sums of a step's rows go to the table. */
    template <int N>
    static __device__ __forceinline__ void put_sums(const place &p, float (&acc)[N][4], const float (&bias)[N][4],
                                                    em_march_memory &memory, int row, int rows, int warp, int lane)
    {
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float v = p.weight[0] * acc[n][2 * i] + p.weight[1] * acc[n][2 * i + 1];
                if ((lane & 3) < 2)
                    v += (lane & 3) == 0 ? bias[n][2 * i] + bias[n][2 * i + 1] : bias[n][2 * i];
                v += __shfl_xor_sync(~0u, v, 1);
                v += __shfl_xor_sync(~0u, v, 2);
                const int at = 16 * n + 8 * i + (lane >> 2);
                if ((lane & 3) == 0 && at < rows)
                    memory.table[at_table(row + at, warp)] = v;
            }
    }

    /* Where the lane's rows of N times 16 lie; behind the last one, it again. */
    template <int N>
    static __device__ __forceinline__ void set_rows(const char *(&rows)[N][2], const char *first, int stride, int n,
                                                    int lane)
    {
#pragma unroll
        for (int i = 0; i < 2 * N; i++)
            rows[i / 2][i % 2] = first + min((lane >> 2) + 8 * i, n - 1) * stride;
    }

    /* A step of up to 16 N rows: every eighth block is the warp's. */
    template <int N>
    static __device__ __forceinline__ void multiply_step(const em__gemv &g, const step &s, const place &p,
                                                         em_march_memory &memory, const char *ring, em_march_slots &at,
                                                         int row, int turn, int warp, int lane)
    {
        const int all = g.depth / BLOCK, most = blocks_of(g.depth), scales_row = scales_of(g.depth);
        const int first = at.slot;
        const char *scales[N][2], *rows[N][2];
        float acc[N][4] = {}, bias[N][4] = {};
        uint4 x[2] = {};
        int block = (warp + turn) % EM_MARCH_WARPS;
#pragma unroll 1
        for (int begin = 0; begin < all; begin += most) {
            em_barrier_wait(&memory.full[at.slot], at.phase);
            const char *const stage = ring + memory.places[at.slot];
            const int end = min(begin + most, all), stride = (end - begin) * (BLOCK / 2) + PAD;
            if (begin == 0) {
                const char *const its = stage + s.rows * stride;
                set_rows(rows, its + s.rows * scales_row + (lane & 3) * 4, scales_row, s.rows, lane);
                add_biases<N>(rows, p, g.depth, warp, bias);
                set_rows(scales, its, scales_row, s.rows, lane);
            }
            set_rows(rows, stage + (lane & 3) * 16 - begin * (BLOCK / 2), stride, s.rows, lane);
#pragma unroll 1
            for (; block < end; block += EM_MARCH_WARPS)
                multiply<N>(rows, scales, p, block, x, acc);
            __syncwarp();
            if (begin && lane == 0)
                em_barrier_arrive(&memory.empty[at.slot]);
            at.step();
        }
        if (lane == 0)
            em_barrier_arrive(&memory.empty[first]);
        put_sums<N>(p, acc, bias, memory, row, s.rows, warp, lane);
    }

    /* The block's warps multiply a tile, each its columns; their sums go to the table. */
    static __device__ __forceinline__ void multiply_tile(const em__gemv &g, const em_march_tile &t,
                                                         em_march_memory &memory, const char *ring, em_march_slots &at,
                                                         int warp, int lane)
    {
        const place p = look_up(memory.room, g.depth, lane);
#pragma unroll 1
        for (int row = 0, turn = 0; row < t.rows; turn += EM_MARCH_WARPS / 2) {
            const step s = find(g, t, row);
            if (s.rows > 16)
                multiply_step<2>(g, s, p, memory, ring, at, row, turn, warp, lane);
            else
                multiply_step<1>(g, s, p, memory, ring, at, row, turn, warp, lane);
            row += s.rows;
        }
    }
};

#endif
