/* Eigenvalues and singular values on the ref device, by Jacobi's rotations: slow, and as accurate as it gets. */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "device/ref/ref_linalg.h"

#define MOST_SWEEPS 100
#define NOTHING 1e-300

/* x, y := c x - conj(s) y, s x + c y for n elements at a stride. */
static void rotate(em__complex *x, em__complex *y, int64_t n, int64_t stride, double c, em__complex s)
{
    for (int64_t i = 0; i < n; i++) {
        em__complex a = x[i * stride], b = y[i * stride];
        x[i * stride] = c * a - conj(s) * b;
        y[i * stride] = s * a + c * b;
    }
}

/* The rotation that diagonalises [[p, h], [conj(h), q]]: c, and s = sine times the phase of h. */
static void rotation(double p, double q, em__complex h, double *c, em__complex *s)
{
    double size = cabs(h), zeta = (q - p) / (2 * size);
    double t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
    *c = 1 / hypot(1, t);
    *s = *c * t * (h / size);
}

/* The order that sorts n values. */
static void sort_order(const double *values, int64_t n, bool descending, int64_t *order)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        for (; at > 0 && (descending ? values[order[at - 1]] < values[i] : values[order[at - 1]] > values[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Two-sided: columns and rows are rotated until nothing is left off the diagonal. */
static bool diagonalise(em__complex *a, em__complex *v, int64_t n)
{
    for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
        int rotated = 0;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                em__complex h = a[q * n + p], s;
                double app = creal(a[p * n + p]), aqq = creal(a[q * n + q]), c;
                if (cabs(h) <= 1e-17 * sqrt(fabs(app)) * sqrt(fabs(aqq)) + NOTHING)
                    continue;
                rotation(app, aqq, h, &c, &s);
                rotate(a + p * n, a + q * n, n, 1, c, s);
                rotate(a + p, a + q, n, n, c, conj(s));
                a[q * n + p] = a[p * n + q] = 0;
                rotate(v + p * n, v + q * n, n, 1, c, s);
                rotated++;
            }
        if (!rotated)
            return true;
    }
    return false;
}

int em__ref_eigh(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t n = in->rows, *order = em__workspace_take(workspace, n, sizeof *order);
    em__matrix vectors = {.dtype = EM_C128, .rows = n, .columns = n};
    vectors.data = em__workspace_take(workspace, n * n, sizeof(em__complex));
    double *found = em__workspace_take(workspace, n, sizeof *found);
    if (!workspace->base)
        return 0;
    em__complex *a = in->data, *v = vectors.data;
    em__matrix_fill(&vectors, 0, 1);
    for (int64_t j = 0; j < n; j++) {
        a[j * n + j] = creal(a[j * n + j]);
        for (int64_t i = 0; i < j; i++)
            a[j * n + i] = conj(a[i * n + j]);
    }
    if (!diagonalise(a, v, n))
        return 1;
    for (int64_t i = 0; i < n; i++)
        found[i] = creal(a[i * n + i]);
    sort_order(found, n, false, order);
    for (int64_t i = 0; i < n; i++) {
        ((double *)out[0].data)[i] = found[order[i]];
        if (job->n_out > 1)
            memcpy((em__complex *)out[1].data + i * n, v + order[i] * n, (size_t)n * sizeof *v);
    }
    return 0;
}

static double length_of(const em__complex *x, int64_t n)
{
    double length = 0;
    for (int64_t i = 0; i < n; i++)
        length = hypot(length, cabs(x[i]));
    return length;
}

static em__complex dot(const em__complex *x, const em__complex *y, int64_t n)
{
    em__complex sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += conj(x[i]) * y[i];
    return sum;
}

/* One-sided: the columns of a (m x n, m >= n) are rotated until all are orthogonal, as far as rounding lets them: of a
 * deficient matrix some columns are nothing but rounding. v collects the rotations. */
static bool orthogonalise(em__complex *a, em__complex *v, int64_t m, int64_t n)
{
    double whole = length_of(a, m * n);
    for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
        int rotated = 0;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                em__complex h = dot(a + p * m, a + q * m, m), s;
                double pp = creal(dot(a + p * m, a + p * m, m)), qq = creal(dot(a + q * m, a + q * m, m)), c;
                if (cabs(h) <= 4e-16 * (double)(m + 4) * sqrt(pp) * sqrt(qq) + NOTHING ||
                    cabs(h) <= 1e-15 * sqrt(fmax(pp, qq)) * whole)
                    continue;
                rotation(pp, qq, h, &c, &s);
                rotate(a + p * m, a + q * m, m, 1, c, s);
                rotate(v + p * n, v + q * n, n, 1, c, s);
                rotated++;
            }
        if (!rotated)
            return true;
    }
    return false;
}

