/* Builders: contractions and the fast transformer ops. */
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"
#include "core/options.h"

/* Appends the axes, counted from the front, to ints; false with the error set. */
static bool add_axes(em_axes axes, int rank, int64_t *ints, int *n)
{
    for (int i = 0; i < axes.count; i++) {
        int axis;
        if (!em__axis(axes.axes[i], rank, &axis)) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "dot_general: axis %d is out of range for rank %d", axes.axes[i], rank);
            return false;
        }
        ints[(*n)++] = axis;
    }
    return true;
}

em_array *em_dot_general(em_scope *scope, em_array *a, em_axes contract_a, em_axes batch_a, em_array *b,
                         em_axes contract_b, em_axes batch_b)
{
    em_array *in[] = {a, b};
    int64_t ints[2 + 4 * EM_MAX_RANK];
    int n = 2;
    if (!em__scope_ok(scope, in, 2, "dot_general"))
        return NULL;
    bool paired = contract_a.count == contract_b.count && batch_a.count == batch_b.count && contract_a.count >= 0 &&
                  batch_a.count >= 0 && contract_a.count <= EM_MAX_RANK && batch_a.count <= EM_MAX_RANK;
    if (!paired) {
        em__fail(EM_ERROR_INVALID_ARGUMENT,
                 "dot_general: %d and %d contracted, %d and %d batch axes; they must pair up", contract_a.count,
                 contract_b.count, batch_a.count, batch_b.count);
        return em__scope_fail(scope);
    }
    ints[0] = contract_a.count;
    ints[1] = batch_a.count;
    if (!add_axes(contract_a, a->spec.rank, ints, &n) || !add_axes(contract_b, b->spec.rank, ints, &n) ||
        !add_axes(batch_a, a->spec.rank, ints, &n) || !add_axes(batch_b, b->spec.rank, ints, &n))
        return em__scope_fail(scope);
    em_dtype dtype = em__promote(a->spec.dtype, b->spec.dtype);
    bool mixed = batch_a.count == 0 && em__dot_mixes(a->spec.dtype, b->spec.dtype);
    in[0] = em_cast(scope, a, dtype);
    in[1] = mixed ? b : em_cast(scope, b, dtype);
    return em__build(scope,
                     &(em__build_args){.op = EM__OP_DOT_GENERAL, .in = in, .n_in = 2, .ints = ints, .n_ints = n});
}

/* The batch axes of both operands broadcast against each other: dims of `a` with the batch part replaced. */
static em_dims with_batch(const em__spec *batch, const em__spec *a)
{
    em_dims dims = {.rank = batch->rank + 2};
    for (int i = 0; i < batch->rank; i++)
        dims.dims[i] = batch->dims[i];
    dims.dims[batch->rank] = a->dims[a->rank - 2];
    dims.dims[batch->rank + 1] = a->dims[a->rank - 1];
    return dims;
}

static em_array *batched_matmul(em_scope *scope, em_array *a, em_array *b)
{
    em__spec ba = a->spec, bb = b->spec, batch = {0};
    ba.rank -= 2;
    bb.rank -= 2;
    if (!em__broadcast(&ba, &bb, &batch)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "matmul: leading axes do not broadcast");
        return em__scope_fail(scope);
    }
    em_axes lead = {.count = batch.rank};
    for (int i = 0; i < batch.rank; i++)
        lead.axes[i] = i;
    a = em_broadcast_to(scope, a, with_batch(&batch, &a->spec));
    b = em_broadcast_to(scope, b, with_batch(&batch, &b->spec));
    return em_dot_general(scope, a, EM_AXES(-1), lead, b, EM_AXES(-2), lead);
}

/* Said in terms of the call: underneath it is a dot_general, whose message speaks of axes. */
static em_status check_matmul(const em_array *a, const em_array *b)
{
    const int ra = a->spec.rank, rb = b->spec.rank;
    char left[EM__SPEC_TEXT], right[EM__SPEC_TEXT];
    EM__FAIL_IF(ra == 0 || rb == 0, EM_ERROR_INVALID_ARGUMENT,
                "matmul: operands have ranks %d and %d; rank 1 or more is needed", ra, rb);
    const int64_t inner = a->spec.dims[ra - 1], other = b->spec.dims[rb > 1 ? rb - 2 : 0];
    EM__FAIL_IF(inner != other, EM_ERROR_INVALID_ARGUMENT,
                "matmul: %s times %s: rows of the first have %lld elements, columns of the second %lld; transpose one?",
                em__spec_print(&a->spec, left, sizeof left), em__spec_print(&b->spec, right, sizeof right),
                (long long)inner, (long long)other);
    return EM_OK;
}

