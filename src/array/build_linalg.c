/* Builders: linear algebra. Operands are cast to one of LAPACK's dtypes, results back to the operand's. */
#include <string.h>

#include <emily/linalg.h>
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"
#include "ops/linalg.h"

/* The dtype of a result that was computed in `done` for operands of dtype `given`: small floats are kept. */
static em_dtype result_dtype(em_dtype given, em_dtype done)
{
    return em_dtype_get_kind(given) == EM_KIND_FLOAT && given != EM_F64 ? given : done;
}

/* Several results, cast and handed to those who want them (NULL: nobody). */
static em_status parts(em_scope *scope, em__op op, em_array *a, int64_t mode, em_array **const *out, int n)
{
    em_array *made[3] = {0};
    for (int i = 0; i < n; i++)
        if (out[i])
            *out[i] = NULL;
    if (!em__scope_ok(scope, &a, 1, em__op_get(op)->name))
        return scope ? scope->status : em_last_status();
    em_dtype given = a->spec.dtype;
    a = em_cast(scope, a, em__linalg_dtype(given));
    bool good =
        a && em__build_parts(scope,
                             &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = &mode, .n_ints = op != EM__OP_LU},
                             made, n);
    for (int i = 0; i < n && good; i++)
        good = !out[i] || (made[i] = em_cast(scope, made[i], result_dtype(given, made[i]->spec.dtype)));
    for (int i = 0; i < n && good; i++)
        if (out[i])
            *out[i] = made[i];
    return scope->status;
}

em_status em_lu(em_scope *scope, em_array *a, em_array **p, em_array **l, em_array **u)
{
    return parts(scope, EM__OP_LU, a, 0, (em_array * *const[]){p, l, u}, 3);
}

em_status em_qr(em_scope *scope, em_array *a, bool complete, em_array **q, em_array **r)
{
    return parts(scope, EM__OP_QR, a, complete, (em_array * *const[]){q, r}, 2);
}

em_status em_eigh(em_scope *scope, em_array *a, em_array **values, em_array **vectors)
{
    return parts(scope, EM__OP_EIGH, a, vectors != NULL, (em_array * *const[]){values, vectors}, vectors ? 2 : 1);
}

em_status em_svd(em_scope *scope, em_array *a, bool full, em_array **u, em_array **s, em_array **vt)
{
    bool vectors = u || vt;
    return parts(scope, EM__OP_SVD, a,
                 !vectors ? EM__SVD_VALUES
                 : full   ? EM__SVD_FULL
                          : EM__SVD_THIN,
                 (em_array * *const[]){s, u, vt}, vectors ? 3 : 1);
}

/* An op of one matrix with one result. */
static em_array *one(em_scope *scope, em__op op, em_array *a, const int64_t *ints, int n_ints)
{
    if (!em__scope_ok(scope, &a, 1, em__op_get(op)->name))
        return NULL;
    em_dtype given = a->spec.dtype;
    a = em_cast(scope, a, em__linalg_dtype(given));
    if (!a)
        return NULL;
    em_array *out = em__build(scope, &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = ints, .n_ints = n_ints});
    return out ? em_cast(scope, out, result_dtype(given, out->spec.dtype)) : NULL;
}

em_array *em_cholesky(em_scope *scope, em_array *a, bool upper)
{
    return one(scope, EM__OP_CHOLESKY, a, &(int64_t){upper}, 1);
}

em_array *em_determinant(em_scope *scope, em_array *a)
{
    return one(scope, EM__OP_DETERMINANT, a, NULL, 0);
}

static em_array *with_batch(em_scope *scope, em_array *a, const em__spec *batch)
{
    em_dims dims = {.rank = batch->rank + 2};
    memcpy(dims.dims, batch->dims, (size_t)batch->rank * sizeof dims.dims[0]);
    dims.dims[batch->rank] = a->spec.dims[a->spec.rank - 2];
    dims.dims[batch->rank + 1] = a->spec.dims[a->spec.rank - 1];
    return em_broadcast_to(scope, a, dims);
}

