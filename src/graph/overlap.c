/* See overlap.h. Node 1 is the root, 2 i and 2 i + 1 stand under i; the leaves are the last half. */
#include "graph/overlap.h"

#include "core/alloc.h"

em_status em__overlap_init(em__overlap *o, int n_steps, int n_values)
{
    *o = (em__overlap){.leaves = 1};
    while (o->leaves <= n_steps)
        o->leaves *= 2;
    o->heads = em__calloc((size_t)o->leaves * 2, sizeof *o->heads);
    o->below = em__calloc((size_t)o->leaves * 2, sizeof *o->below);
    o->listed = em__calloc((size_t)n_values + 1, 1);
    return o->heads && o->below && o->listed ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

void em__overlap_free(em__overlap *o)
{
    em__free(o->heads);
    em__free(o->below);
    em__free(o->listed);
    em__vec_free(&o->entries);
    em__vec_free(&o->found);
}

static em_status put(em__overlap *o, int node, int value)
{
    em__overlap_entry entry = {value, o->heads[node]};
    em_status status = em__vec_push(&o->entries, entry);
    if (status != EM_OK)
        return status;
    o->heads[node] = (int)o->entries.length;
    for (int up = node / 2; up > 0; up /= 2)
        o->below[up]++;
    return EM_OK;
}

em_status em__overlap_add(em__overlap *o, int first, int last, int value)
{
    em_status status = EM_OK;
    for (int from = first + o->leaves, to = last + o->leaves + 1; from < to && status == EM_OK; from /= 2, to /= 2) {
        if (from & 1)
            status = put(o, from++, value);
        if (to & 1 && status == EM_OK)
            status = put(o, --to, value);
    }
    return status;
}

static em_status collect(em__overlap *o, int node)
{
    for (int at = o->heads[node]; at; at = o->entries.data[at - 1].next) {
        int value = o->entries.data[at - 1].value;
        if (o->listed[value])
            continue;
        em_status status = em__vec_push(&o->found, value);
        if (status != EM_OK)
            return status;
        o->listed[value] = 1;
    }
    return EM_OK;
}

/* `node` covers steps low .. high; the depth is that of the tree. */
static em_status search(em__overlap *o, int node, int low, int high, int first, int last)
{
    if (high < first || low > last)
        return EM_OK;
    em_status status = collect(o, node);
    if (status != EM_OK || !o->below[node])
        return status;
    int middle = low + (high - low) / 2;
    status = search(o, 2 * node, low, middle, first, last);
    return status == EM_OK ? search(o, 2 * node + 1, middle + 1, high, first, last) : status;
}

em_status em__overlap_find(em__overlap *o, int first, int last)
{
    o->found.length = 0;
    em_status status = search(o, 1, 0, o->leaves - 1, first, last);
    for (size_t i = 0; i < o->found.length; i++)
        o->listed[o->found.data[i]] = 0;
    return status;
}
