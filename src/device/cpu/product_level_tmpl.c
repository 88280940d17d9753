/*
 * All tiles of one level. Included by product_portable.c and x86/product_{avx2,avx512}.c with VECTOR, the bytes of a
 * vector; ROWS; FILL, the name of the function that puts them into a table; and the level's multiply-adds of floats
 * (FMA_F32, FMA_F64) and of pairs (MADD).
 */
#include <string.h>

#include "device/cpu/product.h"

typedef float v_f32 __attribute__((vector_size(VECTOR)));
typedef double v_f64 __attribute__((vector_size(VECTOR)));
typedef uint32_t v_u32 __attribute__((vector_size(VECTOR)));
typedef uint64_t v_u64 __attribute__((vector_size(VECTOR)));

#define WRAPPING(sum, a, b) ((sum) + (a) * (b))
#define NO_CHUNK INT64_MAX

#define NAME f32
#define ELEM float
#define vec v_f32
#define SPLAT(x) ((x) - (v_f32){0})
#define MULADD FMA_F32
#define CHUNK EM__PRODUCT_CHUNK
#include "device/cpu/product_tile_tmpl.c"

#define NAME f64
#define ELEM double
#define vec v_f64
#define SPLAT(x) ((x) - (v_f64){0})
#define MULADD FMA_F64
#define CHUNK EM__PRODUCT_CHUNK
#include "device/cpu/product_tile_tmpl.c"

#define NAME u32
#define ELEM uint32_t
#define vec v_u32
#define SPLAT(x) ((x) - (v_u32){0})
#define MULADD WRAPPING
#define CHUNK NO_CHUNK
#include "device/cpu/product_tile_tmpl.c"

#define NAME u64
#define ELEM uint64_t
#define vec v_u64
#define SPLAT(x) ((x) - (v_u64){0})
#define MULADD WRAPPING
#define CHUNK NO_CHUNK
#include "device/cpu/product_tile_tmpl.c"

#define NAME pairs
#define ELEM uint32_t
#define vec v_u32
#define SPLAT(x) ((x) - (v_u32){0})
#define MULADD MADD
#define CHUNK NO_CHUNK
#include "device/cpu/product_tile_tmpl.c"

void FILL(em__product_kernels *kernels)
{
    const int lanes = VECTOR / 4;
    kernels->kind[EM__PRODUCT_F32] = (em__product_kernel){ROWS, 2 * lanes, tile_f32};
    kernels->kind[EM__PRODUCT_F64] = (em__product_kernel){ROWS, lanes, tile_f64};
    kernels->kind[EM__PRODUCT_U32] = (em__product_kernel){ROWS, 2 * lanes, tile_u32};
    kernels->kind[EM__PRODUCT_U64] = (em__product_kernel){ROWS, lanes, tile_u64};
    kernels->kind[EM__PRODUCT_PAIRS] = (em__product_kernel){ROWS, 2 * lanes, tile_pairs};
}
