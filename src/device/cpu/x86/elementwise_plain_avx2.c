/* The elementwise kernels of f64 and integers at level avx2. */
#define PLAIN em__elementwise_plain_avx2
#include "device/cpu/elementwise_plain_tmpl.c"
