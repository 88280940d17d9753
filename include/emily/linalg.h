/*
 * Linear algebra on the last two axes; leading axes are batches.
 *
 * Operands of f32, f64, c64 and c128 are computed in that dtype; f16, bf16 and f8 in f32 and rounded to their dtype;
 * integers and pred become f32. Singular values and eigenvalues of complex matrices are real. Results that are not
 * wanted may be NULL. The functions with several results return the scope's status; on failure all of them are NULL.
 *
 * A matrix that has no answer fails the evaluation, with the op and the matrix's place in the batch:
 * EM_ERROR_INVALID_ARGUMENT. A matrix that holds a NaN or an infinity (in the part that is read) gives NaN in all its
 * results and leaves the rest of the batch alone. Empty matrices are answered, not refused. Results do not depend on
 * the number of threads.
 *
 * The cpu device computes with LAPACK (liblapacke.so.3, opened at first use; EMILY_LAPACK names another library) and
 * without it evaluation is EM_ERROR_UNSUPPORTED; the ref device has loops of its own. Matrices of 2^31 elements and
 * more, and eigh and svd of more than 20,000 rows and columns, are EM_ERROR_UNSUPPORTED.
 */
#ifndef EMILY_LINALG_H
#define EMILY_LINALG_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* a = p l u, a of m x n and k = min(m, n): p a permutation (m x m), l unit lower (m x k), u upper (k x n). The pivot is
 * the largest |re| + |im| of its column, the first of equals. A singular a is no error: u has a 0 on its diagonal. */
EM_API em_status em_lu(em_scope *scope, em_array *a, em_array **p, em_array **l, em_array **u);

/* a = q r: q m x k with orthonormal columns and r k x n upper; with `complete` q is m x m and r m x n. Signs are
 * LAPACK's Householder signs: the diagonal of r is real and may be negative. */
EM_API em_status em_qr(em_scope *scope, em_array *a, bool complete, em_array **q, em_array **r);

/* The lower l of a = l l^H, from a's lower triangle; with `upper` the u of a = u^H u, from its upper triangle. The
 * other triangle of the result is 0. A matrix that is not positive definite is an error. */
EM_API em_array *em_cholesky(em_scope *scope, em_array *a, bool upper);

/* The eigenvalues [.., n] of symmetric or Hermitian matrices, ascending, and their orthonormal vectors, one a column:
 * a v = v diag(values). Reads the lower triangle only. Each vector's sign (complex: phase) is as it comes. */
EM_API em_status em_eigh(em_scope *scope, em_array *a, em_array **values, em_array **vectors);

/* a = u diag(s) vt: s [.., k] descending, u m x k and vt k x n with orthonormal columns and rows; with `full` u is
 * m x m and vt n x n. Signs as they come. With u and vt NULL only s is computed. */
EM_API em_status em_svd(em_scope *scope, em_array *a, bool full, em_array **u, em_array **s, em_array **vt);

/* The x of a x = b, a square. b of a's rank holds matrices [.., n, k]; of one less, vectors [.., n]. Leading axes
 * broadcast. A singular a (a pivot that is exactly 0) is an error. */
EM_API em_array *em_solve(em_scope *scope, em_array *a, em_array *b);

/* The x of a x = b with a triangular, as em_triangle flags say; the other triangle is not read. b and leading axes as
 * for em_solve. A 0 on the diagonal is an error. */
EM_API em_array *em_triangular_solve(em_scope *scope, em_array *a, em_array *b, unsigned triangle);

/* The determinant [..] of square matrices, from lu in f64 or c128: 0 when singular, 1 when empty. */
EM_API em_array *em_determinant(em_scope *scope, em_array *a);

/* The x of a x = identity; errors as em_solve. */
EM_API em_array *em_inverse(em_scope *scope, em_array *a);

typedef enum em_norm {
    EM_NORM_FROBENIUS,
    EM_NORM_NUCLEAR, /* sum of the singular values */
    EM_NORM_TWO,     /* the largest of them; MINUS_TWO: the smallest */
    EM_NORM_MINUS_TWO,
    EM_NORM_ONE, /* the largest sum of absolute values in a column; MINUS_ONE: the smallest */
    EM_NORM_MINUS_ONE,
    EM_NORM_INFINITY, /* the same of the rows */
    EM_NORM_MINUS_INFINITY
} em_norm;

/* The norm [..] of matrices. */
EM_API em_array *em_matrix_norm(em_scope *scope, em_array *a, em_norm norm);

/* How many singular values are above `tolerance` (f32) times max(m, n) times the largest: s32 [..]. A negative
 * tolerance asks for the dtype's epsilon. */
EM_API em_array *em_matrix_rank(em_scope *scope, em_array *a, double tolerance);

/* The Moore-Penrose inverse n x m: singular values at or below `cutoff` times the largest count as 0. A negative cutoff
 * asks for max(m, n) times the dtype's epsilon. Real matrices only. */
EM_API em_array *em_pseudo_inverse(em_scope *scope, em_array *a, double cutoff);

#ifdef __cplusplus
}
#endif
#endif
