/*
 * LAPACK's routines in one precision, as device/linalg.h wants them. Given by lapack.c: T and R, the elements and their
 * real parts; PREFIX, LAPACK's letter; ORTHOGONAL, SYMMETRIC, whose names depend on COMPLEX.
 */
#define NAME(name) PASTE(PREFIX, name)
#define CALL(name) lapack.NAME(name)
#define COLUMNS LAPACK_COL_MAJOR

static lapack_int NAME(lead)(const em__matrix *m)
{
    return m->rows > 1 ? (lapack_int)m->rows : 1;
}

static int64_t NAME(shorter)(const em__matrix *m)
{
    return m->rows < m->columns ? m->rows : m->columns;
}

static int NAME(factor)(em__matrix *a, lapack_int *pivots)
{
    return CALL(getrf)(COLUMNS, (lapack_int)a->rows, (lapack_int)a->columns, a->data, NAME(lead)(a), pivots);
}

static int NAME(lu)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t m = in->rows, n = in->columns, k = NAME(shorter)(in);
    lapack_int *pivots = em__workspace_take(workspace, k, sizeof *pivots);
    int64_t *rows = em__workspace_take(workspace, m, sizeof *rows);
    (void)job;
    if (!workspace->base)
        return 0;
    NAME(factor)(in, pivots); /* a zero pivot is no failure here */
    permutation_of(pivots, k, rows, m);
    T *a = in->data, *p = out[0].data, *l = out[1].data, *u = out[2].data;
    memset(p, 0, (size_t)(m * m) * sizeof *p);
    for (int64_t i = 0; i < m; i++)
        p[i * m + rows[i]] = 1;
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < m; i++)
            l[j * m + i] = i > j ? a[j * m + i] : i == j ? 1 : 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < k; i++)
            u[j * k + i] = i <= j ? a[j * m + i] : 0;
    return 0;
}

static int NAME(determinant)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t n = in->rows;
    lapack_int *pivots = em__workspace_take(workspace, n, sizeof *pivots);
    (void)job;
    if (!workspace->base)
        return 0;
    bool singular = NAME(factor)(in, pivots) > 0;
    T *a = in->data, product = 1;
    for (int64_t i = 0; i < n; i++)
        product *= pivots[i] != i + 1 ? -a[i * n + i] : a[i * n + i];
    *(T *)out->data = singular ? 0 : product;
    return 0;
}

static int NAME(solve)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    lapack_int n = (lapack_int)in->rows;
    lapack_int *pivots = em__workspace_take(workspace, n, sizeof *pivots);
    (void)job;
    if (!workspace->base)
        return 0;
    if (NAME(factor)(in, pivots) != 0)
        return 1;
    memcpy(out->data, in[1].data, (size_t)(in[1].rows * in[1].columns) * sizeof(T));
    return CALL(getrs)(COLUMNS, 'N', n, (lapack_int)out->columns, in->data, NAME(lead)(in), pivots, out->data,
                       NAME(lead)(out));
}

static int NAME(triangular)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    if (!workspace->base)
        return 0;
    memcpy(out->data, in[1].data, (size_t)(in[1].rows * in[1].columns) * sizeof(T));
    return CALL(trtrs)(COLUMNS, job->half == EM__UPPER ? 'U' : 'L', job->transform, job->unit ? 'U' : 'N',
                       (lapack_int)in->rows, (lapack_int)out->columns, in->data, NAME(lead)(in), out->data,
                       NAME(lead)(out));
}

static int NAME(cholesky)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    if (!workspace->base)
        return 0;
    memcpy(out->data, in->data, (size_t)(in->rows * in->rows) * sizeof(T));
    return CALL(potrf)(COLUMNS, job->half == EM__UPPER ? 'U' : 'L', (lapack_int)in->rows, out->data, NAME(lead)(out));
}

