/* The offset kernels at level portable. */
#define FILL em__offsets_fill_portable
#include "device/cpu/offsets_level_tmpl.c"
