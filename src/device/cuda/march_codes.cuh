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
 * then the sums of the groups, [512 columns][part][8], then zeros.
 */
#ifndef EM_DEVICE_CUDA_MARCH_CODES_CUH
#define EM_DEVICE_CUDA_MARCH_CODES_CUH

#include "device/cuda/march_weights.cuh"

/* d = c + 16 rows of unsigned bytes by 8 columns of signed ones, exactly. */
__device__ __forceinline__ void em_march_multiply_codes(int (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                                        uint32_t b0, uint32_t b1, const int (&c)[4])
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %11, %12, %13};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}

/* sum += 16 rows of bf16, eight columns of them, by x's. */
__device__ __forceinline__ void em_march_multiply_biases(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t b)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a0), "r"(a1), "r"(b));
}

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
    static constexpr int BLOCK = 128, BLOCKS = 20, GROUP = 64, DIGITS = 3, HALF = 4 * DIGITS * 16;
    static constexpr int PAD = 64;                   /* bytes, behind a row of codes: lanes meet in no bank */
    static constexpr float UNITS = 8355000;          /* of the largest |x|; digits reach 8355711 */
    static constexpr float LEAST = 1e-30f;           /* the largest |x| of a group is taken for that, at least */
    static constexpr unsigned INFINITE = 0x7f800000; /* bits of a float */

    /* Rows of a step: all its stages are in the ring at the same time. */
    static __host__ __device__ __forceinline__ int rows_of(int depth)
    {
        const int rows = (120 << 10) / (depth / 16 * 9);
        return rows < 32 ? rows : 32;
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

    /* 16 bytes of zeros. */
    static __host__ __device__ __forceinline__ int zeros_at(int depth)
    {
        return sums_at(depth) + depth / 512 * 48;
    }

    /* Bytes of x as it is staged. */
    static size_t staged(const em__gemv *g)
    {
        return (size_t)zeros_at(g->depth) + 16;
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
        return g->scale == EM_BF16 && 1 << g->shift == GROUP && all % 16 == 0 && g->depth % 512 == 0 &&
               rows_of(g->depth) > 0;
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
        int depth, most; /* most: blocks of a stage */
        int together;    /* rows of a step, at most */
        int first, rows, half, end[2];

        __device__ __forceinline__ walk(const em__gemv &g, const em_march_tile &t)
            : depth(g.depth), most(blocks_of(depth)), together(rows_of(depth)), first(g.pair ? t.first / 2 : t.first),
              rows(t.rows), half(g.pair ? t.rows / 2 : 0), end{g.end[0], g.end[1]}
        {
        }

        /* Blocks of a row. */
        __device__ __forceinline__ int all() const
        {
            return depth / BLOCK;
        }

        /* Bytes of a row of scales. */
        __device__ __forceinline__ int scales() const
        {
            return scales_of(depth);
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

    /* Stages of a step: what `from` has from a block on. */
    static __device__ __forceinline__ void fetch(const em__march &m, const em__gemv &g, const walk &w, const step &s,
                                                 em_march_memory &memory, char *ring, fetcher &f)
    {
        const char *codes = g.weight[s.matrix] + (int64_t)s.first * (w.depth / 2);
        const char *scales = g.scales[s.matrix] + (int64_t)s.first * w.scales();
        const char *biases = g.biases[s.matrix] + (int64_t)s.first * w.scales();
#pragma unroll 1
        for (int block = 0; block < w.all(); block += w.most) {
            const int row = min(w.most, w.all() - block) * (BLOCK / 2), stride = row + PAD;
            const int extra = block == 0 ? s.rows * w.scales() : 0, bytes = s.rows * stride + 2 * extra;
            uint64_t *const full = &memory.full[f.at.slot];
            const int at = make_room(m, memory, f, bytes);
            if (em_march_elect()) {
                char *to = ring + at;
                memory.places[f.at.slot] = at;
                em_barrier_expect(full, s.rows * row + 2 * extra);
                const char *from = codes + block * (BLOCK / 2);
#pragma unroll 4
                for (int i = 0; i < s.rows; i++) {
                    em_bulk_load(to, from, row, full);
                    to += stride;
                    from += w.depth / 2;
                }
                if (extra) {
                    em_bulk_load(to, scales, extra, full);
                    em_bulk_load(to + extra, biases, extra, full);
                }
            }
            __syncwarp();
            f.head = at + bytes;
            f.live++;
            f.at.step();
        }
    }

    /* All stages of a tile, by a warp. */
    static __device__ __forceinline__ void fetch_tile(const em__march &m, const em__gemv &g, const em_march_tile &t,
                                                      em_march_memory &memory, char *ring, fetcher &f, int)
    {
        const walk w(g, t);
#pragma unroll 1
        for (int row = 0; row < w.rows;) {
            const step s = w.at(row);
            fetch(m, g, w, s, memory, ring, f);
            row += s.rows;
        }
    }

    /* The first of the columns of x, 512 apart, that a thread stages two by two. */
    static __device__ __forceinline__ int first_column(int thread)
    {
        return thread * 2;
    }

    static __device__ __forceinline__ void staged_sync()
    {
        em_march_sync();
    }

    /* The n pairs of x from column k on, `step` columns apart, to their places; a warp has n groups. */
    template <int N>
    static __device__ __forceinline__ void put(char *staged, int depth, int k, int step, int n, const float2 (&x)[N])
    {
        const int lane = threadIdx.x & 31;
        unsigned most[N], its_most = 0;
        float unit[N], its_unit = 0;
        int sum[N], its_sum = 0;
#pragma unroll
        for (int b = 0; b < N; b++) {
            const float larger = b < n ? fmaxf(fabsf(x[b].x), fabsf(x[b].y)) : 0;
            most[b] = __float_as_uint(larger);
            if (b < n && (x[b].x != x[b].x || x[b].y != x[b].y))
                most[b] = INFINITE;
            most[b] = __reduce_max_sync(~0u, most[b]);
        }
#pragma unroll
        for (int b = 0; b < N; b++) {
            float turn; /* 1 / unit */
            unit[b] = fmaxf(__uint_as_float(most[b]), LEAST) * (1 / UNITS);
            asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(turn) : "f"(unit[b]));
            turn = fmaf(turn, fmaf(-unit[b], turn, 1), turn);
            const int first = b < n ? __float2int_rn(x[b].x * turn) : 0,
                      second = b < n ? __float2int_rn(x[b].y * turn) : 0;
            const int got = __shfl_xor_sync(~0u, lane & 1 ? first : second, 1);
            sum[b] = __reduce_add_sync(~0u, first + second);
            if (b < n)
                put_digits(staged, (k + b * step) & ~3, lane & 1 ? got : first, lane & 1 ? second : got, lane & 1);
        }
#pragma unroll
        for (int b = 0; b < N; b++)
            if (lane == b) {
                its_most = most[b];
                its_unit = unit[b];
                its_sum = sum[b];
            }
        if (lane < n)
            put_group(staged, depth, (k - 2 * lane + lane * step) / GROUP, its_most < INFINITE ? its_unit : NAN,
                      its_sum);
        if (k == 0)
            *(uint4 *)(staged + zeros_at(depth)) = make_uint4(0, 0, 0, 0);
    }

    /* Columns k, k + 2, or (`odd`) k + 1, k + 3, in whole units. */
    static __device__ __forceinline__ void put_digits(char *staged, int k, int first, int second, int odd)
    {
        const unsigned a = ((unsigned)first + 0x808080) ^ 0x808080, b = ((unsigned)second + 0x808080) ^ 0x808080;
        const int at = k % BLOCK, word = at % 32 / 8;
        char *const to = staged + k / BLOCK * (2 * HALF) + word / 2 * HALF + at / 32 * (DIGITS * 16) + word % 2 * 8 +
                         odd * 4 + at % 8 / 2;
#pragma unroll
        for (int digit = 0; digit < DIGITS; digit++)
            *(uint16_t *)(to + digit * 16) = (uint16_t)__byte_perm(a, b, (2 - digit) | (6 - digit) << 4);
    }

    static __device__ __forceinline__ void put_group(char *staged, int depth, int group, float unit, int sum)
    {
        float rest = (float)sum * unit;
        *(float *)(staged + units_at(depth) + group * 4) = unit;
        __nv_bfloat16 *parts = (__nv_bfloat16 *)(staged + sums_at(depth) + group / 8 * 48) + group % 8;
#pragma unroll
        for (int part = 0; part < 3; part++) {
            const __nv_bfloat16 rounded = __float2bfloat16_rn(rest);
            parts[part * 8] = rounded;
            rest -= __bfloat162float(rounded);
        }
    }

    /* What a lane knows of x and of its own place in a product. */
    struct place {
        const char *digits[2]; /* its digits, of either half of a block */
        int step;              /* bytes from block to block */
        const char *units[2];  /* of its two columns */
        uint32_t choice[2];    /* which half of a word of scales is that of its columns */
    };

    static __device__ __forceinline__ place look_up(const char *staged, int depth, int lane)
    {
        place p;
        const int column = lane >> 2, quarter = lane & 3, there = column / DIGITS == quarter / 2;
        p.step = there ? 2 * HALF : 0;
        p.digits[0] = staged + (there ? quarter * (DIGITS * 16) + column % DIGITS * 16 : zeros_at(depth));
        p.digits[1] = p.digits[0] + (there ? HALF : 0);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int mine = 2 * quarter + i;
            p.units[i] = staged + units_at(depth) + (mine >= DIGITS) * 4;
            p.choice[i] = mine >= DIGITS ? 0x3244 : 0x1044;
        }
        return p;
    }

    /* What a lane multiplies of a block by N times 16 rows. */
    template <int N> struct part {
        uint4 codes[N][2];
    };

    template <int N>
    static __device__ __forceinline__ void load(part<N> &l, const char *const (&codes)[N][2], int block)
    {
#pragma unroll
        for (int i = 0; i < 2 * N; i++)
            l.codes[i / 2][i % 2] = *(const uint4 *)(codes[i / 2][i % 2] + block * (BLOCK / 2));
    }

    template <int N>
    static __device__ __forceinline__ void multiply(const part<N> &l, const char *const (&scales)[N][2], const place &p,
                                                    int block, float (&acc)[N][4])
    {
        constexpr uint32_t LOW = 0x0f0f0f0f;
        const int zero[4] = {0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000};
        const uint4 low = *(const uint4 *)(p.digits[0] + block * p.step);
        const uint4 high = *(const uint4 *)(p.digits[1] + block * p.step);
        const uint32_t b[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
        int d[N][4];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int n = 0; n < N; n++) {
                const uint32_t u = (&l.codes[n][0].x)[i], v = (&l.codes[n][1].x)[i];
                if (i == 0)
                    em_march_multiply_codes(d[n], u & LOW, v & LOW, u >> 4 & LOW, v >> 4 & LOW, b[0], b[1], zero);
                else
                    em_march_multiply_codes(d[n], u & LOW, v & LOW, u >> 4 & LOW, v >> 4 & LOW, b[2 * i], b[2 * i + 1],
                                            d[n]);
            }
        const float unit[2] = {*(const float *)(p.units[0] + block * 8), *(const float *)(p.units[1] + block * 8)};
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const uint32_t both = *(const uint32_t *)(scales[n][i / 2] + block * 4);
                const float scale = __uint_as_float(__byte_perm(both, 0, p.choice[i % 2]));
                acc[n][i] = fmaf(scale * unit[i % 2], __int_as_float(d[n][i]) - 12582912.0f, acc[n][i]);
            }
    }

    /* Every eighth block from `block` on, up to `end`; the next one is loaded while one is multiplied. The lane's rows
     * of codes and of scales begin at `codes` and `scales`. */
    template <int N>
    static __device__ __forceinline__ void multiply_stage(const char *const (&codes)[N][2],
                                                          const char *const (&scales)[N][2], const place &p, int &block,
                                                          int end, float (&acc)[N][4])
    {
        part<N> now, next;
        if (block < end)
            load(now, codes, block);
#pragma unroll 1
        for (; block < end; block += EM_MARCH_WARPS) {
            if (block + EM_MARCH_WARPS < end)
                load(next, codes, block + EM_MARCH_WARPS);
            multiply(now, scales, p, block, acc);
            now = next;
        }
    }

    /* Biases of N times 16 rows, which lie `behind` bytes behind the scales, by the sums of x: the warp's share. */
    template <int N>
    static __device__ __forceinline__ void add_biases(const char *const (&scales)[N][2], int behind, const char *staged,
                                                      int depth, int warp, int lane, float (&sum)[N][4])
    {
        staged += sums_at(depth) + min(lane >> 2, DIGITS - 1) * 16 + (lane & 3) * 4;
#pragma unroll 1
        for (int i = warp; i < depth / 512; i += EM_MARCH_WARPS) {
            const uint32_t x = *(const uint32_t *)(staged + i * 48);
#pragma unroll
            for (int n = 0; n < N; n++)
                em_march_multiply_biases(sum[n], *(const uint32_t *)(scales[n][0] + behind + i * 16),
                                         *(const uint32_t *)(scales[n][1] + behind + i * 16), x);
        }
    }

    /* The warp's sums of a step's rows go to the table: lanes of four share rows out and add up. */
    template <int N>
    static __device__ __forceinline__ void put_sums(const float (&acc)[N][4], const float (&bias)[N][4],
                                                    em_march_memory &memory, int row, int rows, int warp, int lane)
    {
        /* units of a digit, in the lane's columns: 0 1, 2 0, 1 2, none */
        const float left = (lane & 3) == 0 ? 65536 : (lane & 3) == 1 ? 1 : (lane & 3) == 2 ? 256 : 0;
        const float right = (lane & 3) == 0 ? 256 : (lane & 3) == 1 ? 65536 : (lane & 3) == 2 ? 1 : 0;
        float v[2 * N];
#pragma unroll
        for (int i = 0; i < 2 * N; i++) {
            const float *its = &bias[i / 2][i % 2 * 2];
            v[i] = left * acc[i / 2][i % 2 * 2] + right * acc[i / 2][i % 2 * 2 + 1];
            v[i] += (lane & 3) == 0 ? its[0] + its[1] : (lane & 3) == 1 ? its[0] : 0;
        }
        const bool odd = lane & 1;
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
    static __device__ __forceinline__ void multiply_step(const walk &w, int n, const place &p, em_march_memory &memory,
                                                         const char *ring, em_march_slots &at, int row, int turn,
                                                         int warp, int lane)
    {
        const int first = at.slot;
        const char *scales[N][2], *rows[N][2];
        float acc[N][4] = {}, bias[N][4] = {};
        int block = (warp + turn) % EM_MARCH_WARPS;
#pragma unroll 1
        for (int begin = 0; begin < w.all(); begin += w.most) {
            em_barrier_wait(&memory.full[at.slot], at.phase);
            const char *const stage = ring + memory.places[at.slot];
            const int end = min(begin + w.most, w.all()), stride = (end - begin) * (BLOCK / 2) + PAD;
            if (begin == 0)
                set_rows(scales, stage + n * stride, w.scales(), n, lane);
            set_rows(rows, stage + (lane & 3) * 16 - begin * (BLOCK / 2), stride, n, lane);
            multiply_stage<N>(rows, scales, p, block, end, acc);
            __syncwarp();
            if (begin && lane == 0)
                em_barrier_arrive(&memory.empty[at.slot]);
            at.step();
        }
        add_biases<N>(scales, n * w.scales() + (lane & 3) * 4, memory.room, w.depth, warp, lane, bias);
        __syncwarp();
        if (lane == 0)
            em_barrier_arrive(&memory.empty[first]);
        put_sums<N>(acc, bias, memory, row, n, warp, lane);
    }

    /* The block's warps multiply a tile, each its columns; their sums go to the table. */
    static __device__ __forceinline__ void multiply_tile(const em__gemv &g, const em_march_tile &t,
                                                         em_march_memory &memory, const char *ring, em_march_slots &at,
                                                         int warp, int lane)
    {
        const walk w(g, t);
        const place p = look_up(memory.room, w.depth, lane);
#pragma unroll 1
        for (int row = 0, turn = 0; row < w.rows; turn += EM_MARCH_WARPS / 2) {
            const int n = w.at(row).rows;
            if (n > 16)
                multiply_step<2>(w, n, p, memory, ring, at, row, turn, warp, lane);
            else
                multiply_step<1>(w, n, p, memory, ring, at, row, turn, warp, lane);
            row += n;
        }
    }
};

#endif
