/* The offset kernels at level avx2. */
#define FILL em__offsets_fill_avx2
#include "device/cpu/offsets_level_tmpl.c"
