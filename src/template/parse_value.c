/* Names, literals, and what may follow them: .name, [item], (arguments), | filter, is test. */
#include <string.h>

#include "core/error.h"
#include "template/parse.h"
#include "template/text.h"

enum { MOST_NAMED = 32 };

static em_status make_constant(em__jparser *p, em__jvalue value, em__jnode **out)
{
    em__jnode *node = em__j_node(p, J_CONSTANT, em__j_token(p)->line);
    if (!node)
        return em_last_status();
    node->constant = value;
    *out = node;
    return EM_OK;
}

/* Strings that follow one another are one. */
static em_status parse_string(em__jparser *p, em__jnode **out)
{
    em__str joined = {0};
    em_status status = EM_OK;
    em__jvalue value = {.kind = J_STRING};
    int line = em__j_token(p)->line;
    if (em__j_peek(p)->kind != J_TOKEN_STRING) {
        EM__TRY(em__j_token_string(p, em__j_token(p), &value.string));
        EM__TRY(make_constant(p, value, out));
        p->at++;
        return EM_OK;
    }
    for (; em__j_token(p)->kind == J_TOKEN_STRING && status == EM_OK; p->at++)
        status = em__str_add(&joined, em__str_text(&p->tokens.strings) + em__j_token(p)->start, em__j_token(p)->length);
    em__jstring *s = status == EM_OK ? em__j_parse_alloc(p, 1, sizeof *s) : NULL;
    char *copy = s ? em__arena_strndup(&p->source->arena, em__str_text(&joined), joined.length) : NULL;
    if (copy)
        *s = (em__jstring){copy, joined.length, em__j_count_chars(copy, joined.length), false};
    em__str_free(&joined);
    value.string = s;
    EM__TRY(copy ? make_constant(p, value, out) : em_last_status());
    (*out)->line = line;
    return EM_OK;
}

/* Does the body of a macro name what its call must provide? */
static void note_name(em__jparser *p, const em__jtoken *token)
{
    for (em__jopen_macro *m = p->macro; m; m = m->outer) {
        m->node->wants_caller |= em__j_is_word(p, token, "caller");
        m->node->wants_kwargs |= em__j_is_word(p, token, "kwargs");
        m->node->wants_varargs |= em__j_is_word(p, token, "varargs");
    }
}

static em_status parse_name(em__jparser *p, em__jnode **out)
{
    const em__jtoken *token = em__j_token(p);
    if (em__j_is_word(p, token, "true") || em__j_is_word(p, token, "True"))
        EM__TRY(make_constant(p, em__j_bool(true), out));
    else if (em__j_is_word(p, token, "false") || em__j_is_word(p, token, "False"))
        EM__TRY(make_constant(p, em__j_bool(false), out));
    else if (em__j_is_word(p, token, "none") || em__j_is_word(p, token, "None"))
        EM__TRY(make_constant(p, em__j_none(), out));
    else {
        em__jnode *node = em__j_node(p, J_NAME, token->line);
        if (!node)
            return em_last_status();
        note_name(p, token);
        *out = node;
        return em__j_expect_name(p, "a variable", &node->name);
    }
    p->at++;
    return EM_OK;
}

