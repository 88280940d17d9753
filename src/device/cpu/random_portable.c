/* Random bits at level portable. */
#define LANES 4
#define THREEFRY em__threefry_portable
#include "device/cpu/random_tmpl.c"
