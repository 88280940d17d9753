/* Marches: which calls of a program are jobs that follow one another (step.cu reads them), and their run. */
#include "device/cuda/merge.h"
#include "device/cuda/step.cuh"

enum { FEWEST = 3 }; /* jobs */

bool em__march_desk_make(em__cuda *cuda)
{
    if (cuda->desk)
        return true;
    em__march_desk *desk = NULL;
    if (cudaMalloc((void **)&desk, sizeof *desk) == cudaSuccess &&
        cudaMemsetAsync(desk, 0, sizeof *desk, cuda->stream) == cudaSuccess &&
        cudaMemsetAsync(desk->mail, 0xff, sizeof desk->mail, cuda->stream) == cudaSuccess) { /* EM_MARCH_NONE */
        cuda->desk = desk;
        return true;
    }
    cudaGetLastError();
    cudaFree(desk);
    return false;
}

static const void *result_of(const em__march_job *job)
{
    return job->attends ? job->attend.out : job->gemv.out[0];
}

/* How many jobs back the last one is that leaves its result there; 0: none. */
static int find_result(const em__march *march, const void *data)
{
    for (int i = march->n - 1; i >= 0 && data; i--)
        if (result_of(&march->jobs[i]) == data)
            return march->n - i;
    return 0;
}

static bool append(const em__cuda *cuda, em__march *march, em__march_job *job)
{
    const int x = job->attends ? 1 : find_result(march, job->gemv.x);
    const int residual = job->attends ? 0 : find_result(march, job->gemv.residual);
    if (x > 1 || residual > EM_MARCH_BACK)
        return false;
    if (!job->attends && (find_result(march, job->gemv.bias) || find_result(march, job->gemv.gain)))
        return false;
    job->x_from = (int8_t)x;
    job->residual_from = (int8_t)residual;
    if (!em__march_follows(cuda, march, job))
        return false;
    if (x)
        march->jobs[march->n - 1].heard = true;
    if (residual)
        march->jobs[march->n - residual].heard = true;
    march->jobs[march->n++] = *job;
    return true;
}

/* The jobs of the next stretch, if they can follow: how many calls that is. */
static size_t add_stretch(const em__cuda *cuda, em__march *march, em__call *const *calls, size_t n)
{
    em__march_job jobs[2];
    int count;
    const int before = march->n;
    const size_t taken = em__step_read(calls, n, jobs, &count);
    if (!taken || (count == 2 && !em__march_takes(cuda, &jobs[1].attend, &jobs[0].gemv)))
        return 0;
    if (count == 2)
        jobs[0].gemv.out[0] = NULL; /* q, k and v side by side: no call's memory holds them, and they go by mail */
    for (int i = 0; i < count; i++)
        if (!append(cuda, march, &jobs[i])) {
            march->n = before;
            return 0;
        }
    return taken;
}

static em_status run_march(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    const size_t n = em__cuda_merged(call);
    em__march march = {};
    march.desk = cuda->desk;
    for (size_t i = 0, taken; i < n; i += taken) {
        taken = add_stretch(cuda, &march, call->merged + i, n - i);
        if (!taken)
            return em__cuda_run_apart(device, call);
    }
    return em__march_run(cuda, &march);
}

/* Whether the stretch behind `before` calls, with `first` as its first job, reads what they write in another way than
 * as mail: a part of a result, or a cache. Blocks wait for nothing but letters. */
static bool reads_memory(const em__merge_call *calls, size_t before, size_t taken, const em__gemv *first)
{
    for (size_t i = before; i < before + taken; i++)
        for (int j = 0; j < calls[i].call->n_in; j++) {
            const em__tensor *in = &calls[i].call->in[j];
            const bool mail = in->data == first->x || in->data == first->residual;
            for (size_t k = 0; k < before; k++) {
                const em__call *earlier = calls[k].call;
                const bool whole = mail && in->data == earlier->out.data && earlier->op != EM__OP_KV_UPDATE;
                if (!whole && em__cuda_overlap(in, &earlier->out))
                    return true;
            }
        }
    return false;
}

size_t em__march_merge(em__cuda *cuda, const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    em__march march = {};
    em__call *list[EM_STEP_CALLS];
    size_t all = 0;
    bool attends = false;
    if (cuda->major < 9 || calls[0].call->op != EM__OP_RMS_NORM)
        return 0;
    while (all < n) {
        size_t seen = 0;
        for (; seen < (size_t)EM_STEP_CALLS && all + seen < n; seen++)
            list[seen] = calls[all + seen].call;
        const int before = march.n;
        const size_t taken = add_stretch(cuda, &march, list, seen);
        if (!taken)
            break;
        if (!em__step_stands_alone(calls + all, taken) || reads_memory(calls, all, taken, &march.jobs[before].gemv)) {
            march.n = before;
            break;
        }
        attends = attends || march.jobs[march.n - 1].attends;
        all += taken;
    }
    *kernel = run_march;
    return attends && march.n >= FEWEST && em__march_fits(cuda, &march) && em__march_desk_make(cuda) ? all : 0;
}
