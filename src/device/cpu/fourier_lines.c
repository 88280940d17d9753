/* See fourier_lines.h. */
#include "device/cpu/fourier_lines.h"

#include <string.h>

#include "core/whole.h"

/* Where a line of `length` elements begins. */
static int64_t offset(const em__fft_job *job, int64_t line, int64_t length)
{
    return line / job->stride * length * job->stride + line % job->stride;
}

#define N(name) name##_f32
#define REAL float
#include "device/cpu/fourier_lines_tmpl.c"

#define N(name) name##_f64
#define REAL double
#include "device/cpu/fourier_lines_tmpl.c"

/* The function of the job's real type. */
#define CALL(name, ...) (job->wide ? name##_f64(__VA_ARGS__) : name##_f32(__VA_ARGS__))

static size_t line_bytes(const em__fft_job *job)
{
    return em__align64((size_t)job->n * (job->wide ? 16 : 8));
}

/* Rows of [2][lanes] that a block of columns needs. */
static size_t block_bytes(const em__fft_job *job)
{
    int64_t smooth = job->plan->shape.smooth, rows = smooth ? smooth : job->n + 1;
    return em__align64((size_t)rows * (job->wide ? 16 : 8) * (size_t)job->kernels->lanes);
}

size_t em__fft_columns_bytes(const em__fft_job *job)
{
    return 2 * block_bytes(job);
}

/* Lines as the transform takes them into x. */
static void take_columns(const em__fft_job *job, int64_t first, int lines, char *x)
{
    const em__fft_kernels *k = job->kernels;
    size_t size = job->wide ? 16 : 8, row = size * (size_t)k->lanes;
    bool beside = first % job->stride + lines <= job->stride; /* neighbours in memory */
    bool plain = !job->real_in && !job->real_out;
    int64_t count = job->count < job->n ? job->count : job->n;
    const char *in = job->in + (size_t)offset(job, first, job->count) * size / (job->real_in ? 2 : 1);
    if (job->kind == EM__FFT_REAL_COLUMN && job->stride == 1 && job->count == job->n)
        k->load_lines(x, in, job->n / 2, job->n / 2, lines, false);
    else if (job->kind == EM__FFT_REAL_COLUMN)
        CALL(gather_pairs, job, first, lines, (void *)x);
    else if (plain && job->stride == 1)
        k->load_lines(x, in, job->count, count, lines, job->inverse);
    else if (plain && beside)
        k->load(x, in, job->stride, count, lines, job->inverse);
    else
        CALL(gather, job, first, lines, (void *)x);
    if (plain && (job->stride == 1 || beside))
        memset(x + (size_t)count * row, 0, (size_t)(job->n - count) * row);
}

static void give_columns(const em__fft_job *job, int64_t first, int lines, void *done)
{
    const em__fft_kernels *k = job->kernels;
    size_t size = job->wide ? 16 : 8;
    char *out = job->out + (size_t)offset(job, first, job->out_count) * size / (job->real_out ? 2 : 1);
    if (!job->real_out && job->stride == 1)
        k->store_lines(out, job->out_count, done, job->out_count, lines, job->inverse, job->scale);
    else if (!job->real_out && first % job->stride + lines <= job->stride)
        k->store(out, job->stride, done, job->out_count, lines, job->inverse, job->scale);
    else
        CALL(scatter, job, first, lines, done);
}

/* Columns of a length with a great prime: fourier_run.c's convolution, line by lane. The result is in x or y. */
static void *convolve_columns(const em__fft_job *job, char *x, char *y)
{
    const em__fft_kernels *k = job->kernels;
    const em__fft_plan *plan = job->plan;
    int64_t n = job->n, m = plan->shape.smooth;
    size_t row = (job->wide ? 16 : 8) * (size_t)k->lanes;
    k->multiply_rows(x, plan->chirp, n, false, false);
    memset(x + (size_t)n * row, 0, (size_t)(m - n) * row);
    void *done = k->column(&plan->part->first, x, y);
    k->multiply_rows(done, plan->kernel, m, false, true);
    done = k->column(&plan->part->first, done, done == x ? y : x);
    k->multiply_rows(done, plan->chirp, n, true, false);
    return done;
}

void em__fft_columns(const em__fft_job *job, int64_t first, char *memory)
{
    const em__fft_kernels *k = job->kernels;
    int64_t left = job->lines - first;
    int lines = left < k->lanes ? (int)left : k->lanes;
    char *x = memory, *y = x + block_bytes(job);
    void *done;
    take_columns(job, first, lines, x);
    if (job->kind == EM__FFT_REAL_COLUMN) {
        char *half = k->column(&job->plan->part->first, x, y);
        done = half == x ? y : x;
        k->split_rows(done, half, job->plan->half, job->n / 2);
    } else if (job->plan->shape.smooth) {
        done = convolve_columns(job, x, y);
    } else {
        done = k->column(&job->plan->first, x, y);
    }
    give_columns(job, first, lines, done);
}

size_t em__fft_line_workspace(const em__fft_plan *plan)
{
    return em__fft_workspace(plan->kind == EM__FFT_REAL ? plan->part : plan);
}

size_t em__fft_line_scratch(const em__fft_job *job)
{
    return 2 * line_bytes(job) + em__fft_scratch(job->kind == EM__FFT_REAL ? job->plan->part : job->plan);
}

/* Real lines of even length, there and back. */
static void real_line(const em__fft_job *job, const void *in, void *out, char *z, const em__fft_place *place)
{
    char *y = z + line_bytes(job);
    const em__fft_plan *half = job->plan->part;
    if (job->real_out) {
        void *to = job->stride == 1 ? out : y;
        CALL(join, job, in, (void *)z);
        em__fft_run(half, z, to, true, 2 * job->scale, place);
        if (to != out)
            CALL(put_reals, job, to, out);
        return;
    }
    if (job->stride != 1 || job->count < job->n) {
        CALL(real_line, job, in, (void *)z);
        in = z;
    }
    em__fft_run(half, in, y, false, 1, place);
    CALL(split, job, (void *)y, out);
    if (job->out_count == job->n && job->n > 2)
        CALL(mirror, job, out);
}

void em__fft_line(const em__fft_job *job, int64_t line, em__pool *pool, void *workspace, char *scratch)
{
    size_t size = job->wide ? 8 : 4;
    const void *in = job->in + (size_t)offset(job, line, job->count) * size * (job->real_in ? 1 : 2);
    void *out = job->out + (size_t)offset(job, line, job->out_count) * size * (job->real_out ? 1 : 2);
    char *z = scratch, *y = scratch + line_bytes(job);
    em__fft_place place = {pool, workspace, y + line_bytes(job)};
    if (job->kind == EM__FFT_REAL) {
        real_line(job, in, out, z, &place);
        return;
    }
    if (job->real_in || job->real_out || job->stride != 1 || job->count < job->n) {
        CALL(complex_line, job, in, (void *)z);
        in = z;
    }
    bool direct = !job->real_out && job->stride == 1 && job->out_count == job->n;
    em__fft_run(job->plan, in, direct ? out : y, job->inverse, job->scale, &place);
    if (!direct)
        CALL(put_line, job, (void *)y, out);
}
