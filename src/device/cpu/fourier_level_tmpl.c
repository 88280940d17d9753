/* Template: the Fourier kernels of a level whose vectors have WIDTH bytes; FILL names the function that gives them. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3") /* loops over the vectors of a butterfly are unrolled, which keeps them in registers */
#endif
#include <string.h>

#include "device/cpu/fourier.h"

#define N(name) name##_f32
#define REAL float
#define BITS 32
#define LANES (WIDTH / 4)
#define MULADD MULADD_F32
#include "device/cpu/fourier_tmpl.c"

#define N(name) name##_f64
#define REAL double
#define BITS 64
#define LANES (WIDTH / 8)
#define MULADD MULADD_F64
#include "device/cpu/fourier_tmpl.c"

void FILL(em__fft_kernels kernels[2])
{
    kernels[0] = kernels_f32;
    kernels[1] = kernels_f64;
}
