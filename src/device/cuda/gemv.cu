/* Products of few rows: which calls they take, how the work is divided. See gemv.cuh. */
#include "device/cuda/gemv.cuh"

#include "device/cuda/early.h"
#include "device/cuda/gemv_few.cuh"
#include "device/cuda/gemv_kernel.cuh"
#include "device/cuda/merge.h"

extern "C" {
#include "ops/quant.h"
}

#define BLOCK_BYTES ((size_t)112 << 10)  /* of shared memory, so that two blocks fit: one runs, one fetches ahead */
#define MOST_STAGED 16384                /* elements of x */
#define MOST_DEPTH 65536                 /* a row's sums fit in shared memory */
#define TABLE_BYTES ((size_t)48 << 10)   /* at most: of the table of sums */
#define STAGED_BYTES ((size_t)150 << 10) /* of x, of several rows */
#define MOST_TURNS 4                     /* of EM_GEMV_MOST rows of f32: products that keep all of f32 take longer */

/* A kind's kernels, and its numbers. */
typedef struct kind {
    void (*kernel[3][2])(const em__gemv); /* [em_gemv_way][aligned] */
    int chunk, ring, per;
} kind;

template <typename K> static const kind *kind_of()
{
    static const kind found = {{{em_gemv_kernel<K, EM_GEMV_ONE, false>, em_gemv_kernel<K, EM_GEMV_ONE, true>},
                                {em_gemv_kernel<K, EM_GEMV_FEW, false>, em_gemv_kernel<K, EM_GEMV_FEW, true>},
                                {em_gemv_kernel<K, EM_GEMV_ANY, false>, em_gemv_kernel<K, EM_GEMV_ANY, true>}},
                               em_gemv_ring<K>::CHUNK,
                               em_gemv_ring<K>::BYTES,
                               K::PER};
    return &found;
}

static const kind *find_kind(em_dtype weights)
{
    switch (weights) {
    case EM_BF16: return kind_of<em_gemv_bf16>();
    case EM_F16: return kind_of<em_gemv_f16>();
    case EM_F32: return kind_of<em_gemv_f32>();
    case EM_U32: return kind_of<em_gemv_q4>();
    default: return NULL;
    }
}

static bool is_real(em_dtype dtype)
{
    return dtype == EM_F32 || dtype == EM_BF16 || dtype == EM_F16;
}

/* Whether the kernel for one row of f32 takes it. Its sums have the bits of the other one's. */
static bool is_one(const em__gemv *job)
{
    return job->m == 1 && job->x_dtype == EM_F32 && job->depth <= MOST_STAGED;
}

/* Bytes of shared memory for m rows of x. */
static size_t staged_bytes(const em__gemv *job, const kind *k, int m)
{
    return (size_t)em_gemv_staged<EM_GEMV_FEW>(m, em_gemv_cuts(job->depth, k->chunk) * k->chunk) * sizeof(float);
}

/* Whether m rows of x fit, with room for weights and sums. */
static bool fits(const em__gemv *job, const em__cuda *cuda, const kind *k, int m)
{
    const size_t bytes = staged_bytes(job, k, m);
    return bytes <= STAGED_BYTES && bytes <= cuda->shared_bytes / 3 * 2;
}

/* Rows of x that are multiplied at once, of several. */
static int rows_at_once(const em__gemv *job, const em__cuda *cuda, const kind *k)
{
    int rows = EM_GEMV_MOST;
    em__gemv several = *job;
    several.m = EM_GEMV_MOST;
    if (em__gemv_few_takes(cuda, &several))
        return rows;
    while (rows > 1 && !fits(job, cuda, k, rows))
        rows--;
    return fits(job, cuda, k, rows) ? rows : (int)EM_GEMV_MOST;
}

static em_gemv_way way_of(const em__gemv *job, const em__cuda *cuda, const kind *k)
{
    return is_one(job) ? EM_GEMV_ONE : fits(job, cuda, k, job->m) ? EM_GEMV_FEW : EM_GEMV_ANY;
}

