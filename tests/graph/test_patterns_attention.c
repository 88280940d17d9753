/* Attention written out as frameworks do: layouts, masks, shared heads, sinks; and what is not one. */
#include <math.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/patterns.h"

enum { B = 2, H = 4, LQ = 5, LK = 7, D = 16, DV = 8 };

#define X(d) em_scalar(s, em_array_dtype(q), d)
#define LAST EM_AXES(-1)

static em_array *softmax_of(em_scope *s, em_array *x)
{
    em_array *e = em_exp(s, em_sub(s, x, em_max(s, x, LAST, true)));
    return em_div(s, e, em_sum(s, e, LAST, true));
}

static em_array *swapped(em_scope *s, em_array *x)
{
    return em_transpose(s, x, EM_AXES(0, 1, 3, 2));
}

static em_array *scores_of(em_scope *s, em_array *q, em_array *k)
{
    return em_mul(s, em_matmul(s, q, swapped(s, k)), X(0.25));
}

/* q k' / 4, softmax, v: [B, H, L, D] */
static em_status plain(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0];
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_div(s, em_matmul(s, q, swapped(s, in[1])), X(4))), in[2]);
    return em_scope_status(s);
}

/* the op softmax; scale on q and on k */
static em_status scaled_before(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0];
    em_array *scores = em_matmul(s, em_mul(s, q, X(0.5)), swapped(s, em_mul(s, in[1], X(0.5))));
    (void)user;
    out[0] = em_matmul(s, em_softmax(s, scores, -1), in[2]);
    return em_scope_status(s);
}

/* Bumblebee: [B, L, H, D], query over sqrt(D), bias, softmax, back */
static em_status bumblebee(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = em_div(s, em_transpose(s, in[0], EM_AXES(0, 2, 1, 3)), em_scalar(s, em_array_dtype(in[0]), 4));
    em_array *k = em_transpose(s, in[1], EM_AXES(0, 2, 1, 3)), *v = em_transpose(s, in[2], EM_AXES(0, 2, 1, 3));
    em_axes both = EM_AXES(0, 1);
    em_array *scores = em_dot_general(s, q, EM_AXES(3), both, k, EM_AXES(3), both);
    em_array *keep = em_reshape(s, in[3], em_shape(B, 1, 1, LK));
    scores = em_add(s, scores, em_select(s, keep, em_scalar(s, EM_F32, 0), em_scalar(s, EM_F32, -1e10)));
    (void)user;
    em_array *y = em_dot_general(s, softmax_of(s, scores), EM_AXES(3), both, v, EM_AXES(2), both);
    out[0] = em_transpose(s, y, EM_AXES(0, 2, 1, 3));
    return em_scope_status(s);
}

/* jax: einsum straight on [B, L, H, D], the values' product with the operands the other way round */
static em_status jax(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *k = in[1], *v = in[2];
    em_array *scores = em_dot_general(s, q, EM_AXES(3), EM_AXES(0, 2), k, EM_AXES(3), EM_AXES(0, 2));
    em_array *weights = softmax_of(s, em_mul(s, scores, X(0.25)));
    em_array *y = em_dot_general(s, v, EM_AXES(1), EM_AXES(0, 2), weights, EM_AXES(3), EM_AXES(0, 1));
    (void)user;
    out[0] = em_transpose(s, y, EM_AXES(0, 3, 1, 2)); /* [B, H, D, L] -> [B, L, H, D] */
    return em_scope_status(s);
}

/* torch's decomposition: products of three axes, scores reshaped around the mask */
static em_status torch(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0];
    em_array *q3 = em_reshape(s, q, em_shape(B * H, LQ, D)), *v3 = em_reshape(s, in[2], em_shape(B * H, LK, DV));
    em_array *k3 = em_reshape(s, swapped(s, in[1]), em_shape(B * H, D, LK));
    em_array *scores = em_reshape(s, em_matmul(s, q3, k3), em_shape(B, H, LQ, LK));
    scores = em_add(s, em_mul(s, scores, X(0.25)), in[3]);
    em_array *weights = em_reshape(s, softmax_of(s, scores), em_shape(B * H, LQ, LK));
    (void)user;
    out[0] = em_reshape(s, em_matmul(s, weights, v3), em_shape(B, H, LQ, DV));
    return em_scope_status(s);
}

