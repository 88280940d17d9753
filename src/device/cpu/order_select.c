/*
 * top_k: a row is read once, in blocks; what is not behind the k-th best so far joins a list of candidates, which is
 * cut back to the best k when it is full. Of random data only about k ln(n / k) elements join; of any data each joins
 * once. Long rows are cut into ranges, one a worker at a time, whose best are joined. A large k sorts the row instead,
 * short rows many at a time in a network.
 */
#include <string.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/order_rows.h"

#define BLOCK 4096                   /* elements that are compared at a time */
#define FEW 32                       /* up to this k the list is kept in order by insertion */
#define RANGE ((int64_t)1 << 16)     /* elements of a range, at least */
#define JOINED 96                    /* so many are put in order by insertion, and joined with those that are */
#define SORTED 16                    /* a short row up to so many times k is sorted */
#define MOST_RANGES 64               /* of a row */
#define SHORT_ROW ((int64_t)1 << 17) /* up to which a row is one range */

/* Candidates: keys (complemented: the best is the smallest) and where they stand. */
typedef struct list {
    uint64_t *keys;
    int64_t *at;
    int64_t count, room;
    int64_t ordered; /* the first so many are in order */
} list;

typedef struct selection {
    em__order_job job;
    int64_t k, range, ranges;
    bool whole;     /* sort the row */
    int lanes;      /* sort this many rows at a time in a network; 0: don't */
    uint64_t *keys; /* the ranges' best, k each */
    int64_t *at, *counts;
    const char *row; /* being cut into ranges */
} selection;

/* Scratch to bring a list of `room` candidates into order: keys, places, items, order, counters. */
static size_t sorting_bytes(int64_t room)
{
    return 5 * em__align64((size_t)room * 8) + em__align64(em__radix_counters(room, 1));
}

/* Puts an entry where the list, in order from `low` on, has its place `i` or one before: behind its equals. */
static void put(list *l, int64_t low, int64_t i, uint64_t key, int64_t at)
{
    for (; i > low && l->keys[i - 1] > key; i--) {
        l->keys[i] = l->keys[i - 1];
        l->at[i] = l->at[i - 1];
    }
    l->keys[i] = key;
    l->at[i] = at;
}

/* The first k of a list of which all but a few are in order, into keys and at. */
static void join(list *l, int64_t k, uint64_t *keys, int64_t *at)
{
    for (int64_t i = l->ordered + 1; i < l->count; i++)
        put(l, l->ordered, i, l->keys[i], l->at[i]);
    for (int64_t i = 0, a = 0, b = l->ordered; i < k; i++) {
        const bool first = b == l->count || (a < l->ordered && l->keys[a] <= l->keys[b]);
        const int64_t from = first ? a++ : b++;
        keys[i] = l->keys[from];
        at[i] = l->at[from];
    }
}

/* The list's first k, in order. `scratch`: sorting_bytes. */
static void keep_best(const em__order_job *job, list *l, int64_t k, char *scratch)
{
    size_t column = em__align64((size_t)l->room * 8);
    uint64_t vary = 0, *keys = (uint64_t *)(void *)scratch;
    int64_t *at = (int64_t *)(void *)(scratch + column), *order = (int64_t *)(void *)(scratch + 4 * column);
    k = k < l->count ? k : l->count;
    if (l->count - l->ordered <= JOINED) {
        join(l, k, keys, at);
    } else {
        for (int64_t i = 1; i < l->count; i++)
            vary |= l->keys[i] ^ l->keys[0];
        em__radix_argsort64(job->kernels, NULL, l->keys, (uint64_t *)(void *)(scratch + 2 * column), order, l->count,
                            vary, scratch + 5 * column);
        for (int64_t i = 0; i < k; i++) {
            keys[i] = l->keys[order[i]];
            at[i] = l->at[order[i]];
        }
    }
    memcpy(l->keys, keys, (size_t)k * sizeof *keys);
    memcpy(l->at, at, (size_t)k * sizeof *at);
    l->count = l->ordered = k;
}

