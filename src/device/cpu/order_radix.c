/*
 * Radix sorts, least digit first. Only bits that vary are sorted by, and of long keys only as many leading ones as tell
 * nearly all apart: what shares those is put in order by insertion, or by another sort of the rest of the bits where it
 * is long. A sort is cut into blocks, one a thread: each counts and places its own part, so that the order is the same
 * for any number of them.
 *
 * Indices ride in the lower half of 64-bit items whose upper half is the key, or 32 bits of it.
 */
#include <string.h>

#include "device/cpu/order.h"

#define BLOCK_FROM ((int64_t)1 << 15) /* keys from which a sort is cut */
#define SHORT_RUN 24                  /* keys that insertion sorts */

typedef struct pass {
    em__pool *pool;
    const void *from;
    void *to;
    int64_t n;
    int blocks, shift;
    uint32_t mask;
    uint32_t *counters; /* a row of mask + 1 for each block */
} pass;

static int64_t cut(const pass *p, int64_t block)
{
    return block == p->blocks ? p->n : p->n * block / p->blocks;
}

static void run_blocks(pass *p, em__pool_fn fn)
{
    if (p->blocks == 1)
        fn(p, 0, 0);
    else
        em__pool_run(p->pool, fn, p, p->blocks);
}

/* Counts to the places of each block's first element of each digit. */
static void add_up(pass *p)
{
    uint32_t total = 0, digits = p->mask + 1;
    for (uint32_t d = 0; d < digits; d++) {
        for (int b = 0; b < p->blocks; b++) {
            uint32_t *counter = p->counters + (uint32_t)b * digits + d, count = *counter;
            *counter = total;
            total += count;
        }
    }
}

#define N(name) name##_32
#define FROM uint32_t
#define TO uint32_t
#define DIGIT(x, shift) ((x) >> (shift))
#define STORE(x, i) (x)
#include "device/cpu/order_radix_tmpl.c"

#define N(name) name##_64
#define FROM uint64_t
#define TO uint64_t
#define DIGIT(x, shift) ((x) >> (shift))
#define STORE(x, i) (x)
#include "device/cpu/order_radix_tmpl.c"

/* Keys to items; items to indices. */
#define N(name) name##_first
#define FROM uint32_t
#define TO uint64_t
#define DIGIT(x, shift) ((x) >> (shift))
#define STORE(x, i) ((uint64_t)(x) << 32 | (uint64_t)(i))
#include "device/cpu/order_radix_tmpl.c"

#define N(name) name##_last
#define FROM uint64_t
#define TO int64_t
#define DIGIT(x, shift) ((x) >> 32 >> (shift))
#define STORE(x, i) ((int64_t)((x)&UINT32_MAX))
#include "device/cpu/order_radix_tmpl.c"

int em__radix_blocks(const em__pool *pool, int64_t n)
{
    int threads = pool ? em__pool_size(pool) : 1;
    if (n < BLOCK_FROM)
        return 1;
    return threads < EM__RADIX_MOST_BLOCKS ? threads : EM__RADIX_MOST_BLOCKS;
}

/* More places to write to than the translation of addresses is cached for cost more than a pass does: with 8 bytes an
 * element 11 bits take 6 ns, 8 bits 2 ns (1 M elements on Zen 4); with 4 bytes 11 bits are best. */
static int digit_bits(int64_t n, size_t size)
{
    return n < 3000 || size == 8 ? 8 : 11;
}

size_t em__radix_counters(int64_t n, int blocks)
{
    return ((size_t)blocks << digit_bits(n, 4)) * sizeof(uint32_t);
}

/* Which bits to sort by: `passes` digits of `width` bits from bit `low` on. */
typedef struct digits {
    int low, width, passes;
} digits;

/* Of keys that differ in the bits of `vary` (not 0): all, or the leading ones that tell n random keys apart. */
static digits choose(int64_t n, uint64_t vary, size_t size, int spare_bits)
{
    int high = 64 - __builtin_clzll(vary), low = __builtin_ctzll(vary), most = digit_bits(n, size);
    int enough = 64 - __builtin_clzll((uint64_t)n) + spare_bits;
    if (high - low > enough)
        low = high - enough;
    digits d = {.low = low, .passes = (high - low + most - 1) / most};
    d.width = (high - low + d.passes - 1) / d.passes;
    return d;
}

static pass start(em__pool *pool, int64_t n, const digits *d, void *counters)
{
    return (pass){.pool = pool,
                  .n = n,
                  .blocks = em__radix_blocks(pool, n),
                  .mask = ((uint32_t)1 << d->width) - 1,
                  .counters = counters};
}

/* A pass for each digit. Where the result is. */
static void *sort_digits(pass *p, const digits *d, void (*one)(pass *), void *keys, void *spare)
{
    for (int i = 0; i < d->passes; i++) {
        p->from = keys;
        p->to = spare;
        p->shift = d->low + i * d->width;
        one(p);
        spare = keys;
        keys = p->to;
    }
    return keys;
}

uint32_t *em__radix_sort32(em__pool *pool, uint32_t *keys, uint32_t *spare, int64_t n, uint32_t vary, void *counters)
{
    if (!vary)
        return keys;
    digits d = choose(n, vary, 4, 64);
    pass p = start(pool, n, &d, counters);
    return sort_digits(&p, &d, pass_32, keys, spare);
}

