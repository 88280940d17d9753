/* From a user's function to a graph: placeholders for its inputs, its call in a scope of its own, the trace. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "graph/ir.h"

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

static em_status call(em_scope *scope, em_trace_fn fn, void *user, em_array *const *in, em_array **out,
                      size_t n_outputs)
{
    em_status status = fn(scope, in, out, user);
    if (em_scope_status(scope) != EM_OK)
        status = em__fail(em_scope_status(scope), "%s", em_scope_error(scope));
    else if (status != EM_OK)
        status = em__fail(status, "compile: the function failed: %s", em_status_text(status));
    for (size_t i = 0; i < n_outputs && status == EM_OK; i++)
        if (!out[i])
            status = em__fail(EM_ERROR_INVALID_ARGUMENT, "compile: the function set no output %zu", i);
    return status;
}

em_status em__graph_trace_function(em__graph *graph, em_device *device, const em_scope *outer, em_trace_fn fn,
                                   void *user, const em_spec *inputs, size_t n_inputs, size_t n_outputs,
                                   em__captures *captures)
{
    em_scope *scope = em_scope_new(device);
    em_array **in = em__calloc(n_inputs + n_outputs, sizeof(em_array *));
    em_status status = scope && in ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        em_array **out = in + n_inputs;
        scope->level = outer ? outer->level + 1 : 0;
        status = make_inputs(scope, inputs, n_inputs, in);
        if (status == EM_OK)
            status = call(scope, fn, user, in, out, n_outputs);
        if (status == EM_OK)
            status = em__graph_trace(graph, device, out, n_outputs, in, n_inputs, scope->level, captures);
    }
    em__free(in);
    em_scope_free(scope);
    return status;
}
