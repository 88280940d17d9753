/* Scatters of windows by rows at level avx2. */
#include "device/cpu/vecmath_avx2.h"

/* [a0 a2 b0 b2 | a4 a6 b4 b6], pairs, into order. */
static inline vf in_order(vf x)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xd8));
}

static inline vf vf_even(vf a, vf b)
{
    return in_order(_mm256_shuffle_ps(a, b, 0x88));
}

static inline vf vf_odd(vf a, vf b)
{
    return in_order(_mm256_shuffle_ps(a, b, 0xdd));
}

static inline vf vf_zip_low(vf even, vf odd)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd), 0x20);
}

static inline vf vf_zip_high(vf even, vf odd)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd), 0x31);
}

static inline vf vf_after(vf x)
{
    return _mm256_blend_ps(_mm256_permutevar8x32_ps(x, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 7)), _mm256_setzero_ps(),
                           0x80);
}

static inline vm vm_after(vm m)
{
    return vf_after(m);
}

static inline vf vf_before(vf x, vf first)
{
    return _mm256_blend_ps(_mm256_permutevar8x32_ps(x, _mm256_setr_epi32(0, 0, 1, 2, 3, 4, 5, 6)), first, 1);
}

static inline vm vm_before(vm m)
{
    return vf_before(m, _mm256_setzero_ps());
}

static inline vm vm_first(int n)
{
    return _mm256_castsi256_ps(vf_first(n));
}

static inline vm vm_without(vm a, vm b)
{
    return _mm256_andnot_ps(b, a);
}

static inline vm vf_le_among(vm m, vf a, vf b)
{
    return vm_and(m, vf_le(a, b));
}

static inline vf vf_add_where(vm m, vf a, vf b)
{
    return vf_select(m, vf_add(a, b), a);
}

#define PLANE em__scatter_avx2
#include "device/cpu/window_scatter_rows_tmpl.c"
