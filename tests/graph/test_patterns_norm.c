/* Norms and softmax written out as frameworks do, with the casts of half models; and what is not one. */
#include "harness/expect.h"
#include "harness/patterns.h"

#define N(v) pattern_number(s, x, v)
#define LAST EM_AXES(-1)

/* mean over the last axis: kept; dropped and put back; by a factor */
static em_array *mean_kept(em_scope *s, em_array *x)
{
    return em_div(s, em_sum(s, x, LAST, true), N(48));
}

static em_array *mean_dropped(em_scope *s, em_array *x)
{
    return em_expand_dims(s, em_div(s, em_sum(s, x, LAST, false), N(48)), -1);
}

static em_array *mean_factor(em_scope *s, em_array *x)
{
    return em_broadcast_to(s, em_mul(s, N(1.0 / 48), em_sum(s, x, LAST, true)), em_array_dims(x));
}

/* HF Llama: x in f32, back, times weight */
static em_status rms_hf(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_cast(s, in[0], EM_F32);
    em_array *y = em_mul(s, x, em_rsqrt(s, em_add(s, em_mean(s, em_pow(s, x, N(2)), LAST, true), N(1e-6))));
    (void)user;
    out[0] = em_mul(s, in[1], em_cast(s, y, em_array_dtype(in[0])));
    return em_scope_status(s);
}

/* Axon: x / sqrt, weight reshaped and broadcast */
static em_status rms_axon(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *weight = em_broadcast_to(s, em_reshape(s, in[1], em_shape(1, 1, 48)), em_array_dims(x));
    (void)user;
    out[0] = em_mul(s, em_div(s, x, em_sqrt(s, em_add(s, N(1e-6), mean_dropped(s, em_mul(s, x, x))))), weight);
    return em_scope_status(s);
}

/* weight times the inverse first, 1 / sqrt */
static em_status rms_inverse(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *root = em_sqrt(s, em_add(s, mean_factor(s, em_square(s, x)), N(1e-6)));
    (void)user;
    out[0] = em_mul(s, em_mul(s, in[1], em_div(s, N(1), root)), x);
    return em_scope_status(s);
}

/* Gemma: times 1 + weight, in f32 */
static em_status rms_gemma(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_cast(s, in[0], EM_F32), *w = em_add(s, N(1), em_cast(s, in[1], EM_F32));
    em_array *y = em_mul(s, x, em_pow(s, em_add(s, mean_kept(s, em_square(s, x)), N(1e-6)), N(-0.5)));
    (void)user;
    out[0] = em_cast(s, em_mul(s, y, w), em_array_dtype(in[0]));
    return em_scope_status(s);
}

static em_status rms_other_axis(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *mean = em_div(s, em_sum(s, em_square(s, x), EM_AXES(1), true), N(5));
    (void)user;
    out[0] = em_mul(s, x, em_rsqrt(s, em_add(s, mean, N(1e-6))));
    return em_scope_status(s);
}

static em_status rms_other_count(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *mean = em_div(s, em_sum(s, em_square(s, x), LAST, true), N(47));
    (void)user;
    out[0] = em_mul(s, x, em_rsqrt(s, em_add(s, mean, N(1e-6))));
    return em_scope_status(s);
}

static em_status rms_of_another(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0];
    (void)user;
    out[0] = em_mul(s, x, em_rsqrt(s, em_add(s, mean_kept(s, em_square(s, em_exp(s, x))), N(1e-6))));
    return em_scope_status(s);
}

static em_status rms_root_needed(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *root = em_rsqrt(s, em_add(s, mean_kept(s, em_square(s, x)), N(1e-6)));
    (void)user;
    out[0] = em_add(s, em_mul(s, x, root), root);
    return em_scope_status(s);
}

/* torch: var_mean, then x - mean again */
static em_status layer_torch(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *d = em_sub(s, x, em_mean(s, x, LAST, true));
    em_array *y = em_mul(s, d, em_rsqrt(s, em_add(s, em_mean(s, em_square(s, d), LAST, true), N(1e-5))));
    (void)user;
    out[0] = em_add(s, em_mul(s, y, in[1]), in[2]);
    return em_scope_status(s);
}

