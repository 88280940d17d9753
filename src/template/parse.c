/* What the parser stands on, and the template as a whole. */
#include "template/parse.h"

#include <string.h>

#include "core/error.h"
#include "template/text.h"

enum { MOST_PARSE_DEPTH = 100, MOST_HEIGHT = 250 };

em_status em__j_enter_parse(em__jparser *p)
{
    if (p->depth >= MOST_PARSE_DEPTH)
        return em__j_syntax(p->source->name, em__j_token(p)->line, "nested more than %d levels deep", MOST_PARSE_DEPTH);
    p->depth++;
    return EM_OK;
}

em_status em__j_parse_fail(em__jparser *p, const char *what)
{
    char text[64];
    const em__jtoken *token = em__j_token(p);
    return em__j_syntax(p->source->name, token->line, "%s, got %s", what, em__j_token_text(&p->tokens, token, text));
}

bool em__j_is_word(const em__jparser *p, const em__jtoken *token, const char *word)
{
    return token->kind == J_TOKEN_NAME &&
           em__j_same(p->tokens.text.data + token->start, token->length, word, strlen(word));
}

bool em__j_is_op(const em__jparser *p, char op)
{
    const em__jtoken *token = em__j_token(p);
    return token->kind == J_TOKEN_OPERATOR && token->op == op;
}

bool em__j_skip_word(em__jparser *p, const char *word)
{
    bool is = em__j_is_word(p, em__j_token(p), word);
    p->at += is;
    return is;
}

bool em__j_skip_op(em__jparser *p, char op)
{
    bool is = em__j_is_op(p, op);
    p->at += is;
    return is;
}

em_status em__j_expect_op(em__jparser *p, char op, const char *where)
{
    char text[64];
    const em__jtoken *token = em__j_token(p);
    if (em__j_skip_op(p, op))
        return EM_OK;
    return em__j_syntax(p->source->name, token->line, "%s: expected '%c', got %s", where, op,
                        em__j_token_text(&p->tokens, token, text));
}

static em_status make_name(em__jparser *p, const char *bytes, size_t length, const em__jstring **out)
{
    em__jstring *s = em__j_parse_alloc(p, 1, sizeof *s);
    char *copy = s ? em__arena_strndup(&p->source->arena, bytes, length) : NULL;
    if (!copy)
        return em_last_status();
    *s = (em__jstring){copy, length, em__j_count_chars(bytes, length), false};
    *out = s;
    return EM_OK;
}

em_status em__j_expect_name(em__jparser *p, const char *where, const em__jstring **name)
{
    char text[64];
    const em__jtoken *token = em__j_token(p);
    if (token->kind != J_TOKEN_NAME)
        return em__j_syntax(p->source->name, token->line, "%s: expected a name, got %s", where,
                            em__j_token_text(&p->tokens, token, text));
    p->at++;
    return make_name(p, p->tokens.text.data + token->start, token->length, name);
}

void *em__j_parse_alloc(em__jparser *p, size_t count, size_t size)
{
    return em__arena_calloc(&p->source->arena, count, size);
}

em__jnode *em__j_node(em__jparser *p, em__jnode_kind kind, int line)
{
    em__jnode *node = em__j_parse_alloc(p, 1, sizeof *node);
    if (node) {
        node->kind = (unsigned char)kind;
        node->line = line;
        node->height = 1;
    }
    return node;
}

em_status em__j_over(em__jparser *p, em__jnode *node, const em__jnode *child)
{
    if (child && child->height >= node->height)
        node->height = (unsigned short)(child->height + 1);
    if (node->height > MOST_HEIGHT)
        return em__j_syntax(p->source->name, node->line, "an expression is nested more than %d levels deep",
                            MOST_HEIGHT);
    return EM_OK;
}

em_status em__j_push_node(em__jparser *p, em__jnode *node)
{
    return em__vec_push(&p->stack, node);
}

