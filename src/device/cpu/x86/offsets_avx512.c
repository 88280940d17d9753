/* The offset kernels at level avx512. */
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "device/cpu/offsets.h"
#include "device/cpu/x86/lanes.h"

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
        found += em__lanes(mask);
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
        found += em__lanes(mask);
        numbers = _mm256_add_epi32(numbers, _mm256_set1_epi32(8));
    }
    return found;
}

#define ALWAYS static inline __attribute__((always_inline))

/* Eight clamped integers of 64 bits, in 32. */
ALWAYS __m256i eight_places(__mmask8 there, const int64_t *index, int64_t last, const bool is_signed)
{
    const __m512i x = _mm512_maskz_loadu_epi64(there, index), top = _mm512_set1_epi64(last);
    return _mm512_cvtepi64_epi32(is_signed ? _mm512_max_epi64(_mm512_min_epi64(x, top), _mm512_setzero_si512())
                                           : _mm512_min_epu64(x, top));
}

/* Sixteen clamped integers. */
ALWAYS __m512i sixteen_places(__mmask16 there, const void *index, int64_t i, int64_t last, const em_dtype dtype)
{
    const bool is_signed = dtype == EM_S32 || dtype == EM_S64;
    const int64_t *wide = (const int64_t *)index + i;
    if (dtype == EM_S64 || dtype == EM_U64)
        return _mm512_inserti64x4(_mm512_castsi256_si512(eight_places((__mmask8)there, wide, last, is_signed)),
                                  eight_places((__mmask8)(there >> 8), wide + 8, last, is_signed), 1);
    const __m512i x = _mm512_maskz_loadu_epi32(there, (const int32_t *)index + i), top = _mm512_set1_epi32((int)last);
    return is_signed ? _mm512_max_epi32(_mm512_min_epi32(x, top), _mm512_setzero_si512()) : _mm512_min_epu32(x, top);
}

/* Gathers of a whole vector keep more reads under way than loads one by one. */
ALWAYS void pick(void *out, const void *in, const em__index_list *list, int64_t step, const em_dtype dtype,
                 const int size)
{
    const int64_t n = list->n, scale = list->scale;
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i steps = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)step));
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 there = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
        const char *from = (const char *)in + i * step * size;
        __m512i at = sixteen_places(there, list->index, i, list->count - 1, dtype);
        if (scale != 1)
            at = _mm512_mullo_epi32(at, _mm512_set1_epi32((int)scale));
        at = _mm512_add_epi32(at, steps);
        if (size == 4) {
            _mm512_mask_storeu_epi32((int32_t *)out + i, there,
                                     _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), there, at, from, 4));
            continue;
        }
        int64_t *to = (int64_t *)out + i;
        const __m256i low = _mm512_castsi512_si256(at), high = _mm512_extracti64x4_epi64(at, 1);
        const __mmask8 few = (__mmask8)there, more = (__mmask8)(there >> 8);
        _mm512_mask_storeu_epi64(to, few, _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), few, low, from, 8));
        _mm512_mask_storeu_epi64(to + 8, more,
                                 _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), more, high, from, 8));
    }
}

#define PICK(name, DTYPE, size)                                                                                        \
    static void name(void *out, const void *in, const em__index_list *list, int64_t step)                              \
    {                                                                                                                  \
        pick(out, in, list, step, DTYPE, size);                                                                        \
    }
PICK(pick4_s32, EM_S32, 4)
PICK(pick4_u32, EM_U32, 4)
PICK(pick4_s64, EM_S64, 4)
PICK(pick4_u64, EM_U64, 4)
PICK(pick8_s32, EM_S32, 8)
PICK(pick8_u32, EM_U32, 8)
PICK(pick8_s64, EM_S64, 8)
PICK(pick8_u64, EM_U64, 8)

void em__offsets_fill_avx512(em__offsets *kernels)
{
    static const em__offsets_pick_fn picks[2][EM_DTYPE_COUNT] = {
        {[EM_S32] = pick4_s32, [EM_U32] = pick4_u32, [EM_S64] = pick4_s64, [EM_U64] = pick4_u64},
        {[EM_S32] = pick8_s32, [EM_U32] = pick8_u32, [EM_S64] = pick8_s64, [EM_U64] = pick8_u64}};
    memcpy(kernels->pick, picks, sizeof picks);
    fill_compiled(kernels);
    kernels->within[EM_S32] = within_s32;
    kernels->within[EM_U32] = within_u32;
    kernels->within[EM_S64] = kernels->within[EM_U64] = within_64;
}
