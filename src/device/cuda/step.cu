/*
 * Calls of a decoder's step for one token that run together (device.h: merge):
 *
 *   rms_norm, products for q, k and v, norms of heads, rope, kv_update twice, sdpa   two kernels
 *   rms_norm, products for gate and up, swiglu (or its like)                         one
 *   rms_norm, a product                                                              one
 *   a quantized product, add                                                         one
 *
 * A product with its residual is one call, and one kernel, already. What a step consists of is read off the calls by
 * the memory that they share: when the program is built, and again at each run, for the pointers of that run.
 *
 * Several such stretches, one behind the other, run as a march (march.cuh).
 */
#include <string.h>

#include "device/cuda/encoder.h"
#include "device/cuda/few.h"
#include "device/cuda/merge.h"
#include "device/cuda/prompt.h"
#include "device/cuda/step.cuh"

enum { MOST = EM_STEP_CALLS };

/* The job of a product of one row of f32 that lies at x. */
static bool read_product(const em__call *call, const void *x, em__gemv *job)
{
    return em__gemv_read(call, job) && em__gemv_takes(job) && job->m == 1 && job->x == x && job->x_dtype == EM_F32 &&
           job->out_dtype == EM_F32;
}

/* The norm goes into the product of its result. */
static bool add_norm(const em__call *norm, em__gemv *job)
{
    if (!em__is_step_norm(norm) || em__spec_size(&norm->in[0].spec) != job->depth ||
        em__last_of(&norm->in[0]) != job->depth || !em__tensor_is_contiguous(&norm->in[0]))
        return false;
    job->norm = true;
    job->eps = (float)norm->floats[0];
    job->gain = em__gain_of(norm);
    job->x = norm->in[0].data;
    job->constant = job->constant && (!job->gain || norm->constant >> 1 & 1);
    return em__gemv_takes(job);
}

/* Queries, keys and values are rows of one product. */
typedef struct attention {
    em__gemv products;
    em__step_attend attend;
    em__parts parts;
} attention;

static int begin_of(const attention *a, int role)
{
    const int at = a->parts.at[role];
    return at ? a->products.end[at - 1] : 0;
}

static int rows_of(const attention *a, int role)
{
    return a->products.end[a->parts.at[role]] - begin_of(a, role);
}

/* The call as a stage of q, k or v of one token. */
static bool take_stage(attention *a, const em__call *call)
{
    if (!em__parts_take(&a->parts, call))
        return false;
    if (call->op == EM__OP_ROPE)
        return call->in[0].spec.dims[call->ints[3]] == 1;
    return call->op != EM__OP_KV_UPDATE || (call->in[1].spec.dims[2] == 1 && em__tensor_is_contiguous(&call->in[1]));
}

static bool take_products(attention *a, const em__call *call, const void *x)
{
    em__gemv job;
    if (!read_product(call, x, &job) || !em__gemv_add(&a->products, a->parts.n, &job))
        return false;
    a->parts.each[a->parts.n++] = {call->out.data, NULL, NULL, NULL};
    return true;
}

/* What becomes of queries and keys before they meet, and where the new rows go. */
static void fill_parts(em__step_attend *s, const em__parts *parts)
{
    const em__part *q = em__part_as(parts, EM_QUERIES), *k = em__part_as(parts, EM_KEYS);
    s->q_gain = em__part_gain(q);
    s->k_gain = em__part_gain(k);
    s->q_eps = em__part_eps(q);
    s->k_eps = em__part_eps(k);
    s->k_slot = (const int32_t *)k->update->in[2].data;
    s->v_slot = (const int32_t *)em__part_as(parts, EM_VALUES)->update->in[2].data;
    if (q->rope) {
        s->turned = (int)q->rope->ints[0];
        s->at = (const int32_t *)q->rope->in[1].data;
        s->periods = (const float *)q->rope->in[2].data;
        s->step = q->rope->floats[1];
    }
}

/* The sdpa call closes the stretch: which part is which, and everything that the kernel asks. */
static bool take_sdpa(attention *a, const em__call *call)
{
    const em__spec *cache = &call->in[1].spec, *queries = &call->in[0].spec;
    if (!em__parts_close(&a->parts, call) || queries->dtype != EM_F32 || queries->dims[2] != 1 ||
        !em__tensor_is_contiguous(&call->in[0]) || call->ints[2] > INT32_MAX || cache->dims[2] > INT32_MAX / 2)
        return false;
    for (int role = EM_KEYS; role <= EM_VALUES; role++)
        if (!em__spec_equal(cache, &em__part_as(&a->parts, role)->update->out.spec))
            return false;
    em__step_attend *s = &a->attend;
    *s = {};
    s->heads = (int)queries->dims[1];
    s->kv_heads = (int)cache->dims[1];
    s->capacity = (int)cache->dims[2];
    s->size = (int)cache->dims[3];
    s->cache = cache->dtype;
    s->window = (int)call->ints[2];
    s->scale = (float)call->floats[0];
    s->length = call->ints[1] & 4 ? (const int32_t *)call->in[3].data : NULL;
    s->keys = call->in[1].data;
    s->values = call->in[2].data;
    s->out = (float *)call->out.data;
    s->q_at = begin_of(a, EM_QUERIES);
    s->k_at = begin_of(a, EM_KEYS);
    s->v_at = begin_of(a, EM_VALUES);
    fill_parts(s, &a->parts);
    a->products.joined = true;
    return rows_of(a, EM_QUERIES) == (int64_t)s->heads * s->size &&
           rows_of(a, EM_KEYS) == (int64_t)s->kv_heads * s->size && rows_of(a, EM_VALUES) == rows_of(a, EM_KEYS) &&
           em_gemv_rows(a->products) <= EM_MARCH_PRODUCTS && em__step_attend_takes(s);
}