em_status em__j_pop_nodes(em__jparser *p, size_t mark, em__jnode *over, em__jnodes *out)
{
    size_t count = p->stack.length - mark;
    out->items = em__j_parse_alloc(p, count, sizeof *out->items);
    out->count = count;
    if (!out->items)
        return em_last_status();
    for (size_t i = 0; i < count; i++) {
        out->items[i] = p->stack.data[mark + i];
        EM__TRY(em__j_over(p, over, out->items[i]));
    }
    p->stack.length = mark;
    return EM_OK;
}

/* The bytes of a data or string token as a constant string. */
em_status em__j_token_string(em__jparser *p, const em__jtoken *token, const em__jstring **out)
{
    return make_name(p, em__str_text(&p->tokens.strings) + token->start, token->length, out);
}

static em_status parse_print(em__jparser *p, em__jnode **out)
{
    int line = em__j_token(p)->line;
    em__jnode *value, *node = em__j_node(p, J_OUTPUT, line);
    p->at++;
    if (!node)
        return em_last_status();
    EM__TRY(em__j_parse_tuple(p, true, false, NULL, &value));
    node->three.a = value;
    EM__TRY(em__j_over(p, node, value));
    if (em__j_token(p)->kind != J_TOKEN_PRINT_END)
        return em__j_parse_fail(p, "{{ ... }}: expected its end");
    p->at++;
    *out = node;
    return EM_OK;
}

static em_status parse_data(em__jparser *p, em__jnode **out)
{
    em__jnode *node = em__j_node(p, J_TEXT, em__j_token(p)->line);
    if (!node)
        return em_last_status();
    EM__TRY(em__j_token_string(p, em__j_token(p), &node->text));
    p->at++;
    *out = node;
    return EM_OK;
}

static bool is_end(const em__jparser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (em__j_is_word(p, em__j_peek(p), *ends))
            return true;
    return false;
}

/* Unknown filters and tests of the statement that ends here. */
static em_status check_unknown(em__jparser *p)
{
    const em__jnode *unknown = p->unknown;
    p->unknown = NULL;
    if (!unknown || p->conditional)
        return EM_OK;
    const em__jstring *name = unknown->call.name;
    return em__j_syntax(p->source->name, unknown->line, "there is no %s '%.*s'",
                        unknown->kind == J_FILTER ? "filter" : "test", name->length > 60 ? 60 : (int)name->length,
                        name->bytes);
}

static em_status parse_statements(em__jparser *p, const char *const *ends, int line)
{
    em__jnode *node = NULL;
    for (;;) {
        const em__jtoken *token = em__j_token(p);
        if (token->kind == J_TOKEN_END) {
            if (ends)
                return em__j_syntax(p->source->name, line, "a block has no end; looked for {%% %s %%}", ends[0]);
            return EM_OK;
        }
        if (token->kind == J_TOKEN_BLOCK_BEGIN && is_end(p, ends)) {
            p->at++;
            return EM_OK;
        }
        if (token->kind == J_TOKEN_DATA) {
            EM__TRY(parse_data(p, &node));
        } else if (token->kind == J_TOKEN_PRINT_BEGIN) {
            EM__TRY(parse_print(p, &node));
        } else {
            p->at++;
            EM__TRY(em__j_parse_statement(p, &node));
            EM__TRY(em__j_expect_block_end(p));
        }
        EM__TRY(check_unknown(p));
        EM__TRY(em__j_push_node(p, node));
    }
}

em_status em__j_parse_body(em__jparser *p, const char *const *ends, em__jnode **out)
{
    size_t mark = p->stack.length;
    em__jnode *node = em__j_node(p, J_BLOCK, em__j_token(p)->line);
    if (!node)
        return em_last_status();
    EM__TRY(em__j_enter_parse(p));
    EM__TRY(parse_statements(p, ends, node->line));
    em__j_leave_parse(p);
    *out = node;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

em_status em__j_parse(struct em_template *source, const char *text, size_t length)
{
    em__jparser p = {.source = source, .tokens = {.name = source->name}};
    em_status status = em__j_lex(&p.tokens, text, length);
    if (status == EM_OK)
        status = em__j_parse_body(&p, NULL, &source->root);
    em__j_lex_free(&p.tokens);
    em__vec_free(&p.stack);
    return status;
}
