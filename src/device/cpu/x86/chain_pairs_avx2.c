/* The pairs of chain steps at level avx2. */
#include "device/cpu/vecmath_avx2.h"

#define PAIRS em__pairs_avx2
#include "device/cpu/chain_pairs_tmpl.c"
