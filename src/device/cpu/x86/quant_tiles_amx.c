/*
 * The kernels of quant_tiles.h with AMX. A group's three sums, one of each plane, are made in tiles and stored; vectors
 * put them together while other tiles make those of the next group. Of a step's 140 cycles these take 60, the tiles 40,
 * and storing them 36, which runs beside nothing.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/quant_planes_avx512.h"
#include "device/cpu/quant_tiles.h"
#include "device/cpu/tiles_amx.h"

#define COLUMNS EM__PLANES_ROWS
#define TILE (EM__TILES_ROWS * COLUMNS)

/* Tiles: codes and a plane of x; sums are in 0 to 2, or 3 to 5. */
#define W 6
#define X 7

#define CONFIG(step)                                                                                                   \
    {                                                                                                                  \
        .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, step}, .rows = { 16, 16, 16, 16, 16, 16, (step) / 4, 16 }  \
    }

/* Constants: the compiler does not know that the instruction reads more than its first word. */
static const em__tiles_config half_steps = CONFIG(32), steps = CONFIG(64);

static void begin(int group)
{
    _tile_loadconfig(group < EM__TILES_STEP ? &half_steps : &steps);
}

static void end(void)
{
    _tile_release();
}

/* The sums of a group, a tile of s32 for each plane. */
#define ADD_UP(a, b, c, x, w, group)                                                                                   \
    do {                                                                                                               \
        const int step = group < EM__TILES_STEP ? group : EM__TILES_STEP, plane = EM__TILES_ROWS * step;               \
        _tile_zero(a);                                                                                                 \
        _tile_zero(b);                                                                                                 \
        _tile_zero(c);                                                                                                 \
        for (int k = 0; k < group / step; k++) {                                                                       \
            _tile_loadd(W, (w) + k * step * COLUMNS, 64);                                                              \
            _tile_loadd(X, (x) + (3 * k) * plane, step);                                                               \
            _tile_dpbssd(a, X, W);                                                                                     \
            _tile_loadd(X, (x) + (3 * k + 1) * plane, step);                                                           \
            _tile_dpbssd(b, X, W);                                                                                     \
            _tile_loadd(X, (x) + (3 * k + 2) * plane, step);                                                           \
            _tile_dpbssd(c, X, W);                                                                                     \
        }                                                                                                              \
    } while (0)

#define KEEP(a, b, c, to)                                                                                              \
    do {                                                                                                               \
        _tile_stored(a, to, 64);                                                                                       \
        _tile_stored(b, (to) + TILE, 64);                                                                              \
        _tile_stored(c, (to) + 2 * TILE, 64);                                                                          \
    } while (0)

#define EACH_OF_BLOCK _Pragma("GCC unroll 16") for (int i = 0; i < EM__TILES_ROWS; i++)

ALWAYS void put_together(__m512 *c, const int32_t *sums, const em__tiles_product *p, int64_t group, const bool biased)
{
    const __m512 scale = _mm512_load_ps(p->w->scales + group * COLUMNS);
    const __m512 bias = biased ? _mm512_load_ps(p->w->biases + group * COLUMNS) : _mm512_setzero_ps();
    EM__TILES_IN_MEMORY(sums);
    EACH_OF_BLOCK
    {
        const __m512i high = _mm512_slli_epi32(_mm512_load_si512(sums + i * COLUMNS), 8);
        const __m512i both = _mm512_slli_epi32(_mm512_add_epi32(high, _mm512_load_si512(sums + TILE + i * COLUMNS)), 8);
        const __m512i whole = _mm512_add_epi32(both, _mm512_load_si512(sums + 2 * TILE + i * COLUMNS));
        c[i] = add_group(c[i], whole, &p->x, group * EM__TILES_ROWS + i, scale, bias, biased);
    }
}

