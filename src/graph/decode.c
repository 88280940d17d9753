/*
 * Bytes to a graph. Every count is checked against the bytes that are left before anything is made of it, every op
 * against its lists (em__op_check) and its rule, every function against what its op runs it on.
 */
#include <string.h>

#include <emily/ir.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "graph/code.h"
#include "graph/function.h"

typedef struct decoder {
    const unsigned char *begin, *at, *end;
    em__op *ops; /* by number of their names */
    uint64_t n_ops;
    em_array *const *constants;
    size_t n_constants;
    em_device *device;
    int depth;
} decoder;

static em_status broken(const decoder *d, const char *what)
{
    return em__fail(EM_ERROR_FORMAT, "decode: byte %zu: %s", (size_t)(d->at - d->begin), what);
}

static em_status get_varint(decoder *d, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (d->at == d->end)
            return broken(d, "the program ends in the middle of a number");
        unsigned char byte = *d->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return EM_OK;
    }
    return broken(d, "a number has over 64 bits");
}

/* A count of things that take at least `size` bytes each. */
static em_status get_count(decoder *d, size_t size, int *count)
{
    uint64_t value;
    EM__TRY(get_varint(d, &value));
    if (value > (uint64_t)(d->end - d->at) / size || value > INT32_MAX)
        return broken(d, "a count is larger than the bytes that are left");
    *count = (int)value;
    return EM_OK;
}

static em_status get_byte(decoder *d, int below, int *value)
{
    if (d->at == d->end)
        return broken(d, "the program ends too early");
    *value = *d->at++;
    return *value < below ? EM_OK : broken(d, "a dtype, rank or kind does not exist");
}

static em_status get_spec(decoder *d, em__spec *spec)
{
    int dtype = 0;
    *spec = (em__spec){0};
    EM__TRY(get_byte(d, EM_DTYPE_COUNT, &dtype));
    EM__TRY(get_byte(d, EM_MAX_RANK + 1, &spec->rank));
    spec->dtype = (em_dtype)dtype;
    for (int i = 0; i < spec->rank; i++) {
        uint64_t dim;
        EM__TRY(get_varint(d, &dim));
        spec->dims[i] = (int64_t)dim;
    }
    return em__spec_check(spec, "decode");
}

static em_status get_index(decoder *d, size_t below, int *index)
{
    uint64_t value;
    EM__TRY(get_varint(d, &value));
    if (value >= below)
        return broken(d, "an operand or output is not a node that came before");
    *index = (int)value;
    return EM_OK;
}