static em_array *causal_mask(em_scope *s)
{
    em_array *i = em_iota(s, EM_S32, em_shape(LQ, 1), 0), *j = em_iota(s, EM_S32, em_shape(1, LK), 1);
    return em_greater_equal(s, em_add(s, i, em_scalar(s, EM_S32, LK - LQ)), j);
}

static em_status causal_select(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *mask = em_reshape(s, causal_mask(s), em_shape(1, 1, LQ, LK));
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_select(s, mask, scores_of(s, q, in[1]), X(-3e38))), in[2]);
    return em_scope_status(s);
}

/* HF: the mask as numbers; hides where true */
static em_status causal_sum(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *hide = em_logical_not(s, causal_mask(s));
    em_array *mask = em_select(s, hide, X(-INFINITY), X(0));
    (void)user;
    out[0] = em_matmul(s, em_softmax(s, em_add(s, scores_of(s, q, in[1]), mask), -1), in[2]);
    return em_scope_status(s);
}

static em_status causal_and_padding(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *padding = em_reshape(s, in[3], em_shape(B, 1, 1, LK));
    em_array *keep = em_logical_and(s, causal_mask(s), padding);
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_select(s, keep, scores_of(s, q, in[1]), X(-1e9))), in[2]);
    return em_scope_status(s);
}

/* [B, Hkv, L, D] with each head repeated */
static em_array *repeated(em_scope *s, em_array *x)
{
    em_dims d = em_array_dims(x);
    em_dims five = {5, {d.dims[0], d.dims[1], H / d.dims[1], d.dims[2], d.dims[3]}};
    return em_reshape(s, em_broadcast_to(s, em_expand_dims(s, x, 2), five),
                      em_shape(d.dims[0], H, d.dims[2], d.dims[3]));
}

static em_status repeats(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *all[] = {in[0], repeated(s, in[1]), repeated(s, in[2])};
    return plain(s, all, out, user);
}

/* repeated in [B, L, Hkv, D], then turned; through products of three axes */
static em_status repeats_torch(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *all[] = {in[0], NULL, NULL, in[3]};
    for (int i = 1; i < 3; i++) {
        em_array *x = em_transpose(s, in[i], EM_AXES(0, 2, 1, 3));
        em_dims d = em_array_dims(x);
        em_dims five = {5, {B, LK, 2, 2, d.dims[3]}};
        x = em_broadcast_to(s, em_reshape(s, x, em_shape(B, LK, 2, 1, d.dims[3])), five);
        all[i] = em_transpose(s, em_reshape(s, x, em_shape(B, LK, H, d.dims[3])), EM_AXES(0, 2, 1, 3));
    }
    return torch(s, all, out, user);
}

static em_status repeats_by_index(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *at = em_quotient(s, em_iota(s, EM_S32, em_shape(H), 0), em_scalar(s, EM_S32, 2));
    em_array *all[] = {in[0], em_take(s, in[1], at, 1), em_take(s, in[2], at, 1)};
    return plain(s, all, out, user);
}

/* einsum with grouped query heads: bkgqd, bksd */
static em_status grouped(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = em_reshape(s, in[0], em_shape(B, 2, 2, LQ, D));
    em_axes both = EM_AXES(0, 1);
    em_array *scores = em_dot_general(s, q, EM_AXES(4), both, in[1], EM_AXES(3), both);
    em_array *mask = em_select(s, causal_mask(s), X(0), X(-1e9));
    em_array *weights = softmax_of(s, em_add(s, em_mul(s, scores, X(0.3)), mask));
    (void)user;
    out[0] = em_dot_general(s, weights, EM_AXES(4), both, in[2], EM_AXES(2), both);
    return em_scope_status(s);
}

