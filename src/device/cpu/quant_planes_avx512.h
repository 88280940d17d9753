/* What the kernels of quant_planes.h with AVX-512 VNNI share. */
#ifndef EM_DEVICE_CPU_QUANT_PLANES_AVX512_H
#define EM_DEVICE_CPU_QUANT_PLANES_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "device/cpu/quant_planes.h"

#define ALWAYS static inline __attribute__((always_inline))
#define EACH_ROW _Pragma("GCC unroll 8") for (int i = 0; i < m; i++)
#define EACH_PLANE _Pragma("GCC unroll 3") for (int p = 0; p < EM__PLANES; p++)

/* A group's whole sums, the middle's among them, scaled, on top of c. */
ALWAYS __m512 add_group(__m512 c, __m512i sums, const em__planes_x *x, int64_t at, __m512 scale, __m512 bias,
                        const bool biased)
{
    const __m512 q = _mm512_cvtepi32_ps(sums);
    c = _mm512_fmadd_ps(q, _mm512_mul_ps(scale, _mm512_set1_ps(x->scale[at])), c);
    if (biased)
        c = _mm512_fmadd_ps(_mm512_fmadd_ps(scale, _mm512_set1_ps(8), bias), _mm512_set1_ps(x->sum[at]), c);
    return c;
}

ALWAYS __m512i broadcast(const int8_t *p)
{
    int32_t word;
    memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
}

/* A group's sums of a tile in whole numbers: the planes by themselves, with the middle in the last one; */
ALWAYS void begin_sums(__m512i sum[EM__PLANES_TILE][EM__PLANES], const int32_t *middle, const int m)
{
    EACH_ROW
    {
        sum[i][0] = sum[i][1] = _mm512_setzero_si512();
        sum[i][2] = _mm512_set1_epi32(middle[i]);
    }
}

/* ... a word more, */
ALWAYS void add_word(__m512i sum[EM__PLANES_TILE][EM__PLANES], __m512i even, __m512i odd, const int8_t *x, const int m)
{
    EACH_ROW EACH_PLANE sum[i][p] = _mm512_dpbusd_epi32(sum[i][p], even, broadcast(x + i * EM__PLANES_CELL + p * 8));
    EACH_ROW EACH_PLANE sum[i][p] = _mm512_dpbusd_epi32(sum[i][p], odd, broadcast(x + i * EM__PLANES_CELL + p * 8 + 4));
}

/* ... and all planes, scaled, on top of c. */
ALWAYS void end_sums(__m512 *c, __m512i sum[EM__PLANES_TILE][EM__PLANES], const em__planes_x *x, int64_t group,
                     __m512 scale, __m512 bias, const bool biased, const int m)
{
    EACH_ROW
    {
        const __m512i high = _mm512_add_epi32(_mm512_slli_epi32(sum[i][0], 8), sum[i][1]);
        const __m512i whole = _mm512_add_epi32(_mm512_slli_epi32(high, 8), sum[i][2]);
        c[i] = add_group(c[i], whole, x, group * m + i, scale, bias, biased);
    }
}

/* Words 4 `part` to 4 `part` + 3 of 16 rows; lane r of each is row r. */
ALWAYS void em__four_words(__m512i *to, const uint8_t *const *rows, int64_t at)
{
    __m512i z[4];
    for (int r = 0; r < 4; r++) {
        z[r] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)(rows[r] + at)));
        z[r] = _mm512_mask_broadcast_i32x4(z[r], 0x00f0,
                                           _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 4] + at)));
        z[r] = _mm512_mask_broadcast_i32x4(z[r], 0x0f00,
                                           _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 8] + at)));
        z[r] = _mm512_mask_broadcast_i32x4(z[r], 0xf000,
                                           _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 12] + at)));
    }
    const __m512i a = _mm512_unpacklo_epi32(z[0], z[1]), b = _mm512_unpackhi_epi32(z[0], z[1]);
    const __m512i c = _mm512_unpacklo_epi32(z[2], z[3]), d = _mm512_unpackhi_epi32(z[2], z[3]);
    to[0] = _mm512_unpacklo_epi64(a, c);
    to[1] = _mm512_unpackhi_epi64(a, c);
    to[2] = _mm512_unpacklo_epi64(b, d);
    to[3] = _mm512_unpackhi_epi64(b, d);
}

/* The scales or biases of half a packed panel. */
ALWAYS __m512 em__scales_at(const uint8_t *from, const em__planes_scale as)
{
    if (as == EM__PLANES_F32)
        return _mm512_loadu_ps((const float *)(const void *)from);
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return as == EM__PLANES_F16 ? _mm512_cvtph_ps(half)
                                : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

#endif