/* How many of the calls are a stretch from rms_norm to sdpa: 0 for none. */
static size_t read_attention(em__call *const *calls, size_t n, attention *a)
{
    *a = {};
    if (!em__is_step_norm(calls[0]))
        return 0;
    const void *x = calls[0]->out.data;
    for (size_t i = 1; i < n; i++) {
        const em__call *call = calls[i];
        if (call->op == EM__OP_SDPA)
            return take_sdpa(a, call) && add_norm(calls[0], &a->products) ? i + 1 : 0;
        if (!take_products(a, call, x) && !take_stage(a, call))
            return 0;
    }
    return 0;
}

static bool read_pair(em__call *const *calls, size_t n, em__gemv *job)
{
    em__gemv first, second;
    if (n < 4 || !read_product(calls[1], calls[0]->out.data, &first) ||
        !read_product(calls[2], calls[0]->out.data, &second))
        return false;
    const em__call *join = calls[3];
    const em__op activation = em__gate_of(join->op);
    if (activation == EM__OP_COPY)
        return false;
    const bool turned = join->in[0].data == calls[2]->out.data;
    if (em__spec_size(&join->out.spec) != em_gemv_rows(first) || !em__tensor_is_contiguous(&join->in[0]) ||
        !em__tensor_is_contiguous(&join->in[1]) || em_gemv_rows(first) != em_gemv_rows(second) ||
        first.out[0] == second.out[0] || join->in[turned].data != calls[1]->out.data ||
        join->in[!turned].data != calls[2]->out.data || !em__gemv_add(job, 0, turned ? &second : &first) ||
        !em__gemv_add(job, 1, turned ? &first : &second) || !add_norm(calls[0], job))
        return false;
    job->pair = true;
    job->activation = (uint16_t)activation;
    job->out[0] = join->out.data;
    return em__gemv_takes(job);
}

static bool read_normed(em__call *const *calls, size_t n, em__gemv *job)
{
    return n >= 2 && read_product(calls[1], calls[0]->out.data, job) && job->residual != calls[0]->out.data &&
           job->bias != calls[0]->out.data && add_norm(calls[0], job);
}

static bool read_sum(em__call *const *calls, size_t n, em__gemv *job)
{
    return n >= 2 && calls[0]->op == EM__OP_QUANTIZED_MATMUL && read_product(calls[0], calls[0]->in[0].data, job) &&
           em__gemv_add_residual(job, calls[0], calls[1]);
}

size_t em__step_read(em__call *const *calls, size_t n, em__march_job (&jobs)[2], int *count)
{
    attention a;
    const size_t seen = n < (size_t)MOST ? n : (size_t)MOST;
    jobs[0] = jobs[1] = {};
    *count = 1;
    if (em__is_step_norm(calls[0])) {
        const size_t taken = read_attention(calls, seen, &a);
        if (taken) {
            *count = 2;
            jobs[0].gemv = a.products;
            jobs[1].attend = a.attend;
            jobs[1].attends = true;
            return taken;
        }
        return read_pair(calls, seen, &jobs[0].gemv) ? 4 : read_normed(calls, seen, &jobs[0].gemv) ? 2 : 0;
    }
    if (read_sum(calls, seen, &jobs[0].gemv))
        return 2;
    return calls[0]->n_in > 0 && read_product(calls[0], calls[0]->in[0].data, &jobs[0].gemv) ? 1 : 0;
}

/* The jobs of one stretch by a kernel each. */
static em_status run_stretch(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em__march_job jobs[2];
    int count;
    EM__FAIL_IF(!em__step_read(call->merged, em__cuda_merged(call), jobs, &count), EM_ERROR_INTERNAL,
                "%s: a merged step is not what it was", cuda->name);
    if (count == 1)
        return em__gemv_run(cuda, &jobs[0].gemv, "step");
    jobs[0].gemv.out[0] = cuda->desk->products;
    jobs[1].attend.products = cuda->desk->products;
    EM__TRY(em__gemv_run(cuda, &jobs[0].gemv, "qkv"));
    return em__step_attend_run(cuda, &jobs[1].attend);
}

/* The last call's own operands may lie exactly where its result does: a residual. */
bool em__step_stands_alone(const em__merge_call *calls, size_t taken)
{
    const em__tensor *out = &calls[taken - 1].call->out;
    for (size_t i = 0; i < taken; i++) {
        const em__call *call = calls[i].call;
        for (int j = 0; j < call->n_in; j++)
            if (em__cuda_overlap(out, &call->in[j]) && !(i + 1 == taken && call->in[j].data == out->data))
                return false;
    }
    return em__cuda_hides(calls, taken);
}

extern "C" size_t em__cuda_merge(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    em__cuda *cuda = em__cuda_of(device);
    em__call *list[MOST];
    em__march_job jobs[2];
    int count;
    size_t taken = em__march_merge(cuda, calls, n, kernel);
    if (taken)
        return taken;
    if (calls[0].call->op != EM__OP_RMS_NORM && calls[0].call->op != EM__OP_QUANTIZED_MATMUL) {
        taken = em__cuda_merge_encoder(device, calls, n, kernel);
        return taken ? taken : em__cuda_merge_few(device, calls, n, kernel);
    }
    for (size_t i = 0; i < n && i < (size_t)MOST; i++)
        list[i] = calls[i].call;
    taken = em__step_read(list, n, jobs, &count);
    if (taken < 2 || (count == 2 && (cuda->major < 9 || !em__march_desk_make(cuda)))) {
        taken = em__cuda_merge_few(device, calls, n, kernel);
        return taken ? taken : em__cuda_merge_prompt(device, calls, n, kernel);
    }
    *kernel = run_stretch;
    return em__step_stands_alone(calls, taken) ? taken : 0;
}
