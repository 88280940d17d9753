/* Small products at level avx2. */
#include <immintrin.h>
#include <stdbool.h>

#include "device/cpu/gemm.h"
#include "device/cpu/gemm_small.h"
#include "device/cpu/product.h"

#define REGISTERS 16

static inline __m256i first_f32(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline __m256i first_f64(int n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}

#define NAME f32
#define ELEM float
#define vec __m256
#define LANES 8
#define CHUNK EM__GEMM_CHUNK
#define SET1 _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define ADD _mm256_add_ps
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define LOADN(p, n) _mm256_maskload_ps(p, first_f32(n))
#define STOREN(p, x, n) _mm256_maskstore_ps(p, first_f32(n), x)
#include "device/cpu/gemm_small_tmpl.c"

#define NAME f64
#define ELEM double
#define vec __m256d
#define LANES 4
#define CHUNK EM__PRODUCT_CHUNK
#define SET1 _mm256_set1_pd
#define FMA _mm256_fmadd_pd
#define ADD _mm256_add_pd
#define LOAD _mm256_loadu_pd
#define STORE _mm256_storeu_pd
#define LOADN(p, n) _mm256_maskload_pd(p, first_f64(n))
#define STOREN(p, x, n) _mm256_maskstore_pd(p, first_f64(n), x)
#include "device/cpu/gemm_small_tmpl.c"

void em__gemm_small_avx2(em__gemm_small_fn *f32, em__gemm_small_fn *f64)
{
    *f32 = small_f32;
    *f64 = small_f64;
}
