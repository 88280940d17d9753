/* Elementwise ops, naively: operands come broadcast to the result's shape. */
#include <math.h>

#include "core/error.h"
#include "core/float16.h"
#include "device/ref/ref.h"

/* Inverse error function: Newton steps on erf from a rational start (Winitzki 2008), to double precision. */
static double erf_inv(double x)
{
    if (isnan(x) || fabs(x) > 1)
        return NAN;
    if (fabs(x) == 1)
        return copysign(INFINITY, x);
    double a = 0.147, l = log1p(-x * x), t = 2 / (M_PI * a) + l / 2;
    double y = copysign(sqrt(sqrt(t * t - l / a) - t), x);
    for (int i = 0; i < 4; i++) {
        double tail = (1 - fabs(x)) - erfc(fabs(y));
        double error = fabs(x) < 0.5 ? erf(y) - x : x < 0 ? -tail : tail;
        y -= error / (2 / sqrt(M_PI) * exp(-y * y));
    }
    return y;
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double sign(double x)
{
    return isnan(x) || x == 0 ? x : copysign(1, x);
}

double em__ref_unary_real(em__op op, double x)
{
    switch (op) {
    case EM__OP_NEG: return -x;
    case EM__OP_ABS: return fabs(x);
    case EM__OP_SIGN: return sign(x);
    case EM__OP_SQUARE: return x * x;
    case EM__OP_FLOOR: return floor(x);
    case EM__OP_CEIL: return ceil(x);
    case EM__OP_ROUND: return round(x);
    case EM__OP_RINT: return rint(x);
    case EM__OP_TRUNC: return trunc(x);
    case EM__OP_RECIPROCAL: return 1 / x;
    case EM__OP_SQRT: return sqrt(x);
    case EM__OP_RSQRT: return 1 / sqrt(x);
    case EM__OP_CBRT: return cbrt(x);
    case EM__OP_EXP: return exp(x);
    case EM__OP_EXP2: return exp2(x);
    case EM__OP_EXPM1: return expm1(x);
    case EM__OP_LOG: return log(x);
    case EM__OP_LOG1P: return log1p(x);
    case EM__OP_LOG2: return log2(x);
    case EM__OP_LOG10: return log10(x);
    case EM__OP_SIN: return sin(x);
    case EM__OP_COS: return cos(x);
    case EM__OP_TAN: return tan(x);
    case EM__OP_ASIN: return asin(x);
    case EM__OP_ACOS: return acos(x);
    case EM__OP_ATAN: return atan(x);
    case EM__OP_SINH: return sinh(x);
    case EM__OP_COSH: return cosh(x);
    case EM__OP_TANH: return tanh(x);
    case EM__OP_ASINH: return asinh(x);
    case EM__OP_ACOSH: return acosh(x);
    case EM__OP_ATANH: return atanh(x);
    case EM__OP_ERF: return erf(x);
    case EM__OP_ERFC: return erfc(x);
    case EM__OP_ERF_INV: return erf_inv(x);
    case EM__OP_SIGMOID: return sigmoid(x);
    case EM__OP_RELU: return isnan(x) ? x : x > 0 ? x : 0;
    case EM__OP_SILU: return x == -INFINITY ? -0.0 : x * sigmoid(x);
    case EM__OP_GELU: return x == -INFINITY ? -0.0 : 0.5 * x * erfc(-x * M_SQRT1_2);
    case EM__OP_GELU_TANH:
        return x == -INFINITY ? -0.0 : 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case EM__OP_REAL: return x;
    case EM__OP_IMAG: return 0;
    case EM__OP_PHASE: return isnan(x) ? x : signbit(x) ? M_PI : 0;
    default: return NAN;
    }
}

/* Integer forms; two's complement, wrapping. The value is carried as u64 and stored truncated. */
static uint64_t unary_integer(em__op op, bool is_signed, int bits, uint64_t x)
{
    int64_t s = (int64_t)x;
    uint64_t low = x & UINT64_MAX >> (64 - bits);
    switch (op) {
    case EM__OP_NEG: return 0 - x;
    case EM__OP_ABS: return is_signed && s < 0 ? 0 - x : x;
    case EM__OP_SIGN: return is_signed && s < 0 ? (uint64_t)-1 : x != 0;
    case EM__OP_SQUARE: return x * x;
    case EM__OP_RELU: return is_signed && s < 0 ? 0 : x;
    case EM__OP_BITWISE_NOT: return ~x;
    case EM__OP_POPULATION_COUNT: return (uint64_t)__builtin_popcountll(low);
    case EM__OP_COUNT_LEADING_ZEROS: return (uint64_t)(low ? __builtin_clzll(low) - (64 - bits) : bits);
    default: return x; /* floor, ceil, round, rint, trunc */
    }
}

static em__value unary_value(em__op op, em_dtype dtype, em__value v)
{
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    bool inexact = kind == EM_KIND_FLOAT || kind == EM_KIND_COMPLEX;
    em__value r = {0};
    if (op == EM__OP_LOGICAL_NOT)
        r.u = inexact ? v.f == 0 && v.imag == 0 : (v.u | (uint64_t)v.s) == 0;
    else if (op == EM__OP_IS_NAN)
        r.u = inexact && (isnan(v.f) || isnan(v.imag));
    else if (op == EM__OP_IS_INF)
        r.u = inexact && (isinf(v.f) || isinf(v.imag));
    else if (op == EM__OP_IS_FINITE)
        r.u = !inexact || (isfinite(v.f) && isfinite(v.imag));
    else if (kind == EM_KIND_FLOAT)
        r.f = em__ref_unary_real(op, v.f);
    else if (kind == EM_KIND_COMPLEX)
        r = em__ref_unary_complex(op, v);
    else
        r.s = (int64_t)(r.u = unary_integer(op, kind == EM_KIND_SIGNED, (int)em_dtype_size(dtype) * 8,
                                            v.u | (uint64_t)v.s));
    return r;
}

em_status em__ref_unary(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *a = &call->in[0];
    em_dtype dtype = a->spec.dtype;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value v = em__ref_load(dtype, a->data, em__walk_offset(&walk, a));
        em__ref_store(call->out.spec.dtype, call->out.data, i, unary_value(call->op, dtype, v));
    }
    return EM_OK;
}

