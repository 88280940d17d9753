/*
 * Rows by index and rows by segment: TAKE along axis 0 of a row-major table (an embedding), and SEGMENT_POOL. Both move
 * whole rows, and a row is computed by one worker, so the thread count changes nothing.
 */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "device/cpu/cpu.h"

#define ROWS_PER_CHUNK 16

typedef struct take {
    const em__tensor *index;
    const char *table;
    char *out;
    int64_t count, limit, stride;
    size_t row;
} take;

static int64_t index_at(const em__tensor *index, int64_t i)
{
    if (index->spec.dtype == EM_S32)
        return ((const int32_t *)index->data)[i];
    return ((const int64_t *)index->data)[i];
}

static void take_rows(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const take *t = context;
    int64_t end = (chunk + 1) * ROWS_PER_CHUNK;
    for (int64_t i = chunk * ROWS_PER_CHUNK; i < (end < t->count ? end : t->count); i++) {
        int64_t at = index_at(t->index, i);
        at = at < 0 ? 0 : at >= t->limit ? t->limit - 1 : at;
        memcpy(t->out + (size_t)i * t->row, t->table + at * t->stride, t->row);
    }
}

static em_status run_take(em_device *device, const em__call *call)
{
    const em__tensor *table = &call->in[0];
    int64_t width = 1;
    for (int d = 1; d < table->spec.rank; d++)
        width *= table->spec.dims[d];
    size_t element = em_dtype_size(table->spec.dtype);
    take t = {.index = &call->in[1], .table = table->data, .out = call->out.data, .limit = table->spec.dims[0]};
    t.count = em__spec_size(&call->in[1].spec);
    t.row = (size_t)width * element;
    t.stride = width * (int64_t)element;
    if (t.row == 0)
        return EM_OK;
    em__pool_run(em__cpu_of(device)->pool, take_rows, &t, (t.count + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK);
    return EM_OK;
}

typedef struct segments {
    const float *x;
    float *out;
    const int32_t *offsets;
    int64_t tokens, columns, stride, offset_stride;
    em_pool pool;
} segments;

/* Sums in f32 in token order: one accumulator a column, the same for every batch. */
static void add_row(float *acc, const float *row, int64_t n, float weight)
{
    for (int64_t c = 0; c < n; c++)
        acc[c] += weight * row[c];
}

static void max_row(float *acc, const float *row, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        acc[c] = row[c] > acc[c] || row[c] != row[c] ? row[c] : acc[c];
}

static void pool_segment(void *context, int64_t s, int worker)
{
    (void)worker;
    const segments *p = context;
    int64_t from = p->offsets[s * p->offset_stride], to = p->offsets[(s + 1) * p->offset_stride], n = p->columns;
    float *out = p->out + s * n;
    from = from < 0 ? 0 : from > p->tokens ? p->tokens : from;
    to = to < from ? from : to > p->tokens ? p->tokens : to;
    memset(out, 0, (size_t)n * sizeof *out);
    if (from == to)
        return;
    if (p->pool == EM_POOL_CLS || p->pool == EM_POOL_LAST || p->pool == EM_POOL_MAX)
        memcpy(out, p->x + (p->pool == EM_POOL_LAST ? to - 1 : from) * p->stride, (size_t)n * sizeof *out);
    if (p->pool == EM_POOL_CLS || p->pool == EM_POOL_LAST)
        return;
    for (int64_t t = from; t < to; t++) {
        if (p->pool == EM_POOL_MAX)
            max_row(out, p->x + t * p->stride, n);
        else
            add_row(out, p->x + t * p->stride, n, p->pool == EM_POOL_WEIGHTED ? (float)(t - from + 1) : 1);
    }
    double count = (double)(to - from), sum = p->pool == EM_POOL_WEIGHTED ? count * (count + 1) / 2 : count;
    float divisor = (float)(p->pool == EM_POOL_MEAN_SQRT ? sqrt(count) : sum);
    for (int64_t c = 0; c < n && p->pool != EM_POOL_MAX; c++)
        out[c] /= divisor;
}

static em_status run_pool(em_device *device, const em__call *call)
{
    const em__tensor *x = &call->in[0], *offsets = &call->in[1];
    segments p = {.x = x->data, .out = call->out.data, .offsets = offsets->data, .pool = (em_pool)call->ints[0]};
    p.tokens = x->spec.dims[0];
    p.columns = x->spec.dims[1];
    p.stride = x->strides[0];
    p.offset_stride = offsets->strides[0];
    em__pool_run(em__cpu_of(device)->pool, pool_segment, &p, offsets->spec.dims[0] - 1);
    return EM_OK;
}

bool em__cpu_prepare_gather(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu;
    const em__tensor *x = &call->in[0];
    if (call->op == EM__OP_SEGMENT_POOL && x->spec.dtype == EM_F32) {
        *plan = (em__plan){.kernel = run_pool, .strided = 2};
        return true;
    }
    bool index = call->op == EM__OP_TAKE && (call->in[1].spec.dtype == EM_S32 || call->in[1].spec.dtype == EM_S64);
    /* A table that would have to be copied first is left to the general path. */
    if (!index || call->ints[0] != 0 || !em__tensor_is_contiguous(x))
        return false;
    *plan = (em__plan){.kernel = run_take};
    return true;
}
