/*
 * Loops. Items come one at a time, as Python's generators give them: the condition of `for x in y if c` is asked when
 * the item is needed, and no earlier.
 */
#include "template/loop.h"

#include <string.h>

#include "template/text.h"

/* Does the item pass the loop's condition? Looked at in a scope that holds the target alone. */
static em_status passes(em__jrun *run, em__jloop *loop, em__jvalue item, bool *yes)
{
    em__jvalue value;
    em__jscope *scope = run->scope;
    *yes = true;
    if (!loop->node->loop.condition)
        return EM_OK;
    EM__TRY(em__j_push_scope(run, loop->scope));
    EM__TRY(em__j_assign_target(run, loop->node->loop.target, item));
    EM__TRY(em__j_eval(run, loop->node->loop.condition, &value));
    *yes = em__j_truth(value);
    run->scope = scope;
    return EM_OK;
}

static em_status fetch(em__jrun *run, em__jloop *loop, em__jvalue *item, bool *more)
{
    bool yes = false;
    while (!yes) {
        EM__TRY(em__j_next(run, &loop->iter, item, more));
        if (!*more)
            return EM_OK;
        EM__TRY(passes(run, loop, *item, &yes));
    }
    return EM_OK;
}

static em_status peek(em__jrun *run, em__jloop *loop)
{
    if (loop->peeked && loop->has_next)
        return EM_OK;
    loop->peeked = true;
    return fetch(run, loop, &loop->next, &loop->has_next);
}

static em_status advance(em__jrun *run, em__jloop *loop, bool *more)
{
    em__jvalue item = loop->next;
    *more = true;
    if (!loop->peeked || !loop->has_next)
        EM__TRY(fetch(run, loop, &item, more));
    loop->peeked = false;
    if (!*more)
        return EM_OK;
    loop->turn++;
    loop->previous = loop->current;
    loop->current = item;
    return EM_OK;
}

/* All that is still to come, so that it can be counted; the loop goes on over a list of it. */
static em_status count_rest(em__jrun *run, em__jloop *loop)
{
    em__jtext items = {0}; /* bytes of values */
    bool more = true;
    size_t count = 0;
    for (;;) {
        em__jvalue item;
        EM__TRY(fetch(run, loop, &item, &more));
        if (!more)
            break;
        EM__TRY(em__j_add(run, &items, (const char *)&item, sizeof item));
        count++;
    }
    em__jvalue list;
    EM__TRY(em__j_iterator(run, (const em__jvalue *)(const void *)items.data, count, &list));
    loop->length = loop->turn + count + (loop->peeked && loop->has_next);
    return em__j_iter(run, list, &loop->iter);
}

static em_status get_length(em__jrun *run, em__jloop *loop, size_t *length)
{
    if (!loop->counted) {
        if (loop->node->loop.condition || !em__j_has_length(loop->iter.source))
            EM__TRY(count_rest(run, loop));
        else
            EM__TRY(em__j_length(run, loop->iter.source, &loop->length));
        loop->counted = true;
    }
    *length = loop->length;
    return EM_OK;
}

static em_status number_attribute(em__jrun *run, em__jloop *loop, const em__jstring *name, em__jvalue *out, bool *found)
{
    size_t length, turn = loop->turn;
    *found = true;
    if (em__j_is(name, "index"))
        *out = em__j_int((int64_t)turn);
    else if (em__j_is(name, "index0"))
        *out = em__j_int((int64_t)turn - 1);
    else if (em__j_is(name, "depth"))
        *out = em__j_int(loop->depth0 + 1);
    else if (em__j_is(name, "depth0"))
        *out = em__j_int(loop->depth0);
    else if (em__j_is(name, "length") || em__j_is(name, "revindex") || em__j_is(name, "revindex0")) {
        EM__TRY(get_length(run, loop, &length));
        int64_t left = (int64_t)length - (int64_t)turn;
        *out = em__j_int(em__j_is(name, "length") ? (int64_t)length : em__j_is(name, "revindex") ? left + 1 : left);
    } else {
        *found = false;
    }
    return EM_OK;
}

