/* The elementwise kernels at level portable. */
#include "device/cpu/vecmath_portable.h"

#include "core/float16.h"

#define FILL em__elementwise_fill_portable
#define PLAIN em__elementwise_plain_portable
#include "device/cpu/elementwise_level_tmpl.c"
