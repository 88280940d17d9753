/* Expressions. */
#include <string.h>

#include "template/template.h"
#include "template/text.h"

static em_status eval_items(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    size_t count = node->list.items.count;
    em__jvalue *items = em__j_alloc(run, count, sizeof *items);
    if (!items)
        return em_last_status();
    for (size_t i = 0; i < count; i++)
        EM__TRY(em__j_eval(run, node->list.items.items[i], &items[i]));
    return em__j_list(run, node->kind == J_ITEMS_TUPLE ? J_TUPLE : J_LIST, items, count, out);
}

static em_status eval_dict(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jvalue key, value;
    EM__TRY(em__j_dict_new(run, out));
    for (size_t i = 0; i + 1 < node->list.items.count; i += 2) {
        EM__TRY(em__j_eval(run, node->list.items.items[i], &key));
        EM__TRY(em__j_eval(run, node->list.items.items[i + 1], &value));
        EM__TRY(em__j_dict_set(run, out->dict, key, value));
    }
    return EM_OK;
}

static em_status eval_concat(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jtext text = {0};
    em__jvalue part;
    for (size_t i = 0; i < node->list.items.count; i++) {
        EM__TRY(em__j_eval(run, node->list.items.items[i], &part));
        EM__TRY(em__j_print(run, &text, part));
    }
    return em__j_text_value(run, &text, out);
}

static em_status compare(em__jrun *run, char op, em__jvalue a, em__jvalue b, bool *yes)
{
    bool less;
    switch (op) {
    case 'e': return em__j_equal(run, a, b, yes);
    case 'n': EM__TRY(em__j_equal(run, a, b, yes)); break;
    case 'i': return em__j_contains(run, b, a, yes);
    case 'x': EM__TRY(em__j_contains(run, b, a, yes)); break;
    case '<': return em__j_less(run, a, b, "<", yes);
    case '>': return em__j_less(run, b, a, ">", yes);
    default: /* <=, >=: a NaN is neither */
        EM__TRY(em__j_less(run, op == 'l' ? a : b, op == 'l' ? b : a, op == 'l' ? "<=" : ">=", &less));
        EM__TRY(em__j_equal(run, a, b, yes));
        *yes = *yes || less;
        return EM_OK;
    }
    *yes = !*yes;
    return EM_OK;
}

static em_status eval_compare(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jvalue left, right;
    bool yes = true;
    EM__TRY(em__j_eval(run, node->list.items.items[0], &left));
    for (size_t i = 1; i < node->list.items.count && yes; i++) {
        EM__TRY(em__j_eval(run, node->list.items.items[i], &right));
        run->line = node->line;
        EM__TRY(compare(run, node->list.ops[i - 1], left, right, &yes));
        left = right;
    }
    *out = em__j_bool(yes);
    return EM_OK;
}

static em_status eval_if_else(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jvalue condition;
    EM__TRY(em__j_eval(run, node->three.a, &condition));
    if (em__j_truth(condition))
        return em__j_eval(run, node->three.b, out);
    if (node->three.c)
        return em__j_eval(run, node->three.c, out);
    return em__j_undefined(run, "an inline if without else was false, and its value was used", NULL, NULL, out);
}

static em_status eval_slice(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jvalue object, bounds[3];
    EM__TRY(em__j_eval(run, node->slice.object, &object));
    for (int i = 0; i < 3; i++) {
        bounds[i] = em__j_none();
        if (node->slice.bounds[i])
            EM__TRY(em__j_eval(run, node->slice.bounds[i], &bounds[i]));
    }
    run->line = node->line;
    return em__j_slice(run, object, bounds, out);
}

static em_status eval_three(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jvalue a, b;
    EM__TRY(em__j_eval(run, node->three.a, &a));
    switch (node->kind) {
    case J_AND:
    case J_OR:
        if (em__j_truth(a) == (node->kind == J_AND))
            return em__j_eval(run, node->three.b, out);
        *out = a;
        return EM_OK;
    case J_NOT: *out = em__j_bool(!em__j_truth(a)); return EM_OK;
    case J_SIGN: run->line = node->line; return em__j_negate(run, a, node->op == '-', out);
    default: break;
    }
    EM__TRY(em__j_eval(run, node->three.b, &b));
    run->line = node->line;
    if (node->kind == J_ITEM)
        return em__j_getitem(run, a, b, out);
    return em__j_binary(run, (char)node->op, a, b, out);
}

static em_status eval_test(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    EM__TRY(em__j_eval_call(run, node, NULL, out));
    if (node->op)
        *out = em__j_bool(!em__j_truth(*out));
    return EM_OK;
}

static em_status eval_node(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    em__jvalue object;
    switch ((em__jnode_kind)node->kind) {
    case J_ITEMS_LIST:
    case J_ITEMS_TUPLE: return eval_items(run, node, out);
    case J_ITEMS_DICT: return eval_dict(run, node, out);
    case J_CONCAT: return eval_concat(run, node, out);
    case J_COMPARE: return eval_compare(run, node, out);
    case J_IF_ELSE: return eval_if_else(run, node, out);
    case J_SLICE: return eval_slice(run, node, out);
    case J_ATTRIBUTE:
        EM__TRY(em__j_eval(run, node->attribute.object, &object));
        run->line = node->line;
        return em__j_getattr(run, object, node->attribute.name, out);
    case J_CALL:
    case J_FILTER: return em__j_eval_call(run, node, NULL, out);
    case J_TEST: return eval_test(run, node, out);
    default: return eval_three(run, node, out);
    }
}

em_status em__j_eval(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    run->line = node->line;
    if (node->kind == J_CONSTANT) {
        *out = node->constant;
        return EM_OK;
    }
    EM__TRY(em__j_enter(run));
    em_status status = node->kind == J_NAME ? em__j_lookup(run, node->name, out) : eval_node(run, node, out);
    em__j_leave(run);
    return status;
}
