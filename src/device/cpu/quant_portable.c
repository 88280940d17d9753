/* The quantized products in plain C. */
#include "device/cpu/quant_v_portable.h"

#define FILL em__quant_fill_portable
#define LEVEL EM__CPU_PORTABLE
#include "device/cpu/quant_tmpl.c"
