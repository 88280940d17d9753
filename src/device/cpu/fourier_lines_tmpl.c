/*
 * Template: reading and writing lines of one real type, REAL; N(name) names what it defines. Complex numbers are pairs
 * of reals; steps count elements.
 */

/* Element j of a line as the transform sees it: 0 beyond `count`; of a half line, what mirrors it. */
static void N(element)(const em__fft_job *job, const REAL *line, int64_t j, REAL *re, REAL *im)
{
    bool mirrored = job->real_out && j > job->n / 2;
    int64_t at = mirrored ? job->n - j : j;
    *re = *im = 0;
    if (at >= job->count)
        return;
    if (job->real_in) {
        *re = line[at * job->stride];
        return;
    }
    *re = line[2 * at * job->stride];
    *im = line[2 * at * job->stride + 1];
    if (job->real_out && (at == 0 || 2 * at == job->n))
        *im = 0;
    if (mirrored)
        *im = -*im;
}

/* Lines first, first + 1, ... of `lines` into x [n][2][lanes]. */
static void N(gather)(const em__fft_job *job, int64_t first, int lines, REAL *x)
{
    int lanes = job->kernels->lanes;
    if (lines < lanes)
        memset(x, 0, (size_t)(job->n * 2 * lanes) * sizeof *x);
    for (int lane = 0; lane < lines; lane++) {
        const REAL *line =
            (const REAL *)(const void *)job->in + offset(job, first + lane, job->count) * (job->real_in ? 1 : 2);
        for (int64_t j = 0; j < job->n; j++) {
            REAL *to = x + j * 2 * lanes + lane;
            N(element)(job, line, j, to + (job->inverse ? lanes : 0), to + (job->inverse ? 0 : lanes));
        }
    }
}

/* The same of real lines, neighbours as complex numbers: x [n / 2][2][lanes]. */
static void N(gather_pairs)(const em__fft_job *job, int64_t first, int lines, REAL *x)
{
    int lanes = job->kernels->lanes;
    memset(x, 0, (size_t)(job->n * lanes) * sizeof *x);
    for (int lane = 0; lane < lines; lane++) {
        const REAL *line = (const REAL *)(const void *)job->in + offset(job, first + lane, job->count);
        for (int64_t j = 0; j < job->n && j < job->count; j++)
            x[j * lanes + lane] = line[j * job->stride];
    }
}

static void N(scatter)(const em__fft_job *job, int64_t first, int lines, const REAL *x)
{
    int lanes = job->kernels->lanes;
    const REAL scale = (REAL)job->scale;
    for (int lane = 0; lane < lines; lane++) {
        REAL *line = (REAL *)(void *)job->out + offset(job, first + lane, job->out_count) * (job->real_out ? 1 : 2);
        for (int64_t k = 0; k < job->out_count; k++) {
            const REAL *from = x + k * 2 * lanes + lane;
            REAL re = from[job->inverse ? lanes : 0] * scale, im = from[job->inverse ? 0 : lanes] * scale;
            if (job->real_out) {
                line[k * job->stride] = re;
            } else {
                line[2 * k * job->stride] = re;
                line[2 * k * job->stride + 1] = im;
            }
        }
    }
}

/* The line as n complex numbers. */
static void N(complex_line)(const em__fft_job *job, const REAL *line, REAL *z)
{
    for (int64_t j = 0; j < job->n; j++)
        N(element)(job, line, j, z + 2 * j, z + 2 * j + 1);
}

/* The line as n reals. */
static void N(real_line)(const em__fft_job *job, const REAL *line, REAL *z)
{
    for (int64_t j = 0; j < job->n; j++)
        z[j] = j < job->count ? line[j * job->stride] : 0;
}

/* The first out_count numbers of z, complex, or their real parts, to the line. */
static void N(put_line)(const em__fft_job *job, const REAL *z, REAL *line)
{
    for (int64_t k = 0; k < job->out_count && job->real_out; k++)
        line[k * job->stride] = z[2 * k];
    for (int64_t k = 0; k < job->out_count && !job->real_out; k++) {
        line[2 * k * job->stride] = z[2 * k];
        line[2 * k * job->stride + 1] = z[2 * k + 1];
    }
}

static void N(put_reals)(const em__fft_job *job, const REAL *z, REAL *line)
{
    for (int64_t k = 0; k < job->out_count; k++)
        line[k * job->stride] = z[k];
}

/*
 * z [h] is the transform of the even elements plus i times that of the odd ones. Element k of the whole line's comes
 * from z[k] and z[h - k]; so does element h - k, its partner.
 */
static void N(split)(const em__fft_job *job, const REAL *z, REAL *line)
{
    const REAL *w = job->plan->half;
    int64_t h = job->n / 2, s = 2 * job->stride;
    for (int64_t k = 0; 2 * k <= h; k++) {
        int64_t p = h - k, q = k ? p : 0;
        REAL ar = z[2 * k], ai = z[2 * k + 1], br = z[2 * q], bi = -z[2 * q + 1];
        REAL er = (REAL)0.5 * (ar + br), ei = (REAL)0.5 * (ai + bi);
        REAL dr = (REAL)0.5 * (ai - bi), di = (REAL)0.5 * (br - ar); /* -i (a - b) / 2 */
        REAL tr = w[2 * k] * dr - w[2 * k + 1] * di, ti = w[2 * k] * di + w[2 * k + 1] * dr;
        line[p * s] = er - tr;
        line[p * s + 1] = ti - ei;
        line[k * s] = er + tr;
        line[k * s + 1] = ei + ti;
    }
}

/* A line of which the first n / 2 + 1 numbers are there, made whole; of an inverse transform, the forward one's. */
static void N(mirror)(const em__fft_job *job, REAL *line)
{
    int64_t n = job->n, s = 2 * job->stride;
    for (int64_t k = 0; 2 * k <= n && job->inverse; k++) {
        line[k * s] *= (REAL)job->scale;
        line[k * s + 1] *= -(REAL)job->scale;
    }
    for (int64_t k = 1; 2 * k < n; k++) {
        line[(n - k) * s] = line[k * s];
        line[(n - k) * s + 1] = -line[k * s + 1];
    }
}

/* The opposite of split, before an inverse transform. */
static void N(join)(const em__fft_job *job, const REAL *line, REAL *z)
{
    const REAL *w = job->plan->half;
    int64_t h = job->n / 2;
    for (int64_t k = 0; 2 * k <= h; k++) {
        int64_t p = h - k;
        REAL ar, ai, br, bi;
        N(element)(job, line, k, &ar, &ai);
        N(element)(job, line, p, &br, &bi);
        REAL er = (REAL)0.5 * (ar + br), ei = (REAL)0.5 * (ai - bi);
        REAL dr = (REAL)0.5 * (ar - br), di = (REAL)0.5 * (ai + bi);
        REAL tr = w[2 * k] * dr + w[2 * k + 1] * di, ti = w[2 * k] * di - w[2 * k + 1] * dr;
        if (p < h) {
            z[2 * p] = er + ti;
            z[2 * p + 1] = tr - ei;
        }
        z[2 * k] = er - ti;
        z[2 * k + 1] = ei + tr;
    }
}

#undef N
#undef REAL
