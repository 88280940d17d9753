/* See fourier_lines.h. */
#include "device/cpu/fourier_lines.h"

#include <string.h>

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
    return ((size_t)job->n * (job->wide ? 16 : 8) + 63) / 64 * 64;
}

size_t em__fft_columns_bytes(const em__fft_job *job)
{
    return 2 * line_bytes(job) * (size_t)job->kernels->lanes;
}

void em__fft_columns(const em__fft_job *job, int64_t first, char *memory)
{
    const em__fft_kernels *k = job->kernels;
    int64_t left = job->lines - first;
    int lines = left < k->lanes ? (int)left : k->lanes;
    size_t size = job->wide ? 16 : 8, row = size * (size_t)k->lanes;
    bool beside = first % job->stride + lines <= job->stride; /* neighbours in memory */
    char *x = memory, *y = memory + line_bytes(job) * (size_t)k->lanes;
    if (beside && !job->real_in && !job->real_out) {
        int64_t count = job->count < job->n ? job->count : job->n;
        k->load(x, job->in + (size_t)offset(job, first, job->count) * size, job->stride, count, lines, job->inverse);
        memset(x + (size_t)count * row, 0, (size_t)(job->n - count) * row);
    } else {
        CALL(gather, job, first, lines, (void *)x);
    }
    void *done = k->column(&job->plan->first, x, y);
    if (beside && !job->real_out)
        k->store(job->out + (size_t)offset(job, first, job->out_count) * size, job->stride, done, job->out_count, lines,
                 job->inverse, job->scale);
    else
        CALL(scatter, job, first, lines, done);
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
