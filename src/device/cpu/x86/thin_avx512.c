/* Products with unpacked weights at level avx512. */
#include <immintrin.h>

#include "device/cpu/gemm_kernels.h"
#include "device/cpu/transpose_avx512.h"

#define vec __m512
#define LANES 16
#define GROUPS 1
#define ROWS 8
#define PAIRED 4
#define ZERO _mm512_setzero_ps()
#define SET1 _mm512_set1_ps
#define ADD _mm512_add_ps
#define FMA _mm512_fmadd_ps
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_F16(p) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p)))
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define TURN em__transpose_16
#define LOW(v) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 16))
#define HIGH(v) _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32((int)0xffff0000)))
#include "device/cpu/gemm_thin_tmpl.c"

void em__gemm_thin_avx512(em__gemm_kernels *kernels)
{
    fill_thin(kernels);
}
