/*
 * Products with a B whose columns lie as rows of their own (gemm_kernels.h), included by a level. It defines
 *
 *   vec, LANES, GROUPS (of LANES columns in EM__THIN_COLUMNS), ROWS (of A, at most), PAIRED (up to so many rows two
 *   chunks of k go side by side, since one chain of multiply-adds would wait for itself)
 *   ZERO, SET1(x), ADD(x, y), FMA(x, y, z), LOAD(p), STORE(p, x), LOAD_F16(p), TURN(v) of LANES vectors
 *   LOW(v), HIGH(v)  the bf16 in the lower and upper half of each lane as f32
 *
 * LANES columns times LANES (bf16: twice as many) of k are turned in registers, so that a lane is a column and each
 * column sums in the order of gemm.h.
 */
#include <string.h>

#include "core/float16.h"

#define COLUMNS EM__THIN_COLUMNS
#define AHEAD 1024 /* bytes */
#define ALWAYS static inline __attribute__((always_inline))
#define UNROLL_LANES _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++)
#define UNROLL_ROWS _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
#define UNROLL_GROUPS _Pragma("GCC unroll 2") for (int g = 0; g < GROUPS; g++)

static inline int step_of(int kind)
{
    return kind == EM__B_BF16 ? 2 * LANES : LANES;
}

static inline int size_of(int kind)
{
    return kind == EM__B_F32 ? 4 : 2;
}

/* A step of LANES columns, turned: v[i] has element i of each, or elements 2 i and 2 i + 1. What lies `ahead`
 * bytes is called into the second cache: on its way to the first it would hold up what is needed now. */
ALWAYS void load_turned(vec v[LANES], const char *const *column, int64_t k, const int ahead, const int kind)
{
    const int64_t at = k * size_of(kind);
    UNROLL_LANES
    {
        if (ahead)
            _mm_prefetch(column[i] + at + ahead, _MM_HINT_T1);
        v[i] = kind == EM__B_F16 ? LOAD_F16(column[i] + at) : LOAD(column[i] + at);
    }
    TURN(v);
}

ALWAYS void meet(vec sum[ROWS][GROUPS], const em__gemm_thin *t, const char *const *column, int64_t k, const int kind,
                 const int rows)
{
    const float *a = t->a + k;
    UNROLL_GROUPS
    {
        vec v[LANES];
        load_turned(v, column + g * LANES, k, AHEAD, kind);
        UNROLL_LANES
        {
            if (kind == EM__B_BF16) {
                const vec low = LOW(v[i]), high = HIGH(v[i]);
                UNROLL_ROWS sum[r][g] = FMA(SET1(a[r * t->lda + 2 * i]), low, sum[r][g]);
                UNROLL_ROWS sum[r][g] = FMA(SET1(a[r * t->lda + 2 * i + 1]), high, sum[r][g]);
            } else {
                UNROLL_ROWS sum[r][g] = FMA(SET1(a[r * t->lda + i]), v[i], sum[r][g]);
            }
        }
    }
}

static float element(const char *column, int64_t k, int kind)
{
    float f;
    uint16_t half;
    if (kind == EM__B_F32) {
        memcpy(&f, column + k * 4, sizeof f);
        return f;
    }
    memcpy(&half, column + k * 2, sizeof half);
    return kind == EM__B_BF16 ? em__bf16_to_f32(half) : em__f16_to_f32(half);
}

/* Fewer elements than a step, turned. */
static __attribute__((noinline)) void turn_rest(float *to, const char *const *column, int64_t k, int64_t count,
                                                int kind)
{
    for (int64_t i = 0; i < count; i++)
        for (int j = 0; j < COLUMNS; j++)
            to[i * COLUMNS + j] = element(column[j], k + i, kind);
}

/* The chain over [k, end). */
ALWAYS void run_chunk(vec sum[ROWS][GROUPS], const em__gemm_thin *t, const char *const *column, int64_t k, int64_t end,
                      const int kind, const int rows)
{
    UNROLL_ROWS
    {
        UNROLL_GROUPS sum[r][g] = ZERO;
    }
    for (; k + step_of(kind) <= end; k += step_of(kind))
        meet(sum, t, column, k, kind, rows);
    if (k == end)
        return;
    _Alignas(64) float rest[2 * LANES * COLUMNS];
    turn_rest(rest, column, k, end - k, kind);
    for (int64_t i = 0; i < end - k; i++)
        UNROLL_ROWS
        {
            UNROLL_GROUPS sum[r][g] =
                FMA(SET1(t->a[r * t->lda + k + i]), LOAD(rest + i * COLUMNS + g * LANES), sum[r][g]);
        }
}

/* total = total + sum, or sum if nothing was before. */
ALWAYS void add_chunk(vec total[][GROUPS], vec sum[][GROUPS], bool begun, const int rows)
{
    UNROLL_ROWS
    {
        UNROLL_GROUPS total[r][g] = begun ? ADD(total[r][g], sum[r][g]) : sum[r][g];
    }
}

