/*
 * From arrays to a graph: everything the outputs need, each array once. Arrays that have a value become constants: the
 * graph holds their memory and copies nothing.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "graph/ir.h"

/* Array -> node index, open addressing. */
typedef struct seen {
    em_array **keys;
    int *values;
    size_t used, capacity; /* a power of two */
} seen;

static size_t slot_of(const seen *map, const em_array *key)
{
    size_t i = ((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15ull >> 17 & (map->capacity - 1);
    while (map->keys[i] && map->keys[i] != key)
        i = (i + 1) & (map->capacity - 1);
    return i;
}

static em_status seen_grow(seen *map)
{
    seen bigger = {.capacity = map->capacity ? map->capacity * 2 : 64, .used = map->used};
    bigger.keys = em__calloc(bigger.capacity, sizeof *bigger.keys);
    bigger.values = em__calloc(bigger.capacity, sizeof *bigger.values);
    if (!bigger.keys || !bigger.values) {
        em__free(bigger.keys);
        em__free(bigger.values);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < map->capacity; i++)
        if (map->keys[i]) {
            size_t at = slot_of(&bigger, map->keys[i]);
            bigger.keys[at] = map->keys[i];
            bigger.values[at] = map->values[i];
        }
    em__free(map->keys);
    em__free(map->values);
    *map = bigger;
    return EM_OK;
}

static em_status seen_put(seen *map, em_array *key, int value)
{
    if (map->used * 2 >= map->capacity)
        EM__TRY(seen_grow(map));
    size_t at = slot_of(map, key);
    map->keys[at] = key;
    map->values[at] = value;
    map->used++;
    return EM_OK;
}

static int seen_get(const seen *map, em_array *key)
{
    if (!map->capacity)
        return -1;
    size_t at = slot_of(map, key);
    return map->keys[at] ? map->values[at] : -1;
}

static em_status add_node(em__graph *graph, seen *map, em_array *array, em_array *const *inputs)
{
    bool constant = array->buffer != NULL;
    em__node *node = constant ? em__graph_add(graph, EM__OP_CONSTANT, 0, 0, 0)
                              : em__graph_add(graph, array->op, array->n_in, array->n_ints, array->n_floats);
    if (!node)
        return EM_ERROR_OUT_OF_MEMORY;
    node->spec = array->spec;
    if (constant) {
        node->value = em__array_share(array); /* em_array_data may move the user's own */
        if (!node->value)
            return EM_ERROR_OUT_OF_MEMORY;
    } else {
        for (int i = 0; i < array->n_in; i++)
            node->in[i] = seen_get(map, array->in[i]);
        memcpy(node->ints, array->ints, (size_t)array->n_ints * sizeof *node->ints);
        memcpy(node->floats, array->floats, (size_t)array->n_floats * sizeof *node->floats);
    }
    bool foreign =
        node->op == EM__OP_INPUT && ((size_t)node->ints[1] >= graph->n_inputs || inputs[node->ints[1]] != array);
    EM__FAIL_IF(foreign, EM_ERROR_INVALID_ARGUMENT, "compile: the function uses an input of another program");
    return seen_put(map, array, (int)graph->nodes.length - 1);
}

typedef EM__VEC(em_array *) stack;

static em_status trace_one(em__graph *graph, seen *map, stack *todo, em_array *root, em_array *const *inputs)
{
    EM__TRY(em__vec_push(todo, root));
    while (todo->length) {
        em_array *array = todo->data[todo->length - 1];
        bool ready = true;
        if (seen_get(map, array) >= 0) {
            todo->length--;
            continue;
        }
        for (int i = 0; i < array->n_in && !array->buffer; i++)
            if (seen_get(map, array->in[i]) < 0) {
                EM__TRY(em__vec_push(todo, array->in[i]));
                ready = false;
            }
        if (!ready)
            continue;
        todo->length--;
        EM__TRY(add_node(graph, map, array, inputs));
    }
    return EM_OK;
}

em_status em__graph_trace(em__graph *graph, em_device *device, em_array *const *outputs, size_t n_outputs,
                          em_array *const *inputs, size_t n_inputs)
{
    seen map = {0};
    stack todo = {0};
    em_status status = EM_OK;
    graph->device = device;
    graph->n_inputs = n_inputs;
    graph->n_outputs = n_outputs;
    graph->outputs = em__arena_calloc(&graph->arena, n_outputs, sizeof *graph->outputs);
    if (!graph->outputs)
        return EM_ERROR_OUT_OF_MEMORY;
    em__eval_lock(); /* captured lazy arrays must not be evaluated by another thread meanwhile */
    for (size_t i = 0; i < n_outputs && status == EM_OK; i++) {
        status = trace_one(graph, &map, &todo, outputs[i], inputs);
        if (status == EM_OK)
            graph->outputs[i] = seen_get(&map, outputs[i]);
    }
    em__eval_unlock();
    em__free(map.keys);
    em__free(map.values);
    em__vec_free(&todo);
    return status;
}
