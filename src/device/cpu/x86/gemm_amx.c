/*
 * Kernels of gemm_split.h for AMX. Four tiles hold the sums of 32 x 32 elements; the other four hold two tiles of A and
 * two of B. The order of the six products changes one side at a time: 14 loads for 24 multiplications of 16 cycles.
 */
#include <immintrin.h>

#include "device/cpu/tiles_amx.h"
#include "device/cpu/gemm_ends_amx.h"

#define PANEL EM__GEMM_PANEL
#define TILE EM__SPLIT_TILE
#define PAIRS (EM__SPLIT_DEPTH / 2) /* of rows in a step of a panel */

#define LOAD_A(part)                                                                                                   \
    _tile_loadd(A0, a0 + (part)*TILE, 64);                                                                             \
    _tile_loadd(A1, a1 + (part)*TILE, 64)

#define LOAD_B(part)                                                                                                   \
    _tile_loadd(B0, b + (part)*2 * TILE, 64);                                                                          \
    _tile_loadd(B1, b + (part)*2 * TILE + TILE, 64)

#define MULTIPLY_ONE()                                                                                                 \
    _tile_dpbf16ps(C00, A0, B0);                                                                                       \
    _tile_dpbf16ps(C01, A0, B1)

#define MULTIPLY()                                                                                                     \
    MULTIPLY_ONE();                                                                                                    \
    _tile_dpbf16ps(C10, A1, B0);                                                                                       \
    _tile_dpbf16ps(C11, A1, B1)

static inline void prefetch_lines(const char *at, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        _mm_prefetch(at + i, _MM_HINT_T1);
}

/* The parts of split_rows, but by leaving digits off: an instruction less each. */
static inline void cut_vector(__m512 x, __m512i part[3])
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    part[HIGH] = _mm512_and_si512(_mm512_castps_si512(x), upper);
    x = _mm512_sub_ps(x, _mm512_castsi512_ps(part[HIGH]));
    part[MIDDLE] = _mm512_and_si512(_mm512_castps_si512(x), upper);
    x = _mm512_sub_ps(x, _mm512_castsi512_ps(part[MIDDLE]));
    part[LOW] = _mm512_castps_si512(x);
}

/* Two rows of a panel, cut into thirds: a row of each tile of a step. */
static inline __attribute__((always_inline)) void cut_pair(uint16_t *dst, const float *src)
{
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        __m512i even[3], odd[3];
        cut_vector(_mm512_load_ps(src + 16 * half), even);
        cut_vector(_mm512_load_ps(src + PANEL + 16 * half), odd);
#pragma GCC unroll 3
        for (int part = HIGH; part <= LOW; part++)
            _mm512_store_si512(dst + (2 * part + half) * TILE,
                               _mm512_or_si512(_mm512_srli_epi32(even[part], 16), odd[part]));
    }
}

/* Pairs of what comes next, while tiles multiply; and what comes behind that is called nearer. */
static inline void cut_pairs(const em__split_block *block, int64_t from, int64_t to)
{
    to = to < block->cut_end ? to : block->cut_end;
    for (int64_t pair = from; pair < to; pair++) {
        const float *src = block->next + 2 * pair * PANEL + (pair < block->cut_gap ? 0 : EM__SPLIT_GAP);
        for (int i = 0; i < 4; i++)
            _mm_prefetch((const char *)src + block->behind + 64 * i, _MM_HINT_T1);
        cut_pair(block->cut + ((pair / PAIRS + block->lead) & block->ring) * EM__SPLIT_B_STEP +
                     pair % PAIRS * EM__SPLIT_DEPTH,
                 src);
    }
}

/* The products of the tiles that are there. What comes next is loaded into each tile behind the last product that needs
 * it, not behind all four: as much as 18 % faster where another thread keeps the core busy, alike where none does. */
#define MULTIPLY_THEN_B(at)                                                                                            \
    _tile_dpbf16ps(C00, A0, B0);                                                                                       \
    _tile_dpbf16ps(C10, A1, B0);                                                                                       \
    _tile_loadd(B0, at, 64);                                                                                           \
    _tile_dpbf16ps(C01, A0, B1);                                                                                       \
    _tile_dpbf16ps(C11, A1, B1);                                                                                       \
    _tile_loadd(B1, (at) + TILE, 64)

