/*
 * From graph nodes to steps: lowering as eager does it, with places in storage instead of pointers.
 */
#include <limits.h>
#include <string.h>

#include "array/lower.h"
#include "core/alloc.h"
#include "core/error.h"
#include "device/memory.h"
#include "graph/program.h"

/* What a node became. */
typedef struct value {
    em__place place;
    em__tensor tensor; /* layout only */
} value;

typedef struct schedule {
    em_program *program;
    value *values; /* one a node */
    int *root;     /* of a view: the node whose memory it shows; else itself */
    int *last_use; /* of a root: the last node that reads it or a view of it; EM__KEPT for outputs */
    int node;      /* the one being scheduled */
    size_t copies; /* storages from this on are copies made for it */
} schedule;

#define EM__KEPT INT_MAX

static em_status new_storage(em_program *program, em__storage storage, int *index)
{
    storage.first = storage.last = (int)program->steps.length;
    EM__TRY(em__vec_push(&program->storages, storage));
    *index = (int)program->storages.length - 1;
    return EM_OK;
}

static em_status arena_storage(em_program *program, size_t bytes, int *index)
{
    return new_storage(program, (em__storage){.kind = EM__AT_ARENA, .size = bytes}, index);
}

static void touch(em_program *program, int storage, int step)
{
    em__storage *s = &program->storages.data[storage];
    s->last = step > s->last ? step : s->last;
}

