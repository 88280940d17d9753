/* Row operations of attention, 8 lanes twice. */
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

#include "device/cpu/attention_tmpl.c"

void em__attention_kernels_avx2(em__attention_kernels *kernels)
{
    fill_kernels(kernels);
}