/* [a, b] and {a: b}, behind the bracket. */
static em_status parse_items(em__jparser *p, bool dict, em__jnode **out)
{
    char close = dict ? '}' : ']';
    const char *where = dict ? "{...}" : "[...]";
    size_t mark = p->stack.length;
    em__jnode *part, *node = em__j_node(p, dict ? J_ITEMS_DICT : J_ITEMS_LIST, em__j_token(p)->line);
    if (!node)
        return em_last_status();
    p->at++;
    while (!em__j_is_op(p, close)) {
        EM__TRY(em__j_parse_expression(p, &part));
        EM__TRY(em__j_push_node(p, part));
        if (dict) {
            EM__TRY(em__j_expect_op(p, ':', where));
            EM__TRY(em__j_parse_expression(p, &part));
            EM__TRY(em__j_push_node(p, part));
        }
        if (!em__j_is_op(p, close))
            EM__TRY(em__j_expect_op(p, ',', where));
    }
    p->at++;
    *out = node;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

em_status em__j_parse_primary(em__jparser *p, em__jnode **out)
{
    const em__jtoken *token = em__j_token(p);
    switch (token->kind) {
    case J_TOKEN_NAME: return parse_name(p, out);
    case J_TOKEN_STRING: return parse_string(p, out);
    case J_TOKEN_INTEGER: EM__TRY(make_constant(p, em__j_int(token->integer), out)); break;
    case J_TOKEN_FLOAT: EM__TRY(make_constant(p, em__j_float(token->real), out)); break;
    default:
        if (em__j_is_op(p, '[') || em__j_is_op(p, '{'))
            return parse_items(p, em__j_is_op(p, '{'), out);
        if (!em__j_skip_op(p, '('))
            return em__j_parse_fail(p, "expected a value");
        EM__TRY(em__j_parse_tuple(p, true, true, NULL, out));
        return em__j_expect_op(p, ')', "(...)");
    }
    p->at++;
    return EM_OK;
}

/* One bound of a slice, unless the next token leaves it out. */
static em_status parse_bound(em__jparser *p, em__jnode *slice, int which)
{
    if (em__j_is_op(p, ':') || em__j_is_op(p, ']') || em__j_is_op(p, ','))
        return EM_OK;
    EM__TRY(em__j_parse_expression(p, &slice->slice.bounds[which]));
    return em__j_over(p, slice, slice->slice.bounds[which]);
}

/* [a, b]: the key is a tuple; its first item stands. */
static em_status parse_tuple_key(em__jparser *p, em__jnode **key)
{
    size_t mark = p->stack.length;
    em__jnode *part, *node = em__j_node(p, J_ITEMS_TUPLE, em__j_token(p)->line);
    if (!node)
        return em_last_status();
    EM__TRY(em__j_push_node(p, *key));
    while (em__j_skip_op(p, ',')) {
        EM__TRY(em__j_parse_expression(p, &part));
        EM__TRY(em__j_push_node(p, part));
    }
    *key = node;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

/* [key] or [start:stop:step], behind the bracket. */
static em_status parse_subscript(em__jparser *p, em__jnode **node)
{
    int line = em__j_token(p)->line;
    em__jnode *over = em__j_node(p, J_SLICE, line);
    if (!over)
        return em_last_status();
    over->slice.object = *node;
    EM__TRY(em__j_over(p, over, *node));
    EM__TRY(parse_bound(p, over, 0));
    if (em__j_skip_op(p, ':')) {
        EM__TRY(parse_bound(p, over, 1));
        if (em__j_skip_op(p, ':'))
            EM__TRY(parse_bound(p, over, 2));
    } else {
        em__jnode *key = over->slice.bounds[0], *object = *node;
        if (!key)
            return em__j_parse_fail(p, "[...]: expected an index");
        if (em__j_is_op(p, ','))
            EM__TRY(parse_tuple_key(p, &key));
        EM__TRY(em__j_over(p, over, key));
        over->kind = J_ITEM;
        over->three.a = object;
        over->three.b = key;
        over->three.c = NULL;
    }
    *node = over;
    return em__j_expect_op(p, ']', "[...]");
}

static em_status parse_attribute(em__jparser *p, em__jnode **node)
{
    const em__jtoken *token = em__j_token(p);
    em__jnode *over = em__j_node(p, token->kind == J_TOKEN_INTEGER ? J_ITEM : J_ATTRIBUTE, token->line);
    if (!over)
        return em_last_status();
    EM__TRY(em__j_over(p, over, *node));
    if (token->kind == J_TOKEN_INTEGER) {
        over->three.a = *node;
        EM__TRY(em__j_parse_primary(p, &over->three.b));
    } else {
        over->attribute.object = *node;
        EM__TRY(em__j_expect_name(p, ".", &over->attribute.name));
    }
    *node = over;
    return EM_OK;
}

em_status em__j_parse_postfix(em__jparser *p, em__jnode **node)
{
    for (;;) {
        if (em__j_skip_op(p, '.'))
            EM__TRY(parse_attribute(p, node));
        else if (em__j_skip_op(p, '['))
            EM__TRY(parse_subscript(p, node));
        else if (em__j_is_op(p, '('))
            EM__TRY(em__j_parse_call(p, node));
        else
            return EM_OK;
    }
}

static em_status parse_argument(em__jparser *p, em__jcall *call, const em__jstring *names[], em__jnode *over)
{
    em__jnode *value;
    if (em__j_is_op(p, '*') || em__j_is_op(p, 'p')) {
        em__jnode **star = em__j_is_op(p, 'p') ? &call->star_star : &call->star;
        if (*star || call->star_star)
            return em__j_parse_fail(p, "a call has one *arguments and one **arguments, in this order");
        p->at++;
        EM__TRY(em__j_parse_expression(p, star));
        return em__j_over(p, over, *star);
    }
    bool named =
        em__j_token(p)->kind == J_TOKEN_NAME && em__j_peek(p)->kind == J_TOKEN_OPERATOR && em__j_peek(p)->op == '=';
    if (call->star_star || (!named && (call->star || call->named)))
        return em__j_parse_fail(p, "a positional argument must come before those with names");
    if (named) {
        if (call->named == MOST_NAMED)
            return em__j_parse_fail(p, "a call has too many named arguments");
        EM__TRY(em__j_expect_name(p, "an argument", &names[call->named++]));
        p->at++;
    }
    EM__TRY(em__j_parse_expression(p, &value));
    return em__j_push_node(p, value);
}

/* (arguments), into over->call.call. */
static em_status parse_arguments(em__jparser *p, em__jnode *over)
{
    const em__jstring *names[MOST_NAMED];
    size_t mark = p->stack.length;
    em__jcall *call = em__j_parse_alloc(p, 1, sizeof *call);
    if (!call)
        return em_last_status();
    EM__TRY(em__j_expect_op(p, '(', "a call"));
    EM__TRY(em__j_enter_parse(p));
    while (!em__j_is_op(p, ')')) {
        EM__TRY(parse_argument(p, call, names, over));
        if (!em__j_is_op(p, ')'))
            EM__TRY(em__j_expect_op(p, ',', "a call"));
    }
    em__j_leave_parse(p);
    p->at++;
    EM__TRY(em__j_pop_nodes(p, mark, over, &call->values));
    call->names = em__j_parse_alloc(p, call->named, sizeof *call->names);
    if (!call->names)
        return em_last_status();
    if (call->named)
        memcpy(call->names, names, call->named * sizeof *names);
    over->call.call = call;
    return EM_OK;
}

em_status em__j_parse_call(em__jparser *p, em__jnode **node)
{
    em__jnode *over = em__j_node(p, J_CALL, em__j_token(p)->line);
    if (!over)
        return em_last_status();
    over->call.subject = *node;
    EM__TRY(em__j_over(p, over, *node));
    *node = over;
    return parse_arguments(p, over);
}

/* The filter or test by the name at hand. */
static em_status start_builtin(em__jparser *p, em__jnode_kind kind, em__jnode *subject, em__jnode **out)
{
    em__jnode *over = em__j_node(p, kind, em__j_token(p)->line);
    if (!over)
        return em_last_status();
    over->call.subject = subject;
    EM__TRY(em__j_over(p, over, subject));
    EM__TRY(em__j_expect_name(p, kind == J_FILTER ? "|" : "is", &over->call.name));
    const em__jstring *name = over->call.name;
    over->call.builtin =
        kind == J_FILTER ? em__j_filter(name->bytes, name->length) : em__j_test(name->bytes, name->length);
    while (em__j_skip_op(p, '.')) { /* a.b is a name, too, though nothing has it */
        EM__TRY(em__j_expect_name(p, kind == J_FILTER ? "|" : "is", &name));
        over->call.builtin = NULL;
    }
    if (!over->call.builtin && !p->unknown)
        p->unknown = over;
    *out = over;
    return EM_OK;
}

static em_status no_arguments(em__jparser *p, em__jnode *node)
{
    node->call.call = em__j_parse_alloc(p, 1, sizeof *node->call.call);
    return node->call.call ? EM_OK : em_last_status();
}

em_status em__j_parse_filter(em__jparser *p, em__jnode *subject, em__jnode **out)
{
    EM__TRY(start_builtin(p, J_FILTER, subject, out));
    return em__j_is_op(p, '(') ? parse_arguments(p, *out) : no_arguments(p, *out);
}

em_status em__j_parse_filters(em__jparser *p, em__jnode **node)
{
    while (em__j_skip_op(p, '|'))
        EM__TRY(em__j_parse_filter(p, *node, node));
    return EM_OK;
}

/* May a test's single argument begin here, without parentheses? */
static bool starts_argument(em__jparser *p)
{
    const em__jtoken *token = em__j_token(p);
    switch (token->kind) {
    case J_TOKEN_NAME:
        return !em__j_is_word(p, token, "else") && !em__j_is_word(p, token, "or") && !em__j_is_word(p, token, "and");
    case J_TOKEN_STRING:
    case J_TOKEN_INTEGER:
    case J_TOKEN_FLOAT: return true;
    default: return em__j_is_op(p, '[') || em__j_is_op(p, '{');
    }
}

static em_status parse_bare_argument(em__jparser *p, em__jnode *test)
{
    size_t mark = p->stack.length;
    em__jnode *value;
    if (em__j_is_word(p, em__j_token(p), "is"))
        return em__j_parse_fail(p, "tests with `is` cannot be chained");
    EM__TRY(em__j_parse_primary(p, &value));
    EM__TRY(em__j_parse_postfix(p, &value));
    EM__TRY(em__j_push_node(p, value));
    EM__TRY(no_arguments(p, test));
    return em__j_pop_nodes(p, mark, test, &((em__jcall *)test->call.call)->values);
}

em_status em__j_parse_test(em__jparser *p, em__jnode **node)
{
    em__jnode *test;
    p->at++;
    bool negated = em__j_skip_word(p, "not");
    EM__TRY(start_builtin(p, J_TEST, *node, &test));
    if (em__j_is_op(p, '('))
        EM__TRY(parse_arguments(p, test));
    else
        EM__TRY(starts_argument(p) ? parse_bare_argument(p, test) : no_arguments(p, test));
    test->op = negated;
    *node = test;
    return EM_OK;
}
