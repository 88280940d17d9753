/* Recorded cases of linear algebra. */
#include <emily/linalg.h>
#include <emily/ops.h>

#include "harness/apply.h"
#include "harness/expect.h"

/* Which of the results, or with "abs" its absolute values: signs of vectors are as they come. */
static em_array *chosen(em_scope *s, const book_case *c, em_array *const *results)
{
    em_array *out = results[(int)book_number(c, "output", 0)];
    return book_number(c, "abs", 0) != 0 ? em_abs(s, out) : out;
}

static em_array *apply_lu(em_scope *s, const book_case *c, em_array *const *in)
{
    em_array *out[3];
    return em_lu(s, in[0], &out[0], &out[1], &out[2]) == EM_OK ? chosen(s, c, out) : NULL;
}

static em_array *apply_qr(em_scope *s, const book_case *c, em_array *const *in)
{
    em_array *out[2];
    return em_qr(s, in[0], book_number(c, "complete", 0) != 0, &out[0], &out[1]) == EM_OK ? chosen(s, c, out) : NULL;
}

static em_array *apply_eigh(em_scope *s, const book_case *c, em_array *const *in)
{
    em_array *out[2];
    bool vectors = book_number(c, "vectors", 1) != 0;
    return em_eigh(s, in[0], &out[0], vectors ? &out[1] : NULL) == EM_OK ? chosen(s, c, out) : NULL;
}

static em_array *apply_svd(em_scope *s, const book_case *c, em_array *const *in)
{
    em_array *out[3];
    bool full = book_number(c, "full", 0) != 0, vectors = book_number(c, "vectors", 1) != 0;
    em_status status = em_svd(s, in[0], full, vectors ? &out[1] : NULL, &out[0], vectors ? &out[2] : NULL);
    return status == EM_OK ? chosen(s, c, out) : NULL;
}

static em_array *apply_cholesky(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_cholesky(s, in[0], book_number(c, "upper", 0) != 0);
}

static em_array *apply_solve(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_solve(s, in[0], in[1]);
}

static em_array *apply_triangular_solve(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_triangular_solve(s, in[0], in[1], (unsigned)book_number(c, "triangle", 0));
}

static em_array *apply_determinant(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_determinant(s, in[0]);
}

static em_array *apply_inverse(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_inverse(s, in[0]);
}

static em_array *apply_matrix_norm(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_matrix_norm(s, in[0], (em_norm)book_number(c, "norm", 0));
}

static em_array *apply_matrix_rank(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_matrix_rank(s, in[0], book_number(c, "tolerance", -1));
}

static em_array *apply_pseudo_inverse(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_pseudo_inverse(s, in[0], book_number(c, "cutoff", -1));
}

const apply_row apply_linalg[] = {
    {"lu", apply_lu},
    {"qr", apply_qr},
    {"eigh", apply_eigh},
    {"svd", apply_svd},
    {"cholesky", apply_cholesky},
    {"solve", apply_solve},
    {"triangular_solve", apply_triangular_solve},
    {"determinant", apply_determinant},
    {"inverse", apply_inverse},
    {"matrix_norm", apply_matrix_norm},
    {"matrix_rank", apply_matrix_rank},
    {"pseudo_inverse", apply_pseudo_inverse},
    {0},
};
