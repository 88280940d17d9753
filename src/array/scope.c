/* Scopes: they own arrays and keep the first error. */
#include <string.h>

#include "array/array.h"
#include "array/sub_byte.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/vec.h"

em_scope *em_scope_new(em_device *device)
{
    if (!device)
        device = em_device_default();
    em_scope *scope = device ? em__calloc(1, sizeof *scope) : NULL;
    if (scope)
        scope->device = device;
    return scope;
}

void em_scope_free(em_scope *scope)
{
    if (!scope)
        return;
    for (size_t i = scope->arrays.length; i-- > 0;)
        em_array_release(&scope->arrays.data[i]);
    em__vec_free(&scope->arrays);
    em__free(scope->error);
    em__free(scope);
}

em_status em_scope_status(const em_scope *scope)
{
    return scope ? scope->status : EM_ERROR_OUT_OF_MEMORY;
}

const char *em_scope_error(const em_scope *scope)
{
    if (!scope)
        return "scope: out of memory";
    return scope->error ? scope->error : scope->status == EM_OK ? "" : em_status_text(scope->status);
}

em_array *em__scope_fail(em_scope *scope)
{
    if (scope && scope->status == EM_OK) {
        scope->status = em_last_status() != EM_OK ? em_last_status() : EM_ERROR_INTERNAL;
        scope->error = em__strdup(em_last_error()); /* may fail: the status alone then tells */
    }
    return NULL;
}

bool em__scope_ok(em_scope *scope, em_array *const *in, int n_in, const char *what)
{
    if (!scope) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: the scope is NULL", what);
        return false;
    }
    if (scope->status != EM_OK)
        return false;
    for (int i = 0; i < n_in; i++) {
        if (in[i])
            continue;
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: operand %d is NULL", what, i);
        em__scope_fail(scope);
        return false;
    }
    return true;
}

em_array *em_scope_adopt(em_scope *scope, em_array *array)
{
    if (!array)
        return NULL;
    if (!scope)
        em__fail(EM_ERROR_INVALID_ARGUMENT, "scope_adopt: the scope is NULL");
    if (!scope || em__vec_push(&scope->arrays, array) != EM_OK) {
        em_array_release(&array);
        return em__scope_fail(scope);
    }
    return array;
}

em_array *em__build(em_scope *scope, const em__build_args *args)
{
    const em__op_info *info = em__op_get(args->op);
    if (!em__scope_ok(scope, args->in, args->n_in, info->name))
        return NULL;
    if (em__is_sub_byte(args))
        return em__build_wide(scope, args);
    const em__spec *few[8];
    const em__spec **specs = args->n_in <= 8 ? few : em__alloc((size_t)args->n_in * sizeof *specs);
    em__spec out;
    em_array *array = NULL;
    if (specs) {
        for (int i = 0; i < args->n_in; i++)
            specs[i] = &args->in[i]->spec;
        em__apply apply = {args->op, args->n_in, specs, args->n_ints, args->ints, args->n_floats, args->floats};
        if (em__op_infer(&apply, &out) == EM_OK)
            array = em__array_new(scope->device, &out, args->op, args->n_in, args->n_ints, args->n_floats);
        if (specs != few)
            em__free(specs);
    }
    if (!array)
        return em__scope_fail(scope);
    array->level = scope->level;
    for (int i = 0; i < args->n_in; i++) {
        array->in[i] = em_array_retain(args->in[i]);
        array->level = args->in[i]->level > array->level ? args->in[i]->level : array->level;
    }
    for (int i = 0; i < EM__FUNCTIONS && args->functions; i++)
        array->functions[i] = em__function_retain(args->functions[i]);
    for (int i = 0; i < args->n_ints; i++)
        array->ints[i] = args->ints[i];
    for (int i = 0; i < args->n_floats; i++)
        array->floats[i] = args->floats[i];
    return em_scope_adopt(scope, array);
}

static em_array *build_part(em_scope *scope, em_array *block, const em__spec *spec, int64_t offset)
{
    int64_t ints[2 + EM_MAX_RANK] = {spec->dtype, offset};
    memcpy(ints + 2, spec->dims, (size_t)spec->rank * sizeof ints[0]);
    return em__build(scope, &(em__build_args){
                                .op = EM__OP_ELEMENT, .in = &block, .n_in = 1, .ints = ints, .n_ints = 2 + spec->rank});
}

em_status em__find_parts(const em__build_args *args, int n, em__spec **specs, int64_t **offsets)
{
    size_t n_in = args->n_in > 0 ? (size_t)args->n_in : 1;
    const em__spec **in = em__calloc(n_in, sizeof *in);
    *specs = em__calloc((size_t)n, sizeof **specs + sizeof **offsets);
    em_status status = in && *specs ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        *offsets = (int64_t *)(*specs + n);
        for (int i = 0; i < args->n_in; i++)
            in[i] = &args->in[i]->spec;
        em__apply apply = {args->op, args->n_in, in, args->n_ints, args->ints, args->n_floats, args->floats};
        if (em__op_parts(&apply, *specs) < 0 || em__parts_layout(*specs, n, *offsets) < 0)
            status = em_last_status();
    }
    em__free(in);
    return status;
}

bool em__build_parts(em_scope *scope, const em__build_args *args, em_array **out, int n)
{
    em__spec *specs = NULL;
    int64_t *offsets = NULL;
    memset(out, 0, (size_t)n * sizeof *out);
    if (em__scope_ok(scope, args->in, args->n_in, em__op_get(args->op)->name) && em__is_sub_byte(args))
        return em__build_parts_wide(scope, args, out, n);
    em_array *block = em__build(scope, args);
    bool good = block != NULL;
    if (good && em__find_parts(args, n, &specs, &offsets) != EM_OK)
        good = em__scope_fail(scope) != NULL;
    for (int i = 0; i < n && good; i++)
        good = (out[i] = build_part(scope, block, &specs[i], offsets[i])) != NULL;
    em__free(specs);
    if (!good)
        memset(out, 0, (size_t)n * sizeof *out);
    return good;
}
