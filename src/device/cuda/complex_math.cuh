/*
 * Complex functions on two doubles; c64 is computed here too and rounded once. Principal branches, signed zeros tell
 * the sides of a cut apart; what C99 lacks has the meaning of device/complex_math.h.
 */
#ifndef EM_DEVICE_CUDA_COMPLEX_MATH_CUH
#define EM_DEVICE_CUDA_COMPLEX_MATH_CUH

#include <math_constants.h>

#include "device/cuda/op_math.cuh"

#define EM_HUGE_PART 1e150 /* squares of more overflow */

EM_DEV em_complex em_complex_of(double re, double im)
{
    em_complex z = {re, im};
    return z;
}

EM_DEV em_complex em_mul(em_complex a, em_complex b)
{
    return em_complex_of(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

/* Smith's algorithm: no square of a part overflows. */
EM_DEV em_complex em_div(em_complex a, em_complex b)
{
    if (fabs(b.re) >= fabs(b.im)) {
        if (b.re == 0 && b.im == 0)
            return em_complex_of(a.re / fabs(b.re), a.im / fabs(b.re));
        double ratio = b.im / b.re, scale = 1 / (b.re + b.im * ratio);
        return em_complex_of((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale);
    }
    double ratio = b.re / b.im, scale = 1 / (b.im + b.re * ratio);
    return em_complex_of((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale);
}

EM_DEV em_complex em_reciprocal(em_complex z)
{
    return em_div(em_complex_of(1, 0), z);
}

EM_DEV em_complex em_scale(em_complex z, double by)
{
    return em_complex_of(z.re * by, z.im * by);
}

/* size exp(grow) for the two parts of a direction; exp in halves, where all of it would overflow. */
EM_DEV em_complex em_grown(double grow, double re, double im)
{
    double half = exp(grow > 700 || grow < -700 ? grow / 2 : grow);
    double rest = grow > 700 || grow < -700 ? half : 1;
    return em_complex_of(re == 0 ? re : half * re * rest, im == 0 ? im : half * im * rest);
}

EM_DEV em_complex em_exp(em_complex z)
{
    bool turns = em_is_finite(z.im);
    if (z.im == 0)
        return em_complex_of(exp(z.re), z.im);
    if (!turns && fabs(z.re) == CUDART_INF)
        return z.re < 0 ? em_complex_of(0, 0) : em_complex_of(CUDART_INF, CUDART_NAN);
    return em_grown(z.re, cos(z.im), sin(z.im));
}

/* log |z|: by log1p of |z|^2 - 1 near the unit circle, its squares and their errors summed from the largest on. */
EM_DEV double em_log_abs(double x, double y)
{
    double a = fmax(fabs(x), fabs(y)), b = fmin(fabs(x), fabs(y)), size = hypot(x, y);
    if (!(size > 0.5 && size < 2))
        return log(size);
    double d = a - 1, dd = d * d, bb = b * b;
    double first = 2 * d + bb, part = first - 2 * d;
    double lost = (2 * d - (first - part)) + (bb - part);
    double low = lost + (fma(d, d, -dd) + fma(b, b, -bb));
    double second = first + dd;
    part = second - first;
    low += (first - (second - part)) + (dd - part);
    return 0.5 * log1p(second + low);
}

EM_DEV em_complex em_log(em_complex z)
{
    return em_complex_of(em_log_abs(z.re, z.im), atan2(z.im, z.re));
}

EM_DEV em_complex em_sqrt(em_complex z)
{
    double x = z.re, y = z.im;
    if (x == 0 && y == 0)
        return em_complex_of(0, y);
    if (fabs(y) == CUDART_INF)
        return em_complex_of(CUDART_INF, y);
    if (fabs(x) == CUDART_INF)
        return x > 0 ? em_complex_of(x, y != y ? y : copysign(0.0, y))
                     : em_complex_of(y != y ? y : 0.0, copysign(CUDART_INF, y));
    double top = fmax(fabs(x), fabs(y)), by = top > 1e300 ? 0.25 : top < 1e-290 ? 0x1p108 : 1;
    double root = by == 0.25 ? 2 : by == 1 ? 1 : 0x1p-54;
    double t = sqrt(0.5 * (fabs(x * by) + hypot(x * by, y * by))), s = 0.5 * (y * by) / t;
    return x >= 0 ? em_complex_of(t * root, s * root) : em_complex_of(fabs(s) * root, copysign(t, y) * root);
}

EM_DEV em_complex em_sinh(em_complex z)
{
    if (z.im == 0)
        return em_complex_of(sinh(z.re), z.im);
    if (!em_is_finite(z.im))
        return em_complex_of(z.re == 0 || fabs(z.re) == CUDART_INF ? z.re : CUDART_NAN, CUDART_NAN);
    double c = cos(z.im), s = sin(z.im);
    if (fabs(z.re) > 40)
        return em_grown(fabs(z.re), copysign(0.5, z.re) * c, 0.5 * s);
    return em_complex_of(sinh(z.re) * c, cosh(z.re) * s);
}

EM_DEV em_complex em_cosh(em_complex z)
{
    double sign = copysign(1.0, z.re);
    if (z.im == 0)
        return em_complex_of(cosh(z.re), z.re != z.re ? z.im : sign * z.im);
    if (!em_is_finite(z.im))
        return em_complex_of(fabs(z.re) == CUDART_INF ? CUDART_INF : CUDART_NAN, z.re == 0 ? z.re : CUDART_NAN);
    double c = cos(z.im), s = sin(z.im);
    if (fabs(z.re) > 40)
        return em_grown(fabs(z.re), 0.5 * c, sign * 0.5 * s);
    return em_complex_of(cosh(z.re) * c, sinh(z.re) * s);
}

/* Kahan's form: no overflow, no cancellation. */
EM_DEV em_complex em_tanh(em_complex z)
{
    double x = z.re, y = z.im;
    if (y == 0)
        return em_complex_of(tanh(x), y);
    if (!em_is_finite(y))
        return em_complex_of(x == 0                  ? x
                             : fabs(x) == CUDART_INF ? copysign(1.0, x)
                                                     : CUDART_NAN,
                             fabs(x) == CUDART_INF ? 0 : CUDART_NAN);
    if (fabs(x) > 22)
        return em_complex_of(copysign(1.0, x), 4 * sin(y) * cos(y) * exp(-2 * fabs(x)));
    double t = tan(y), beta = 1 + t * t, s = sinh(x), rho = sqrt(1 + s * s), under = 1 + beta * s * s;
    return em_complex_of(beta * rho * s / under, t / under);
}

/* The turns by which f of a circle is f of a line: f(i z) = i g(z). */
EM_DEV em_complex em_turned(em_complex z)
{
    return em_complex_of(-z.im, z.re);
}

EM_DEV em_complex em_turned_back(em_complex z)
{
    return em_complex_of(z.im, -z.re);
}

/* What arcsine and arccosine share, by Hull, Fairgrieve and Tang: for x, y >= 0 the real part of asin as the tangent
 * up / down, and the imaginary part. */
EM_DEV void em_arc(double x, double y, double *up, double *down, double *im)
{
    if (x > EM_HUGE_PART || y > EM_HUGE_PART) {
        *up = x;
        *down = y;
        *im = log(hypot(x / 2, y / 2)) + 2 * CUDART_LN2;
        return;
    }
    double r = hypot(x + 1, y), s = hypot(x - 1, y), a = 0.5 * (r + s), outer = r + (x + 1);
    double inner = x <= 1 ? s + (1 - x) : s + (x - 1), plus = a + x;
    *up = x;
    if (x <= 1)
        *down = sqrt(0.5 * plus * (y * y / outer + inner));
    else
        *down = y * sqrt(0.5 * (plus / outer + plus / inner));
    double over = x < 1 ? 0.5 * (y * y / outer + y * y / inner) : 0.5 * (y * y / outer + inner);
    *im = a <= 1.5 ? log1p(over + sqrt(over * (a + 1))) : log(a + sqrt((a - 1) * (a + 1)));
}

EM_DEV em_complex em_asin(em_complex z)
{
    double up, down, im;
    em_arc(fabs(z.re), fabs(z.im), &up, &down, &im);
    return em_complex_of(copysign(atan2(up, down), z.re), copysign(im, z.im));
}

EM_DEV em_complex em_acos(em_complex z)
{
    double up, down, im;
    em_arc(fabs(z.re), fabs(z.im), &up, &down, &im);
    return em_complex_of(atan2(down, copysign(up, z.re)), -copysign(im, z.im));
}

EM_DEV em_complex em_acosh(em_complex z)
{
    em_complex w = em_acos(z);
    return em_complex_of(fabs(w.im), copysign(w.re, z.im));
}

EM_DEV em_complex em_atanh(em_complex z)
{
    double x = fabs(z.re), y = fabs(z.im), re, im = 0.5 * CUDART_PI;
    if (x > EM_HUGE_PART || y > EM_HUGE_PART) {
        double size = hypot(x, y);
        re = x == CUDART_INF || y == CUDART_INF ? 0 : x / size / size;
    } else {
        double apart = 1 - x;
        re = 0.25 * log1p(4 * x / (apart * apart + y * y));
        im = 0.5 * atan2(2 * y, apart * (1 + x) - y * y);
    }
    return em_complex_of(copysign(re, z.re), copysign(im, z.im));
}

/* exp(z) - 1: cos - 1 is taken as -2 sin^2(half), so that small z keep their digits. */
EM_DEV em_complex em_expm1(em_complex z)
{
    double half = sin(z.im / 2), re = expm1(z.re) * cos(z.im) - 2 * half * half;
    return em_complex_of(re, z.im == 0 ? z.im : exp(z.re) * sin(z.im));
}

EM_DEV em_complex em_log1p(em_complex z)
{
    double x = z.re, y = z.im;
    if (fabs(x) > 0.5 || fabs(y) > 0.5)
        return em_log(em_complex_of(1 + x, y));
    return em_complex_of(0.5 * log1p(x * (2 + x) + y * y), atan2(y, 1 + x));
}

EM_DEV em_complex em_cbrt(em_complex z)
{
    double size = cbrt(hypot(z.re, z.im)), angle = atan2(z.im, z.re) / 3;
    return z.im == 0 && z.re >= 0 ? em_complex_of(size, z.im) : em_complex_of(size * cos(angle), size * sin(angle));
}

EM_DEV em_complex em_sign(em_complex z)
{
    double size = hypot(z.re, z.im);
    return size == 0 ? em_complex_of(0, 0) : em_complex_of(z.re / size, z.im / size);
}

EM_DEV em_complex em_sigmoid(em_complex z)
{
    em_complex e = em_exp(z.re < 0 ? z : em_scale(z, -1)), under = em_complex_of(1 + e.re, e.im);
    return em_div(z.re < 0 ? e : em_complex_of(1, 0), under);
}

EM_DEV em_complex em_whole_power(em_complex base, int exponent)
{
    em_complex result = em_complex_of(1, 0);
    for (unsigned rest = (unsigned)(exponent < 0 ? -exponent : exponent); rest; rest >>= 1) {
        if (rest & 1)
            result = em_mul(result, base);
        base = rest > 1 ? em_mul(base, base) : base;
    }
    return exponent < 0 ? em_reciprocal(result) : result;
}

/* exp(b log a); small whole exponents by products. 0^0 is 1. */
EM_DEV em_complex em_pow(em_complex a, em_complex b)
{
    if (b.re == 0 && b.im == 0)
        return em_complex_of(1, 0);
    if (a.re == 0 && a.im == 0)
        return b.re > 0 && b.im == 0 ? em_complex_of(0, 0) : em_complex_of(CUDART_NAN, CUDART_NAN);
    if (b.im == 0 && b.re == trunc(b.re) && fabs(b.re) < 100)
        return em_whole_power(a, (int)b.re);
    double size = log(hypot(a.re, a.im)), angle = atan2(a.im, a.re);
    double grown = exp(b.re * size - b.im * angle), turned = b.im * size + b.re * angle;
    return em_complex_of(grown * cos(turned), grown * sin(turned));
}

/* Complex results of one operand, of two; real results. */
/* clang-format off */
#define EM_COMPLEX1(X)                                                                                                 \
    X(NEG) X(CONJUGATE) X(SIGN) X(SQUARE) X(RECIPROCAL) X(SQRT) X(RSQRT) X(CBRT) X(EXP) X(EXP2) X(EXPM1) X(LOG)        \
    X(LOG1P) X(LOG2) X(LOG10) X(SIN) X(COS) X(TAN) X(ASIN) X(ACOS) X(ATAN) X(SINH) X(COSH) X(TANH) X(ASINH) X(ACOSH)   \
    X(ATANH) X(SIGMOID)
/* clang-format on */
#define EM_COMPLEX2(X) X(ADD) X(SUB) X(MUL) X(DIV) X(POW)
#define EM_COMPLEX_PART(X) X(ABS) X(REAL) X(IMAG) X(PHASE)

static __device__ __noinline__ em_complex em_complex1(int op, em_complex z)
{
    switch (op) {
    case EM__OP_NEG: return em_scale(z, -1);
    case EM__OP_CONJUGATE: return em_complex_of(z.re, -z.im);
    case EM__OP_SIGN: return em_sign(z);
    case EM__OP_SQUARE: return em_mul(z, z);
    case EM__OP_RECIPROCAL: return em_reciprocal(z);
    case EM__OP_SQRT: return em_sqrt(z);
    case EM__OP_RSQRT: return em_reciprocal(em_sqrt(z));
    case EM__OP_CBRT: return em_cbrt(z);
    case EM__OP_EXP: return em_exp(z);
    case EM__OP_EXP2: return em_exp(em_scale(z, CUDART_LN2));
    case EM__OP_EXPM1: return em_expm1(z);
    case EM__OP_LOG: return em_log(z);
    case EM__OP_LOG1P: return em_log1p(z);
    case EM__OP_LOG2: return em_scale(em_log(z), CUDART_L2E);
    case EM__OP_LOG10: return em_scale(em_log(z), CUDART_LGE);
    case EM__OP_SIN: return em_turned_back(em_sinh(em_turned(z)));
    case EM__OP_COS: return em_cosh(em_turned(z));
    case EM__OP_TAN: return em_turned_back(em_tanh(em_turned(z)));
    case EM__OP_ASIN: return em_asin(z);
    case EM__OP_ACOS: return em_acos(z);
    case EM__OP_ATAN: return em_turned_back(em_atanh(em_turned(z)));
    case EM__OP_SINH: return em_sinh(z);
    case EM__OP_COSH: return em_cosh(z);
    case EM__OP_TANH: return em_tanh(z);
    case EM__OP_ASINH: return em_turned_back(em_asin(em_turned(z)));
    case EM__OP_ACOSH: return em_acosh(z);
    case EM__OP_ATANH: return em_atanh(z);
    default: return em_sigmoid(z);
    }
}

EM_DEV em_complex em_complex2(int op, em_complex a, em_complex b)
{
    switch (op) {
    case EM__OP_ADD: return em_complex_of(a.re + b.re, a.im + b.im);
    case EM__OP_SUB: return em_complex_of(a.re - b.re, a.im - b.im);
    case EM__OP_MUL: return em_mul(a, b);
    case EM__OP_DIV: return em_div(a, b);
    default: return em_pow(a, b);
    }
}

EM_DEV double em_complex_part(int op, em_complex z)
{
    switch (op) {
    case EM__OP_ABS: return hypot(z.re, z.im);
    case EM__OP_REAL: return z.re;
    case EM__OP_IMAG: return z.im;
    default: return atan2(z.im, z.re);
    }
}

#endif