bool em__gemv_takes(const em__gemv *job)
{
    const kind *k = find_kind((em_dtype)job->weights);
    if (!k || job->m < 1 || job->m > EM_GEMV_MOST || em_gemv_rows(*job) < 1 || job->depth < 1 ||
        job->depth > MOST_DEPTH || job->depth % k->per != 0 || !is_real((em_dtype)job->x_dtype) ||
        !is_real((em_dtype)job->out_dtype))
        return false;
    for (int i = 0; i + 1 < EM_GEMV_MATRICES; i++) /* a unit lies in one matrix */
        if (job->end[i] < em_gemv_rows(*job) && job->end[i] % EM_GEMV_UNIT != 0)
            return false;
    if (job->norm && !is_one(job))
        return false;
    if (job->pair && job->end[0] % EM_GEMV_UNIT != 0)
        return false;
    if (job->weights != EM_U32)
        return true;
    return is_real((em_dtype)job->scale) && job->shift >= 5 && job->shift <= 7 && job->depth % (1 << job->shift) == 0 &&
           (job->depth >> job->shift) * (int)em_dtype_size((em_dtype)job->scale) % 4 == 0;
}

/* The ring, x when it is staged, sums of squares, the table of sums. */
static size_t shared_bytes(const em__gemv *job, const em__cuda *cuda, const kind *k, int warps)
{
    const size_t staged = way_of(job, cuda, k) == EM_GEMV_ANY ? 0 : staged_bytes(job, k, job->m);
    return (size_t)warps * (size_t)k->ring + staged +
           ((size_t)(job->chunks * job->m * job->per_block) + EM_GEMV_WARPS) * sizeof(float);
}

/* Rows of weights to blocks, as few warps as take no more rounds. */
static void divide(em__gemv *job, const em__cuda *cuda, const kind *k)
{
    const int step = job->pair ? 2 * EM_GEMV_UNIT : EM_GEMV_UNIT;
    job->chunks = (uint16_t)em_gemv_cuts(job->depth, k->chunk);
    int waves = 1;
    do
        job->per_block = em_gemv_cuts(em_gemv_cuts(em_gemv_rows(*job), cuda->sms * waves++), step) * step;
    while (job->per_block > step && ((size_t)(job->chunks * job->m * job->per_block) * 4 > TABLE_BYTES ||
                                     shared_bytes(job, cuda, k, 1) > cuda->shared_bytes));
    const int units = job->per_block / EM_GEMV_UNIT * job->chunks;
    int most = EM_GEMV_WARPS;
    while (way_of(job, cuda, k) == EM_GEMV_ONE && most > EM_GEMV_WARPS / 2 &&
           shared_bytes(job, cuda, k, most) > BLOCK_BYTES)
        most--;
    while (most > 1 && shared_bytes(job, cuda, k, most) > cuda->shared_bytes)
        most--;
    job->warps = (uint8_t)em_gemv_cuts(units, em_gemv_cuts(units, most));
}

static bool lie_well(const em__gemv *job)
{
    uintptr_t all = (uintptr_t)job->x | (uintptr_t)job->gain, fours = 0;
    for (int i = 0; i < EM_GEMV_MATRICES; i++) {
        all |= (uintptr_t)job->weight[i];
        fours |= (uintptr_t)job->scales[i] | (uintptr_t)job->biases[i];
    }
    return all % 16 == 0 && fours % 4 == 0;
}

em_status em__gemv_run(em__cuda *cuda, em__gemv *job, const char *what)
{
    const kind *k = find_kind((em_dtype)job->weights);
    job->constant = em__cuda_early(cuda, job->constant);
    if (em__gemv_few_takes(cuda, job))
        return em__gemv_few_run(cuda, job, what);
    divide(job, cuda, k);
    void (*kernel)(const em__gemv) = k->kernel[way_of(job, cuda, k)][lie_well(job)];
    const size_t shared = shared_bytes(job, cuda, k, job->warps);
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes),
        what));
    return em_launch(cuda, what, kernel, (unsigned)em_gemv_cuts(em_gemv_rows(*job), job->per_block),
                     (unsigned)(job->warps * 32), shared, *job);
}

