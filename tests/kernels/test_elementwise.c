/*
 * Elementwise kernels against scalar references, at every level this machine runs: integers against 128-bit arithmetic,
 * floats against double or long double, all modes, tails and misaligned pointers; and the drivers over pools of several
 * sizes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "core/float16.h"
#include "device/cpu/elementwise.h"

#define MOST 67

static em__elementwise tables[EM__CPU_AVX512 + 1];
static const em_dtype integers[] = {EM_U8, EM_U16, EM_U32, EM_U64, EM_S8, EM_S16, EM_S32, EM_S64};
static const em_dtype floats[] = {EM_F32, EM_F64, EM_F16, EM_BF16};
static const em__mode modes[] = {EM__VV, EM__SCALAR_A, EM__SCALAR_B, EM__SCALAR_AB};

#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;
#endif

static int is_signed(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
}

static wide load_int(em_dtype dtype, const void *data, size_t i)
{
    size_t size = em_dtype_size(dtype);
    uint64_t raw = 0;
    memcpy(&raw, (const uint8_t *)data + i * size, size);
    int shift = 64 - 8 * (int)size;
    return is_signed(dtype) ? (wide)((int64_t)(raw << shift) >> shift) : (wide)raw;
}

static wide wrap(em_dtype dtype, unsigned_wide x)
{
    uint64_t raw = (uint64_t)x;
    return load_int(dtype, &raw, 0);
}

static wide pow_int(em_dtype dtype, wide a, wide b)
{
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    uint64_t result = 1, base = (uint64_t)a;
    for (uint64_t e = (uint64_t)b; e; e >>= 1) {
        result *= e & 1 ? base : 1;
        base *= base;
    }
    return wrap(dtype, result);
}

static wide shift_int(em_dtype dtype, wide a, wide b, int left)
{
    int bits = 8 * (int)em_dtype_size(dtype);
    if (b < 0 || b >= bits)
        return left || a >= 0 ? 0 : -1;
    return left ? wrap(dtype, (unsigned_wide)a << (int)b) : a >> (int)b;
}

static wide binary_int(em__binary_op op, em_dtype dtype, wide a, wide b)
{
    switch (op) {
    case EM__BINARY_ADD: return wrap(dtype, (unsigned_wide)a + (unsigned_wide)b);
    case EM__BINARY_SUB: return wrap(dtype, (unsigned_wide)a - (unsigned_wide)b);
    case EM__BINARY_MUL: return wrap(dtype, (unsigned_wide)a * (unsigned_wide)b);
    case EM__BINARY_QUOTIENT: return b == 0 ? 0 : wrap(dtype, (unsigned_wide)(a / b));
    case EM__BINARY_REMAINDER: return b == 0 ? 0 : a % b;
    case EM__BINARY_POW: return pow_int(dtype, a, b);
    case EM__BINARY_MAXIMUM: return a > b ? a : b;
    case EM__BINARY_MINIMUM: return a < b ? a : b;
    case EM__BINARY_BITWISE_AND: return a & b;
    case EM__BINARY_BITWISE_OR: return a | b;
    case EM__BINARY_BITWISE_XOR: return a ^ b;
    case EM__BINARY_LEFT_SHIFT: return shift_int(dtype, a, b, 1);
    default: return shift_int(dtype, a, b, 0);
    }
}

/* a and b as truth, and their order: `order` is -1, 0, 1, or 2 when a NaN is there. */
static int test_binary(em__binary_op op, int a, int b, int order)
{
    switch (op) {
    case EM__BINARY_LOGICAL_AND: return a && b;
    case EM__BINARY_LOGICAL_OR: return a || b;
    case EM__BINARY_LOGICAL_XOR: return a != b;
    case EM__BINARY_EQUAL: return order == 0;
    case EM__BINARY_NOT_EQUAL: return order != 0;
    case EM__BINARY_LESS: return order == -1;
    case EM__BINARY_LESS_EQUAL: return order == -1 || order == 0;
    case EM__BINARY_GREATER: return order == 1;
    default: return order == 1 || order == 0;
    }
}