#define MULTIPLY_THEN_A(at0, at1)                                                                                      \
    _tile_dpbf16ps(C00, A0, B0);                                                                                       \
    _tile_dpbf16ps(C01, A0, B1);                                                                                       \
    _tile_loadd(A0, at0, 64);                                                                                          \
    _tile_dpbf16ps(C10, A1, B0);                                                                                       \
    _tile_dpbf16ps(C11, A1, B1);                                                                                       \
    _tile_loadd(A1, at1, 64)

#define B_HIGH(b) ((b) + HIGH * 2 * TILE)
#define B_MIDDLE(b) ((b) + MIDDLE * 2 * TILE)
#define B_LOW(b) ((b) + LOW * 2 * TILE)

static void multiply_two(const em__split_block *block, int64_t from, int64_t to)
{
    const uint16_t *a0 = block->a[0] + from * EM__SPLIT_A_STEP, *a1 = block->a[1] + from * EM__SPLIT_A_STEP;
    const uint16_t *b = block->b + (from & block->ring) * EM__SPLIT_B_STEP;
    const int64_t each = block->cut_each, third = (each + 2) / 3;
    int64_t pair = block->cut_from + from * each;
    _tile_loadd(A0, a0 + HIGH * TILE, 64);
    _tile_loadd(B0, B_LOW(b), 64);
    _tile_loadd(A1, a1 + HIGH * TILE, 64);
    _tile_loadd(B1, B_LOW(b) + TILE, 64);
    for (int64_t step = from; step < to; step++) {
        MULTIPLY_THEN_B(B_MIDDLE(b));
        MULTIPLY_THEN_A(a0 + MIDDLE * TILE, a1 + MIDDLE * TILE);
        cut_pairs(block, pair, pair + third);
        MULTIPLY_THEN_B(B_HIGH(b));
        MULTIPLY_THEN_A(a0 + LOW * TILE, a1 + LOW * TILE);
        cut_pairs(block, pair + third, pair + each - each / 3);
        MULTIPLY_THEN_A(a0 + HIGH * TILE, a1 + HIGH * TILE);
        cut_pairs(block, pair + each - each / 3, pair + each);
        pair += each;
        if (step + 1 < to) { /* behind the last step it is loaded once more */
            a0 += EM__SPLIT_A_STEP;
            a1 += EM__SPLIT_A_STEP;
            b = block->b + ((step + 1) & block->ring) * EM__SPLIT_B_STEP;
        }
        MULTIPLY_THEN_A(a0 + HIGH * TILE, a1 + HIGH * TILE);
        _tile_loadd(B0, B_LOW(b), 64);
        _tile_loadd(B1, B_LOW(b) + TILE, 64);
    }
}

/* The same products in the same order for 16 rows. */
static void multiply_one(const em__split_block *block, int64_t from, int64_t to)
{
    const uint16_t *a0 = block->a[0] + from * EM__SPLIT_A_STEP;
    const int64_t each = block->cut_each;
    int64_t pair = block->cut_from + from * each;
    for (int64_t step = from; step < to; step++) {
        const uint16_t *b = block->b + (step & block->ring) * EM__SPLIT_B_STEP;
        _tile_loadd(A0, a0 + HIGH * TILE, 64);
        LOAD_B(LOW);
        MULTIPLY_ONE();
        cut_pairs(block, pair, pair + each / 2);
        LOAD_B(MIDDLE);
        MULTIPLY_ONE();
        _tile_loadd(A0, a0 + MIDDLE * TILE, 64);
        MULTIPLY_ONE();
        cut_pairs(block, pair + each / 2, pair + each);
        pair += each;
        LOAD_B(HIGH);
        MULTIPLY_ONE();
        _tile_loadd(A0, a0 + LOW * TILE, 64);
        MULTIPLY_ONE();
        _tile_loadd(A0, a0 + HIGH * TILE, 64);
        MULTIPLY_ONE();
        a0 += EM__SPLIT_A_STEP;
    }
}

/* Where 32 rows are all that a panel meets, a step of it is cut in each step. That takes longer than the products: they
 * run beside it if there is little of it between any two of them. The processor itself sees what is read next. */
typedef struct cutting {
    const float *src;
    uint16_t *dst;
} cutting;

static inline __attribute__((always_inline)) void cut_one(cutting *c)
{
    cut_pair(c->dst, c->src);
    c->src += 2 * PANEL;
    c->dst += EM__SPLIT_DEPTH;
}

