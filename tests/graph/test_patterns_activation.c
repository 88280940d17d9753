/* Activations written out as frameworks do: sigmoid, silu, gelu in both forms, gated products; and what is not one. */
#include <math.h>

#include "harness/expect.h"
#include "harness/patterns.h"

#define N(v) pattern_number(s, x, v)
#define GRAPH(name) static em_status name(em_scope *s, em_array *const *in, em_array **out, void *user)
#define BODY(expression)                                                                                               \
    {                                                                                                                  \
        em_array *x = in[0];                                                                                           \
        (void)user;                                                                                                    \
        out[0] = expression;                                                                                           \
        return em_scope_status(s);                                                                                     \
    }

GRAPH(sigmoid_reciprocal)
BODY(em_reciprocal(s, em_add(s, N(1), em_exp(s, em_neg(s, x)))))
GRAPH(sigmoid_division)
BODY(em_div(s, N(1), em_add(s, em_exp(s, em_mul(s, x, N(-1))), N(1))))
GRAPH(sigmoid_other_sign)
BODY(em_reciprocal(s, em_add(s, N(1), em_exp(s, x))))
GRAPH(silu_product)
BODY(em_mul(s, x, em_sigmoid(s, x)))
GRAPH(silu_quotient)
BODY(em_div(s, x, em_add(s, N(1), em_exp(s, em_neg(s, x)))))
GRAPH(silu_long)
BODY(em_mul(s, em_div(s, N(1), em_add(s, em_exp(s, em_neg(s, x)), N(1))), x))
GRAPH(silu_quick)
BODY(em_mul(s, x, em_sigmoid(s, em_mul(s, x, N(1.702)))))
GRAPH(silu_of_two)
BODY(em_mul(s, x, em_sigmoid(s, in[1])))

/* torch's decomposition; jax.nn.gelu; by erfc; half first */
GRAPH(gelu_torch)
BODY(em_mul(s, em_mul(s, x, N(0.5)), em_add(s, em_erf(s, em_mul(s, x, N(M_SQRT1_2))), N(1))))
GRAPH(gelu_jax)
BODY(em_div(s, em_mul(s, x, em_add(s, em_erf(s, em_div(s, x, N(sqrt(2)))), N(1))), N(2)))
GRAPH(gelu_erfc)
BODY(em_mul(s, em_mul(s, N(0.5), x), em_erfc(s, em_mul(s, em_neg(s, x), N(sqrt(0.5))))))
GRAPH(gelu_cdf)
BODY(em_mul(s, x, em_mul(s, N(0.5), em_add(s, N(1), em_erf(s, em_div(s, x, N(sqrt(2))))))))
GRAPH(gelu_wrong_erf)
BODY(em_mul(s, em_mul(s, x, N(0.5)), em_add(s, em_erf(s, em_mul(s, x, N(0.8))), N(1))))
GRAPH(gelu_wrong_half)
BODY(em_mul(s, em_mul(s, x, N(0.6)), em_add(s, em_erf(s, em_mul(s, x, N(M_SQRT1_2))), N(1))))

static em_array *tanh_gelu(em_scope *s, em_array *x, em_array *inner)
{
    return em_mul(s, em_mul(s, N(0.5), x), em_add(s, N(1), em_tanh(s, inner)));
}

#define C sqrt(2 / M_PI)
#define SUM(t) em_mul(s, em_add(s, x, t), N(C))
GRAPH(tanh_pow)
BODY(tanh_gelu(s, x, SUM(em_mul(s, em_pow(s, x, N(3)), N(0.044715)))))
GRAPH(tanh_square)
BODY(tanh_gelu(s, x, SUM(em_mul(s, N(0.044715), em_mul(s, em_square(s, x), x)))))
GRAPH(tanh_cubes)
BODY(tanh_gelu(s, x, SUM(em_mul(s, em_mul(s, em_mul(s, N(0.044715), x), x), x))))
GRAPH(tanh_factored)
BODY(tanh_gelu(s, x, em_mul(s, em_mul(s, x, N(C)), em_add(s, N(1), em_mul(s, N(0.044715), em_mul(s, x, x))))))
GRAPH(tanh_expanded)
BODY(tanh_gelu(s, x, em_add(s, em_mul(s, N(C), x), em_mul(s, N(C * 0.044715), em_pow(s, x, N(3))))))
GRAPH(tanh_wrong)
BODY(tanh_gelu(s, x, SUM(em_mul(s, em_pow(s, x, N(3)), N(0.05)))))

