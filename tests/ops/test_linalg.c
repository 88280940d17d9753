/*
 * Decompositions by what defines them: factors multiply to the operand, are orthonormal, triangular, sorted; on both
 * devices, in four dtypes, of matrices that are easy, deficient, clustered, huge, tiny, and strided. And the same bits
 * whatever the threads and the batch.
 */
#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/linalg.h>
#include <emily/ops.h>

#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/sample.h"

typedef double _Complex number;

static char where[128]; /* the case at hand */

/* Row-major on the host. */
typedef struct host {
    int64_t rows, columns;
    number *x;
} host;

static host host_new(int64_t rows, int64_t columns)
{
    return (host){rows, columns, calloc((size_t)(rows * columns) + 1, sizeof(number))};
}

static number at(em_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case EM_F32: return (double)((const float *)data)[i];
    case EM_F64: return ((const double *)data)[i];
    case EM_C64: return (double)((const float *)data)[2 * i] + I * (double)((const float *)data)[2 * i + 1];
    default: return ((const double *)data)[2 * i] + I * ((const double *)data)[2 * i + 1];
    }
}

/* Matrix `index` of an array's batch; a vector is a column. */
static host host_of(em_array *array, int64_t index, int axes)
{
    em_dims dims = em_array_dims(array);
    host h = host_new(dims.dims[dims.rank - axes], axes == 2 ? dims.dims[dims.rank - 1] : 1);
    const void *data = em_array_data(array);
    if (!data)
        fail_msg("%s: %s", where, em_last_error());
    for (int64_t i = 0; i < h.rows * h.columns; i++)
        h.x[i] = at(em_array_dtype(array), data, index * h.rows * h.columns + i);
    return h;
}

static host product(host a, host b)
{
    host c = host_new(a.rows, b.columns);
    assert_int_equal(a.columns, b.rows);
    for (int64_t i = 0; i < a.rows; i++)
        for (int64_t k = 0; k < a.columns; k++)
            for (int64_t j = 0; j < b.columns; j++)
                c.x[i * c.columns + j] += a.x[i * a.columns + k] * b.x[k * b.columns + j];
    return c;
}

static host adjoint(host a)
{
    host b = host_new(a.columns, a.rows);
    for (int64_t i = 0; i < a.rows; i++)
        for (int64_t j = 0; j < a.columns; j++)
            b.x[j * b.columns + i] = conj(a.x[i * a.columns + j]);
    return b;
}

static host diagonal(host values, int64_t rows, int64_t columns)
{
    host d = host_new(rows, columns);
    for (int64_t i = 0; i < values.rows; i++)
        d.x[i * columns + i] = values.x[i];
    return d;
}

static double size_of(host a)
{
    double most = 0;
    for (int64_t i = 0; i < a.rows * a.columns; i++)
        most = fmax(most, cabs(a.x[i]));
    return most;
}

static void expect_near(host got, host want, double allowed, const char *what)
{
    assert_int_equal(got.rows, want.rows);
    assert_int_equal(got.columns, want.columns);
    for (int64_t i = 0; i < got.rows * got.columns; i++)
        if (!(cabs(got.x[i] - want.x[i]) <= allowed))
            fail_msg("%s: %s: element %lld is off by %g, allowed %g", where, what, (long long)i,
                     cabs(got.x[i] - want.x[i]), allowed);
}

static void expect_identity(host a, double allowed, const char *what)
{
    host one = host_new(a.rows, a.columns);
    for (int64_t i = 0; i < a.rows; i++)
        one.x[i * a.columns + i] = 1;
    expect_near(a, one, allowed, what);
    free(one.x);
}

static void expect_triangle(host a, bool upper, const char *what)
{
    for (int64_t i = 0; i < a.rows; i++)
        for (int64_t j = 0; j < a.columns; j++)
            if ((upper ? i > j : j > i) && a.x[i * a.columns + j] != 0)
                fail_msg("%s: %s: (%lld, %lld) is not 0", where, what, (long long)i, (long long)j);
}

static double epsilon(em_dtype dtype)
{
    return dtype == EM_F32 || dtype == EM_C64 ? 0x1p-23 : 0x1p-52;
}

/* ---- matrices ---- */

/* What a check made on the host, up to the first that is NULL. */
static void drop(host *const *all)
{
    for (; *all; all++)
        free((*all)->x);
}

typedef enum kind { NORMAL, ZERO, IDENTITY, RANK_ONE, CLUSTERED, HUGE_SCALE, TINY_SCALE, DIAGONAL, KINDS } kind;

