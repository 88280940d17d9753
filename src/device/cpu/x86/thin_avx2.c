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

#define ivec __m256i
#define BYTES 32
#define PACKED_ROWS 4
#define PACKED_MOST 8
#define LOAD_I(p) _mm256_loadu_si256((const void *)(p))
#define STORE_I(p, v) _mm256_storeu_si256((void *)(p), v)
#define TABLE(p) _mm256_broadcastsi128_si256(_mm_load_si128((const void *)(p)))
#define SHUFFLE _mm256_shuffle_epi8
#define SET8(x) _mm256_set1_epi8(x)
#define AND _mm256_and_si256
#define OR _mm256_or_si256
#define MAX16 _mm256_max_epu16
#define MIN16 _mm256_min_epu16
#define MIN8 _mm256_min_epu8
#define SUB8 _mm256_sub_epi8
#define LEFT16 _mm256_slli_epi16
#define RIGHT16 _mm256_srli_epi16
#define LOW8 _mm256_unpacklo_epi8
#define HIGH8 _mm256_unpackhi_epi8
#define AS_VEC _mm256_castsi256_ps
#define PACK16 _mm256_packus_epi16
#define KEEP(v, w) _mm256_andnot_si256(_mm256_cmpeq_epi8(w, _mm256_setzero_si256()), v)
#define OTHER(a, b) (uint32_t) ~_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b))
#include "device/cpu/gemm_packed_tmpl.c"

void em__gemm_thin_avx2(em__gemm_kernels *kernels)
{
    fill_thin(kernels);
    fill_packed(kernels);
}
