/* The rotary kernels at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#define FILL em__rotary_fill_avx2
#include "device/cpu/rotary_level_tmpl.c"