em_status em__j_loop_attribute(em__jrun *run, em__jloop *loop, const em__jstring *name, em__jvalue *out, bool *found)
{
    EM__TRY(number_attribute(run, loop, name, out, found));
    if (*found)
        return EM_OK;
    *found = true;
    if (em__j_is(name, "first")) {
        *out = em__j_bool(loop->turn == 1);
        return EM_OK;
    }
    if (em__j_is(name, "previtem")) {
        *out = loop->previous;
        return loop->turn > 1 ? EM_OK : em__j_undefined(run, "there is no previous item", name, NULL, out);
    }
    if (em__j_is(name, "last") || em__j_is(name, "nextitem")) {
        EM__TRY(peek(run, loop));
        *out = em__j_is(name, "last") ? em__j_bool(!loop->has_next) : loop->next;
        if (loop->has_next || em__j_is(name, "last"))
            return EM_OK;
        return em__j_undefined(run, "there is no next item", name, NULL, out);
    }
    *found = false;
    return EM_OK;
}

static em_status cycle(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)
{
    (void)arg;
    if (all->count == 0)
        return em__j_fail(run, "loop.cycle: no items for cycling given");
    *out = all->values[(self.loop->turn - 1) % all->count];
    return EM_OK;
}

static em_status changed(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)
{
    em__jvalue now;
    bool equal;
    (void)arg;
    em__jvalue *items = em__j_alloc(run, all->count, sizeof *items);
    if (!items)
        return em_last_status();
    if (all->count)
        memcpy(items, all->values, all->count * sizeof *items);
    EM__TRY(em__j_list(run, J_TUPLE, items, all->count, &now));
    EM__TRY(em__j_equal(run, self.loop->changed, now, &equal));
    self.loop->changed = now;
    *out = em__j_bool(!equal);
    return EM_OK;
}

const em__jbuiltin em__j_loop_methods[] = {{"cycle", NULL, cycle}, {"changed", NULL, changed}, {NULL, NULL, NULL}};

/* One turn in a scope of its own; the scope is used again unless something holds on to it. */
static em_status exec_turn(em__jrun *run, em__jloop *loop, em__jscope **scope)
{
    static const em__jstring name = {"loop", 4, 4, false};
    if (!*scope || (*scope)->captured) {
        EM__TRY(em__j_push_scope(run, loop->scope));
        *scope = run->scope;
    }
    run->scope = *scope;
    (*scope)->length = 0;
    EM__TRY(em__j_assign(run, &name, (em__jvalue){.kind = J_LOOP, .loop = loop}));
    EM__TRY(em__j_assign_target(run, loop->node->loop.target, loop->current));
    return em__j_exec(run, loop->node->loop.body);
}

static em_status run_loop(em__jrun *run, em__jloop *loop)
{
    em__jscope *scope = NULL;
    bool more = true, done = false; /* jinja2's else: no turn came to its end */
    for (;;) {
        EM__TRY(advance(run, loop, &more));
        if (!more)
            break;
        EM__TRY(exec_turn(run, loop, &scope));
        run->scope = loop->scope;
        em__jflow flow = run->flow;
        run->flow = J_GO_ON;
        done = done || flow == J_GO_ON;
        if (flow == J_BREAK)
            break;
    }
    run->scope = loop->scope;
    if (done || !loop->node->loop.otherwise)
        return EM_OK;
    EM__TRY(em__j_push_scope(run, loop->scope));
    EM__TRY(em__j_exec(run, loop->node->loop.otherwise));
    run->scope = loop->scope;
    return EM_OK;
}

static em_status start(em__jrun *run, const em__jnode *node, em__jvalue items, em__jscope *scope, int depth0)
{
    em__jloop *loop = em__j_alloc(run, 1, sizeof *loop);
    if (!loop)
        return em_last_status();
    *loop = (em__jloop){.node = node, .scope = scope, .depth0 = depth0};
    EM__TRY(em__j_iter(run, items, &loop->iter));
    return run_loop(run, loop);
}

em_status em__j_exec_for(em__jrun *run, const em__jnode *node)
{
    em__jvalue items;
    EM__TRY(em__j_eval(run, node->loop.iterable, &items));
    run->line = node->line;
    return start(run, node, items, run->scope, 0);
}

em_status em__j_loop_recurse(em__jrun *run, const em__jloop *loop, em__jvalue items, em__jvalue *out)
{
    em__jscope *scope = run->scope;
    size_t mark = run->out.length;
    if (!loop->node->loop.recursive)
        return em__j_fail(run, "the loop must have the 'recursive' marker to be called recursively");
    run->scope = loop->scope;
    EM__TRY(em__j_enter(run));
    EM__TRY(start(run, loop->node, items, loop->scope, loop->depth0 + 1));
    em__j_leave(run);
    run->scope = scope;
    EM__TRY(em__j_copy(run, em__str_text(&run->out) + mark, run->out.length - mark, out));
    if (run->out.length > mark)
        run->out.data[run->out.length = mark] = '\0';
    return EM_OK;
}
