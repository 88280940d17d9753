/*
 * Kernels of products that round A (gemm_round.h) for AMX. Four tiles hold the sums of 32 x 32 elements. Of 17 to 31
 * rows the second 16 begin among the first: sums of the rows that are in both are the same twice, and nothing behind
 * the last row is read.
 */
#include <immintrin.h>
#include <string.h>

#include "device/cpu/gemm_round.h"
#include "device/cpu/tiles_amx.h"

#define PANEL EM__GEMM_PANEL
#define TILE_ROWS 32
#define HALF_ROWS 16
#define STEP 32 /* k that an instruction multiplies */
#define STEP_B (STEP * EM__ROUND_COLUMNS)

/* Loads name an address, not what they read there: what was written must be in memory. */
#define WRITTEN(at) __asm__ volatile("" : : "r"(at) : "memory")

/* Where operands and sums are. */
typedef struct operands {
    const uint16_t *a[2], *b[2];
    int64_t a_bytes; /* from row to row */
    float *c[2];
    int64_t c_bytes;
    const char *next; /* what C will be next: rows as far apart; or NULL */
} operands;

#define AHEAD 2 /* rows of the next C that are asked for in a step */

/* Tiles are stored at once, to lines that the caches would have to ask for one after the other. */
static inline void ask_ahead(const operands *o, int64_t step)
{
    if (!o->next || step >= TILE_ROWS / AHEAD)
        return;
    for (int64_t r = step * AHEAD; r < (step + 1) * AHEAD; r++) {
        __builtin_prefetch(o->next + r * o->c_bytes, 1, 3);
        __builtin_prefetch(o->next + r * o->c_bytes + 64, 1, 3);
    }
}

/* What comes next is loaded into each tile behind the last product that needs it. B goes by the first cache, where A
 * stays: it is met once. */
static void multiply_two(const operands *o, int64_t steps)
{
    const uint16_t *a0 = o->a[0], *a1 = o->a[1], *b0 = o->b[0], *b1 = o->b[1];
    _tile_loadd(A0, a0, o->a_bytes);
    _tile_stream_loadd(B0, b0, 64);
    _tile_loadd(A1, a1, o->a_bytes);
    _tile_stream_loadd(B1, b1, 64);
    for (int64_t i = 0; i < steps; i++) {
        if (i + 1 < steps) { /* behind the last step it is loaded once more */
            a0 += STEP;
            a1 += STEP;
            b0 += STEP_B;
            b1 += STEP_B;
        }
        ask_ahead(o, i);
        _tile_dpbf16ps(C00, A0, B0);
        _tile_dpbf16ps(C10, A1, B0);
        _tile_stream_loadd(B0, b0, 64);
        _tile_dpbf16ps(C01, A0, B1);
        _tile_loadd(A0, a0, o->a_bytes);
        _tile_dpbf16ps(C11, A1, B1);
        _tile_loadd(A1, a1, o->a_bytes);
        _tile_stream_loadd(B1, b1, 64);
    }
}

static void multiply_one(const operands *o, int64_t steps)
{
    for (int64_t i = 0; i < steps; i++) {
        _tile_loadd(A0, o->a[0] + i * STEP, o->a_bytes);
        _tile_loadd(B0, o->b[0] + i * STEP_B, 64);
        _tile_loadd(B1, o->b[1] + i * STEP_B, 64);
        _tile_dpbf16ps(C00, A0, B0);
        _tile_dpbf16ps(C01, A0, B1);
    }
}

static void multiply(const operands *o, int64_t steps)
{
    if (steps > 0 && o->a[1])
        multiply_two(o, steps);
    else if (steps > 0)
        multiply_one(o, steps);
}

/* The pairs behind the last whole step, with zeros behind them. */
static __attribute__((noinline)) void multiply_rest(const em__round_tile *t, const operands *from, int64_t pairs)
{
    _Alignas(64) uint16_t a[TILE_ROWS * STEP] = {0}, b[2 * STEP_B] = {0};
    const int64_t k = t->pairs - pairs;
    const operands o = {.a = {a, from->a[1] ? a + HALF_ROWS * STEP : NULL}, .b = {b, b + STEP_B}, .a_bytes = 2 * STEP};
    for (int half = 0; half < 2; half++) {
        const uint16_t *rows = from->a[half];
        for (int r = 0; rows && r < HALF_ROWS && r < t->rows; r++)
            memcpy(a + (half * HALF_ROWS + r) * STEP, rows + r * (from->a_bytes / 2) + 2 * k, (size_t)pairs * 4);
        memcpy(b + half * STEP_B, from->b[half] + k * 2 * EM__ROUND_COLUMNS, (size_t)pairs * 64);
    }
    WRITTEN(a);
    WRITTEN(b);
    multiply(&o, 1);
}

