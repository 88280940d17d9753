/* Products of few rows: which calls, and in what form. See thin.h. */
#include "device/cuda/thin.h"

#include "device/cuda/early.h"
#include "device/cuda/finish.h"
#include "device/cuda/thin_kernel.cuh"

using namespace em_thin;

enum { MOST_CLUSTER = 8 };

/* How the depth is shared out. */
struct cut {
    int cluster, warps, each;
};

static int rounded_up(int x, int by)
{
    return (x + by - 1) / by;
}

/* A norm needs whole rows within a block. */
static cut cut_of(const em__thin *t)
{
    const int pieces = rounded_up(t->k, DEEP);
    if (t->from == EM_THIN_NORM && pieces > FEW_WARPS)
        return {1, rounded_up(pieces, 2), 2};
    cut c = {1, pieces, 1};
    while (c.warps > MOST_WARPS) {
        c.cluster *= 2;
        c.warps = rounded_up(pieces, c.cluster);
    }
    return c;
}

extern "C" bool em__cuda_thin_read(const em__cuda *cuda, const em__call *call, em__thin *t)
{
    if (call->op != EM__OP_FUSED_LINEAR || cuda->major < 9 || call->ints[2] > EM_THIN_WEIGHTS)
        return false;
    const em__tensor *x = &call->in[0];
    const int64_t k = x->spec.dims[x->spec.rank - 1], n = call->out.spec.dims[call->out.spec.rank - 1];
    const int64_t m = n ? em__spec_size(&call->out.spec) / n : 0;
    const int bias = call->ints[1] & 1 ? 2 : 0, residual = call->ints[1] & 2 ? (bias ? 3 : 2) : 0;
    *t = {};
    t->dtype = call->out.spec.dtype;
    if ((t->dtype != EM_F32 && t->dtype != EM_BF16 && t->dtype != EM_F16) || x->spec.dtype != t->dtype || m < 1 ||
        m > EM_THIN_ROWS || k < DEEP || k % 8 != 0 ||
        rounded_up((int)(k < 1 << 20 ? k : 1 << 20), DEEP) > MOST_CLUSTER * MOST_WARPS || n > 1 << 24 ||
        !em__tensor_is_contiguous(x) || !em__cuda_finish_takes((em__op)call->ints[0]))
        return false;
    t->m = (int)m;
    t->n = (int)n;
    t->k = (int)k;
    t->weights = (int)call->ints[2];
    t->activation = (em__op)call->ints[0];
    t->x = x->data;
    t->out = call->out.data;
    t->bias = bias ? call->in[bias].data : NULL;
    t->residual = residual ? call->in[residual].data : NULL;
    t->constant = !bias || call->constant >> bias & 1;
    if ((bias && call->in[bias].strides[0] != 1) || (residual && !em__tensor_is_contiguous(&call->in[residual])))
        return false;
    for (int i = 0; i < t->weights; i++) {
        const int at = em__linear_weight(call->ints, i);
        const em__tensor *w = &call->in[at];
        if (w->spec.dtype != t->dtype || w->strides[1] != 1 || w->strides[0] % 8 != 0 ||
            (t->weights > 1 && w->spec.dims[0] % 16 != 0))
            return false;
        t->w[i] = {w->data, w->strides[0], (int)w->spec.dims[0]};
        t->constant = t->constant && call->constant >> at & 1;
    }
    return em__cuda_thin_takes(t);
}

extern "C" bool em__cuda_thin_takes(const em__thin *t)
{
    if (t->from == EM_THIN_NORM)
        return (t->k % DEEP == 0 && t->k <= FEW_WARPS * DEEP) ||
               (t->k % (2 * DEEP) == 0 && t->k <= FEW_WARPS * 2 * DEEP);
    if (t->from == EM_THIN_ATTENTION)
        return t->k % DEEP == 0 && t->k <= (t->dtype == EM_F32 ? FEW_WARPS : MOST_WARPS) * DEEP;
    return true;
}

