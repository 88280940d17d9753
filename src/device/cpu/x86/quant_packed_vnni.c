/* The kernel of quant_planes.h for packed panels with AVX-512 VNNI. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/quant_planes_avx512.h"

#define ROWS EM__PLANES_ROWS
#define EACH_HALF _Pragma("GCC unroll 2") for (int h = 0; h < halves; h++)

#define AHEAD 2304 /* bytes: a little more than half of a small page */
#define FOUR_WORDS _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)
#define EACH_STREAM _Pragma("GCC unroll 2") for (int s = 0; s < streams; s++)

/* A row's word of each row of the panel, and its part of the scales behind the codes. */
ALWAYS void fetch_word(const uint8_t *codes, int64_t bytes, int word, int words)
{
    const uint8_t *rest = codes + words * (2 * ROWS * 4);
    __builtin_prefetch(codes + word * (2 * ROWS * 4), 0, 3);
    __builtin_prefetch(codes + word * (2 * ROWS * 4) + ROWS * 4, 0, 3);
    if (rest + word * 64 < codes + bytes)
        __builtin_prefetch(rest + word * 64, 0, 3);
}

/* Lines that come soon: panels follow each other in a stream. */
ALWAYS void fetch_ahead(const uint8_t *at, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + AHEAD + i, 0, 3);
}

/* Group g, which is at `at`, of the halves from `half` on, on top of c. Both at a time while their sums are in
 * registers: they share what is read of x, and memory is read line by line. One alone skips lines, so the first
 * fetches the next group for both. */
ALWAYS void add_halves(__m512 c[2][EM__PLANES_TILE], const em__planes_panels *d, const uint8_t *at, int64_t g,
                       const int half, const int halves, const int m, const em__planes_scale as)
{
    const int words = d->group / 8, size = as == EM__PLANES_F32 ? 4 : 2;
    const int64_t codes = words * (2 * ROWS * 4), bytes = codes + 4 * ROWS * size;
    const __m512i low = _mm512_set1_epi8(15);
    const int8_t *x = d->x.planes + g * words * m * EM__PLANES_CELL;
    __m512i sum[2][EM__PLANES_TILE][EM__PLANES];
    EACH_HALF begin_sums(sum[h], d->x.middle + g * m, m);
    if (halves == 2)
        fetch_ahead(at + codes, bytes - codes);
    for (int w = 0; w < words; w += 4, x += 4 * m * EM__PLANES_CELL)
        FOUR_WORDS EACH_HALF
        {
            if (halves == 1 && half == 0)
                fetch_word(at + bytes, bytes, w + j, words);
            if (halves == 2)
                fetch_ahead(at + (2 * (w + j) + h) * (ROWS * 4), ROWS * 4);
            const __m512i word = _mm512_loadu_si512(at + (2 * (w + j) + half + h) * (ROWS * 4));
            const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(word, 4), low);
            add_word(sum[h], _mm512_and_si512(word, low), odd, x + j * m * EM__PLANES_CELL, m);
        }
    EACH_HALF
    {
        const uint8_t *scales = at + codes + (half + h) * ROWS * size;
        end_sums(c[h], sum[h], &d->x, g, em__scales_at(scales, as), em__scales_at(scales + 2 * ROWS * size, as), true,
                 m);
    }
}

/* Halves from `half` on of a panel of each stream. */
ALWAYS void panel_body(const em__planes_panels *d, const uint8_t *at, float *to, const int streams, const int half,
                       const int halves, const int m, const em__planes_scale as)
{
    const int64_t bytes = d->bytes / d->groups;
    __m512 c[2][2][EM__PLANES_TILE];
    EACH_STREAM EACH_HALF EACH_ROW c[s][h][i] = _mm512_setzero_ps();
    for (int64_t g = 0; g < d->groups; g++, at += bytes)
        EACH_STREAM add_halves(c[s], d, at + s * d->apart, g, half, halves, m, as);
    EACH_STREAM EACH_HALF EACH_ROW _mm512_storeu_ps(to + s * d->apart_c + i * d->ldc + (half + h) * ROWS, c[s][h][i]);
}

ALWAYS void rows_body(const em__planes_panels *d, const int m, const em__planes_scale as)
{
    for (int64_t p = 0; p < d->panels; p++) {
        const uint8_t *packed = d->packed + p * d->bytes;
        float *to = d->c + p * EM__PLANES_PANEL;
        if (m <= 3 && p < d->both) {
            panel_body(d, packed, to, 2, 0, 2, m, as);
        } else if (m <= 3) {
            panel_body(d, packed, to, 1, 0, 2, m, as);
        } else {
            for (int s = 0; s < (p < d->both ? 2 : 1); s++, packed += d->apart, to += d->apart_c) {
                panel_body(d, packed, to, 1, 0, 1, m, as);
                panel_body(d, packed, to, 1, 1, 1, m, as);
            }
        }
    }
}

#define OF_ROWS(rows)                                                                                                  \
    static void panels_##rows(const em__planes_panels *d)                                                              \
    {                                                                                                                  \
        if (d->as == EM__PLANES_BF16)                                                                                  \
            rows_body(d, rows, EM__PLANES_BF16);                                                                       \
        else if (d->as == EM__PLANES_F16)                                                                              \
            rows_body(d, rows, EM__PLANES_F16);                                                                        \
        else                                                                                                           \
            rows_body(d, rows, EM__PLANES_F32);                                                                        \
    }
OF_ROWS(1)
OF_ROWS(2)
OF_ROWS(3)
OF_ROWS(4)
OF_ROWS(5)
OF_ROWS(6)
OF_ROWS(7)
OF_ROWS(8)

void em__planes_panels_vnni(const em__planes_panels *d)
{
    static void (*const of[])(const em__planes_panels *) = {panels_1, panels_2, panels_3, panels_4,
                                                            panels_5, panels_6, panels_7, panels_8};
    of[d->m - 1](d);
}
