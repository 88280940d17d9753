/* The pairs of chain steps at level avx512. */
#include "device/cpu/vecmath_avx512.h"

#define PAIRS em__pairs_avx512
#include "device/cpu/chain_pairs_tmpl.c"