em_array *em_matmul(em_scope *scope, em_array *a, em_array *b)
{
    em_array *in[] = {a, b};
    const em_axes none = {0};
    if (!em__scope_ok(scope, in, 2, "matmul"))
        return NULL;
    if (check_matmul(a, b) != EM_OK)
        return em__scope_fail(scope);
    if (b->spec.rank == 1)
        return em_dot_general(scope, a, EM_AXES(-1), none, b, EM_AXES(0), none);
    if (a->spec.rank == 1 && b->spec.rank > 2)
        return em_squeeze(scope, em_matmul(scope, em_expand_dims(scope, a, 0), b), EM_AXES(-2));
    if (b->spec.rank == 2)
        return em_dot_general(scope, a, EM_AXES(-1), none, b, EM_AXES(0), none);
    return batched_matmul(scope, a, b);
}

em_array *em_linear(em_scope *scope, em_array *x, em_array *weight, em_array *bias)
{
    const em_axes none = {0};
    em_array *in[] = {x, weight};
    if (!em__scope_ok(scope, in, 2, "linear"))
        return NULL;
    int64_t rows = weight->spec.rank == 2 ? weight->spec.dims[0] : -1;
    if (rows < 0 || (bias && (bias->spec.rank != 1 || bias->spec.dims[0] != rows))) {
        char w[EM__SPEC_TEXT], b[EM__SPEC_TEXT];
        em__fail(EM_ERROR_INVALID_ARGUMENT, "linear: weight must be [n, k] and bias [n]; they are %s and %s",
                 em__spec_print(&weight->spec, w, sizeof w), bias ? em__spec_print(&bias->spec, b, sizeof b) : "none");
        return em__scope_fail(scope);
    }
    em_array *y = em_dot_general(scope, x, EM_AXES(-1), none, weight, EM_AXES(-1), none);
    return bias ? em_add(scope, y, bias) : y;
}

/* The norm in the dtype that x and its vectors promote to: a half x with f32 vectors is normalised in f32. */
static em_array *norm(em_scope *scope, em__op op, em_array *x, em_array *const *optional, int n, double eps)
{
    em_array *in[3] = {x};
    int64_t mask = 0;
    int count = 1;
    if (!em__scope_ok(scope, &x, 1, em__op_get(op)->name))
        return NULL;
    em_dtype dtype = x->spec.dtype;
    for (int i = 0; i < n; i++)
        dtype = optional[i] ? em__promote_fast(dtype, optional[i]->spec.dtype) : dtype;
    if (em__op_operand_dtype(op, dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    in[0] = em_cast(scope, x, dtype);
    for (int i = 0; i < n; i++) {
        if (!optional[i])
            continue;
        in[count++] = em_cast(scope, optional[i], dtype);
        mask |= 1 << i;
    }
    return em__build(scope,
                     &(em__build_args){
                         .op = op, .in = in, .n_in = count, .ints = &mask, .n_ints = 1, .floats = &eps, .n_floats = 1});
}

em_array *em_layer_norm(em_scope *scope, em_array *x, em_array *weight, em_array *bias, double eps)
{
    return norm(scope, EM__OP_LAYER_NORM, x, (em_array *[]){weight, bias}, 2, eps);
}

em_array *em_rms_norm(em_scope *scope, em_array *x, em_array *weight, double eps)
{
    return norm(scope, EM__OP_RMS_NORM, x, &weight, 1, eps);
}

em_array *em_segment_pool(em_scope *scope, em_array *x, em_array *offsets, em_pool pool)
{
    em_array *in[] = {x, offsets};
    em_dtype dtype;
    if (!em__scope_ok(scope, in, 2, "segment_pool"))
        return NULL;
    if ((unsigned)pool > EM_POOL_WEIGHTED) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "segment_pool: pooling %d does not exist", (int)pool);
        return em__scope_fail(scope);
    }
    if (em__op_operand_dtype(EM__OP_SEGMENT_POOL, x->spec.dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    in[0] = em_cast(scope, x, dtype);
    return em__build(
        scope,
        &(em__build_args){.op = EM__OP_SEGMENT_POOL, .in = in, .n_in = 2, .ints = (int64_t[]){pool}, .n_ints = 1});
}
