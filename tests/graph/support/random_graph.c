/* See random_graph.h. A maker gives a value for any operands: what does not fit is reshaped, reduced or cast first. */
#include "graph/support/random_graph.h"

#include <string.h>

#include <emily/control.h>
#include <emily/fourier.h>
#include <emily/indexing.h>
#include <emily/ops.h>
#include <emily/order.h>

#include "harness/rng.h"

#define LARGEST 2048 /* elements: concatenations and products must not run away */

typedef struct picks {
    em_array *a, *b;
    rng *r;
} picks;

typedef em_array *(*maker)(em_scope *s, const picks *p);

static bool is_kind(em_array *a, em_dtype_kind low, em_dtype_kind high)
{
    em_dtype_kind kind = em_dtype_get_kind(em_array_dtype(a));
    return kind >= low && kind <= high;
}

static em_array *real(em_scope *s, em_array *a)
{
    return is_kind(a, EM_KIND_COMPLEX, EM_KIND_COMPLEX) ? em_real(s, a) : a;
}

/* A real number, not pred. */
static em_array *number(em_scope *s, em_array *a)
{
    return is_kind(a, EM_KIND_BOOL, EM_KIND_BOOL) ? em_cast(s, a, EM_U8) : real(s, a);
}

static em_array *integer(em_scope *s, em_array *a)
{
    return is_kind(a, EM_KIND_UNSIGNED, EM_KIND_SIGNED) ? a : em_cast(s, real(s, a), EM_S32);
}

static em_array *f32(em_scope *s, em_array *a)
{
    return em_cast(s, real(s, a), EM_F32);
}

static int axis_of(em_array *a, rng *r)
{
    return (int)rng_below(r, (size_t)em_array_dims(a).rank);
}

/* At least one axis. */
static em_array *vector(em_scope *s, em_array *a)
{
    return em_array_dims(a).rank ? a : em_reshape(s, a, em_shape(1));
}

/* b made to broadcast with a. */
static em_array *fitting(em_scope *s, em_array *a, em_array *b)
{
    em_dims x = em_array_dims(a), y = em_array_dims(b);
    bool fits = true;
    for (int i = 1; i <= x.rank && i <= y.rank; i++) {
        int64_t m = x.dims[x.rank - i], n = y.dims[y.rank - i];
        fits = fits && (m == n || m == 1 || n == 1);
    }
    return fits ? b : em_max(s, number(s, b), EM_ALL_AXES, false);
}

/* ---- smooth ops: f32 in, f32 out, bounded ---- */

static em_array *smooth_unary(em_scope *s, const picks *p)
{
    em_array *a = f32(s, p->a);
    switch (rng_below(p->r, 8)) {
    case 0: return em_tanh(s, a);
    case 1: return em_sin(s, em_tanh(s, a));
    case 2: return em_sigmoid(s, a);
    case 3: return em_gelu(s, em_tanh(s, a));
    case 4: return em_silu(s, em_tanh(s, a));
    case 5: return em_erf(s, a);
    case 6: return em_exp(s, em_tanh(s, a));
    default: return em_rsqrt(s, em_add(s, em_square(s, em_tanh(s, a)), em_scalar(s, EM_F32, 1)));
    }
}

static em_array *smooth_binary(em_scope *s, const picks *p)
{
    em_array *a = f32(s, p->a), *b = f32(s, fitting(s, p->a, p->b));
    switch (rng_below(p->r, 4)) {
    case 0: return em_tanh(s, em_add(s, a, b));
    case 1: return em_tanh(s, em_sub(s, a, b));
    case 2: return em_mul(s, em_tanh(s, a), em_tanh(s, b));
    default: return em_div(s, em_tanh(s, a), em_add(s, em_square(s, em_tanh(s, b)), em_scalar(s, EM_F32, 1)));
    }
}

static em_array *smooth_rows(em_scope *s, const picks *p)
{
    em_array *a = vector(s, f32(s, p->a));
    int axis = axis_of(a, p->r), last = em_array_dims(a).rank - 1;
    switch (rng_below(p->r, 6)) {
    case 0: return em_softmax(s, a, axis);
    case 1: return em_softmax(s, em_tanh(s, a), last);
    case 2: return em_mean(s, a, EM_AXES(axis), rng_below(p->r, 2));
    case 3: return em_max(s, a, EM_AXES(axis), true);
    case 4: return em_tanh(s, em_sum(s, em_tanh(s, a), EM_AXES(axis), rng_below(p->r, 2)));
    default:
        return em_layer_norm(s, em_add(s, em_iota(s, EM_F32, em_array_dims(a), last), em_tanh(s, a)), NULL, NULL, 1);
    }
}

/* A half of these dims, the same in every lane: a rounded operand would jump where lanes differ in last bits. */
static em_array *half_of(em_scope *s, em_dims dims, em_dtype dtype)
{
    em_array *steps = em_iota(s, EM_F32, dims, dims.rank - 1);
    return em_cast(s, em_mul(s, steps, em_scalar(s, EM_F32, 0.0625)), dtype);
}

