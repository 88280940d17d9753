/* The reduction kernels at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#define FILL em__reduce_fill_avx2
#include "device/cpu/reduce_level_tmpl.c"
