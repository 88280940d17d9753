/* The kernels of quant_planes.h with AVX-512 VNNI: a lane of 32 bits for each of a panel's 16 rows. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <immintrin.h>
#include <string.h>

#include "device/cpu/quant_planes_avx512.h"

#define LEAST_EXPONENT (-80) /* a group below it is as exact as one there: scales stay normal numbers */

/* The power of two that makes the group's largest number fill x_bits; 0 where the group is not finite. */
ALWAYS float split_scale(uint32_t largest, int x_bits)
{
    const int exponent = (int)(largest >> 23) - 127;
    const float limit = x_bits == 23 ? 0x7f7f7f : (float)((1 << x_bits) - 1);
    float value, scale;
    if (exponent == 128)
        return 0;
    memcpy(&value, &largest, sizeof value);
    const uint32_t bits = (uint32_t)(x_bits - 1 - (exponent < LEAST_EXPONENT ? LEAST_EXPONENT : exponent) + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return value * scale > limit ? scale * 0.5f : scale;
}

/* The bytes of 16 numbers: in each 16 of a plane from the high one, 8 of even and 8 of odd index. */
ALWAYS __m512i planes_of(__m512i x)
{
    const __m512i apart = _mm512_broadcast_i32x4(_mm_setr_epi8(2, 10, 6, 14, 1, 9, 5, 13, 0, 8, 4, 12, 3, 7, 11, 15));
    const __m512i gather = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i halves = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    const __m512i middle = _mm512_set1_epi32(0x808080);
    const __m512i t = _mm512_xor_si512(_mm512_add_epi32(x, middle), middle);
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(gather, _mm512_shuffle_epi8(t, apart)), halves);
}

/* Of a row by itself. */
ALWAYS void put_planes(int8_t *to, __m512i t)
{
    const __m128i planes[EM__PLANES] = {_mm512_castsi512_si128(t), _mm512_extracti32x4_epi32(t, 1),
                                        _mm512_extracti32x4_epi32(t, 2)};
    for (int p = 0; p < EM__PLANES; p++) {
        _mm_storel_epi64((__m128i *)(void *)(to + p * EM__PLANES_BLOCK), planes[p]);
        _mm_storeh_pd((double *)(void *)(to + p * EM__PLANES_BLOCK + EM__PLANES_BLOCK / 2),
                      _mm_castsi128_pd(planes[p]));
    }
}

/* Of a tile: two words. */
ALWAYS void put_words(int8_t *to, int64_t word, __m512i t)
{
    const __m512i w = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 0, 0, 1, 3, 5, 7, 9, 11, 0, 0), t);
    const __mmask8 cell = (1 << EM__PLANES_CELL / 4) - 1;
    _mm256_mask_storeu_epi32(to, cell, _mm512_castsi512_si256(w));
    _mm256_mask_storeu_epi32(to + word, cell, _mm512_extracti64x4_epi64(w, 1));
}

/* Of a row among those of a block of quant_tiles.h, whose steps are of 1 << shift elements. */
ALWAYS void put_block(int8_t *to, int64_t plane, int64_t at, const int shift, __m512i t)
{
    to += (at >> shift) * EM__PLANES * plane + (at & ((1 << shift) - 1));
    _mm_store_si128((__m128i *)(void *)to, _mm512_castsi512_si128(t));
    _mm_store_si128((__m128i *)(void *)(to + plane), _mm512_extracti32x4_epi32(t, 1));
    _mm_store_si128((__m128i *)(void *)(to + 2 * plane), _mm512_extracti32x4_epi32(t, 2));
}

static void split(const em__planes_x *to, const float *x, int64_t groups, const em__planes_scheme *scheme)
{
    for (int64_t g = 0; g < groups; g++, x += scheme->group) {
        __m512i most = _mm512_setzero_si512(), sum = most;
        for (int i = 0; i < scheme->group; i += 16)
            most = _mm512_max_epu32(
                most, _mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x + i)), _mm512_set1_epi32(INT32_MAX)));
        const float scale = split_scale(_mm512_reduce_max_epu32(most), scheme->x_bits);
        const __mmask16 finite = scale > 0 ? 0xffff : 0;
        for (int i = 0; i < scheme->group; i += 16) {
            const int64_t at = g * scheme->group + i;
            const __m512i whole =
                _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_set1_ps(scale)));
            sum = _mm512_add_epi32(sum, whole);
            if (to->plane)
                put_block(to->planes, to->plane, at, scheme->group == 32 ? 5 : 6, planes_of(whole));
            else if (to->word)
                put_words(to->planes + at / 8 * to->word, to->word, planes_of(whole));
            else
                put_planes(to->planes + at / EM__PLANES_BLOCK * EM__PLANES_X_BYTES + at % EM__PLANES_BLOCK / 2,
                           planes_of(whole));
        }
        const int32_t total = _mm512_reduce_add_epi32(sum);
        const float back = finite ? 1 / scale : __builtin_nanf("");
        to->scale[g * to->step] = scheme->e2m1 ? back * 0.5f : back;
        to->sum[g * to->step] = (float)total * back;
        to->middle[g * to->step] = (int32_t)(0 - (uint32_t)total * (uint32_t)scheme->middle);
    }
}