static int64_t rows_of(const em__tensor *t)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < t->spec.rank; i++)
        rows *= t->spec.dims[i];
    return rows;
}

static void set_x(em__gemv *job, const em__call *call)
{
    const em__tensor *x = &call->in[0];
    const int64_t m = rows_of(x);
    job->m = m <= EM_GEMV_MOST ? (uint8_t)m : 0;
    job->depth = (int)x->spec.dims[x->spec.rank - 1];
    job->x = x->data;
    job->x_dtype = (uint8_t)x->spec.dtype;
    job->out[0] = call->out.data;
    job->out_dtype = (uint8_t)call->out.spec.dtype;
    job->joined = true;
    job->activation = EM__OP_COPY;
}

static bool add_weight(em__gemv *job, int i, const em__tensor *w, bool constant)
{
    if (w->spec.dims[0] > (1 << 26) || w->spec.dims[1] > (1 << 26))
        return false;
    job->weight[i] = (const char *)w->data;
    job->weights = (uint8_t)w->spec.dtype;
    const int rows = (i ? job->end[i - 1] : 0) + (int)w->spec.dims[0];
    job->constant = constant && (i == 0 || job->constant);
    for (int j = i; j < EM_GEMV_MATRICES; j++)
        job->end[j] = rows;
    return true;
}

static bool is_constant(const em__call *call, int operand)
{
    return call->constant >> operand & 1;
}

/* x [..., k] by w [n, k]. */
static bool read_dot(const em__call *call, em__gemv *job)
{
    const em__dot dot = em__dot_decode(call->ints);
    const em__tensor *a = &call->in[0], *b = &call->in[1];
    if (dot.n_contract != 1 || dot.n_batch != 0 || b->spec.rank != 2 || dot.contract_b[0] != 1 ||
        dot.contract_a[0] != a->spec.rank - 1 || !em__tensor_is_contiguous(b))
        return false; /* a turned weight would be copied at every run; cuBLASLt takes it as it lies */
    set_x(job, call);
    return add_weight(job, 0, b, is_constant(call, 1));
}

static bool read_linear(const em__call *call, em__gemv *job)
{
    const int n = (int)call->ints[2], mask = (int)call->ints[1];
    if (n > EM_GEMV_MATRICES)
        return false;
    set_x(job, call);
    for (int i = 0; i < n; i++) {
        const int operand = em__linear_weight(call->ints, i);
        if (call->in[operand].spec.dtype != call->in[1].spec.dtype || !em__tensor_is_contiguous(&call->in[operand]) ||
            !add_weight(job, i, &call->in[operand], is_constant(call, operand)))
            return false;
    }
    for (int i = 2; i < 2 + (mask & 1) + (mask >> 1 & 1); i++) /* bias and residual are added unrounded */
        if (call->in[i].spec.dtype != EM_F32 || call->out.spec.dtype != EM_F32)
            return false;
    if (call->ints[0] != EM__OP_COPY && call->out.spec.dtype != EM_F32)
        return false;
    job->activation = (uint16_t)call->ints[0];
    job->bias = mask & 1 ? (const float *)call->in[2].data : NULL;
    job->residual = mask & 2 ? (const float *)call->in[mask & 1 ? 3 : 2].data : NULL;
    return true;
}

static bool read_quantized(const em__call *call, em__gemv *job)
{
    const em__quant quant = em__quant_decode(call->ints);
    if (quant.mode != EM_QUANT_AFFINE || quant.bits != 4 || !call->ints[3] || call->in[1].spec.rank != 2)
        return false;
    set_x(job, call);
    if (!add_weight(job, 0, &call->in[1], is_constant(call, 1) && is_constant(call, 2) && is_constant(call, 3)))
        return false;
    job->scales[0] = (const char *)call->in[2].data;
    job->biases[0] = (const char *)call->in[3].data;
    job->scale = (uint8_t)call->in[2].spec.dtype;
    job->shift = quant.group == 128 ? 7 : quant.group == 64 ? 6 : quant.group == 32 ? 5 : 0;
    return call->in[3].spec.dtype == call->in[2].spec.dtype;
}