/* flax: mean of squares less the square of the mean, weight into the root first */
static em_status layer_flax(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *mean = mean_kept(s, x);
    em_array *variance = em_maximum(s, N(0), em_sub(s, mean_kept(s, em_square(s, x)), em_square(s, mean)));
    em_array *root = em_mul(s, em_rsqrt(s, em_add(s, variance, N(1e-5))), em_reshape(s, in[1], em_shape(1, 1, 48)));
    (void)user;
    out[0] = em_add(s, em_mul(s, em_sub(s, x, mean), root), em_reshape(s, in[2], em_shape(1, 1, 48)));
    return em_scope_status(s);
}

/* Axon: gamma times (x - mean) first, divided by the root, axes dropped and put back */
static em_status layer_axon(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *d = em_sub(s, x, mean_dropped(s, x));
    em_array *root = em_sqrt(s, em_add(s, mean_dropped(s, em_mul(s, d, d)), N(1e-5)));
    (void)user;
    out[0] = em_add(s, in[2], em_mul(s, em_div(s, d, root), in[1]));
    return em_scope_status(s);
}

/* a half model: all in f32, affine in f32, back */
static em_status layer_half(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *wide[3];
    for (int i = 0; i < 3; i++)
        wide[i] = em_cast(s, in[i], EM_F32);
    layer_torch(s, wide, out, user);
    out[0] = em_cast(s, out[0], em_array_dtype(in[0]));
    return em_scope_status(s);
}

static em_status layer_two_axes(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0];
    em_axes both = EM_AXES(1, 2);
    em_array *d = em_sub(s, x, em_mean(s, x, both, true));
    (void)user;
    out[0] = em_mul(s, d, em_rsqrt(s, em_add(s, em_mean(s, em_square(s, d), both, true), N(1e-5))));
    return em_scope_status(s);
}

static em_status layer_unbiased(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *d = em_sub(s, x, mean_kept(s, x));
    em_array *variance = em_div(s, em_sum(s, em_square(s, d), LAST, true), N(47));
    (void)user;
    out[0] = em_mul(s, d, em_rsqrt(s, em_add(s, variance, N(1e-5))));
    return em_scope_status(s);
}

static em_status softmax_plain(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *e = em_exp(s, em_sub(s, x, em_max(s, x, LAST, true)));
    (void)user;
    out[0] = em_div(s, e, em_sum(s, e, LAST, true));
    return em_scope_status(s);
}

static em_status softmax_dropped(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *e = em_exp(s, em_sub(s, x, em_expand_dims(s, em_max(s, x, LAST, false), -1)));
    (void)user;
    out[0] = em_mul(s, em_reciprocal(s, em_expand_dims(s, em_sum(s, e, LAST, false), -1)), e);
    return em_scope_status(s);
}

static em_status softmax_middle(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *e = em_exp(s, em_sub(s, x, em_max(s, x, EM_AXES(1), true)));
    (void)user;
    out[0] = em_div(s, e, em_broadcast_to(s, em_sum(s, e, EM_AXES(1), true), em_array_dims(x)));
    return em_scope_status(s);
}

static em_status softmax_bare(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *e = em_exp(s, in[0]);
    (void)user;
    out[0] = em_div(s, e, em_sum(s, e, LAST, true));
    return em_scope_status(s);
}

static em_status softmax_half(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_cast(s, in[0], EM_F32), *y;
    softmax_plain(s, &x, &y, user);
    out[0] = em_cast(s, y, em_array_dtype(in[0]));
    return em_scope_status(s);
}

static em_status softmax_two_axes(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *e = em_exp(s, em_sub(s, x, em_max(s, x, EM_AXES(1, 2), true)));
    (void)user;
    out[0] = em_div(s, e, em_sum(s, e, EM_AXES(1, 2), true));
    return em_scope_status(s);
}

static em_status softmax_mixed_axes(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *e = em_exp(s, em_sub(s, x, em_max(s, x, EM_AXES(1), true)));
    (void)user;
    out[0] = em_div(s, e, em_sum(s, e, LAST, true));
    return em_scope_status(s);
}

static em_status softmax_leaks(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *e = em_exp(s, em_sub(s, x, em_max(s, x, LAST, true)));
    (void)user;
    out[0] = em_add(s, em_div(s, e, em_sum(s, e, LAST, true)), e);
    return em_scope_status(s);
}

