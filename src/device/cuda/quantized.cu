/*
 * QUANTIZED_MATMUL: the weight becomes an ordinary matrix in scratch, a part of its rows at a time, and is multiplied.
 *
 * The floats of the mx and nv modes are values of bf16, so they become that. Affine weights become f32, so that none is
 * rounded to a half type; only a call that lets f32 be rounded to bf16 has them rounded too. There 4-bit codes become
 * weights within the product (matmul.cuh), where it takes them.
 */
#include "device/cuda/quantized.h"

#include "device/cuda/dequantize.h"
#include "device/cuda/finish.h"
#include "device/cuda/matmul.cuh"
#include "device/cuda/mixed.h"
#include "device/cuda/side.h"

#define PART_BYTES ((int64_t)64 << 20) /* of the weight at a time */
#define LEAST_BYTES ((int64_t)1 << 20) /* where that is rarely needed */

typedef struct quantized {
    em__codes w;
    bool transpose;
    em_dtype x, weight, out; /* dtypes: of x, of the weight as it is multiplied, of the result */
    bool halves;             /* x is bf16 and so is the weight: one product */
    bool direct;             /* codes are multiplied as they are, wherever all lies well */
    int64_t batch, m, n, k;
    int64_t part; /* rows of the weight that are there at a time; all, when not transposed */
    size_t weight_bytes, x_bytes, mixed_bytes, sums_bytes; /* of scratch, in this order */
} quantized;

static em__mixed mixed_of(const quantized *q, bool half_products)
{
    em__mixed m = {q->weight, half_products, q->m, q->k, {q->k, 0, 0}};
    return m;
}

static void lay_out(quantized *q, bool half_products)
{
    int64_t depth = q->transpose ? q->k : q->n;
    em__mixed m = mixed_of(q, half_products);
    const int64_t bytes = q->direct ? LEAST_BYTES : PART_BYTES;
    q->part = q->transpose ? bytes / (int64_t)em_dtype_size(q->weight) / (depth ? depth : 1) / 128 * 128 : q->k;
    q->part = q->part < 128 ? 128 : q->part;
    if (!q->transpose || q->part > q->n)
        q->part = q->transpose ? q->n : q->k;
    q->weight_bytes = em__scratch_bytes(q->part * depth, q->weight);
    q->x_bytes = q->halves || q->x == EM_F32 ? 0 : em__scratch_bytes(q->m * q->k, EM_F32);
    q->mixed_bytes = q->halves ? 0 : em__cuda_mixed_scratch(&m, q->n);
    q->sums_bytes = q->halves || q->out == EM_F32 ? 0 : em__scratch_bytes(q->m * q->n, EM_F32);
}

/* The product that takes codes as they are: its x is bf16, or is rounded into scratch. */
static bool direct_of(em__cuda *cuda, const quantized *q, const em__call *call, em__matmul *job)
{
    *job = {};
    if (q->weight != EM_BF16 || q->w.how.mode != EM_QUANT_AFFINE || q->w.how.bits != 4 || !q->transpose ||
        q->batch != 1 || q->w.scale_dtype != EM_BF16 || call->in[3].spec.dtype != EM_BF16)
        return false;
    job->dtype = EM_BF16;
    job->m = q->m;
    job->k = job->x_step = q->k;
    job->x = q->x == EM_F32 ? call->scratch : call->in[0].data;
    job->matrices = 1;
    job->matrix[0] = {q->n, q->w.codes, q->k, NULL, call->out.data, q->w.scales, q->w.biases};
    job->shift = q->w.how.group == 128 ? 7 : q->w.how.group == 64 ? 6 : q->w.how.group == 32 ? 5 : 0;
    job->constant = (call->constant >> 1 & 7) == 7;
    job->activation = EM__OP_COPY;
    job->bias_dtype = job->residual_dtype = EM_F32;
    job->out_dtype = q->out;
    return job->shift && em__matmul_takes(cuda, job) && em__matmul_pays(cuda, job);
}

static quantized quantized_of(em__cuda *cuda, const em__call *call)
{
    const em__tensor *x = &call->in[0], *codes = &call->in[1];
    int rank = x->spec.rank;
    quantized q = {};
    q.w = em__codes_of(call, 1);
    q.transpose = call->ints[3] != 0;
    q.x = x->spec.dtype;
    q.out = call->out.spec.dtype;
    bool exact = q.w.how.mode != EM_QUANT_AFFINE, may_round = call->half_products && q.x != EM_F16;
    q.weight = exact || may_round ? EM_BF16 : EM_F32;
    q.halves = q.x == EM_BF16 && q.weight == EM_BF16 && q.out == EM_BF16;
    q.batch = 1;
    for (int i = 0; i < codes->spec.rank - 2; i++)
        q.batch *= codes->spec.dims[i];
    q.k = x->spec.dims[rank - 1];
    q.n = call->out.spec.dims[rank - 1];
    int64_t each = q.batch * q.k;
    q.m = each ? em__spec_size(&x->spec) / each : 0;
    em__matmul job;
    q.direct = direct_of(cuda, &q, call, &job);
    lay_out(&q, call->half_products);
    return q;
}

