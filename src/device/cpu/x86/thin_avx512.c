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

#define ivec __m512i
#define BYTES 64
#define PACKED_ROWS 16
#define PACKED_MOST 64
#define LOAD_I(p) _mm512_loadu_si512((const void *)(p))
#define STORE_I(p, v) _mm512_storeu_si512((void *)(p), v)
#define TABLE(p) _mm512_broadcast_i32x4(_mm_load_si128((const void *)(p)))
#define SHUFFLE _mm512_shuffle_epi8
#define SET8(x) _mm512_set1_epi8(x)
#define AND _mm512_and_si512
#define OR _mm512_or_si512
#define MAX16 _mm512_max_epu16
#define MIN16 _mm512_min_epu16
#define MIN8 _mm512_min_epu8
#define SUB8 _mm512_sub_epi8
#define LEFT16 _mm512_slli_epi16
#define RIGHT16 _mm512_srli_epi16
#define LOW8 _mm512_unpacklo_epi8
#define HIGH8 _mm512_unpackhi_epi8
#define AS_VEC _mm512_castsi512_ps
#define PACK16 _mm512_packus_epi16
#define KEEP(v, w) _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(w, w), v)
#define OTHER(a, b) _mm512_cmpneq_epi8_mask(a, b)
#include "device/cpu/gemm_packed_tmpl.c"

void em__gemm_thin_avx512(em__gemm_kernels *kernels)
{
    fill_thin(kernels);
    fill_packed(kernels);
}