static inline cutting cutting_at(const em__split_block *block, int64_t step)
{
    const int64_t gap = step * PAIRS < block->cut_gap ? 0 : EM__SPLIT_GAP;
    return (cutting){block->next + step * EM__SPLIT_DEPTH * PANEL + gap,
                     block->cut + ((step + block->lead) & block->ring) * EM__SPLIT_B_STEP};
}

#define CUT_1() cut_one(&c)
#define CUT_2()                                                                                                        \
    cut_one(&c);                                                                                                       \
    cut_one(&c)

#define MULTIPLY_ONE_CUT(LAST)                                                                                         \
    _tile_dpbf16ps(C00, A0, B0);                                                                                       \
    CUT_1();                                                                                                           \
    _tile_dpbf16ps(C01, A0, B1);                                                                                       \
    LAST()

static void multiply_one_on(const em__split_block *block, int64_t from, int64_t to)
{
    const uint16_t *a0 = block->a[0] + from * EM__SPLIT_A_STEP;
    const int64_t end = to < block->cut_end / PAIRS ? to : block->cut_end / PAIRS;
    for (int64_t step = from; step < end; step++) {
        const uint16_t *b = block->b + (step & block->ring) * EM__SPLIT_B_STEP;
        cutting c = cutting_at(block, step);
        _tile_loadd(A0, a0 + HIGH * TILE, 64);
        LOAD_B(LOW);
        MULTIPLY_ONE_CUT(CUT_2);
        LOAD_B(MIDDLE);
        MULTIPLY_ONE_CUT(CUT_2);
        _tile_loadd(A0, a0 + MIDDLE * TILE, 64);
        MULTIPLY_ONE_CUT(CUT_2);
        LOAD_B(HIGH);
        MULTIPLY_ONE_CUT(CUT_2);
        _tile_loadd(A0, a0 + LOW * TILE, 64);
        MULTIPLY_ONE_CUT(CUT_1);
        _tile_loadd(A0, a0 + HIGH * TILE, 64);
        MULTIPLY_ONE_CUT(CUT_1);
        a0 += EM__SPLIT_A_STEP;
    }
    if (end < to)
        multiply_one(block, end > from ? end : from, to);
}

#define MULTIPLY_CUT(LAST)                                                                                             \
    _tile_dpbf16ps(C00, A0, B0);                                                                                       \
    _tile_dpbf16ps(C01, A0, B1);                                                                                       \
    CUT_1();                                                                                                           \
    _tile_dpbf16ps(C10, A1, B0);                                                                                       \
    _tile_dpbf16ps(C11, A1, B1);                                                                                       \
    LAST()

static void multiply_two_on(const em__split_block *block, int64_t from, int64_t to)
{
    const uint16_t *a0 = block->a[0] + from * EM__SPLIT_A_STEP, *a1 = block->a[1] + from * EM__SPLIT_A_STEP;
    const int64_t end = to < block->cut_end / PAIRS ? to : block->cut_end / PAIRS;
    for (int64_t step = from; step < end; step++) {
        const uint16_t *b = block->b + (step & block->ring) * EM__SPLIT_B_STEP;
        cutting c = cutting_at(block, step);
        LOAD_A(HIGH);
        LOAD_B(LOW);
        MULTIPLY_CUT(CUT_2);
        LOAD_B(MIDDLE);
        MULTIPLY_CUT(CUT_2);
        LOAD_A(MIDDLE);
        MULTIPLY_CUT(CUT_2);
        LOAD_B(HIGH);
        MULTIPLY_CUT(CUT_2);
        LOAD_A(LOW);
        MULTIPLY_CUT(CUT_1);
        LOAD_A(HIGH);
        MULTIPLY_CUT(CUT_1);
        a0 += EM__SPLIT_A_STEP;
        a1 += EM__SPLIT_A_STEP;
    }
    if (end < to)
        multiply_two(block, end > from ? end : from, to);
}

/* The last three of these products, by a panel that is bf16. */
static void multiply_half_two(const em__split_block *block, int64_t from, int64_t to)
{
    const uint16_t *a0 = block->a[0] + from * EM__SPLIT_A_STEP, *a1 = block->a[1] + from * EM__SPLIT_A_STEP;
    const uint16_t *b = block->b + from * EM__SPLIT_HALF_STEP;
    const char *ahead = block->prefetch + from * block->prefetch_step;
    for (int64_t step = from; step < to; step++) {
        LOAD_B(HIGH);
        LOAD_A(MIDDLE);
        MULTIPLY();
        prefetch_lines(ahead, block->prefetch_step);
        LOAD_A(LOW);
        MULTIPLY();
        LOAD_A(HIGH);
        MULTIPLY();
        ahead += block->prefetch_step;
        a0 += EM__SPLIT_A_STEP;
        a1 += EM__SPLIT_A_STEP;
        b += EM__SPLIT_HALF_STEP;
    }
}

