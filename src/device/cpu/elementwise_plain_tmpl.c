/*
 * The elementwise kernels of one level for f64 and integers, plain loops for the vectoriser. Included by
 * elementwise_plain_portable.c and x86/elementwise_plain_{avx2,avx512}.c, with PLAIN the name of the function that puts
 * them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/elementwise_f64_ops.h"
#include "device/cpu/elementwise_modes.h"

#define T double
#define FN(name) f64_##name##_loop
#define OP(name) f64_##name
#define DTYPE EM_F64
#define INTEGER 0
#include "device/cpu/elementwise_scalar_tmpl.c"

#define T uint8_t
#define U uint8_t
#define W uint32_t
#define SIGNED 0
#define FN(name) u8_##name##_loop
#define OP(name) u8_##name
#define DTYPE EM_U8
#include "device/cpu/elementwise_int_tmpl.c"

#define T uint16_t
#define U uint16_t
#define W uint32_t
#define SIGNED 0
#define FN(name) u16_##name##_loop
#define OP(name) u16_##name
#define DTYPE EM_U16
#include "device/cpu/elementwise_int_tmpl.c"

#define T uint32_t
#define U uint32_t
#define W uint32_t
#define SIGNED 0
#define FN(name) u32_##name##_loop
#define OP(name) u32_##name
#define DTYPE EM_U32
#include "device/cpu/elementwise_int_tmpl.c"

#define T uint64_t
#define U uint64_t
#define W uint64_t
#define SIGNED 0
#define FN(name) u64_##name##_loop
#define OP(name) u64_##name
#define DTYPE EM_U64
#include "device/cpu/elementwise_int_tmpl.c"

#define T int8_t
#define U uint8_t
#define W uint32_t
#define SIGNED 1
#define FN(name) s8_##name##_loop
#define OP(name) s8_##name
#define DTYPE EM_S8
#include "device/cpu/elementwise_int_tmpl.c"

#define T int16_t
#define U uint16_t
#define W uint32_t
#define SIGNED 1
#define FN(name) s16_##name##_loop
#define OP(name) s16_##name
#define DTYPE EM_S16
#include "device/cpu/elementwise_int_tmpl.c"

#define T int32_t
#define U uint32_t
#define W uint32_t
#define SIGNED 1
#define FN(name) s32_##name##_loop
#define OP(name) s32_##name
#define DTYPE EM_S32
#include "device/cpu/elementwise_int_tmpl.c"

#define T int64_t
#define U uint64_t
#define W uint64_t
#define SIGNED 1
#define FN(name) s64_##name##_loop
#define OP(name) s64_##name
#define DTYPE EM_S64
#include "device/cpu/elementwise_int_tmpl.c"

void PLAIN(em__elementwise *k)
{
    f64_fill_loop(k);
    u8_fill_loop(k);
    u16_fill_loop(k);
    u32_fill_loop(k);
    u64_fill_loop(k);
    s8_fill_loop(k);
    s16_fill_loop(k);
    s32_fill_loop(k);
    s64_fill_loop(k);
}
