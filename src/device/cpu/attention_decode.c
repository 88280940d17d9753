/*
 * Attention of few queries over many keys, as a model decodes: bound by reading keys and values, which are read as
 * they lie, once for all query heads that share them.
 *
 * Keys are cut into chunks of a fixed number. A task is one chunk of one key head: scores, softmax and sums of
 * values of all its rows; a second loop puts the chunks of each row together, in order. So nothing depends on the
 * thread count.
 */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "device/cpu/attention_kernels.h"

#define CHUNK 256
#define PAD 16

typedef struct decode {
    const em__attention_kernels *kernels;
    const em__decode_kernels *typed, *cached; /* of q and out, of k and v */
    em__pool *pool;
    const em__attention_args *args;
    int64_t element, cache_element;        /* bytes */
    int64_t group, rows, chunks;           /* query heads of a key head, rows of a task, chunks of all keys */
    int64_t q_stride, out_stride, partial; /* floats of a query, of a sum of values, of a partial result */
    float *partials;                       /* [batch, kv_heads, chunks, rows]: maximum, sum, PAD - 2 unused, values */
} decode;

static int64_t round_up(int64_t x, int64_t to)
{
    return (x + to - 1) / to * to;
}

static decode plan_of(const em__attention_args *args)
{
    decode d = {.args = args, .group = args->heads / args->kv_heads};
    d.rows = d.group * args->queries;
    d.chunks = (args->keys + CHUNK - 1) / CHUNK;
    d.q_stride = round_up(args->head_dim, EM__ATTENTION_LANES);
    d.out_stride = round_up(args->value_dim, EM__ATTENTION_LANES * 4);
    d.partial = PAD + d.out_stride;
    return d;
}

bool em__attention_decodes(const em__attention_args *args)
{
    int64_t group = args->heads / args->kv_heads;
    return !args->offsets && !args->relative && args->queries * group <= 32 && args->queries <= 8 && args->keys >= 16;
}

size_t em__attention_decode_scratch(const em__attention_args *args)
{
    decode d = plan_of(args);
    return (size_t)(args->batch * args->kv_heads * d.chunks * d.rows * d.partial) * sizeof(float);
}

size_t em__attention_decode_worker(const em__attention_args *args)
{
    decode d = plan_of(args);
    return (size_t)(d.rows * (d.q_stride + CHUNK + PAD) + CHUNK + PAD) * sizeof(float);
}

/* One head of a sequence: query i of it is row i. */
static em__attention_place place_of(const decode *d, int64_t batch, int64_t head)
{
    const em__attention_args *args = d->args;
    em__attention_place at = {batch, head, args->queries, args->keys};
    if (args->lengths) {
        int64_t n = args->lengths[batch * args->length_stride];
        at.keys = n < 0 ? 0 : n < at.keys ? n : at.keys;
    }
    return at;
}

/* The softmax of one row's n scores, of keys [first, first + n). */
static void soften(const decode *d, const em__attention_place *at, int64_t query, float *scores, int64_t first,
                   int64_t n, float *add, em__softmax_state *state)
{
    const em__attention_args *args = d->args;
    int64_t seen = em__attention_end(args, at, query) - first;
    float scale = args->scale;
    seen = seen < 0 ? 0 : seen < n ? seen : n;
    const float *added = seen > 0 ? em__attention_addend(args, at, query, first, seen, add) : NULL;
    if (args->softcap != 0) {
        d->kernels->cap(scores, seen, scale / args->softcap, args->softcap);
        scale = 1;
    }
    d->kernels->softmax(scores, added, seen, n, scale, state);
}