/* x less what it has along the first n columns of u; twice, so that rounding leaves nothing. */
static void remove_span(em__complex *x, const em__complex *u, int64_t m, int64_t n)
{
    for (int twice = 0; twice < 2; twice++)
        for (int64_t c = 0; c < n; c++) {
            em__complex along = dot(u + c * m, x, m);
            for (int64_t i = 0; i < m; i++)
                x[i] -= along * u[c * m + i];
        }
}

/* x to length 1; false when it is shorter than `least`. */
static bool normalise(em__complex *x, int64_t m, double least)
{
    double length = length_of(x, m);
    if (!(length > least))
        return false;
    for (int64_t i = 0; i < m; i++)
        x[i] /= length;
    return true;
}

/* Makes columns [from, to) of the m x to matrix u orthonormal to all before them, out of unit vectors. */
static void complete_basis(em__complex *u, int64_t m, int64_t from, int64_t to)
{
    for (int64_t j = from, unit = 0; j < to; unit++) {
        em__complex *x = u + j * m;
        for (int64_t i = 0; i < m; i++)
            x[i] = i == unit % m;
        remove_span(x, u, m, j);
        j += normalise(x, m, 0.5 / sqrt((double)m)); /* some unit vector is at least this far from the span */
    }
}

/* The tall problem: w = u diag(s) v^H, w of m x n, m >= n; u is m x n_u. */
static bool tall(em__complex *w, int64_t m, int64_t n, double *s, em__complex *u, int64_t n_u, em__matrix *v,
                 int64_t *order)
{
    double largest = 0;
    int64_t good = 0;
    em__matrix_fill(v, 0, 1);
    if (!orthogonalise(w, v->data, m, n))
        return false;
    for (int64_t j = 0; j < n; j++) {
        s[j] = length_of(w + j * m, m);
        largest = fmax(largest, s[j]);
    }
    sort_order(s, n, true, order);
    for (int64_t j = 0; j < n; j++) { /* columns that are nothing but rounding get new directions */
        double length = s[order[j]];
        if (length <= largest * 1e-15 * (double)m || length == 0)
            break;
        for (int64_t i = 0; i < m; i++)
            u[j * m + i] = w[order[j] * m + i] / length;
        remove_span(u + j * m, u, m, j);
        if (!normalise(u + j * m, m, 0.5))
            break;
        good++;
    }
    complete_basis(u, m, good, n_u);
    return true;
}

int em__ref_svd(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    bool wide = in->columns > in->rows, vectors = job->n_out > 1;
    int64_t m = wide ? in->columns : in->rows, n = wide ? in->rows : in->columns;
    int64_t n_u = !vectors ? n : wide ? out[2].rows : out[1].columns;
    em__complex *w = em__workspace_take(workspace, m * n, sizeof *w);
    em__complex *u = em__workspace_take(workspace, m * n_u, sizeof *u);
    em__matrix v = {.dtype = EM_C128, .rows = n, .columns = n};
    v.data = em__workspace_take(workspace, n * n, sizeof *w);
    double *s = em__workspace_take(workspace, n, sizeof *s);
    int64_t *order = em__workspace_take(workspace, n, sizeof *order);
    if (!workspace->base)
        return 0;
    const em__complex *a = in->data;
    for (int64_t j = 0; j < n; j++) /* a, or its adjoint */
        for (int64_t i = 0; i < m; i++)
            w[j * m + i] = wide ? conj(a[i * n + j]) : a[j * m + i];
    if (!tall(w, m, n, s, u, n_u, &v, order))
        return 1;
    for (int64_t j = 0; j < n; j++)
        ((double *)out[0].data)[j] = s[order[j]];
    if (!vectors)
        return 0;
    const em__complex *right = v.data;
    em__complex *left_out = out[1].data, *right_out = out[2].data;
    for (int64_t j = 0; j < n_u; j++)
        for (int64_t i = 0; i < m; i++)
            if (wide)
                right_out[i * n_u + j] = conj(u[j * m + i]);
            else
                left_out[j * m + i] = u[j * m + i];
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++)
            if (wide)
                left_out[j * n + i] = right[order[j] * n + i];
            else
                right_out[i * n + j] = conj(right[order[j] * n + i]);
    return 0;
}
