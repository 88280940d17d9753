/* The elementwise kernels at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#include "core/float16.h"

#define FILL em__elementwise_fill_avx2
#define PLAIN em__elementwise_plain_avx2
#include "device/cpu/elementwise_level_tmpl.c"
