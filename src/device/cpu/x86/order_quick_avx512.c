/* Sorting keys by quicksort at level avx512: it has what takes some lanes of a vector together. */
#include <immintrin.h>
#include <string.h>

#include "device/cpu/order.h"
#include "device/cpu/x86/lanes.h"

static inline __m512i numbers_32(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static inline __m512i halves_32(void)
{
    return _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline __m512i numbers_64(void)
{
    return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
}

static inline __m512i halves_64(void)
{
    return _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
}

#define N(name) name##_32
#define V __m512i
#define KEY uint32_t
#define SIGNED_KEY int32_t
#define LANES 16
#define MASK __mmask16
#define OP(name) _mm512_##name##_epi32
#define OF(name) _mm512_##name##_epu32
#define OF_MASK(name) _mm512_##name##_epu32_mask
#include "device/cpu/order_quick_tmpl.c"

#define N(name) name##_64
#define V __m512i
#define KEY uint64_t
#define SIGNED_KEY int64_t
#define LANES 8
#define MASK __mmask8
#define OP(name) _mm512_##name##_epi64
#define OF(name) _mm512_##name##_epu64
#define OF_MASK(name) _mm512_##name##_epu64_mask
#include "device/cpu/order_quick_tmpl.c"

void em__order_fill_quick(em__order *kernels)
{
    kernels->quick32 = quick_32;
    kernels->quick64 = quick_64;
    kernels->count32 = count_32;
    kernels->count64 = count_64;
    kernels->deal32 = deal_32;
    kernels->deal64 = deal_64;
}
