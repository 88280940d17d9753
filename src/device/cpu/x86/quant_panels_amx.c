/*
 * The kernel of quant_planes.h for packed panels and a tile of x with AMX. What a group's codes times the planes are
 * takes two products of tiles for half a panel: one by the rows of the two high planes, one by those of the low plane.
 *
 * A stored tile waits for its product, and what comes behind waits for the store; so a half's sums are stored behind
 * the next half's products, and vectors put the sums of a group together behind the products of the next one. Codes
 * come apart a group ahead.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/quant_planes_avx512.h"
#include "device/cpu/quant_tiles.h"
#include "device/cpu/tiles_amx.h"

#define ROWS EM__PLANES_ROWS
#define STEP EM__TILES_STEP
#define MOST_STEPS (128 / STEP)
#define AHEAD 8192 /* bytes, into the second cache */
#define SOON 2304  /* into the first */

/* Tiles: planes of x; codes of either half; sums of the first half, and of the second. */
#define X_HIGH 0
#define X_LOW 1
#define W0 2
#define W1 3
#define HIGH0 4
#define LOW0 5
#define HIGH1 6
#define LOW1 7

#define CONFIG(m, step)                                                                                                \
    {                                                                                                                  \
        .palette = 1, .bytes = {step, step, 64, 64, 64, 64, 64, 64}, .rows = {                                         \
            2 * (m),                                                                                                   \
            m,                                                                                                         \
            (step) / 4,                                                                                                \
            (step) / 4,                                                                                                \
            2 * (m),                                                                                                   \
            m,                                                                                                         \
            2 * (m),                                                                                                   \
            m                                                                                                          \
        }                                                                                                              \
    }
#define CONFIGS(m)                                                                                                     \
    {                                                                                                                  \
        CONFIG(m, STEP / 2), CONFIG(m, STEP)                                                                           \
    }

/* Constants: the compiler does not know that the instruction reads more than its first word. */
static const em__tiles_config configs[EM__PLANES_TILE + 1][2] = {
    [4] = CONFIGS(4), [5] = CONFIGS(5), [6] = CONFIGS(6), [7] = CONFIGS(7), [8] = CONFIGS(8)};

/* Half `half` of a group as tiles of codes; two words are four rows, in the order of the planes. */
ALWAYS void lay(uint8_t *to, const uint8_t *at, int words, const int half)
{
    const __m512i low = _mm512_set1_epi8(15);
    at += half * ROWS * 4;
    for (int w = 0; w < words; w += 2, at += 4 * ROWS * 4, to += 4 * 64) {
        const __m512i word0 = _mm512_loadu_si512(at), word1 = _mm512_loadu_si512(at + 2 * ROWS * 4);
        __builtin_prefetch(at + SOON, 0, 3);
        __builtin_prefetch(at + SOON + 2 * ROWS * 4, 0, 3);
        __builtin_prefetch(at + AHEAD, 0, 2);
        __builtin_prefetch(at + AHEAD + 2 * ROWS * 4, 0, 2);
        _mm512_store_si512(to, _mm512_and_si512(word0, low));
        _mm512_store_si512(to + 64, _mm512_and_si512(word1, low));
        _mm512_store_si512(to + 2 * 64, _mm512_and_si512(_mm512_srli_epi32(word0, 4), low));
        _mm512_store_si512(to + 3 * 64, _mm512_and_si512(_mm512_srli_epi32(word1, 4), low));
    }
    EM__TILES_IN_MEMORY(to);
}

/* The sums of half a group in tiles `high` and `low`. x is loaded for the first half, unless it takes several steps. */
#define ADD_UP(high, low, w, codes, again)                                                                             \
    do {                                                                                                               \
        _tile_zero(high);                                                                                              \
        _tile_zero(low);                                                                                               \
        for (int k = 0; k < steps; k++) {                                                                              \
            if ((again) || steps > 1) {                                                                                \
                _tile_loadd(X_HIGH, x + k * EM__PLANES * d->x.plane, step);                                            \
                _tile_loadd(X_LOW, x + (EM__PLANES * k + 2) * d->x.plane, step);                                       \
            }                                                                                                          \
            _tile_loadd(w, (codes) + k * STEP * ROWS, 64);                                                             \
            _tile_dpbsud(high, X_HIGH, w);                                                                             \
            _tile_dpbsud(low, X_LOW, w);                                                                               \
        }                                                                                                              \
    } while (0)

#define KEEP(high, low, to)                                                                                            \
    do {                                                                                                               \
        _tile_stored(high, to, 64);                                                                                    \
        _tile_stored(low, (to) + 2 * m * ROWS, 64);                                                                    \
        EM__TILES_IN_MEMORY(to);                                                                                       \
    } while (0)

