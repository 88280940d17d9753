/* The scan kernels at level avx512. */
#define VECTOR 64
#define FILL em__scan_fill_avx512
#include "device/cpu/scan_level_tmpl.c"
