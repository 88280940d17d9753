/*
 * FFT, RFFT and IRFFT calls: short lines side by side in lanes; long ones one a worker, or each on all workers. Lines
 * that are strided, cut, filled up or real are copied to where a transform can read them. A real line of even length is
 * a complex one of half the length and a pass over its result.
 */
#include "device/cpu/fourier.h"

#include <string.h>

#include "core/error.h"
#include "device/cpu/cpu.h"
#include "device/cpu/fourier_lines.h"

#define LONG_LINE ((int64_t)1 << 15)   /* from which all workers share a line */
#define SHORT_LINE ((int64_t)1 << 11)  /* below which many lines are columns */
#define LONG_COLUMN ((int64_t)1 << 11) /* up to which lines down an inner axis are columns */

/* By the lengths, strides and number of lines alone. */
static em__fft_kind kind_of(const em__fft_job *job, em__op op)
{
    int64_t n = job->n;
    bool beside = 2 * job->stride >= job->kernels->lanes, many = 2 * job->lines >= job->kernels->lanes;
    bool even = n % 2 == 0;
    bool crowded = n >= 256 && n % 128 == 0; /* lines of these fall on the same places of a cache */
    if ((n < SHORT_LINE && many && !crowded) || n < EM__FFT_DIVIDED || (beside && n <= LONG_COLUMN)) {
        bool smooth = em__fft_greatest_prime(n) <= EM__FFT_PRIME;
        if (even && smooth && op == EM__OP_RFFT)
            return EM__FFT_REAL_COLUMN;
        if (smooth || (n <= LONG_COLUMN / 4 && many))
            return EM__FFT_COLUMN;
    }
    return even && (job->real_out || job->real_in) ? EM__FFT_REAL : EM__FFT_LINE;
}

static em__fft_job job_of(em__cpu *cpu, const em__call *call)
{
    const em__tensor *in = &call->in[0];
    int axis = (int)call->ints[0];
    em_dtype_kind kind = em_dtype_get_kind(in->spec.dtype);
    em__fft_job job = {.cpu = cpu, .in = in->data, .out = call->out.data, .n = call->ints[1]};
    job.wide = in->spec.dtype == EM_F64 || in->spec.dtype == EM_C128;
    job.real_in = kind == EM_KIND_FLOAT;
    job.real_out = call->op == EM__OP_IRFFT;
    job.inverse = job.real_out || (call->op == EM__OP_FFT && call->ints[2]);
    job.scale = job.inverse ? 1 / (double)job.n : 1;
    job.count = in->spec.dims[axis];
    job.out_count = call->out.spec.dims[axis];
    job.stride = job.lines = 1;
    for (int d = 0; d < in->spec.rank; d++) {
        job.lines *= d == axis ? 1 : in->spec.dims[d];
        job.stride *= d > axis ? in->spec.dims[d] : 1;
    }
    job.kernels = em__fft_kernels_get(job.wide);
    job.kind = kind_of(&job, call->op);
    return job;
}

static bool in_columns(em__fft_kind kind)
{
    return kind == EM__FFT_COLUMN || kind == EM__FFT_REAL_COLUMN;
}

typedef struct work {
    em__fft_job job;
    char *scratch;
} work;

static void column_chunk(void *context, int64_t chunk, int worker)
{
    const work *w = context;
    em__fft_columns(&w->job, chunk * w->job.kernels->lanes, em__pool_scratch(w->job.cpu->pool, worker));
}

/* One line a worker: its workspace comes first. */
static void line_chunk(void *context, int64_t line, int worker)
{
    const work *w = context;
    char *memory = em__pool_scratch(w->job.cpu->pool, worker);
    em__fft_line(&w->job, line, NULL, memory, memory + em__fft_line_workspace(w->job.plan));
}

static em_status run_fft(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    work w = {job_of(cpu, call), call->scratch};
    int lanes = w.job.kernels->lanes;
    EM__TRY(em__fft_plan_get(w.job.n, w.job.wide, w.job.kind, &w.job.plan));
    if (in_columns(w.job.kind))
        em__pool_run(cpu->pool, column_chunk, &w, (w.job.lines + lanes - 1) / lanes);
    else if (w.job.n < LONG_LINE)
        em__pool_run(cpu->pool, line_chunk, &w, w.job.lines);
    else
        for (int64_t i = 0; i < w.job.lines; i++)
            em__fft_line(&w.job, i, cpu->pool, NULL, w.scratch);
    em__fft_plan_release(w.job.plan);
    return EM_OK;
}

static em_status run_without_plan(em_device *device, const em__call *call)
{
    (void)device;
    return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: no memory for a plan of length %lld", em__op_get(call->op)->name,
                    (long long)call->ints[1]);
}

bool em__cpu_prepare_fourier(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if (call->op != EM__OP_FFT && call->op != EM__OP_RFFT && call->op != EM__OP_IRFFT)
        return false;
    em__fft_job job = job_of(cpu, call);
    *plan = (em__plan){.kernel = run_without_plan};
    if (em__fft_plan_get(job.n, job.wide, job.kind, &job.plan) != EM_OK)
        return true;
    plan->kernel = run_fft;
    plan->workers = in_columns(job.kind) ? em__fft_columns_bytes(&job) : em__fft_line_workspace(job.plan);
    if (!in_columns(job.kind) && job.n < LONG_LINE)
        plan->workers += em__fft_line_scratch(&job);
    else if (!in_columns(job.kind))
        plan->scratch = em__fft_line_scratch(&job);
    em__fft_plan_release(job.plan);
    return true;
}
