/* The render's memory, limits, output and scopes. */
#include "template/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "template/template.h"
#include "template/text.h"

enum { MOST_DEPTH = 1000 };

static em_status fail_at(em__jrun *run, em_status status, const char *format, va_list args)
{
    char text[600];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n >= (int)sizeof text) { /* what is cut must not end within a character */
        size_t end = sizeof text - 4;
        while (end > 0 && em__j_is_tail(text[end]))
            end--;
        text[end] = '\0';
    }
    return em__fail(status, "%s: line %d: %s", run->source->name, run->line, text);
}

em_status em__j_fail(em__jrun *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    em_status status = fail_at(run, EM_ERROR_INVALID_ARGUMENT, format, args);
    va_end(args);
    return status;
}

em_status em__j_limit(em__jrun *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    em_status status = fail_at(run, EM_ERROR_FORMAT, format, args);
    va_end(args);
    return status;
}

em_status em__j_fail_undefined(em__jrun *run, em__jvalue v)
{
    const em__jundefined *why = v.undefined;
    if (why->hint)
        return em__j_fail(run, "%s", why->hint);
    int length = why->name->length > 200 ? 200 : (int)why->name->length;
    if (!why->type)
        return em__j_fail(run, "'%.*s' is undefined", length, why->name->bytes);
    return em__j_fail(run, "'%s object' has no attribute '%.*s'", why->type, length, why->name->bytes);
}

void *em__j_alloc(em__jrun *run, size_t count, size_t size)
{
    size_t bytes;
    if (em__mul_overflows(count, size, &bytes) || bytes > run->memory_limit - run->memory) {
        em__j_limit(run, "the template takes more than %zu bytes of memory", run->memory_limit);
        return NULL;
    }
    size_t rounded = (bytes + 15) & ~(size_t)15; /* as the arena does */
    run->memory = rounded > run->memory_limit - run->memory ? run->memory_limit : run->memory + rounded;
    return em__arena_alloc(&run->arena, bytes);
}

static em_status check_steps(em__jrun *run)
{
    if (run->work <= run->work_limit)
        return EM_OK;
    return em__j_limit(run, "the template takes more than %zu steps", run->work_limit / EM__J_STEP);
}

em_status em__j_work(em__jrun *run, size_t amount)
{
    if (em__add_overflows(run->work, amount, &run->work))
        run->work = SIZE_MAX;
    return check_steps(run);
}

em_status em__j_enter(em__jrun *run)
{
    EM__TRY(em__j_work(run, EM__J_STEP));
    if (run->depth >= MOST_DEPTH)
        return em__j_limit(run, "nested or recursive beyond %d levels", MOST_DEPTH);
    run->depth++;
    return EM_OK;
}

em_status em__j_emit(em__jrun *run, const char *bytes, size_t length)
{
    if (length > run->output_limit - run->out.length)
        return em__j_limit(run, "the template prints more than %zu bytes", run->output_limit);
    EM__TRY(em__j_work(run, length));
    return em__str_add(&run->out, bytes, length);
}

/* Room for `length` more bytes. */
static em_status reserve(em__jrun *run, em__jtext *text, size_t length)
{
    if (length <= text->capacity - text->length)
        return EM_OK;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity - text->length < length && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    char *data = em__j_alloc(run, capacity, 1);
    if (!data)
        return em_last_status();
    if (text->length)
        memcpy(data, text->data, text->length);
    text->data = data;
    text->capacity = capacity;
    return EM_OK;
}

em_status em__j_add(em__jrun *run, em__jtext *text, const char *bytes, size_t length)
{
    EM__TRY(reserve(run, text, length));
    if (length)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    return em__j_work(run, length);
}

em_status em__j_add_times(em__jrun *run, em__jtext *text, const char *bytes, size_t length, int64_t times)
{
    size_t total;
    if (times <= 0)
        return EM_OK;
    if (em__mul_overflows(length, (size_t)times, &total))
        total = SIZE_MAX / 4;
    EM__TRY(em__j_work(run, total));
    EM__TRY(reserve(run, text, total));
    for (int64_t i = 0; i < times; i++, text->length += length)
        memcpy(text->data + text->length, bytes, length);
    return EM_OK;
}

em_status em__j_add_char(em__jrun *run, em__jtext *text, char c)
{
    return em__j_add(run, text, &c, 1);
}

em_status em__j_add_text(em__jrun *run, em__jtext *text, const char *bytes)
{
    return em__j_add(run, text, bytes, strlen(bytes));
}

em_status em__j_text_value(em__jrun *run, const em__jtext *text, em__jvalue *out)
{
    return em__j_borrow(run, text->data ? text->data : "", text->length, out);
}

em_status em__j_push_scope(em__jrun *run, em__jscope *parent)
{
    em__jscope *scope = em__j_alloc(run, 1, sizeof *scope);
    if (!scope)
        return em_last_status();
    *scope = (em__jscope){.parent = parent};
    run->scope = scope;
    return EM_OK;
}

em_status em__j_assign(em__jrun *run, const em__jstring *name, em__jvalue value)
{
    em__jscope *scope = run->scope;
    EM__TRY(em__j_work(run, scope->length));
    for (size_t i = 0; i < scope->length; i++) {
        em__jvariable *old = &scope->variables[i];
        if (em__j_same(old->name->bytes, old->name->length, name->bytes, name->length)) {
            old->value = value;
            return EM_OK;
        }
    }
    if (scope->length == scope->capacity) {
        size_t capacity = scope->capacity ? scope->capacity * 2 : 4;
        em__jvariable *variables = em__j_alloc(run, capacity, sizeof *variables);
        if (!variables)
            return em_last_status();
        if (scope->length)
            memcpy(variables, scope->variables, scope->length * sizeof *variables);
        scope->variables = variables;
        scope->capacity = capacity;
    }
    scope->variables[scope->length++] = (em__jvariable){name, value};
    return EM_OK;
}

em_status em__j_lookup(em__jrun *run, const em__jstring *name, em__jvalue *out)
{
    for (const em__jscope *scope = run->scope; scope; scope = scope->parent) {
        run->work += scope->length; /* the node that looks it up has been checked, the next one will be */
        for (size_t i = 0; i < scope->length; i++) {
            const em__jvariable *variable = &scope->variables[i];
            if (em__j_same(variable->name->bytes, variable->name->length, name->bytes, name->length)) {
                *out = variable->value;
                return EM_OK;
            }
        }
    }
    const em__jvalue *given = em__j_dict_text(run->context, name->bytes, name->length);
    if (given) {
        *out = *given;
        return EM_OK;
    }
    const em__jbuiltin *global = em__j_global(name->bytes, name->length);
    if (global) {
        *out = (em__jvalue){.kind = J_FUNCTION, .function = global};
        return EM_OK;
    }
    if (em__j_same(name->bytes, name->length, "self", 4))
        return em__j_fail(run, "'self' is not available to templates");
    return em__j_undefined(run, NULL, name, NULL, out);
}

em_status em__j_want_int(em__jrun *run, const char *what, em__jvalue v, int64_t *out)
{
    if (v.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, v);
    if (!em__j_is_int(v))
        return em__j_fail(run, "%s: '%s' object cannot be interpreted as an integer", what, em__j_type(v));
    *out = em__j_as_int(v);
    return EM_OK;
}

em_status em__j_want_string(em__jrun *run, const char *what, em__jvalue v, const em__jstring **out)
{
    if (v.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, v);
    if (v.kind != J_STRING)
        return em__j_fail(run, "%s: expected str, got '%s'", what, em__j_type(v));
    *out = v.string;
    return EM_OK;
}
