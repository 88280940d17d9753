/* The elementwise kernels of f64 and integers at level portable. */
#define PLAIN em__elementwise_plain_portable
#include "device/cpu/elementwise_plain_tmpl.c"