static void run_chunk(void *context, int64_t index, int worker)
{
    const decode *d = context;
    const em__attention_args *args = d->args;
    const int64_t chunk = index % d->chunks, kv = index / d->chunks % args->kv_heads;
    const int64_t batch = index / d->chunks / args->kv_heads, first = chunk * CHUNK, stride = CHUNK + PAD;
    float *q = em__pool_scratch(d->pool, worker), *scores = q + d->rows * d->q_stride, *add = scores + d->rows * stride;
    float *partial = d->partials + index * d->rows * d->partial;
    const em__attention_place at = place_of(d, batch, kv * d->group);
    const int64_t n = at.keys - first < CHUNK ? at.keys - first : CHUNK;
    const char *k = (const char *)args->k.data +
                    (batch * args->k.batch + kv * args->k.head + first * args->k.token) * d->cache_element;
    const char *v = (const char *)args->v.data +
                    (batch * args->v.batch + kv * args->v.head + first * args->v.token) * d->cache_element;
    for (int64_t r = 0; r < d->rows; r++) {
        int64_t head = kv * d->group + r / args->queries, query = r % args->queries;
        int64_t from = batch * args->q.batch + head * args->q.head + query * args->q.token;
        memset(q + r * d->q_stride, 0, (size_t)d->q_stride * sizeof *q);
        d->typed->widen(q + r * d->q_stride, (const char *)args->q.data + from * d->element, args->head_dim);
    }
    for (int64_t r = 0; r < d->rows && n > 0; r += EM__DECODE_ROWS) {
        int rows = d->rows - r < EM__DECODE_ROWS ? (int)(d->rows - r) : EM__DECODE_ROWS;
        d->cached->scores(scores + r * stride, stride, q + r * d->q_stride, d->q_stride, rows, k, args->k.token, n,
                          args->head_dim);
    }
    for (int64_t r = 0; r < d->rows; r++) {
        em__softmax_state state = {.maximum = -INFINITY};
        em__attention_place own = at;
        own.head += r / args->queries;
        if (n > 0)
            soften(d, &own, r % args->queries, scores + r * stride, first, n, add, &state);
        memcpy(partial + r * d->partial, &state, sizeof state);
    }
    for (int64_t r = 0; r < d->rows && n > 0; r += EM__DECODE_ROWS) {
        int rows = d->rows - r < EM__DECODE_ROWS ? (int)(d->rows - r) : EM__DECODE_ROWS;
        d->cached->values(partial + r * d->partial + PAD, d->partial, scores + r * stride, stride, rows, v,
                          args->v.token, n, args->value_dim);
    }
}

/* All chunks of one row, in order. The first one's sum becomes the result's. */
static void run_merge(void *context, int64_t index, int worker)
{
    (void)worker;
    const decode *d = context;
    const em__attention_args *args = d->args;
    const int64_t query = index % args->queries, head = index / args->queries % args->heads;
    const int64_t batch = index / args->queries / args->heads, step = d->rows * d->partial;
    const int64_t row = head % d->group * args->queries + query;
    float *first = d->partials + (batch * args->kv_heads + head / d->group) * d->chunks * step + row * d->partial;
    em__softmax_state state;
    float top = args->sinks ? args->sinks[head] : -INFINITY, sum, *total = first + PAD;
    const em__attention_place at = place_of(d, batch, head);
    const int64_t chunks = (at.keys + CHUNK - 1) / CHUNK;
    for (int64_t c = 0; c < chunks; c++) {
        memcpy(&state, first + c * step, sizeof state);
        top = state.maximum > top || isnan(state.maximum) ? state.maximum : top;
    }
    const float finite = top == -INFINITY ? 0 : top;
    sum = args->sinks ? expf(args->sinks[head] - finite) : 0;
    for (int64_t c = 0; c < chunks; c++) {
        memcpy(&state, first + c * step, sizeof state);
        float by = state.sum == 0 ? 0 : expf(state.maximum - finite);
        sum += state.sum * by;
        if (c == 0)
            d->kernels->scale(total, total, by, args->value_dim);
        else if (by != 0)
            d->kernels->add(total, first + c * step + PAD, by, args->value_dim);
    }
    if (chunks == 0)
        memset(total, 0, (size_t)args->value_dim * sizeof *total);
    d->kernels->scale(total, total, sum == 0 ? 0 : 1 / sum, args->value_dim);
    int64_t to = batch * args->out_batch + head * args->out_head + query * args->out_token;
    d->typed->narrow((char *)args->out + to * d->element, total, args->value_dim);
}

em_status em__attention_decode(const em__attention_kernels *kernels, em__pool *pool, const em__attention_args *args,
                               float *scratch)
{
    decode d = plan_of(args);
    d.kernels = kernels;
    d.typed = &kernels->decode[args->dtype];
    d.cached = &kernels->decode[args->cache];
    d.pool = pool;
    d.element = (int64_t)em_dtype_size(args->dtype);
    d.cache_element = (int64_t)em_dtype_size(args->cache);
    d.partials = scratch;
    if (args->batch * args->heads * args->queries <= 0)
        return EM_OK;
    EM__TRY(em__pool_reserve(pool, em__attention_decode_worker(args)));
    em__pool_run(pool, run_chunk, &d, args->batch * args->kv_heads * d.chunks);
    em__pool_run(pool, run_merge, &d, args->batch * args->heads * args->queries);
    return EM_OK;
}
