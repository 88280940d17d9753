/* Row operations of attention, 8 lanes twice. */
#include <string.h>

#include "device/cpu/vecmath_avx2.h"

static inline float lanes_max(const vf *x)
{
    __m256 a = _mm256_max_ps(x[0], x[1]);
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

static inline float lanes_sum(const vf *x)
{
    __m256 a = _mm256_add_ps(x[0], x[1]);
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

static inline void lanes_sum4(float *sums, const vf *x)
{
    for (int i = 0; i < 4; i++)
        sums[i] = lanes_sum(x + 2 * i);
}

static inline vf load_s8_n(const int8_t *p, int n)
{
    uint64_t bytes = 0;
    memcpy(&bytes, p, (size_t)n);
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128((long long)bytes)));
}

static inline vf load_s8(const int8_t *p)
{
    return load_s8_n(p, VF_LANES);
}

static inline void store_s8_n(int8_t *p, vf x, int n)
{
    const __m256i wide = _mm256_cvtps_epi32(x);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    const uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(words, words));
    memcpy(p, &bytes, (size_t)n);
}

#include "device/cpu/attention_tmpl.c"

void em__attention_kernels_avx2(em__attention_kernels *kernels)
{
    fill_kernels(kernels);
}
