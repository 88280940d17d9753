/* The rotary kernels at level avx512. */
#include "device/cpu/vecmath_avx512.h"

#define FILL em__rotary_fill_avx512
#include "device/cpu/rotary_level_tmpl.c"
