/* Rotary embedding written out as frameworks do; and what is not one. */
#include "harness/expect.h"
#include "harness/patterns.h"

#define D 32

/* x[.., from : to : step] of the last axis */
static em_array *cut(em_scope *s, em_array *x, int64_t from, int64_t to, int64_t step)
{
    em_dims d = em_array_dims(x);
    int64_t start[EM_MAX_RANK] = {0}, strides[EM_MAX_RANK];
    for (int i = 0; i < d.rank; i++)
        strides[i] = 1;
    start[d.rank - 1] = from;
    d.dims[d.rank - 1] = to;
    strides[d.rank - 1] = step;
    return em_slice(s, x, start, d.dims, strides);
}

static em_array *joined(em_scope *s, em_array *a, em_array *b)
{
    return em_concatenate(s, (em_array *[]){a, b}, 2, -1);
}

static em_array *rotate_half(em_scope *s, em_array *x)
{
    return joined(s, em_neg(s, cut(s, x, D / 2, D, 1)), cut(s, x, 0, D / 2, 1));
}

/* HF: q [B, H, T, D], cos and sin [B, T, D] with an axis put in */
static em_status rotary_hf(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *c = em_expand_dims(s, in[1], 1), *n = em_expand_dims(s, in[2], 1);
    (void)user;
    out[0] = em_add(s, em_mul(s, x, c), em_mul(s, rotate_half(s, x), n));
    return em_scope_status(s);
}

/* The tables from positions, in the graph, cast to the model's dtype */
static em_status rotary_positions(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *i = em_iota(s, EM_F32, em_shape(D / 2), 0);
    em_array *rate = em_exp(s, em_mul(s, i, em_scalar(s, EM_F32, -0.5)));
    em_array *t = em_reshape(s, em_sum(s, in[1], EM_AXES(-1), false), em_shape(2, 1, 7, 1));
    em_array *angle = em_mul(s, t, em_reshape(s, rate, em_shape(1, 1, 1, D / 2)));
    angle = joined(s, angle, angle);
    em_array *c = em_cast(s, em_cos(s, angle), em_array_dtype(x)), *n = em_cast(s, em_sin(s, angle), em_array_dtype(x));
    (void)user;
    out[0] = em_add(s, em_mul(s, n, rotate_half(s, x)), em_mul(s, c, x));
    return em_scope_status(s);
}

/* Bumblebee: [B, T, H, D], tables broadcast to the whole */
static em_status rotary_bumblebee(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0];
    em_dims d = em_array_dims(x);
    em_array *c = em_broadcast_to(s, em_reshape(s, in[1], em_shape(2, 7, 1, D)), d);
    em_array *n = em_broadcast_to(s, em_reshape(s, in[2], em_shape(2, 7, 1, D)), d);
    (void)user;
    out[0] = em_add(s, em_mul(s, x, c), em_mul(s, rotate_half(s, x), n));
    return em_scope_status(s);
}

/* jax: the halves apart, tables of half the features */
static em_status rotary_halves(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *a = cut(s, x, 0, D / 2, 1), *b = cut(s, x, D / 2, D, 1);
    em_array *c = em_expand_dims(s, cut(s, in[1], 0, D / 2, 1), 1),
             *n = em_expand_dims(s, cut(s, in[2], 0, D / 2, 1), 1);
    (void)user;
    out[0] = joined(s, em_sub(s, em_mul(s, a, c), em_mul(s, b, n)), em_add(s, em_mul(s, a, n), em_mul(s, b, c)));
    return em_scope_status(s);
}

/* GPT-J: neighbours turn, rotate_every_two */
static em_status rotary_pairs(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *c = em_expand_dims(s, in[1], 1), *n = em_expand_dims(s, in[2], 1);
    em_array *odd = em_expand_dims(s, em_neg(s, cut(s, x, 1, D, 2)), -1),
             *even = em_expand_dims(s, cut(s, x, 0, D, 2), -1);
    (void)user;
    out[0] = em_add(s, em_mul(s, x, c), em_mul(s, em_reshape(s, joined(s, odd, even), em_array_dims(x)), n));
    return em_scope_status(s);
}

/* x as [.., D / 2, 2] */
static em_status rotary_of_pairs(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_reshape(s, in[0], em_shape(2, 3, 7, D / 2, 2));
    em_array *a = em_squeeze(s, cut(s, x, 0, 1, 1), EM_AXES(-1)), *b = em_squeeze(s, cut(s, x, 1, 2, 1), EM_AXES(-1));
    em_array *c = em_expand_dims(s, cut(s, in[1], 0, D / 2, 1), 1),
             *n = em_expand_dims(s, cut(s, in[2], 0, D / 2, 1), 1);
    em_array *first = em_sub(s, em_mul(s, a, c), em_mul(s, b, n)),
             *second = em_add(s, em_mul(s, b, c), em_mul(s, a, n));
    (void)user;
    out[0] =
        em_reshape(s, joined(s, em_expand_dims(s, first, -1), em_expand_dims(s, second, -1)), em_array_dims(in[0]));
    return em_scope_status(s);
}

