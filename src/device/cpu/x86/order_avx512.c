/* Order at level avx512. */
#include <immintrin.h>

#define LOW_32(a, b) (keys_32) _mm512_min_epu32((__m512i)(a), (__m512i)(b))
#define HIGH_32(a, b) (keys_32) _mm512_max_epu32((__m512i)(a), (__m512i)(b))
#define LOW_64(a, b) (keys_64) _mm512_min_epu64((__m512i)(a), (__m512i)(b))
#define HIGH_64(a, b) (keys_64) _mm512_max_epu64((__m512i)(a), (__m512i)(b))
#define WIDTH 64
#define FILL em__order_fill_avx512
#include "device/cpu/order_level_tmpl.c"
