/* The dtype table, expanded from EM_DTYPE_MAP. */
#include <emily/dtype.h>

#include <string.h>

#include "core/error.h"

static const struct {
    const char *name;
    size_t bits;
    em_dtype_kind kind;
} table[EM_DTYPE_COUNT] = {
#define ROW(name, text, bits, kind, st) [EM_##name] = {text, bits, EM_KIND_##kind},
    EM_DTYPE_MAP(ROW)
#undef ROW
};

/* The spellings of NumPy and PyTorch. */
static const struct {
    const char *name;
    em_dtype dtype;
} aliases[] = {
    {"bool", EM_PRED},
    {"uint8", EM_U8},
    {"uint16", EM_U16},
    {"uint32", EM_U32},
    {"uint64", EM_U64},
    {"uint2", EM_U2},
    {"uint4", EM_U4},
    {"int2", EM_S2},
    {"int4", EM_S4},
    {"int8", EM_S8},
    {"int16", EM_S16},
    {"int32", EM_S32},
    {"int64", EM_S64},
    {"float16", EM_F16},
    {"half", EM_F16},
    {"bfloat16", EM_BF16},
    {"float32", EM_F32},
    {"float", EM_F32},
    {"float64", EM_F64},
    {"double", EM_F64},
    {"float8_e4m3fn", EM_F8_E4M3FN},
    {"float8_e5m2", EM_F8_E5M2},
    {"complex64", EM_C64},
    {"complex128", EM_C128},
};

const char *em_dtype_name(em_dtype dtype)
{
    return (unsigned)dtype < EM_DTYPE_COUNT ? table[dtype].name : "?";
}

size_t em_dtype_size(em_dtype dtype)
{
    return (em_dtype_bits(dtype) + 7) / 8;
}

size_t em_dtype_bits(em_dtype dtype)
{
    return (unsigned)dtype < EM_DTYPE_COUNT ? table[dtype].bits : 0;
}

em_dtype_kind em_dtype_get_kind(em_dtype dtype)
{
    return (unsigned)dtype < EM_DTYPE_COUNT ? table[dtype].kind : EM_KIND_BOOL;
}

em_status em_dtype_parse(const char *name, em_dtype *dtype)
{
    EM__FAIL_IF(!name || !dtype, EM_ERROR_INVALID_ARGUMENT, "dtype_parse: NULL argument");
    for (int i = 0; i < EM_DTYPE_COUNT; i++)
        if (strcmp(name, table[i].name) == 0)
            return *dtype = (em_dtype)i, EM_OK;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(name, aliases[i].name) == 0)
            return *dtype = aliases[i].dtype, EM_OK;
#define LIST(name, text, bits, kind, st) " " text
    return em__fail(EM_ERROR_INVALID_ARGUMENT, "dtype \"%.40s\" is unknown; known are" EM_DTYPE_MAP(LIST), name);
#undef LIST
}
