/* The product tiles at level avx2. */
#include <immintrin.h>

#define VECTOR 32
#define ROWS 6
#define FMA_F32(sum, a, b) ((v_f32)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(sum)))
#define FMA_F64(sum, a, b) ((v_f64)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(sum)))
#define MADD(sum, a, b) ((sum) + (v_u32)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define FILL em__product_fill_avx2
#include "device/cpu/product_level_tmpl.c"
