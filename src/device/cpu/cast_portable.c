/* The conversions at level portable. */
#include "device/cpu/vecmath_portable.h"

#define FILL em__cast_fill_portable
#include "device/cpu/cast_level_tmpl.c"
