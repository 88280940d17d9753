/* Statements. */
#include <string.h>

#include "template/loop.h"
#include "template/template.h"
#include "template/text.h"

em_status em__j_capture(em__jrun *run, const em__jnode *node, em__jvalue *out)
{
    size_t mark = run->out.length;
    EM__TRY(em__j_exec(run, node));
    EM__TRY(em__j_copy(run, em__str_text(&run->out) + mark, run->out.length - mark, out));
    if (run->out.length > mark)
        run->out.data[run->out.length = mark] = '\0';
    return EM_OK;
}

static em_status assign_items(em__jrun *run, const em__jnode *target, em__jvalue value)
{
    const em__jvalue *items;
    size_t length, wanted = target->list.items.count;
    if (!em__j_is_iterable(value))
        return em__j_fail(run, "cannot unpack non-iterable %s object", em__j_type(value));
    EM__TRY(em__j_items(run, value, &items, &length));
    if (length < wanted)
        return em__j_fail(run, "not enough values to unpack (expected %zu, got %zu)", wanted, length);
    if (length > wanted)
        return em__j_fail(run, "too many values to unpack (expected %zu)", wanted);
    for (size_t i = 0; i < wanted; i++)
        EM__TRY(em__j_assign_target(run, target->list.items.items[i], items[i]));
    return EM_OK;
}

em_status em__j_assign_target(em__jrun *run, const em__jnode *target, em__jvalue value)
{
    em__jvalue object;
    run->line = target->line;
    if (target->kind == J_NAME)
        return em__j_assign(run, target->name, value);
    if (target->kind == J_ITEMS_TUPLE)
        return assign_items(run, target, value);
    const em__jstring *name = target->attribute.name;
    EM__TRY(em__j_eval(run, target->attribute.object, &object));
    if (object.kind != J_NAMESPACE)
        return em__j_fail(run, "cannot assign attribute on non-namespace object");
    if (name->bytes[0] == '_')
        return em__j_fail(run, "attributes of a namespace must not begin with '_'");
    return em__j_dict_set(run, object.dict, em__j_of_string(name), value);
}

static em_status exec_output(em__jrun *run, const em__jnode *node)
{
    em__jvalue value;
    EM__TRY(em__j_eval(run, node->three.a, &value));
    EM__TRY(em__j_str(run, value, &value));
    return em__j_emit(run, value.string->bytes, value.string->length);
}

static em_status exec_if(em__jrun *run, const em__jnode *node)
{
    const em__jnodes *items = &node->list.items;
    em__jvalue condition;
    size_t i = 0;
    for (; i + 1 < items->count; i += 2) {
        EM__TRY(em__j_eval(run, items->items[i], &condition));
        if (em__j_truth(condition))
            return em__j_exec(run, items->items[i + 1]);
    }
    return i < items->count ? em__j_exec(run, items->items[i]) : EM_OK;
}

static em_status exec_set(em__jrun *run, const em__jnode *node)
{
    em__jvalue value;
    EM__TRY(em__j_eval(run, node->set.value, &value));
    return em__j_assign_target(run, node->set.target, value);
}

/* The body into a string, in a scope of its own, through the filters if there are any. */
static em_status capture_block(em__jrun *run, const em__jnode *body, const em__jnode *filters, em__jvalue *out)
{
    em__jscope *scope = run->scope;
    EM__TRY(em__j_push_scope(run, scope));
    EM__TRY(em__j_capture(run, body, out));
    if (filters)
        EM__TRY(em__j_eval_filters(run, filters, *out, out));
    run->scope = scope;
    return EM_OK;
}

static em_status exec_set_block(em__jrun *run, const em__jnode *node)
{
    em__jvalue value;
    EM__TRY(capture_block(run, node->set.body, node->set.value, &value));
    return em__j_assign_target(run, node->set.target, value);
}

static em_status exec_filter_block(em__jrun *run, const em__jnode *node)
{
    em__jvalue value;
    EM__TRY(capture_block(run, node->block.body, node->block.call, &value));
    EM__TRY(em__j_str(run, value, &value));
    return em__j_emit(run, value.string->bytes, value.string->length);
}

static em_status exec_scoped(em__jrun *run, const em__jnode *node)
{
    em__jscope *scope = run->scope;
    EM__TRY(em__j_push_scope(run, scope));
    EM__TRY(em__j_exec(run, node->block.body));
    run->scope = scope;
    return EM_OK;
}

static em_status exec_macro(em__jrun *run, const em__jnode *node)
{
    em__jvalue macro;
    EM__TRY(em__j_make_macro(run, node->block.macro, &macro));
    return em__j_assign(run, node->block.macro->name, macro);
}

static em_status exec_call_block(em__jrun *run, const em__jnode *node)
{
    em__jvalue caller, value;
    EM__TRY(em__j_make_macro(run, node->block.macro, &caller));
    EM__TRY(em__j_eval_call(run, node->block.call, &caller, &value));
    EM__TRY(em__j_str(run, value, &value));
    return em__j_emit(run, value.string->bytes, value.string->length);
}

/* The values are evaluated outside of the block. */
static em_status exec_with(em__jrun *run, const em__jnode *node)
{
    const em__jnodes *items = &node->list.items;
    em__jscope *outer = run->scope, *inner;
    em__jvalue value;
    EM__TRY(em__j_push_scope(run, outer));
    inner = run->scope;
    for (size_t i = 0; i + 1 < items->count; i += 2) {
        run->scope = outer;
        EM__TRY(em__j_eval(run, items->items[i + 1], &value));
        run->scope = inner;
        EM__TRY(em__j_assign_target(run, items->items[i], value));
    }
    EM__TRY(em__j_exec(run, items->items[items->count - 1]));
    run->scope = outer;
    return EM_OK;
}

static em_status exec_block(em__jrun *run, const em__jnode *node)
{
    for (size_t i = 0; i < node->list.items.count && run->flow == J_GO_ON; i++)
        EM__TRY(em__j_exec(run, node->list.items.items[i]));
    return EM_OK;
}

static em_status exec_node(em__jrun *run, const em__jnode *node)
{
    switch ((em__jnode_kind)node->kind) {
    case J_TEXT: return em__j_emit(run, node->text->bytes, node->text->length);
    case J_OUTPUT: return exec_output(run, node);
    case J_IF: return exec_if(run, node);
    case J_FOR: return em__j_exec_for(run, node);
    case J_SET: return exec_set(run, node);
    case J_SET_BLOCK: return exec_set_block(run, node);
    case J_MACRO_BLOCK: return exec_macro(run, node);
    case J_CALL_BLOCK: return exec_call_block(run, node);
    case J_FILTER_BLOCK: return exec_filter_block(run, node);
    case J_WITH: return exec_with(run, node);
    case J_SCOPED: return exec_scoped(run, node);
    case J_BREAK_LOOP: run->flow = J_BREAK; return EM_OK;
    case J_CONTINUE_LOOP: run->flow = J_CONTINUE; return EM_OK;
    default: return exec_block(run, node);
    }
}

em_status em__j_exec(em__jrun *run, const em__jnode *node)
{
    run->line = node->line;
    EM__TRY(em__j_enter(run));
    em_status status = exec_node(run, node);
    em__j_leave(run);
    return status;
}
