/* Statements. Tags that need other templates, or that chat templates cannot use, are named as not supported. */
#include <string.h>

#include "core/error.h"
#include "template/parse.h"
#include "template/text.h"

em_status em__j_expect_block_end(em__jparser *p)
{
    if (em__j_token(p)->kind != J_TOKEN_BLOCK_END)
        return em__j_parse_fail(p, "expected the end of the tag, %}");
    p->at++;
    return EM_OK;
}

/* The end of an opening tag, perhaps behind a colon, and the body up to one of the words. */
static em_status parse_block(em__jparser *p, const char *const *ends, em__jnode *over, em__jnode **body)
{
    em__j_skip_op(p, ':');
    EM__TRY(em__j_expect_block_end(p));
    EM__TRY(em__j_parse_body(p, ends, body));
    return em__j_over(p, over, *body);
}

/* The same for a body with one end, whose word is passed. */
static em_status parse_whole(em__jparser *p, const char *end, em__jnode *over, em__jnode **body)
{
    EM__TRY(parse_block(p, (const char *[]){end, NULL}, over, body));
    p->at++;
    return EM_OK;
}

static em_status check_target(em__jparser *p, const em__jnode *node)
{
    if (node->kind == J_NAME || node->kind == J_NAMESPACE_TARGET)
        return EM_OK;
    if (node->kind != J_ITEMS_TUPLE)
        return em__j_syntax(p->source->name, node->line, "a value cannot be assigned to this");
    for (size_t i = 0; i < node->list.items.count; i++)
        EM__TRY(check_target(p, node->list.items.items[i]));
    return EM_OK;
}

static em_status parse_one_target(em__jparser *p, bool with_namespace, em__jnode **out)
{
    EM__TRY(em__j_parse_primary(p, out));
    if (!with_namespace || (*out)->kind != J_NAME || !em__j_skip_op(p, '.'))
        return EM_OK;
    em__jnode *node = em__j_node(p, J_NAMESPACE_TARGET, (*out)->line);
    if (!node)
        return em_last_status();
    node->attribute.object = *out;
    EM__TRY(em__j_expect_name(p, "a namespace", &node->attribute.name));
    *out = node;
    return EM_OK;
}

em_status em__j_parse_target(em__jparser *p, bool with_namespace, const char *end, em__jnode **out)
{
    size_t mark = p->stack.length;
    em__jnode *part = NULL;
    bool tuple = false;
    while (!em__j_is_op(p, '=') && !(end && em__j_is_word(p, em__j_token(p), end))) {
        EM__TRY(parse_one_target(p, with_namespace, &part));
        EM__TRY(em__j_push_node(p, part));
        if (!em__j_skip_op(p, ','))
            break;
        tuple = true;
    }
    if (!part)
        return em__j_parse_fail(p, "expected a variable");
    *out = part;
    if (tuple) {
        em__jnode *node = em__j_node(p, J_ITEMS_TUPLE, part->line);
        if (!node)
            return em_last_status();
        EM__TRY(em__j_pop_nodes(p, mark, node, &node->list.items));
        *out = node;
    }
    p->stack.length = mark;
    return check_target(p, *out);
}

static em_status parse_if_parts(em__jparser *p, em__jnode *node)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    for (;;) {
        em__jnode *part;
        EM__TRY(em__j_parse_tuple(p, false, false, NULL, &part));
        EM__TRY(em__j_push_node(p, part));
        EM__TRY(parse_block(p, ends, node, &part));
        EM__TRY(em__j_push_node(p, part));
        if (em__j_skip_word(p, "elif"))
            continue;
        if (em__j_skip_word(p, "else")) {
            EM__TRY(parse_whole(p, "endif", node, &part));
            return em__j_push_node(p, part);
        }
        p->at++;
        return EM_OK;
    }
}