/* Twice the elements of e2m1, plus 12. */
ALWAYS __m512i e2m1_codes(__m512i nibbles)
{
    return _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0)), nibbles);
}

/* Scale `part` of those in a word. */
ALWAYS __m512 widen(__m512i words, const em__planes_scale as, const int part)
{
    const __m512i low = _mm512_srli_epi32(words, as == EM__PLANES_BF16 || as == EM__PLANES_F16 ? 16 * part : 8 * part);
    switch (as) {
    case EM__PLANES_F32: return _mm512_castsi512_ps(words);
    case EM__PLANES_BF16: return _mm512_castsi512_ps(_mm512_slli_epi32(low, 16));
    case EM__PLANES_F16: return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(low));
    case EM__PLANES_E8M0: break;
    }
    const __m512i bits = _mm512_slli_epi32(_mm512_and_si512(low, _mm512_set1_epi32(255)), 23);
    return _mm512_castsi512_ps(
        _mm512_mask_mov_epi32(bits, _mm512_testn_epi32_mask(bits, bits), _mm512_set1_epi32(0x00400000)));
}

ALWAYS void columns_of(float *to, const uint8_t *const *rows, int64_t count, const em__planes_scale as)
{
    const int in_word = as == EM__PLANES_F32 ? 1 : as == EM__PLANES_F16 || as == EM__PLANES_BF16 ? 2 : 4;
    const int size = 4 / in_word;
    uint8_t rest[EM__PLANES_ROWS][16];
    const uint8_t *last[EM__PLANES_ROWS];
    for (int64_t i = 0; i < count; i += 4 * in_word) {
        const bool whole = i + 4 * in_word <= count;
        __m512i words[4];
        for (int r = 0; r < EM__PLANES_ROWS && !whole; r++)
            last[r] = memcpy(rest[r], rows[r] + i * size, (size_t)((count - i) * size));
        em__four_words(words, whole ? rows : last, whole ? i * size : 0);
        _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)
        {
            _Pragma("GCC unroll 4") for (int part = 0; part < in_word; part++)
            {
                const int64_t at = i + j * in_word + part;
                if (whole || at < count)
                    _mm512_store_ps(to + at * EM__PLANES_ROWS, widen(words[j], as, part));
            }
        }
    }
}

static void columns(float *to, const uint8_t *const *rows, int64_t count, em__planes_scale as)
{
    switch (as) {
    case EM__PLANES_F32: columns_of(to, rows, count, EM__PLANES_F32); return;
    case EM__PLANES_BF16: columns_of(to, rows, count, EM__PLANES_BF16); return;
    case EM__PLANES_F16: columns_of(to, rows, count, EM__PLANES_F16); return;
    case EM__PLANES_E8M0: columns_of(to, rows, count, EM__PLANES_E8M0); return;
    }
}

/* Lanes of four rows added up in fours: lane r of each quarter is row r. */
ALWAYS __m512i fold_four(__m512i a, __m512i b, __m512i c, __m512i d)
{
    const __m512i ab = _mm512_add_epi32(_mm512_mask_blend_epi32(0xaaaa, a, b),
                                        _mm512_shuffle_epi32(_mm512_mask_blend_epi32(0x5555, a, b), 0xb1));
    const __m512i cd = _mm512_add_epi32(_mm512_mask_blend_epi32(0xaaaa, c, d),
                                        _mm512_shuffle_epi32(_mm512_mask_blend_epi32(0x5555, c, d), 0xb1));
    return _mm512_add_epi32(_mm512_mask_blend_epi64(0xaa, ab, cd),
                            _mm512_shuffle_epi32(_mm512_mask_blend_epi64(0x55, ab, cd), 0x4e));
}

/* Sums of whole groups of a block, as columns: to[g] has row r in lane r. A quarter of four[i] is rows 4 i to 4 i + 3
 * of four words. */
