/* Small products at level avx512. */
#include <immintrin.h>
#include <stdbool.h>

#include "device/cpu/gemm.h"
#include "device/cpu/gemm_small.h"
#include "device/cpu/product.h"

#define REGISTERS 32

#define NAME f32
#define ELEM float
#define vec __m512
#define LANES 16
#define CHUNK EM__GEMM_CHUNK
#define SET1 _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define ADD _mm512_add_ps
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define LOADN(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define STOREN(p, x, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), x)
#include "device/cpu/gemm_small_tmpl.c"

#define NAME f64
#define ELEM double
#define vec __m512d
#define LANES 8
#define CHUNK EM__PRODUCT_CHUNK
#define SET1 _mm512_set1_pd
#define FMA _mm512_fmadd_pd
#define ADD _mm512_add_pd
#define LOAD _mm512_loadu_pd
#define STORE _mm512_storeu_pd
#define LOADN(p, n) _mm512_maskz_loadu_pd((__mmask8)((1u << (n)) - 1), p)
#define STOREN(p, x, n) _mm512_mask_storeu_pd(p, (__mmask8)((1u << (n)) - 1), x)
#include "device/cpu/gemm_small_tmpl.c"

void em__gemm_small_avx512(em__gemm_small_fn *f32, em__gemm_small_fn *f64)
{
    *f32 = small_f32;
    *f64 = small_f64;
}
