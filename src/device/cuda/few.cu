/*
 * Two stretches of calls (few.h):
 *
 *   a product, add                                      one kernel
 *   two or three products of one x, others in between   one kernel for the products, then what lies between, in order
 *
 * As in step.cu, what a stretch consists of is read off the calls by the memory that they share, when the program is
 * built and again when it is recorded.
 */
#include "device/cuda/few.h"

#include "device/cuda/gemv_few.cuh"
#include "device/cuda/merge.h"
#include "device/cuda/step.cuh"

namespace
{

enum { MOST = 12 }; /* calls that run together */

struct stretch {
    em__gemv job;
    size_t taken;       /* calls; 0: it is none */
    bool product[MOST]; /* what the job does */
};

bool read_product(const em__cuda *cuda, const em__call *call, const void *x, em__gemv *job)
{
    return em__gemv_read(call, job) && job->x == x && em__gemv_takes(job) && em__gemv_few_takes(cuda, job);
}

/* Whether `later` may run before `earlier`. */
bool may_pass(const em__call *earlier, const em__call *later)
{
    bool apart = !em__cuda_overlap(&earlier->out, &later->out);
    for (int i = 0; i < earlier->n_in; i++)
        apart = apart && !em__cuda_overlap(&earlier->in[i], &later->out);
    for (int i = 0; i < later->n_in; i++)
        apart = apart && !em__cuda_overlap(&earlier->out, &later->in[i]);
    return apart;
}

/* Whether call i may run beside the first. */
bool may_join(em__call *const *calls, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (!may_pass(calls[j], calls[i]))
            return false;
    return true;
}

stretch read(const em__cuda *cuda, em__call *const *calls, size_t n)
{
    stretch s = {};
    em__gemv first, more;
    if (calls[0]->n_in < 2 || !read_product(cuda, calls[0], calls[0]->in[0].data, &first))
        return s;
    s.product[0] = true;
    s.job = first;
    if (n > 1 && em__gemv_add_residual(&s.job, calls[0], calls[1]) && em__gemv_few_takes(cuda, &s.job)) {
        s.product[1] = true;
        s.taken = 2;
        return s;
    }
    int found = em__gemv_add(&s.job, 0, &first);
    for (size_t i = 1; found && i < n && i < (size_t)MOST; i++) {
        em__gemv all = s.job;
        if (read_product(cuda, calls[i], first.x, &more) && may_join(calls, i) && em__gemv_add(&all, found, &more) &&
            em__gemv_few_takes(cuda, &all)) {
            s.job = all;
            s.product[i] = true;
            s.taken = i + 1;
            found++;
        }
    }
    return s;
}

em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    const size_t n = em__cuda_merged(call);
    stretch s = read(cuda, call->merged, n);
    if (s.taken != n)
        return em__cuda_run_apart(device, call);
    EM__TRY(em__gemv_run(cuda, &s.job, "few"));
    for (size_t i = 0; i < n; i++)
        if (!s.product[i])
            EM__TRY(em__cuda_run_one(device, call->merged[i]));
    return EM_OK;
}

} // namespace

extern "C" size_t em__cuda_merge_few(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    em__call *list[MOST];
    for (size_t i = 0; i < n && i < (size_t)MOST; i++)
        list[i] = calls[i].call;
    const stretch s = read(em__cuda_of(device), list, n < (size_t)MOST ? n : (size_t)MOST);
    *kernel = run;
    if (s.taken == 0 || (s.job.residual && !em__step_stands_alone(calls, s.taken)))
        return 0;
    return s.taken;
}
