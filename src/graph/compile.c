/* em_compile: trace, passes, schedule, plan. */
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/log.h"
#include "core/options.h"
#include "graph/program.h"

#define MOST_VALUES (1 << 20) /* inputs, and outputs, of a program */

typedef struct pass {
    const char *name;
    em_status (*run)(em__graph *graph);
    bool fuse_only;
} pass;

static const pass passes[] = {
    {"fold", em__pass_fold, false},
    {"cse", em__pass_cse, false},
    {"fuse_linear", em__pass_fuse_linear, true},
    {"merge_linear", em__pass_merge_linear, true},
    {"fuse_norm", em__pass_fuse_norm, true},
};

static em_status run_passes(em__graph *graph, em_lane lane)
{
    EM__TRY(em__graph_verify(graph, "trace"));
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        if (passes[i].fuse_only && lane != EM_FUSE)
            continue;
        EM__TRY(passes[i].run(graph));
        EM__TRY(em__graph_sweep(graph));
        EM__TRY(em__graph_verify(graph, passes[i].name));
    }
    return EM_OK;
}

/* The input placeholders, in the scope. */
static em_status make_inputs(em_scope *scope, const em_spec *specs, size_t n, em_array **inputs)
{
    for (size_t i = 0; i < n; i++) {
        int64_t ints[2 + EM_MAX_RANK] = {specs[i].dtype, (int64_t)i};
        int rank = specs[i].dims.rank;
        EM__FAIL_IF(rank < 0 || rank > EM_MAX_RANK || (unsigned)specs[i].dtype >= EM_DTYPE_COUNT,
                    EM_ERROR_INVALID_ARGUMENT, "compile: input %zu has rank %d and dtype %d", i, rank,
                    (int)specs[i].dtype);
        memcpy(ints + 2, specs[i].dims.dims, (size_t)rank * sizeof ints[0]);
        inputs[i] = em__build(scope, &(em__build_args){.op = EM__OP_INPUT, .ints = ints, .n_ints = 2 + rank});
        if (!inputs[i])
            return em_scope_status(scope);
    }
    return EM_OK;
}

static em_status trace(em_program *program, em_trace_fn fn, void *user, const em_spec *inputs, em_scope *scope)
{
    em_array **in = em__calloc(program->n_inputs + program->n_outputs, sizeof(em_array *));
    if (!in)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array **out = in + program->n_inputs;
    em_status status = make_inputs(scope, inputs, program->n_inputs, in);
    if (status == EM_OK)
        status = fn(scope, in, out, user);
    if (status == EM_OK && em_scope_status(scope) != EM_OK)
        status = em__fail(em_scope_status(scope), "%s", em_scope_error(scope));
    for (size_t i = 0; i < program->n_outputs && status == EM_OK; i++)
        if (!out[i])
            status = em__fail(EM_ERROR_INVALID_ARGUMENT, "compile: the function set no output %zu", i);
    if (status == EM_OK)
        status = em__graph_trace(&program->graph, program->device, out, program->n_outputs, in, program->n_inputs);
    em__free(in);
    return status;
}

static em_status keep_specs(em_program *program, const em_spec *inputs)
{
    em__arena *arena = &program->graph.arena;
    program->inputs = em__arena_calloc(arena, program->n_inputs, sizeof *program->inputs);
    program->outputs = em__arena_calloc(arena, program->n_outputs, sizeof *program->outputs);
    if (!program->inputs || !program->outputs)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < program->n_inputs; i++) {
        program->inputs[i] = (em__spec){.dtype = inputs[i].dtype, .rank = inputs[i].dims.rank};
        memcpy(program->inputs[i].dims, inputs[i].dims.dims, sizeof program->inputs[i].dims);
    }
    for (size_t i = 0; i < program->n_outputs; i++)
        program->outputs[i] = program->graph.nodes.data[program->graph.outputs[i]].spec;
    return EM_OK;
}

static em_status build(em_program *program, em_trace_fn fn, void *user, const em_spec *inputs, em_lane lane)
{
    em_scope *scope = em_scope_new(program->device);
    if (!scope)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = trace(program, fn, user, inputs, scope);
    em_scope_free(scope);
    EM__TRY(status);
    EM__TRY(run_passes(&program->graph, lane));
    EM__TRY(keep_specs(program, inputs));
    em__device_enter(program->device);
    status = em__program_schedule(program);
    em__device_leave(program->device);
    EM__TRY(status);
    return em__program_place(program);
}

em_program *em_compile(em_trace_fn fn, void *user, const em_spec *inputs, size_t n_inputs, size_t n_outputs,
                       const em_compile_options *options)
{
    em_compile_options o = {.lane = EM_FUSE};
    if (em__options_copy(options, &o, sizeof o, "em_compile_options") != EM_OK)
        return NULL;
    if (!fn || n_outputs == 0 || (n_inputs && !inputs) || n_inputs > MOST_VALUES || n_outputs > MOST_VALUES) {
        em__fail(EM_ERROR_INVALID_ARGUMENT,
                 "compile: a function, specs of all inputs and 1 to %d outputs are needed; got %zu inputs, %zu outputs",
                 MOST_VALUES, n_inputs, n_outputs);
        return NULL;
    }
    if (o.lane != EM_NATIVE && o.lane != EM_FUSE) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "compile: lane %d does not exist", (int)o.lane);
        return NULL;
    }
    if (!o.device)
        o.device = em_device_default();
    uint64_t begin = em__now();
    em_program *program = o.device ? em__calloc(1, sizeof *program) : NULL;
    if (!program)
        return NULL;
    pthread_mutex_init(&program->lock, NULL);
    program->device = o.device;
    program->profile = o.profile;
    program->n_inputs = n_inputs;
    program->n_outputs = n_outputs;
    if (build(program, fn, user, inputs, o.lane) != EM_OK) {
        em_program_free(program);
        return NULL;
    }
    em__telemetry("compile", "", em__now() - begin);
    return program;
}

void em_program_free(em_program *program)
{
    if (!program)
        return;
    for (size_t i = 0; i < program->steps.length; i++)
        em__packed_release(program->steps.data[i].packed);
    em__vec_free(&program->steps);
    em__vec_free(&program->storages);
    em__vec_free(&program->patches);
    em__block_free(program->arena, program->arena_bytes);
    em__graph_free(&program->graph);
    pthread_mutex_destroy(&program->lock);
    em__free(program);
}