static const char *const kind_names[] = {"normal",    "zero",       "identity",   "rank one",
                                         "clustered", "huge scale", "tiny scale", "diagonal"};

static double uniform(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(int)(*state >> 8) / 8388608.0 - 1.0;
}

/* A batch of two matrices of the kind, in scope `s`. */
static em_array *make(em_scope *s, em_dtype dtype, kind k, int64_t m, int64_t n, unsigned seed)
{
    size_t count = (size_t)(2 * m * n);
    double *values = calloc(2 * count + 2, sizeof *values);
    bool wide = dtype == EM_C64 || dtype == EM_C128;
    double scale = k == HUGE_SCALE ? 1e15 : k == TINY_SCALE ? 1e-15 : 1;
    for (int64_t b = 0; b < 2; b++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                double re = uniform(&seed) * scale, im = wide ? uniform(&seed) * scale : 0;
                if (k == ZERO || ((k == IDENTITY || k == DIAGONAL) && i != j))
                    re = im = 0;
                if (k == IDENTITY || k == DIAGONAL)
                    im = 0, re = i != j ? 0 : k == IDENTITY ? 1 : (double)(i % 3) - 1;
                if (k == RANK_ONE)
                    im = 0, re = (double)((i + 1 + b) * (2 * j - 3));
                if (k == CLUSTERED)
                    im = 0, re = i == j ? 2 : 1e-9 * re;
                size_t at_ = (size_t)((b * m + i) * n + j);
                values[wide ? 2 * at_ : at_] = re;
                if (wide)
                    values[2 * at_ + 1] = im;
            }
    em_array *a = em_constant(s, wide ? EM_C128 : EM_F64, values, em_shape(2, m, n));
    free(values);
    a = em_cast(s, a, dtype);
    assert_non_null(a);
    return a;
}

typedef void (*check_fn)(em_scope *s, em_array *a, int64_t m, int64_t n, double eps);

static void check_lu(em_scope *s, em_array *a, int64_t m, int64_t n, double eps)
{
    em_array *p, *l, *u;
    EXPECT_OK(em_lu(s, a, &p, &l, &u));
    for (int64_t b = 0; b < 2; b++) {
        host ha = host_of(a, b, 2), hp = host_of(p, b, 2), hl = host_of(l, b, 2), hu = host_of(u, b, 2);
        expect_triangle(hl, false, "l");
        expect_triangle(hu, true, "u");
        for (int64_t i = 0; i < hl.columns; i++)
            assert_true(hl.x[i * hl.columns + i] == 1);
        host pt = adjoint(hp), pp = product(hp, pt), lu = product(hl, hu), plu = product(hp, lu);
        expect_identity(pp, 0, "p p^T");
        expect_near(plu, ha, 8 * eps * (double)(m + n) * size_of(ha), "p l u");
        drop((host *const[]){&ha, &hp, &hl, &hu, &pt, &pp, &lu, &plu, NULL});
    }
}

static void check_qr(em_scope *s, em_array *a, int64_t m, int64_t n, double eps)
{
    for (int complete = 0; complete < 2; complete++) {
        em_array *q, *r;
        EXPECT_OK(em_qr(s, a, complete, &q, &r));
        for (int64_t b = 0; b < 2; b++) {
            host ha = host_of(a, b, 2), hq = host_of(q, b, 2), hr = host_of(r, b, 2);
            host qh = adjoint(hq), qq = product(qh, hq), back = product(hq, hr);
            expect_triangle(hr, true, "r");
            for (int64_t i = 0; i < hr.rows && i < n; i++)
                assert_true(cimag(hr.x[i * n + i]) == 0);
            expect_identity(qq, 8 * eps * (double)(m + n), "q^H q");
            expect_near(back, ha, 8 * eps * (double)(m + n) * size_of(ha), "q r");
            drop((host *const[]){&ha, &hq, &hr, &qh, &qq, &back, NULL});
        }
    }
}

