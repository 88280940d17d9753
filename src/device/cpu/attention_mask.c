/* Which keys a query sees, and what is added to its scores. */
#include <math.h>

#include "device/cpu/attention_kernels.h"

int64_t em__attention_first(const em__attention_args *args, const em__attention_place *at, int64_t query)
{
    const int64_t first = query + at->keys - at->queries - args->window + 1;
    return args->window && first > 0 ? first : 0;
}

int64_t em__attention_end(const em__attention_args *args, const em__attention_place *at, int64_t query)
{
    const int64_t place = query + at->keys - at->queries;
    int64_t end = args->causal && place + 1 < at->keys ? place + 1 : at->keys;
    if (args->window && place + args->window < end)
        end = place + args->window;
    return end > 0 ? end : 0;
}

static int64_t mask_offset(const em__attention_mask *mask, const em__attention_place *at, int64_t query, int64_t key)
{
    return at->sequence * mask->batch + at->head * mask->head + query * mask->query + key * mask->key;
}

static const float *relative_row(const em__attention_args *args, int64_t head, int64_t query, int64_t key)
{
    return args->relative + head * (2 * args->relative_span - 1) + args->relative_span - 1 - query + key;
}

const float *em__attention_addend(const em__attention_args *args, const em__attention_place *at, int64_t query,
                                  int64_t key, int64_t n, float *add)
{
    const em__attention_mask *mask = &args->mask, *allowed = &args->allowed;
    const float *added = mask->data ? (const float *)mask->data + mask_offset(mask, at, query, key) : NULL;
    const float *relative = args->relative ? relative_row(args, at->head, query, key) : NULL;
    int64_t hidden = em__attention_first(args, at, query) - key;
    hidden = hidden < n ? hidden : n;
    if (hidden <= 0 && !allowed->data && !relative && (!added || mask->key == 1))
        return added;
    if (hidden <= 0 && !allowed->data && !added)
        return relative;
    for (int64_t j = 0; j < n; j++) {
        float x = relative ? relative[j] : 0;
        add[j] = added ? x + added[j * mask->key] : x;
    }
    if (allowed->data) {
        const uint8_t *row = (const uint8_t *)allowed->data + mask_offset(allowed, at, query, key);
        for (int64_t j = 0; j < n; j++)
            add[j] = row[j * allowed->key] ? add[j] : -INFINITY;
    }
    for (int64_t j = 0; j < hidden; j++)
        add[j] = -INFINITY;
    return add;
}