bool em__gemv_read(const em__call *call, em__gemv *job)
{
    *job = {};
    if (call->n_in < 2 || call->in[0].spec.rank < 1)
        return false;
    switch (call->op) {
    case EM__OP_DOT_GENERAL: return read_dot(call, job);
    case EM__OP_FUSED_LINEAR: return read_linear(call, job);
    case EM__OP_QUANTIZED_MATMUL: return read_quantized(call, job);
    default: return false;
    }
}

bool em__gemv_add(em__gemv *job, int n, const em__gemv *more)
{
    if (n >= EM_GEMV_MATRICES || more->bias || more->residual || more->activation != EM__OP_COPY ||
        more->end[0] != em_gemv_rows(*more))
        return false;
    if (n == 0) {
        *job = *more;
        job->joined = false;
        return true;
    }
    if (more->weights != job->weights || more->scale != job->scale || more->shift != job->shift ||
        more->depth != job->depth || more->x != job->x || more->m != job->m || more->x_dtype != job->x_dtype ||
        more->out_dtype != job->out_dtype)
        return false;
    job->weight[n] = more->weight[0];
    job->scales[n] = more->scales[0];
    job->biases[n] = more->biases[0];
    job->out[n] = more->out[0];
    job->constant = job->constant && more->constant;
    const int rows = em_gemv_rows(*job) + em_gemv_rows(*more);
    for (int i = n; i < EM_GEMV_MATRICES; i++)
        job->end[i] = rows;
    return true;
}

bool em__gemv_add_residual(em__gemv *job, const em__call *product, const em__call *add)
{
    const em__tensor *other = job->residual ? NULL : em__cuda_added(product, add);
    if (!other)
        return false;
    job->residual = (const float *)other->data;
    job->out[0] = add->out.data;
    return true;
}

/* In how many turns the rows of x go through; 0: they are too many. */
static int turns_of(const em__cuda *cuda, const em__call *call, const em__gemv *job)
{
    const int64_t m = rows_of(&call->in[0]);
    const bool narrow = job->weights == EM_U32 || job->weights == EM_BF16 || job->weights == EM_F16;
    const bool exact = narrow && job->x_dtype == EM_F32 && job->out_dtype == EM_F32 && !call->half_products;
    const kind *k = find_kind((em_dtype)job->weights);
    if (!k || job->depth < 1 || job->depth > MOST_DEPTH || m > EM_GEMV_MOST * (exact ? MOST_TURNS : 1))
        return 0;
    return em_gemv_cuts((int)m, rows_at_once(job, cuda, k));
}

/* As evenly as they go. */
static em_status run_gemv(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em__gemv job;
    em__gemv_read(call, &job);
    const int64_t m = rows_of(&call->in[0]), width = call->out.spec.dims[call->out.spec.rank - 1];
    const int64_t x = (int64_t)em_dtype_size((em_dtype)job.x_dtype),
                  out = (int64_t)em_dtype_size((em_dtype)job.out_dtype);
    const int turns = turns_of(cuda, call, &job);
    for (int64_t i = 0; i < turns; i++) {
        const int64_t first = m * i / turns;
        em__gemv part = job;
        part.m = (uint8_t)(m * (i + 1) / turns - first);
        part.x = (const char *)job.x + first * job.depth * x;
        part.out[0] = (char *)job.out[0] + first * width * out;
        part.residual = job.residual ? job.residual + first * width : NULL;
        EM__TRY(em__gemv_run(cuda, &part, em__op_get(call->op)->name));
    }
    return EM_OK;
}

extern "C" bool em__cuda_prepare_gemv(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    em__gemv job;
    if (call->op != EM__OP_DOT_GENERAL && call->op != EM__OP_FUSED_LINEAR && call->op != EM__OP_QUANTIZED_MATMUL)
        return false;
    if (!em__gemv_read(call, &job))
        return false;
    if (turns_of(cuda, call, &job) > 1)
        job.m = EM_GEMV_MOST;
    if (!turns_of(cuda, call, &job) || !em__gemv_takes(&job))
        return false;
    plan->kernel = run_gemv;
    return true;
}
