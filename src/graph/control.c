/*
 * The builders of control ops: trace the functions, check that their results fit, make the op over states and captures.
 */
#include <emily/control.h>
#include <emily/ops.h>

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "graph/function.h"

#define MOST_RESULTS 65536

/* What a builder has made so far. */
typedef struct control {
    em_scope *scope;
    em__body *functions[EM__FUNCTIONS];
    em__captures captures[EM__FUNCTIONS];
    em_spec *inputs; /* of each function */
    size_t n_inputs, n_results;
} control;

static void finish(control *c)
{
    for (int i = 0; i < EM__FUNCTIONS; i++) {
        em__function *function = c->functions[i] ? &c->functions[i]->function : NULL;
        em__function_release(&function);
        em__captures_free(&c->captures[i]);
    }
    em__free(c->inputs);
}

static em_status trace(control *c, int which, em_trace_fn fn, void *user, size_t n_outputs)
{
    em__graph graph = {0};
    em_status status = em__graph_trace_function(&graph, c->scope->device, c->scope, fn, user, c->inputs, c->n_inputs,
                                                n_outputs, &c->captures[which]);
    if (status == EM_OK)
        return em__body_new(&graph, &c->functions[which]);
    em__graph_free(&graph);
    return status;
}

static const em__spec *result_spec(const control *c, int which, size_t i)
{
    const em__graph *graph = &c->functions[which]->graph;
    return &graph->nodes.data[graph->outputs[i]].spec;
}

/* The user's function, made to give a pred. */
typedef struct truth {
    em_trace_fn fn;
    void *user;
} truth;

static em_status trace_truth(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const truth *t = user;
    em_status status = t->fn(s, in, out, t->user);
    if (status == EM_OK && out[0] && em_array_dtype(out[0]) != EM_PRED)
        out[0] = em_cast(s, out[0], EM_PRED);
    return status == EM_OK ? em_scope_status(s) : status;
}

/* The op over `lead`, then the captures of both functions. */
static em_status build(control *c, em__op op, em_array *const *lead, size_t n_lead, const int64_t *ints, int n_ints,
                       em_array **results)
{
    size_t n = n_lead + c->captures[0].length + c->captures[1].length;
    em_array **in = em__calloc(n, sizeof *in);
    em__function *functions[] = {&c->functions[0]->function, &c->functions[1]->function};
    if (!in)
        return EM_ERROR_OUT_OF_MEMORY;
    size_t at = 0;
    for (size_t i = 0; i < n_lead; i++)
        in[at++] = lead[i];
    for (int i = 0; i < EM__FUNCTIONS; i++)
        for (size_t j = 0; j < c->captures[i].length; j++)
            in[at++] = c->captures[i].data[j];
    bool good = em__build_parts(
        c->scope,
        &(em__build_args){.op = op, .in = in, .n_in = (int)n, .ints = ints, .n_ints = n_ints, .functions = functions},
        results, (int)c->n_results);
    em__free(in);
    return good ? EM_OK : em_scope_status(c->scope);
}

static em_status check_states(const control *c, em_array *const *initial)
{
    char is[EM__SPEC_TEXT], should[EM__SPEC_TEXT];
    const em__spec *verdict = result_spec(c, 0, 0);
    EM__FAIL_IF(verdict->rank != 0, EM_ERROR_INVALID_ARGUMENT, "while: the condition is %s; it must be a scalar",
                em__spec_print(verdict, is, sizeof is));
    for (size_t i = 0; i < c->n_results; i++) {
        const em__spec *spec = result_spec(c, 1, i);
        EM__FAIL_IF(!em__spec_equal(spec, &initial[i]->spec), EM_ERROR_INVALID_ARGUMENT,
                    "while: state %zu starts as %s and the body makes it %s; cast or reshape it in the body", i,
                    em__spec_print(&initial[i]->spec, should, sizeof should), em__spec_print(spec, is, sizeof is));
    }
    return EM_OK;
}

static em_status state_specs(control *c, em_array *const *initial, size_t n)
{
    c->n_inputs = n;
    c->inputs = em__calloc(n, sizeof *c->inputs);
    if (!c->inputs)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        c->inputs[i] = (em_spec){em_array_dtype(initial[i]), em_array_dims(initial[i])};
    return EM_OK;
}