/* The sums' tiles from memory, or zeros. */
static void begin_sums(const operands *o, bool first)
{
    if (first) {
        _tile_zero(C00);
        _tile_zero(C01);
        _tile_zero(C10);
        _tile_zero(C11);
        return;
    }
    _tile_loadd(C00, o->c[0], o->c_bytes);
    _tile_loadd(C01, o->c[0] + 16, o->c_bytes);
    if (o->a[1]) {
        _tile_loadd(C10, o->c[1], o->c_bytes);
        _tile_loadd(C11, o->c[1] + 16, o->c_bytes);
    }
}

static void end_sums(const operands *o)
{
    _tile_stored(C00, o->c[0], o->c_bytes);
    _tile_stored(C01, o->c[0] + 16, o->c_bytes);
    if (o->a[1]) {
        _tile_stored(C10, o->c[1], o->c_bytes);
        _tile_stored(C11, o->c[1] + 16, o->c_bytes);
    }
}

/* C of the sums, + bias, + residual. */
static void put(const em__round_tile *t, const float *sums)
{
    const uint32_t mask = t->columns < PANEL ? (1u << t->columns) - 1 : ~0u;
    for (int half = 0; half < 2; half++) {
        const __mmask16 m = (__mmask16)(mask >> 16 * half);
        const __m512 bias = t->bias ? _mm512_maskz_loadu_ps(m, t->bias + 16 * half) : _mm512_setzero_ps();
        for (int r = 0; r < t->rows; r++) {
            __m512 x = _mm512_load_ps(sums + r * PANEL + 16 * half);
            if (t->bias)
                x = _mm512_add_ps(x, bias);
            if (t->residual)
                x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(m, t->residual + r * t->ldr + 16 * half));
            _mm512_mask_storeu_ps(t->c + r * t->ldc + 16 * half, m, x);
        }
    }
}

static void get(const em__round_tile *t, float *sums)
{
    for (int r = 0; r < t->rows; r++)
        memcpy(sums + r * PANEL, t->c + r * t->ldc, (size_t)t->columns * sizeof *sums);
}

static void run(const em__round_tile *t, operands *o)
{
    const int64_t steps = 2 * t->pairs / STEP, rest = t->pairs - steps * (STEP / 2);
    const int second = t->rows - HALF_ROWS;
    if (second > 0) {
        o->a[1] = o->a[0] + second * (o->a_bytes / 2);
        o->c[1] = o->c[0] + second * (o->c_bytes / 4);
    }
    begin_sums(o, t->first);
    multiply(o, steps);
    if (rest)
        multiply_rest(t, o, rest);
    end_sums(o);
}

/* Fewer rows than a tile of A has: they are copied, block by block. */
static __attribute__((noinline)) void run_few(const em__round_tile *t, float *sums)
{
    _Alignas(64) uint16_t a[HALF_ROWS * (EM__ROUND_DEPTH + STEP)];
    const int64_t stride = EM__ROUND_DEPTH + STEP;
    em__round_tile part = *t;
    for (int64_t done = 0; done == 0 || done < t->pairs; done += part.pairs) {
        part.pairs = t->pairs - done < EM__ROUND_DEPTH / 2 ? t->pairs - done : EM__ROUND_DEPTH / 2;
        for (int r = 0; r < HALF_ROWS; r++)
            memcpy(a + r * stride, t->a + (r < t->rows ? r : 0) * t->lda + 2 * done, (size_t)part.pairs * 4);
        const uint16_t *b = t->b + done * 2 * EM__ROUND_COLUMNS;
        operands o = {{a}, {b, b + t->half}, 2 * stride, {sums}, PANEL * sizeof *sums};
        WRITTEN(a);
        part.first = t->first && done == 0;
        run(&part, &o);
        if (part.pairs == 0)
            break;
    }
}

static void tile_amx(const em__round_tile *t)
{
    _Alignas(64) float sums[TILE_ROWS * PANEL];
    if (t->rows >= HALF_ROWS && t->columns == PANEL && !t->bias && !t->residual) {
        operands o = {{t->a}, {t->b, t->b + t->half}, 2 * t->lda, {t->c}, t->ldc * (int64_t)sizeof *t->c};
        o.next = (const char *)t->next_c;
        run(t, &o);
        return;
    }
    if (!t->first)
        get(t, sums);
    WRITTEN(sums);
    if (t->rows < HALF_ROWS) {
        run_few(t, sums);
    } else {
        operands o = {{t->a}, {t->b, t->b + t->half}, 2 * t->lda, {sums}, PANEL * sizeof *sums};
        run(t, &o);
    }
    put(t, sums);
}

const em__round_kernels *em__round_kernels_amx(void)
{
    static const em__round_kernels kernels = {.tile_rows = TILE_ROWS,
                                              .panels = 16,
                                              .rate = 12,
                                              .long_task = 700000,
                                              .begin = em__tiles_begin_amx,
                                              .end = em__tiles_end_amx,
                                              .tile = tile_amx,
                                              .round = em__round_bf16,
                                              .turn = em__round_turn_bf16,
                                              .pair = em__round_pair_bf16};
    return &kernels;
}