ALWAYS void fold_block(__m512i *to, const __m512i *four, const int words)
{
    __m512i t[4];
    for (int i = 0; i < 2; i++) {
        t[i] = _mm512_shuffle_i32x4(four[2 * i], four[2 * i + 1], 0x88);
        t[i + 2] = _mm512_shuffle_i32x4(four[2 * i], four[2 * i + 1], 0xdd);
    }
    if (words == 4) {
        to[0] = _mm512_shuffle_i32x4(t[0], t[1], 0x88);
        to[1] = _mm512_shuffle_i32x4(t[2], t[3], 0x88);
        to[2] = _mm512_shuffle_i32x4(t[0], t[1], 0xdd);
        to[3] = _mm512_shuffle_i32x4(t[2], t[3], 0xdd);
        return;
    }
    t[0] = _mm512_add_epi32(t[0], t[2]);
    t[1] = _mm512_add_epi32(t[1], t[3]);
    to[0] = _mm512_shuffle_i32x4(t[0], t[1], 0x88);
    to[1] = _mm512_shuffle_i32x4(t[0], t[1], 0xdd);
    if (words == 16)
        to[0] = _mm512_add_epi32(to[0], to[1]);
}

/* The biases of a group's rows, where there are any. */
ALWAYS __m512 bias_at(const em__planes_dot *d, int64_t group, const bool e2m1)
{
    return e2m1 ? _mm512_setzero_ps() : _mm512_load_ps(d->biases + group * EM__PLANES_ROWS);
}

typedef struct x_block {
    __m512i even[EM__PLANES], odd[EM__PLANES];
} x_block;

ALWAYS x_block load_x(const int8_t *x)
{
    x_block b;
    for (int p = 0; p < EM__PLANES; p++) {
        b.even[p] = _mm512_loadu_si512(x + p * EM__PLANES_BLOCK);
        b.odd[p] = _mm512_loadu_si512(x + p * EM__PLANES_BLOCK + EM__PLANES_BLOCK / 2);
    }
    return b;
}

#define FOUR_ROWS _Pragma("GCC unroll 4") for (int r = 0; r < 4; r++)

/* Four rows' block of codes times x, added up in fours. Side by side: a row by itself is one long chain. */
ALWAYS __m512i dot_four(const uint8_t *codes, const int64_t *row, __mmask64 there, const x_block *x, const bool whole,
                        const bool e2m1)
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i even[4], odd[4], sum[4];
    FOUR_ROWS
    {
        const uint8_t *from = codes + row[r];
        const __m512i both = whole ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi8(there, from);
        even[r] = _mm512_and_si512(both, low);
        odd[r] = _mm512_and_si512(_mm512_srli_epi32(both, 4), low);
        if (e2m1) {
            even[r] = e2m1_codes(even[r]);
            odd[r] = e2m1_codes(odd[r]);
        }
        sum[r] = _mm512_setzero_si512();
    }
    _Pragma("GCC unroll 3") for (int p = 0; p < EM__PLANES; p++)
    {
        FOUR_ROWS sum[r] = _mm512_dpbusd_epi32(p ? _mm512_slli_epi32(sum[r], 8) : sum[r], even[r], x->even[p]);
        FOUR_ROWS sum[r] = _mm512_dpbusd_epi32(sum[r], odd[r], x->odd[p]);
    }
    return fold_four(sum[0], sum[1], sum[2], sum[3]);
}

ALWAYS void dot_step(const em__planes_dot *d, int64_t block, const int words, const bool whole, const bool e2m1)
{
    const int in_block = EM__PLANES_WORDS / words;
    const int64_t at = block * (EM__PLANES_BLOCK / 2), left = d->groups - block * in_block;
    const __mmask64 there = whole ? ~(__mmask64)0 : ((__mmask64)1 << (left * words * 4)) - 1;
    for (int64_t i = 0; i < d->m; i++) {
        const x_block x = load_x(d->x.planes + i * d->x.ld_bytes + block * EM__PLANES_X_BYTES);
        __m512i four[4], to[4];
        FOUR_ROWS four[r] = dot_four(d->codes + at, d->row + 4 * r, there, &x, whole, e2m1);
        fold_block(to, four, words);
        __m512 c = block ? _mm512_loadu_ps(d->c + i * d->ldc) : _mm512_setzero_ps();
        _Pragma("GCC unroll 4") for (int g = 0; g < in_block; g++)
        {
            const int64_t group = block * in_block + g;
            const __m512i middle = _mm512_set1_epi32(d->x.middle[i * d->x.ld + (whole || g < left ? group : 0)]);
            if (whole || g < left)
                c = add_group(c, _mm512_add_epi32(to[g], middle), &d->x, i * d->x.ld + group,
                              _mm512_load_ps(d->scales + group * EM__PLANES_ROWS), bias_at(d, group, e2m1), !e2m1);
        }
        _mm512_storeu_ps(d->c + i * d->ldc, c);
    }
}

