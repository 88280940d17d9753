/* The convolution kernels at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#define FILL em__conv_fill_avx2
#include "device/cpu/conv_level_tmpl.c"
