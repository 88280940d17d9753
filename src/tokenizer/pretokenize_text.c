/* Split, and the pre-tokenizers that change text: ByteLevel and Metaspace. */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/utf8.h"

em_status em__split_pattern(em__scratch *s, const em__pre *pre, em__piece piece)
{
    em__splitter splitter = {.s = s, .behavior = pre->behavior, .invert = pre->invert, .from = piece.start};
    const char *start = s->text.bytes, *end = start + piece.end;
    if (pre->words != EM_WORDS_NONE) {
        for (const char *at = start + piece.start, *next; at < end; at = next) {
            next = em__words_next(pre->words, at, end);
            EM__TRY(em__split_match(&splitter, (size_t)(at - start), (size_t)(next - start)));
        }
        return em__split_finish(&splitter, piece.end);
    }
    em__matches matches;
    bool found;
    size_t from, to;
    EM__TRY(em__matches_begin(&matches, &pre->pattern, &s->matching, start + piece.start, piece.end - piece.start));
    for (;;) {
        EM__TRY(em__matches_next(&matches, &found, &from, &to));
        if (!found)
            return em__split_finish(&splitter, piece.end);
        EM__TRY(em__split_match(&splitter, piece.start + from, piece.start + to));
    }
}

static em_status add_prefix_space(em__scratch *s, const em__pre *pre, em__piece piece)
{
    (void)pre;
    if (s->text.bytes[piece.start] != ' ')
        EM__TRY(em__text_add(&s->other, " ", 1, s->text.align[piece.start]));
    return em__text_copy(&s->other, &s->text, piece.start, piece.end);
}

static em_status spell_bytes(em__scratch *s, const em__pre *pre, em__piece piece)
{
    char utf8[4];
    (void)pre;
    for (size_t i = piece.start; i < piece.end; i++) {
        unsigned size = em__utf8_put(utf8, em__byte_char((uint8_t)s->text.bytes[i]));
        EM__TRY(em__text_add(&s->other, utf8, size, s->text.align[i]));
    }
    return EM_OK;
}

em_status em__pretokenize_bytes(em__scratch *s, const em__pre *pre)
{
    static const em__pre words = {.behavior = EM_SPLIT_ISOLATED, .words = EM_WORDS_GPT2};
    if (pre->add_prefix_space)
        EM__TRY(em__rewrite_pieces(s, pre, add_prefix_space));
    if (pre->use_regex)
        EM__TRY(em__each_piece(s, &words, em__split_pattern));
    return em__rewrite_pieces(s, pre, spell_bytes);
}

/* Spaces become the replacement, and one is put before, if the scheme wants it and the piece lacks it. */
static em_status mark_spaces(em__scratch *s, const em__pre *pre, em__piece piece)
{
    char mark[4];
    unsigned size = em__utf8_put(mark, pre->character);
    const char *at = s->text.bytes + piece.start;
    bool wanted = pre->prepend == EM_PREPEND_ALWAYS || (pre->prepend == EM_PREPEND_FIRST && piece.origin == 0);
    if (wanted && *at != ' ' && em__utf8_next(&at) != pre->character)
        EM__TRY(em__text_add(&s->other, mark, size, s->text.align[piece.start]));
    for (size_t i = piece.start; i < piece.end;) {
        size_t next = i;
        while (next < piece.end && s->text.bytes[next] != ' ')
            next++;
        EM__TRY(em__text_copy(&s->other, &s->text, i, next));
        if (next < piece.end)
            EM__TRY(em__text_add(&s->other, mark, size, s->text.align[next++]));
        i = next;
    }
    return EM_OK;
}

static em_status split_marks(em__scratch *s, const em__pre *pre, em__piece piece)
{
    return em__split_character(s, piece, EM_SPLIT_MERGED_WITH_NEXT, pre->character);
}

em_status em__pretokenize_metaspace(em__scratch *s, const em__pre *pre)
{
    EM__TRY(em__rewrite_pieces(s, pre, mark_spaces));
    return pre->split ? em__each_piece(s, pre, split_marks) : EM_OK;
}
