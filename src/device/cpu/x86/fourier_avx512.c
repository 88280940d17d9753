/* Fourier transforms at level avx512. */
#include <immintrin.h>

#define WIDTH 64
#define MULADD_F32(a, b, c) (vec_f32) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#define MULADD_F64(a, b, c) (vec_f64) _mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c))
#define FILL em__fft_fill_avx512
#include "device/cpu/fourier_level_tmpl.c"