static em_array *product(em_scope *s, const picks *p)
{
    em_array *a = vector(s, em_tanh(s, f32(s, p->a))), *b = vector(s, em_tanh(s, f32(s, p->b)));
    em_dims x = em_array_dims(a), y = em_array_dims(b);
    if (rng_below(p->r, 2))
        b = half_of(s, y, rng_below(p->r, 2) ? EM_BF16 : EM_F16);
    if (x.rank == 2 && y.rank == 2 && x.dims[1] == y.dims[0])
        return em_matmul(s, a, b);
    if (y.rank == 2 && x.dims[x.rank - 1] == y.dims[1])
        return em_linear(s, a, b, NULL);
    em_array *column = em_reshape(s, a, em_shape(-1, 1));
    return em_tanh(s, em_matmul(s, em_transpose(s, column, EM_ALL_AXES), column));
}

/* ---- moving ---- */

static em_array *moved(em_scope *s, const picks *p)
{
    em_array *a = vector(s, p->a);
    em_dims d = em_array_dims(a);
    int64_t start[EM_MAX_RANK] = {0}, step[EM_MAX_RANK];
    int axis = axis_of(a, p->r);
    for (int i = 0; i < d.rank; i++) {
        step[i] = 1 + (int64_t)rng_below(p->r, 2);
        start[i] = d.dims[i] > 2 ? (int64_t)rng_below(p->r, 2) : 0;
    }
    switch (rng_below(p->r, 9)) {
    case 0: return em_transpose(s, a, EM_ALL_AXES);
    case 1: return em_reverse(s, a, EM_AXES(axis));
    case 2: return em_slice(s, a, start, d.dims, step);
    case 3: return em_reshape(s, a, em_shape(-1));
    case 4: return d.rank < 5 ? em_expand_dims(s, a, axis) : em_reshape(s, a, em_shape(-1));
    case 5: return em_concatenate(s, (em_array *[]){a, a}, 2, axis);
    case 6: return em_roll(s, a, 1, axis);
    case 7: return d.rank < 5 ? em_stack(s, (em_array *[]){a, a}, 2, axis) : em_squeeze(s, a, EM_ALL_AXES);
    default:
        return em_broadcast_to(s, em_expand_dims(s, em_max(s, number(s, a), EM_ALL_AXES, false), 0), em_shape(3, 4));
    }
}

static em_array *placed(em_scope *s, const picks *p)
{
    em_array *a = vector(s, p->a), *i = em_scalar(s, EM_S32, (double)rng_below(p->r, 4));
    em_dims d = em_array_dims(a);
    em_array *starts[EM_MAX_RANK];
    int64_t length[EM_MAX_RANK], edge[EM_MAX_RANK];
    int axis = axis_of(a, p->r);
    for (int k = 0; k < d.rank; k++) {
        starts[k] = i;
        length[k] = (d.dims[k] + 1) / 2;
        edge[k] = (int64_t)rng_below(p->r, 2);
    }
    switch (rng_below(p->r, 5)) {
    case 0: return em_dynamic_slice(s, a, starts, length, NULL);
    case 1: return em_put_slice(s, a, em_dynamic_slice(s, a, starts, length, NULL), starts);
    case 2: return em_take(s, a, em_clip(s, integer(s, p->b), i, em_scalar(s, EM_S32, 3)), axis);
    case 3: return em_pad(s, a, em_cast(s, i, em_array_dtype(a)), edge, edge, edge);
    default: return em_repeat(s, a, 2, axis);
    }
}

/* ---- the rest: any dtype ---- */

static em_array *typed(em_scope *s, const picks *p)
{
    static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_F16,  EM_BF16, EM_S64, EM_S32,
                                      EM_U8,  EM_S8,  EM_PRED, EM_U32,  EM_S4,  EM_U2};
    return em_cast(s, real(s, p->a), dtypes[rng_below(p->r, sizeof dtypes / sizeof *dtypes)]);
}

static em_array *arithmetic(em_scope *s, const picks *p)
{
    em_array *a = number(s, p->a), *b = number(s, fitting(s, p->a, p->b));
    switch (rng_below(p->r, 10)) {
    case 0: return em_add(s, a, b);
    case 1: return em_sub(s, a, b);
    case 2: return em_mul(s, a, b);
    case 3: return em_div(s, a, b);
    case 4: return em_maximum(s, a, b);
    case 5: return em_minimum(s, a, b);
    case 6: return em_remainder(s, a, b);
    case 7: return em_quotient(s, integer(s, a), integer(s, b));
    case 8: return em_bitwise_xor(s, integer(s, a), integer(s, b));
    default: return em_atan2(s, a, b);
    }
}

static em_array *chosen(em_scope *s, const picks *p)
{
    em_array *a = number(s, p->a), *b = number(s, fitting(s, p->a, p->b));
    switch (rng_below(p->r, 4)) {
    case 0: return em_select(s, em_less(s, a, b), a, b);
    case 1: return em_logical_and(s, a, em_greater_equal(s, b, a));
    case 2: return em_equal(s, a, b);
    default: return em_select(s, em_is_nan(s, a), b, a);
    }
}

