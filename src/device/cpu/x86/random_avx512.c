/* Random bits at level avx512. */
#define LANES 16
#define THREEFRY em__threefry_avx512
#include "device/cpu/random_tmpl.c"