/* gpt-oss: one more column of scores, less the maximum, cut off after */
static em_status sinks(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0];
    em_array *sink = em_broadcast_to(s, em_reshape(s, in[3], em_shape(1, H, 1, 1)), em_shape(B, H, LQ, 1));
    em_array *all = em_concatenate(s, (em_array *[]){scores_of(s, q, in[1]), sink}, 2, -1);
    all = softmax_of(s, em_sub(s, all, em_max(s, all, LAST, true)));
    (void)user;
    all = em_slice(s, all, (int64_t[]){0, 0, 0, 0}, (int64_t[]){B, H, LQ, LK}, NULL);
    out[0] = em_matmul(s, all, in[2]);
    return em_scope_status(s);
}

/* Gemma 2: a softcap, then a mask */
static em_status softcapped(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *capped = em_tanh(s, em_div(s, scores_of(s, q, in[1]), X(2)));
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_add(s, em_mul(s, capped, X(2)), in[3])), in[2]);
    return em_scope_status(s);
}

/* a half model: scores and softmax in f32 */
static em_status in_f32(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *scores = em_cast(s, em_mul(s, em_matmul(s, q, swapped(s, in[1])), X(0.25)), EM_F32);
    em_array *low = em_scalar(s, EM_F32, -3e38);
    scores = em_select(s, em_reshape(s, in[3], em_shape(B, 1, 1, LK)), scores, low);
    (void)user;
    out[0] = em_matmul(s, em_cast(s, softmax_of(s, scores), em_array_dtype(q)), in[2]);
    return em_scope_status(s);
}

/* all of it in f32, of and to a half type */
static em_status all_in_f32(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *wide[3];
    for (int i = 0; i < 3; i++)
        wide[i] = em_cast(s, in[i], EM_F32);
    plain(s, wide, out, user);
    out[0] = em_cast(s, out[0], em_array_dtype(in[0]));
    return em_scope_status(s);
}

/* a row without any key: select says that all keys weigh the same */
static em_status no_key(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *i = em_iota(s, EM_F32, em_shape(LQ, 1), 0);
    em_array *keep = em_less(s, em_mul(s, i, em_scalar(s, EM_F32, 9)),
                             em_cast(s, em_reshape(s, in[3], em_shape(B, 1, 1, LK)), EM_F32));
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_select(s, keep, scores_of(s, q, in[1]), X(-1e9))), in[2]);
    return em_scope_status(s);
}

static em_status single_head(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0];
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_matmul(s, q, em_transpose(s, in[1], EM_ALL_AXES))), in[2]);
    return em_scope_status(s);
}

static em_status weights_needed(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *weights = softmax_of(s, scores_of(s, in[0], in[1]));
    (void)user;
    out[0] = em_add(s, em_matmul(s, weights, in[2]), em_sum(s, weights, LAST, true));
    return em_scope_status(s);
}

static em_status softmax_elsewhere(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *e = em_exp(s, em_transpose(s, scores_of(s, in[0], in[1]), EM_AXES(0, 1, 3, 2)));
    em_array *weights = em_softmax(s, e, -2);
    (void)user;
    out[0] = em_matmul(s, em_transpose(s, weights, EM_AXES(0, 1, 3, 2)), in[2]);
    return em_scope_status(s);
}

static em_status shallow_mask(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *padding = em_reshape(s, in[3], em_shape(B, 1, 1, LK));
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_select(s, padding, scores_of(s, q, in[1]), X(-5))), in[2]);
    return em_scope_status(s);
}

static em_status head_weights(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *q = in[0], *by = em_reshape(s, in[3], em_shape(1, H, 1, 1));
    (void)user;
    out[0] = em_matmul(s, softmax_of(s, em_mul(s, scores_of(s, q, in[1]), by)), in[2]);
    return em_scope_status(s);
}

