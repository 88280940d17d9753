/* All offset kernels of one level. Included with FILL the name of the function that puts them into a table. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/offsets.h"

#define T uint8_t
#define FN(name) u8_##name
#include "device/cpu/offsets_tmpl.c"
#define T uint16_t
#define FN(name) u16_##name
#include "device/cpu/offsets_tmpl.c"
#define T uint32_t
#define FN(name) u32_##name
#include "device/cpu/offsets_tmpl.c"
#define T uint64_t
#define FN(name) u64_##name
#include "device/cpu/offsets_tmpl.c"
#define T int8_t
#define FN(name) s8_##name
#include "device/cpu/offsets_tmpl.c"
#define T int16_t
#define FN(name) s16_##name
#include "device/cpu/offsets_tmpl.c"
#define T int32_t
#define FN(name) s32_##name
#include "device/cpu/offsets_tmpl.c"
#define T int64_t
#define FN(name) s64_##name
#include "device/cpu/offsets_tmpl.c"

void FILL(em__offsets *k)
{
#define ROW(DTYPE, name)                                                                                               \
    k->set[DTYPE] = name##_set;                                                                                        \
    k->add[DTYPE] = name##_add;                                                                                        \
    k->strict[DTYPE] = name##_strict
    ROW(EM_U8, u8);
    ROW(EM_U16, u16);
    ROW(EM_U32, u32);
    ROW(EM_U64, u64);
    ROW(EM_S8, s8);
    ROW(EM_S16, s16);
    ROW(EM_S32, s32);
    ROW(EM_S64, s64);
#undef ROW
    k->within[EM_U32] = u32_within;
    k->within[EM_S32] = s32_within;
    k->within[EM_U64] = u64_within;
    k->within[EM_S64] = s64_within;
}
