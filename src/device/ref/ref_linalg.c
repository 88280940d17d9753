/* Linear algebra on the ref device: textbook algorithms in double complex, whatever the dtype. ref_spectral.c has the
 * iterations. */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "core/block.h"
#include "core/error.h"
#include "device/linalg.h"
#include "device/ref/ref.h"
#include "device/ref/ref_linalg.h"

/* Column-major, in place: below the diagonal the unit lower factor, from it on the upper one. rows[i] is the row of the
 * operand that row i came from. Returns the number of zero pivots; *sign is that of the permutation. */
static int factor(em__complex *a, int64_t m, int64_t n, int64_t *rows, double *sign)
{
    int zeros = 0;
    *sign = 1;
    for (int64_t i = 0; i < m; i++)
        rows[i] = i;
    for (int64_t j = 0; j < (m < n ? m : n); j++) {
        int64_t best = j;
        for (int64_t i = j; i < m; i++)
            if (fabs(creal(a[j * m + i])) + fabs(cimag(a[j * m + i])) >
                fabs(creal(a[j * m + best])) + fabs(cimag(a[j * m + best])))
                best = i;
        if (a[j * m + best] == 0) {
            zeros++;
            continue;
        }
        for (int64_t c = 0; c < n && best != j; c++) {
            em__complex x = a[c * m + j];
            a[c * m + j] = a[c * m + best];
            a[c * m + best] = x;
        }
        int64_t row = rows[j];
        rows[j] = rows[best];
        rows[best] = row;
        *sign = best != j ? -*sign : *sign;
        for (int64_t i = j + 1; i < m; i++) {
            em__complex l = a[j * m + i] /= a[j * m + j];
            for (int64_t c = j + 1; c < n; c++)
                a[c * m + i] -= l * a[c * m + j];
        }
    }
    return zeros;
}

static int lu(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t m = in->rows, n = in->columns, k = m < n ? m : n;
    int64_t *rows = em__workspace_take(workspace, m, sizeof *rows);
    double sign;
    (void)job;
    if (!workspace->base)
        return 0;
    em__complex *a = in->data, *p = out[0].data, *l = out[1].data, *u = out[2].data;
    factor(a, m, n, rows, &sign);
    em__matrix_fill(&out[0], 0, 0);
    for (int64_t i = 0; i < m; i++)
        p[i * m + rows[i]] = 1;
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < m; i++)
            l[j * m + i] = i > j ? a[j * m + i] : i == j;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < k; i++)
            u[j * k + i] = i <= j ? a[j * m + i] : 0;
    return 0;
}

static int determinant(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t n = in->rows, *rows = em__workspace_take(workspace, n, sizeof *rows);
    double sign;
    (void)job;
    if (!workspace->base)
        return 0;
    em__complex *a = in->data;
    int zeros = factor(a, n, n, rows, &sign);
    em__complex product = sign;
    for (int64_t i = 0; i < n; i++)
        product *= a[i * n + i];
    *(em__complex *)out->data = zeros ? 0 : product;
    return 0;
}

static em__complex element(const em__linalg *job, const em__complex *a, int64_t n, int64_t i, int64_t j)
{
    return job->transform == 'N' ? a[j * n + i] : job->transform == 'T' ? a[i * n + j] : conj(a[i * n + j]);
}

/* In place; false when the diagonal has a 0. */
static bool substitute(const em__linalg *job, const em__complex *a, bool lower, bool unit, em__complex *x, int64_t n,
                       int64_t columns)
{
    for (int64_t c = 0; c < columns; c++)
        for (int64_t s = 0; s < n; s++) {
            int64_t i = lower ? s : n - 1 - s;
            em__complex sum = x[c * n + i];
            for (int64_t j = lower ? 0 : i + 1; j < (lower ? i : n); j++)
                sum -= element(job, a, n, i, j) * x[c * n + j];
            x[c * n + i] = unit ? sum : sum / element(job, a, n, i, i);
        }
    for (int64_t i = 0; i < n && !unit; i++)
        if (a[i * n + i] == 0)
            return false;
    return true;
}

static int triangular(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    if (!workspace->base)
        return 0;
    memcpy(out->data, in[1].data, (size_t)(in[1].rows * in[1].columns) * sizeof(em__complex));
    bool lower = (job->half == EM__LOWER) == (job->transform == 'N');
    return !substitute(job, in->data, lower, job->unit, out->data, in->rows, out->columns);
}