static em_status build_while(control *c, em_trace_fn condition, em_trace_fn body, void *user, em_array *const *initial,
                             em_array **results)
{
    truth t = {condition, user};
    EM__TRY(state_specs(c, initial, c->n_results));
    EM__TRY(trace(c, 0, trace_truth, &t, 1));
    EM__TRY(trace(c, 1, body, user, c->n_results));
    EM__TRY(check_states(c, initial));
    const int64_t ints[] = {(int64_t)c->n_results, (int64_t)c->captures[0].length};
    return build(c, EM__OP_WHILE, initial, c->n_results, ints, 2, results);
}

/* Keeps the error in the scope, empties the results. */
static em_status settle(control *c, em_status status, em_array **results)
{
    finish(c);
    if (status == EM_OK)
        return EM_OK;
    if (results && c->n_results <= MOST_RESULTS)
        memset(results, 0, c->n_results * sizeof *results);
    em__scope_fail(c->scope);
    return c->scope ? em_scope_status(c->scope) : status;
}

static em_status check_arguments(const control *c, const char *what, bool good)
{
    EM__FAIL_IF(!c->scope, EM_ERROR_INVALID_ARGUMENT, "%s: the scope is NULL", what);
    EM__FAIL_IF(!good || c->n_results == 0 || c->n_results > MOST_RESULTS, EM_ERROR_INVALID_ARGUMENT,
                "%s: two functions and room for 1 to %d results are needed; got %zu", what, MOST_RESULTS, c->n_results);
    return EM_OK;
}

em_status em_while(em_scope *scope, em_trace_fn condition, em_trace_fn body, void *user, em_array *const *initial,
                   size_t n, em_array **results)
{
    control c = {.scope = scope, .n_results = n};
    em_status status = check_arguments(&c, "while", condition && body && initial && results);
    if (status == EM_OK && !em__scope_ok(scope, initial, (int)n, "while"))
        status = em_scope_status(scope);
    if (status == EM_OK)
        status = build_while(&c, condition, body, user, initial, results);
    return settle(&c, status, results);
}

static em_status result_ints(const control *c, int64_t **ints, int *n_ints)
{
    int n = 1;
    *ints = em__calloc(1 + c->n_results * (2 + EM_MAX_RANK), sizeof **ints);
    if (!*ints)
        return EM_ERROR_OUT_OF_MEMORY;
    (*ints)[0] = (int64_t)c->captures[0].length;
    for (size_t i = 0; i < c->n_results; i++) {
        const em__spec *spec = result_spec(c, 0, i);
        (*ints)[n++] = spec->dtype;
        (*ints)[n++] = spec->rank;
        for (int j = 0; j < spec->rank; j++)
            (*ints)[n++] = spec->dims[j];
    }
    *n_ints = n;
    return EM_OK;
}

static em_status build_cond(control *c, em_array *predicate, em_trace_fn yes, em_trace_fn no, void *user,
                            em_array **results)
{
    char one[EM__SPEC_TEXT], other[EM__SPEC_TEXT];
    int64_t *ints;
    int n_ints;
    EM__TRY(trace(c, 0, yes, user, c->n_results));
    EM__TRY(trace(c, 1, no, user, c->n_results));
    for (size_t i = 0; i < c->n_results; i++)
        EM__FAIL_IF(!em__spec_equal(result_spec(c, 0, i), result_spec(c, 1, i)), EM_ERROR_INVALID_ARGUMENT,
                    "cond: result %zu is %s in one branch and %s in the other", i,
                    em__spec_print(result_spec(c, 0, i), one, sizeof one),
                    em__spec_print(result_spec(c, 1, i), other, sizeof other));
    if (em_array_dtype(predicate) != EM_PRED)
        predicate = em_cast(c->scope, predicate, EM_PRED);
    if (!predicate)
        return em_scope_status(c->scope);
    EM__TRY(result_ints(c, &ints, &n_ints));
    em_status status = build(c, EM__OP_COND, &predicate, 1, ints, n_ints, results);
    em__free(ints);
    return status;
}

em_status em_cond(em_scope *scope, em_array *predicate, em_trace_fn yes, em_trace_fn no, void *user, em_array **results,
                  size_t n)
{
    control c = {.scope = scope, .n_results = n};
    em_status status = check_arguments(&c, "cond", yes && no && results);
    if (status == EM_OK && !em__scope_ok(scope, &predicate, 1, "cond"))
        status = em_scope_status(scope);
    if (status == EM_OK)
        status = build_cond(&c, predicate, yes, no, user, results);
    return settle(&c, status, results);
}
