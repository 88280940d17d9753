/* Fourier transforms at level avx2. */
#include <immintrin.h>

#define WIDTH 32
#define MULADD_F32(a, b, c) (vec_f32) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#define MULADD_F64(a, b, c) (vec_f64) _mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c))
#define FILL em__fft_fill_avx2
#include "device/cpu/fourier_level_tmpl.c"