static void multiply_half_one(const em__split_block *block, int64_t from, int64_t to)
{
    const uint16_t *a0 = block->a[0] + from * EM__SPLIT_A_STEP, *b = block->b + from * EM__SPLIT_HALF_STEP;
    const char *ahead = block->prefetch + from * block->prefetch_step;
    for (int64_t step = from; step < to; step++) {
        LOAD_B(HIGH);
        _tile_loadd(A0, a0 + MIDDLE * TILE, 64);
        MULTIPLY_ONE();
        prefetch_lines(ahead, block->prefetch_step);
        _tile_loadd(A0, a0 + LOW * TILE, 64);
        MULTIPLY_ONE();
        _tile_loadd(A0, a0 + HIGH * TILE, 64);
        MULTIPLY_ONE();
        ahead += block->prefetch_step;
        a0 += EM__SPLIT_A_STEP;
        b += EM__SPLIT_HALF_STEP;
    }
}

typedef void (*steps_fn)(const em__split_block *block, int64_t from, int64_t to);

/* The sums of steps [from, to), stored. */
static void multiply_steps(const em__split_block *block, steps_fn one, steps_fn two, int64_t from, int64_t to,
                           float *sum)
{
    const int stride = PANEL * sizeof(float);
    _tile_zero(C00);
    _tile_zero(C01);
    if (block->a[1]) {
        _tile_zero(C10);
        _tile_zero(C11);
        two(block, from, to);
        _tile_stored(C10, sum + 16 * PANEL, stride);
        _tile_stored(C11, sum + 16 * PANEL + 16, stride);
    } else {
        one(block, from, to);
    }
    _tile_stored(C00, sum, stride);
    _tile_stored(C01, sum + 16, stride);
}

static void multiply_chunks(const em__split_block *block, steps_fn one, steps_fn two)
{
    _Alignas(64) float chunk[EM__SPLIT_ROWS * PANEL];
    const int count = block->a[1] ? EM__SPLIT_ROWS * PANEL : EM__SPLIT_ROWS / 2 * PANEL;
    int64_t to = 0;
    if (!block->add) {
        to = block->steps < EM__SPLIT_CHUNK ? block->steps : EM__SPLIT_CHUNK;
        multiply_steps(block, one, two, 0, to, block->sum);
    }
    while (to < block->steps) {
        const int64_t from = to;
        to = block->steps - from < EM__SPLIT_CHUNK ? block->steps : from + EM__SPLIT_CHUNK;
        multiply_steps(block, one, two, from, to, chunk);
        for (int i = 0; i < count; i += 16)
            _mm512_store_ps(block->sum + i, _mm512_add_ps(_mm512_load_ps(block->sum + i), _mm512_load_ps(chunk + i)));
    }
}

static void multiply_amx(const em__split_block *block)
{
    if (block->ring >= 0)
        multiply_chunks(block, multiply_one_on, multiply_two_on);
    else
        multiply_chunks(block, multiply_one, multiply_two);
}

static void multiply_half_amx(const em__split_block *block)
{
    multiply_chunks(block, multiply_half_one, multiply_half_two);
}

static void cut_amx(uint16_t *dst, const float *panel, int64_t steps)
{
    for (int64_t pair = 0; pair < steps * PAIRS; pair++)
        cut_pair(dst + pair / PAIRS * EM__SPLIT_B_STEP + pair % PAIRS * EM__SPLIT_DEPTH, panel + 2 * pair * PANEL);
}

static const em__gemm_split_kernels split_amx = {
    .begin = em__tiles_begin_amx,
    .end = em__tiles_end_amx,
    .multiply = multiply_amx,
    .multiply_half = multiply_half_amx,
    .lay_half = em__split_lay_half_amx,
    .store = em__split_store_amx,
    .split_rows = em__split_rows_amx,
    .cut = cut_amx,
};

void em__gemm_kernels_amx(em__gemm_kernels *kernels)
{
    kernels->level = EM__CPU_AMX;
    kernels->split = &split_amx;
}
