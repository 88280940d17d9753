/* How NumPy spells the dtypes that its files can hold: byte order, kind, size. */
#ifndef EM_IO_NPY_DTYPE_H
#define EM_IO_NPY_DTYPE_H

#include <emily/dtype.h>

#define EM__NPY_DTYPES(X)                                                                                              \
    X(PRED, "|b1")                                                                                                     \
    X(U8, "|u1")                                                                                                       \
    X(U16, "<u2")                                                                                                      \
    X(U32, "<u4")                                                                                                      \
    X(U64, "<u8")                                                                                                      \
    X(S8, "|i1")                                                                                                       \
    X(S16, "<i2")                                                                                                      \
    X(S32, "<i4")                                                                                                      \
    X(S64, "<i8")                                                                                                      \
    X(F16, "<f2")                                                                                                      \
    X(F32, "<f4")                                                                                                      \
    X(F64, "<f8")                                                                                                      \
    X(C64, "<c8")                                                                                                      \
    X(C128, "<c16")

#endif