/* log(exp(a) + exp(b)); equal infinities are not subtracted. */
static double log_add_exp(double a, double b)
{
    double top = a > b ? a : b;
    return a == b ? a + M_LN2 : isnan(a - b) ? a - b : top + log1p(exp(-fabs(a - b)));
}

static double binary_real(em__op op, double a, double b)
{
    switch (op) {
    case EM__OP_ADD: return a + b;
    case EM__OP_SUB: return a - b;
    case EM__OP_MUL: return a * b;
    case EM__OP_DIV: return a / b;
    case EM__OP_REMAINDER: return fmod(a, b);
    case EM__OP_POW: return pow(a, b);
    case EM__OP_MAXIMUM: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case EM__OP_MINIMUM: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case EM__OP_ATAN2: return atan2(a, b);
    case EM__OP_SWIGLU: return em__ref_unary_real(EM__OP_SILU, a) * b;
    case EM__OP_GEGLU: return em__ref_unary_real(EM__OP_GELU, a) * b;
    case EM__OP_GEGLU_TANH: return em__ref_unary_real(EM__OP_GELU_TANH, a) * b;
    case EM__OP_HYPOT: return hypot(a, b);
    case EM__OP_LOGADDEXP: return log_add_exp(a, b);
    default: return NAN;
    }
}

static uint64_t power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

/* a^b for b < 0 is 0 but for bases 1 and -1, the truncated quotient. */
static uint64_t signed_power(int64_t a, int64_t b)
{
    if (b >= 0)
        return power((uint64_t)a, (uint64_t)b);
    return a == 1 ? 1 : a == -1 ? (b & 1 ? (uint64_t)-1 : 1) : 0;
}

static uint64_t shift(em__op op, bool is_signed, int bits, uint64_t a, uint64_t b)
{
    bool out = is_signed && (int64_t)b < 0 ? true : b >= (uint64_t)bits;
    if (op == EM__OP_LEFT_SHIFT)
        return out ? 0 : a << b;
    if (is_signed)
        return (uint64_t)((int64_t)a >> (out ? 63 : b));
    return out ? 0 : a >> b;
}

static uint64_t binary_integer(em__op op, bool is_signed, int bits, uint64_t a, uint64_t b)
{
    int64_t x = (int64_t)a, y = (int64_t)b;
    bool less = is_signed ? x < y : a < b;
    switch (op) {
    case EM__OP_ADD: return a + b;
    case EM__OP_SUB: return a - b;
    case EM__OP_MUL: return a * b;
    case EM__OP_QUOTIENT:
        if (b == 0)
            return 0;
        return is_signed ? (y == -1 ? 0 - a : (uint64_t)(x / y)) : a / b;
    case EM__OP_REMAINDER:
        if (b == 0)
            return 0;
        return is_signed ? (y == -1 ? 0 : (uint64_t)(x % y)) : a % b;
    case EM__OP_POW: return is_signed ? signed_power(x, y) : power(a, b);
    case EM__OP_MAXIMUM: return less ? b : a;
    case EM__OP_MINIMUM: return less ? a : b;
    case EM__OP_BITWISE_AND: return a & b;
    case EM__OP_BITWISE_OR: return a | b;
    case EM__OP_BITWISE_XOR: return a ^ b;
    default: return shift(op, is_signed, bits, a, b);
    }
}

static bool compare(em__op op, int order, bool unordered)
{
    switch (op) {
    case EM__OP_EQUAL: return !unordered && order == 0;
    case EM__OP_NOT_EQUAL: return unordered || order != 0;
    case EM__OP_LESS: return !unordered && order < 0;
    case EM__OP_LESS_EQUAL: return !unordered && order <= 0;
    case EM__OP_GREATER: return !unordered && order > 0;
    case EM__OP_GREATER_EQUAL: return !unordered && order >= 0;
    default: return false;
    }
}