/* Whether all that is read eight elements at a time lies at multiples of 16 bytes. */
static bool is_wide(const em__thin *t)
{
    uintptr_t all = (uintptr_t)t->x | (uintptr_t)t->norm.added | (uintptr_t)t->norm.gain | (uintptr_t)t->norm.bias |
                    (uintptr_t)t->norm.normed | (uintptr_t)t->attention.q | (uintptr_t)t->attention.k |
                    (uintptr_t)t->attention.v;
    for (int i = 0; i < t->weights; i++)
        all |= (uintptr_t)t->w[i].at;
    return all % 16 == 0;
}

template <typename T, int FROM, int COLUMNS, int EACH, bool WIDE>
static em_status launch(em__cuda *cuda, const arguments &a, const cut &c)
{
    constexpr int ROWS = 16 * blocks<FROM>();
    const dim3 grid((unsigned)(rounded_up(a.t.n, COLUMNS * 8) * c.cluster), (unsigned)rounded_up(a.t.m, ROWS));
    return em_launch_clusters(cuda, "product of few rows", thin_kernel<T, FROM, COLUMNS, EACH, WIDE>,
                              (unsigned)c.cluster, grid, (unsigned)(c.warps * 32),
                              sizeof(float) * c.warps * ROWS * pitch<COLUMNS>(), a);
}

template <typename T, int COLUMNS, bool WIDE>
static em_status by_source(em__cuda *cuda, const arguments &a, const cut &c)
{
    if (a.t.from == EM_THIN_NORM)
        return c.each == 2 ? launch<T, EM_THIN_NORM, COLUMNS, 2, WIDE>(cuda, a, c)
                           : launch<T, EM_THIN_NORM, COLUMNS, 1, WIDE>(cuda, a, c);
    if (a.t.from == EM_THIN_ATTENTION)
        return launch<T, EM_THIN_ATTENTION, COLUMNS, 1, WIDE>(cuda, a, c);
    return launch<T, EM_THIN_PLAIN, COLUMNS, 1, WIDE>(cuda, a, c);
}

/* Narrow tiles where there are few, which changes no bit. Behind attention each tile costs that as well. */
template <typename T> static em_status by_width(em__cuda *cuda, const arguments &a, const cut &c)
{
    const bool few =
        a.t.from != EM_THIN_ATTENTION && rounded_up(a.t.n, 16) * rounded_up(a.t.m, MOST_ROWS) * c.cluster < 48;
    if (!is_wide(&a.t))
        return by_source<T, 1, false>(cuda, a, c);
    return few ? by_source<T, 1, true>(cuda, a, c) : by_source<T, 2, true>(cuda, a, c);
}

extern "C" em_status em__cuda_thin(em__cuda *cuda, const em__thin *thin)
{
    const cut c = cut_of(thin);
    arguments a = {*thin};
    a.t.constant = em__cuda_early(cuda, thin->constant);
    for (int i = 0; i < thin->weights; i++)
        a.column[i + 1] = a.column[i] + thin->w[i].rows;
    a.cluster = c.cluster;
    switch (thin->dtype) {
    case EM_F32: return by_width<float>(cuda, a, c);
    case EM_BF16: return by_width<__nv_bfloat16>(cuda, a, c);
    default: return by_width<__half>(cuda, a, c);
    }
}

static em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em__thin t;
    EM__FAIL_IF(!em__cuda_thin_read(cuda, call, &t), EM_ERROR_INTERNAL, "%s: a thin product is not what it was",
                cuda->name);
    return em__cuda_thin(cuda, &t);
}

extern "C" bool em__cuda_prepare_thin(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    em__thin t;
    if (!em__cuda_thin_read(cuda, call, &t))
        return false;
    plan->strided = 0;
    for (int i = 0; i < t.weights; i++)
        plan->strided |= (uint64_t)1 << em__linear_weight(call->ints, i);
    plan->inplace = t.residual || call->ints[1] & 2 ? (uint64_t)1 << (call->ints[1] & 1 ? 3 : 2) : 0;
    plan->scratch = 0;
    plan->kernel = run;
    return true;
}
