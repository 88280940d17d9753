/* The elementwise kernels of c64 and c128, the same at all levels; functions of C99 and of complex_math.h. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3", "no-trapping-math") /* so that a choice of results needs no branch */
#endif

#include "device/complex_math.h"
#include "device/cpu/elementwise.h"

static em__c128 exp2_of(em__c128 z)
{
    return cexp(em__c128_scale(z, M_LN2));
}

static em__c128 log2_of(em__c128 z)
{
    return em__c128_scale(clog(z), M_LOG2E);
}

static em__c128 log10_of(em__c128 z)
{
    return em__c128_scale(clog(z), M_LOG10E);
}

static em__c128 rsqrt_of(em__c128 z)
{
    return em__c128_reciprocal(csqrt(z));
}

#define COMPLEX_FUNCTIONS(X)                                                                                           \
    X(SIGN, sign, em__c128_sign)                                                                                       \
    X(RECIPROCAL, reciprocal, em__c128_reciprocal)                                                                     \
    X(SQRT, sqrt, csqrt)                                                                                               \
    X(RSQRT, rsqrt, rsqrt_of)                                                                                          \
    X(CBRT, cbrt, em__c128_cbrt)                                                                                       \
    X(EXP, exp, cexp)                                                                                                  \
    X(EXP2, exp2, exp2_of)                                                                                             \
    X(EXPM1, expm1, em__c128_expm1)                                                                                    \
    X(LOG, log, clog)                                                                                                  \
    X(LOG1P, log1p, em__c128_log1p)                                                                                    \
    X(LOG2, log2, log2_of)                                                                                             \
    X(LOG10, log10, log10_of)                                                                                          \
    X(SIN, sin, csin)                                                                                                  \
    X(COS, cos, ccos)                                                                                                  \
    X(TAN, tan, ctan)                                                                                                  \
    X(ASIN, asin, casin)                                                                                               \
    X(ACOS, acos, cacos)                                                                                               \
    X(ATAN, atan, catan)                                                                                               \
    X(SINH, sinh, csinh)                                                                                               \
    X(COSH, cosh, ccosh)                                                                                               \
    X(TANH, tanh, ctanh)                                                                                               \
    X(ASINH, asinh, casinh)                                                                                            \
    X(ACOSH, acosh, cacosh)                                                                                            \
    X(ATANH, atanh, catanh)                                                                                            \
    X(SIGMOID, sigmoid, em__c128_sigmoid)

#define COMPLEX_PARTS(X)                                                                                               \
    X(NEG, neg, )                                                                                                      \
    X(CONJUGATE, conjugate, )                                                                                          \
    X(SQUARE, square, )                                                                                                \
    X(ABS, abs, )                                                                                                      \
    X(REAL, real, )                                                                                                    \
    X(IMAG, imag, )                                                                                                    \
    X(PHASE, phase, )                                                                                                  \
    X(LOGICAL_NOT, logical_not, )                                                                                      \
    X(IS_NAN, is_nan, )                                                                                                \
    X(IS_INF, is_inf, )                                                                                                \
    X(IS_FINITE, is_finite, )

#define COMPLEX_BINARY(X)                                                                                              \
    X(ADD, add)                                                                                                        \
    X(SUB, sub)                                                                                                        \
    X(MUL, mul)                                                                                                        \
    X(DIV, div)                                                                                                        \
    X(POW, pow)                                                                                                        \
    X(EQUAL, equal)                                                                                                    \
    X(NOT_EQUAL, not_equal)                                                                                            \
    X(LOGICAL_AND, logical_and)                                                                                        \
    X(LOGICAL_OR, logical_or)                                                                                          \
    X(LOGICAL_XOR, logical_xor)

/* The squares of f32 parts neither overflow nor vanish in double. */
static inline double abs_c64(float a, float b)
{
    double x = fabs((double)a), y = fabs((double)b), size = sqrt(x * x + y * y);
    return ((x == (double)INFINITY) | (y == (double)INFINITY)) ? (double)INFINITY : size;
}

#define P float
#define FN(name) c64_##name
#define DTYPE EM_C64
#define PART EM_F32
#define ABS(a, b) abs_c64(a, b)
#include "device/cpu/elementwise_complex_tmpl.c"

#define P double
#define FN(name) c128_##name
#define DTYPE EM_C128
#define PART EM_F64
#define ABS(a, b) hypot(a, b)
#include "device/cpu/elementwise_complex_tmpl.c"

void em__elementwise_fill_complex(em__elementwise *k)
{
    c64_fill(k);
    c128_fill(k);
}