static bool truth(em_dtype_kind kind, em__value v)
{
    return kind >= EM_KIND_FLOAT ? v.f != 0 || v.imag != 0 : (v.u | (uint64_t)v.s) != 0;
}

static em__value binary_value(em__op op, em_dtype dtype, em__value a, em__value b)
{
    em__value r = {0};
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    bool is_signed = kind == EM_KIND_SIGNED;
    bool x = truth(kind, a), y = truth(kind, b);
    if (op == EM__OP_LOGICAL_AND || op == EM__OP_LOGICAL_OR || op == EM__OP_LOGICAL_XOR) {
        r.u = op == EM__OP_LOGICAL_AND ? x && y : op == EM__OP_LOGICAL_OR ? x || y : x != y;
    } else if (kind == EM_KIND_COMPLEX && (op == EM__OP_EQUAL || op == EM__OP_NOT_EQUAL)) {
        r.u = (a.f == b.f && a.imag == b.imag) == (op == EM__OP_EQUAL);
    } else if (kind == EM_KIND_COMPLEX) {
        r = em__ref_binary_complex(op, a, b);
    } else if (em__op_get(op)->infer == em__infer_COMPARE) {
        int order = kind == EM_KIND_FLOAT ? (a.f > b.f) - (a.f < b.f)
                    : is_signed           ? (a.s > b.s) - (a.s < b.s)
                                          : (a.u > b.u) - (a.u < b.u);
        r.u = compare(op, order, kind == EM_KIND_FLOAT && (isnan(a.f) || isnan(b.f)));
    } else if (kind == EM_KIND_FLOAT) {
        r.f = binary_real(op, a.f, b.f);
    } else {
        int bits = (int)em_dtype_size(dtype) * 8;
        r.u = binary_integer(op, is_signed, bits, a.u | (uint64_t)a.s, b.u | (uint64_t)b.s);
        r.s = (int64_t)r.u;
    }
    return r;
}

em_status em__ref_binary(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *a = &call->in[0], *b = &call->in[1];
    em_dtype dtype = a->spec.dtype;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value x = em__ref_load(dtype, a->data, em__walk_offset(&walk, a));
        em__value y = em__ref_load(dtype, b->data, em__walk_offset(&walk, b));
        em__ref_store(call->out.spec.dtype, call->out.data, i, binary_value(call->op, dtype, x, y));
    }
    return EM_OK;
}

em_status em__ref_select(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = call->in;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        bool yes = ((const uint8_t *)in[0].data)[em__walk_offset(&walk, &in[0])] != 0;
        const em__tensor *from = yes ? &in[1] : &in[2];
        em__value v = em__ref_load(from->spec.dtype, from->data, em__walk_offset(&walk, from));
        em__ref_store(call->out.spec.dtype, call->out.data, i, v);
    }
    return EM_OK;
}

/* A double as an integer of the dtype: truncated, saturated, NaN 0. */
static em__value saturate(em_dtype dtype, double f)
{
    int bits = (int)em_dtype_bits(dtype);
    em__value v = {0};
    if (isnan(f))
        return v;
    f = trunc(f);
    if (em_dtype_get_kind(dtype) == EM_KIND_UNSIGNED) {
        double top = ldexp(1, bits);
        v.u = f <= 0 ? 0 : f >= top ? UINT64_MAX >> (64 - bits) : (uint64_t)f;
    } else {
        double top = ldexp(1, bits - 1);
        v.s = f >= top ? INT64_MAX >> (64 - bits) : f <= -top ? -(INT64_MAX >> (64 - bits)) - 1 : (int64_t)f;
    }
    return v;
}

em_status em__ref_cast(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *a = &call->in[0];
    em_dtype from = a->spec.dtype, to = call->out.spec.dtype;
    em_dtype_kind kf = em_dtype_get_kind(from), kt = em_dtype_get_kind(to);
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value v = em__ref_load(from, a->data, em__walk_offset(&walk, a)), r = {0};
        if (kt == EM_KIND_BOOL) {
            r.u = truth(kf, v);
        } else if (kt >= EM_KIND_FLOAT) {
            r = v;
            if (kf < EM_KIND_FLOAT)
                r.f = kf == EM_KIND_SIGNED ? (double)v.s : (double)v.u;
            /* A 64-bit integer must reach a narrow float in one rounding. */
            if ((to == EM_F32 || to == EM_C64) && kf < EM_KIND_FLOAT)
                r.f = (double)(kf == EM_KIND_SIGNED ? (float)v.s : (float)v.u);
            else if (kf < EM_KIND_FLOAT && to != EM_F64 && to != EM_C128)
                r.f = kf == EM_KIND_SIGNED ? em__odd_from_s64(v.s) : em__odd_from_u64(v.u);
        } else if (kf >= EM_KIND_FLOAT) {
            r = saturate(to, v.f);
        } else {
            r.u = v.u | (uint64_t)v.s;
            r.s = (int64_t)r.u;
        }
        em__ref_store(to, call->out.data, i, r);
    }
    return EM_OK;
}
