/*
 * Attention of few queries over many keys, as a model decodes: bound by reading keys and values, which are read as
 * they lie, once for all query heads that share them.
 *
 * Keys are cut into chunks of a fixed number. A task is one chunk of one key head: scores, softmax and sums of
 * values of all its rows. Who finishes the last chunk of a key head puts the chunks of each row together, in order. So
 * nothing depends on the thread count. Only chunks with keys that exist and that some query sees are tasks: the room of
 * a cache costs nothing.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/attention_kernels.h"

#define CHUNK 256
#define PAD 16
#define RUN 32 /* keys that all rows are done with while they are in the first cache */

typedef struct decode {
    const em__attention_kernels *kernels;
    const em__decode_kernels *typed, *cached; /* of q and out, of k and v */
    em__pool *pool;
    const em__attention_args *args;
    int64_t element, cache_element;        /* bytes */
    int64_t group, rows, chunks;           /* query heads of a key head, rows of a task, most chunks of a sequence */
    int64_t q_stride, out_stride, partial; /* floats of a query, of a sum of values, of a partial result */
    atomic_int *left;                      /* [batch, kv_heads]: chunks that are not done */
    float *partials;                       /* [batch, kv_heads, chunks, rows]: maximum, sum, PAD - 2 unused, values */
} decode;

/* The chunks of a sequence, at least one, and the keys in them. */
typedef struct decode_span {
    int64_t first, end; /* of the keys that its queries see */
    int64_t chunk, chunks;
} decode_span;

static decode plan_of(const em__attention_args *args)
{
    decode d = {.args = args, .group = args->heads / args->kv_heads};
    d.rows = d.group * args->queries;
    d.chunks = (args->keys + CHUNK - 1) / CHUNK;
    d.q_stride = em__round_up(em__max(1, args->head_dim), EM__ATTENTION_LANES); /* zeros lie behind each query */
    d.out_stride = em__round_up(args->value_dim, EM__ATTENTION_LANES);
    d.partial = PAD + d.out_stride;
    return d;
}

/* Floats of the counters. */
static int64_t counters(const em__attention_args *args)
{
    return em__round_up(args->batch * args->kv_heads, EM__ATTENTION_LANES);
}

bool em__attention_decodes(const em__attention_args *args)
{
    int64_t group = args->heads / args->kv_heads;
    return !args->offsets && !args->relative && args->queries * group <= 32 && args->queries <= 8 && args->keys >= 16;
}

size_t em__attention_decode_scratch(const em__attention_args *args)
{
    decode d = plan_of(args);
    const int64_t partials = args->batch * args->kv_heads * d.chunks * d.rows * d.partial;
    return (size_t)(counters(args) + partials) * sizeof(float);
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
    if (args->lengths)
        at.keys = em__max(0, em__min(at.keys, args->lengths[batch * args->length_stride]));
    return at;
}

