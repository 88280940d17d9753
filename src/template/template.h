/*
 * A parsed template: a tree of nodes in an arena, constant from then on. Any number of renders may use it at once.
 */
#ifndef EM_TEMPLATE_TEMPLATE_H
#define EM_TEMPLATE_TEMPLATE_H

#include <jansson.h>

#include <emily/template.h>

#include "core/arena.h"
#include "template/run.h"

typedef enum em__jnode_kind {
    /* expressions */
    J_CONSTANT,
    J_NAME,
    J_ITEMS_LIST, /* [a, b] */
    J_ITEMS_TUPLE,
    J_ITEMS_DICT, /* key, value, key, value, ... */
    J_CONCAT,     /* a ~ b ~ c */
    J_COMPARE,    /* items: a, b, c; ops: of each after the first */
    J_BINARY,
    J_AND,
    J_OR,
    J_NOT,
    J_SIGN, /* op: '-' or '+' */
    J_IF_ELSE,
    J_ATTRIBUTE,
    J_ITEM,
    J_SLICE,
    J_CALL,
    J_FILTER, /* subject NULL: the text of the block it closes */
    J_TEST,
    J_NAMESPACE_TARGET, /* ns.attribute, on the left of a set */
    /* statements */
    J_TEXT,
    J_OUTPUT,
    J_IF, /* items: condition, block, condition, block, ..., perhaps the else block */
    J_FOR,
    J_SET,
    J_SET_BLOCK,
    J_MACRO_BLOCK,
    J_CALL_BLOCK,
    J_FILTER_BLOCK,
    J_WITH,   /* items: target, value, target, value, ..., body */
    J_SCOPED, /* {% generation %} */
    J_BREAK_LOOP,
    J_CONTINUE_LOOP,
    J_BLOCK /* statements one after another */
} em__jnode_kind;

typedef struct em__jnode em__jnode;

typedef struct em__jnodes {
    em__jnode **items;
    size_t count;
} em__jnodes;

/* Arguments as they were written. */
typedef struct em__jcall {
    em__jnodes values; /* positional, then named */
    const em__jstring **names;
    size_t named;
    em__jnode *star, *star_star; /* *args, **kwargs; NULL: none */
} em__jcall;

/* A macro, or the body of a call block. */
typedef struct em__jmacro_node {
    const em__jstring *name; /* NULL: a caller */
    const em__jstring **parameters;
    size_t count;
    em__jnodes defaults; /* of the last parameters */
    em__jnode *body;
    bool wants_caller, wants_kwargs, wants_varargs;
} em__jmacro_node;

struct em__jnode {
    unsigned char kind, op;
    unsigned short height; /* of the tree below: evaluation recurses that deep */
    int line;
    union {
        em__jvalue constant;
        const em__jstring *name;
        const em__jstring *text;
        struct {
            em__jnodes items;
            const char *ops;
        } list;
        struct {
            em__jnode *a, *b, *c;
        } three; /* operands; condition, value, other value */
        struct {
            em__jnode *object, *bounds[3]; /* NULL: left out */
        } slice;
        struct {
            em__jnode *object;
            const em__jstring *name;
        } attribute;
        struct {
            em__jnode *subject;          /* what is called, filtered or tested */
            const em__jbuiltin *builtin; /* NULL in a filter or test that nobody knows: an error when it is met */
            const em__jstring *name;
            const em__jcall *call;
        } call;
        struct {
            em__jnode *target, *iterable, *condition, *body, *otherwise; /* NULL: none */
            bool recursive;
        } loop;
        struct {
            em__jnode *target, *value, *body; /* a set block has a body, and its value is a chain of filters or NULL */
        } set;
        struct {
            em__jnode *call, *body; /* the call, and the filter, of a block */
            const em__jmacro_node *macro;
        } block;
    };
};

struct em_template {
    em__arena arena;
    char *name;
    em__jnode *root;
    em_template_options options;
};

struct em__jmacro {
    const em__jmacro_node *node;
    em__jscope *scope; /* where it was defined */
};

/* Builds `template->root` from the text, which may go away afterwards. */
em_status em__j_parse(struct em_template *source, const char *text, size_t length);

/* Evaluates an expression; executes a statement. */
em_status em__j_eval(em__jrun *run, const em__jnode *node, em__jvalue *out);
em_status em__j_exec(em__jrun *run, const em__jnode *node);

/* Executes into a string instead of the output. */
em_status em__j_capture(em__jrun *run, const em__jnode *node, em__jvalue *out);

/* A filter node over a subject that stands already. */
em_status em__j_eval_filters(em__jrun *run, const em__jnode *node, em__jvalue subject, em__jvalue *out);

em_status em__j_eval_call(em__jrun *run, const em__jnode *node, const em__jvalue *caller, em__jvalue *out);
em_status em__j_call_macro(em__jrun *run, const em__jmacro *macro, const em__jargs *args, em__jvalue *out);
em_status em__j_make_macro(em__jrun *run, const em__jmacro_node *node, em__jvalue *out);
em_status em__j_assign_target(em__jrun *run, const em__jnode *target, em__jvalue value);

/* JSON as values, which borrow from it. (context.c) */
em_status em__j_from_json(em__jrun *run, json_t *json, em__jvalue *out);

#endif
