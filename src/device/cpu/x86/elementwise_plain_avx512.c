/* The elementwise kernels of f64 and integers at level avx512. */
#define PLAIN em__elementwise_plain_avx512
#include "device/cpu/elementwise_plain_tmpl.c"
