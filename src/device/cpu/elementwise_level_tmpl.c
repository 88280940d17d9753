/*
 * The elementwise kernels of one level, those that compute in vectors of f32 and those that only choose. Included by
 * elementwise_portable.c and x86/elementwise_{avx2,avx512}.c after the level's vecmath header, with FILL the name of
 * the function that puts all of the level's into a table, and PLAIN that of elementwise_plain_tmpl.c's.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3") /* the plain loops below are written for the vectoriser */
#endif

#include "device/cpu/elementwise_modes.h"
#include "device/cpu/elementwise_vf_ops.h"

#define E float
#define FN(name) f32_##name##_loop
#define LOAD(p) vf_load(p)
#define LOAD_N(p, n) vf_load_n(p, n)
#define STORE(p, x) vf_store(p, x)
#define STORE_N(p, x, n) vf_store_n(p, x, n)
#define ONE(p) (*(p))
#define DTYPE EM_F32
#include "device/cpu/elementwise_vf_tmpl.c"

#define E uint16_t
#define FN(name) f16_##name##_loop
#define LOAD(p) vf_load_f16(p)
#define LOAD_N(p, n) vf_load_f16_n(p, n)
#define STORE(p, x) vf_store_f16(p, x)
#define STORE_N(p, x, n) vf_store_f16_n(p, x, n)
#define ONE(p) em__f16_to_f32(*(p))
#define DTYPE EM_F16
#include "device/cpu/elementwise_vf_tmpl.c"

#define E uint16_t
#define FN(name) bf16_##name##_loop
#define LOAD(p) vf_load_bf16(p)
#define LOAD_N(p, n) vf_load_bf16_n(p, n)
#define STORE(p, x) vf_store_bf16(p, x)
#define STORE_N(p, x, n) vf_store_bf16_n(p, x, n)
#define ONE(p) em__bf16_to_f32(*(p))
#define DTYPE EM_BF16
#include "device/cpu/elementwise_vf_tmpl.c"

#define T uint8_t
#define FN(name) size1_##name
#include "device/cpu/elementwise_select_tmpl.c"
#define T uint16_t
#define FN(name) size2_##name
#include "device/cpu/elementwise_select_tmpl.c"
#define T uint32_t
#define FN(name) size4_##name
#include "device/cpu/elementwise_select_tmpl.c"
#define T uint64_t
#define FN(name) size8_##name
#include "device/cpu/elementwise_select_tmpl.c"

/* pred has the tests and bitwise ops of u8, and its maximum and minimum; arithmetic on it has no meaning. */
static void fill_pred(em__elementwise *k)
{
#define SLOT1(NAME, name) k->unary[EM__UNARY_##NAME][EM_PRED] = k->unary[EM__UNARY_##NAME][EM_U8];
#define SLOT2(NAME, name) k->binary[EM__BINARY_##NAME][EM_PRED] = k->binary[EM__BINARY_##NAME][EM_U8];
#define EM__UNARY_TEST SLOT1
#define EM__BINARY_TEST SLOT2
#include "device/cpu/elementwise_ops.def"
    SLOT2(MAXIMUM, maximum)
    SLOT2(MINIMUM, minimum)
    SLOT2(BITWISE_AND, bitwise_and)
    SLOT2(BITWISE_OR, bitwise_or)
    SLOT2(BITWISE_XOR, bitwise_xor)
#undef SLOT1
#undef SLOT2
}

static void fill_select(em__elementwise *k)
{
    for (int dtype = 0; dtype < EM_DTYPE_COUNT; dtype++) {
        size_t size = em_dtype_size((em_dtype)dtype);
        k->select[dtype] = size == 1   ? size1_select
                           : size == 2 ? size2_select
                           : size == 4 ? size4_select
                           : size == 8 ? size8_select
                                       : k->select[dtype];
    }
}

void FILL(em__elementwise *k)
{
    PLAIN(k);
    f32_fill_loop(k);
    f16_fill_loop(k);
    bf16_fill_loop(k);
    fill_pred(k);
    fill_select(k);
}