static em_status gelu_leaks(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *erf = em_erf(s, em_mul(s, x, N(M_SQRT1_2)));
    (void)user;
    out[0] = em_add(s, em_mul(s, em_mul(s, x, N(0.5)), em_add(s, erf, N(1))), erf);
    return EM_OK;
}

/* A half model that computes the activation in f32. */
static em_status gelu_in_f32(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_cast(s, in[0], EM_F32), *y;
    gelu_torch(s, &x, &y, user);
    out[0] = em_cast(s, y, em_array_dtype(in[0]));
    return EM_OK;
}

static em_status gelu_of_product(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_mul(s, in[0], in[1]);
    return gelu_torch(s, &x, out, user);
}

GRAPH(swiglu)
BODY(em_mul(s, em_mul(s, x, em_sigmoid(s, x)), in[1]))
GRAPH(swiglu_up_first)
BODY(em_mul(s, in[1], em_silu(s, x)))
GRAPH(swiglu_repeated)
BODY(em_mul(s, in[1], em_silu(s, em_slice(s, x, (int64_t[]){0, 0}, (int64_t[]){1, 67}, NULL))))

static em_status geglu_split(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *gate = em_slice(s, in[0], (int64_t[]){0, 0}, (int64_t[]){33, 32}, NULL), *y;
    em_array *up = em_slice(s, in[0], (int64_t[]){0, 32}, (int64_t[]){33, 64}, NULL);
    gelu_torch(s, &gate, &y, user);
    out[0] = em_mul(s, y, up);
    return EM_OK;
}

static em_status silu_needed(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *gate = em_silu(s, in[0]);
    (void)user;
    out[0] = em_add(s, em_mul(s, gate, in[1]), gate);
    return EM_OK;
}

