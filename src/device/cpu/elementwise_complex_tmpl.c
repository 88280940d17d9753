/*
 * Elementwise loops over one complex dtype. Included once each, with P the type of a part, FN(name), DTYPE, PART the
 * parts' enumerator, ABS(a, b) the modulus. What is a few additions and products is done in P, so that the vectoriser
 * can; all else in c128, rounded once.
 */
static inline em__c128 FN(at)(const P *x, size_t i)
{
    return em__c128_of((double)x[2 * i], (double)x[2 * i + 1]);
}

static inline void FN(put)(P *y, size_t i, em__c128 z)
{
    y[2 * i] = (P)creal(z);
    y[2 * i + 1] = (P)cimag(z);
}

/* Each element by parts: re and im are expressions of a and b, the parts of the operand. */
#define BY_PARTS(name, re, im)                                                                                         \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        const P *x = in;                                                                                               \
        P *y = out;                                                                                                    \
        for (size_t i = 0; i < n; i++) {                                                                               \
            P a = x[2 * i], b = x[2 * i + 1];                                                                          \
            y[2 * i] = re;                                                                                             \
            y[2 * i + 1] = im;                                                                                         \
        }                                                                                                              \
    }
BY_PARTS(neg, -a, -b)
BY_PARTS(conjugate, a, -b)
BY_PARTS(square, a *a - b * b, a *b + a * b)
#undef BY_PARTS

/* To one real number, or to pred. */
#define TO_ONE(name, T, value)                                                                                         \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        const P *x = in;                                                                                               \
        T *y = out;                                                                                                    \
        for (size_t i = 0; i < n; i++) {                                                                               \
            P a = x[2 * i], b = x[2 * i + 1];                                                                          \
            (void)a, (void)b;                                                                                          \
            y[i] = (T)(value);                                                                                         \
        }                                                                                                              \
    }
TO_ONE(abs, P, ABS(a, b))
TO_ONE(real, P, a)
TO_ONE(imag, P, b)
TO_ONE(phase, P, atan2((double)b, (double)a))
TO_ONE(logical_not, uint8_t, a == 0 && b == 0)
TO_ONE(is_nan, uint8_t, isnan(a) || isnan(b))
TO_ONE(is_inf, uint8_t, isinf(a) || isinf(b))
TO_ONE(is_finite, uint8_t, isfinite(a) && isfinite(b))
#undef TO_ONE

#define BY_C128(NAME, name, f)                                                                                         \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i++)                                                                                 \
            FN(put)(out, i, f(FN(at)(in, i)));                                                                         \
    }
COMPLEX_FUNCTIONS(BY_C128)
#undef BY_C128

/* Two operands, either of which may be one scalar: sa and sb are their steps. */
#define TWO(name, T, body)                                                                                             \
    static void FN(name)(void *out, const void *left, const void *right, size_t n, em__mode mode)                      \
    {                                                                                                                  \
        const P *x = left, *z = right;                                                                                 \
        T *y = out;                                                                                                    \
        size_t sa = mode & EM__SCALAR_A ? 0 : 2, sb = mode & EM__SCALAR_B ? 0 : 2;                                     \
        for (size_t i = 0; i < n; i++) {                                                                               \
            P a = x[sa * i], b = x[sa * i + 1], c = z[sb * i], d = z[sb * i + 1];                                      \
            body;                                                                                                      \
        }                                                                                                              \
    }
TWO(add, P, y[2 * i] = a + c; y[2 * i + 1] = b + d)
TWO(sub, P, y[2 * i] = a - c; y[2 * i + 1] = b - d)
TWO(mul, P, y[2 * i] = a * c - b * d; y[2 * i + 1] = a * d + b * c)
TWO(div, P, FN(put)(y, i, em__c128_div(em__c128_of((double)a, (double)b), em__c128_of((double)c, (double)d))))
TWO(pow, P, FN(put)(y, i, em__c128_pow(em__c128_of((double)a, (double)b), em__c128_of((double)c, (double)d))))
TWO(equal, uint8_t, y[i] = a == c && b == d)
TWO(not_equal, uint8_t, y[i] = a != c || b != d)
TWO(logical_and, uint8_t, y[i] = (a != 0 || b != 0) && (c != 0 || d != 0))
TWO(logical_or, uint8_t, y[i] = a != 0 || b != 0 || c != 0 || d != 0)
TWO(logical_xor, uint8_t, y[i] = (a != 0 || b != 0) != (c != 0 || d != 0))
#undef TWO

static void FN(make_complex)(void *out, const void *re, const void *im, size_t n, em__mode mode)
{
    const P *a = re, *b = im;
    P *y = out;
    size_t sa = mode & EM__SCALAR_A ? 0 : 1, sb = mode & EM__SCALAR_B ? 0 : 1;
    for (size_t i = 0; i < n; i++) {
        y[2 * i] = a[sa * i];
        y[2 * i + 1] = b[sb * i];
    }
}

static void FN(select)(void *out, const uint8_t *pred, const void *left, const void *right, size_t n, em__mode mode)
{
    const P *a = left, *b = right;
    P *y = out;
    size_t sa = mode & EM__SCALAR_A ? 0 : 2, sb = mode & EM__SCALAR_B ? 0 : 2;
    for (size_t i = 0; i < n; i++) {
        const P *from = pred[i] ? a + sa * i : b + sb * i;
        P re = from[0], im = from[1];
        y[2 * i] = re;
        y[2 * i + 1] = im;
    }
}

static void FN(fill)(em__elementwise *k)
{
#define UNARY(NAME, name, f) k->unary[EM__UNARY_##NAME][DTYPE] = FN(name);
#define BINARY(NAME, name) k->binary[EM__BINARY_##NAME][DTYPE] = FN(name);
    COMPLEX_FUNCTIONS(UNARY)
    COMPLEX_PARTS(UNARY)
    COMPLEX_BINARY(BINARY)
#undef UNARY
#undef BINARY
    k->binary[EM__BINARY_MAKE_COMPLEX][PART] = FN(make_complex);
    k->select[DTYPE] = FN(select);
}

#undef P
#undef FN
#undef DTYPE
#undef PART
#undef ABS