/* A row-major array with the bytes that follow. */
static em_status get_inside(decoder *d, const em__spec *spec, em_array **value)
{
    size_t bytes = em__spec_bytes(spec);
    if (bytes > (size_t)(d->end - d->at))
        return broken(d, "a constant is larger than the bytes that are left");
    em__buffer *buffer = em__buffer_new(NULL, bytes);
    *value = buffer ? em__array_over(d->device, spec, buffer) : NULL;
    if (!*value) {
        em__buffer_release(buffer);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    if (bytes)
        memcpy(buffer->data, d->at, bytes);
    d->at += bytes;
    return EM_OK;
}

static em_status get_numbered(decoder *d, const em__spec *spec, em_array **value)
{
    char is[EM__SPEC_TEXT], should[EM__SPEC_TEXT];
    uint64_t number;
    EM__TRY(get_varint(d, &number));
    EM__FAIL_IF(number >= d->n_constants || !d->constants[number], EM_ERROR_INVALID_ARGUMENT,
                "decode: constant %llu is not given; there are %zu", (unsigned long long)number, d->n_constants);
    em_array *given = d->constants[number];
    EM__FAIL_IF(!em__spec_equal(&given->spec, spec), EM_ERROR_INVALID_ARGUMENT,
                "decode: constant %llu is %s, the program wants %s", (unsigned long long)number,
                em__spec_print(&given->spec, is, sizeof is), em__spec_print(spec, should, sizeof should));
    EM__TRY(em_array_eval(given));
    em__eval_lock(); /* another thread may lay it out anew */
    *value = em__array_share(given);
    em__eval_unlock();
    return *value ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

/* A byte that is neither 0 nor 1 is no pred. */
static em_status check_preds(const decoder *d, const em_array *value)
{
    const uint8_t *bytes = value->buffer->data;
    for (int64_t i = 0; value->spec.dtype == EM_PRED && i < em__spec_size(&value->spec); i++)
        if (bytes[i] > 1)
            return broken(d, "a pred is neither 0 nor 1");
    return EM_OK;
}

static em_status get_constant(decoder *d, em__graph *graph)
{
    em__spec spec;
    em_array *value = NULL;
    int kind = 0;
    EM__TRY(get_spec(d, &spec));
    EM__TRY(get_byte(d, EM__CODE_NUMBERED + 1, &kind));
    EM__TRY(kind == EM__CODE_INSIDE ? get_inside(d, &spec, &value) : get_numbered(d, &spec, &value));
    if (kind == EM__CODE_INSIDE && check_preds(d, value) != EM_OK) {
        em_array_release(&value);
        return EM_ERROR_FORMAT;
    }
    return em__graph_add_constant(graph, value) < 0 ? EM_ERROR_OUT_OF_MEMORY : EM_OK;
}

/* The lists of a node; each is checked to fit before there is room made for it. */
static em_status get_lists(decoder *d, em__graph *graph, em__node *node)
{
    int n;
    size_t before = graph->nodes.length;
    EM__TRY(get_count(d, 1, &n));
    node->in = em__arena_calloc(&graph->arena, (size_t)n, sizeof *node->in);
    for (node->n_in = 0; node->in && node->n_in < n; node->n_in++)
        EM__TRY(get_index(d, before, &node->in[node->n_in]));
    EM__TRY(get_count(d, 1, &n));
    node->ints = em__arena_calloc(&graph->arena, (size_t)n, sizeof *node->ints);
    for (node->n_ints = 0; node->ints && node->n_ints < n; node->n_ints++) {
        uint64_t value;
        EM__TRY(get_varint(d, &value));
        node->ints[node->n_ints] = (int64_t)(value >> 1 ^ (~(value & 1) + 1));
    }
    EM__TRY(get_count(d, sizeof(double), &n));
    node->floats = em__arena_calloc(&graph->arena, (size_t)n, sizeof *node->floats);
    if (!node->in || !node->ints || !node->floats)
        return EM_ERROR_OUT_OF_MEMORY;
    node->n_floats = n;
    if (n)
        memcpy(node->floats, d->at, (size_t)n * sizeof(double));
    d->at += (size_t)n * sizeof(double);
    return EM_OK;
}

static em_status get_graph(decoder *d, em__graph *graph);

static em_status get_functions(decoder *d, em__node *node)
{
    int n;
    EM__TRY(get_count(d, 1, &n));
    if (n != (em__op_get(node->op)->traits & EM__TRAIT_CONTROL ? EM__FUNCTIONS : 0))
        return broken(d, "an op has not its number of functions");
    if (d->depth >= EM__CODE_DEEPEST)
        return broken(d, "functions are nested too deep");
    d->depth++;
    for (int i = 0; i < n; i++) {
        em__graph graph = {0};
        em__body *body;
        em_status status = get_graph(d, &graph);
        if (status != EM_OK) {
            em__graph_free(&graph);
            return status;
        }
        EM__TRY(em__body_new(&graph, &body));
        node->functions[i] = &body->function;
    }
    d->depth--;
    return EM_OK;
}

/* Lists, functions and rule of an op, which is appended whatever it is: the graph then frees it. */
static em_status get_op(decoder *d, em__graph *graph, em__op op)
{
    em__node made = {.op = op}; /* functions may fail after some were made */
    em_status status = get_lists(d, graph, &made);
    if (status == EM_OK)
        status = get_functions(d, &made);
    if (status == EM_OK)
        status = em__graph_check_node(graph, &made);
    if (em__vec_push(&graph->nodes, made) == EM_OK)
        return status;
    for (int i = 0; i < EM__FUNCTIONS; i++)
        em__function_release(&made.functions[i]);
    return EM_ERROR_OUT_OF_MEMORY;
}

static em_status get_node(decoder *d, em__graph *graph)
{
    uint64_t number;
    EM__TRY(get_varint(d, &number));
    if (number >= d->n_ops)
        return broken(d, "an op's number has no name");
    em__op op = d->ops[number];
    return op == EM__OP_CONSTANT ? get_constant(d, graph) : get_op(d, graph, op);
}

static em_status get_graph(decoder *d, em__graph *graph)
{
    int n;
    graph->device = d->device;
    EM__TRY(get_count(d, 2, &n));
    graph->inputs = em__arena_calloc(&graph->arena, (size_t)n, sizeof *graph->inputs);
    if (!graph->inputs)
        return EM_ERROR_OUT_OF_MEMORY;
    for (; graph->n_inputs < (size_t)n; graph->n_inputs++)
        EM__TRY(get_spec(d, &graph->inputs[graph->n_inputs]));
    EM__TRY(get_count(d, 4, &n));
    for (int i = 0; i < n; i++)
        EM__TRY(get_node(d, graph));
    EM__TRY(get_count(d, 1, &n));
    if (n == 0)
        return broken(d, "a graph has no outputs");
    graph->outputs = em__arena_calloc(&graph->arena, (size_t)n, sizeof *graph->outputs);
    if (!graph->outputs)
        return EM_ERROR_OUT_OF_MEMORY;
    for (; graph->n_outputs < (size_t)n; graph->n_outputs++)
        EM__TRY(get_index(d, graph->nodes.length, &graph->outputs[graph->n_outputs]));
    return EM_OK;
}

static em_status get_name(decoder *d, em__op *op)
{
    int length;
    EM__TRY(get_count(d, 1, &length));
    for (int i = 0; i < EM__OP_COUNT; i++) {
        const char *name = em__op_get((em__op)i)->name;
        if (strlen(name) == (size_t)length && memcmp(name, d->at, (size_t)length) == 0) {
            *op = (em__op)i;
            d->at += length;
            return EM_OK;
        }
    }
    return em__fail(EM_ERROR_UNSUPPORTED,
                    "decode: there is no op \"%.*s\" here; was the program made by a newer Emily?",
                    length < 64 ? length : 64, (const char *)d->at);
}

static em_status get_program(decoder *d, em__graph *graph)
{
    int n;
    uint64_t numbered;
    if (d->end - d->at < EM__CODE_MAGIC_SIZE || memcmp(d->at, EM__CODE_MAGIC, EM__CODE_MAGIC_SIZE) != 0)
        return broken(d, "this is no program of version 1");
    d->at += EM__CODE_MAGIC_SIZE;
    EM__TRY(get_count(d, 1, &n));
    d->ops = em__calloc((size_t)n + 1, sizeof *d->ops);
    if (!d->ops)
        return EM_ERROR_OUT_OF_MEMORY;
    for (; d->n_ops < (uint64_t)n; d->n_ops++)
        EM__TRY(get_name(d, &d->ops[d->n_ops]));
    EM__TRY(get_varint(d, &numbered));
    EM__FAIL_IF(numbered != d->n_constants, EM_ERROR_INVALID_ARGUMENT,
                "decode: the program wants %llu constants, %zu are given", (unsigned long long)numbered,
                d->n_constants);
    EM__TRY(get_graph(d, graph));
    return d->at == d->end ? EM_OK : broken(d, "bytes follow the program");
}

em_program *em_program_decode(const void *bytes, size_t size, em_array *const *constants, size_t n_constants,
                              const em_compile_options *options)
{
    em__graph graph = {0};
    em_program *program = NULL;
    em__program_options o;
    decoder d = {.begin = bytes, .at = bytes, .constants = constants, .n_constants = n_constants};
    if (!bytes || (n_constants && !constants)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "decode: NULL argument");
        return NULL;
    }
    d.end = d.at + size;
    em_status status = em__compile_options(options, &o, &d.device);
    if (status == EM_OK)
        status = get_program(&d, &graph);
    em__free(d.ops);
    if (status == EM_OK)
        return em__program_new(&graph, &o, &program) == EM_OK ? program : NULL;
    em__graph_free(&graph);
    return NULL;
}