/* Leading axes broadcast against each other. */
static bool one_batch(em_scope *scope, em__op op, em_array **in)
{
    em__spec a = in[0]->spec, b = in[1]->spec, batch = {0};
    if (a.rank >= 2 && b.rank >= 2) {
        a.rank -= 2;
        b.rank -= 2;
        if (em__broadcast(&a, &b, &batch) && batch.rank <= EM_MAX_RANK - 2) {
            in[0] = with_batch(scope, in[0], &batch);
            in[1] = with_batch(scope, in[1], &batch);
            return in[0] && in[1];
        }
    }
    char ta[EM__SPEC_TEXT], tb[EM__SPEC_TEXT];
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: %s and %s are not matrices whose leading axes broadcast",
             em__op_get(op)->name, em__spec_print(&in[0]->spec, ta, sizeof ta),
             em__spec_print(&in[1]->spec, tb, sizeof tb));
    em__scope_fail(scope);
    return false;
}

static em_array *solve(em_scope *scope, em__op op, em_array *a, em_array *b, int64_t flags)
{
    em_array *in[] = {a, b};
    if (!em__scope_ok(scope, in, 2, em__op_get(op)->name))
        return NULL;
    em_dtype given = em__promote(a->spec.dtype, b->spec.dtype);
    bool vector = b->spec.rank == a->spec.rank - 1, right = flags & EM_TRIANGLE_RIGHT;
    int axis = right ? -2 : -1;
    if (vector)
        in[1] = b = em_expand_dims(scope, b, right ? b->spec.rank - 1 : -1);
    for (int i = 0; i < 2; i++)
        in[i] = em_cast(scope, in[i], em__linalg_dtype(given));
    if (!in[0] || !in[1] || !one_batch(scope, op, in))
        return NULL;
    em_array *out = em__build(
        scope,
        &(em__build_args){.op = op, .in = in, .n_in = 2, .ints = &flags, .n_ints = op == EM__OP_TRIANGULAR_SOLVE});
    if (out && vector)
        out = em_squeeze(scope, out, EM_AXES(axis));
    return out ? em_cast(scope, out, result_dtype(given, out->spec.dtype)) : NULL;
}

em_array *em_solve(em_scope *scope, em_array *a, em_array *b)
{
    return solve(scope, EM__OP_SOLVE, a, b, 0);
}

em_array *em_triangular_solve(em_scope *scope, em_array *a, em_array *b, unsigned triangle)
{
    if (triangle >= EM_TRIANGLE_UNIT * 2 ||
        (triangle & (EM_TRIANGLE_TRANSPOSE | EM_TRIANGLE_ADJOINT)) == (EM_TRIANGLE_TRANSPOSE | EM_TRIANGLE_ADJOINT)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "triangular_solve: flags 0x%x do not exist or contradict each other",
                 triangle);
        return em__scope_fail(scope);
    }
    return solve(scope, EM__OP_TRIANGULAR_SOLVE, a, b, (int64_t)triangle);
}

/* ---- composites ---- */

/* Operand of a composite, in a dtype of LAPACK's; NULL when it is no matrix. */
static em_array *matrix(em_scope *scope, em_array *a, const char *what)
{
    if (!em__scope_ok(scope, &a, 1, what))
        return NULL;
    if (a->spec.rank < 2) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: the operand has rank %d; a matrix or a batch of matrices is needed",
                 what, a->spec.rank);
        return em__scope_fail(scope);
    }
    return em_cast(scope, a, em__linalg_dtype(a->spec.dtype));
}

em_array *em_inverse(em_scope *scope, em_array *a)
{
    em_array *work = matrix(scope, a, "inverse");
    if (!work)
        return NULL;
    int64_t n = work->spec.dims[work->spec.rank - 1];
    em_array *rows = em_iota(scope, EM_S32, em_shape(n, 1), 0), *columns = em_iota(scope, EM_S32, em_shape(1, n), 1);
    em_dims dims = {.rank = work->spec.rank}; /* of its rank, or it would be taken for vectors */
    for (int i = 0; i < dims.rank; i++)
        dims.dims[i] = i < dims.rank - 2 ? 1 : n;
    em_array *eye = em_cast(scope, em_reshape(scope, em_equal(scope, rows, columns), dims), work->spec.dtype);
    em_array *out = em_solve(scope, work, eye);
    return out ? em_cast(scope, out, result_dtype(a->spec.dtype, out->spec.dtype)) : NULL;
}

static em_array *magnitude(em_scope *scope, em_array *a)
{
    if (em_dtype_get_kind(a->spec.dtype) != EM_KIND_COMPLEX)
        return em_abs(scope, a);
    /* One singular value of each 1 x 1 matrix: its absolute value, without overflow. */
    em_array *s = NULL;
    em_dims dims = {.rank = 3, .dims = {em__spec_size(&a->spec), 1, 1}}, back = em_array_dims(a);
    em_svd(scope, em_reshape(scope, a, dims), false, NULL, &s, NULL);
    return em_reshape(scope, s, back);
}

