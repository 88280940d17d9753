/* The conversions at level avx512: those between f32 and the half types. */
#include "device/cpu/vecmath_avx512.h"

#include "device/cpu/cast.h"
#include "device/cpu/cast_halves.h"

void em__cast_fill_avx512(em__cast *k)
{
    fill_halves(k);
}
