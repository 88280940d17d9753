/*
 * From arrays to a graph: everything the outputs need, each array once. Arrays that have a value become constants: the
 * graph holds their memory and copies nothing. In a function inside another, arrays of the outer one that have no value
 * yet become inputs, its captures.
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

/* What a trace is doing. */
typedef struct tracing {
    em__graph *graph;
    seen map;
    em_array *const *inputs; /* as given */
    size_t n_given;
    int level;
    em__captures *captures; /* NULL with level 0 */
} tracing;

/* A value that the function takes as it finds it. */
static em_status add_capture(tracing *t, em_array *array)
{
    em__graph *graph = t->graph;
    em__node *node = em__graph_add(graph, EM__OP_INPUT, 0, 2 + array->spec.rank, 0);
    if (!node || em__vec_push(t->captures, array) != EM_OK)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array_retain(array);
    node->spec = array->spec;
    node->ints[0] = array->spec.dtype;
    node->ints[1] = (int64_t)graph->n_inputs++;
    memcpy(node->ints + 2, array->spec.dims, (size_t)array->spec.rank * sizeof *node->ints);
    return EM_OK;
}

static em_status add_constant(em__graph *graph, em_array *array)
{
    em__node *node = em__graph_add(graph, EM__OP_CONSTANT, 0, 0, 0);
    if (!node)
        return EM_ERROR_OUT_OF_MEMORY;
    node->spec = array->spec;
    node->value = em__array_share(array); /* em_array_data may move the user's own */
    return node->value ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status add_op(tracing *t, em_array *array)
{
    em__node *node = em__graph_add(t->graph, array->op, array->n_in, array->n_ints, array->n_floats);
    if (!node)
        return EM_ERROR_OUT_OF_MEMORY;
    node->spec = array->spec;
    for (int i = 0; i < array->n_in; i++)
        node->in[i] = seen_get(&t->map, array->in[i]);
    for (int i = 0; i < EM__FUNCTIONS; i++)
        node->functions[i] = em__function_retain(array->functions[i]);
    memcpy(node->ints, array->ints, (size_t)array->n_ints * sizeof *node->ints);
    memcpy(node->floats, array->floats, (size_t)array->n_floats * sizeof *node->floats);
    bool foreign =
        node->op == EM__OP_INPUT && ((size_t)node->ints[1] >= t->n_given || t->inputs[node->ints[1]] != array);
    EM__FAIL_IF(foreign, EM_ERROR_INVALID_ARGUMENT, "compile: the function uses an input of another program");
    return EM_OK;
}

/* Nothing in front of it belongs to the function. */
static bool is_leaf(const tracing *t, const em_array *array)
{
    return array->buffer || array->level < t->level;
}

static em_status add_node(tracing *t, em_array *array)
{
    if (array->buffer)
        EM__TRY(add_constant(t->graph, array));
    else if (array->level < t->level)
        EM__TRY(add_capture(t, array));
    else
        EM__TRY(add_op(t, array));
    return seen_put(&t->map, array, (int)t->graph->nodes.length - 1);
}

typedef EM__VEC(em_array *) stack;

static em_status trace_one(tracing *t, stack *todo, em_array *root)
{
    EM__TRY(em__vec_push(todo, root));
    while (todo->length) {
        em_array *array = todo->data[todo->length - 1];
        bool ready = true;
        if (seen_get(&t->map, array) >= 0) {
            todo->length--;
            continue;
        }
        for (int i = 0; i < array->n_in && !is_leaf(t, array); i++)
            if (seen_get(&t->map, array->in[i]) < 0) {
                EM__TRY(em__vec_push(todo, array->in[i]));
                ready = false;
            }
        if (!ready)
            continue;
        todo->length--;
        EM__TRY(add_node(t, array));
    }
    return EM_OK;
}

static em_status start(em__graph *graph, em_device *device, size_t n_inputs, size_t n_outputs)
{
    graph->device = device;
    graph->n_inputs = n_inputs;
    graph->n_outputs = n_outputs;
    graph->outputs = em__arena_calloc(&graph->arena, n_outputs, sizeof *graph->outputs);
    return graph->outputs ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

/* The specs of the given inputs, then of the captures. */
static em_status keep_inputs(tracing *t)
{
    em__graph *graph = t->graph;
    graph->inputs = em__arena_calloc(&graph->arena, graph->n_inputs, sizeof *graph->inputs);
    if (!graph->inputs)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < graph->n_inputs; i++)
        graph->inputs[i] = i < t->n_given ? t->inputs[i]->spec : t->captures->data[i - t->n_given]->spec;
    return EM_OK;
}

em_status em__graph_trace(em__graph *graph, em_device *device, em_array *const *outputs, size_t n_outputs,
                          em_array *const *inputs, size_t n_inputs, int level, em__captures *captures)
{
    tracing t = {.graph = graph, .inputs = inputs, .n_given = n_inputs, .level = level, .captures = captures};
    stack todo = {0};
    em_status status = start(graph, device, n_inputs, n_outputs);
    em__eval_lock(); /* captured lazy arrays must not be evaluated by another thread meanwhile */
    for (size_t i = 0; i < n_outputs && status == EM_OK; i++) {
        status = trace_one(&t, &todo, outputs[i]);
        if (status == EM_OK)
            graph->outputs[i] = seen_get(&t.map, outputs[i]);
    }
    em__eval_unlock();
    if (status == EM_OK)
        status = keep_inputs(&t);
    em__free(t.map.keys);
    em__free(t.map.values);
    em__vec_free(&todo);
    return status;
}

void em__captures_free(em__captures *captures)
{
    for (size_t i = 0; i < captures->length; i++)
        em_array_release(&captures->data[i]);
    em__vec_free(captures);
}