static int is_test(em__binary_op op)
{
    return em__binary_out_size(op, EM_F64) == 1;
}

/* Bit by bit. */
static wide count_int(em__unary_op op, em_dtype dtype, wide x)
{
    int bits = 8 * (int)em_dtype_size(dtype), ones = 0, highest = -1;
    for (int i = 0; i < bits; i++)
        if ((uint64_t)x >> i & 1) {
            ones++;
            highest = i;
        }
    return op == EM__UNARY_POPULATION_COUNT ? ones : bits - 1 - highest;
}

static wide unary_int(em__unary_op op, em_dtype dtype, wide x)
{
    switch (op) {
    case EM__UNARY_NEG: return wrap(dtype, -(unsigned_wide)x);
    case EM__UNARY_ABS: return wrap(dtype, (unsigned_wide)(x < 0 ? -x : x));
    case EM__UNARY_SIGN: return (x > 0) - (x < 0);
    case EM__UNARY_SQUARE: return wrap(dtype, (unsigned_wide)x * (unsigned_wide)x);
    case EM__UNARY_RELU: return x > 0 ? x : 0;
    case EM__UNARY_BITWISE_NOT: return wrap(dtype, ~(unsigned_wide)x);
    case EM__UNARY_LOGICAL_NOT: return x == 0;
    case EM__UNARY_IS_NAN:
    case EM__UNARY_IS_INF: return 0;
    case EM__UNARY_IS_FINITE: return 1;
    case EM__UNARY_POPULATION_COUNT:
    case EM__UNARY_COUNT_LEADING_ZEROS: return count_int(op, dtype, x);
    default: return x; /* floor, ceil, round, rint, trunc */
    }
}

static void check_unary_int(const em__elementwise *k, em__unary_op op, em_dtype dtype, rng *r)
{
    uint64_t in[MOST + 1], out[MOST + 1];
    size_t size = em_dtype_size(dtype), out_size = em__unary_out_size(op, dtype);
    em_dtype out_dtype = out_size == 1 && size > 1 ? EM_U8 : dtype;
    for (size_t n = 0; n <= MOST; n++) {
        uint8_t *x = (uint8_t *)in + (n % 2) * size;
        rng_fill_edges(r, dtype, x, n);
        k->unary[op][dtype](out, x, n);
        for (size_t i = 0; i < n; i++) {
            wide want = unary_int(op, dtype, load_int(dtype, x, i));
            assert_true(load_int(out_dtype, out, i) == want);
        }
    }
}

static void check_binary_int(const em__elementwise *k, em__binary_op op, em_dtype dtype, em__mode mode, rng *r)
{
    uint64_t a[MOST + 1], b[MOST + 1], out[MOST + 1];
    size_t size = em_dtype_size(dtype);
    em_dtype out_dtype = is_test(op) ? EM_U8 : dtype;
    for (size_t n = 0; n <= MOST; n++) {
        uint8_t *x = (uint8_t *)a + (n % 2) * size, *y = (uint8_t *)b + (n % 3 != 0) * size;
        rng_fill_edges(r, dtype, x, n + 1 < MOST ? n + 1 : MOST);
        rng_fill_edges(r, dtype, y, n + 1 < MOST ? n + 1 : MOST);
        k->binary[op][dtype](out, x, y, n, mode);
        for (size_t i = 0; i < n; i++) {
            wide p = load_int(dtype, x, mode & EM__SCALAR_A ? 0 : i),
                 q = load_int(dtype, y, mode & EM__SCALAR_B ? 0 : i);
            wide want =
                is_test(op) ? (wide)test_binary(op, p != 0, q != 0, (p > q) - (p < q)) : binary_int(op, dtype, p, q);
            assert_true(load_int(out_dtype, out, i) == want);
        }
    }
}

static void integers_are_exact(void **state)
{
    (void)state;
    rng r = {1};
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (size_t d = 0; d < sizeof integers / sizeof *integers; d++) {
            for (int op = 0; op < EM__UNARY_COUNT; op++)
                if (tables[level].unary[op][integers[d]])
                    check_unary_int(&tables[level], (em__unary_op)op, integers[d], &r);
            for (int op = 0; op < EM__BINARY_COUNT; op++)
                for (int m = 0; m < 4 && tables[level].binary[op][integers[d]]; m++)
                    check_binary_int(&tables[level], (em__binary_op)op, integers[d], modes[m], &r);
        }
    }
}

