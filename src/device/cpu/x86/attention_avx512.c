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

static inline void lanes_sum4(float *sums, const vf *x)
{
    vf ab = _mm512_add_ps(_mm512_shuffle_f32x4(x[0], x[1], 0x44), _mm512_shuffle_f32x4(x[0], x[1], 0xee));
    vf cd = _mm512_add_ps(_mm512_shuffle_f32x4(x[2], x[3], 0x44), _mm512_shuffle_f32x4(x[2], x[3], 0xee));
    vf all = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    all = _mm512_add_ps(all, _mm512_permute_ps(all, 0x4e));
    all = _mm512_add_ps(all, _mm512_movehdup_ps(all));
    _mm_storeu_ps(sums, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, all)));
}

static inline vf load_s8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

static inline vf load_s8_n(const int8_t *p, int n)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(vf_first(n), p)));
}

static inline void store_s8_n(int8_t *p, vf x, int n)
{
    _mm_mask_storeu_epi8(p, vf_first(n), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

#include "device/cpu/attention_tmpl.c"

void em__attention_kernels_avx512(em__attention_kernels *kernels)
{
    fill_kernels(kernels);
}
