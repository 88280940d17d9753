/* em_compile: trace, passes, schedule, plan. */
#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "core/options.h"
#include "device/memory.h"
#include "graph/function.h"
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
    {"patterns", em__pass_patterns, true},
    {"simplify", em__pass_simplify, true},
    {"fuse_linear", em__pass_fuse_linear, true},
    {"merge_linear", em__pass_merge_linear, true},
    {"fuse_norm", em__pass_fuse_norm, true},
    {"fuse_chain", em__pass_fuse_chain, true}, /* last: what has a kernel of its own goes there */
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

static em_status keep_specs(em_program *program)
{
    em__graph *graph = &program->graph;
    program->n_inputs = graph->n_inputs;
    program->n_outputs = graph->n_outputs;
    program->inputs = graph->inputs;
    program->outputs = em__arena_calloc(&graph->arena, graph->n_outputs, sizeof *program->outputs);
    if (!program->outputs)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < program->n_outputs; i++)
        program->outputs[i] = graph->nodes.data[graph->outputs[i]].spec;
    return EM_OK;
}

/* The functions of control ops, compiled for this program alone. */
static em_status compile_functions(em_program *program, const em__program_options *options)
{
    em__graph *graph = &program->graph;
    for (size_t i = 0; i < graph->nodes.length; i++)
        for (int j = 0; j < em__bodies(graph->nodes.data[i].op); j++) {
            em__function **function = &graph->nodes.data[i].functions[j];
            em__body *compiled;
            em__program_options own = *options;
            own.keep_ir = false;
            own.n_donated = em__control_donated(graph->nodes.data[i].op, graph->nodes.data[i].ints, j);
            EM__TRY(em__body_compiled((em__body *)*function, &own, &compiled));
            em__function_release(function);
            *function = &compiled->function;
        }
    return EM_OK;
}

static em_status build(em_program *program, const em__program_options *options)
{
    EM__TRY(run_passes(&program->graph, options->lane));
    EM__TRY(keep_specs(program));
    EM__TRY(compile_functions(program, options));
    em__device_enter(program->device);
    em_status status = em__program_schedule(program);
    em__device_leave(program->device);
    EM__TRY(status);
    if (options->lane == EM_FUSE && program->device->vtable->merge)
        EM__TRY(em__program_merge(program));
    return em__program_place(program);
}

em_status em__program_new(em__graph *graph, const em__program_options *options, em_program **out)
{
    em_program *program = em__calloc(1, sizeof *program);
    if (!program) {
        em__graph_free(graph);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_init(&program->lock, NULL);
    atomic_init(&program->refs, 1);
    program->device = graph->device;
    program->profile = options->profile;
    program->raw_weights = options->raw_weights;
    program->half_products = options->half_products;
    program->n_donated = options->n_donated < graph->n_inputs ? options->n_donated : graph->n_inputs;
    program->graph = *graph;
    *graph = (em__graph){0};
    em_status status = options->keep_ir ? em__graph_copy(&program->source, &program->graph) : EM_OK;
    if (status == EM_OK)
        status = build(program, options);
    if (status != EM_OK) {
        em_program_free(program);
        return status;
    }
    *out = program;
    return EM_OK;
}

em_status em__compile_options(const em_compile_options *given, em__program_options *options, em_device **device)
{
    em_compile_options o = {.lane = EM_FUSE};
    EM__TRY(EM__OPTIONS_COPY(given, &o, em_compile_options));
    EM__FAIL_IF(o.lane != EM_NATIVE && o.lane != EM_FUSE, EM_ERROR_INVALID_ARGUMENT, "compile: lane %d does not exist",
                (int)o.lane);
    *options = (em__program_options){.lane = o.lane,
                                     .profile = o.profile,
                                     .raw_weights = o.raw_weights,
                                     .half_products = o.half_products && o.lane == EM_FUSE,
                                     .n_donated = o.donated,
                                     .keep_ir = o.keep_ir};
    *device = o.device ? o.device : em_device_default();
    return *device ? EM_OK : em_last_status();
}

em_program *em_compile(em_trace_fn fn, void *user, const em_spec *inputs, size_t n_inputs, size_t n_outputs,
                       const em_compile_options *options)
{
    em__program_options o;
    em_device *device;
    if (em__compile_options(options, &o, &device) != EM_OK)
        return NULL;
    if (!fn || n_outputs == 0 || (n_inputs && !inputs) || n_inputs > MOST_VALUES || n_outputs > MOST_VALUES) {
        em__fail(EM_ERROR_INVALID_ARGUMENT,
                 "compile: a function, specs of all inputs and 1 to %d outputs are needed; got %zu inputs, %zu outputs",
                 MOST_VALUES, n_inputs, n_outputs);
        return NULL;
    }
    uint64_t begin = em__now();
    em_program *program = NULL;
    em__graph graph = {0};
    em_status status = em__graph_trace_function(&graph, device, NULL, fn, user, inputs, n_inputs, n_outputs, NULL);
    if (status == EM_OK)
        status = em__program_new(&graph, &o, &program);
    else
        em__graph_free(&graph);
    em__telemetry("compile", "", em__now() - begin);
    return status == EM_OK ? program : NULL;
}

em_program *em__program_retain(em_program *program)
{
    atomic_fetch_add(&program->refs, 1);
    return program;
}

void em_program_free(em_program *program)
{
    if (!program || atomic_fetch_sub(&program->refs, 1) != 1)
        return;
    for (size_t i = 0; i < program->steps.length; i++)
        em__packed_release(program->steps.data[i].packed);
    em__vec_free(&program->steps);
    em__vec_free(&program->storages);
    em__vec_free(&program->patches);
    em__memory_free(program->device, program->arena, program->arena_bytes);
    em__recordings_free(program);
    em__graph_free(&program->graph);
    em__graph_free(&program->source);
    em__stage_free(program);
    pthread_mutex_destroy(&program->lock);
    em__free(program);
}
