/*
 * NFC, NFD, NFKC, NFKD.
 *
 * Decomposition collects each run of a starter and its marks and sorts it by combining class; every part remembers
 * whether it replaces its character or is new. Composition then works on the list of parts. Text in which no character
 * is sensitive to the form (nearly all text, for NFC) is left as it is after one look.
 */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

enum { SHORT_RUN = 16 };

/* Sorts a short run by combining class, stably; runs are nearly always shorter than three. */
static void sort_short(em__change *run, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        em__change part = run[i];
        int class = em__uc_class(part.c);
        size_t at = i;
        for (; at > 0 && em__uc_class(run[at - 1].c) > class; at--)
            run[at] = run[at - 1];
        run[at] = part;
    }
}

/* Appends s->sorting, a starter and its marks, to s->changes, sorted by combining class. Long runs are counted out. */
static em_status release(em__scratch *s)
{
    size_t count = s->sorting.length;
    if (count == 0)
        return EM_OK;
    EM__TRY(em__vec_reserve(&s->changes, count));
    em__change *out = s->changes.data + s->changes.length;
    s->changes.length += count;
    s->sorting.length = 0;
    if (count <= SHORT_RUN) {
        sort_short(s->sorting.data, count);
        for (size_t i = 0; i < count; i++)
            out[i] = s->sorting.data[i];
        return EM_OK;
    }
    size_t place[257] = {0};
    for (size_t i = 0; i < count; i++)
        place[em__uc_class(s->sorting.data[i].c) + 1]++;
    for (size_t k = 1; k < 257; k++)
        place[k] += place[k - 1];
    for (size_t i = 0; i < count; i++)
        out[place[em__uc_class(s->sorting.data[i].c)]++] = s->sorting.data[i];
    return EM_OK;
}

static em_status add_part(em__scratch *s, uint32_t c, int32_t change)
{
    if (em__uc_class(c) == 0)
        EM__TRY(release(s));
    return em__vec_push(&s->sorting, ((em__change){c, change}));
}

static em_status decompose(em__scratch *s, int compatible)
{
    const char *at = s->text.bytes, *end = at + s->text.length;
    s->changes.length = s->sorting.length = 0;
    while (at < end) {
        uint32_t parts[32];
        int count = em__uc_decompose(em__utf8_next(&at), compatible, parts);
        for (int i = 0; i < count; i++)
            EM__TRY(add_part(s, parts[i], i > 0));
    }
    return release(s);
}

/*
 * Composes s->changes in place. `composee` is the last starter that was kept; the marks kept after it stand behind it,
 * and `last` is the class of the last of them (-1: none). What composes with the starter leaves the list; the starter
 * takes its change.
 */
static void compose(em__scratch *s)
{
    em__change *list = s->changes.data;
    size_t kept = 0, composee = SIZE_MAX;
    int last = -1;
    for (size_t i = 0; i < s->changes.length; i++) {
        em__change part = list[i];
        int class = em__uc_class(part.c);
        if (composee != SIZE_MAX && last < class) {
            uint32_t whole = em__uc_compose(list[composee].c, part.c);
            if (whole) {
                list[composee] = (em__change){whole, list[composee].change + part.change - 1};
                continue;
            }
        }
        if (class == 0) {
            composee = kept;
            last = -1;
        } else if (composee != SIZE_MAX) {
            last = class;
        }
        list[kept++] = part;
    }
    s->changes.length = kept;
}

em_status em__normalize_form(em__norm_kind kind, em__scratch *s, uint32_t origin)
{
    unsigned sensitive = kind == EM_NORM_NFC    ? EM_UC_NFC
                         : kind == EM_NORM_NFD  ? EM_UC_NFD
                         : kind == EM_NORM_NFKC ? EM_UC_NFKC
                                                : EM_UC_NFKD;
    const char *at = s->text.bytes, *end = at + s->text.length;
    bool any = false;
    while (at < end && !any)
        any = (em__uc_flags(em__utf8_next(&at)) & sensitive) != 0;
    if (!any)
        return EM_OK;
    EM__TRY(decompose(s, kind == EM_NORM_NFKC || kind == EM_NORM_NFKD));
    if (kind == EM_NORM_NFC || kind == EM_NORM_NFKC)
        compose(s);
    return em__transform_all(s, origin, 0);
}