/* Adds the call as a step; `in` are its operands' places, out its result's, scratch a storage or -1. */
static em_status add_step(em_program *program, const em__call *call, const em__place *in, em__place out, int scratch,
                          em__packed *packed, const em__plan *plan)
{
    int step = (int)program->steps.length, n = call->n_in;
    em__step s = {.call = *call, .packed = packed, .fallback = plan->fallback, .host = plan->host};
    s.call.in = em__arena_calloc(&program->graph.arena, (size_t)n, sizeof *s.call.in);
    s.places = em__arena_calloc(&program->graph.arena, (size_t)n + 2, sizeof *s.places);
    if (!s.call.in || !s.places || em__vec_push(&program->steps, s) != EM_OK) {
        em__packed_release(packed);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    memcpy(s.call.in, call->in, (size_t)n * sizeof *s.call.in);
    memcpy(s.places, in, (size_t)n * sizeof *s.places);
    s.places[n] = out;
    s.places[n + 1] = (em__place){.storage = scratch};
    for (int i = 0; i <= n; i++)
        touch(program, s.places[i].storage, step);
    if (scratch >= 0)
        touch(program, scratch, step);
    return EM_OK;
}

/* A row-major copy of the value. */
static em_status add_copy(em_program *program, em__tensor *tensor, em__place *place, em__place to)
{
    em__call copy;
    em__plan plan;
    const em__spec spec = tensor->spec;
    EM__TRY(em__lower_copy(program->device, tensor, &copy, &plan));
    EM__TRY(add_step(program, &copy, place, to, -1, NULL, &plan));
    *tensor = (em__tensor){.spec = spec};
    em__tensor_contiguous(tensor);
    *place = to;
    return EM_OK;
}

static em_status add_temporary(em_program *program, em__tensor *tensor, em__place *place)
{
    em__place to = {0};
    EM__TRY(arena_storage(program, em__spec_bytes(&tensor->spec), &to.storage));
    return add_copy(program, tensor, place, to);
}

static em_status schedule_view(schedule *s, const em__node *node, value *out)
{
    value in = s->values[node->in[0]];
    int64_t shift;
    if (!em__view(node->op, &in.tensor, node->ints, &node->spec, &out->tensor, &shift)) {
        EM__TRY(add_temporary(s->program, &in.tensor, &in.place));
        em__view(node->op, &in.tensor, node->ints, &node->spec, &out->tensor, &shift);
    }
    out->place = in.place;
    out->place.offset += shift * (int64_t)em_dtype_size(in.tensor.spec.dtype);
    return EM_OK;
}

/* Whether operand i's memory, which nothing reads after this node, can take the result: an arena range of the right
 * size, or an input that the caller lets go and that the kernel updates. */
static bool can_overwrite(const schedule *s, const em__node *node, const em__call *call, const em__place *in, int i)
{
    em_program *program = s->program;
    bool update = em__op_get(node->op)->traits & EM__TRAIT_UPDATE;
    const em__storage *storage = &program->storages.data[in[i].storage];
    bool arena = storage->kind == EM__AT_ARENA && storage->size == em__spec_bytes(&node->spec);
    bool given = storage->kind == EM__AT_INPUT && update && (size_t)storage->index < program->n_donated &&
                 em__spec_bytes(&program->inputs[storage->index]) == em__spec_bytes(&node->spec);
    if (!(arena || given) || in[i].offset != 0 || !em__tensor_is_contiguous(&call->in[i]) ||
        (s->last_use[s->root[node->in[i]]] > s->node && (size_t)in[i].storage < s->copies) ||
        em__spec_bytes(&call->in[i].spec) != em__spec_bytes(&node->spec))
        return false;
    for (int j = 0; j < call->n_in; j++) /* another view of the same memory would be read after it was written */
        if (j != i && in[j].storage == in[i].storage &&
            (update || in[j].offset != 0 || !em__tensor_is_contiguous(&call->in[j]) ||
             em__spec_bytes(&call->in[j].spec) != em__spec_bytes(&node->spec)))
            return false;
    return true;
}

/* Where the result goes: over an operand that dies here if the kernel can, else to a range of its own. */
static em_status place_result(schedule *s, const em__node *node, const em__call *call, const em__place *in,
                              const em__plan *plan, em__place *out)
{
    uint64_t inplace = em__op_get(node->op)->traits & EM__TRAIT_UPDATE ? 1 : plan->inplace;
    *out = (em__place){0};
    for (int i = 0; i < call->n_in && i < 64; i++)
        if (inplace >> i & 1 && em__spec_bytes(&node->spec) && can_overwrite(s, node, call, in, i)) {
            out->storage = in[i].storage;
            if (s->program->storages.data[in[i].storage].kind == EM__AT_INPUT)
                s->program->written[s->program->storages.data[in[i].storage].index] = true;
            return EM_OK;
        }
    return arena_storage(s->program, em__spec_bytes(&node->spec), &out->storage);
}

static em_status lowered_step(schedule *s, const em__node *node, em__call *call, em__place *in, em_array **constants,
                              value *out)
{
    em_program *program = s->program;
    em__lowered lowered;
    em__packed *packed = NULL;
    int scratch = -1;
    s->copies = program->storages.length;
    EM__TRY(em__lower(program->device, call, &lowered));
    if (!program->raw_weights)
        EM__TRY(em__packed_acquire(program->device, call, constants, &packed));
    em_status status = EM_OK;
    if (packed) { /* with operand 1 packed the plan may need less */
        call->packed = em__packed_data(packed);
        status = em__lower(program->device, call, &lowered);
    }
    for (int i = 0; i < call->n_in && status == EM_OK; i++)
        if (em__lowered_copies(&lowered, call, i)) {
            status = add_temporary(program, &call->in[i], &in[i]);
            call->constant &=
                i < 64 ? ~((uint64_t)1 << i) : UINT64_MAX; /* what the kernel reads is a copy, of each run */
        }
    if (status == EM_OK)
        status = place_result(s, node, call, in, &lowered.plan, &out->place);
    if (status == EM_OK && lowered.plan.scratch)
        status = arena_storage(program, lowered.plan.scratch, &scratch);
    if (status != EM_OK) {
        em__packed_release(packed);
        return status;
    }
    out->tensor = call->out;
    return add_step(program, call, in, out->place, scratch, packed, &lowered.plan);
}

static em_status schedule_op(schedule *s, const em__node *node, value *out)
{
    em__graph *graph = &s->program->graph;
    size_t n = (size_t)node->n_in;
    em__tensor *tensors = em__arena_calloc(&graph->arena, n, sizeof *tensors);
    em__place *places = em__arena_calloc(&graph->arena, n, sizeof *places);
    em_array **constants = em__arena_calloc(&graph->arena, n, sizeof *constants);
    uint64_t constant = 0;
    if (!tensors || !places || !constants)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int i = 0; i < node->n_in; i++) {
        tensors[i] = s->values[node->in[i]].tensor;
        places[i] = s->values[node->in[i]].place;
        constants[i] = graph->nodes.data[node->in[i]].value;
        if (!constants[i])
            continue;
        EM__TRY(em__array_tensor_on(constants[i], s->program->device, &tensors[i])); /* packing reads them now */
        constant |= i < 64 ? (uint64_t)1 << i : 0;
    }
    em__call call = {.op = node->op,
                     .n_in = node->n_in,
                     .in = tensors,
                     .out = {.spec = node->spec},
                     .ints = node->ints,
                     .n_ints = node->n_ints,
                     .floats = node->floats,
                     .n_floats = node->n_floats,
                     .functions = node->functions[0] ? node->functions : NULL,
                     .constant = constant,
                     .half_products = s->program->half_products};
    return lowered_step(s, node, &call, places, constants, out);
}