/* Into an ordered list of at most k: behind its equals. */
static void insert(list *l, int64_t k, uint64_t key, int64_t at)
{
    put(l, 0, l->count < k ? l->count++ : k - 1, key, at);
}

/* Scratch of one range: a block's keys and hits, the list, and what keep_best needs. */
static int64_t list_room(int64_t k)
{
    return k <= FEW ? FEW : 2 * k + BLOCK;
}

static size_t range_bytes(int64_t k)
{
    return BLOCK * 8 + BLOCK * 4 + 2 * em__align64((size_t)list_room(k) * 8) +
           (k > FEW ? sorting_bytes(list_room(k)) : 0);
}

static void add(const em__order_job *job, list *l, int64_t k, const void *keys, int64_t i, int64_t at)
{
    uint64_t key = job->wide ? ((const uint64_t *)keys)[i] : ((const uint32_t *)keys)[i];
    if (k > FEW) {
        l->keys[l->count] = key;
        l->at[l->count++] = at;
    } else if (l->count < k || key < l->keys[k - 1]) {
        insert(l, k, key, at);
    }
}

/* The best k of elements [from, from + n) of the row, in order; `l` points into scratch. */
static void select_range(const em__order_job *job, const char *row, int64_t from, int64_t n, int64_t k, char *scratch,
                         list *l)
{
    char *keys = scratch, *hits = keys + BLOCK * 8, *own = hits + BLOCK * 4;
    size_t column = em__align64((size_t)list_room(k) * 8);
    int64_t block = 64; /* the first ones are short: they set a limit for the others */
    *l = (list){(uint64_t *)(void *)own, (int64_t *)(void *)(own + column), 0, list_room(k), 0};
    for (int64_t i = 0; i < n; i += block, block = block < BLOCK ? 2 * block : BLOCK) {
        int64_t count = n - i < block ? n - i : block, found = count;
        int32_t *at = (int32_t *)(void *)hits;
        em__order_encode(job, row, from + i, count, keys, 0);
        if (k > FEW && l->count + count > l->room)
            keep_best(job, l, k, own + 2 * column);
        bool all = l->count < k;
        uint64_t limit = all ? 0 : l->keys[k - 1]; /* of the k that were last put in order; others follow them */
        if (!all)
            found = job->wide ? job->kernels->below64((uint64_t *)(void *)keys, count, limit, at)
                              : job->kernels->below32((uint32_t *)(void *)keys, count, (uint32_t)limit, at);
        for (int64_t j = 0; j < found; j++)
            add(job, l, k, keys, all ? j : at[j], from + i + (all ? j : at[j]));
        if (k > FEW && l->count >= k + (all ? 0 : k / 2)) /* the sooner cut back, the fewer join */
            keep_best(job, l, k, own + 2 * column);
    }
    if (k > FEW)
        keep_best(job, l, k, own + 2 * column);
}

static void emit(const selection *s, int64_t r, const int64_t *at)
{
    const em__order_job *job = &s->job;
    int64_t *to = job->indices + em__order_at(job, r, s->k);
    for (int64_t i = 0; i < s->k; i++)
        to[i * job->stride] = at[i];
    em__order_pick(job, r, at, 1);
}

static void row_chunk(void *context, int64_t r, int worker)
{
    const selection *s = context;
    char *scratch = em__pool_scratch(s->job.cpu->pool, worker);
    const char *row = s->job.in + em__order_at(&s->job, r, s->job.n) * (int64_t)s->job.size;
    if (s->whole) {
        int64_t *order = (int64_t *)(void *)scratch;
        em__order_argsort(&s->job, NULL, row, order, scratch + em__align64((size_t)s->job.n * 8));
        emit(s, r, order);
        return;
    }
    list l;
    select_range(&s->job, row, 0, s->job.n, s->k, scratch, &l);
    emit(s, r, l.at);
}

static void range_chunk(void *context, int64_t i, int worker)
{
    selection *s = context;
    int64_t from = i * s->range, left = s->job.n - from;
    list l;
    select_range(&s->job, s->row, from, left < s->range ? left : s->range, s->k,
                 em__pool_scratch(s->job.cpu->pool, worker), &l);
    memcpy(s->keys + i * s->k, l.keys, (size_t)l.count * sizeof *l.keys);
    memcpy(s->at + i * s->k, l.at, (size_t)l.count * sizeof *l.at);
    s->counts[i] = l.count;
}