#define OF(dtype)                                                                                                      \
    {                                                                                                                  \
        {dtype, {3, {3, 5, 48}}}, {dtype, {1, {48}}},                                                                  \
        {                                                                                                              \
            dtype,                                                                                                     \
            {                                                                                                          \
                1,                                                                                                     \
                {                                                                                                      \
                    48                                                                                                 \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

static void test_rms_norm(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"rms as Llama, f32", rms_hf, OF(EM_F32), 2, "rms_norm", 1, NULL, "rms_norm", 1e-5, 1},
        {"rms as Llama, bf16", rms_hf, OF(EM_BF16), 2, "rms_norm", 1, NULL, "rms_norm", 0x1p-4, 1},
        {"rms as Llama, f16", rms_hf, OF(EM_F16), 2, "rms_norm", 1, NULL, "rms_norm", 0x1p-7, 1},
        {"rms as Axon", rms_axon, OF(EM_F32), 2, "rms_norm", 1, NULL, "rms_norm", 1e-5, 1},
        {"rms, weight on the root", rms_inverse, OF(EM_F32), 2, "rms_norm", 1, NULL, "rms_norm", 1e-5, 1},
        {"rms as Gemma, bf16", rms_gemma, OF(EM_BF16), 2, "rms_norm", 1, NULL, "rms_norm", 0x1p-5, 0},
        {"rms over axis 1", rms_other_axis, OF(EM_F32), 1, "rms_norm", 0, "mean over axis 1 of 3 is not the last", NULL,
         1e-5, 0},
        {"rms by 47 of 48", rms_other_count, OF(EM_F32), 1, "rms_norm", 0, "divided by 47, not by the 48", NULL, 1e-5,
         0},
        {"rms of another array", rms_of_another, OF(EM_F32), 1, "rms_norm", 0, "something else", NULL, 1e-5, 0},
        {"rms, its root needed", rms_root_needed, OF(EM_F32), 1, "rms_norm", 0, "needed elsewhere", NULL, 1e-5, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_layer_norm(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"layer as torch", layer_torch, OF(EM_F32), 3, "layer_norm", 1, NULL, "layer_norm", 1e-5, 1},
        {"layer as flax", layer_flax, OF(EM_F32), 3, "layer_norm", 1, NULL, "layer_norm", 1e-5, 1},
        {"layer as Axon", layer_axon, OF(EM_F32), 3, "layer_norm", 1, NULL, "layer_norm", 1e-5, 1},
        {"layer in f32 of bf16", layer_half, OF(EM_BF16), 3, "layer_norm", 1, NULL, "layer_norm", 0x1p-6, 1},
        {"layer of bf16", layer_torch, OF(EM_BF16), 3, "layer_norm", 1, NULL, "layer_norm", 0x1p-3, 1},
        {"layer over two axes", layer_two_axes, OF(EM_F32), 1, "layer_norm", 0, "axis 1 and more of 3", NULL, 1e-5, 0},
        {"layer, unbiased", layer_unbiased, OF(EM_F32), 1, "layer_norm", 0, "divided by 47", NULL, 1e-5, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_softmax(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"softmax", softmax_plain, OF(EM_F32), 1, "softmax", 1, NULL, "softmax", 1e-6, 1},
        {"softmax, axes dropped", softmax_dropped, OF(EM_F32), 1, "softmax", 1, NULL, "softmax", 1e-6, 1},
        {"softmax over axis 1", softmax_middle, OF(EM_F32), 1, "softmax", 1, NULL, "softmax", 1e-6, 1},
        {"softmax without maximum", softmax_bare, OF(EM_F32), 1, "softmax", 1, NULL, "softmax", 1e-6, 1},
        {"softmax in f32 of bf16", softmax_half, OF(EM_BF16), 1, "softmax", 1, NULL, "softmax", 0x1p-9, 1},
        {"softmax of f16", softmax_plain, OF(EM_F16), 1, "softmax", 1, NULL, "softmax", 0x1p-9, 1},
        {"softmax over two axes", softmax_two_axes, OF(EM_F32), 1, "softmax", 0, "more than one axis", NULL, 1e-6, 0},
        {"maximum over another axis", softmax_mixed_axes, OF(EM_F32), 1, "softmax", 0, "the maximum is over axis 1",
         NULL, 1e-4, 0},
        {"softmax, exp needed", softmax_leaks, OF(EM_F32), 1, "softmax", 0, "exp is needed elsewhere", NULL, 1e-6, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rms_norm), cmocka_unit_test(test_layer_norm),
                                       cmocka_unit_test(test_softmax)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
