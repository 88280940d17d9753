/* Products with unpacked weights at level avx2. */
#include <immintrin.h>

#include "device/cpu/gemm_kernels.h"
#include "device/cpu/transpose_avx2.h"

#define vec __m256
#define LANES 8
#define GROUPS 2
#define ROWS 4
#define PAIRED 1
#define ZERO _mm256_setzero_ps()
#define SET1 _mm256_set1_ps
#define ADD _mm256_add_ps
#define FMA _mm256_fmadd_ps
#define LOAD(p) _mm256_loadu_ps((const float *)(const void *)(p))
#define LOAD_F16(p) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p)))
#define STORE(p, x) _mm256_storeu_ps(p, x)
#define TURN em__transpose_8
#define LOW(v) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 16))
#define HIGH(v) _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32((int)0xffff0000)))
#include "device/cpu/gemm_thin_tmpl.c"

void em__gemm_thin_avx2(em__gemm_kernels *kernels)
{
    fill_thin(kernels);
}
