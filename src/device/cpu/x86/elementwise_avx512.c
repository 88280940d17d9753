/* The elementwise kernels at level avx512. */
#include "device/cpu/vecmath_avx512.h"

#include "core/float16.h"

#define FILL em__elementwise_fill_avx512
#define PLAIN em__elementwise_plain_avx512
#include "device/cpu/elementwise_level_tmpl.c"