#define F32                                                                                                            \
    {                                                                                                                  \
        {EM_F32, {2, {33, 67}}},                                                                                       \
        {                                                                                                              \
            EM_F32,                                                                                                    \
            {                                                                                                          \
                2,                                                                                                     \
                {                                                                                                      \
                    33, 67                                                                                             \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
#define BF16                                                                                                           \
    {                                                                                                                  \
        {EM_BF16, {2, {33, 67}}},                                                                                      \
        {                                                                                                              \
            EM_BF16,                                                                                                   \
            {                                                                                                          \
                2,                                                                                                     \
                {                                                                                                      \
                    33, 67                                                                                             \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
#define F16                                                                                                            \
    {                                                                                                                  \
        {EM_F16, {2, {33, 67}}},                                                                                       \
        {                                                                                                              \
            EM_F16,                                                                                                    \
            {                                                                                                          \
                2,                                                                                                     \
                {                                                                                                      \
                    33, 67                                                                                             \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

static void test_sigmoid_and_silu(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"1 / (1 + exp -x)", sigmoid_reciprocal, F32, 1, "sigmoid", 1, NULL, "sigmoid", 1e-6, 1},
        {"1 / (exp(x * -1) + 1)", sigmoid_division, F32, 1, "sigmoid", 1, NULL, "sigmoid", 1e-6, 1},
        {"1 / (1 + exp -x), bf16", sigmoid_reciprocal, BF16, 1, "sigmoid", 1, NULL, "sigmoid", 0x1p-7, 1},
        {"1 / (1 + exp x)", sigmoid_other_sign, F32, 1, "sigmoid", 0, NULL, NULL, 1e-6, 0},
        {"x sigmoid x", silu_product, F32, 1, "silu", 1, NULL, "silu", 1e-6, 1},
        {"x / (1 + exp -x)", silu_quotient, F32, 1, "silu", 1, NULL, "silu", 1e-6, 1},
        {"(1 / (exp -x + 1)) x", silu_long, F32, 1, "silu", 1, NULL, "silu", 1e-6, 1},
        {"x sigmoid x, f16", silu_product, F16, 1, "silu", 1, NULL, "silu", 0x1p-8, 1},
        {"x sigmoid 1.702 x", silu_quick, F32, 1, "silu", 0, "1.702 x", NULL, 1e-6, 0},
        {"x sigmoid y", silu_of_two, F32, 2, "silu", 0, NULL, NULL, 1e-6, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_gelu(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"gelu as torch", gelu_torch, F32, 1, "gelu", 1, NULL, "gelu", 2e-6, 1},
        {"gelu as jax", gelu_jax, F32, 1, "gelu", 1, NULL, "gelu", 2e-6, 1},
        {"gelu by erfc", gelu_erfc, F32, 1, "gelu", 1, NULL, "gelu", 2e-6, 1},
        {"gelu as x cdf", gelu_cdf, F32, 1, "gelu", 1, NULL, "gelu", 2e-6, 1},
        {"gelu bf16", gelu_torch, BF16, 1, "gelu", 1, NULL, "gelu", 0x1p-5, 1},
        {"gelu in f32 of bf16", gelu_in_f32, BF16, 1, "gelu", 1, NULL, "gelu", 0, 1},
        {"gelu of a product", gelu_of_product, F32, 2, "gelu", 1, NULL, "gelu", 8e-6, 0},
        {"erf of 0.8 x", gelu_wrong_erf, F32, 1, "gelu", 0, "erf is of 0.8 x", NULL, 1e-6, 0},
        {"0.6 instead of a half", gelu_wrong_half, F32, 1, "gelu", 0, "the factor is 0.6", NULL, 1e-6, 0},
        {"its erf is needed", gelu_leaks, F32, 1, "gelu", 0, "erf is needed elsewhere", NULL, 1e-6, 0},
        {"tanh, pow 3", tanh_pow, F32, 1, "gelu", 1, NULL, "gelu_tanh", 3e-6, 1},
        {"tanh, square times x", tanh_square, F32, 1, "gelu", 1, NULL, "gelu_tanh", 3e-6, 1},
        {"tanh, a x x x", tanh_cubes, F32, 1, "gelu", 1, NULL, "gelu_tanh", 3e-6, 1},
        {"tanh, c x (1 + a x x)", tanh_factored, F32, 1, "gelu", 1, NULL, "gelu_tanh", 3e-6, 1},
        {"tanh, c x + c a x^3", tanh_expanded, F32, 1, "gelu", 1, NULL, "gelu_tanh", 3e-6, 1},
        {"tanh, f16", tanh_pow, F16, 1, "gelu", 1, NULL, "gelu_tanh", 0x1p-7, 1},
        {"tanh, 0.05", tanh_wrong, F32, 1, "gelu", 0, "0.05", NULL, 1e-6, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_gated(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"x sigmoid(x) y", swiglu, F32, 2, "gated", 1, NULL, "swiglu", 2e-6, 1},
        {"y silu(x)", swiglu_up_first, F32, 2, "gated", 1, NULL, "swiglu", 2e-6, 1},
        {"y silu(x), bf16", swiglu_up_first, BF16, 2, "gated", 1, NULL, "swiglu", 0x1p-4, 1},
        {"gelu(a) b, halves of one", geglu_split, {{EM_F32, {2, {33, 64}}}}, 1, "gated", 1, NULL, "geglu", 2e-6, 0},
        {"one gate for all rows", swiglu_repeated, F32, 2, "gated", 0, NULL, NULL, 2e-6, 0},
        {"the gate is needed", silu_needed, F32, 2, "gated", 0, "silu is needed elsewhere", NULL, 2e-6, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sigmoid_and_silu), cmocka_unit_test(test_gelu),
                                       cmocka_unit_test(test_gated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
