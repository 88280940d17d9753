/*
 * The f32 functions of vecmath_f32.h through the elementwise table, at every level this machine runs: swept over all
 * of f32 against double precision, with the worst error in units in the last place; AVX2 and AVX-512 bit for bit; and
 * a value independent of where in the array it stands.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "device/cpu/elementwise.h"

#define BLOCK 4096
#define STRIDE 1999 /* bit patterns from one sample to the next: 2.1 million samples a function */

static em__elementwise tables[EM__CPU_AVX512 + 1];

static double ref_rsqrt(double x)
{
    return 1.0 / sqrt(x);
}

static double ref_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double ref_silu(double x)
{
    return x < -800.0 ? -0.0 : x / (1.0 + exp(-x));
}

static double ref_gelu(double x)
{
    return x < -100.0 ? -0.0 : 0.5 * x * erfc(-x * sqrt(0.5));
}

static double ref_gelu_tanh(double x)
{
    return x < -100.0 ? -0.0 : x / (1.0 + exp(-2.0 * sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static double ref_reciprocal(double x)
{
    return 1.0 / x;
}

/* The bound is in ulp of the exact result, or, where `scaled`, of |x| / 2 if that is larger. */
static const struct function {
    em__unary_op op;
    double (*exact)(double);
    double bound;
    int scaled;
    const char *name;
} functions[] = {
    {EM__UNARY_EXP, exp, 1.0, 0, "exp"},
    {EM__UNARY_EXPM1, expm1, 2.0, 0, "expm1"},
    {EM__UNARY_LOG, log, 1.0, 0, "log"},
    {EM__UNARY_LOG1P, log1p, 1.5, 0, "log1p"},
    {EM__UNARY_TANH, tanh, 1.5, 0, "tanh"},
    {EM__UNARY_ERF, erf, 1.5, 0, "erf"},
    {EM__UNARY_RSQRT, ref_rsqrt, 1.5, 0, "rsqrt"},
    {EM__UNARY_SQRT, sqrt, 0.5, 0, "sqrt"},
    {EM__UNARY_RECIPROCAL, ref_reciprocal, 0.5, 0, "reciprocal"},
    {EM__UNARY_SIN, sin, 2.5, 0, "sin"},
    {EM__UNARY_COS, cos, 2.5, 0, "cos"},
    {EM__UNARY_TAN, tan, 4.0, 0, "tan"},
    {EM__UNARY_SIGMOID, ref_sigmoid, 2.5, 0, "sigmoid"},
    {EM__UNARY_SILU, ref_silu, 3.0, 1, "silu"},
    {EM__UNARY_GELU, ref_gelu, 3.0, 1, "gelu"},
    {EM__UNARY_GELU_TANH, ref_gelu_tanh, 3.0, 1, "gelu_tanh"},
};
#define FUNCTIONS (sizeof functions / sizeof *functions)

/* One unit in the last place of an f32 near x. */
static double ulp(double x)
{
    int exponent;
    frexp(fabs(x), &exponent);
    exponent = exponent < -125 ? -125 : exponent > 128 ? 128 : exponent;
    return ldexp(1.0, exponent - 24);
}

static double error_of(const struct function *f, float x, float got)
{
    double exact = f->exact((double)x);
    float rounded = (float)exact;
    if (isnan(rounded) || isnan(got))
        return isnan(rounded) && isnan(got) ? 0.0 : (double)INFINITY;
    if (isinf(rounded) || isinf(got))
        return rounded == got ? 0.0 : (double)INFINITY;
    if (rounded == 0.0f && got == 0.0f && signbit(rounded) != signbit(got) && !f->scaled)
        return (double)INFINITY;
    double unit = ulp(exact);
    if (f->scaled && ulp(x * 0.5) > unit)
        unit = ulp(x * 0.5);
    return fabs((double)got - exact) / unit;
}

static void sweep(const struct function *f)
{
    static float x[BLOCK], y[EM__CPU_AVX512 + 1][BLOCK];
    double worst = 0.0;
    float where = 0.0f;
    uint64_t bits = 0;
    while (bits < UINT64_C(1) << 32) {
        for (int i = 0; i < BLOCK; i++, bits += STRIDE) {
            uint32_t low = (uint32_t)bits;
            memcpy(&x[i], &low, sizeof low);
        }
        for (int level = 0; level <= (int)levels_best(); level++)
            tables[level].unary[f->op][EM_F32](y[level], x, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            for (int level = 0; level <= (int)levels_best(); level++) {
                double error = level == EM__CPU_AVX512 ? 0.0 : error_of(f, x[i], y[level][i]);
                if (error > worst) {
                    worst = error;
                    where = x[i];
                }
            }
        }
        if (levels_best() == EM__CPU_AVX512)
            EXPECT_SAME_BITS(EM_F32, y[EM__CPU_AVX512], y[EM__CPU_AVX2], BLOCK);
    }
    printf("%-10s worst %.2f ulp at %a\n", f->name, worst, (double)where);
    assert_true(worst <= f->bound);
}

static void every_function_is_as_exact_as_promised(void **state)
{
    (void)state;
    for (size_t i = 0; i < FUNCTIONS; i++)
        sweep(&functions[i]);
}

static void edges_are_exact(void **state)
{
    (void)state;
    float inf = INFINITY, in[8] = {0.0f, -0.0f, inf, -inf, NAN, 0x1p-149f, -0x1p-149f, -1.0f};
    const float want_exp[8] = {1, 1, inf, 0, NAN, 1, 1, (float)0x1.78b56362cef38p-2};
    const float want_erf[8] = {0, -0.0f, 1, -1, NAN, 0x1p-149f, -0x1p-149f, (float)-0x1.af767a741088bp-1};
    const float want_log1p[8] = {0, -0.0f, inf, NAN, NAN, 0x1p-149f, -0x1p-149f, -inf};
    for (int level = 0; level <= (int)levels_best(); level++) {
        float out[8];
        tables[level].unary[EM__UNARY_EXP][EM_F32](out, in, 8);
        EXPECT_CLOSE_F32(out, want_exp, 8, 0.0, 1e-7);
        tables[level].unary[EM__UNARY_ERF][EM_F32](out, in, 8);
        EXPECT_CLOSE_F32(out, want_erf, 8, 0.0, 1e-7);
        tables[level].unary[EM__UNARY_LOG1P][EM_F32](out, in, 8);
        EXPECT_CLOSE_F32(out, want_log1p, 8, 0.0, 0.0);
        tables[level].unary[EM__UNARY_GELU][EM_F32](out, in + 3, 1);
        assert_true(out[0] == 0.0f);
    }
}

/* Each n up to 67, from each of 16 offsets: the same bits as element by element, and nothing written beyond. */
static void values_do_not_depend_on_position(void **state)
{
    (void)state;
    rng r = {7};
    float x[96], alone[96], y[112];
    rng_fill_edges(&r, EM_F32, x, 96);
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (size_t f = 0; f < FUNCTIONS; f++) {
            em__unary_fn fn = tables[level].unary[functions[f].op][EM_F32];
            for (size_t i = 0; i < 96; i++)
                fn(alone + i, x + i, 1);
            for (size_t n = 0; n < 68; n++) {
                size_t from = n % 16;
                memset(y, 0x5a, sizeof y);
                fn(y + from, x + from, n);
                EXPECT_SAME_BITS(EM_F32, y + from, alone + from, n);
                for (size_t i = 0; i < sizeof y; i++)
                    assert_true((i >= from * 4 && i < (from + n) * 4) || ((uint8_t *)y)[i] == 0x5a);
            }
        }
    }
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
        cmocka_unit_test(edges_are_exact),
        cmocka_unit_test(values_do_not_depend_on_position),
        cmocka_unit_test(every_function_is_as_exact_as_promised),
    };
    return cmocka_run_group_tests(tests, make_tables, NULL);
}
