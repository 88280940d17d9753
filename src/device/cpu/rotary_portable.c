/* The rotary kernels at level portable. */
#include "device/cpu/vecmath_portable.h"

#define FILL em__rotary_fill_portable
#include "device/cpu/rotary_level_tmpl.c"
