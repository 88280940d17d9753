/* The reduction kernels at level avx512. */
#include "device/cpu/vecmath_avx512.h"

#define FILL em__reduce_fill_avx512
#include "device/cpu/reduce_level_tmpl.c"
