/* The scan kernels at level avx2. */
#define VECTOR 32
#define FILL em__scan_fill_avx2
#include "device/cpu/scan_level_tmpl.c"
