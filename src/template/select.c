/* map, select, reject, selectattr, rejectattr: filters that take filters and tests. */
#include <string.h>

#include "template/run.h"
#include "template/text.h"

/* Arguments `from` .. of a call, and all of its named ones. */
static em__jargs rest_of(const em__jargs *all, size_t from)
{
    return (em__jargs){all->values + from, all->names, all->count - from, all->named};
}

static const em__jvalue *named(const em__jargs *all, const char *name)
{
    for (size_t i = 0; i < all->named; i++)
        if (em__j_same(all->names[i]->bytes, all->names[i]->length, name, strlen(name)))
            return &all->values[all->count + i];
    return NULL;
}

static em_status map_attribute(em__jrun *run, const em__jargs *all, em__jvalue item, em__jvalue *out)
{
    const em__jvalue *fallback = named(all, "default");
    if (all->named > 1u + (fallback != NULL))
        return em__j_fail(run, "map: unexpected keyword argument");
    EM__TRY(em__j_path(run, item, *named(all, "attribute"), out));
    if (out->kind == J_UNDEFINED && fallback)
        *out = *fallback;
    return EM_OK;
}

/* What to go over. As in Jinja nothing is asked of what is false: none, 0 and what is undefined have no items. */
static em_status items_of(em__jrun *run, em__jvalue self, const em__jvalue **items, size_t *length)
{
    *items = NULL;
    *length = 0;
    return em__j_truth(self) ? em__j_items(run, self, items, length) : EM_OK;
}

em_status em__j_filter_map(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)
{
    const em__jvalue *items;
    size_t length;
    (void)arg;
    bool attribute = all->count == 0 && named(all, "attribute");
    EM__TRY(items_of(run, self, &items, &length));
    em__jvalue *mapped = em__j_alloc(run, length, sizeof *mapped);
    if (!mapped)
        return em_last_status();
    if (length && !attribute && all->count == 0)
        return em__j_fail(run, "map requires a filter argument");
    for (size_t i = 0; i < length; i++) {
        em__jargs rest = rest_of(all, attribute ? 0 : 1);
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(attribute ? map_attribute(run, all, items[i], &mapped[i])
                          : em__j_apply_filter(run, all->values[0], items[i], &rest, &mapped[i]));
    }
    return em__j_iterator(run, mapped, length, out);
}

/* Does the item pass: its attribute if one is named first, by the test that follows or as it is? */
static em_status passes(em__jrun *run, em__jvalue item, const em__jargs *all, bool attribute, bool *yes)
{
    em__jvalue subject = item;
    if (attribute)
        EM__TRY(em__j_path(run, item, all->values[0], &subject));
    if (all->count <= (size_t)attribute) {
        *yes = em__j_truth(subject);
        return EM_OK;
    }
    em__jargs rest = rest_of(all, (size_t)attribute + 1);
    return em__j_apply_test(run, all->values[attribute], subject, &rest, yes);
}

static em_status choose(em__jrun *run, em__jvalue self, const em__jargs *all, bool attribute, bool wanted,
                        em__jvalue *out)
{
    const em__jvalue *items;
    size_t length, kept = 0;
    EM__TRY(items_of(run, self, &items, &length));
    em__jvalue *chosen = em__j_alloc(run, length, sizeof *chosen);
    if (!chosen)
        return em_last_status();
    if (length && attribute && all->count == 0)
        return em__j_fail(run, "Missing parameter for attribute name");
    for (size_t i = 0; i < length; i++) {
        bool yes;
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(passes(run, items[i], all, attribute, &yes));
        if (yes == wanted)
            chosen[kept++] = items[i];
    }
    return em__j_iterator(run, chosen, kept, out);
}

em_status em__j_filter_select(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                              em__jvalue *out)
{
    (void)arg;
    return choose(run, self, all, false, true, out);
}

em_status em__j_filter_reject(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                              em__jvalue *out)
{
    (void)arg;
    return choose(run, self, all, false, false, out);
}

em_status em__j_filter_selectattr(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                                  em__jvalue *out)
{
    (void)arg;
    return choose(run, self, all, true, true, out);
}

em_status em__j_filter_rejectattr(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                                  em__jvalue *out)
{
    (void)arg;
    return choose(run, self, all, true, false, out);
}
