/* Template: see order_quick.c; of KEY, with N(name) its functions and K(name) those of order.h. */
typedef struct N(dealing) {
    const em__order *kernels;
    KEY *keys, *spare;
    int64_t n;
    int blocks, parts;
    KEY limits[EM__QUICK_PARTS];
    int64_t counts[EM__RADIX_MOST_BLOCKS][EM__QUICK_PARTS]; /* keys; then where they go */
    int64_t from[EM__QUICK_PARTS + 1];
} N(dealing);

static int64_t N(block_from)(const N(dealing) * d, int64_t block)
{
    return block == d->blocks ? d->n : d->n * block / d->blocks;
}

static void N(count_block)(void *context, int64_t block, int worker)
{
    (void)worker;
    N(dealing) *d = context;
    const int64_t from = N(block_from)(d, block), n = N(block_from)(d, block + 1) - from;
    d->kernels->K(count)(d->keys + from, n, d->limits, d->parts, d->counts[block]);
}

static void N(deal_block)(void *context, int64_t block, int worker)
{
    (void)worker;
    const N(dealing) *d = context;
    const int64_t from = N(block_from)(d, block), n = N(block_from)(d, block + 1) - from;
    KEY *to[EM__QUICK_PARTS];
    for (int j = 0; j < d->parts; j++)
        to[j] = d->spare + d->counts[block][j];
    d->kernels->K(deal)(d->keys + from, n, d->limits, d->parts, to);
}

static void N(sort_part)(void *context, int64_t part, int worker)
{
    (void)worker;
    const N(dealing) *d = context;
    const int64_t from = d->from[part];
    d->kernels->K(quick)(d->spare + from, d->keys + from, d->from[part + 1] - from);
}

/* Limits out of a sample, which is sorted in the spare memory. */
static void N(choose_limits)(N(dealing) * d)
{
    const int64_t count = (int64_t)d->parts * SAMPLE, step = d->n / count;
    for (int64_t i = 0; i < count; i++)
        d->spare[i] = d->keys[i * step + step / 2];
    d->kernels->K(quick)(d->spare, d->spare + count, count);
    for (int j = 0; j + 1 < d->parts; j++)
        d->limits[j] = d->spare[(j + 1) * SAMPLE];
}

KEY *K(em__order_sort)(const em__order *kernels, em__pool *pool, KEY *keys, KEY *spare, int64_t n, KEY vary,
                       void *counters)
{
    const int blocks = em__radix_blocks(pool, n), parts = blocks * 4 < EM__QUICK_PARTS ? blocks * 4 : EM__QUICK_PARTS;
    if (!kernels->K(quick) || vary >> FEW_BITS == 0)
        return K(em__radix_sort)(pool, keys, spare, n, vary, counters);
    if (blocks == 1) {
        kernels->K(quick)(keys, spare, n);
        return keys;
    }
    N(dealing) d = {kernels, keys, spare, n, blocks, parts};
    N(choose_limits)(&d);
    em__pool_run(pool, N(count_block), &d, blocks);
    int64_t total = 0;
    for (int j = 0; j < parts; j++) {
        d.from[j] = total;
        for (int b = 0; b < blocks; b++) {
            const int64_t count = d.counts[b][j];
            d.counts[b][j] = total;
            total += count;
        }
    }
    d.from[parts] = total;
    em__pool_run(pool, N(deal_block), &d, blocks);
    em__pool_run(pool, N(sort_part), &d, parts);
    return spare;
}

#undef N
#undef KEY
#undef K
