/* The offset kernels at level avx512. */
#include <immintrin.h>

#include "device/cpu/offsets.h"

static void fill_compiled(em__offsets *kernels);
#define FILL fill_compiled
#include "device/cpu/offsets_level_tmpl.c"

/* The integers' own values end below `top`. */
static inline int64_t within32(int32_t *at, int32_t *number, const void *index, int64_t n, int64_t low, int64_t range,
                               int64_t top)
{
    int64_t found = 0;
    range = range < top - low ? range : top - low;
    if (range <= 0)
        return 0;
    const __m512i from = _mm512_set1_epi32((int)(uint32_t)low), limit = _mm512_set1_epi32((int)(uint32_t)range);
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 there = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
        const __m512i x = _mm512_maskz_loadu_epi32(there, (const int32_t *)index + i);
        const __m512i above = _mm512_sub_epi32(x, from);
        const __mmask16 mask = _mm512_mask_cmplt_epu32_mask(there, above, limit);
        _mm512_storeu_si512(at + found, _mm512_maskz_compress_epi32(mask, above));
        _mm512_storeu_si512(number + found, _mm512_maskz_compress_epi32(mask, numbers));
        found += __builtin_popcount(mask);
        numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(16));
    }
    return found;
}

static int64_t within_s32(int32_t *at, int32_t *number, const void *index, int64_t n, int64_t low, int64_t range)
{
    return within32(at, number, index, n, low, range, (int64_t)1 << 31);
}

static int64_t within_u32(int32_t *at, int32_t *number, const void *index, int64_t n, int64_t low, int64_t range)
{
    return within32(at, number, index, n, low, range, (int64_t)1 << 32);
}

static int64_t within_64(int32_t *at, int32_t *number, const void *index, int64_t n, int64_t low, int64_t range)
{
    int64_t found = 0;
    const __m512i from = _mm512_set1_epi64(low), limit = _mm512_set1_epi64(range);
    __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int64_t i = 0; i < n; i += 8) {
        const __mmask8 there = n - i < 8 ? (__mmask8)((1u << (n - i)) - 1) : 0xff;
        const __m512i x = _mm512_maskz_loadu_epi64(there, (const int64_t *)index + i);
        const __m512i above = _mm512_sub_epi64(x, from);
        const __mmask8 mask = _mm512_mask_cmplt_epu64_mask(there, above, limit);
        _mm256_storeu_si256((__m256i *)(void *)(at + found),
                            _mm256_maskz_compress_epi32(mask, _mm512_cvtepi64_epi32(above)));
        _mm256_storeu_si256((__m256i *)(void *)(number + found), _mm256_maskz_compress_epi32(mask, numbers));
        found += __builtin_popcount(mask);
        numbers = _mm256_add_epi32(numbers, _mm256_set1_epi32(8));
    }
    return found;
}

void em__offsets_fill_avx512(em__offsets *kernels)
{
    fill_compiled(kernels);
    kernels->within[EM_S32] = within_s32;
    kernels->within[EM_U32] = within_u32;
    kernels->within[EM_S64] = kernels->within[EM_U64] = within_64;
}