/* A row on all workers. */
static void long_row(selection *s, int64_t r, char *scratch)
{
    size_t column = em__align64((size_t)(s->ranges * s->k) * 8);
    em__pool *pool = s->job.cpu->pool;
    s->row = s->job.in + em__order_at(&s->job, r, s->job.n) * (int64_t)s->job.size;
    if (s->whole) {
        int64_t *order = (int64_t *)(void *)scratch;
        em__order_argsort(&s->job, pool, s->row, order, scratch + em__align64((size_t)s->job.n * 8));
        emit(s, r, order);
        return;
    }
    s->counts = (int64_t *)(void *)scratch;
    s->keys = (uint64_t *)(void *)(scratch + MOST_RANGES * 8);
    s->at = (int64_t *)(void *)((char *)s->keys + column);
    em__pool_run(pool, range_chunk, s, s->ranges);
    list all = {s->keys, s->at, 0, s->ranges * s->k, 0};
    for (int64_t i = 0; i < s->ranges; i++) {
        memmove(all.keys + all.count, s->keys + i * s->k, (size_t)s->counts[i] * sizeof *s->keys);
        memmove(all.at + all.count, s->at + i * s->k, (size_t)s->counts[i] * sizeof *s->at);
        all.count += s->counts[i];
    }
    keep_best(&s->job, &all, s->k, (char *)s->at + column);
    emit(s, r, all.at);
}

static selection selection_of(em__cpu *cpu, const em__call *call)
{
    selection s = {.job = em__order_job_of(cpu, call), .k = call->ints[1]};
    s.job.descending = true;
    s.job.k = s.k;
    s.lanes = s.k > FEW && s.k * SORTED > s.job.n ? em__order_lanes(&s.job, true) : 0;
    s.range = s.job.n;
    s.ranges = 1;
    s.whole = 8 * s.k > s.job.n && s.k > FEW;
    if (s.job.n > SHORT_ROW) {
        s.range = (s.job.n + MOST_RANGES - 1) / MOST_RANGES;
        s.range = s.range > RANGE ? s.range : RANGE;
        s.whole = 8 * s.k > s.range;
        s.ranges = (s.job.n + s.range - 1) / s.range;
    }
    return s;
}

static em_status run_top_k(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    selection s = selection_of(cpu, call);
    em__tensor parts[2];
    EM__TRY(em__call_parts(call, parts, 2));
    s.job.out = parts[0].data;
    s.job.indices = parts[1].data;
    if (s.k == 0 || s.job.rows == 0)
        return EM_OK;
    if (s.lanes)
        em__pool_run(cpu->pool, em__order_tile, &s.job, (s.job.rows + s.lanes - 1) / s.lanes);
    else if (s.ranges == 1)
        em__pool_run(cpu->pool, row_chunk, &s, s.job.rows);
    else
        for (int64_t r = 0; r < s.job.rows; r++)
            long_row(&s, r, call->scratch);
    return EM_OK;
}

bool em__cpu_prepare_top_k(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    selection s = selection_of(cpu, call);
    if (s.job.n > UINT32_MAX)
        return false;
    *plan = (em__plan){.kernel = run_top_k};
    size_t whole = em__align64((size_t)s.job.n * 8);
    if (s.lanes) {
        plan->workers = em__order_tile_bytes(&s.job, s.lanes);
    } else if (s.ranges == 1) {
        plan->workers = s.whole ? whole + em__order_argsort_bytes(&s.job, 1) : range_bytes(s.k);
    } else if (s.whole) {
        plan->scratch = whole + em__order_argsort_bytes(&s.job, EM__RADIX_MOST_BLOCKS);
    } else {
        plan->workers = range_bytes(s.k);
        plan->scratch = MOST_RANGES * 8 + 2 * em__align64((size_t)(s.ranges * s.k) * 8) + sorting_bytes(s.ranges * s.k);
    }
    return true;
}
