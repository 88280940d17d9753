/*
 * Sort and argsort: many short rows side by side in a sorting network, a row a lane; longer ones by quicksort where the
 * level has one (order_quick.c) or by radix, a row a worker; long ones one after another, each on all workers. Shapes
 * alone choose.
 */
#include "device/cpu/order.h"

#include <pthread.h>
#include <string.h>

#include "core/error.h"
#include "device/cpu/order_rows.h"

#define LONG_ROW ((int64_t)1 << 16) /* elements from which a row is sorted by all workers, */
#define LONE_ROW ((int64_t)1 << 15) /* if it is the only one */
#define ENCODE ((int64_t)1 << 14)   /* elements that become keys at a time */
#define QUICK_ROW 32                /* elements from which a row is sorted alone, where there is quicksort */
#define PAD 64

static em__order best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__order_init(em__order *kernels, em__cpu_level level)
{
    em__order_fill_portable(kernels);
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX512)
        em__order_fill_avx512(kernels);
    else if (level >= EM__CPU_AVX2)
        em__order_fill_avx2(kernels);
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__order_init(&best, em__cpu_get()->level);
}

const em__order *em__order_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

static size_t align(size_t bytes)
{
    return (bytes + PAD - 1) / PAD * PAD;
}

int em__order_lanes(const em__order_job *job, bool indices)
{
    int lanes = indices || job->wide ? job->kernels->lanes64 : job->kernels->lanes32;
    int64_t most = job->kernels->lanes32 * 64;
    return job->n > most || 2 * job->rows < lanes || job->n < 2 ? 0 : lanes;
}

/* Scratch of one row sorted by radix: keys, then keys or items, then indices, then counters. */
typedef struct parts {
    size_t keys, second, order, counters, all;
} parts;

static parts row_parts(const em__order_job *job, bool indices, int blocks)
{
    size_t n = (size_t)job->n, key = job->wide ? 8 : 4;
    parts p = {.keys = 0, .second = align(n * key)};
    p.order = p.second + align(n * (indices ? 16 : key));
    p.counters = p.order + (indices && job->stride != 1 ? align(n * 8) : 0);
    p.all = p.counters + align(em__radix_counters(job->n, blocks));
    return p;
}

typedef struct encoding {
    const em__order_job *job;
    const char *row;
    char *keys;
    uint64_t base;
    em__row_keys result;
} encoding;

static void encode_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    encoding *e = context;
    int64_t from = chunk * ENCODE, count = e->job->n - from < ENCODE ? e->job->n - from : ENCODE;
    em__row_keys r = em__order_encode(e->job, e->row, from, count, e->keys + from * (e->job->wide ? 8 : 4), e->base);
    __atomic_fetch_or(&e->result.vary, r.vary, __ATOMIC_RELAXED);
    if (r.special)
        __atomic_store_n(&e->result.special, true, __ATOMIC_RELAXED);
}

typedef struct decoding {
    const em__order_job *job;
    char *keys, *out;
} decoding;

static void decode_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const decoding *d = context;
    int64_t from = chunk * ENCODE, count = d->job->n - from < ENCODE ? d->job->n - from : ENCODE;
    em__order_decode(d->job, d->keys + from * (d->job->wide ? 8 : 4), count,
                     d->out + from * d->job->stride * (int64_t)d->job->size);
}

size_t em__order_argsort_bytes(const em__order_job *job, int blocks)
{
    return row_parts(job, true, blocks).all;
}

/* Keys of the row at the front of scratch, and what they are like. */
static em__row_keys encode_row(const em__order_job *job, em__pool *pool, const char *row, char *keys)
{
    encoding e = {job, row, keys, em__order_base(job, row), {0}};
    em__pool_run(pool, encode_chunk, &e, (job->n + ENCODE - 1) / ENCODE);
    return e.result;
}

void em__order_argsort(const em__order_job *job, em__pool *pool, const char *row, int64_t *order, char *scratch)
{
    parts p = row_parts(job, true, em__radix_blocks(pool, job->n));
    void *keys = scratch + p.keys, *items = scratch + p.second, *counters = scratch + p.counters;
    uint64_t vary = encode_row(job, pool, row, keys).vary;
    if (job->wide)
        em__radix_argsort64(job->kernels, pool, keys, items, order, job->n, vary, counters);
    else
        em__radix_argsort32(pool, keys, items, order, job->n, (uint32_t)vary, counters);
}