static void check_svd(em_scope *s, em_array *a, int64_t m, int64_t n, double eps)
{
    int64_t k = m < n ? m : n;
    for (int full = 0; full < 2; full++) {
        em_array *u, *values, *vt, *alone;
        EXPECT_OK(em_svd(s, a, full, &u, &values, &vt));
        EXPECT_OK(em_svd(s, a, full, NULL, &alone, NULL));
        for (int64_t b = 0; b < 2; b++) {
            host ha = host_of(a, b, 2), hu = host_of(u, b, 2), hs = host_of(values, b, 1), hv = host_of(vt, b, 2);
            host ho = host_of(alone, b, 1), uh = adjoint(hu), uu = product(uh, hu), vh = adjoint(hv);
            host vv = product(hv, vh), d = diagonal(hs, full ? m : k, full ? n : k), us = product(hu, d);
            host back = product(us, hv);
            double norm = size_of(hs);
            for (int64_t i = 0; i < k; i++)
                assert_true(creal(hs.x[i]) >= 0 && (i == 0 || creal(hs.x[i]) <= creal(hs.x[i - 1])));
            expect_identity(uu, 16 * eps * (double)(m + n), "u^H u");
            expect_identity(vv, 16 * eps * (double)(m + n), "vt vt^H");
            expect_near(back, ha, 16 * eps * (double)(m + n) * norm, "u s vt");
            expect_near(ho, hs, 16 * eps * (double)(m + n) * norm, "values alone");
            drop((host *const[]){&ha, &hu, &hs, &hv, &ho, &uh, &uu, &vh, &vv, &d, &us, &back, NULL});
        }
    }
}

/* The lower triangle of b, mirrored, is what eigh sees; its diagonal is real. */
static void make_hermitian(host a)
{
    for (int64_t i = 0; i < a.rows; i++) {
        a.x[i * a.columns + i] = creal(a.x[i * a.columns + i]);
        for (int64_t j = 0; j < i; j++)
            a.x[j * a.columns + i] = conj(a.x[i * a.columns + j]);
    }
}

static void check_eigh(em_scope *s, em_array *a, int64_t m, int64_t n, double eps)
{
    em_array *values, *vectors, *alone;
    if (m != n)
        return;
    EXPECT_OK(em_eigh(s, a, &values, &vectors));
    EXPECT_OK(em_eigh(s, a, &alone, NULL));
    for (int64_t b = 0; b < 2; b++) {
        host ha = host_of(a, b, 2), hw = host_of(values, b, 1), hv = host_of(vectors, b, 2), ho = host_of(alone, b, 1);
        make_hermitian(ha);
        host vh = adjoint(hv), vv = product(vh, hv), d = diagonal(hw, n, n), av = product(ha, hv), vd = product(hv, d);
        double norm = size_of(ha) * (double)n;
        for (int64_t i = 1; i < n; i++)
            assert_true(creal(hw.x[i]) >= creal(hw.x[i - 1]));
        expect_identity(vv, 16 * eps * (double)n, "v^H v");
        expect_near(av, vd, 16 * eps * norm, "a v = v w");
        expect_near(ho, hw, 16 * eps * norm, "values alone");
        drop((host *const[]){&ha, &hw, &hv, &ho, &vh, &vv, &d, &av, &vd, NULL});
    }
}

/* x of (a + 4 n I) x = b, by its residual; by the inverse too. */
static void check_solve(em_scope *s, em_array *a, int64_t m, int64_t n, double eps)
{
    if (m != n || n == 0)
        return;
    host first = host_of(a, 0, 2);
    double scale = fmax(size_of(first), 1e-15);
    free(first.x);
    em_array *shift =
        em_cast(s, em_equal(s, em_iota(s, EM_S32, em_shape(n, 1), 0), em_iota(s, EM_S32, em_shape(1, n), 1)),
                em_array_dtype(a));
    em_array *scaled = em_cast(s, em_mul(s, shift, em_scalar(s, EM_F64, 4 * (double)n * scale)), em_array_dtype(a));
    em_array *good = em_cast(s, em_add(s, a, scaled), em_array_dtype(a)), *x = em_solve(s, good, a);
    em_array *inverse = em_inverse(s, good);
    EXPECT_OK(em_eval(s, x));
    for (int64_t b = 0; b < 2; b++) {
        host hg = host_of(good, b, 2), ha = host_of(a, b, 2), hx = host_of(x, b, 2), hi = host_of(inverse, b, 2);
        host gx = product(hg, hx), gi = product(hg, hi);
        expect_near(gx, ha, 64 * eps * (double)n * scale, "a x = b");
        expect_identity(gi, 64 * eps * (double)n, "a a^-1");
        drop((host *const[]){&hg, &ha, &hx, &hi, &gx, &gi, NULL});
    }
}

static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_C64, EM_C128};

