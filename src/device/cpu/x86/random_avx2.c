/* Random bits at level avx2. */
#define LANES 8
#define THREEFRY em__threefry_avx2
#include "device/cpu/random_tmpl.c"
