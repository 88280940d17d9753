/*
 * Expressions, loosest first: a if b else c; or; and; not; comparisons; + -; ~; * / // %; **; signs; what follows a
 * value (.name, [item], (call)); filters and tests.
 */
#include <string.h>

#include "core/error.h"
#include "template/parse.h"

static em_status make_three(em__jparser *p, em__jnode_kind kind, char op, int line, em__jnode *parts[3],
                            em__jnode **out)
{
    em__jnode *node = em__j_node(p, kind, line);
    if (!node)
        return em_last_status();
    node->op = (unsigned char)op;
    node->three.a = parts[0];
    node->three.b = parts[1];
    node->three.c = parts[2];
    for (int i = 0; i < 3; i++)
        EM__TRY(em__j_over(p, node, parts[i]));
    *out = node;
    return EM_OK;
}

/* left = left <op> right */
static em_status join(em__jparser *p, em__jnode_kind kind, char op, em__jnode **left, em__jnode *right)
{
    return make_three(p, kind, op, (*left)->line, (em__jnode *[]){*left, right, NULL}, left);
}

static em_status parse_unary(em__jparser *p, bool filters, em__jnode **out)
{
    const em__jtoken *token = em__j_token(p);
    char sign = em__j_is_op(p, '-') ? '-' : em__j_is_op(p, '+') ? '+' : '\0';
    if (sign) {
        em__jnode *inner;
        p->at++;
        EM__TRY(em__j_enter_parse(p));
        EM__TRY(parse_unary(p, false, &inner));
        em__j_leave_parse(p);
        EM__TRY(make_three(p, J_SIGN, sign, token->line, (em__jnode *[]){inner, NULL, NULL}, out));
    } else {
        EM__TRY(em__j_parse_primary(p, out));
    }
    EM__TRY(em__j_parse_postfix(p, out));
    while (filters) {
        if (em__j_is_op(p, '|'))
            EM__TRY(em__j_parse_filters(p, out));
        else if (em__j_is_word(p, em__j_token(p), "is"))
            EM__TRY(em__j_parse_test(p, out));
        else if (em__j_is_op(p, '('))
            EM__TRY(em__j_parse_call(p, out));
        else
            break;
    }
    return EM_OK;
}

static em_status parse_power(em__jparser *p, em__jnode **out)
{
    em__jnode *right;
    EM__TRY(parse_unary(p, true, out));
    while (em__j_skip_op(p, 'p')) {
        EM__TRY(parse_unary(p, true, &right));
        EM__TRY(join(p, J_BINARY, 'p', out, right));
    }
    return EM_OK;
}

static em_status parse_product(em__jparser *p, em__jnode **out)
{
    em__jnode *right;
    EM__TRY(parse_power(p, out));
    for (;;) {
        char op = em__j_is_op(p, '*')   ? '*'
                  : em__j_is_op(p, '/') ? '/'
                  : em__j_is_op(p, 'd') ? 'd'
                  : em__j_is_op(p, '%') ? '%'
                                        : '\0';
        if (!op)
            return EM_OK;
        p->at++;
        EM__TRY(parse_power(p, &right));
        EM__TRY(join(p, J_BINARY, op, out, right));
    }
}

