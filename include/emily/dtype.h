/*
 * Element types. One X-macro gives the enum, the names, the bits and the kinds; nothing else lists them.
 */
#ifndef EMILY_DTYPE_H
#define EMILY_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* enum, name, bits, kind, name in safetensors files (NULL: they have none) */
#define EM_DTYPE_WHOLE_MAP(X)                                                                                          \
    X(PRED, "pred", 8, BOOL, "BOOL")                                                                                   \
    X(U8, "u8", 8, UNSIGNED, "U8")                                                                                     \
    X(U16, "u16", 16, UNSIGNED, "U16")                                                                                 \
    X(U32, "u32", 32, UNSIGNED, "U32")                                                                                 \
    X(U64, "u64", 64, UNSIGNED, "U64")                                                                                 \
    X(S8, "s8", 8, SIGNED, "I8")                                                                                       \
    X(S16, "s16", 16, SIGNED, "I16")                                                                                   \
    X(S32, "s32", 32, SIGNED, "I32")                                                                                   \
    X(S64, "s64", 64, SIGNED, "I64")                                                                                   \
    X(F8_E4M3FN, "f8_e4m3fn", 8, FLOAT, "F8_E4M3")                                                                     \
    X(F8_E5M2, "f8_e5m2", 8, FLOAT, "F8_E5M2")                                                                         \
    X(F16, "f16", 16, FLOAT, "F16")                                                                                    \
    X(BF16, "bf16", 16, FLOAT, "BF16")                                                                                 \
    X(F32, "f32", 32, FLOAT, "F32")                                                                                    \
    X(F64, "f64", 64, FLOAT, "F64")                                                                                    \
    X(C64, "c64", 64, COMPLEX, "C64")                                                                                  \
    X(C128, "c128", 128, COMPLEX, "C128")

/*
 * Several elements share a byte: they lie in row-major order without holes, the first in the lowest bits; an array
 * begins at a byte, and what its last byte has left is 0. They are for values at rest: ops compute in s8 or u8, and a
 * result of such a dtype keeps the low bits (a sum that overflows wraps, a float that is cast saturates).
 */
#define EM_DTYPE_PART_MAP(X)                                                                                           \
    X(U2, "u2", 2, UNSIGNED, NULL)                                                                                     \
    X(U4, "u4", 4, UNSIGNED, NULL)                                                                                     \
    X(S2, "s2", 2, SIGNED, NULL)                                                                                       \
    X(S4, "s4", 4, SIGNED, NULL)

#define EM_DTYPE_MAP(X) EM_DTYPE_WHOLE_MAP(X) EM_DTYPE_PART_MAP(X)

typedef enum em_dtype {
#define EM_DTYPE_ENUM(name, text, bits, kind, st) EM_##name,
    EM_DTYPE_MAP(EM_DTYPE_ENUM)
#undef EM_DTYPE_ENUM
        EM_DTYPE_COUNT
} em_dtype;

typedef enum em_dtype_kind {
    EM_KIND_BOOL,
    EM_KIND_UNSIGNED,
    EM_KIND_SIGNED,
    EM_KIND_FLOAT,
    EM_KIND_COMPLEX
} em_dtype_kind;

/* Name ("f32"), bytes and bits an element, kind. For a value outside the enum: "?", 0, 0, EM_KIND_BOOL. The size of a
 * dtype of less than 8 bits is 1, as of one element by itself; em_array_bytes knows what an array takes. Any thread. */
EM_API const char *em_dtype_name(em_dtype dtype);
EM_API size_t em_dtype_size(em_dtype dtype);
EM_API size_t em_dtype_bits(em_dtype dtype);
EM_API em_dtype_kind em_dtype_get_kind(em_dtype dtype);

/* The dtype called `name` ("f32", "bf16", also "float32", "bfloat16", "int64" and the like).
 * EM_ERROR_INVALID_ARGUMENT if there is none; `*dtype` is then untouched. */
EM_API em_status em_dtype_parse(const char *name, em_dtype *dtype);

#ifdef __cplusplus
}
#endif
#endif
