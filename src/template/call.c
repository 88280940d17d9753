/* Calls: of functions, methods, filters, tests and macros. */
#include <string.h>

#include "template/loop.h"
#include "template/template.h"
#include "template/text.h"

static const em__jstring caller_name = {"caller", 6, 6, false};

static bool same_name(const em__jstring *a, const char *b, size_t length)
{
    return em__j_same(a->bytes, a->length, b, length);
}

/* The parameter `index` of a signature; its length, 0 behind the last. `*required` tells whether it must be given. */
static size_t parameter(const char *signature, size_t index, const char **name, bool *required)
{
    const char *p = signature;
    *required = true;
    for (size_t i = 0;; i++) {
        size_t n = strcspn(p, " |");
        if (*p == '|') {
            *required = false;
            n = strcspn(++p, " |");
        }
        if (i == index || n == 0) {
            *name = p;
            return n;
        }
        p += n;
        if (*p == ' ')
            p++;
    }
}

/* Puts the arguments in the order of the signature. */
static em_status bind(em__jrun *run, const em__jbuiltin *builtin, const em__jargs *args,
                      em__jvalue bound[EM__J_MOST_PARAMETERS])
{
    const char *name;
    bool required;
    size_t count = 0, used = 0, length;
    for (; (length = parameter(builtin->signature, count, &name, &required)) > 0; count++) {
        bound[count] = (em__jvalue){.kind = J_MISSING};
        if (count < args->count)
            bound[count] = args->values[count];
        for (size_t i = 0; i < args->named; i++) {
            if (!same_name(args->names[i], name, length))
                continue;
            if (count < args->count)
                return em__j_fail(run, "%s() got two values for '%.*s'", builtin->name, (int)length, name);
            bound[count] = args->values[args->count + i];
            used++;
        }
        if (required && bound[count].kind == J_MISSING)
            return em__j_fail(run, "%s() lacks the argument '%.*s'", builtin->name, (int)length, name);
    }
    if (args->count > count)
        return em__j_fail(run, "%s() takes %zu arguments at most, got %zu", builtin->name, count, args->count);
    if (used < args->named)
        return em__j_fail(run, "%s() got an unexpected keyword argument", builtin->name);
    return EM_OK;
}

em_status em__j_call_builtin(em__jrun *run, const em__jbuiltin *builtin, em__jvalue self, const em__jargs *args,
                             em__jvalue *out)
{
    em__jvalue bound[EM__J_MOST_PARAMETERS];
    if (builtin->signature)
        EM__TRY(bind(run, builtin, args, bound));
    return builtin->fn(run, self, bound, args, out);
}

em_status em__j_call(em__jrun *run, em__jvalue callee, const em__jargs *args, em__jvalue *out)
{
    em__jvalue none = {.kind = J_MISSING};
    switch (callee.kind) {
    case J_UNDEFINED: return em__j_fail_undefined(run, callee);
    case J_FUNCTION: return em__j_call_builtin(run, callee.function, none, args, out);
    case J_METHOD: return em__j_call_builtin(run, callee.method->function, callee.method->self, args, out);
    case J_MACRO: return em__j_call_macro(run, callee.macro, args, out);
    case J_LOOP:
        if (args->count == 1 && args->named == 0)
            return em__j_loop_recurse(run, callee.loop, args->values[0], out);
        return em__j_fail(run, "loop() takes one argument");
    default: return em__j_fail(run, "'%s' object is not callable", em__j_type(callee));
    }
}

/* The items of *args and **kwargs; their numbers. */
static em_status eval_stars(em__jrun *run, const em__jcall *call, const em__jvalue **items, size_t *count,
                            em__jvalue *dict)
{
    em__jvalue value;
    *count = 0;
    *dict = em__j_none();
    if (call->star) {
        EM__TRY(em__j_eval(run, call->star, &value));
        EM__TRY(em__j_items(run, value, items, count));
    }
    if (!call->star_star)
        return EM_OK;
    EM__TRY(em__j_eval(run, call->star_star, dict));
    if (dict->kind != J_DICT)
        return em__j_fail(run, "what follows ** must be a mapping, not '%s'", em__j_type(*dict));
    for (size_t i = 0; i < dict->dict->length; i++)
        if (dict->dict->pairs[i].key.kind != J_STRING)
            return em__j_fail(run, "keywords must be strings");
    return EM_OK;
}

