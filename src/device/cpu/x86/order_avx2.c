/* Order at level avx2. */
#include <immintrin.h>

#define LOW_32(a, b) (keys_32) _mm256_min_epu32((__m256i)(a), (__m256i)(b))
#define HIGH_32(a, b) (keys_32) _mm256_max_epu32((__m256i)(a), (__m256i)(b))
#define WIDTH 32
#define FILL em__order_fill_avx2
#include "device/cpu/order_level_tmpl.c"
