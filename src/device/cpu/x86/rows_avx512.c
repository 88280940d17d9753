/* The row kernels at level avx512. */
#include "device/cpu/vecmath_avx512.h"

#define FILL em__rows_fill_avx512
#include "device/cpu/rows_level_tmpl.c"
