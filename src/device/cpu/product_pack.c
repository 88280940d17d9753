/* See product_pack.h. Narrow integers are widened without their sign: it has no part in a result's low bits. */
#include "device/cpu/product_pack.h"

#include <string.h>

#define ELEM uint32_t
#define FUNCTION(name) name##_u32
#include "device/cpu/product_pack_tmpl.c"

#define ELEM uint64_t
#define FUNCTION(name) name##_u64
#include "device/cpu/product_pack_tmpl.c"

#define ELEM uint8_t
#define FUNCTION(name) name##_u8
#include "device/cpu/product_pairs_tmpl.c"

#define ELEM uint16_t
#define FUNCTION(name) name##_u16
#include "device/cpu/product_pairs_tmpl.c"

#define ELEM float
#define FUNCTION(name) name##_c64
#include "device/cpu/product_complex_tmpl.c"

#define ELEM double
#define FUNCTION(name) name##_c128
#include "device/cpu/product_complex_tmpl.c"

void em__product_pack_panel(em_dtype dtype, const em__product_piece *piece, void *dst)
{
    switch (dtype) {
    case EM_C64: pack_c64(piece, dst); break;
    case EM_C128: pack_c128(piece, dst); break;
    case EM_S8:
    case EM_U8:
    case EM_PRED: pack_u8(piece, dst); break;
    case EM_S16:
    case EM_U16: pack_u16(piece, dst); break;
    case EM_S32:
    case EM_U32: pack_u32(piece, dst); break;
    default: pack_u64(piece, dst); break;
    }
}

void em__product_copy_rows(em_dtype dtype, const em__product_piece *piece, void *dst)
{
    switch (dtype) {
    case EM_C64: copy_c64(piece, dst); break;
    case EM_C128: copy_c128(piece, dst); break;
    case EM_S8:
    case EM_U8:
    case EM_PRED: copy_u8(piece, dst); break;
    case EM_S16:
    case EM_U16: copy_u16(piece, dst); break;
    case EM_S32:
    case EM_U32: copy_u32(piece, dst); break;
    default: copy_u64(piece, dst); break;
    }
}

void em__product_narrow(em_dtype dtype, void *dst, int64_t at, const uint32_t *sums, int n)
{
    uint8_t *bytes = (uint8_t *)dst + at;
    if (dtype == EM_S16 || dtype == EM_U16) {
        for (int i = 0; i < n; i++)
            ((uint16_t *)dst)[at + i] = (uint16_t)sums[i];
        return;
    }
    for (int i = 0; i < n; i++)
        bytes[i] = dtype == EM_PRED ? sums[i] != 0 : (uint8_t)sums[i];
}
