/* The row kernels at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#define FILL em__rows_fill_avx2
#include "device/cpu/rows_level_tmpl.c"