static em_status parse_concat(em__jparser *p, em__jnode **out)
{
    size_t mark = p->stack.length;
    em__jnode *part;
    EM__TRY(parse_product(p, out));
    if (!em__j_is_op(p, '~'))
        return EM_OK;
    em__jnode *node = em__j_node(p, J_CONCAT, (*out)->line);
    if (!node)
        return em_last_status();
    EM__TRY(em__j_push_node(p, *out));
    while (em__j_skip_op(p, '~')) {
        EM__TRY(parse_product(p, &part));
        EM__TRY(em__j_push_node(p, part));
    }
    *out = node;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

static em_status parse_sum(em__jparser *p, em__jnode **out)
{
    em__jnode *right;
    EM__TRY(parse_concat(p, out));
    while (em__j_is_op(p, '+') || em__j_is_op(p, '-')) {
        char op = em__j_token(p)->op;
        p->at++;
        EM__TRY(parse_concat(p, &right));
        EM__TRY(join(p, J_BINARY, op, out, right));
    }
    return EM_OK;
}

/* The comparison at hand, which is then passed: e n < > l g, i (in), x (not in); '\0' for none. */
static char take_comparison(em__jparser *p)
{
    const em__jtoken *token = em__j_token(p);
    if (token->kind == J_TOKEN_OPERATOR && token->op && strchr("en<>lg", token->op)) {
        p->at++;
        return token->op;
    }
    if (em__j_skip_word(p, "in"))
        return 'i';
    if (em__j_is_word(p, token, "not") && em__j_is_word(p, em__j_peek(p), "in")) {
        p->at += 2;
        return 'x';
    }
    return '\0';
}

static em_status parse_compare(em__jparser *p, em__jnode **out)
{
    enum { MOST = 32 };
    char ops[MOST];
    size_t mark = p->stack.length, count = 0;
    em__jnode *part;
    EM__TRY(parse_sum(p, out));
    char op = take_comparison(p);
    if (!op)
        return EM_OK;
    em__jnode *node = em__j_node(p, J_COMPARE, (*out)->line);
    if (!node)
        return em_last_status();
    EM__TRY(em__j_push_node(p, *out));
    for (; op; op = take_comparison(p)) {
        if (count == MOST)
            return em__j_parse_fail(p, "a chain of comparisons is too long");
        ops[count++] = op;
        EM__TRY(parse_sum(p, &part));
        EM__TRY(em__j_push_node(p, part));
    }
    node->list.ops = em__arena_strndup(&p->source->arena, ops, count);
    if (!node->list.ops)
        return em_last_status();
    *out = node;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}

static em_status parse_not(em__jparser *p, em__jnode **out)
{
    em__jnode *inner;
    int line = em__j_token(p)->line;
    if (!em__j_skip_word(p, "not"))
        return parse_compare(p, out);
    EM__TRY(em__j_enter_parse(p));
    EM__TRY(parse_not(p, &inner));
    em__j_leave_parse(p);
    return make_three(p, J_NOT, '\0', line, (em__jnode *[]){inner, NULL, NULL}, out);
}

static em_status parse_and(em__jparser *p, em__jnode **out)
{
    em__jnode *right;
    EM__TRY(parse_not(p, out));
    while (em__j_skip_word(p, "and")) {
        EM__TRY(parse_not(p, &right));
        EM__TRY(join(p, J_AND, '\0', out, right));
    }
    return EM_OK;
}

em_status em__j_parse_or(em__jparser *p, em__jnode **out)
{
    em__jnode *right;
    EM__TRY(em__j_enter_parse(p));
    EM__TRY(parse_and(p, out));
    while (em__j_skip_word(p, "or")) {
        EM__TRY(parse_and(p, &right));
        EM__TRY(join(p, J_OR, '\0', out, right));
    }
    em__j_leave_parse(p);
    return EM_OK;
}

em_status em__j_parse_expression(em__jparser *p, em__jnode **out)
{
    int line = em__j_token(p)->line;
    const em__jnode *unknown = p->unknown;
    EM__TRY(em__j_parse_or(p, out));
    while (em__j_skip_word(p, "if")) {
        em__jnode *condition, *otherwise = NULL;
        EM__TRY(em__j_parse_or(p, &condition));
        if (em__j_skip_word(p, "else")) {
            EM__TRY(em__j_enter_parse(p));
            EM__TRY(em__j_parse_expression(p, &otherwise));
            em__j_leave_parse(p);
        }
        EM__TRY(make_three(p, J_IF_ELSE, '\0', line, (em__jnode *[]){condition, *out, otherwise}, out));
        p->unknown = unknown; /* within a condition it is an error only when it is met */
    }
    return EM_OK;
}

static bool ends_tuple(em__jparser *p, const char *end)
{
    em__jtoken_kind kind = em__j_token(p)->kind;
    return kind == J_TOKEN_PRINT_END || kind == J_TOKEN_BLOCK_END || em__j_is_op(p, ')') ||
           (end && em__j_is_word(p, em__j_token(p), end));
}

em_status em__j_parse_tuple(em__jparser *p, bool conditional, bool parenthesized, const char *end, em__jnode **out)
{
    size_t mark = p->stack.length;
    int line = em__j_token(p)->line;
    bool tuple = false;
    em__jnode *part;
    while (!ends_tuple(p, end)) {
        EM__TRY(conditional ? em__j_parse_expression(p, &part) : em__j_parse_or(p, &part));
        EM__TRY(em__j_push_node(p, part));
        if (!em__j_skip_op(p, ','))
            break;
        tuple = true;
    }
    size_t count = p->stack.length - mark;
    if (!tuple && count == 1) {
        *out = p->stack.data[--p->stack.length];
        return EM_OK;
    }
    if (!tuple && !parenthesized)
        return em__j_parse_fail(p, "expected an expression");
    em__jnode *node = em__j_node(p, J_ITEMS_TUPLE, line);
    if (!node)
        return em_last_status();
    *out = node;
    return em__j_pop_nodes(p, mark, node, &node->list.items);
}
