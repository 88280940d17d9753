/*
 * Elementwise loops over plain C elements, left to the compiler to vectorise. Included once a type, after the type's
 * operations: OP(name) is the scalar function of an op (of one or two T, giving T, or uint8_t for the tests), T the
 * element, FN(name) the name of a loop, DTYPE the enumerator. INTEGER is 1 or 0 and picks the rows of the op table.
 */
static inline __attribute__((always_inline)) void FN(map1)(T *out, const T *in, size_t n, T (*f)(T))
{
    for (size_t i = 0; i < n; i++)
        out[i] = f(in[i]);
}

static inline __attribute__((always_inline)) void FN(test1)(uint8_t *out, const T *in, size_t n, uint8_t (*f)(T))
{
    for (size_t i = 0; i < n; i++)
        out[i] = f(in[i]);
}

static inline __attribute__((always_inline)) void FN(map2)(T *out, const T *a, const T *b, size_t n, T (*f)(T, T))
{
    for (size_t i = 0; i < n; i++)
        out[i] = f(a[i], b[i]);
}

static inline __attribute__((always_inline)) void FN(test2)(uint8_t *out, const T *a, const T *b, size_t n,
                                                            uint8_t (*f)(T, T))
{
    for (size_t i = 0; i < n; i++)
        out[i] = f(a[i], b[i]);
}

static void FN(clip)(void *out, const void *in, const void *low, const void *high, size_t n)
{
    const T *x = in;
    T *y = out, lo = *(const T *)low, hi = *(const T *)high;
    for (size_t i = 0; i < n; i++)
        y[i] = OP(maximum)(lo, OP(minimum)(hi, x[i]));
}

#define MAP1(NAME, name)                                                                                               \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        FN(map1)(out, in, n, OP(name));                                                                                \
    }
#define TEST1(NAME, name)                                                                                              \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        FN(test1)(out, in, n, OP(name));                                                                               \
    }
#define MAP2(NAME, name)                                                                                               \
    static void FN(name##_vv)(void *out, const void *a, const void *b, size_t n)                                       \
    {                                                                                                                  \
        FN(map2)(out, a, b, n, OP(name));                                                                              \
    }                                                                                                                  \
    static void FN(name)(void *out, const void *a, const void *b, size_t n, em__mode mode)                             \
    {                                                                                                                  \
        em__run_modes(out, sizeof(T), a, b, sizeof(T), n, mode, FN(name##_vv));                                        \
    }
#define TEST2(NAME, name)                                                                                              \
    static void FN(name##_vv)(void *out, const void *a, const void *b, size_t n)                                       \
    {                                                                                                                  \
        FN(test2)(out, a, b, n, OP(name));                                                                             \
    }                                                                                                                  \
    static void FN(name)(void *out, const void *a, const void *b, size_t n, em__mode mode)                             \
    {                                                                                                                  \
        em__run_modes(out, 1, a, b, sizeof(T), n, mode, FN(name##_vv));                                                \
    }
#define EM__UNARY_ANY MAP1
#define EM__UNARY_TEST TEST1
#define EM__BINARY_ANY MAP2
#define EM__BINARY_TEST TEST2
#if INTEGER
#define EM__UNARY_INT MAP1
#define EM__BINARY_INT MAP2
#else
#define EM__UNARY_FLOAT MAP1
#define EM__BINARY_FLOAT MAP2
#endif
#include "device/cpu/elementwise_ops.def"
#undef MAP1
#undef TEST1
#undef MAP2
#undef TEST2

static void FN(fill)(em__elementwise *k)
{
#define SLOT1(NAME, name) k->unary[EM__UNARY_##NAME][DTYPE] = FN(name);
#define SLOT2(NAME, name) k->binary[EM__BINARY_##NAME][DTYPE] = FN(name);
#define EM__UNARY_ANY SLOT1
#define EM__UNARY_TEST SLOT1
#define EM__BINARY_ANY SLOT2
#define EM__BINARY_TEST SLOT2
#if INTEGER
#define EM__UNARY_INT SLOT1
#define EM__BINARY_INT SLOT2
#else
#define EM__UNARY_FLOAT SLOT1
#define EM__BINARY_FLOAT SLOT2
#endif
#include "device/cpu/elementwise_ops.def"
#undef SLOT1
#undef SLOT2
    k->clip[DTYPE] = FN(clip);
}

#undef T
#undef FN
#undef OP
#undef DTYPE
#undef INTEGER
