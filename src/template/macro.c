/* Macros: their arguments, their body. A macro sees the scope it was defined in. */
#include <string.h>

#include "core/alloc.h"
#include "template/template.h"
#include "template/text.h"

em_status em__j_make_macro(em__jrun *run, const em__jmacro_node *node, em__jvalue *out)
{
    em__jmacro *macro = em__j_alloc(run, 1, sizeof *macro);
    if (!macro)
        return em_last_status();
    *macro = (em__jmacro){node, run->scope};
    for (em__jscope *scope = run->scope; scope && !scope->captured; scope = scope->parent)
        scope->captured = true;
    *out = (em__jvalue){.kind = J_MACRO, .macro = macro};
    return EM_OK;
}

static const em__jvalue *find_named(const em__jargs *args, const em__jstring *name, bool *used)
{
    for (size_t i = 0; i < args->named; i++) {
        if (!em__j_same(args->names[i]->bytes, args->names[i]->length, name->bytes, name->length))
            continue;
        used[i] = true;
        return &args->values[args->count + i];
    }
    return NULL;
}

static em_status missing_parameter(em__jrun *run, const em__jstring *name, em__jvalue *out)
{
    char *hint = em__format("parameter '%.*s' was not provided", (int)name->length, name->bytes);
    em__jvalue copy;
    em_status status = hint ? em__j_copy(run, hint, strlen(hint) + 1, &copy) : EM_ERROR_OUT_OF_MEMORY;
    em__free(hint);
    return status == EM_OK ? em__j_undefined(run, copy.string->bytes, name, NULL, out) : status;
}

/* The named parameters, defaults where they are missing. */
static em_status bind_parameters(em__jrun *run, const em__jmacro_node *node, const em__jargs *args, bool *used)
{
    size_t first_default = node->count - node->defaults.count;
    for (size_t i = 0; i < node->count; i++) {
        em__jvalue value;
        const em__jvalue *named = i < args->count ? NULL : find_named(args, node->parameters[i], used);
        if (i < args->count)
            value = args->values[i];
        else if (named)
            value = *named;
        else if (i >= first_default)
            EM__TRY(em__j_eval(run, node->defaults.items[i - first_default], &value));
        else
            EM__TRY(missing_parameter(run, node->parameters[i], &value));
        EM__TRY(em__j_assign(run, node->parameters[i], value));
    }
    return EM_OK;
}

/* The rest: `kwargs`, `varargs`; arguments that nobody takes are errors. */
static em_status bind_rest(em__jrun *run, const em__jmacro_node *node, const em__jargs *args, const bool *used)
{
    static const em__jstring kwargs_name = {"kwargs", 6, 6, false}, varargs_name = {"varargs", 7, 7, false};
    const char *macro = node->name ? node->name->bytes : "caller";
    em__jvalue rest;
    EM__TRY(em__j_dict_new(run, &rest));
    for (size_t i = 0; i < args->named; i++)
        if (!used[i])
            EM__TRY(em__j_dict_set(run, rest.dict, em__j_of_string(args->names[i]), args->values[args->count + i]));
    if (node->wants_kwargs)
        EM__TRY(em__j_assign(run, &kwargs_name, rest));
    else if (rest.dict->length)
        return em__j_fail(run, "macro '%s' takes no keyword argument '%.*s'", macro,
                          (int)rest.dict->pairs[0].key.string->length, rest.dict->pairs[0].key.string->bytes);
    size_t extra = args->count > node->count ? args->count - node->count : 0;
    if (!node->wants_varargs && extra)
        return em__j_fail(run, "macro '%s' takes not more than %zu argument(s)", macro, node->count);
    if (!node->wants_varargs)
        return EM_OK;
    EM__TRY(em__j_list(run, J_TUPLE, args->values + args->count - extra, extra, &rest));
    return em__j_assign(run, &varargs_name, rest);
}

static em_status bind_all(em__jrun *run, const em__jmacro_node *node, const em__jargs *args)
{
    static const em__jstring caller_name = {"caller", 6, 6, false};
    bool *used = em__j_alloc(run, args->named, sizeof *used);
    if (!used)
        return em_last_status();
    memset(used, 0, args->named * sizeof *used);
    if (node->wants_caller) {
        em__jvalue none;
        const em__jvalue *caller = find_named(args, &caller_name, used);
        EM__TRY(em__j_undefined(run, "No caller defined", &caller_name, NULL, &none));
        EM__TRY(em__j_assign(run, &caller_name, caller ? *caller : none));
    }
    EM__TRY(bind_parameters(run, node, args, used));
    return bind_rest(run, node, args, used);
}

em_status em__j_call_macro(em__jrun *run, const em__jmacro *macro, const em__jargs *args, em__jvalue *out)
{
    em__jscope *scope = run->scope;
    EM__TRY(em__j_enter(run));
    EM__TRY(em__j_push_scope(run, macro->scope));
    EM__TRY(bind_all(run, macro->node, args));
    EM__TRY(em__j_capture(run, macro->node->body, out));
    em__j_leave(run);
    run->scope = scope;
    return EM_OK;
}