static int NAME(qr)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    int64_t m = in->rows, n = in->columns, k = NAME(shorter)(in), q = out[0].columns;
    lapack_int first, second, length;
    T asked[2];
    CALL(geqrf)(COLUMNS, (lapack_int)m, (lapack_int)n, in->data, NAME(lead)(in), NULL, &asked[0], -1);
    ORTHOGONAL(COLUMNS, (lapack_int)m, (lapack_int)q, (lapack_int)k, NULL, NAME(lead)(in), NULL, &asked[1], -1);
    if (!work_length((double)(R)asked[0], &first) || !work_length((double)(R)asked[1], &second))
        return -1;
    length = first > second ? first : second;
    T *tau = em__workspace_take(workspace, k, sizeof *tau), *work = em__workspace_take(workspace, length, sizeof *work);
    (void)job;
    if (!workspace->base)
        return 0;
    int bad = CALL(geqrf)(COLUMNS, (lapack_int)m, (lapack_int)n, in->data, NAME(lead)(in), tau, work, length);
    T *a = in->data, *r = out[1].data;
    int64_t rows = out[1].rows;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < rows; i++)
            r[j * rows + i] = i <= j ? a[j * m + i] : 0;
    memcpy(out[0].data, a, (size_t)(m * (q < n ? q : n)) * sizeof(T));
    bad |= ORTHOGONAL(COLUMNS, (lapack_int)m, (lapack_int)q, (lapack_int)k, out[0].data, NAME(lead)(out), tau, work,
                      length);
    return bad;
}

static int NAME(eigh)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    lapack_int n = (lapack_int)in->rows, length, n_ints, ints_asked;
    char mode = job->n_out > 1 ? 'V' : 'N';
    T asked;
#if COMPLEX
    R reals_asked;
    lapack_int n_reals;
    SYMMETRIC(COLUMNS, mode, 'L', n, NULL, NAME(lead)(in), NULL, &asked, -1, &reals_asked, -1, &ints_asked, -1);
    if (!work_length((double)reals_asked, &n_reals))
        return -1;
    R *reals = em__workspace_take(workspace, n_reals, sizeof *reals);
#else
    SYMMETRIC(COLUMNS, mode, 'L', n, NULL, NAME(lead)(in), NULL, &asked, -1, &ints_asked, -1);
#endif
    if (!work_length((double)(R)asked, &length) || !work_length((double)ints_asked, &n_ints))
        return -1;
    T *work = em__workspace_take(workspace, length, sizeof *work);
    lapack_int *ints = em__workspace_take(workspace, n_ints, sizeof *ints);
    if (!workspace->base)
        return 0;
    T *a = in->data; /* becomes the vectors */
    if (job->n_out > 1)
        a = memcpy(out[1].data, in->data, (size_t)n * (size_t)n * sizeof(T));
#if COMPLEX
    return SYMMETRIC(COLUMNS, mode, 'L', n, a, NAME(lead)(in), out[0].data, work, length, reals, n_reals, ints, n_ints);
#else
    return SYMMETRIC(COLUMNS, mode, 'L', n, a, NAME(lead)(in), out[0].data, work, length, ints, n_ints);
#endif
}

#if COMPLEX
/* What the manual of cgesdd asks for, and for values alone as much as its older versions used. */
static int64_t NAME(svd_reals)(int64_t longer, int64_t k, bool vectors)
{
    int64_t square = 5 * k * k + 5 * k, mixed = 2 * longer * k + 2 * k * k + k;
    return !vectors ? 7 * k : square > mixed ? square : mixed;
}
#endif

static int NAME(svd)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    lapack_int m = (lapack_int)in->rows, n = (lapack_int)in->columns, length;
    int64_t k = NAME(shorter)(in);
    bool vectors = job->n_out > 1;
    char mode = !vectors ? 'N' : job->ints[0] == EM__SVD_FULL ? 'A' : 'S';
    lapack_int lead_u = vectors ? NAME(lead)(&out[1]) : 1, lead_vt = vectors ? NAME(lead)(&out[2]) : 1;
    T *u = vectors ? out[1].data : NULL, *vt = vectors ? out[2].data : NULL, asked;
    lapack_int *ints = em__workspace_take(workspace, 8 * k, sizeof *ints);
#if COMPLEX
    R *reals = em__workspace_take(workspace, NAME(svd_reals)(m > n ? m : n, k, vectors), sizeof *reals);
#define REALS reals,
#else
#define REALS
#endif
    CALL(gesdd)
    (COLUMNS, mode, m, n, in->data, NAME(lead)(in), out->data, u, lead_u, vt, lead_vt, &asked, -1, REALS ints);
    if (!work_length((double)(R)asked, &length))
        return -1;
    T *work = em__workspace_take(workspace, length, sizeof *work);
    if (!workspace->base)
        return 0;
    return CALL(gesdd)(COLUMNS, mode, m, n, in->data, NAME(lead)(in), out->data, u, lead_u, vt, lead_vt, work, length,
                       REALS ints);
#undef REALS
}

#undef NAME
#undef CALL
#undef COLUMNS
#undef T
#undef R
#undef PREFIX
#undef ORTHOGONAL
#undef SYMMETRIC
#undef COMPLEX