/* The exact value, in double, of a unary op on x. */
static double unary_float(em__unary_op op, double x)
{
    static double (*const libm[EM__UNARY_COUNT])(double) = {
        [EM__UNARY_ABS] = fabs,    [EM__UNARY_FLOOR] = floor, [EM__UNARY_CEIL] = ceil,   [EM__UNARY_ROUND] = round,
        [EM__UNARY_SQRT] = sqrt,   [EM__UNARY_CBRT] = cbrt,   [EM__UNARY_LOG2] = log2,   [EM__UNARY_EXP] = exp,
        [EM__UNARY_EXPM1] = expm1, [EM__UNARY_LOG] = log,     [EM__UNARY_LOG1P] = log1p, [EM__UNARY_SIN] = sin,
        [EM__UNARY_COS] = cos,     [EM__UNARY_TAN] = tan,     [EM__UNARY_ASIN] = asin,   [EM__UNARY_ACOS] = acos,
        [EM__UNARY_ATAN] = atan,   [EM__UNARY_SINH] = sinh,   [EM__UNARY_COSH] = cosh,   [EM__UNARY_TANH] = tanh,
        [EM__UNARY_ASINH] = asinh, [EM__UNARY_ACOSH] = acosh, [EM__UNARY_ATANH] = atanh, [EM__UNARY_ERF] = erf,
        [EM__UNARY_ERFC] = erfc,   [EM__UNARY_RINT] = rint,   [EM__UNARY_TRUNC] = trunc, [EM__UNARY_EXP2] = exp2,
        [EM__UNARY_LOG10] = log10,
    };
    if (libm[op])
        return libm[op](x);
    switch (op) {
    case EM__UNARY_REAL: return x;
    case EM__UNARY_PHASE: return isnan(x) ? x : signbit(x) ? acos(-1.0) : 0;
    case EM__UNARY_NEG: return -x;
    case EM__UNARY_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case EM__UNARY_SQUARE: return x * x;
    case EM__UNARY_RELU: return x < 0 ? 0 : x;
    case EM__UNARY_RECIPROCAL: return 1 / x;
    case EM__UNARY_RSQRT: return 1 / sqrt(x);
    case EM__UNARY_SIGMOID: return 1 / (1 + exp(-x));
    case EM__UNARY_SILU: return x < -1000 ? 0 : x / (1 + exp(-x));
    case EM__UNARY_GELU: return x < -100 ? 0 : 0.5 * x * erfc(-x * sqrt(0.5));
    case EM__UNARY_GELU_TANH:
        return x < -100 ? 0 : x / (1 + exp(-2 * sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    default: return 0;
    }
}

static double binary_float(em__binary_op op, double a, double b)
{
    switch (op) {
    case EM__BINARY_ADD: return a + b;
    case EM__BINARY_SUB: return a - b;
    case EM__BINARY_MUL: return a * b;
    case EM__BINARY_DIV: return a / b;
    case EM__BINARY_REMAINDER: return fmod(a, b);
    case EM__BINARY_POW: return pow(a, b);
    case EM__BINARY_ATAN2: return atan2(a, b);
    case EM__BINARY_HYPOT: return hypot(a, b);
    case EM__BINARY_LOGADDEXP: return em__logaddexp(a, b); /* its oracle is recorded */
    case EM__BINARY_SWIGLU: return unary_float(EM__UNARY_SILU, a) * b;
    case EM__BINARY_GEGLU: return unary_float(EM__UNARY_GELU, a) * b;
    case EM__BINARY_GEGLU_TANH: return unary_float(EM__UNARY_GELU_TANH, a) * b;
    case EM__BINARY_MAXIMUM: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    default: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    }
}

/* `exact` rounded to the dtype, as a double. */
static double round_to(em_dtype dtype, double exact)
{
    switch (dtype) {
    case EM_F16: return (double)em__f16_to_f32(em__f64_to_f16(exact));
    case EM_BF16: return (double)em__bf16_to_f32(em__f64_to_bf16(exact));
    case EM_F32: return (double)(float)exact;
    default: return exact;
    }
}

/* A few ulp of the dtype: half types are one ulp off where the f32 result lies beside a tie. */
static void expect_float(em_dtype dtype, const void *out, size_t i, double exact, double x, const char *what)
{
    static const int mantissa[EM_DTYPE_COUNT] = {[EM_F16] = 11, [EM_BF16] = 8, [EM_F32] = 24, [EM_F64] = 53};
    static const int least[EM_DTYPE_COUNT] = {[EM_F16] = -24, [EM_BF16] = -133, [EM_F32] = -149, [EM_F64] = -1074};
    double got = expect_element(dtype, out, i), want = round_to(dtype, exact);
    if ((isnan(got) && isnan(want)) || got == want)
        return;
    double slack = dtype == EM_F32 || dtype == EM_F64 ? 4.0 : 1.0;
    double bound = ldexp(slack * fabs(want), 1 - mantissa[dtype]) + ldexp(slack, least[dtype]);
    /* Products such as silu lose digits where they are small beside x. */
    double cancelled = ldexp(fabs(x) < 200 ? fabs(x) : 0.0, 1 - (dtype == EM_F64 ? 53 : 24));
    if (!(fabs(got - want) <= bound + cancelled))
        fail_msg("%s %s: element %zu is %a, expected %a (x %a)", what, em_dtype_name(dtype), i, got, want, x);
}

static void check_unary_float(const em__elementwise *k, em__unary_op op, em_dtype dtype, rng *r)
{
    double in[MOST + 1], out[MOST + 1];
    size_t size = em_dtype_size(dtype);
    for (size_t n = 0; n <= MOST; n++) {
        uint8_t *x = (uint8_t *)in + (n % 2) * size;
        rng_fill_edges(r, dtype, x, n);
        k->unary[op][dtype](out, x, n);
        for (size_t i = 0; i < n; i++) {
            double value = expect_element(dtype, x, i);
            if (em__unary_out_size(op, dtype) == 1) {
                int want = op == EM__UNARY_IS_NAN      ? isnan(value)
                           : op == EM__UNARY_IS_INF    ? !!isinf(value)
                           : op == EM__UNARY_IS_FINITE ? !!isfinite(value)
                                                       : value == 0;
                assert_int_equal(((uint8_t *)out)[i], want);
            } else if (op != EM__UNARY_ERF_INV) {
                expect_float(dtype, out, i, unary_float(op, value), value, "unary");
            }
        }
    }
}

static void check_binary_float(const em__elementwise *k, em__binary_op op, em_dtype dtype, em__mode mode, rng *r)
{
    double a[MOST + 1], b[MOST + 1], out[MOST + 1];
    size_t size = em_dtype_size(dtype);
    for (size_t n = 0; n <= MOST; n++) {
        uint8_t *x = (uint8_t *)a + (n % 2) * size, *y = (uint8_t *)b + (n % 3 != 0) * size;
        rng_fill_edges(r, dtype, x, n + 1 < MOST ? n + 1 : MOST);
        rng_fill_edges(r, dtype, y, n + 1 < MOST ? n + 1 : MOST);
        k->binary[op][dtype](out, x, y, n, mode);
        for (size_t i = 0; i < n; i++) {
            double p = expect_element(dtype, x, mode & EM__SCALAR_A ? 0 : i);
            double q = expect_element(dtype, y, mode & EM__SCALAR_B ? 0 : i);
            if (is_test(op)) {
                int order = isnan(p) || isnan(q) ? 2 : (p > q) - (p < q);
                assert_int_equal(((uint8_t *)out)[i], test_binary(op, p != 0, q != 0, order));
            } else {
                bool glu = op == EM__BINARY_SWIGLU || op == EM__BINARY_GEGLU || op == EM__BINARY_GEGLU_TANH;
                /* What the activation loses where it is small beside p comes out multiplied by q. */
                if (!glu || (fabs(p) < 20 && fabs(q) <= 1) || isnan(p) || isnan(q))
                    expect_float(dtype, out, i, binary_float(op, p, q), glu ? p : 0.0, "binary");
            }
        }
    }
}

static void floats_are_close(void **state)
{
    (void)state;
    rng r = {2};
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (size_t d = 0; d < sizeof floats / sizeof *floats; d++) {
            for (int op = 0; op < EM__UNARY_COUNT; op++)
                if (tables[level].unary[op][floats[d]])
                    check_unary_float(&tables[level], (em__unary_op)op, floats[d], &r);
            for (int op = 0; op < EM__BINARY_COUNT; op++)
                for (int m = 0; m < 4 && tables[level].binary[op][floats[d]] && op != EM__BINARY_MAKE_COMPLEX; m++)
                    check_binary_float(&tables[level], (em__binary_op)op, floats[d], modes[m], &r);
        }
    }
}

/* NaNs may differ in sign and payload. */
static void avx2_and_avx512_give_the_same_bits(void **state)
{
    (void)state;
    if (levels_best() < EM__CPU_AVX512)
        skip();
    rng r = {3};
    float a[512], b[512], x[512] = {0}, y[512] = {0};
    const em__elementwise *narrow = &tables[EM__CPU_AVX2], *broad = &tables[EM__CPU_AVX512];
    for (size_t d = 0; d < sizeof floats / sizeof *floats; d++) {
        em_dtype dtype = floats[d];
        if (dtype == EM_F64)
            continue;
        for (int op = 0; op < EM__UNARY_COUNT; op++) {
            if (!narrow->unary[op][dtype] || em__unary_out_size((em__unary_op)op, dtype) == 1)
                continue;
            rng_fill_edges(&r, dtype, a, 512);
            narrow->unary[op][dtype](x, a, 512);
            broad->unary[op][dtype](y, a, 512);
            EXPECT_CLOSE(dtype, y, x, 512, 0.0, 0.0);
        }
        for (int op = 0; op < EM__BINARY_COUNT; op++) {
            if (!narrow->binary[op][dtype] || is_test((em__binary_op)op) || op == EM__BINARY_MAKE_COMPLEX)
                continue;
            rng_fill_edges(&r, dtype, a, 512);
            rng_fill_edges(&r, dtype, b, 512);
            narrow->binary[op][dtype](x, a, b, 512, EM__VV);
            broad->binary[op][dtype](y, a, b, 512, EM__VV);
            EXPECT_CLOSE(dtype, y, x, 512, 0.0, 0.0);
        }
    }
}

static void erf_inv_undoes_erf(void **state)
{
    (void)state;
    for (double x = -5.8; x < 5.8; x += 0.0625) {
        double y = erf(x);
        /* y itself is only known to half an ulp, which the steep inverse magnifies. */
        double slack = 1e-15 * (1.0 + fabs(x)) + 1.2e-16 * sqrt(acos(-1.0)) / 2 * exp(x * x);
        assert_true(fabs(em__erf_inv(y) - x) <= slack * 4);
    }
    assert_true(em__erf_inv(1.0) == (double)INFINITY && em__erf_inv(-1.0) == -(double)INFINITY);
    assert_true(isnan(em__erf_inv(1.5)) && isnan(em__erf_inv((double)NAN)));
    assert_true(em__erf_inv(0.0) == 0.0 && signbit(em__erf_inv(-0.0)));
}

static void select_and_clip(void **state)
{
    (void)state;
    rng r = {4};
    uint64_t a[MOST * 2], b[MOST * 2], out[MOST * 2];
    uint8_t pred[MOST];
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (int d = 0; d < EM_DTYPE_COUNT; d++) {
            em__select_fn select = tables[level].select[d];
            size_t size = em_dtype_size((em_dtype)d);
            if (!select)
                continue;
            for (size_t n = 0; n <= MOST; n++) {
                em__mode mode = modes[n % 4];
                for (size_t i = 0; i < MOST * 2; i++) {
                    a[i] = rng_u64(&r);
                    b[i] = rng_u64(&r);
                    pred[i / 2] = (uint8_t)(rng_below(&r, 2) * 3);
                }
                select(out, pred, a, b, n, mode);
                for (size_t i = 0; i < n; i++) {
                    const uint8_t *x = (uint8_t *)a + (mode & EM__SCALAR_A ? 0 : i) * size;
                    const uint8_t *y = (uint8_t *)b + (mode & EM__SCALAR_B ? 0 : i) * size;
                    assert_memory_equal((uint8_t *)out + i * size, pred[i] ? x : y, size);
                }
            }
        }
        float x[5] = {-3, NAN, 0.5f, 7, INFINITY}, low = -1, high = 2, want[5] = {-1, NAN, 0.5f, 2, 2}, got[5];
        tables[level].clip[EM_F32](got, x, &low, &high, 5);
        EXPECT_CLOSE_F32(got, want, 5, 0.0, 0.0);
        int64_t i[3] = {INT64_MIN, 3, INT64_MAX}, least = -2, most = 5, clipped[3];
        tables[level].clip[EM_S64](clipped, i, &least, &most, 3);
        assert_true(clipped[0] == -2 && clipped[1] == 3 && clipped[2] == 5);
    }
}

