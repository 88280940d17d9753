/* The row kernels at level portable. */
#include "device/cpu/vecmath_portable.h"

#define FILL em__rows_fill_portable
#include "device/cpu/rows_level_tmpl.c"