#define CACHE(t)                                                                                                       \
    {EM_F32, {4, {B, H, LQ, D}}}, {t, {4, {B, H, LK, D}}},                                                             \
    {                                                                                                                  \
        t,                                                                                                             \
        {                                                                                                              \
            4,                                                                                                         \
            {                                                                                                          \
                B, H, LK, DV                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }
#define QKV(t)                                                                                                         \
    {t, {4, {B, H, LQ, D}}}, {t, {4, {B, H, LK, D}}},                                                                  \
    {                                                                                                                  \
        t,                                                                                                             \
        {                                                                                                              \
            4,                                                                                                         \
            {                                                                                                          \
                B, H, LK, DV                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }
#define HEADS_LAST                                                                                                     \
    {EM_F32, {4, {B, LQ, H, D}}}, {EM_F32, {4, {B, LK, H, D}}},                                                        \
    {                                                                                                                  \
        EM_F32,                                                                                                        \
        {                                                                                                              \
            4,                                                                                                         \
            {                                                                                                          \
                B, LK, H, DV                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }
#define SHARED(t)                                                                                                      \
    {t, {4, {B, H, LQ, D}}}, {t, {4, {B, 2, LK, D}}},                                                                  \
    {                                                                                                                  \
        t,                                                                                                             \
        {                                                                                                              \
            4,                                                                                                         \
            {                                                                                                          \
                B, 2, LK, DV                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }
#define PADDING                                                                                                        \
    {                                                                                                                  \
        EM_PRED,                                                                                                       \
        {                                                                                                              \
            2,                                                                                                         \
            {                                                                                                          \
                B, LK                                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }
#define BIAS                                                                                                           \
    {                                                                                                                  \
        EM_F32,                                                                                                        \
        {                                                                                                              \
            3,                                                                                                         \
            {                                                                                                          \
                H, LQ, LK                                                                                              \
            }                                                                                                          \
        }                                                                                                              \
    }
#define PER_HEAD                                                                                                       \
    {                                                                                                                  \
        EM_F32,                                                                                                        \
        {                                                                                                              \
            1,                                                                                                         \
            {                                                                                                          \
                H                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

static void test_layouts(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"plain", plain, {QKV(EM_F32)}, 3, "attention", 1, NULL, "sdpa", 1e-5, 1},
        {"plain, bf16", plain, {QKV(EM_BF16)}, 3, "attention", 1, NULL, "sdpa", 0x1p-4, 1},
        {"plain, f16", plain, {QKV(EM_F16)}, 3, "attention", 1, NULL, "sdpa", 0x1p-7, 1},
        {"scaled before", scaled_before, {QKV(EM_F32)}, 3, "attention", 1, NULL, "sdpa", 1e-5, 0},
        {"as Bumblebee", bumblebee, {HEADS_LAST, PADDING}, 4, "attention", 1, NULL, "sdpa", 1e-5, 0},
        {"as jax", jax, {HEADS_LAST}, 3, "attention", 1, NULL, "sdpa", 1e-5, 0},
        {"as torch decomposes", torch, {QKV(EM_F32), BIAS}, 4, "attention", 1, NULL, "sdpa", 1e-5, 0},
        {"one head",
         single_head,
         {{EM_F32, {2, {9, 8}}}, {EM_F32, {2, {11, 8}}}, {EM_F32, {2, {11, 4}}}},
         3,
         "attention",
         1,
         NULL,
         "sdpa",
         1e-5,
         1},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_masks(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"causal by select", causal_select, {QKV(EM_F32)}, 3, "attention", 1, NULL, "causal", 1e-5, 1},
        {"causal by sum", causal_sum, {QKV(EM_F32)}, 3, "attention", 1, NULL, "causal", 1e-5, 1},
        {"causal by select, bf16", causal_select, {QKV(EM_BF16)}, 3, "attention", 1, NULL, "causal", 0x1p-4, 1},
        {"causal and padding", causal_and_padding, {QKV(EM_F32), PADDING}, 4, "attention", 1, NULL, "sdpa", 1e-5, 0},
        {"f32 inside bf16", in_f32, {QKV(EM_BF16), PADDING}, 4, "attention", 1, NULL, "sdpa", 0x1p-4, 0},
        {"f32 inside f16", in_f32, {QKV(EM_F16), PADDING}, 4, "attention", 1, NULL, "sdpa", 0x1p-7, 0},
        {"a bf16 cache", plain, {CACHE(EM_BF16)}, 3, "attention", 1, NULL, "bf16[2, 4, 7, 16]", 1e-5, 1},
        {"a f16 cache", plain, {CACHE(EM_F16)}, 3, "attention", 1, NULL, "f16[2, 4, 7, 16]", 1e-5, 1},
        {"all in f32, of bf16", all_in_f32, {QKV(EM_BF16)}, 3, "attention", 1, NULL, "bf16[2, 4, 5, 16]", 0x1p-7, 1},
        {"rows without a key", no_key, {QKV(EM_F32), PADDING}, 4, "attention", 1, NULL, "sdpa", 1e-5, 0},
        {"softcap and bias", softcapped, {QKV(EM_F32), BIAS}, 4, "attention", 1, NULL, "sdpa", 1e-5, 1},
        {"sinks", sinks, {QKV(EM_F32), PER_HEAD}, 4, "attention", 1, NULL, "sinks", 1e-5, 1},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_shared_heads(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"heads repeated", repeats, {SHARED(EM_F32)}, 3, "attention", 1, NULL, "f32[2, 2, 7, 16]", 1e-5, 1},
        {"repeated, torch",
         repeats_torch,
         {SHARED(EM_F32), BIAS},
         4,
         "attention",
         1,
         NULL,
         "f32[2, 2, 7, 16]",
         1e-5,
         0},
        {"repeated by index", repeats_by_index, {SHARED(EM_F32)}, 3, "attention", 1, NULL, "f32[2, 2, 7, 16]", 1e-5, 1},
        {"grouped heads", grouped, {SHARED(EM_F32)}, 3, "attention", 1, NULL, "f32[2, 2, 7, 16]", 1e-5, 1},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

static void test_near_misses(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"weights needed", weights_needed, {QKV(EM_F32)}, 3, "attention", 0, "needed elsewhere", NULL, 1e-5, 0},
        {"softmax over queries", softmax_elsewhere, {QKV(EM_F32)}, 3, "attention", 0, NULL, NULL, 1e-5, 0},
        {"masked by -5", shallow_mask, {QKV(EM_F32), PADDING}, 4, "attention", 0, "become -5", NULL, 1e-5, 0},
        {"scores times a head's own",
         head_weights,
         {QKV(EM_F32), PER_HEAD},
         4,
         "attention",
         0,
         "multiplied by an array",
         NULL,
         1e-5,
         0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

typedef struct compiled {
    em_trace_fn build;
    const em_spec *specs;
    size_t n;
} compiled;

static em_status compile(void *user)
{
    const compiled *c = user;
    em_program *program = em_compile(c->build, NULL, c->specs, c->n, 1, NULL);
    em_program_free(program);
    return program ? EM_OK : em_last_status();
}

static void test_every_allocation_failed(void **state)
{
    (void)state;
    static const em_spec with_sinks[] = {QKV(EM_F32), PER_HEAD}, shared[] = {SHARED(EM_F32), BIAS};
    static const em_spec padded[] = {QKV(EM_BF16), PADDING};
    compiled all[] = {{sinks, with_sinks, 4}, {repeats_torch, shared, 4}, {in_f32, padded, 4}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        faults_sweep(compile, &all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_failed), cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_masks), cmocka_unit_test(test_shared_heads),
                                       cmocka_unit_test(test_near_misses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