/* Phi: only the first features turn */
static em_status rotary_part(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *turn[] = {cut(s, in[0], 0, D, 1), in[1], in[2]}, *y;
    rotary_hf(s, turn, &y, user);
    out[0] = joined(s, y, cut(s, in[0], D, 40, 1));
    return em_scope_status(s);
}

static em_status rotary_sign(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *c = em_expand_dims(s, in[1], 1), *n = em_expand_dims(s, in[2], 1);
    em_array *turned = joined(s, cut(s, x, D / 2, D, 1), em_neg(s, cut(s, x, 0, D / 2, 1)));
    (void)user;
    out[0] = em_add(s, em_mul(s, x, c), em_mul(s, turned, n));
    return em_scope_status(s);
}

static em_status rotary_two_arrays(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *c = em_expand_dims(s, in[1], 1), *n = em_expand_dims(s, in[2], 1);
    (void)user;
    out[0] = em_add(s, em_mul(s, em_exp(s, x), c), em_mul(s, rotate_half(s, x), n));
    return em_scope_status(s);
}

static em_status rotary_two_tables(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = in[0], *a = cut(s, x, 0, D / 2, 1), *b = cut(s, x, D / 2, D, 1);
    em_array *c = em_expand_dims(s, cut(s, in[1], 0, D / 2, 1), 1),
             *n = em_expand_dims(s, cut(s, in[2], 0, D / 2, 1), 1);
    (void)user;
    out[0] = joined(s, em_sub(s, em_mul(s, a, c), em_mul(s, b, n)), em_add(s, em_mul(s, b, n), em_mul(s, a, n)));
    return em_scope_status(s);
}

#define OF(dtype)                                                                                                      \
    {                                                                                                                  \
        {dtype, {4, {2, 3, 7, D}}}, {dtype, {3, {2, 7, D}}},                                                           \
        {                                                                                                              \
            dtype,                                                                                                     \
            {                                                                                                          \
                3,                                                                                                     \
                {                                                                                                      \
                    2, 7, D                                                                                            \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
#define HEADS_LAST                                                                                                     \
    {                                                                                                                  \
        {EM_F32, {4, {2, 7, 3, D}}}, {EM_F32, {3, {2, 7, D}}},                                                         \
        {                                                                                                              \
            EM_F32,                                                                                                    \
            {                                                                                                          \
                3,                                                                                                     \
                {                                                                                                      \
                    2, 7, D                                                                                            \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
#define WIDER                                                                                                          \
    {                                                                                                                  \
        {EM_F32, {4, {2, 3, 7, 40}}}, {EM_F32, {3, {2, 7, D}}},                                                        \
        {                                                                                                              \
            EM_F32,                                                                                                    \
            {                                                                                                          \
                3,                                                                                                     \
                {                                                                                                      \
                    2, 7, D                                                                                            \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

static void test_rotary(void **state)
{
    (void)state;
    static const pattern_case cases[] = {
        {"rotate_half, f32", rotary_hf, OF(EM_F32), 3, "rotary", 1, NULL, "rotary", 0, 1},
        {"rotate_half, bf16", rotary_hf, OF(EM_BF16), 3, "rotary", 1, NULL, "rotary", 0x1p-4, 0},
        {"tables from positions", rotary_positions, OF(EM_F32), 2, "rotary", 1, NULL, "rotary", 0, 0},
        {"tables from positions, f16", rotary_positions, OF(EM_F16), 2, "rotary", 1, NULL, "rotary", 0x1p-8, 0},
        {"heads last, tables broadcast", rotary_bumblebee, HEADS_LAST, 3, "rotary", 1, NULL, "rotary", 0, 1},
        {"halves apart", rotary_halves, OF(EM_F32), 3, "rotary", 1, NULL, "rotary", 0, 1},
        {"rotate_every_two", rotary_pairs, OF(EM_F32), 3, "rotary", 1, NULL, "rotary", 0, 1},
        {"pairs apart", rotary_of_pairs, OF(EM_F32), 3, "rotary", 1, NULL, "rotary", 0, 1},
        {"some features", rotary_part, WIDER, 3, "rotary", 1, NULL, "rotary", 0, 1},
        {"the other half negated", rotary_sign, OF(EM_F32), 3, "rotary", 0, NULL, NULL, 0, 0},
        {"of two arrays", rotary_two_arrays, OF(EM_F32), 3, "rotary", 0, "of another array", NULL, 1e-6, 0},
        {"by two tables", rotary_two_tables, OF(EM_F32), 3, "rotary", 0, "different tables", NULL, 1e-6, 0},
    };
    pattern_run_all(cases, sizeof cases / sizeof *cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rotary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