static void insert64(uint64_t *keys, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        uint64_t x = keys[i];
        int64_t j = i;
        for (; j > 0 && keys[j - 1] > x; j--)
            keys[j] = keys[j - 1];
        keys[j] = x;
    }
}

/* Puts keys in order that are so by the bits from `shift` on. */
static void finish64(uint64_t *keys, uint64_t *spare, int64_t n, int shift, void *counters)
{
    for (int64_t i = 0, end; i < n; i = end) {
        uint64_t vary = 0;
        for (end = i + 1; end < n && keys[end] >> shift == keys[i] >> shift; end++)
            vary |= keys[end] ^ keys[i];
        if (end - i <= SHORT_RUN) {
            insert64(keys + i, end - i);
        } else if (vary) {
            uint64_t *sorted = em__radix_sort64(NULL, keys + i, spare + i, end - i, vary, counters);
            if (sorted != keys + i)
                memcpy(keys + i, sorted, (size_t)(end - i) * sizeof *keys);
        }
    }
}

uint64_t *em__radix_sort64(em__pool *pool, uint64_t *keys, uint64_t *spare, int64_t n, uint64_t vary, void *counters)
{
    if (!vary)
        return keys;
    if (n <= SHORT_RUN) {
        insert64(keys, n);
        return keys;
    }
    digits d = choose(n, vary, 8, 12);
    pass p = start(pool, n, &d, counters);
    uint64_t *sorted = sort_digits(&p, &d, pass_64, keys, spare);
    if (vary & (((uint64_t)1 << d.low) - 1))
        finish64(sorted, sorted == keys ? spare : keys, n, d.low, counters);
    return sorted;
}

void em__radix_argsort32(em__pool *pool, const uint32_t *keys, uint64_t *items, int64_t *order, int64_t n,
                         uint32_t vary, void *counters)
{
    if (!vary) {
        for (int64_t i = 0; i < n; i++)
            order[i] = i;
        return;
    }
    digits d = choose(n, vary, 8, 64);
    if (d.passes == 1) { /* from keys to indices takes two */
        d.passes = 2;
        d.width = (d.width + 1) / 2;
    }
    pass p = start(pool, n, &d, counters);
    p.from = keys;
    p.to = items;
    p.shift = d.low;
    pass_first(&p);
    const digits middle = {.low = 32 + d.low + d.width, .width = d.width, .passes = d.passes - 2};
    p.from = sort_digits(&p, &middle, pass_64, items, items + n);
    p.to = order;
    p.shift = d.low + (d.passes - 1) * d.width;
    pass_last(&p);
}

static void insert_items(uint64_t *items, int64_t n, const uint64_t *keys)
{
    for (int64_t i = 1; i < n; i++) {
        uint64_t x = items[i], key = keys[x & UINT32_MAX];
        int64_t j = i;
        for (; j > 0 && keys[items[j - 1] & UINT32_MAX] > key; j--)
            items[j] = items[j - 1];
        items[j] = x;
    }
}

/* Items by their upper halves, which differ in `vary`; equal ones keep their order: so their lower halves rise. Where
 * the result is. */
static uint64_t *sort_upper(const em__order *kernels, em__pool *pool, uint64_t *items, uint64_t *spare, int64_t n,
                            uint32_t vary, void *counters)
{
    if (kernels->quick64)
        return em__order_sort64(kernels, pool, items, spare, n, (uint64_t)vary << 32 | UINT32_MAX, counters);
    const digits d = choose(n, (uint64_t)vary << 32, 8, 64);
    pass p = start(pool, n, &d, counters);
    return sort_digits(&p, &d, pass_64, items, spare);
}

/* Items [n] of keys that differ in `vary`: sorted by 32 of those bits after the other. */
static void sort_items(const em__order *kernels, em__pool *pool, uint64_t *items, uint64_t *spare, int64_t n,
                       const uint64_t *keys, uint64_t vary, void *counters)
{
    if (n <= SHORT_RUN) {
        insert_items(items, n, keys);
        return;
    }
    int high = 64 - __builtin_clzll(vary), shift = high > 32 ? high - 32 : 0;
    for (int64_t i = 0; i < n; i++)
        items[i] = (keys[items[i] & UINT32_MAX] >> shift) << 32 | (items[i] & UINT32_MAX);
    const uint64_t *sorted = sort_upper(kernels, pool, items, spare, n, (uint32_t)(vary >> shift), counters);
    if (sorted != items)
        memcpy(items, sorted, (size_t)n * sizeof *items);
    if (!(vary & (((uint64_t)1 << shift) - 1)))
        return;
    for (int64_t i = 0, end; i < n; i = end) {
        uint64_t rest = 0;
        for (end = i + 1; end < n && items[end] >> 32 == items[i] >> 32; end++)
            rest |= keys[items[end] & UINT32_MAX] ^ keys[items[i] & UINT32_MAX];
        if (rest)
            sort_items(kernels, NULL, items + i, spare + i, end - i, keys, rest, counters);
    }
}

void em__radix_argsort64(const em__order *kernels, em__pool *pool, const uint64_t *keys, uint64_t *items,
                         int64_t *order, int64_t n, uint64_t vary, void *counters)
{
    for (int64_t i = 0; i < n; i++)
        items[i] = (uint64_t)i;
    if (vary)
        sort_items(kernels, pool, items, items + n, n, keys, vary, counters);
    for (int64_t i = 0; i < n; i++)
        order[i] = (int64_t)(items[i] & UINT32_MAX);
}
