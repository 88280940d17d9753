/* The product tiles at level avx512. */
#include <immintrin.h>

#define VECTOR 64
#define ROWS 14
#define FMA_F32(sum, a, b) ((v_f32)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(sum)))
#define FMA_F64(sum, a, b) ((v_f64)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(sum)))
#define MADD(sum, a, b) ((sum) + (v_u32)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define FILL em__product_fill_avx512
#include "device/cpu/product_level_tmpl.c"