static em__matrix matrix_of(const quantized *q)
{
    em__matrix as = {q->transpose ? q->k : q->n, 0, !q->transpose};
    return as;
}

static em__gemm gemm_of(const quantized *q, int64_t n)
{
    em__gemm g = {};
    g.from = g.to = EM_BF16;
    g.m = q->m;
    g.n = n;
    g.k = q->k;
    g.batch = 1;
    g.a = {q->k, 0, 0};
    g.b = matrix_of(q);
    g.ldd = q->n;
    return g;
}

/* Columns [column, column + n) of one product of the batch; `to` are its sums, or its result. */
static em_status multiply(em__cuda *cuda, const quantized *q, const em__mixed *m, const void *x, int64_t column,
                          int64_t n, void *weight, void *to, char *scratch)
{
    em__gemm g = gemm_of(q, n);
    if (q->halves)
        return em__cuda_gemm(cuda, &g, x, weight, NULL, NULL, (char *)to + (size_t)column * 2);
    em__mixed_weight w = {n, matrix_of(q), weight, NULL, NULL, (float *)to + column, q->n};
    return em__cuda_mixed_run(cuda, m, x, &w, scratch);
}

/* One product of the batch, from x to the result. */
static em_status run_one(em__cuda *cuda, const quantized *q, const em__call *call, int64_t i)
{
    char *weight = (char *)call->scratch, *widened = weight + q->weight_bytes, *cut = widened + q->x_bytes;
    char *sums = cut + q->mixed_bytes;
    const char *x = (const char *)call->in[0].data + (size_t)(i * q->m * q->k) * em_dtype_size(q->x);
    char *out = (char *)call->out.data + (size_t)(i * q->m * q->n) * em_dtype_size(q->out);
    char *to = q->sums_bytes ? sums : out;
    em__mixed m = mixed_of(q, call->half_products);
    if (q->x_bytes) {
        EM__TRY(em__cuda_widen(cuda, x, q->x, q->m * q->k, (float *)widened));
        x = widened;
    }
    if (!q->halves)
        EM__TRY(em__cuda_mixed_begin(cuda, &m, x, cut));
    int64_t rows = q->transpose ? q->n : q->k;
    for (int64_t row = 0; row < rows; row += q->part) {
        int64_t part = rows - row < q->part ? rows - row : q->part;
        EM__TRY(em__cuda_dequantize(cuda, &q->w, i * rows + row, part, q->weight, false, weight));
        EM__TRY(multiply(cuda, q, &m, x, q->transpose ? row : 0, q->transpose ? part : q->n, weight, to, cut));
    }
    em__finish f = {EM__OP_COPY, q->out, q->m * q->n, q->n, sums, NULL, NULL, out};
    return q->sums_bytes ? em__cuda_finish(cuda, &f) : EM_OK;
}

static em_status run(em_device *device, const em__call *call)
{
    quantized q = quantized_of(em__cuda_of(device), call);
    for (int64_t i = 0; i < q.batch; i++)
        EM__TRY(run_one(em__cuda_of(device), &q, call, i));
    return EM_OK;
}

extern "C" bool em__cuda_quantized_widens(em__cuda *cuda, const em__call *call)
{
    const quantized q = quantized_of(cuda, call);
    return q.weight == EM_BF16 && q.transpose && q.batch == 1 && q.part == q.n && !q.direct;
}

static em_status run_direct(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    quantized q = quantized_of(cuda, call);
    em__matmul job;
    if (!direct_of(cuda, &q, call, &job) || !em__matmul_aligned(&job))
        return run(device, call);
    if (q.x == EM_F32) {
        const em__mixed m = mixed_of(&q, true);
        EM__TRY(em__cuda_mixed_begin(cuda, &m, call->in[0].data, (char *)call->scratch));
    }
    return em__matmul_run(cuda, &job, "quantized_matmul");
}

extern "C" bool em__cuda_prepare_quantized(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if (call->op != EM__OP_QUANTIZED_MATMUL)
        return false;
    quantized q = quantized_of(cuda, call);
    if (q.k == 0 || q.w.k > INT32_MAX)
        return false;
    em__mixed m = mixed_of(&q, call->half_products);
    em__gemm g = gemm_of(&q, q.transpose ? q.part : q.n);
    em__mixed_weight w = {g.n, matrix_of(&q), NULL, NULL, NULL, NULL, q.n};
    plan->kernel = q.direct ? run_direct : run;
    plan->scratch = q.weight_bytes + q.x_bytes + q.mixed_bytes + q.sums_bytes;
    return q.halves ? em__cuda_gemm_takes(cuda, &g) : em__cuda_mixed_takes(cuda, &m, &w);
}