static em_status parse_if(em__jparser *p, em__jnode *node)
{
    size_t mark = p->stack.length;
    p->conditional++;
    EM__TRY(parse_if_parts(p, node));
    p->conditional--;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

static em_status parse_for(em__jparser *p, em__jnode *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    int conditional = p->conditional;
    EM__TRY(em__j_parse_target(p, false, "in", &node->loop.target));
    if (!em__j_skip_word(p, "in"))
        return em__j_parse_fail(p, "{% for %}: expected 'in'");
    EM__TRY(em__j_parse_tuple(p, false, false, "recursive", &node->loop.iterable));
    EM__TRY(em__j_over(p, node, node->loop.iterable));
    if (em__j_skip_word(p, "if")) {
        EM__TRY(em__j_parse_expression(p, &node->loop.condition));
        EM__TRY(em__j_over(p, node, node->loop.condition));
    }
    node->loop.recursive = em__j_skip_word(p, "recursive");
    p->conditional = 0;
    p->loops++;
    EM__TRY(parse_block(p, ends, node, &node->loop.body));
    p->loops--;
    if (em__j_skip_word(p, "else"))
        EM__TRY(parse_whole(p, "endfor", node, &node->loop.otherwise));
    else
        p->at++;
    p->conditional = conditional;
    return EM_OK;
}

static em_status parse_set(em__jparser *p, em__jnode *node)
{
    EM__TRY(em__j_parse_target(p, true, NULL, &node->set.target));
    if (em__j_skip_op(p, '=')) {
        EM__TRY(em__j_parse_tuple(p, true, false, NULL, &node->set.value));
        return em__j_over(p, node, node->set.value);
    }
    node->kind = J_SET_BLOCK;
    EM__TRY(em__j_parse_filters(p, &node->set.value));
    EM__TRY(em__j_over(p, node, node->set.value));
    return parse_whole(p, "endset", node, &node->set.body);
}

/* (a, b=1), into the macro. */
static em_status parse_signature(em__jparser *p, em__jmacro_node *macro, em__jnode *over)
{
    enum { MOST = 64 };
    const em__jstring *names[MOST];
    size_t mark = p->stack.length;
    em__jnode *value;
    EM__TRY(em__j_expect_op(p, '(', "{% macro %}"));
    while (!em__j_is_op(p, ')')) {
        if (macro->count == MOST)
            return em__j_parse_fail(p, "a macro has too many parameters");
        EM__TRY(em__j_expect_name(p, "a parameter", &names[macro->count]));
        for (size_t i = 0; i < macro->count; i++)
            if (em__j_same(names[i]->bytes, names[i]->length, names[macro->count]->bytes, names[macro->count]->length))
                return em__j_parse_fail(p, "a macro has two parameters of one name");
        macro->count++;
        if (em__j_skip_op(p, '=')) {
            EM__TRY(em__j_parse_expression(p, &value));
            EM__TRY(em__j_push_node(p, value));
        } else if (p->stack.length > mark) {
            return em__j_parse_fail(p, "a parameter without a default follows one with");
        }
        if (!em__j_is_op(p, ')'))
            EM__TRY(em__j_expect_op(p, ',', "{% macro %}"));
    }
    p->at++;
    macro->parameters = em__j_parse_alloc(p, macro->count, sizeof *macro->parameters);
    if (!macro->parameters)
        return em_last_status();
    if (macro->count)
        memcpy(macro->parameters, names, macro->count * sizeof *names);
    return em__j_pop_nodes(p, mark, over, &macro->defaults);
}

static bool has_parameter(const em__jmacro_node *macro, const char *name)
{
    for (size_t i = 0; i < macro->count; i++)
        if (em__j_same(macro->parameters[i]->bytes, macro->parameters[i]->length, name, strlen(name)))
            return true;
    return false;
}

em_status em__j_parse_macro(em__jparser *p, bool caller, em__jnode *node)
{
    em__jmacro_node *macro = em__j_parse_alloc(p, 1, sizeof *macro);
    em__jopen_macro open = {macro, p->macro};
    int loops = p->loops, conditional = p->conditional;
    if (!macro)
        return em_last_status();
    node->block.macro = macro;
    if (!caller)
        EM__TRY(em__j_expect_name(p, "{% macro %}", &macro->name));
    if (!caller || em__j_is_op(p, '('))
        EM__TRY(parse_signature(p, macro, node));
    if (caller) {
        EM__TRY(em__j_parse_expression(p, &node->block.call));
        EM__TRY(em__j_over(p, node, node->block.call));
        if (node->block.call->kind != J_CALL)
            return em__j_parse_fail(p, "{% call %}: expected a call");
    }
    p->macro = &open;
    p->loops = p->conditional = 0;
    EM__TRY(parse_whole(p, caller ? "endcall" : "endmacro", node, &macro->body));
    p->macro = open.outer;
    p->loops = loops;
    p->conditional = conditional;
    macro->wants_caller &= !has_parameter(macro, "caller");
    macro->wants_kwargs &= !has_parameter(macro, "kwargs");
    macro->wants_varargs &= !has_parameter(macro, "varargs");
    return EM_OK;
}

static em_status parse_macro(em__jparser *p, em__jnode *node)
{
    return em__j_parse_macro(p, false, node);
}

static em_status parse_call_block(em__jparser *p, em__jnode *node)
{
    return em__j_parse_macro(p, true, node);
}

static em_status parse_filter_block(em__jparser *p, em__jnode *node)
{
    EM__TRY(em__j_parse_filter(p, NULL, &node->block.call));
    EM__TRY(em__j_parse_filters(p, &node->block.call));
    EM__TRY(em__j_over(p, node, node->block.call));
    return parse_whole(p, "endfilter", node, &node->block.body);
}

static em_status parse_with(em__jparser *p, em__jnode *node)
{
    size_t mark = p->stack.length;
    em__jnode *part;
    while (em__j_token(p)->kind != J_TOKEN_BLOCK_END) {
        if (p->stack.length > mark)
            EM__TRY(em__j_expect_op(p, ',', "{% with %}"));
        EM__TRY(parse_one_target(p, false, &part));
        EM__TRY(check_target(p, part));
        EM__TRY(em__j_push_node(p, part));
        EM__TRY(em__j_expect_op(p, '=', "{% with %}"));
        EM__TRY(em__j_parse_expression(p, &part));
        EM__TRY(em__j_push_node(p, part));
    }
    EM__TRY(parse_whole(p, "endwith", node, &part));
    EM__TRY(em__j_push_node(p, part)); /* the body is the last */
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

static em_status parse_generation(em__jparser *p, em__jnode *node)
{
    int loops = p->loops;
    p->loops = 0;
    EM__TRY(parse_whole(p, "endgeneration", node, &node->block.body));
    p->loops = loops;
    return EM_OK;
}

static em_status parse_loop_control(em__jparser *p, em__jnode *node)
{
    if (p->loops)
        return EM_OK;
    return em__j_syntax(p->source->name, node->line, "{%% %s %%} outside of a loop",
                        node->kind == J_BREAK_LOOP ? "break" : "continue");
}

static em_status parse_print_tag(em__jparser *p, em__jnode *node)
{
    size_t mark = p->stack.length;
    em__jnode *part;
    while (em__j_token(p)->kind != J_TOKEN_BLOCK_END) {
        int line = em__j_token(p)->line;
        if (p->stack.length > mark)
            EM__TRY(em__j_expect_op(p, ',', "{% print %}"));
        em__jnode *output = em__j_node(p, J_OUTPUT, line);
        if (!output)
            return em_last_status();
        EM__TRY(em__j_parse_expression(p, &part));
        output->three.a = part;
        EM__TRY(em__j_over(p, output, part));
        EM__TRY(em__j_push_node(p, output));
    }
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

static em_status parse_unsupported(em__jparser *p, em__jnode *node)
{
    char text[64];
    p->at--;
    return em__fail(EM_ERROR_UNSUPPORTED, "%s: line %d: the tag %s is not supported in chat templates", p->source->name,
                    node->line, em__j_token_text(&p->tokens, em__j_token(p), text));
}

static const struct {
    const char *word;
    em__jnode_kind kind;
    em_status (*parse)(em__jparser *p, em__jnode *node);
} statements[] = {
    {"if", J_IF, parse_if},
    {"for", J_FOR, parse_for},
    {"set", J_SET, parse_set},
    {"macro", J_MACRO_BLOCK, parse_macro},
    {"call", J_CALL_BLOCK, parse_call_block},
    {"filter", J_FILTER_BLOCK, parse_filter_block},
    {"with", J_WITH, parse_with},
    {"generation", J_SCOPED, parse_generation},
    {"break", J_BREAK_LOOP, parse_loop_control},
    {"continue", J_CONTINUE_LOOP, parse_loop_control},
    {"print", J_BLOCK, parse_print_tag},
    {"block", J_BLOCK, parse_unsupported},
    {"extends", J_BLOCK, parse_unsupported},
    {"include", J_BLOCK, parse_unsupported},
    {"import", J_BLOCK, parse_unsupported},
    {"from", J_BLOCK, parse_unsupported},
    {"autoescape", J_BLOCK, parse_unsupported},
};

em_status em__j_parse_statement(em__jparser *p, em__jnode **out)
{
    const em__jtoken *token = em__j_token(p);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!em__j_is_word(p, token, statements[i].word))
            continue;
        em__jnode *node = em__j_node(p, statements[i].kind, token->line);
        if (!node)
            return em_last_status();
        p->at++;
        EM__TRY(statements[i].parse(p, node));
        *out = node;
        return EM_OK;
    }
    char text[64];
    return em__j_syntax(p->source->name, token->line, "there is no tag %s", em__j_token_text(&p->tokens, token, text));
}
