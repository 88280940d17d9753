/* Pieces of normalized text: cutting added tokens out, and splitting around matches. */
#include "tokenizer/pretokenize.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/utf8.h"

em_status em__add_piece(em__scratch *s, size_t start, size_t end)
{
    if (start == end)
        return EM_OK;
    em__piece piece = {(uint32_t)start, (uint32_t)end, s->text.align[start].start, -1};
    return em__vec_push(&s->split, piece);
}

em_status em__cut_normalized(const em_tokenizer *tok, em__scratch *s, uint32_t origin)
{
    const em__text *text = &s->text;
    size_t from = 0, scan = 0;
    em__match match;
    s->pieces.length = s->split.length = 0;
    if (text->length == 0)
        return EM_OK;
    while (em__matcher_next(tok, &tok->normalized, text->bytes, text->length, from, &scan, &match)) {
        EM__TRY(em__add_piece(s, from, match.start < from ? from : match.start));
        em__piece piece = {(uint32_t)match.start, (uint32_t)match.end, text->align[match.start].start, match.added};
        EM__TRY(em__vec_push(&s->split, piece));
        from = match.end;
    }
    EM__TRY(em__add_piece(s, from, text->length));
    for (size_t i = 0; i < s->split.length; i++)
        EM__TRY(em__vec_push(&s->pieces, s->split.data[i]));
    (void)origin;
    return EM_OK;
}

/* A part that came to its end: it is added, kept to grow, or joined with the one before, as the behavior says. */
static em_status add_part(em__splitter *p, size_t start, size_t end, bool match)
{
    if (start == end && !match) /* nothing between two matches; an empty match does count */
        return EM_OK;
    match = match != p->invert;
    bool previous = p->previous;
    p->previous = match;
    switch (p->behavior) {
    case EM_SPLIT_REMOVED: return match ? EM_OK : em__add_piece(p->s, start, end);
    case EM_SPLIT_ISOLATED: return em__add_piece(p->s, start, end);
    case EM_SPLIT_CONTIGUOUS:
        if (p->has_pending && match == previous) {
            p->pending_end = end;
            return EM_OK;
        }
        break;
    case EM_SPLIT_MERGED_WITH_PREVIOUS:
        if (p->has_pending && match && !previous) {
            p->pending_end = end;
            return EM_OK;
        }
        break;
    case EM_SPLIT_MERGED_WITH_NEXT:
        if (p->has_pending && previous && !match) {
            p->pending_end = end;
            return EM_OK;
        }
        break;
    }
    if (p->has_pending)
        EM__TRY(em__add_piece(p->s, p->pending_start, p->pending_end));
    p->has_pending = true;
    p->pending_start = start;
    p->pending_end = end;
    return EM_OK;
}

em_status em__split_match(em__splitter *p, size_t start, size_t end)
{
    EM__TRY(add_part(p, p->from, start, false));
    p->from = end;
    return add_part(p, start, end, true);
}

em_status em__split_finish(em__splitter *p, size_t end)
{
    EM__TRY(add_part(p, p->from, end, false));
    if (p->has_pending)
        EM__TRY(em__add_piece(p->s, p->pending_start, p->pending_end));
    p->has_pending = false;
    return EM_OK;
}

/* Splits a piece around the characters that have one of `flags`. */
em_status em__split_flags(em__scratch *s, em__piece piece, em__behavior behavior, unsigned flags)
{
    em__splitter splitter = {.s = s, .behavior = behavior, .from = piece.start};
    const char *start = s->text.bytes, *at = start + piece.start, *end = start + piece.end;
    while (at < end) {
        const char *before = at;
        if (em__uc_flags(em__utf8_next(&at)) & flags)
            EM__TRY(em__split_match(&splitter, (size_t)(before - start), (size_t)(at - start)));
    }
    return em__split_finish(&splitter, piece.end);
}

em_status em__split_character(em__scratch *s, em__piece piece, em__behavior behavior, uint32_t character)
{
    em__splitter splitter = {.s = s, .behavior = behavior, .from = piece.start};
    const char *start = s->text.bytes, *at = start + piece.start, *end = start + piece.end;
    while (at < end) {
        const char *before = at;
        if (em__utf8_next(&at) == character)
            EM__TRY(em__split_match(&splitter, (size_t)(before - start), (size_t)(at - start)));
    }
    return em__split_finish(&splitter, piece.end);
}