static int solve(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t n = in->rows, *rows = em__workspace_take(workspace, n, sizeof *rows);
    em__linalg plain = {.transform = 'N'};
    double sign;
    (void)job;
    if (!workspace->base)
        return 0;
    if (factor(in->data, n, n, rows, &sign))
        return 1;
    const em__complex *b = in[1].data;
    em__complex *x = out->data;
    for (int64_t c = 0; c < out->columns; c++)
        for (int64_t i = 0; i < n; i++)
            x[c * n + i] = b[c * n + rows[i]];
    substitute(&plain, in->data, true, true, x, n, out->columns);
    return !substitute(&plain, in->data, false, false, x, n, out->columns);
}

static int cholesky(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t n = in->rows;
    if (!workspace->base)
        return 0;
    const em__complex *a = in->data;
    em__complex *l = out->data;
    bool upper = job->half == EM__UPPER;
    em__matrix_fill(out, 0, 0);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++) {
            em__complex sum = upper ? conj(a[i * n + j]) : a[j * n + i];
            for (int64_t c = 0; c < j; c++)
                sum -= upper ? conj(l[i * n + c]) * l[j * n + c] : l[c * n + i] * conj(l[c * n + j]);
            if (i == j && !(creal(sum) > 0))
                return 1;
            em__complex pivot = upper ? l[j * n + j] : l[j * n + j];
            em__complex x = i == j ? sqrt(creal(sum)) : sum / pivot;
            l[upper ? i * n + j : j * n + i] = upper ? conj(x) : x;
        }
    return 0;
}

/* LAPACK's reflector for column j: beta on the diagonal, real and of the opposite sign; v in place below it. */
static em__complex reflector(em__complex *column, int64_t j, int64_t m)
{
    double below = 0;
    em__complex alpha = column[j];
    for (int64_t i = j + 1; i < m; i++)
        below = hypot(below, cabs(column[i]));
    if (below == 0 && cimag(alpha) == 0)
        return 0;
    double beta = -copysign(hypot(cabs(alpha), below), creal(alpha));
    for (int64_t i = j + 1; i < m; i++)
        column[i] /= alpha - beta;
    column[j] = beta;
    return (beta - alpha) / beta;
}

/* x := x - t v (v^H x), v from column j of the reflectors. */
static void reflect(const em__complex *v, int64_t j, int64_t m, em__complex t, em__complex *x)
{
    em__complex dot = x[j];
    for (int64_t i = j + 1; i < m; i++)
        dot += conj(v[i]) * x[i];
    x[j] -= t * dot;
    for (int64_t i = j + 1; i < m; i++)
        x[i] -= t * v[i] * dot;
}

static int qr(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t m = in->rows, n = in->columns, k = m < n ? m : n, rows = out[1].rows;
    em__complex *tau = em__workspace_take(workspace, k, sizeof *tau);
    (void)job;
    if (!workspace->base)
        return 0;
    em__complex *a = in->data, *q = out[0].data, *r = out[1].data;
    for (int64_t j = 0; j < k; j++) {
        tau[j] = reflector(a + j * m, j, m);
        for (int64_t c = j + 1; c < n; c++)
            reflect(a + j * m, j, m, conj(tau[j]), a + c * m);
    }
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < rows; i++)
            r[j * rows + i] = i <= j ? a[j * m + i] : 0;
    em__matrix_fill(&out[0], 0, 1);
    for (int64_t j = k; j-- > 0;)
        for (int64_t c = 0; c < out[0].columns; c++)
            reflect(a + j * m, j, m, tau[j], q + c * m);
    return 0;
}

static em__linalg_fn routine_of(em__op op)
{
    switch (op) {
    case EM__OP_LU: return lu;
    case EM__OP_QR: return qr;
    case EM__OP_CHOLESKY: return cholesky;
    case EM__OP_EIGH: return em__ref_eigh;
    case EM__OP_SVD: return em__ref_svd;
    case EM__OP_SOLVE: return solve;
    case EM__OP_TRIANGULAR_SOLVE: return triangular;
    default: return determinant;
    }
}

em_status em__ref_linalg(em_device *device, const em__call *call)
{
    em__linalg job;
    (void)device;
    EM__TRY(em__linalg_open(call, EM_C128, routine_of(call->op), &job));
    void *scratch = em__block_alloc(em__linalg_scratch(&job));
    if (!scratch)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int64_t i = 0; i < job.slots; i++)
        em__linalg_slot(&job, scratch, i);
    em__block_free(scratch, em__linalg_scratch(&job));
    return em__linalg_close(&job);
}
