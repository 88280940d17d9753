/* Rows by segment: SEGMENT_POOL. A segment is computed by one worker, so the thread count changes nothing. */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "device/cpu/families.h"

#define STRIP 64 /* columns of which the sums are in the first cache */

typedef struct segments {
    const float *x;
    float *out;
    const int32_t *offsets;
    int64_t tokens, columns, stride, offset_stride;
    em_pool pool;
} segments;

/* What a sum is divided by. */
static double divisor_of(em_pool pool, int64_t tokens)
{
    const double count = (double)tokens;
    return pool == EM_POOL_WEIGHTED ? count * (count + 1) / 2 : pool == EM_POOL_MEAN_SQRT ? sqrt(count) : count;
}

/* Columns [column, column + n) of the mean of tokens [from, to): in f64, in token order, the same for every batch. In
 * f32 the error of a long text would show beside that of all its layers. */
static void mean_columns(const segments *p, float *out, int64_t from, int64_t to, int64_t column, int64_t n)
{
    double acc[STRIP] = {0};
    for (int64_t t = from; t < to; t++) {
        const float *row = p->x + t * p->stride + column;
        const double weight = p->pool == EM_POOL_WEIGHTED ? (double)(t - from + 1) : 1;
        for (int64_t c = 0; c < n; c++)
            acc[c] += weight * (double)row[c];
    }
    const double divisor = divisor_of(p->pool, to - from);
    for (int64_t c = 0; c < n; c++)
        out[column + c] = (float)(acc[c] / divisor);
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
    for (int64_t t = from; t < to && p->pool == EM_POOL_MAX; t++)
        max_row(out, p->x + t * p->stride, n);
    for (int64_t c = 0; c < n && p->pool != EM_POOL_MAX; c += STRIP)
        mean_columns(p, out, from, to, c, n - c < STRIP ? n - c : STRIP);
}

static em_status run_pool(em_device *device, const em__call *call)
{
    const em__tensor *x = &call->in[0], *offsets = &call->in[1];
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    segments p = {.x = x->data, .out = call->out.data, .offsets = offsets->data, .pool = (em_pool)call->ints[0]};
    p.tokens = x->spec.dims[0];
    p.columns = x->spec.dims[1];
    p.stride = x->strides[0];
    p.offset_stride = offsets->strides[0];
    em__pool_run(em__cpu_of(device)->pool, pool_segment, &p, offsets->spec.dims[0] - 1);
    return EM_OK;
}

bool em__cpu_prepare_segments(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu;
    *plan = (em__plan){.kernel = run_pool, .strided = 2};
    return call->op == EM__OP_SEGMENT_POOL && call->in[0].spec.dtype == EM_F32;
}