ALWAYS void thin_body(const em__gemm_thin *t, const int kind, const int rows)
{
    const char *column[COLUMNS];
    vec total[ROWS][GROUPS], sum[ROWS][GROUPS];
    int64_t k = 0;
    for (int j = 0; j < COLUMNS; j++)
        column[j] = t->b + (j < t->columns ? j : 0) * t->stride;
    UNROLL_ROWS
    {
        UNROLL_GROUPS total[r][g] = ZERO;
    }
    for (; rows <= PAIRED && k + 2 * EM__GEMM_CHUNK <= t->k; k += 2 * EM__GEMM_CHUNK) {
        vec other[ROWS][GROUPS];
        UNROLL_ROWS
        {
            UNROLL_GROUPS sum[r][g] = other[r][g] = ZERO;
        }
        for (int64_t i = k; i < k + EM__GEMM_CHUNK; i += step_of(kind)) {
            meet(sum, t, column, i, kind, rows);
            meet(other, t, column, i + EM__GEMM_CHUNK, kind, rows);
        }
        add_chunk(total, sum, k > 0, rows);
        add_chunk(total, other, true, rows);
    }
    while (k < t->k) {
        const int64_t end = t->k - k > EM__GEMM_CHUNK ? k + EM__GEMM_CHUNK : t->k;
        run_chunk(sum, t, column, k, end, kind, rows);
        add_chunk(total, sum, k > 0, rows);
        k = end;
    }
    UNROLL_ROWS
    {
        UNROLL_GROUPS STORE(t->c + r * COLUMNS + g * LANES, total[r][g]);
    }
}

#define THIN(name, kind, rows)                                                                                         \
    static void name##_##rows(const em__gemm_thin *t)                                                                  \
    {                                                                                                                  \
        thin_body(t, kind, rows);                                                                                      \
    }
#define THINS(name, kind) THIN(name, kind, 1) THIN(name, kind, 2) THIN(name, kind, 3) THIN(name, kind, 4)
THINS(thin_bf16, EM__B_BF16)
THINS(thin_f16, EM__B_F16)
THINS(thin_f32, EM__B_F32)
#if ROWS > 4
#define MORE(name, kind) THIN(name, kind, 5) THIN(name, kind, 6) THIN(name, kind, 7) THIN(name, kind, 8)
MORE(thin_bf16, EM__B_BF16)
MORE(thin_f16, EM__B_F16)
MORE(thin_f32, EM__B_F32)
#define LIST(name) name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8
#else
#define LIST(name) name##_1, name##_2, name##_3, name##_4
#endif
static void (*const thins[EM__B_KINDS][ROWS])(const em__gemm_thin *) = {
    [EM__B_BF16] = {LIST(thin_bf16)}, [EM__B_F16] = {LIST(thin_f16)}, [EM__B_F32] = {LIST(thin_f32)}};

static void run_bf16(const em__gemm_thin *t)
{
    thins[EM__B_BF16][t->rows - 1](t);
}

static void run_f16(const em__gemm_thin *t)
{
    thins[EM__B_F16][t->rows - 1](t);
}

static void run_f32(const em__gemm_thin *t)
{
    thins[EM__B_F32][t->rows - 1](t);
}

/* COLUMNS of a panel. */
ALWAYS void widen_columns(float *dst, const char *const *column, int64_t k, const int kind)
{
    int64_t from = 0;
    for (; from + step_of(kind) <= k; from += step_of(kind))
        UNROLL_GROUPS
        {
            vec v[LANES];
            load_turned(v, column + g * LANES, from, 0, kind);
            UNROLL_LANES
            {
                float *to = dst + g * LANES + (from + (kind == EM__B_BF16 ? 2 * i : i)) * EM__GEMM_PANEL;
                STORE(to, kind == EM__B_BF16 ? LOW(v[i]) : v[i]);
                if (kind == EM__B_BF16)
                    STORE(to + EM__GEMM_PANEL, HIGH(v[i]));
            }
        }
    _Alignas(64) float rest[2 * LANES * COLUMNS];
    turn_rest(rest, column, from, k - from, kind);
    for (int64_t i = 0; i < k - from; i++)
        memcpy(dst + (from + i) * EM__GEMM_PANEL, rest + i * COLUMNS, COLUMNS * sizeof *dst);
}

/* Columns beyond the last hold what the first one holds: a tile does not store them. */
ALWAYS void widen(float *dst, const uint16_t *src, int64_t stride, int columns, int64_t k, const int kind)
{
    for (int half = 0; half < EM__GEMM_PANEL; half += COLUMNS) {
        const char *column[COLUMNS];
        for (int j = 0; j < COLUMNS; j++)
            column[j] = (const char *)(src + (half + j < columns ? half + j : 0) * stride);
        widen_columns(dst + half, column, k, kind);
    }
}

static void widen_bf16(float *dst, const uint16_t *src, int64_t stride, int columns, int64_t k)
{
    widen(dst, src, stride, columns, k, EM__B_BF16);
}

static void widen_f16(float *dst, const uint16_t *src, int64_t stride, int columns, int64_t k)
{
    widen(dst, src, stride, columns, k, EM__B_F16);
}

static void fill_thin(em__gemm_kernels *kernels)
{
    kernels->thin_rows = ROWS;
    kernels->thin[EM__B_BF16] = run_bf16;
    kernels->thin[EM__B_F16] = run_f16;
    kernels->thin[EM__B_F32] = run_f32;
    kernels->widen_rows[EM__B_BF16] = widen_bf16;
    kernels->widen_rows[EM__B_F16] = widen_f16;
}
