/* Row operations of attention, 16 lanes. */
#include "device/cpu/vecmath_avx512.h"

static inline float lanes_max(const vf *x)
{
    return _mm512_reduce_max_ps(*x);
}

static inline float lanes_sum(const vf *x)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(*x), _mm512_extractf32x8_ps(*x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

#include "device/cpu/attention_tmpl.c"

void em__attention_kernels_avx512(em__attention_kernels *kernels)
{
    fill_kernels(kernels);
}