static em_array *rough_unary(em_scope *s, const picks *p)
{
    em_array *a = number(s, p->a);
    switch (rng_below(p->r, 8)) {
    case 0: return em_floor(s, a);
    case 1: return em_neg(s, a);
    case 2: return em_sqrt(s, em_abs(s, a));
    case 3: return em_log1p(s, em_abs(s, a));
    case 4: return em_sign(s, a);
    case 5: return em_bitwise_not(s, integer(s, a));
    case 6: return em_cos(s, a);
    default: return em_reciprocal(s, a);
    }
}

static em_array *reduced(em_scope *s, const picks *p)
{
    em_array *a = vector(s, number(s, p->a));
    int axis = axis_of(a, p->r);
    switch (rng_below(p->r, 8)) {
    case 0: return em_sum(s, a, EM_AXES(axis), false);
    case 1: return em_product(s, a, EM_AXES(axis), true);
    case 2: return em_min(s, a, EM_ALL_AXES, false);
    case 3: return em_any(s, a, EM_AXES(axis), false);
    case 4: return em_argmax(s, a, axis);
    case 5: return em_cumulative_sum(s, a, axis, rng_below(p->r, 2));
    case 6: return em_cumulative_max(s, a, axis, rng_below(p->r, 2));
    default: return em_rms_norm(s, f32(s, a), NULL, 1e-5);
    }
}

static em_array *ordered(em_scope *s, const picks *p)
{
    em_array *a = vector(s, number(s, p->a)), *values, *indices;
    int axis = axis_of(a, p->r);
    switch (rng_below(p->r, 5)) {
    case 0: return em_sort(s, a, axis, rng_below(p->r, 2));
    case 1: return em_argsort(s, a, axis, rng_below(p->r, 2));
    case 2: return em_top_k(s, a, 1, axis, &values, &indices) ? values : NULL;
    case 3: return em_take_along_axis(s, a, em_argsort(s, a, axis, false), axis);
    default: return em_real(s, em_fft(s, f32(s, a), 0, axis));
    }
}

static em_status less_than_three(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, in[0], em_scalar(s, EM_S32, 3));
    return EM_OK;
}

static em_status turn(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_add(s, in[0], em_scalar(s, EM_S32, 1));
    out[1] = em_tanh(s, em_add(s, in[1], em_mul(s, user, em_cast(s, in[0], EM_F32))));
    return EM_OK;
}

static em_status halved(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    out[0] = em_mul(s, user, em_scalar(s, EM_F32, 0.5));
    return EM_OK;
}

static em_status squashed(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    out[0] = em_tanh(s, user);
    return EM_OK;
}

static em_array *controlled(em_scope *s, const picks *p)
{
    em_array *a = f32(s, p->a), *results[2];
    if (rng_below(p->r, 2)) {
        em_array *mean = em_mean(s, em_tanh(s, a), EM_ALL_AXES, false);
        em_array *yes = em_greater(s, mean, em_scalar(s, EM_F32, 0));
        return em_cond(s, yes, halved, squashed, a, results, 1) == EM_OK ? results[0] : NULL;
    }
    em_array *captured = em_tanh(s, em_max(s, f32(s, p->b), EM_ALL_AXES, false));
    em_array *states[] = {em_scalar(s, EM_S32, (double)rng_below(p->r, 4)), a};
    return em_while(s, less_than_three, turn, captured, states, 2, results) == EM_OK ? results[1] : NULL;
}

static em_array *step(em_scope *s, const random_graph *g, em_array *a, em_array *b, rng *r)
{
    static const maker smooth[] = {smooth_unary, smooth_binary, smooth_rows, product, moved, smooth_binary};
    static const maker all[] = {smooth_unary, smooth_binary, smooth_rows, product,    moved,   placed,  typed,
                                arithmetic,   chosen,        rough_unary, arithmetic, reduced, ordered, controlled};
    const picks p = {a, b, r};
    return g->smooth ? smooth[rng_below(r, sizeof smooth / sizeof *smooth)](s, &p)
                     : all[rng_below(r, sizeof all / sizeof *all)](s, &p);
}

em_status random_graph_trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const random_graph *g = user;
    em_array *values[GRAPH_STEPS + 3] = {in[0], in[1], g->constant};
    int n = 3;
    for (int i = 0; i < g->steps; i++, n++) {
        rng r = {g->seed * 1000003 + (uint64_t)i};
        em_array *a = values[rng_below(&r, (size_t)n)], *b = values[rng_below(&r, (size_t)n)];
        values[n] = g->off[i] ? in[0] : step(s, g, a, b, &r);
        if (!values[n])
            return em_scope_status(s);
        if (em_array_size(values[n]) > LARGEST || em_array_size(values[n]) == 0)
            values[n] = in[0];
    }
    rng r = {g->seed};
    out[0] = values[n - 1];
    out[1] = values[rng_below(&r, (size_t)n)];
    out[2] = values[rng_below(&r, (size_t)n)];
    return em_scope_status(s);
}
