/*
 * FUSED_LINEAR: a product for each weight, its columns beside those of the one before. On Hopper one kernel does it all
 * where that is faster (matmul.cuh, tiles.h). Else cuBLASLt adds bias and residual where no activation stands between
 * them; otherwise a kernel does bias, activation and residual over the sums, which stay f32 when the result is a half
 * type.
 */
#include "device/cuda/finish.h"
#include "device/cuda/linear_cut.h"
#include "device/cuda/matmul.cuh"
#include "device/cuda/mixed.h"
#include "device/cuda/side.h"
#include "device/cuda/thin.h"
#include "device/cuda/tiles.h"

#define MOST_WEIGHTS EM__TILES_WEIGHTS

typedef struct linear {
    em_dtype dtype, weight; /* of the result; of the weights */
    em__op activation;
    int weights, bias, residual; /* the operands' numbers, 0: none */
    int64_t m, n, k;
    em__side x, w[MOST_WEIGHTS];
    bool after; /* bias, activation and residual by the kernel */
} linear;

static bool is_half(em_dtype dtype)
{
    return dtype == EM_F16 || dtype == EM_BF16;
}

static linear linear_of(const em__call *call)
{
    static const int64_t axes[EM_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    const em__tensor *x = &call->in[0];
    linear l = {};
    l.dtype = call->out.spec.dtype;
    l.weight = call->in[1].spec.dtype;
    l.activation = (em__op)call->ints[0];
    l.weights = (int)call->ints[2];
    l.bias = call->ints[1] & 1 ? 2 : 0;
    l.residual = call->ints[1] & 2 ? (l.bias ? 3 : 2) : 0;
    l.x = em__side_of(x, &axes[x->spec.rank - 1], 1, NULL, 0);
    for (int i = 0; i < l.weights && i < MOST_WEIGHTS; i++)
        l.w[i] = em__side_of(&call->in[em__linear_weight(call->ints, i)], &axes[1], 1, NULL, 0);
    l.m = l.x.rows;
    l.n = call->out.spec.dims[call->out.spec.rank - 1];
    l.k = l.x.depth;
    l.after = l.activation != EM__OP_COPY || (l.bias && is_half(l.dtype)); /* cuBLASLt wants such a bias aligned */
    return l;
}

/* Whether the sums lie in scratch until the kernel has seen them; otherwise they lie in the result. */
static bool sums_apart(const linear *l)
{
    return l->after && is_half(l->dtype);
}

static em__gemm gemm_of(const linear *l, int i)
{
    em__gemm g = {};
    g.from = l->dtype;
    g.to = sums_apart(l) ? EM_F32 : l->dtype;
    g.m = l->m;
    g.n = l->w[i].rows;
    g.k = l->k;
    g.batch = 1;
    g.a = l->x.as;
    g.b = l->w[i].as;
    g.a.batch_step = g.b.batch_step = 0;
    g.ldd = l->n;
    g.add = !l->after && l->residual;
    g.bias = !l->after && l->bias;
    return g;
}

static em__mixed mixed_of(const linear *l, const em__call *call)
{
    em__mixed m = {l->weight, call->half_products, l->m, l->k, l->x.as};
    return m;
}

/* Weight i with its columns of bias, residual and result, which begin at `column`. */
static em__mixed_weight weight_of(const linear *l, const em__call *call, int i, int64_t column)
{
    em__mixed_weight w = {l->w[i].rows, l->w[i].as, l->w[i].ordered.data, NULL, NULL, NULL, l->n};
    w.d = (float *)call->out.data + column;
    if (l->bias && !l->after)
        w.bias = (const float *)call->in[l->bias].data + column;
    if (l->residual && !l->after)
        w.c = (const float *)call->in[l->residual].data + column;
    return w;
}

static em_status products_mixed(em__cuda *cuda, const linear *l, const em__call *call)
{
    em__mixed m = mixed_of(l, call);
    EM__TRY(em__cuda_mixed_begin(cuda, &m, call->in[0].data, (char *)call->scratch));
    int64_t column = 0;
    for (int i = 0; i < l->weights; i++) {
        em__mixed_weight w = weight_of(l, call, i, column);
        EM__TRY(em__cuda_mixed_run(cuda, &m, call->in[0].data, &w, (char *)call->scratch));
        column += w.n;
    }
    return EM_OK;
}

static em_status products(em__cuda *cuda, const linear *l, const em__call *call)
{
    char *to = (char *)(sums_apart(l) ? call->scratch : call->out.data);
    const char *bias = l->bias ? (const char *)call->in[l->bias].data : NULL;
    const char *residual = l->residual ? (const char *)call->in[l->residual].data : NULL;
    size_t size = em_dtype_size(l->dtype);
    for (int i = 0; i < l->weights; i++) {
        em__gemm g = gemm_of(l, i);
        EM__TRY(em__cuda_gemm(cuda, &g, call->in[0].data, l->w[i].ordered.data, g.bias ? bias : NULL,
                              g.add ? residual : NULL, to));
        to += (size_t)g.n * em_dtype_size((em_dtype)g.to);
        bias = bias ? bias + (size_t)g.n * size : NULL;
        residual = residual ? residual + (size_t)g.n * size : NULL;
    }
    return EM_OK;
}

/* Bias, activation and residual, and the rounding to the result's dtype. */
static em_status finish(em__cuda *cuda, const linear *l, const em__call *call)
{
    em__finish f = {l->activation, l->dtype, l->m * l->n, l->n};
    f.sums = sums_apart(l) ? call->scratch : call->out.data;
    f.bias = l->bias ? call->in[l->bias].data : NULL;
    f.residual = l->residual ? call->in[l->residual].data : NULL;
    f.out = call->out.data;
    return em__cuda_finish(cuda, &f);
}

static em_status run(em__cuda *cuda, const em__call *call, bool after)
{
    linear l = linear_of(call);
    l.after = after;
    EM__TRY(l.weight == l.dtype ? products(cuda, &l, call) : products_mixed(cuda, &l, call));
    return after ? finish(cuda, &l, call) : EM_OK;
}

/* Bytes of a weight that is cut. */
static size_t cut_bytes(const linear *l, int i)
{
    return em__scratch_bytes(3 * l->w[i].rows * l->k, EM_BF16);
}

/* From x to the result in one kernel: of f32 with weights of bf16, or of f32, which are first cut into bf16. */
static em__tiles tiles_of(const linear *l, const em__call *call)
{
    em__tiles t = {l->m, l->n, l->k, call->half_products, l->weight == EM_F32, false, l->activation, l->x.as};
    char *room = (char *)call->scratch;
    t.at = (const float *)call->in[0].data;
    t.weights = l->weights;
    for (int i = 0; i < l->weights; i++) {
        t.w[i].n = l->w[i].rows;
        t.w[i].as = l->w[i].as;
        t.w[i].at = l->w[i].ordered.data;
        if (t.cut) {
            t.w[i].as = {l->k, 0, 0};
            t.w[i].at = room;
            room += cut_bytes(l, i);
        }
    }
    t.bias = l->bias ? (const float *)call->in[l->bias].data : NULL;
    t.residual = l->residual ? (const float *)call->in[l->residual].data : NULL;
    t.out = (float *)call->out.data;
    return t;
}

static bool is_constant(const em__call *call, int operand)
{
    return call->constant >> operand & 1;
}

/* The product of halves, with all that follows; x of f32 that may be rounded is rounded into scratch before. */
static em__matmul matmul_of(const linear *l, const em__call *call)
{
    const bool rounds = l->weight != l->dtype;
    em__matmul j = {};
    j.dtype = l->weight;
    j.m = l->m;
    j.k = l->k;
    j.x = rounds ? call->scratch : call->in[0].data;
    j.x_step = rounds || l->m == 1 ? l->k : l->x.as.ld;
    j.matrices = l->weights <= EM_MATMUL_MATRICES ? l->weights : 0;
    j.joined = true;
    j.constant = !l->bias || is_constant(call, l->bias);
    j.activation = l->activation;
    j.bias_dtype = j.residual_dtype = j.out_dtype = l->dtype;
    const char *bias = l->bias ? (const char *)call->in[l->bias].data : NULL;
    for (int i = 0; i < j.matrices; i++) {
        j.matrix[i].n = l->w[i].rows;
        j.matrix[i].weight = l->w[i].ordered.data;
        j.matrix[i].step = l->w[i].rows == 1 ? l->k : l->w[i].as.ld;
        j.matrix[i].bias = bias;
        j.constant = j.constant && is_constant(call, em__linear_weight(call->ints, i));
        bias = bias ? bias + (size_t)l->w[i].rows * em_dtype_size(l->dtype) : NULL;
    }
    j.matrix[0].out = call->out.data;
    j.residual = l->residual ? call->in[l->residual].data : NULL;
    return j;
}

static bool suits_matmul(em__cuda *cuda, const linear *l, const em__call *call)
{
    const bool rounds = l->weight == EM_BF16 && l->dtype == EM_F32 && call->half_products;
    if (!rounds && (l->weight != l->dtype || l->x.as.across))
        return false;
    for (int i = 0; i < l->weights; i++)
        if (l->w[i].as.across || call->in[em__linear_weight(call->ints, i)].spec.dtype != l->weight)
            return false;
    const em__matmul j = matmul_of(l, call);
    return em__matmul_takes(cuda, &j) && em__matmul_pays(cuda, &j);
}

static em_status run_direct(em_device *device, const em__call *call)
{
    return run(em__cuda_of(device), call, false);
}

static em_status run_after(em_device *device, const em__call *call)
{
    return run(em__cuda_of(device), call, true);
}

/* An operand that the copy engine can't take, for where it lies, goes the other way. */
static em_status run_tiles(em_device *device, const em__call *call)
{
    linear l = linear_of(call);
    em__tiles t = tiles_of(&l, call);
    if (em__cuda_tiles_aligned(&t)) {
        for (int i = 0; i < l.weights && t.cut; i++)
            EM__TRY(em__cuda_tiles_cut(em__cuda_of(device), (const float *)l.w[i].ordered.data, &l.w[i].as, l.w[i].rows,
                                       l.k, (void *)t.w[i].at));
        return em__cuda_tiles(em__cuda_of(device), &t);
    }
    return run(em__cuda_of(device), call, l.after);
}

static em_status run_matmul(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    linear l = linear_of(call);
    const em__matmul j = matmul_of(&l, call);
    if (!em__matmul_aligned(&j))
        return run(cuda, call, l.after);
    if (l.weight != l.dtype) {
        em__mixed m = mixed_of(&l, call);
        EM__TRY(em__cuda_mixed_begin(cuda, &m, call->in[0].data, (char *)call->scratch));
    }
    return em__matmul_run(cuda, &j, "fused_linear");
}

static bool takes(em__cuda *cuda, const linear *l, const em__call *call)
{
    em__mixed m = mixed_of(l, call);
    for (int i = 0; i < l->weights; i++) {
        em__gemm g = gemm_of(l, i);
        em__mixed_weight w = weight_of(l, call, i, 0);
        w.bias = l->bias && !l->after ? (const float *)call : NULL; /* that they are there is what counts */
        w.c = l->residual && !l->after ? (const float *)call : NULL;
        if (l->weight == l->dtype ? !em__cuda_gemm_takes(cuda, &g) : !em__cuda_mixed_takes(cuda, &m, &w))
            return false;
    }
    return true;
}

/* Whether one kernel is there for all, and faster than cuBLASLt's with what it needs before and after. */
static bool suits_tiles(em__cuda *cuda, const linear *l, const em__call *call)
{
    em__tiles t = tiles_of(l, call);
    if (l->dtype != EM_F32 || (l->weight != EM_BF16 && l->weight != EM_F32))
        return false;
    for (int i = 0; i < l->weights && t.cut; i++)
        if (l->w[i].as.across)
            return false;
    return em__cuda_tiles_takes(cuda, &t);
}

extern "C" bool em__cuda_prepare_linear(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if (call->op != EM__OP_FUSED_LINEAR || call->ints[2] > MOST_WEIGHTS)
        return false;
    if (em__cuda_prepare_thin(cuda, call, plan) || em__cuda_prepare_linear_cut(cuda, call, plan))
        return true;
    linear l = linear_of(call);
    if (em_dtype_size(l.dtype) == 1 || !em__cuda_finish_takes(l.activation))
        return false;
    plan->kernel = suits_tiles(cuda, &l, call) ? run_tiles : suits_matmul(cuda, &l, call) ? run_matmul : NULL;
    if (!plan->kernel) { /* only then: where no product needs cuBLASLt it is not opened, which takes 0.1 s */
        if (!l.after && !takes(cuda, &l, call))
            l.after = true;
        if (l.after && !takes(cuda, &l, call))
            return false;
        plan->kernel = l.after ? run_after : run_direct;
    }
    plan->strided = l.x.copied ? 0 : 1;
    for (int i = 0; i < l.weights; i++)
        plan->strided |= l.w[i].copied ? 0 : (uint64_t)1 << em__linear_weight(call->ints, i);
    if (l.residual && (!l.after || sums_apart(&l)))
        plan->inplace = (uint64_t)1 << l.residual;
    em__mixed m = mixed_of(&l, call);
    for (int i = 0; i < l.weights && l.weight != l.dtype; i++) {
        size_t bytes = em__cuda_mixed_scratch(&m, l.w[i].rows);
        plan->scratch = bytes > plan->scratch ? bytes : plan->scratch;
    }
    for (int i = 0; i < l.weights && plan->kernel == run_tiles && l.weight == EM_F32; i++)
        plan->scratch += cut_bytes(&l, i);
    if (sums_apart(&l))
        plan->scratch = em__scratch_bytes(l.m * l.n, EM_F32);
    return true;
}