ALWAYS void dot_body(const em__planes_dot *d, const int words, const bool e2m1, const bool steps)
{
    const int in_block = EM__PLANES_WORDS / words;
    int64_t block = 0;
    for (; (block + 1) * in_block <= d->groups; block++) {
        _Pragma("GCC unroll 16") for (int r = 0; r < EM__PLANES_ROWS; r++)
            __builtin_prefetch(d->ahead + block * (EM__PLANES_ROWS * 64) + r * 64, 0, 2);
        for (int i = 0; steps && i < (e2m1 ? 1 : 2); i++)
            for (int64_t at = 0; at < d->ahead_step; at += 64)
                __builtin_prefetch(d->ahead_scales[i] + block * d->ahead_step + at, 0, 2);
        dot_step(d, block, words, true, e2m1);
    }
    if (block * in_block < d->groups)
        dot_step(d, block, words, false, e2m1);
}

ALWAYS void dot_groups(const em__planes_dot *d, const bool e2m1, const bool steps)
{
    switch (d->group) {
    case 32: dot_body(d, 4, e2m1, steps); return;
    case 64: dot_body(d, 8, e2m1, steps); return;
    default: dot_body(d, 16, e2m1, steps); return;
    }
}

static void dot(const em__planes_dot *d)
{
    if (d->biases && d->ahead_step)
        dot_groups(d, false, true);
    else if (d->biases)
        dot_groups(d, false, false);
    else if (d->ahead_step)
        dot_groups(d, true, true);
    else
        dot_groups(d, true, false);
}

ALWAYS void fetch_ahead(const em__planes_dot *d, int64_t part, const bool e2m1)
{
    if (!d->ahead)
        return;
    for (int line = 0; line < 4; line++)
        __builtin_prefetch(d->ahead + part * 256 + line * 64, 0, 3);
    for (int i = 0; part % 4 == 0 && i < (e2m1 ? 1 : 2); i++)
        for (int64_t at = 0; at < d->ahead_step; at += 64)
            __builtin_prefetch(d->ahead_scales[i] + part / 4 * d->ahead_step + at, 0, 2);
}

/* Codes are turned in registers four words at a time, which is a part. */
ALWAYS void tile_body(const em__planes_dot *d, const int m, const bool e2m1)
{
    const int parts = d->group / 32;
    const int8_t *x = d->x.planes;
    const __m512i low = _mm512_set1_epi8(15);
    const uint8_t *rows[EM__PLANES_ROWS];
    __m512 c[EM__PLANES_TILE];
    for (int r = 0; r < EM__PLANES_ROWS; r++)
        rows[r] = d->codes + d->row[r];
    EACH_ROW c[i] = _mm512_setzero_ps();
    for (int64_t g = 0; g < d->groups; g++) {
        __m512i sum[EM__PLANES_TILE][EM__PLANES], words[4];
        begin_sums(sum, d->x.middle + g * m, m);
        for (int64_t part = g * parts; part < (g + 1) * parts; part++) {
            fetch_ahead(d, part, e2m1);
            em__four_words(words, rows, part * 16);
            _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)
            {
                const __m512i even = _mm512_and_si512(words[j], low);
                const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(words[j], 4), low);
                add_word(sum, e2m1 ? e2m1_codes(even) : even, e2m1 ? e2m1_codes(odd) : odd, x, m);
                x += m * EM__PLANES_CELL;
            }
        }
        end_sums(c, sum, &d->x, g, _mm512_load_ps(d->scales + g * EM__PLANES_ROWS), bias_at(d, g, e2m1), !e2m1, m);
    }
    EACH_ROW _mm512_storeu_ps(d->c + i * d->ldc, c[i]);
}

#define OF_ROWS(rows)                                                                                                  \
    static void tile_##rows(const em__planes_dot *d)                                                                   \
    {                                                                                                                  \
        if (d->biases)                                                                                                 \
            tile_body(d, rows, false);                                                                                 \
        else                                                                                                           \
            tile_body(d, rows, true);                                                                                  \
    }
OF_ROWS(3)
OF_ROWS(4)
OF_ROWS(5)
OF_ROWS(6)
OF_ROWS(7)
OF_ROWS(8)

static void tile(const em__planes_dot *d)
{
    static void (*const of[])(const em__planes_dot *) = {tile_3, tile_4, tile_5, tile_6, tile_7, tile_8};
    of[d->m - 3](d);
}

const em__planes_kernels *em__quant_planes_vnni(void)
{
    static const em__planes_kernels kernels = {split, columns, dot, tile, em__planes_panels_vnni};
    return &kernels;
}
