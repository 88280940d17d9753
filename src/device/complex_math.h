/*
 * Complex functions that C99 lacks or leaves to more than one reading, on c128; c64 is computed here too and rounded
 * once. Principal branches throughout. Shared by ref and cpu: their oracle is NumPy (tests/golden/ops).
 */
#ifndef EM_DEVICE_COMPLEX_MATH_H
#define EM_DEVICE_COMPLEX_MATH_H

#include <complex.h>
#include <math.h>

typedef double _Complex em__c128;

static inline em__c128 em__c128_of(double re, double im)
{
    union {
        double part[2];
        em__c128 z;
    } u = {{re, im}};
    return u.z;
}

static inline em__c128 em__c128_add(em__c128 a, em__c128 b)
{
    return em__c128_of(creal(a) + creal(b), cimag(a) + cimag(b));
}

static inline em__c128 em__c128_sub(em__c128 a, em__c128 b)
{
    return em__c128_of(creal(a) - creal(b), cimag(a) - cimag(b));
}

/* By the definition: an infinite part may give NaN, as in NumPy. */
static inline em__c128 em__c128_mul(em__c128 a, em__c128 b)
{
    return em__c128_of(creal(a) * creal(b) - cimag(a) * cimag(b), creal(a) * cimag(b) + cimag(a) * creal(b));
}

/* Smith's algorithm: no square of a part overflows. */
static inline em__c128 em__c128_div(em__c128 a, em__c128 b)
{
    double x = creal(a), y = cimag(a), c = creal(b), d = cimag(b);
    if (fabs(c) >= fabs(d)) {
        if (c == 0 && d == 0)
            return em__c128_of(x / fabs(c), y / fabs(c));
        double ratio = d / c, scale = 1 / (c + d * ratio);
        return em__c128_of((x + y * ratio) * scale, (y - x * ratio) * scale);
    }
    double ratio = c / d, scale = 1 / (d + c * ratio);
    return em__c128_of((x * ratio + y) * scale, (y * ratio - x) * scale);
}

static inline em__c128 em__c128_scale(em__c128 z, double by)
{
    return em__c128_of(creal(z) * by, cimag(z) * by);
}

static inline double em__c128_abs(em__c128 z)
{
    return hypot(creal(z), cimag(z));
}

static inline double em__c128_phase(em__c128 z)
{
    return atan2(cimag(z), creal(z));
}

static inline em__c128 em__c128_sign(em__c128 z)
{
    double size = em__c128_abs(z);
    return size == 0 ? em__c128_of(0, 0) : em__c128_of(creal(z) / size, cimag(z) / size);
}

/* exp(z) - 1: cos - 1 is taken as -2 sin^2(half), so that small z keep their digits. */
static inline em__c128 em__c128_expm1(em__c128 z)
{
    double x = creal(z), y = cimag(z), half = sin(y / 2), grown = expm1(x);
    double re = grown * cos(y) - 2 * half * half;
    return em__c128_of(re, y == 0 ? y : exp(x) * sin(y));
}

/* log(1 + z) by the modulus less one, x (x + 2) + y^2, which keeps the digits of small z. */
static inline em__c128 em__c128_log1p(em__c128 z)
{
    double x = creal(z), y = cimag(z);
    if (fabs(x) > 0.5 || fabs(y) > 0.5)
        return clog(em__c128_of(1 + x, y));
    return em__c128_of(0.5 * log1p(x * (2 + x) + y * y), atan2(y, 1 + x));
}

static inline em__c128 em__c128_cbrt(em__c128 z)
{
    double size = cbrt(em__c128_abs(z)), angle = em__c128_phase(z) / 3;
    return cimag(z) == 0 && creal(z) >= 0 ? em__c128_of(size, cimag(z))
                                          : em__c128_of(size * cos(angle), size * sin(angle));
}

static inline em__c128 em__c128_reciprocal(em__c128 z)
{
    return em__c128_div(em__c128_of(1, 0), z);
}

/* 1 / (1 + exp(-z)), by exp(z) / (1 + exp(z)) where the real part is negative. */
static inline em__c128 em__c128_sigmoid(em__c128 z)
{
    em__c128 grown = cexp(creal(z) < 0 ? z : -z), one = em__c128_of(1, 0);
    return em__c128_div(creal(z) < 0 ? grown : one, em__c128_add(one, grown));
}

static inline em__c128 em__c128_whole_power(em__c128 base, int exponent)
{
    em__c128 result = em__c128_of(1, 0);
    for (unsigned rest = (unsigned)(exponent < 0 ? -exponent : exponent); rest; rest >>= 1) {
        if (rest & 1)
            result = em__c128_mul(result, base);
        base = rest > 1 ? em__c128_mul(base, base) : base;
    }
    return exponent < 0 ? em__c128_reciprocal(result) : result;
}

/* exp(b log a); small whole exponents by products, which are exact where their results are. 0^0 is 1. */
static inline em__c128 em__c128_pow(em__c128 a, em__c128 b)
{
    double re = creal(b), im = cimag(b);
    if (re == 0 && im == 0)
        return em__c128_of(1, 0);
    if (creal(a) == 0 && cimag(a) == 0)
        return re > 0 && im == 0 ? em__c128_of(0, 0) : em__c128_of((double)NAN, (double)NAN);
    if (im == 0 && re == trunc(re) && fabs(re) < 100)
        return em__c128_whole_power(a, (int)re);
    double size = em__c128_abs(a), angle = em__c128_phase(a), log_size = log(size);
    double grown = exp(re * log_size - im * angle), turned = im * log_size + re * angle;
    return em__c128_of(grown * cos(turned), grown * sin(turned));
}

#endif