/* Group g's sums of both halves, scaled, on top of c; its scales are at `at`. */
ALWAYS void put_together(__m512 c[2][EM__PLANES_TILE], const int32_t *const *sums, const em__planes_panels *d,
                         const uint8_t *at, int64_t g, const int m, const em__planes_scale as)
{
    const int size = as == EM__PLANES_F32 ? 4 : 2;
    __m512 scale[2], bias[2];
    for (int h = 0; h < 2; h++) {
        scale[h] = em__scales_at(at + h * ROWS * size, as);
        bias[h] = em__scales_at(at + (2 + h) * ROWS * size, as);
    }
    EACH_ROW _Pragma("GCC unroll 2") for (int h = 0; h < 2; h++)
    {
        const int32_t *sum = sums[h] + i * ROWS;
        const __m512i middle = _mm512_set1_epi32(d->x.middle[g * m + i]);
        const __m512i high =
            _mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(sum), 8), _mm512_load_si512(sum + m * ROWS));
        const __m512i low = _mm512_add_epi32(_mm512_load_si512(sum + 2 * m * ROWS), middle);
        const __m512i whole = _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
        c[h][i] = add_group(c[h][i], whole, &d->x, g * m + i, scale[h], bias[h], true);
    }
}

/* Panels one behind the other. */
ALWAYS void panels_body(const em__planes_panels *d, const uint8_t *packed, int64_t panels, float *to, const int m,
                        const em__planes_scale as)
{
    _Alignas(64) uint8_t codes[2][MOST_STEPS * STEP * ROWS];
    _Alignas(64) int32_t first[2][EM__PLANES * EM__PLANES_TILE * ROWS], second[EM__PLANES * EM__PLANES_TILE * ROWS];
    const int words = d->group / 8, step = d->group < STEP ? d->group : STEP, steps = d->group / step;
    const int64_t bytes = d->bytes / d->groups, scales = words * (2 * ROWS * 4);
    const uint8_t *at = packed, *last = packed + panels * d->bytes - bytes;
    lay(codes[0], at, words, 0);
    lay(codes[1], at, words, 1);
    for (int64_t p = 0; p < panels; p++) {
        const int8_t *x = d->x.planes;
        __m512 c[2][EM__PLANES_TILE];
        EACH_ROW c[0][i] = c[1][i] = _mm512_setzero_ps();
        for (int64_t g = 0; g < d->groups; g++, at += bytes, x += EM__PLANES * steps * d->x.plane) {
            const uint8_t *next = at < last ? at + bytes : at;
            ADD_UP(HIGH0, LOW0, W0, codes[0], true);
            lay(codes[0], next, words, 0);
            if (g)
                KEEP(HIGH1, LOW1, second);
            ADD_UP(HIGH1, LOW1, W1, codes[1], false);
            lay(codes[1], next, words, 1);
            KEEP(HIGH0, LOW0, first[g & 1]);
            if (g)
                put_together(c, (const int32_t *[]){first[~g & 1], second}, d, at - bytes + scales, g - 1, m, as);
        }
        KEEP(HIGH1, LOW1, second);
        put_together(c, (const int32_t *[]){first[(d->groups - 1) & 1], second}, d, at - bytes + scales, d->groups - 1,
                     m, as);
        EACH_ROW
        {
            _mm512_storeu_ps(to + i * d->ldc + p * EM__PLANES_PANEL, c[0][i]);
            _mm512_storeu_ps(to + i * d->ldc + p * EM__PLANES_PANEL + ROWS, c[1][i]);
        }
    }
}

ALWAYS void both_runs(const em__planes_panels *d, const int m, const em__planes_scale as)
{
    panels_body(d, d->packed, d->panels, d->c, m, as);
    if (d->both > 0)
        panels_body(d, d->packed + d->apart, d->both, d->c + d->apart_c, m, as);
}

#define OF_ROWS(m)                                                                                                     \
    static void panels_##m(const em__planes_panels *d)                                                                 \
    {                                                                                                                  \
        if (d->as == EM__PLANES_BF16)                                                                                  \
            both_runs(d, m, EM__PLANES_BF16);                                                                          \
        else if (d->as == EM__PLANES_F16)                                                                              \
            both_runs(d, m, EM__PLANES_F16);                                                                           \
        else                                                                                                           \
            both_runs(d, m, EM__PLANES_F32);                                                                           \
    }
OF_ROWS(4)
OF_ROWS(5)
OF_ROWS(6)
OF_ROWS(7)
OF_ROWS(8)

void em__planes_panels_amx(const em__planes_panels *d)
{
    static void (*const of[])(const em__planes_panels *) = {panels_4, panels_5, panels_6, panels_7, panels_8};
    _tile_loadconfig(&configs[d->m][d->group < STEP ? 0 : 1]);
    of[d->m - EM__PLANES_UNITS](d);
    _tile_release();
}