ALWAYS void groups_body(const em__tiles_product *p, const int group, const bool biased)
{
    _Alignas(64) int32_t even[EM__PLANES * TILE], odd[EM__PLANES * TILE];
    const int64_t x_bytes = group * EM__PLANES * EM__TILES_ROWS, w_bytes = group * COLUMNS;
    const int8_t *x = p->x.planes, *w = p->w->codes;
    __m512 c[EM__TILES_ROWS];
    EACH_OF_BLOCK c[i] = p->from ? _mm512_loadu_ps(p->from + i * p->ldc) : _mm512_setzero_ps();
    ADD_UP(0, 1, 2, x, w, group);
    for (int64_t g = 0; g < p->groups; g += 2) {
        const bool more = g + 2 < p->groups;
        if (g + 1 < p->groups)
            ADD_UP(3, 4, 5, x + x_bytes, w + w_bytes, group);
        KEEP(0, 1, 2, even);
        if (g)
            put_together(c, odd, p, g - 1, biased);
        x += 2 * x_bytes;
        w += 2 * w_bytes;
        if (more)
            ADD_UP(0, 1, 2, x, w, group);
        KEEP(3, 4, 5, odd);
        put_together(c, even, p, g, biased);
    }
    if (p->groups % 2 == 0)
        put_together(c, odd, p, p->groups - 1, biased);
    EACH_OF_BLOCK _mm512_storeu_ps(p->c + i * p->ldc, c[i]);
}

ALWAYS void body(const em__tiles_product *p, const bool biased)
{
    switch (p->group) {
    case 32: groups_body(p, 32, biased); return;
    case 64: groups_body(p, 64, biased); return;
    default: groups_body(p, 128, biased); return;
    }
}

static void multiply(const em__tiles_product *p)
{
    if (p->w->biases)
        body(p, true);
    else
        body(p, false);
}

/* Two words of 16 rows: four rows of a tile. */
ALWAYS void lay_words(int8_t *to, __m512i word0, __m512i word1, const bool e2m1)
{
    const __m512i low = _mm512_set1_epi8(15), middle = _mm512_set1_epi8(8);
    const __m512i elements =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
    const __m512i nibbles[4] = {_mm512_and_si512(word0, low), _mm512_and_si512(word1, low),
                                _mm512_and_si512(_mm512_srli_epi32(word0, 4), low),
                                _mm512_and_si512(_mm512_srli_epi32(word1, 4), low)};
    for (int i = 0; i < 4; i++)
        _mm512_store_si512(to + 64 * i,
                           e2m1 ? _mm512_shuffle_epi8(elements, nibbles[i]) : _mm512_sub_epi8(nibbles[i], middle));
}

ALWAYS void lay_rows(int8_t *to, const uint8_t *const *rows, int64_t bytes, const bool e2m1)
{
    for (int64_t at = 0; at < bytes; at += 16, to += 8 * 64) {
        __m512i words[4];
        em__four_words(words, rows, at);
        lay_words(to, words[0], words[1], e2m1);
        lay_words(to + 4 * 64, words[2], words[3], e2m1);
    }
}

static void lay(int8_t *to, const uint8_t *const *rows, int64_t groups, int group, bool e2m1)
{
    if (e2m1)
        lay_rows(to, rows, groups * group / 2, true);
    else
        lay_rows(to, rows, groups * group / 2, false);
}

static void lay_packed(int8_t *to, const uint8_t *packed, int64_t stride, int64_t groups, int group)
{
    const int64_t word = EM__PLANES_PANEL * 4;
    for (int64_t g = 0; g < groups; g++, packed += stride)
        for (int64_t w = 0; w < group / 8; w += 2, to += 4 * 64)
            lay_words(to, _mm512_loadu_si512(packed + w * word), _mm512_loadu_si512(packed + (w + 1) * word), false);
}

const em__tiles_kernels *em__quant_tiles_amx(void)
{
    static const em__tiles_kernels kernels = {begin, end, multiply, lay, lay_packed, em__planes_panels_amx};
    return &kernels;
}