static decode_span span_of(const decode *d, int64_t batch)
{
    const em__attention_place at = place_of(d, batch, 0);
    decode_span span = {.first = em__attention_first(d->args, &at, 0)};
    span.end = em__max(span.first, em__attention_end(d->args, &at, at.queries - 1));
    span.chunk = span.first / CHUNK;
    span.chunks = em__max(1, (span.end + CHUNK - 1) / CHUNK - span.chunk);
    return span;
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

/* The queries of a key head as f32, and their number of zeros behind them. */
static void load_queries(const decode *d, int64_t batch, int64_t kv, float *q)
{
    const em__attention_args *args = d->args;
    for (int64_t r = 0; r < d->rows; r++) {
        const int64_t head = kv * d->group + r / args->queries, query = r % args->queries;
        const int64_t from = batch * args->q.batch + head * args->q.head + query * args->q.token;
        memset(q + (r + 1) * d->q_stride - EM__ATTENTION_LANES, 0, EM__ATTENTION_LANES * sizeof *q);
        d->typed->widen(q + r * d->q_stride, (const char *)args->q.data + from * d->element, args->head_dim);
    }
}

/* Element 0 of token `token` of a key head. */
static const char *token_of(const decode *d, const em__attention_operand *x, int64_t batch, int64_t kv, int64_t token)
{
    return (const char *)x->data + (batch * x->batch + kv * x->head + token * x->token) * d->cache_element;
}

/* All chunks of one row, in order. The first one's sum becomes the result's. */
static void merge_row(const decode *d, int64_t batch, int64_t head, int64_t query, int64_t chunks)
{
    const em__attention_args *args = d->args;
    const int64_t step = d->rows * d->partial, row = head % d->group * args->queries + query;
    float *first = d->partials + (batch * args->kv_heads + head / d->group) * d->chunks * step + row * d->partial;
    em__softmax_state state;
    float top = args->sinks ? args->sinks[head] : -INFINITY, sum, *total = first + PAD;
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
    d->kernels->scale(total, total, sum == 0 ? 0 : 1 / sum, args->value_dim);
    int64_t to = batch * args->out_batch + head * args->out_head + query * args->out_token;
    d->typed->narrow((char *)args->out + to * d->element, total, args->value_dim);
}

/* A task: one chunk of a key head. */
typedef struct decode_task {
    int64_t batch, kv, first, n; /* keys [first, first + n) */
    em__decode_ahead next;       /* the keys of the task after it */
} decode_task;

static em__decode_ahead ahead_of(const decode *d, const em__attention_operand *x, int64_t batch, int64_t kv,
                                 int64_t token, int64_t dim)
{
    const char *from = token_of(d, x, batch, kv, token);
    return (em__decode_ahead){from, x->token * d->cache_element, dim * d->cache_element};
}

static void run_scores(const decode *d, const decode_task *t, const float *q, float *scores)
{
    const em__attention_args *args = d->args;
    const int64_t stride = CHUNK + PAD, run = d->rows > EM__DECODE_ROWS ? RUN : CHUNK;
    const char *k = token_of(d, &args->k, t->batch, t->kv, t->first);
    for (int64_t j = 0; j < t->n; j += run) {
        em__decode_ahead ahead = ahead_of(d, &args->v, t->batch, t->kv, t->first + j, args->value_dim);
        for (int64_t r = 0; r < d->rows; r += EM__DECODE_ROWS) {
            d->cached->scores(scores + r * stride + j, stride, q + r * d->q_stride, d->q_stride,
                              (int)em__min(EM__DECODE_ROWS, d->rows - r), k + j * args->k.token * d->cache_element,
                              args->k.token, em__min(run, t->n - j), args->head_dim, ahead);
            ahead.from = NULL;
        }
    }
}

/* Scores, softmax and sums of values into `partial`. */
static void run_task(const decode *d, const decode_task *t, float *q, float *partial)
{
    const em__attention_args *args = d->args;
    const int64_t stride = CHUNK + PAD;
    float *scores = q + d->rows * d->q_stride, *add = scores + d->rows * stride;
    const char *v = token_of(d, &args->v, t->batch, t->kv, t->first);
    const float *k_scales = em__attention_scales_of(&args->k_scales, t->batch, t->kv);
    const float *v_scales = em__attention_scales_of(&args->v_scales, t->batch, t->kv);
    em__decode_ahead ahead = t->next;
    load_queries(d, t->batch, t->kv, q);
    run_scores(d, t, q, scores);
    for (int64_t r = 0; r < d->rows; r++) {
        em__softmax_state state = {.maximum = -INFINITY};
        em__attention_place at = place_of(d, t->batch, t->kv * d->group + r / args->queries);
        if (k_scales)
            d->kernels->multiply(scores + r * stride, k_scales + t->first, t->n);
        soften(d, &at, r % args->queries, scores + r * stride, t->first, t->n, add, &state);
        if (v_scales)
            d->kernels->multiply(scores + r * stride, v_scales + t->first, t->n);
        memcpy(partial + r * d->partial, &state, sizeof state);
    }
    for (int64_t r = 0; r < d->rows; r += EM__DECODE_ROWS) {
        d->cached->values(partial + r * d->partial + PAD, d->partial, scores + r * stride, stride,
                          (int)em__min(EM__DECODE_ROWS, d->rows - r), v, args->v.token, t->n, args->value_dim, ahead);
        ahead.from = NULL;
    }
}

static void run_chunk(void *context, int64_t index, int worker)
{
    const decode *d = context;
    const em__attention_args *args = d->args;
    const int64_t chunk = index % d->chunks, place = index / d->chunks;
    decode_task task = {.kv = place % args->kv_heads, .batch = place / args->kv_heads};
    const decode_span span = span_of(d, task.batch);
    if (chunk >= span.chunks)
        return;
    task.first = em__max(span.first, (span.chunk + chunk) * CHUNK);
    task.n = em__min(span.end, (span.chunk + chunk + 1) * CHUNK) - task.first;
    if (chunk + 1 < span.chunks && span.end - task.first >= 2 * task.n)
        task.next = ahead_of(d, &args->k, task.batch, task.kv, task.first + task.n, args->head_dim);
    else if (chunk + 1 == span.chunks && task.kv + 1 < args->kv_heads && span.end - span.first >= task.n)
        task.next = ahead_of(d, &args->k, task.batch, task.kv + 1, span.first, args->head_dim);
    run_task(d, &task, em__pool_scratch(d->pool, worker), d->partials + index * d->rows * d->partial);
    if (span.chunks > 1 && atomic_fetch_sub_explicit(&d->left[place], 1, memory_order_acq_rel) > 1)
        return;
    for (int64_t r = 0; r < d->rows; r++)
        merge_row(d, task.batch, task.kv * d->group + r / args->queries, r % args->queries, span.chunks);
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
    d.chunks = 1;
    if (args->batch * args->heads * args->queries * args->value_dim <= 0)
        return EM_OK;
    d.left = (atomic_int *)(void *)scratch;
    d.partials = scratch + counters(args);
    EM__TRY(em__pool_reserve(pool, em__attention_decode_worker(args)));
    for (int64_t b = 0; b < args->batch; b++) {
        const int64_t chunks = span_of(&d, b).chunks;
        d.chunks = em__max(d.chunks, chunks);
        for (int64_t h = 0; h < args->kv_heads; h++)
            atomic_init(&d.left[b * args->kv_heads + h], (int)chunks);
    }
    em__pool_run(pool, run_chunk, &d, args->batch * args->kv_heads * d.chunks);
    return EM_OK;
}
