/* A {% for %} that runs, and the `loop` that its body sees. */
#ifndef EM_TEMPLATE_LOOP_H
#define EM_TEMPLATE_LOOP_H

#include "template/template.h"

struct em__jloop {
    const em__jnode *node;
    em__jiter iter;
    em__jscope *scope; /* around the loop: where the condition is looked at */
    int depth0;
    size_t turn; /* from 1 once the body runs */
    bool counted;
    size_t length; /* when counted */
    bool peeked, has_next;
    em__jvalue previous, current, next, changed;
};

em_status em__j_exec_for(em__jrun *run, const em__jnode *node);

/* loop.name, and loop(items) of a recursive loop. */
em_status em__j_loop_attribute(em__jrun *run, em__jloop *loop, const em__jstring *name, em__jvalue *out, bool *found);
em_status em__j_loop_recurse(em__jrun *run, const em__jloop *loop, em__jvalue items, em__jvalue *out);

/* loop.cycle and loop.changed. */
extern const em__jbuiltin em__j_loop_methods[];

#endif
