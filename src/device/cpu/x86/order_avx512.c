/* Order at level avx512. */
#include <immintrin.h>

#include "device/cpu/order.h"
#include "device/cpu/x86/lanes.h"

#define LOW_32(a, b) (keys_32) _mm512_min_epu32((__m512i)(a), (__m512i)(b))
#define HIGH_32(a, b) (keys_32) _mm512_max_epu32((__m512i)(a), (__m512i)(b))
#define LOW_64(a, b) (keys_64) _mm512_min_epu64((__m512i)(a), (__m512i)(b))
#define HIGH_64(a, b) (keys_64) _mm512_max_epu64((__m512i)(a), (__m512i)(b))
#define WIDTH 64
#define FILL fill_compiled
static void fill_compiled(em__order *kernels);
#include "device/cpu/order_level_tmpl.c"

/* As many indices are behind the list as elements are left: a whole vector may be written. */
static int64_t below_by_16(const uint32_t *keys, int64_t n, uint32_t limit, int32_t *at)
{
    const __m512i top = _mm512_set1_epi32((int)limit);
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int64_t count = 0, i = 0;
    for (; i + 16 <= n; i += 16, numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(16))) {
        const __mmask16 hit = _mm512_cmplt_epu32_mask(_mm512_loadu_si512(keys + i), top);
        if (!hit)
            continue;
        _mm512_storeu_si512(at + count, _mm512_maskz_compress_epi32(hit, numbers));
        count += em__lanes(hit);
    }
    for (; i < n; i++)
        if (keys[i] < limit)
            at[count++] = (int32_t)i;
    return count;
}

static int64_t below_by_8(const uint64_t *keys, int64_t n, uint64_t limit, int32_t *at)
{
    const __m512i top = _mm512_set1_epi64((int64_t)limit);
    __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int64_t count = 0, i = 0;
    for (; i + 8 <= n; i += 8, numbers = _mm256_add_epi32(numbers, _mm256_set1_epi32(8))) {
        const __mmask8 hit = _mm512_cmplt_epu64_mask(_mm512_loadu_si512(keys + i), top);
        if (!hit)
            continue;
        _mm256_storeu_si256((__m256i *)(void *)(at + count), _mm256_maskz_compress_epi32(hit, numbers));
        count += em__lanes(hit);
    }
    for (; i < n; i++)
        if (keys[i] < limit)
            at[count++] = (int32_t)i;
    return count;
}

void em__order_fill_avx512(em__order *kernels)
{
    fill_compiled(kernels);
    kernels->below32 = below_by_16;
    kernels->below64 = below_by_8;
    em__order_fill_quick(kernels);
}
