/* See function.h. */
#include "graph/function.h"

#include "core/alloc.h"
#include "core/error.h"

static void free_body(em__function *function)
{
    em__body *body = (em__body *)function;
    em__graph_free(&body->graph);
    em_program_free(body->program);
    em__free(body->inputs);
    em__free(body->outputs);
    em__free(body);
}

em_status em__body_new(em__graph *graph, em__body **out)
{
    em__body *body = em__calloc(1, sizeof *body);
    const void **inputs = em__calloc(graph->n_inputs + 1, sizeof *inputs);
    void **outputs = em__calloc(graph->n_outputs + 1, sizeof *outputs);
    if (!body || !inputs || !outputs) {
        em__graph_free(graph);
        em__free(body);
        em__free(inputs);
        em__free(outputs);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    atomic_init(&body->function.refs, 1);
    body->function.free_fn = free_body;
    body->function.prepare = em__control_prepare;
    body->graph = *graph;
    body->inputs = inputs;
    body->outputs = outputs;
    *graph = (em__graph){0};
    *out = body;
    return EM_OK;
}

static em_status compile_copy(const em__graph *from, const em__program_options *options, em_program **out)
{
    em__graph copy = {0};
    em_status status = em__graph_copy(&copy, from);
    if (status == EM_OK)
        return em__program_new(&copy, options, out);
    em__graph_free(&copy);
    return status;
}

em_status em__body_compiled(const em__body *body, const em__program_options *options, em__body **out)
{
    em__graph sizes = {.n_inputs = body->graph.n_inputs, .n_outputs = body->graph.n_outputs};
    EM__TRY(em__body_new(&sizes, out));
    em_status status = compile_copy(&body->graph, options, &(*out)->program);
    if (status != EM_OK)
        free_body(&(*out)->function);
    return status;
}

em_status em__body_ready(em__body *body, size_t n_donated)
{
    const em__program_options options = {.lane = EM_NATIVE, .n_donated = n_donated};
    return body->program ? EM_OK : compile_copy(&body->graph, &options, &body->program);
}