/* One row by radix, on the pool or (NULL) alone. */
static void sort_row(const em__order_job *job, em__pool *pool, int64_t r, char *scratch)
{
    int64_t at = em__order_at(job, r, job->n), n = job->n;
    const char *row = job->in + at * (int64_t)job->size;
    parts p = row_parts(job, job->indices != NULL, em__radix_blocks(pool, n));
    if (job->indices) {
        int64_t *order = job->stride == 1 ? job->indices + at : (int64_t *)(void *)(scratch + p.order);
        em__order_argsort(job, pool, row, order, scratch);
        for (int64_t i = 0; i < n && job->stride != 1; i++)
            job->indices[at + i * job->stride] = order[i];
        return;
    }
    void *keys = scratch + p.keys, *second = scratch + p.second, *counters = scratch + p.counters;
    em__row_keys made = encode_row(job, pool, row, keys);
    decoding d = {job, NULL, job->out + at * (int64_t)job->size};
    d.keys = job->wide ? (char *)em__order_sort64(job->kernels, pool, keys, second, n, made.vary, counters)
                       : (char *)em__order_sort32(job->kernels, pool, keys, second, n, (uint32_t)made.vary, counters);
    em__pool_run(pool, decode_chunk, &d, (n + ENCODE - 1) / ENCODE);
    if (made.special)
        em__order_restore(job, row, d.out);
}

static void row_chunk(void *context, int64_t r, int worker)
{
    const em__order_job *job = context;
    sort_row(job, NULL, r, em__pool_scratch(job->cpu->pool, worker));
}

/* Keys [lanes][n], the same as items if indices are wanted, the tile [n][lanes]. */
size_t em__order_tile_bytes(const em__order_job *job, int lanes)
{
    return 3 * align((size_t)(job->n * lanes) * 8);
}

static void transpose(const em__order_job *job, size_t size, void *to, const void *from, int64_t rows, int64_t columns)
{
    job->cpu->copy->transpose[size == 8 ? 3 : 2](to, columns, from, rows, (size_t)rows, (size_t)columns, false);
}

/* A row's keys with their indices below them; what there is no room for of a key is lost. How many bits that is. */
static int make_items(const em__order_job *job, const void *keys, uint64_t *items)
{
    int64_t n = job->n;
    const uint32_t *narrow = keys;
    const uint64_t *wide = keys;
    int bits = 64 - __builtin_clzll((uint64_t)n);
    uint64_t vary = 1;
    for (int64_t i = 0; i < n && !job->wide; i++)
        items[i] = (uint64_t)narrow[i] << bits | (uint64_t)i;
    if (!job->wide)
        return 0;
    for (int64_t i = 1; i < n; i++)
        vary |= wide[i] ^ wide[0];
    int lost = 64 - __builtin_clzll(vary) + bits - 64;
    lost = lost > 0 ? lost : 0;
    for (int64_t i = 0; i < n; i++)
        items[i] = wide[i] >> lost << bits | (uint64_t)i;
    return lost;
}

/* Sorted items to indices; those whose keys are the same but for lost bits are put in order by the keys. Row r of the
 * result gets the first k, and the values that go with them where they are wanted. */
static void take_indices(const em__order_job *job, const uint64_t *keys, uint64_t *items, int lost, int64_t r)
{
    int64_t n = job->n;
    int bits = 64 - __builtin_clzll((uint64_t)n);
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    for (int64_t i = 1; i < n && lost; i++) {
        uint64_t x = items[i], key = keys[x & mask];
        int64_t j = i;
        for (; j > 0 && items[j - 1] >> bits == x >> bits && keys[items[j - 1] & mask] > key; j--)
            items[j] = items[j - 1];
        items[j] = x;
    }
    int64_t to = em__order_at(job, r, job->k), *out = job->indices + to;
    for (int64_t i = 0; i < job->k; i++)
        out[i * job->stride] = (int64_t)(items[i] & mask);
    if (job->out)
        em__order_pick(job, r, out, job->stride);
}

static bool encode_rows(const em__order_job *job, int64_t first, int count, char *keys)
{
    int64_t key = job->wide ? 8 : 4;
    bool special = false;
    if (job->stride == 1)
        return em__order_encode(job, job->in + first * job->n * (int64_t)job->size, 0, count * job->n, keys, 0).special;
    for (int lane = 0; lane < count; lane++) {
        const char *row = job->in + em__order_at(job, first + lane, job->n) * (int64_t)job->size;
        special |= em__order_encode(job, row, 0, job->n, keys + lane * job->n * key, 0).special;
    }
    return special;
}

