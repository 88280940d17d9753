/* Scatters of windows by rows at level avx512. */
#include "device/cpu/vecmath_avx512.h"

static inline vf vf_even(vf a, vf b)
{
    const __m512i at = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, at, b);
}

static inline vf vf_odd(vf a, vf b)
{
    const __m512i at = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, at, b);
}

static inline vf vf_zip_low(vf even, vf odd)
{
    const __m512i at = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(even, at, odd);
}

static inline vf vf_zip_high(vf even, vf odd)
{
    const __m512i at = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(even, at, odd);
}

static inline vf vf_after(vf x)
{
    const __m512i at = _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15);
    return _mm512_maskz_permutexvar_ps(0x7fff, at, x);
}

static inline vm vm_after(vm m)
{
    return _kshiftri_mask16(m, 1);
}

static inline vf vf_before(vf x, vf first)
{
    return _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(x), _mm512_castps_si512(first), 15));
}

static inline vm vm_before(vm m)
{
    return _kshiftli_mask16(m, 1);
}

static inline vm vm_first(int n)
{
    return vf_first(n);
}

static inline vm vm_without(vm a, vm b)
{
    return _kandn_mask16(b, a);
}

static inline vm vf_le_among(vm m, vf a, vf b)
{
    return _mm512_mask_cmp_ps_mask(m, a, b, _CMP_LE_OQ);
}

static inline vf vf_add_where(vm m, vf a, vf b)
{
    return _mm512_mask_add_ps(a, m, a, b);
}

#define PLANE em__scatter_avx512
#include "device/cpu/window_scatter_rows_tmpl.c"
