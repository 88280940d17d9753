/* The conversions at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#define FILL em__cast_fill_avx2
#include "device/cpu/cast_level_tmpl.c"