static void check_all(em_device *device, check_fn check)
{
    static const int64_t sizes[][2] = {{1, 1}, {2, 2},   {3, 5},  {5, 3},  {7, 7},   {1, 6},
                                       {6, 1}, {24, 24}, {9, 30}, {30, 9}, {66, 70}, {70, 66}};
    for (size_t d = 0; d < 4; d++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int k = 0; k < KINDS; k++) {
                if (!sample_takes())
                    continue;
                em_scope *s = em_scope_new(device);
                int64_t m = sizes[i][0], n = sizes[i][1];
                em_array *a = make(s, dtypes[d], (kind)k, m, n, (unsigned)(i * 100 + d));
                snprintf(where, sizeof where, "%s %s %s %lld x %lld", em_device_name(device), em_dtype_name(dtypes[d]),
                         kind_names[k], (long long)m, (long long)n);
                check(s, a, m, n, epsilon(dtypes[d]));
                em_scope_free(s);
            }
}

#define ON_EACH(name)                                                                                                  \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        for (em_device *const *device = devices_under_test(); *device; device++)                                       \
            check_all(*device, check_##name);                                                                          \
    }
ON_EACH(lu)
ON_EACH(qr)
ON_EACH(svd)
ON_EACH(eigh)
ON_EACH(solve)

/* ---- bits ---- */

#define BATCH 37

/* All results of all ops over a batch, one after another in memory. */
typedef struct results {
    em_array *arrays[16];
    int n;
} results;

static results everything(em_scope *s, em_array *a)
{
    results r = {.n = 13};
    em_array **x = r.arrays;
    em_lu(s, a, &x[0], &x[1], &x[2]);
    em_qr(s, a, false, &x[3], &x[4]);
    em_svd(s, a, true, &x[5], &x[6], &x[7]);
    em_eigh(s, a, &x[8], &x[9]);
    x[10] = em_solve(s, a, x[3]);
    x[11] = em_determinant(s, a);
    x[12] = em_triangular_solve(s, a, x[3], EM_TRIANGLE_UPPER | EM_TRIANGLE_RIGHT | EM_TRIANGLE_UNIT);
    EXPECT_OK(em_scope_status(s));
    return r;
}

static em_array *batch_of(em_scope *s, em_dtype dtype, int64_t n)
{
    double *values = calloc((size_t)(BATCH * n * n), sizeof *values);
    unsigned seed = 77;
    for (int64_t i = 0; i < BATCH * n * n; i++)
        values[i] = uniform(&seed);
    em_array *a = em_cast(s, em_constant(s, EM_F64, values, em_shape(BATCH, n, n)), dtype);
    free(values);
    return a;
}

static void test_threads_and_batches_change_no_bit(void **state)
{
    (void)state;
    for (int64_t n = 5, large = default_has_own_memory() ? 75 : 40; n <= large; n += 35)
        for (size_t d = 0; d < 4; d++) {
            if (!sample_takes())
                continue;
            em_scope *s = em_scope_new(NULL);
            em_array *a = batch_of(s, dtypes[d], n);
            results first = everything(s, a);
            for (int i = 0; i < first.n; i++)
                EXPECT_OK(em_eval(s, first.arrays[i]));
            for (int threads = 1; threads <= 5; threads += 2) {
                EXPECT_OK(em_device_set_threads(em_device_default(), threads));
                results again = everything(s, a);
                for (int i = 0; i < first.n; i++)
                    EXPECT_SAME_BITS(EM_U8, em_array_data(again.arrays[i]), em_array_data(first.arrays[i]),
                                     em_array_bytes(first.arrays[i]));
            }
            EXPECT_OK(em_device_set_threads(em_device_default(), 0));
            for (int64_t b = 0; b < BATCH; b += 9) { /* alone, and through strides */
                int64_t start[] = {BATCH - 1 - b, 0, 0}, stop[] = {BATCH - b, n, n};
                em_array *turned = em_transpose(s, em_reverse(s, a, EM_AXES(0, 1)), EM_AXES(0, 2, 1));
                em_array *same = em_reverse(
                    s, em_transpose(s, em_slice(s, turned, start, stop, NULL), EM_AXES(0, 2, 1)), EM_AXES(1));
                results alone = everything(s, same);
                for (int i = 0; i < first.n; i++) {
                    size_t bytes = em_array_bytes(first.arrays[i]) / BATCH;
                    EXPECT_SAME_BITS(EM_U8, em_array_data(alone.arrays[i]),
                                     (const char *)em_array_data(first.arrays[i]) + (size_t)b * bytes, bytes);
                }
            }
            em_scope_free(s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lu),    cmocka_unit_test(test_qr),
        cmocka_unit_test(test_svd),   cmocka_unit_test(test_eigh),
        cmocka_unit_test(test_solve), cmocka_unit_test(test_threads_and_batches_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