/* Evaluates the arguments, in the order they are written; `caller` goes with them as a named one. */
static em_status eval_args(em__jrun *run, const em__jcall *call, const em__jvalue *caller, em__jargs *args)
{
    em__jvalue dict;
    const em__jvalue *more = NULL;
    size_t extra, positional = call->values.count - call->named;
    EM__TRY(eval_stars(run, call, &more, &extra, &dict));
    size_t named = call->named + (dict.kind == J_DICT ? dict.dict->length : 0) + (caller != NULL);
    size_t count = positional + extra;
    EM__TRY(em__j_work(run, count + named));
    em__jvalue *values = em__j_alloc(run, count + named, sizeof *values);
    const em__jstring **names = em__j_alloc(run, named, sizeof *names);
    if (!values || !names)
        return em_last_status();
    for (size_t i = 0; i < positional; i++)
        EM__TRY(em__j_eval(run, call->values.items[i], &values[i]));
    if (extra)
        memcpy(values + positional, more, extra * sizeof *values);
    size_t at = 0;
    for (; at < call->named; at++) {
        names[at] = call->names[at];
        EM__TRY(em__j_eval(run, call->values.items[positional + at], &values[count + at]));
    }
    for (size_t i = 0; dict.kind == J_DICT && i < dict.dict->length; i++, at++) {
        names[at] = dict.dict->pairs[i].key.string;
        values[count + at] = dict.dict->pairs[i].value;
    }
    if (caller) {
        names[at] = &caller_name;
        values[count + at] = *caller;
    }
    *args = (em__jargs){values, names, count, named};
    return EM_OK;
}

static em_status fail_unknown(em__jrun *run, const char *what, const em__jstring *name)
{
    return em__j_fail(run, "there is no %s '%.*s'", what, name->length > 60 ? 60 : (int)name->length, name->bytes);
}

static em_status call_filter(em__jrun *run, const em__jnode *node, em__jvalue subject, em__jvalue *out)
{
    em__jargs args;
    run->line = node->line;
    if (!node->call.builtin)
        return fail_unknown(run, node->kind == J_TEST ? "test" : "filter", node->call.name);
    EM__TRY(eval_args(run, node->call.call, NULL, &args));
    run->line = node->line;
    return em__j_call_builtin(run, node->call.builtin, subject, &args, out);
}

em_status em__j_eval_call(em__jrun *run, const em__jnode *node, const em__jvalue *caller, em__jvalue *out)
{
    em__jvalue subject;
    em__jargs args;
    EM__TRY(em__j_eval(run, node->call.subject, &subject));
    if (node->kind != J_CALL)
        return call_filter(run, node, subject, out);
    EM__TRY(eval_args(run, node->call.call, caller, &args));
    run->line = node->line;
    return em__j_call(run, subject, &args, out);
}

em_status em__j_eval_filters(em__jrun *run, const em__jnode *node, em__jvalue subject, em__jvalue *out)
{
    EM__TRY(em__j_enter(run));
    if (node->call.subject)
        EM__TRY(em__j_eval_filters(run, node->call.subject, subject, &subject));
    em__j_leave(run);
    return call_filter(run, node, subject, out);
}

static em_status apply(em__jrun *run, bool filter, em__jvalue name, em__jvalue subject, const em__jargs *args,
                       em__jvalue *out)
{
    const em__jstring *text;
    EM__TRY(em__j_want_string(run, filter ? "the name of a filter" : "the name of a test", name, &text));
    const em__jbuiltin *builtin =
        filter ? em__j_filter(text->bytes, text->length) : em__j_test(text->bytes, text->length);
    if (!builtin)
        return fail_unknown(run, filter ? "filter" : "test", text);
    EM__TRY(em__j_enter(run)); /* map may name map */
    em_status status = em__j_call_builtin(run, builtin, subject, args, out);
    em__j_leave(run);
    return status;
}

em_status em__j_apply_filter(em__jrun *run, em__jvalue name, em__jvalue subject, const em__jargs *args, em__jvalue *out)
{
    return apply(run, true, name, subject, args, out);
}

em_status em__j_apply_test(em__jrun *run, em__jvalue name, em__jvalue subject, const em__jargs *args, bool *truth)
{
    em__jvalue out;
    EM__TRY(apply(run, false, name, subject, args, &out));
    *truth = em__j_truth(out);
    return EM_OK;
}
