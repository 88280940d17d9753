/* The reduction kernels at level portable. */
#include "device/cpu/vecmath_portable.h"

#define FILL em__reduce_fill_portable
#include "device/cpu/reduce_level_tmpl.c"
