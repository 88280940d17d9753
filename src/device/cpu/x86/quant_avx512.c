/* The quantized products at level avx512. */
#include "device/cpu/quant_v_avx512.h"

#define FILL em__quant_fill_avx512
#define LEVEL EM__CPU_AVX512
#include "device/cpu/quant_tmpl.c"
