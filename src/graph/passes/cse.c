/* Common subexpressions: equal ops with equal attributes over equal operands are one node. */
#include <string.h>

#include "core/error.h"
#include "graph/ir.h"

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x9e3779b97f4a7c15ull ^ hash >> 29;
}

static uint64_t hash_node(const em__node *node)
{
    uint64_t hash = mix(node->op, (uintptr_t)node->value);
    for (int i = 0; i < node->n_in; i++)
        hash = mix(hash, (uint64_t)node->in[i]);
    for (int i = 0; i < node->n_ints; i++)
        hash = mix(hash, (uint64_t)node->ints[i]);
    for (int i = 0; i < node->n_floats; i++) {
        uint64_t bits;
        memcpy(&bits, &node->floats[i], sizeof bits);
        hash = mix(hash, bits);
    }
    return hash;
}

static bool same(const em__node *a, const em__node *b)
{
    return a->op == b->op && a->value == b->value && a->functions[0] == b->functions[0] &&
           a->functions[1] == b->functions[1] && a->n_in == b->n_in && a->n_ints == b->n_ints &&
           a->n_floats == b->n_floats && em__spec_equal(&a->spec, &b->spec) &&
           memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0 &&
           memcmp(a->ints, b->ints, (size_t)a->n_ints * sizeof *a->ints) == 0 &&
           memcmp(a->floats, b->floats, (size_t)a->n_floats * sizeof *a->floats) == 0;
}

em_status em__pass_cse(em__graph *graph)
{
    size_t length = graph->nodes.length, capacity = 16;
    while (capacity < length * 2)
        capacity *= 2;
    int *table = em__arena_calloc(&graph->arena, capacity, sizeof *table); /* node index + 1 */
    int *first = em__arena_calloc(&graph->arena, length, sizeof *first);
    if (!table || !first)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < length; i++) {
        em__node *node = &graph->nodes.data[i];
        for (int j = 0; j < node->n_in; j++)
            node->in[j] = first[node->in[j]];
        size_t at = hash_node(node) & (capacity - 1);
        while (table[at] && !same(&graph->nodes.data[table[at] - 1], node))
            at = (at + 1) & (capacity - 1);
        if (!table[at])
            table[at] = (int)i + 1;
        first[i] = table[at] - 1;
    }
    for (size_t i = 0; i < graph->n_outputs; i++)
        graph->outputs[i] = first[graph->outputs[i]];
    return EM_OK;
}