static void decode_rows(const em__order_job *job, int64_t first, int count, char *keys, bool special)
{
    int64_t key = job->wide ? 8 : 4, size = (int64_t)job->size;
    if (job->stride == 1)
        em__order_decode(job, keys, count * job->n, job->out + first * job->n * size);
    for (int lane = 0; lane < count; lane++) {
        int64_t at = em__order_at(job, first + lane, job->n) * size;
        if (job->stride != 1)
            em__order_decode(job, keys + lane * job->n * key, job->n, job->out + at);
        if (special)
            em__order_restore(job, job->in + at, job->out + at);
    }
}

/* `count` rows of keys or items of `size` bytes, one by one. */
static void sort_rows(const em__order_job *job, char *rows, char *spare, int count, size_t size)
{
    for (int lane = 0; lane < count; lane++) {
        char *row = rows + (size_t)(lane * job->n) * size;
        if (size == 8)
            job->kernels->quick64((uint64_t *)(void *)row, (uint64_t *)(void *)spare, job->n);
        else
            job->kernels->quick32((uint32_t *)(void *)row, (uint32_t *)(void *)spare, job->n);
    }
}

/* The same side by side. */
static void sort_columns(const em__order_job *job, char *rows, char *tile, int count, size_t size)
{
    const int lanes = em__order_lanes(job, job->indices != NULL);
    const int64_t n = job->n;
    memset(rows + (size_t)(count * n) * size, 0, (size_t)((lanes - count) * n) * size);
    transpose(job, size, tile, rows, n, lanes);
    if (size == 8)
        job->kernels->network64((uint64_t *)(void *)tile, n);
    else
        job->kernels->network32((uint32_t *)(void *)tile, n);
    transpose(job, size, rows, tile, lanes, n);
}

void em__order_tile(void *context, int64_t chunk, int worker)
{
    const em__order_job *job = context;
    int lanes = em__order_lanes(job, job->indices != NULL), lost[EM__ORDER_LANES] = {0};
    int64_t n = job->n, first = chunk * lanes, left = job->rows - first;
    int count = left < lanes ? (int)left : lanes;
    size_t part = align((size_t)(n * lanes) * 8), key = job->wide ? 8 : 4, item = job->indices ? 8 : key;
    char *keys = em__pool_scratch(job->cpu->pool, worker), *items = job->indices ? keys + part : keys;
    char *tile = keys + 2 * part;
    bool special = encode_rows(job, first, count, keys);
    for (int lane = 0; lane < count && job->indices; lane++)
        lost[lane] =
            make_items(job, keys + (size_t)(lane * n) * key, (uint64_t *)(void *)(items + (size_t)(lane * n) * 8));
    if (job->kernels->quick64 && n >= QUICK_ROW)
        sort_rows(job, items, tile, count, item);
    else
        sort_columns(job, items, tile, count, item);
    for (int lane = 0; lane < count && job->indices; lane++)
        take_indices(job, (uint64_t *)(void *)keys + lane * n, (uint64_t *)(void *)items + lane * n, lost[lane],
                     first + lane);
    if (!job->indices)
        decode_rows(job, first, count, keys, special);
}

static bool is_long(const em__order_job *job)
{
    return job->n >= LONG_ROW || (job->rows == 1 && job->n >= LONE_ROW);
}

static em_status run_sort(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__order_job job = em__order_job_of(cpu, call);
    job.descending = call->ints[1] != 0;
    if (call->op == EM__OP_ARGSORT)
        job.indices = call->out.data;
    else
        job.out = call->out.data;
    int lanes = em__order_lanes(&job, job.indices != NULL);
    if (job.n == 0 || job.rows == 0)
        return EM_OK;
    if (lanes)
        em__pool_run(cpu->pool, em__order_tile, &job, (job.rows + lanes - 1) / lanes);
    else if (!is_long(&job))
        em__pool_run(cpu->pool, row_chunk, &job, job.rows);
    else
        for (int64_t r = 0; r < job.rows; r++)
            sort_row(&job, cpu->pool, r, job.scratch);
    return EM_OK;
}

bool em__cpu_prepare_order(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if (call->op == EM__OP_TOP_K)
        return em__cpu_prepare_top_k(cpu, call, plan);
    if (call->op != EM__OP_SORT && call->op != EM__OP_ARGSORT)
        return false;
    em__order_job job = em__order_job_of(cpu, call);
    bool indices = call->op == EM__OP_ARGSORT;
    int lanes = em__order_lanes(&job, indices);
    if (job.n > UINT32_MAX)
        return false;
    *plan = (em__plan){.kernel = run_sort};
    if (lanes)
        plan->workers = em__order_tile_bytes(&job, lanes);
    else if (!is_long(&job))
        plan->workers = row_parts(&job, indices, 1).all;
    else
        plan->scratch = row_parts(&job, indices, EM__RADIX_MOST_BLOCKS).all;
    return true;
}
