/*
 * The parser: recursive descent over the tokens, nodes into the template's arena. How deep it recurses is limited, and
 * how high the trees get that it builds, so that neither it nor the evaluation can exhaust the stack.
 */
#ifndef EM_TEMPLATE_PARSE_H
#define EM_TEMPLATE_PARSE_H

#include "core/vec.h"
#include "template/lex.h"
#include "template/template.h"

/* A macro being parsed; its body may name what the call must then provide. */
typedef struct em__jopen_macro {
    em__jmacro_node *node;
    struct em__jopen_macro *outer;
} em__jopen_macro;

typedef struct em__jparser {
    struct em_template *source;
    em__jtokens tokens;
    size_t at;
    int depth;
    int loops;                /* around this place, within the macro */
    int conditional;          /* within an if: an unknown filter is an error only when it is met, as in jinja2 */
    const em__jnode *unknown; /* the first unknown filter or test of the statement, NULL: none */
    em__jopen_macro *macro;
    EM__VEC(em__jnode *) stack; /* nodes of lists that are not finished yet */
} em__jparser;

em_status em__j_enter_parse(em__jparser *p);
static inline void em__j_leave_parse(em__jparser *p)
{
    p->depth--;
}

/* Fails at the current token. */
em_status em__j_parse_fail(em__jparser *p, const char *what);

static inline const em__jtoken *em__j_token(const em__jparser *p)
{
    return &p->tokens.list.data[p->at];
}

static inline const em__jtoken *em__j_peek(const em__jparser *p)
{
    size_t next = p->at + 1 < p->tokens.list.length ? p->at + 1 : p->at;
    return &p->tokens.list.data[next];
}

bool em__j_is_word(const em__jparser *p, const em__jtoken *token, const char *word);
bool em__j_is_op(const em__jparser *p, char op);
bool em__j_skip_word(em__jparser *p, const char *word);
bool em__j_skip_op(em__jparser *p, char op);
em_status em__j_expect_op(em__jparser *p, char op, const char *where);
em_status em__j_expect_name(em__jparser *p, const char *where, const em__jstring **name);
em_status em__j_token_string(em__jparser *p, const em__jtoken *token, const em__jstring **out);

/* NULL after a failure. The height comes from em__j_over. */
em__jnode *em__j_node(em__jparser *p, em__jnode_kind kind, int line);
void *em__j_parse_alloc(em__jparser *p, size_t count, size_t size);

/* `node` stands over `child` (NULL is fine); fails when it gets too high. */
em_status em__j_over(em__jparser *p, em__jnode *node, const em__jnode *child);

/* Lists: what was pushed since `mark` moves into the arena, under `node`. */
em_status em__j_push_node(em__jparser *p, em__jnode *node);
em_status em__j_pop_nodes(em__jparser *p, size_t mark, em__jnode *over, em__jnodes *out);

em_status em__j_parse_expression(em__jparser *p, em__jnode **out);
em_status em__j_parse_or(em__jparser *p, em__jnode **out); /* no "if else" */

/* One expression, or several with commas: a tuple. `end`: a word that ends it, or NULL. */
em_status em__j_parse_tuple(em__jparser *p, bool conditional, bool parenthesized, const char *end, em__jnode **out);
em_status em__j_parse_primary(em__jparser *p, em__jnode **out);
em_status em__j_parse_postfix(em__jparser *p, em__jnode **node);
em_status em__j_parse_filters(em__jparser *p, em__jnode **node); /* | filter | filter */
em_status em__j_parse_filter(em__jparser *p, em__jnode *subject, em__jnode **out);
em_status em__j_parse_test(em__jparser *p, em__jnode **node);
em_status em__j_parse_call(em__jparser *p, em__jnode **node); /* (arguments) */

/* Statements up to one of the words, ended by NULL; the tag with it is left to the caller, behind "{%". */
em_status em__j_parse_body(em__jparser *p, const char *const *ends, em__jnode **out);
em_status em__j_parse_macro(em__jparser *p, bool caller, em__jnode *node);
em_status em__j_parse_statement(em__jparser *p, em__jnode **out);
em_status em__j_expect_block_end(em__jparser *p);
em_status em__j_parse_target(em__jparser *p, bool with_namespace, const char *end, em__jnode **out);

#endif
