/* The offset kernels at level avx512. */
#define FILL em__offsets_fill_avx512
#include "device/cpu/offsets_level_tmpl.c"
