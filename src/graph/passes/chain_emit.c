/* Writing a region as the program of a FUSED_CHAIN: see chain_region.h and ops/chain.h. */
#include <string.h>

#include "core/error.h"
#include "graph/passes/chain_region.h"

/* Where a source of an op comes from: an op of the region by slot, or an operand of the chain. */
typedef struct source {
    int slot, operand; /* the other is -1 */
} source;

typedef struct emission {
    const em__region *region;
    em__graph *graph;
    const em__region_marks *marks;
    em__spec full;
    int operands[EM__CHAIN_OPERANDS], n_operands;
    source sources[EM__REGION_NODES][3];
    int levels[EM__REGION_NODES];   /* reductions on the way to the value */
    int order[EM__CHAIN_STEPS];     /* slots, as steps */
    int last_use[EM__REGION_NODES]; /* step */
    int registers[EM__REGION_NODES];
    bool wide[EM__REGION_NODES];
    bool busy[3][EM__CHAIN_BANK];
    size_t sizes[EM__CHAIN_BANK]; /* of the wide registers' elements; 0: none yet */
    int high[3];                  /* registers used of each bank */
} emission;

static const em__node *node_at(const emission *e, int slot)
{
    return &e->graph->nodes.data[e->region->nodes[slot]];
}

static bool is_view(const em__node *node)
{
    return node->op == EM__OP_BROADCAST_TO || node->op == EM__OP_RESHAPE;
}

static bool is_thin(const emission *e, int slot)
{
    return e->region->classes[slot] != EM__REGION_FULL;
}

