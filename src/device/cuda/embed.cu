/*
 * What an encoder begins with: rows of two or three tables that ids name, their sum and its layer norm, a warp a token.
 * Sums round where the ops alone would round: (words + types) + positions, the last one unrounded into the norm.
 */
#include "device/cuda/early.h"
#include "device/cuda/encoder.h"
#include "device/cuda/merge.h"
#include "device/cuda/rows.cuh"

extern "C" {
#include "device/index.h"
#include "ops/chain.h"
}

namespace
{

enum { THREADS = 128, WARPS = THREADS / 32, MOST_TABLES = 3, WIDEST = 1024, MOST_CALLS = 8 };

struct term {
    const void *table;
    const int32_t *ids;
    int64_t step; /* elements from row to row */
    int rows;
};

/* What some of the calls have made: one term, or the rounded sum of two. */
struct value {
    const void *at;
    em_dtype table; /* dtype of its tables */
    int n;
    term terms[2];
};

struct embedding {
    term terms[MOST_TABLES]; /* (0 + 1) + 2 */
    int n;
    int64_t tokens;
    int width;
    const void *gain, *bias;
    void *out;
    float eps;
    em_dtype table, dtype;
    bool ready; /* gain and bias may be read before the kernels before have ended */
};

template <typename T> struct alignas(4 * sizeof(T)) four {
    T at[4];
};

/* TABLE: what tables hold; T: what they are cast to; FOURS: how many times 4 elements a lane has. */
template <typename TABLE, typename T, int FOURS>
__global__ void __launch_bounds__(THREADS) embed_kernel(const __grid_constant__ embedding e)
{
    const int64_t token = blockIdx.x * (int64_t)WARPS + threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    four<T> gain[FOURS], bias[FOURS];
    four<TABLE> rows[MOST_TABLES][FOURS];
    float v[FOURS][4], sum = 0, squares = 0;
    em_grid_next();
    if (!e.ready)
        em_grid_wait();
#pragma unroll
    for (int p = 0; p < FOURS; p++)
        if (p * 128 + lane * 4 < e.width) {
            gain[p] = *((const four<T> *)e.gain + p * 32 + lane);
            bias[p] = *((const four<T> *)e.bias + p * 32 + lane);
        }
    em_grid_wait();
    if (token >= e.tokens)
        return;
#pragma unroll
    for (int i = 0; i < MOST_TABLES; i++) {
        const term &t = e.terms[i];
        if (i >= e.n)
            continue;
        const TABLE *row = (const TABLE *)t.table + em__index_clamp(t.ids[token], t.rows) * t.step;
#pragma unroll
        for (int p = 0; p < FOURS; p++)
            if (p * 128 + lane * 4 < e.width)
                rows[i][p] = *((const four<TABLE> *)row + p * 32 + lane);
    }
#pragma unroll
    for (int p = 0; p < FOURS; p++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float x = (float)(T)rows[0][p].at[j];
            if (e.n == 3)
                x = (float)(T)(x + (float)(T)rows[2][p].at[j]);
            v[p][j] = p * 128 + lane * 4 < e.width ? x + (float)(T)rows[1][p].at[j] : 0.0f;
            sum += v[p][j];
        }
    const float mean = em_lanes_sum(sum, 32) / (float)e.width;
#pragma unroll
    for (int p = 0; p < FOURS; p++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            v[p][j] = p * 128 + lane * 4 < e.width ? v[p][j] - mean : 0.0f;
            squares += v[p][j] * v[p][j];
        }
    const float scale = 1 / sqrtf(em_lanes_sum(squares, 32) / (float)e.width + e.eps);
#pragma unroll
    for (int p = 0; p < FOURS; p++) {
        four<T> to;
#pragma unroll
        for (int j = 0; j < 4; j++)
            to.at[j] = (T)(v[p][j] * scale * (float)gain[p].at[j] + (float)bias[p].at[j]);
        if (p * 128 + lane * 4 < e.width)
            *((four<T> *)((T *)e.out + token * e.width) + p * 32 + lane) = to;
    }
}

template <typename TABLE, typename T> em_status launch(em__cuda *cuda, const embedding &e)
{
    auto kernel = e.width <= 384 ? embed_kernel<TABLE, T, 3> : embed_kernel<TABLE, T, 8>;
    return em_launch(cuda, "embedding", kernel, em_blocks(e.tokens, WARPS), THREADS, 0, e);
}

typedef em_status (*launch_fn)(em__cuda *cuda, const embedding &e);

/* NULL: none. */
launch_fn launcher(const embedding &e)
{
    switch (e.dtype) {
    case EM_F32: return e.table == EM_F32 ? launch<float, float> : NULL;
    case EM_BF16:
        return e.table == EM_F32    ? launch<float, __nv_bfloat16>
               : e.table == EM_BF16 ? launch<__nv_bfloat16, __nv_bfloat16>
                                    : NULL;
    case EM_F16: return e.table == EM_F32 ? launch<float, __half> : e.table == EM_F16 ? launch<__half, __half> : NULL;
    default: return NULL;
    }
}

struct reader {
    value values[MOST_CALLS];
    int n;
};

value *find(reader *r, const em__tensor *t)
{
    for (int i = r->n - 1; i >= 0; i--)
        if (r->values[i].at == t->data)
            return em__tensor_is_contiguous(t) ? &r->values[i] : NULL;
    return NULL;
}

/* Rows of a constant table that lie well. */
bool read_take(reader *r, const em__call *call)
{
    const em__tensor *table = &call->in[0], *ids = &call->in[1];
    const int64_t row = table->strides[0] * (int64_t)em_dtype_size(table->spec.dtype);
    if (call->ints[0] != 0 || table->spec.rank != 2 || table->strides[1] != 1 || row % 16 != 0 ||
        table->spec.dims[0] > INT32_MAX || table->spec.dims[0] < 1 || !(call->constant & 1) ||
        (uintptr_t)table->data % 16 != 0 || ids->spec.dtype != EM_S32 || !em__tensor_is_contiguous(ids))
        return false;
    const term t = {table->data, (const int32_t *)ids->data, table->strides[0], (int)table->spec.dims[0]};
    r->values[r->n++] = {call->out.data, table->spec.dtype, 1, {t}};
    return true;
}

bool read_cast(reader *r, const em__call *call)
{
    value *x = find(r, &call->in[0]);
    if (!x || x->n != 1)
        return false;
    value cast = *x;
    cast.at = call->out.data;
    r->values[r->n++] = cast;
    return true;
}

bool read_add(reader *r, const em__call *call)
{
    value *a = find(r, &call->in[0]), *b = find(r, &call->in[1]);
    if (!a || !b || a->n != 1 || b->n != 1 || a->table != b->table)
        return false;
    r->values[r->n++] = {call->out.data, a->table, 2, {a->terms[0], b->terms[0]}};
    return true;
}

/* Casts of both operands, and their sum. */
bool read_chain(reader *r, const em__call *call)
{
    em__chain chain;
    if (call->n_in != 2)
        return false;
    const em__spec *specs[] = {&call->in[0].spec, &call->in[1].spec};
    em__chain_read(call->ints, specs, &chain);
    const em__chain_step *steps = chain.steps;
    if (chain.n_steps != 3 || steps[0].op != EM__OP_CAST || steps[1].op != EM__OP_CAST || steps[2].op != EM__OP_ADD ||
        steps[0].in[0] + steps[1].in[0] != 1 || steps[0].to != call->out.spec.dtype || steps[1].to != steps[0].to ||
        steps[2].to != steps[0].to || steps[2].in[0] == steps[2].in[1] || !em__spec_equal(specs[0], specs[1]))
        return false;
    return read_add(r, call);
}

bool read_norm(reader *r, const em__call *call, embedding *e)
{
    value *x = find(r, &call->in[0]), *y = find(r, &call->in[1]);
    const em__spec *out = &call->out.spec;
    if (!x || !y || (call->ints[0] & 3) != 3 || x->table != y->table)
        return false;
    if (x->n < y->n) {
        value *swap = x;
        x = y;
        y = swap;
    }
    *e = {};
    e->n = x->n + y->n;
    e->terms[0] = x->terms[0];
    e->terms[1] = y->terms[0];
    e->terms[2] = x->terms[1];
    e->width = (int)out->dims[out->rank - 1];
    e->tokens = em__spec_size(out) / (e->width ? e->width : 1);
    e->gain = call->in[2].data;
    e->bias = call->in[3].data;
    e->out = call->out.data;
    e->eps = (float)call->floats[0];
    e->table = x->table;
    e->dtype = out->dtype;
    return y->n == 1 && launcher(*e) && e->width % 8 == 0 && e->width > 0 && e->width <= WIDEST && e->tokens > 0 &&
           (call->constant >> 2 & 3) == 3 && call->in[2].strides[0] == 1 && call->in[3].strides[0] == 1 &&
           ((uintptr_t)e->gain | (uintptr_t)e->bias) % 16 == 0;
}

/* How many of the calls are the beginning of an encoder: 0 for none. */
size_t read(em__call *const *calls, size_t n, embedding *e)
{
    reader r = {};
    for (size_t i = 0; i < n && i < (size_t)MOST_CALLS; i++) {
        const em__call *call = calls[i];
        bool fits = false;
        switch (call->op) {
        case EM__OP_TAKE: fits = read_take(&r, call); break;
        case EM__OP_CAST: fits = read_cast(&r, call); break;
        case EM__OP_ADD: fits = read_add(&r, call); break;
        case EM__OP_FUSED_CHAIN: fits = read_chain(&r, call); break;
        case EM__OP_FUSED_LAYER_NORM: return read_norm(&r, call, e) ? i + 1 : 0;
        default: break;
        }
        if (!fits)
            return 0;
    }
    return 0;
}

em_status run(em_device *device, const em__call *call)
{
    embedding e;
    EM__FAIL_IF(read(call->merged, MOST_CALLS, &e) == 0, EM_ERROR_INTERNAL, "a merged embedding is not what it was");
    e.ready = em__cuda_early(em__cuda_of(device), true);
    return launcher(e)(em__cuda_of(device), e);
}

} // namespace

extern "C" size_t em__cuda_merge_embedding(const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    em__call *list[MOST_CALLS];
    embedding e;
    for (size_t i = 0; i < n && i < (size_t)MOST_CALLS; i++)
        list[i] = calls[i].call;
    const size_t taken = read(list, n, &e);
    *kernel = run;
    return em__cuda_hides(calls, taken) ? taken : 0;
}
