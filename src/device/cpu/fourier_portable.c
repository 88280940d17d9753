/* Fourier transforms at level portable. */
#define WIDTH 16
#define MULADD_F32(a, b, c) ((a) * (b) + (c))
#define MULADD_F64(a, b, c) ((a) * (b) + (c))
#define FILL em__fft_fill_portable
#include "device/cpu/fourier_level_tmpl.c"
