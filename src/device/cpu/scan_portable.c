/* The scan kernels at level portable. */
#define VECTOR 16
#define FILL em__scan_fill_portable
#include "device/cpu/scan_level_tmpl.c"
