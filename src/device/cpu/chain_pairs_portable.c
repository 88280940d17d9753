/* The pairs of chain steps at level portable. */
#include "device/cpu/vecmath_portable.h"

#define PAIRS em__pairs_portable
#include "device/cpu/chain_pairs_tmpl.c"
