/* The quantized products at level avx2. */
#include "device/cpu/quant_v_avx2.h"

#define FILL em__quant_fill_avx2
#define LEVEL EM__CPU_AVX2
#include "device/cpu/quant_tmpl.c"