static em_status schedule_leaf(schedule *s, const em__node *node, value *out)
{
    em__storage storage = {.kind = EM__AT_INPUT};
    out->tensor = (em__tensor){.spec = node->spec};
    if (node->op == EM__OP_CONSTANT) {
        EM__TRY(em__array_tensor_on(node->value, s->program->device, &out->tensor));
        storage.kind = EM__AT_CONSTANT;
        storage.data = out->tensor.data;
    } else {
        storage.index = (int)node->ints[1];
        em__tensor_contiguous(&out->tensor);
    }
    out->place = (em__place){0};
    return new_storage(s->program, storage, &out->place.storage);
}

/* An output is computed straight into the caller's memory when its bytes are the value's whole arena storage, and no
 * other output shares it; a donated input that became the output of the same index stays where it is; otherwise the
 * value is copied there. */
static em_status schedule_output(schedule *s, int index)
{
    em_program *program = s->program;
    value *v = &s->values[program->graph.outputs[index]];
    em__storage *storage = &program->storages.data[v->place.storage];
    if (storage->kind == EM__AT_ARENA && v->place.offset == 0 && em__tensor_is_contiguous(&v->tensor) &&
        storage->size == em__spec_bytes(&v->tensor.spec)) {
        storage->kind = EM__AT_OUTPUT;
        storage->index = index;
        return EM_OK;
    }
    bool whole = v->place.offset == 0 && em__tensor_is_contiguous(&v->tensor);
    if (storage->kind == EM__AT_INPUT && storage->index == index && (size_t)index < program->n_donated && whole &&
        em__spec_equal(&program->inputs[index], &program->outputs[index])) {
        program->updated[index] = program->written[index] = true;
        return EM_OK;
    }
    em__place to = {0};
    em__tensor tensor = v->tensor;
    em__place from = v->place;
    EM__TRY(new_storage(program, (em__storage){.kind = EM__AT_OUTPUT, .index = index}, &to.storage));
    return add_copy(program, &tensor, &from, to);
}

static em_status schedule_node(schedule *s, int index)
{
    const em__node *node = &s->program->graph.nodes.data[index];
    s->node = index;
    if (node->op == EM__OP_INPUT || node->op == EM__OP_CONSTANT)
        return schedule_leaf(s, node, &s->values[index]);
    if (em__op_get(node->op)->traits & EM__TRAIT_VIEW)
        return schedule_view(s, node, &s->values[index]);
    return schedule_op(s, node, &s->values[index]);
}

/* All constants go to a device with memory of its own at once. */
static em_status send_constants(em_program *program)
{
    const em__graph *graph = &program->graph;
    em_array **constants;
    size_t n = 0;
    if (!em__memory_of(program->device))
        return EM_OK;
    constants = em__calloc(graph->nodes.length, sizeof *constants);
    if (!constants)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < graph->nodes.length; i++)
        if (graph->nodes.data[i].op == EM__OP_CONSTANT)
            constants[n++] = graph->nodes.data[i].value;
    em_status status = em__arrays_on(constants, n, program->device);
    em__free(constants);
    return status;
}

/* Fills root and last_use. */
static void find_uses(schedule *s)
{
    const em__graph *graph = &s->program->graph;
    for (size_t i = 0; i < graph->nodes.length; i++) {
        const em__node *node = &graph->nodes.data[i];
        bool view = em__op_get(node->op)->traits & EM__TRAIT_VIEW;
        s->root[i] = view ? s->root[node->in[0]] : (int)i;
        for (int j = 0; j < node->n_in; j++)
            s->last_use[s->root[node->in[j]]] = (int)i;
    }
    for (size_t i = 0; i < graph->n_outputs; i++)
        s->last_use[s->root[graph->outputs[i]]] = EM__KEPT;
}

em_status em__program_schedule(em_program *program)
{
    em__graph *graph = &program->graph;
    size_t n = graph->nodes.length;
    schedule s = {.program = program};
    s.values = em__calloc(n, sizeof *s.values);
    s.root = em__calloc(2 * n, sizeof *s.root);
    program->updated = em__arena_calloc(&graph->arena, graph->n_outputs, sizeof *program->updated);
    program->written = em__arena_calloc(&graph->arena, graph->n_inputs, sizeof *program->written);
    em_status status = s.values && s.root && program->updated && program->written ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        s.last_use = s.root + n;
        find_uses(&s);
    }
    if (status == EM_OK)
        status = send_constants(program);
    for (size_t i = 0; i < n && status == EM_OK; i++)
        status = schedule_node(&s, (int)i);
    for (size_t i = 0; i < graph->n_outputs && status == EM_OK; i++)
        status = schedule_output(&s, (int)i);
    em__free(s.values);
    em__free(s.root);
    return status;
}