static em_array *singular_values(em_scope *scope, em_array *a)
{
    em_array *s = NULL;
    em_svd(scope, a, false, NULL, &s, NULL);
    return s;
}

em_array *em_matrix_norm(em_scope *scope, em_array *a, em_norm norm)
{
    em_array *work = matrix(scope, a, "matrix_norm"), *out = NULL;
    if (!work)
        return NULL;
    bool rows = norm == EM_NORM_INFINITY || norm == EM_NORM_MINUS_INFINITY;
    switch (norm) {
    case EM_NORM_FROBENIUS:
        out = em_sqrt(scope, em_sum(scope, em_square(scope, magnitude(scope, work)), EM_AXES(-2, -1), false));
        break;
    case EM_NORM_NUCLEAR: out = em_sum(scope, singular_values(scope, work), EM_AXES(-1), false); break;
    case EM_NORM_TWO: out = em_max(scope, singular_values(scope, work), EM_AXES(-1), false); break;
    case EM_NORM_MINUS_TWO: out = em_min(scope, singular_values(scope, work), EM_AXES(-1), false); break;
    case EM_NORM_ONE:
    case EM_NORM_INFINITY:
        out = em_max(scope, em_sum(scope, magnitude(scope, work), EM_AXES(rows ? -1 : -2), false), EM_AXES(-1), false);
        break;
    case EM_NORM_MINUS_ONE:
    case EM_NORM_MINUS_INFINITY:
        out = em_min(scope, em_sum(scope, magnitude(scope, work), EM_AXES(rows ? -1 : -2), false), EM_AXES(-1), false);
        break;
    default:
        em__fail(EM_ERROR_INVALID_ARGUMENT, "matrix_norm: norm %d does not exist", (int)norm);
        em__scope_fail(scope);
    }
    return out ? em_cast(scope, out, result_dtype(a->spec.dtype, out->spec.dtype)) : NULL;
}

static double epsilon(em_dtype dtype)
{
    return em__real_dtype(dtype) == EM_F64 ? 0x1p-52 : 0x1p-23;
}

/* Singular values above `part` of the largest, as pred [.., k]. */
static em_array *above(em_scope *scope, em_array *s, double part)
{
    if (!s)
        return NULL;
    em_array *most = em_max(scope, s, EM_AXES(-1), true);
    return em_greater(scope, s, em_mul(scope, most, em_scalar(scope, s->spec.dtype, part)));
}

static double longer_side(const em_array *a)
{
    int64_t m = a->spec.dims[a->spec.rank - 2], n = a->spec.dims[a->spec.rank - 1];
    return (double)(m > n ? m : n);
}

em_array *em_matrix_rank(em_scope *scope, em_array *a, double tolerance)
{
    em_array *work = matrix(scope, a, "matrix_rank");
    if (!work)
        return NULL;
    double part = (tolerance < 0 ? epsilon(work->spec.dtype) : tolerance) * longer_side(work);
    em_array *counted = above(scope, singular_values(scope, work), part);
    return em_sum(scope, em_cast(scope, counted, EM_S32), EM_AXES(-1), false);
}

em_array *em_pseudo_inverse(em_scope *scope, em_array *a, double cutoff)
{
    em_array *work = matrix(scope, a, "pseudo_inverse"), *u, *s, *vt;
    if (!work)
        return NULL;
    if (em_dtype_get_kind(work->spec.dtype) == EM_KIND_COMPLEX) {
        em__fail(EM_ERROR_UNSUPPORTED, "pseudo_inverse: complex matrices are not supported");
        return em__scope_fail(scope);
    }
    double part = cutoff < 0 ? epsilon(work->spec.dtype) * longer_side(work) : cutoff;
    if (em_svd(scope, work, false, &u, &s, &vt) != EM_OK)
        return NULL;
    em_array *zero = em_scalar(scope, s->spec.dtype, 0);
    em_array *inverted = em_select(scope, above(scope, s, part), em_reciprocal(scope, s), zero);
    int rank = work->spec.rank;
    em_axes swap = {.count = rank};
    for (int i = 0; i < rank; i++)
        swap.axes[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    em_array *v = em_mul(scope, em_transpose(scope, vt, swap), em_expand_dims(scope, inverted, -2));
    em_array *out = em_matmul(scope, v, em_transpose(scope, u, swap));
    return out ? em_cast(scope, out, result_dtype(a->spec.dtype, out->spec.dtype)) : NULL;
}