/* The chain's shape with as many leading axes of size 1 as its nodes have. */
static void widen(emission *e)
{
    const em__region *r = e->region;
    int rank = r->full.rank;
    for (int i = 0; i < r->n_nodes; i++) {
        int own = node_at(e, i)->spec.rank + (r->classes[i] == EM__REGION_DROPPED ? r->n_axes : 0);
        rank = own > rank ? own : rank;
    }
    int lead = rank - r->full.rank;
    e->full = (em__spec){.dtype = r->full.dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        e->full.dims[i] = i < lead ? 1 : r->full.dims[i - lead];
}

/* The external node as an operand that broadcasts to the chain's shape; false when it won't do. */
static em_status add_operand(emission *e, int index, em__region_class reader, int *operand, bool *fits)
{
    const em__region *r = e->region;
    em__spec spec = e->graph->nodes.data[index].spec, joined = {0};
    *fits = false;
    if (reader == EM__REGION_DROPPED && em__spec_size(&spec) > 1) { /* put the dropped axes back */
        em__spec kept = spec;
        kept.rank += r->n_axes;
        if (kept.rank > EM_MAX_RANK)
            return EM_OK;
        for (int i = spec.rank; i < kept.rank; i++)
            kept.dims[i] = 1;
        em__node *node = em__graph_add(e->graph, EM__OP_RESHAPE, 1, kept.rank, 0);
        if (!node)
            return EM_ERROR_OUT_OF_MEMORY;
        node->spec = spec = kept;
        node->in[0] = index;
        memcpy(node->ints, kept.dims, (size_t)kept.rank * sizeof kept.dims[0]);
        index = (int)e->graph->nodes.length - 1;
    }
    int equal = 0, ones = 0;
    for (int i = 1; i <= r->n_axes; i++) {
        int64_t dim = i <= spec.rank ? spec.dims[spec.rank - i] : 1;
        ones += dim == 1;
        equal += dim == e->full.dims[e->full.rank - i];
    }
    *fits = em__broadcast(&spec, &e->full, &joined) && joined.rank == e->full.rank &&
            memcmp(joined.dims, e->full.dims, sizeof joined.dims) == 0 && (equal == r->n_axes || ones == r->n_axes);
    for (*operand = 0; *operand < e->n_operands; ++*operand)
        if (e->operands[*operand] == index)
            return EM_OK;
    *fits = *fits && e->n_operands < EM__CHAIN_OPERANDS;
    if (*fits)
        e->operands[e->n_operands++] = index;
    return EM_OK;
}

/* Finds what the op in `slot` reads as operand j, through views. */
static em_status resolve(emission *e, int slot, int j, bool *fits)
{
    int at = node_at(e, slot)->in[j], outside = at;
    bool reshaped = false, reduces = em__chain_reduces(node_at(e, slot)->op);
    source *s = &e->sources[slot][j];
    for (;;) {
        const em__node *node = &e->graph->nodes.data[at];
        bool member = e->marks->slot[at] != 0;
        if (reduces || !((node->op == EM__OP_RESHAPE && member) || node->op == EM__OP_BROADCAST_TO))
            break;
        reshaped |= node->op == EM__OP_RESHAPE;
        at = node->in[0];
        outside = reshaped ? outside : at;
    }
    *s = (source){-1, -1};
    *fits = true;
    if (e->marks->slot[at]) {
        s->slot = e->marks->slot[at] - 1;
        return EM_OK;
    }
    return add_operand(e, outside, e->region->classes[slot], &s->operand, fits);
}

static em_status resolve_all(emission *e, bool *fits)
{
    for (int slot = e->region->n_nodes - 1; slot >= 0; slot--) {
        bool reduces = em__chain_reduces(node_at(e, slot)->op);
        for (int j = 0; j < node_at(e, slot)->n_in && !is_view(node_at(e, slot)); j++) {
            EM__TRY(resolve(e, slot, j, fits));
            if (!*fits)
                return EM_OK;
            int from = e->sources[slot][j].slot, level = from < 0 ? 0 : e->levels[from];
            e->levels[slot] = level > e->levels[slot] ? level : e->levels[slot];
        }
        e->levels[slot] += reduces;
    }
    return EM_OK;
}

/* Steps go by level; within one the thin ones first, then the full ones, then the reductions, which end it. */
static int rank_of(const emission *e, int slot)
{
    bool reduces = em__chain_reduces(node_at(e, slot)->op);
    int level = e->levels[slot] - reduces;
    return level * 3 + (reduces ? 2 : is_thin(e, slot) ? 0 : 1);
}

/* A full value is made in the level of its first reader, so that few have to wait for a reduction in whole rows. */
static void postpone(emission *e)
{
    int first[EM__REGION_NODES];
    for (int slot = 0; slot < e->region->n_nodes; slot++)
        first[slot] = slot == 0 ? e->levels[0] : EM__CHAIN_STEPS;
    for (int slot = 0; slot < e->region->n_nodes; slot++) {
        const em__node *node = node_at(e, slot);
        bool reduces = em__chain_reduces(node->op);
        if (is_view(node))
            continue;
        if (!reduces && !is_thin(e, slot))
            e->levels[slot] = first[slot];
        for (int j = 0; j < node->n_in; j++) {
            int from = e->sources[slot][j].slot, level = e->levels[slot] - reduces;
            if (from >= 0 && level < first[from])
                first[from] = level;
        }
    }
}

static int order_steps(emission *e)
{
    int n = 0;
    postpone(e);
    for (int slot = e->region->n_nodes - 1; slot >= 0; slot--) {
        int at = n;
        if (is_view(node_at(e, slot)))
            continue;
        for (; at > 0 && rank_of(e, e->order[at - 1]) > rank_of(e, slot); at--)
            e->order[at] = e->order[at - 1];
        e->order[at] = slot;
        n++;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) {
            int slot = e->order[i], from = j < node_at(e, slot)->n_in ? e->sources[slot][j].slot : -1;
            if (from < 0)
                continue;
            e->last_use[from] = i;
            e->wide[from] |= rank_of(e, slot) != rank_of(e, from);
        }
    return n;
}

static int bank_of(const emission *e, int slot)
{
    return is_thin(e, slot) ? 2 : e->wide[slot];
}

static void release(emission *e, int step, bool before)
{
    int slot = e->order[step];
    const em__node *node = node_at(e, slot);
    size_t size = em_dtype_size(node->spec.dtype);
    for (int j = 0; j < node->n_in; j++) {
        int from = e->sources[slot][j].slot;
        if (from < 0 || e->last_use[from] != step)
            continue;
        bool in_place = em_dtype_size(node_at(e, from)->spec.dtype) == size && node->op != EM__OP_CAST;
        if (in_place || !before)
            e->busy[bank_of(e, from)][e->registers[from] & (EM__CHAIN_BANK - 1)] = false;
    }
}

/* A free register of the bank for elements of `size` bytes, as a number of the program. A wide register keeps its size:
 * while one tile writes its new value, the next ones have yet to read the old, at offsets that go by the size. */
static int take(emission *e, int bank, size_t size)
{
    int i = 0;
    while (e->busy[bank][i] || (bank == 1 && e->sizes[i] && e->sizes[i] != size))
        i++;
    e->busy[bank][i] = true;
    e->sizes[i] = bank == 1 ? size : e->sizes[i];
    e->high[bank] = i + 1 > e->high[bank] ? i + 1 : e->high[bank];
    return EM__CHAIN_LOCAL + bank * EM__CHAIN_BANK + i;
}

static void write_step(emission *e, int step, int n_steps, int64_t *to)
{
    int slot = e->order[step];
    const em__node *node = node_at(e, slot);
    to[0] = node->op;
    to[1] = node->spec.dtype;
    for (int j = 0; j < 3; j++) {
        const source *s = &e->sources[slot][j];
        to[3 + j] = j >= node->n_in ? EM__CHAIN_NONE : s->slot >= 0 ? e->registers[s->slot] : s->operand;
    }
    release(e, step, true);
    if (step == n_steps - 1)
        e->registers[slot] = is_thin(e, slot) ? EM__CHAIN_OUT_THIN : EM__CHAIN_OUT;
    else
        e->registers[slot] = take(e, bank_of(e, slot), em_dtype_size(node->spec.dtype));
    to[2] = e->registers[slot];
    int kept = e->registers[slot];
    release(e, step, false);
    if (kept < EM__CHAIN_OUT) /* it may stand where a source stood */
        e->busy[bank_of(e, slot)][kept & (EM__CHAIN_BANK - 1)] = true;
}

em_status em__region_emit(const em__region *region, em__graph *graph, const em__region_marks *marks, bool *done)
{
    emission e = {.region = region, .graph = graph, .marks = marks};
    bool fits = true;
    *done = false;
    widen(&e);
    EM__TRY(resolve_all(&e, &fits));
    if (!fits)
        return EM_OK;
    int n = order_steps(&e);
    em__spec out = graph->nodes.data[region->root].spec;
    int64_t program[EM__CHAIN_HEAD + 2 * EM_MAX_RANK + EM__CHAIN_STEPS * EM__CHAIN_STEP];
    int head = EM__CHAIN_HEAD + e.full.rank + out.rank, length = head + n * EM__CHAIN_STEP;
    for (int i = 0; i < n; i++)
        write_step(&e, i, n, program + head + i * EM__CHAIN_STEP);
    const int64_t sizes[] = {n, region->n_axes, e.high[0], e.high[1], e.high[2], e.full.rank, out.rank};
    memcpy(program, sizes, sizeof sizes);
    memcpy(program + EM__CHAIN_HEAD, e.full.dims, (size_t)e.full.rank * sizeof program[0]);
    memcpy(program + EM__CHAIN_HEAD + e.full.rank, out.dims, (size_t)out.rank * sizeof program[0]);
    EM__TRY(em__graph_rewrite(graph, region->root, EM__OP_FUSED_CHAIN, e.n_operands, length, 0));
    em__node *node = &graph->nodes.data[region->root];
    memcpy(node->ints, program, (size_t)length * sizeof program[0]);
    memcpy(node->in, e.operands, (size_t)e.n_operands * sizeof e.operands[0]);
    *done = true;
    return EM_OK;
}
