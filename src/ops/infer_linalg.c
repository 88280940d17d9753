/* Shape rules: linear algebra. Operands are matrices in the last two axes, in one of the four dtypes of LAPACK. */
#include <string.h>

#include "core/error.h"
#include "ops/linalg.h"

em_dtype em__linalg_dtype(em_dtype dtype)
{
    bool own = dtype == EM_F32 || dtype == EM_F64 || dtype == EM_C64 || dtype == EM_C128;
    return own ? dtype : EM_F32;
}

static em_status check_matrix(const em__apply *apply, int operand)
{
    const em__spec *in = apply->in[operand];
    if (in->rank < 2)
        return em__infer_fail(apply, "operand %d must be a matrix or a batch of matrices", operand);
    if (em__linalg_dtype(in->dtype) != in->dtype)
        return em__infer_fail(apply, "operand %d must be f32, f64, c64 or c128", operand);
    return EM_OK;
}

static em_status check_square(const em__apply *apply)
{
    EM__TRY(check_matrix(apply, 0));
    const em__spec *in = apply->in[0];
    if (in->dims[in->rank - 1] != in->dims[in->rank - 2])
        return em__infer_fail(apply, "the matrix must be square");
    return EM_OK;
}

em_status em__infer_SQUARE(const em__apply *apply, em__spec *out)
{
    EM__TRY(check_square(apply));
    *out = *apply->in[0];
    return EM_OK;
}

em_status em__infer_DETERMINANT(const em__apply *apply, em__spec *out)
{
    EM__TRY(check_square(apply));
    *out = *apply->in[0];
    out->rank -= 2;
    return EM_OK;
}

em_status em__infer_SOLVE(const em__apply *apply, em__spec *out)
{
    EM__TRY(check_square(apply));
    EM__TRY(check_matrix(apply, 1));
    const em__spec *a = apply->in[0], *b = apply->in[1];
    bool right = apply->op == EM__OP_TRIANGULAR_SOLVE && (apply->ints[0] & EM_TRIANGLE_RIGHT);
    bool match = a->dtype == b->dtype && a->rank == b->rank &&
                 memcmp(a->dims, b->dims, (size_t)(a->rank - 2) * sizeof a->dims[0]) == 0;
    if (!match || b->dims[b->rank - (right ? 1 : 2)] != a->dims[a->rank - 1])
        return em__infer_fail(apply, "the operands do not fit each other");
    *out = *b;
    return EM_OK;
}

/* The operand's batch with the last two dims replaced. */
static em__spec matrix(const em__apply *apply, int64_t rows, int64_t columns)
{
    em__spec out = *apply->in[0];
    out.dims[out.rank - 2] = rows;
    out.dims[out.rank - 1] = columns;
    return out;
}

/* A real vector for each matrix. */
static em__spec values(const em__apply *apply, int64_t count)
{
    em__spec out = *apply->in[0];
    out.dtype = em__real_dtype(out.dtype);
    out.rank--;
    out.dims[out.rank - 1] = count;
    return out;
}

static void sizes(const em__apply *apply, int64_t *m, int64_t *n, int64_t *k)
{
    const em__spec *in = apply->in[0];
    *m = in->dims[in->rank - 2];
    *n = in->dims[in->rank - 1];
    *k = *m < *n ? *m : *n;
}

int em__parts_lu(const em__apply *apply, em__spec *parts)
{
    int64_t m, n, k;
    if (check_matrix(apply, 0) != EM_OK)
        return -1;
    sizes(apply, &m, &n, &k);
    if (parts) {
        parts[0] = matrix(apply, m, m);
        parts[1] = matrix(apply, m, k);
        parts[2] = matrix(apply, k, n);
    }
    return 3;
}

int em__parts_qr(const em__apply *apply, em__spec *parts)
{
    int64_t m, n, k;
    if (check_matrix(apply, 0) != EM_OK)
        return -1;
    sizes(apply, &m, &n, &k);
    if (apply->ints[0])
        k = m;
    if (parts) {
        parts[0] = matrix(apply, m, k);
        parts[1] = matrix(apply, k, n);
    }
    return 2;
}

int em__parts_eigh(const em__apply *apply, em__spec *parts)
{
    if (check_square(apply) != EM_OK)
        return -1;
    if (parts) {
        parts[0] = values(apply, apply->in[0]->dims[apply->in[0]->rank - 1]);
        if (apply->ints[0])
            parts[1] = *apply->in[0];
    }
    return apply->ints[0] ? 2 : 1;
}

int em__parts_svd(const em__apply *apply, em__spec *parts)
{
    int64_t m, n, k;
    if (check_matrix(apply, 0) != EM_OK)
        return -1;
    sizes(apply, &m, &n, &k);
    bool full = apply->ints[0] == EM__SVD_FULL;
    if (parts) {
        parts[0] = values(apply, k);
        if (apply->ints[0] != EM__SVD_VALUES) {
            parts[1] = matrix(apply, m, full ? m : k);
            parts[2] = matrix(apply, full ? n : k, n);
        }
    }
    return apply->ints[0] == EM__SVD_VALUES ? 1 : 3;
}
