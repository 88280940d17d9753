/*
 * Element types. One X-macro gives the enum, the names, the sizes and the kinds; nothing else lists them.
 */
#ifndef EMILY_DTYPE_H
#define EMILY_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* enum, name, bytes, kind, name in safetensors files */
#define EM_DTYPE_MAP(X)                                                                                                \
    X(PRED, "pred", 1, BOOL, "BOOL")                                                                                   \
    X(U8, "u8", 1, UNSIGNED, "U8")                                                                                     \
    X(U16, "u16", 2, UNSIGNED, "U16")                                                                                  \
    X(U32, "u32", 4, UNSIGNED, "U32")                                                                                  \
    X(U64, "u64", 8, UNSIGNED, "U64")                                                                                  \
    X(S8, "s8", 1, SIGNED, "I8")                                                                                       \
    X(S16, "s16", 2, SIGNED, "I16")                                                                                    \
    X(S32, "s32", 4, SIGNED, "I32")                                                                                    \
    X(S64, "s64", 8, SIGNED, "I64")                                                                                    \
    X(F8_E4M3FN, "f8_e4m3fn", 1, FLOAT, "F8_E4M3")                                                                     \
    X(F8_E5M2, "f8_e5m2", 1, FLOAT, "F8_E5M2")                                                                         \
    X(F16, "f16", 2, FLOAT, "F16")                                                                                     \
    X(BF16, "bf16", 2, FLOAT, "BF16")                                                                                  \
    X(F32, "f32", 4, FLOAT, "F32")                                                                                     \
    X(F64, "f64", 8, FLOAT, "F64")                                                                                     \
    X(C64, "c64", 8, COMPLEX, "C64")                                                                                   \
    X(C128, "c128", 16, COMPLEX, "C128")

typedef enum em_dtype {
#define EM_DTYPE_ENUM(name, text, size, kind, st) EM_##name,
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

/* Name ("f32"), bytes an element, kind. For a value outside the enum: "?", 0, EM_KIND_BOOL. Any thread. */
EM_API const char *em_dtype_name(em_dtype dtype);
EM_API size_t em_dtype_size(em_dtype dtype);
EM_API em_dtype_kind em_dtype_get_kind(em_dtype dtype);

/* The dtype called `name` ("f32", "bf16", also "float32", "bfloat16", "int64" and the like).
 * EM_ERROR_INVALID_ARGUMENT if there is none; `*dtype` is then untouched. */
EM_API em_status em_dtype_parse(const char *name, em_dtype *dtype);

#ifdef __cplusplus
}
#endif
#endif