/* Any pool, streamed or not, in place or not: the bits of one call over the whole array. */
static void drivers_cut_without_a_trace(void **state)
{
    (void)state;
    enum { N = 100003 };
    float *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), *want = malloc(N * sizeof *want);
    float *got = malloc((N + 1) * sizeof *got);
    uint8_t *truth = malloc(N), *truth_want = malloc(N);
    assert_true(a && b && want && got && truth && truth_want);
    rng r = {5};
    rng_fill_edges(&r, EM_F32, a, N);
    rng_fill_edges(&r, EM_F32, b, N);
    em__elementwise k = tables[levels_best()];
    for (int threads = 1; threads <= 3; threads++) {
        em__pool *pool;
        EXPECT_OK(em__pool_new(threads, &pool));
        for (int stream = 0; stream < 2; stream++) {
            k.stream_from = stream ? 0 : SIZE_MAX;
            k.binary[EM__BINARY_ADD][EM_F32](want, a, b, N, EM__VV);
            em__elementwise_binary(&k, pool, EM__BINARY_ADD, EM_F32, got + 1, a, b, N, EM__VV);
            EXPECT_CLOSE_F32(got + 1, want, N, 0.0, 0.0);
            em__elementwise_binary(&k, pool, EM__BINARY_MUL, EM_F32, got, a, b, N, EM__SCALAR_B);
            k.binary[EM__BINARY_MUL][EM_F32](want, a, b, N, EM__SCALAR_B);
            EXPECT_CLOSE_F32(got, want, N, 0.0, 0.0);
            memcpy(got, a, N * sizeof *a);
            em__elementwise_unary(&k, pool, EM__UNARY_EXP, EM_F32, got, got, N);
            k.unary[EM__UNARY_EXP][EM_F32](want, a, N);
            EXPECT_CLOSE_F32(got, want, N, 0.0, 0.0);
            em__elementwise_binary(&k, pool, EM__BINARY_LESS, EM_F32, truth, a, b, N, EM__VV);
            k.binary[EM__BINARY_LESS][EM_F32](truth_want, a, b, N, EM__VV);
            assert_memory_equal(truth, truth_want, N);
            em__elementwise_select(&k, pool, EM_F32, got, truth, a, b, N, EM__VV);
            k.select[EM_F32](want, truth, a, b, N, EM__VV);
            EXPECT_CLOSE_F32(got, want, N, 0.0, 0.0);
        }
        em__pool_free(pool);
    }
    free(a), free(b), free(want), free(got), free(truth), free(truth_want);
}

static int make_tables(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++)
        em__elementwise_init(&tables[level], (em__cpu_level)level);
    levels_report();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(floats_are_close),
        cmocka_unit_test(avx2_and_avx512_give_the_same_bits),
        cmocka_unit_test(erf_inv_undoes_erf),
        cmocka_unit_test(select_and_clip),
        cmocka_unit_test(drivers_cut_without_a_trace),
    };
    return cmocka_run_group_tests(tests, make_tables, NULL);
}
