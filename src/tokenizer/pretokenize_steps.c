/* The pre-tokenizers, one step after the other. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/utf8.h"

em_status em__each_piece(em__scratch *s, const em__pre *pre, em__piece_fn split)
{
    s->split.length = 0;
    for (size_t i = 0; i < s->pieces.length; i++) {
        em__piece piece = s->pieces.data[i];
        if (piece.added >= 0)
            EM__TRY(em__vec_push(&s->split, piece));
        else
            EM__TRY(split(s, pre, piece));
    }
    size_t count = s->split.length;
    s->pieces.length = 0;
    EM__TRY(em__vec_reserve(&s->pieces, count));
    if (count)
        memcpy(s->pieces.data, s->split.data, count * sizeof *s->pieces.data);
    s->pieces.length = count;
    return EM_OK;
}

em_status em__rewrite_pieces(em__scratch *s, const em__pre *pre, em__piece_fn rewrite)
{
    s->other.length = 0;
    for (size_t i = 0; i < s->pieces.length; i++) {
        em__piece *piece = &s->pieces.data[i];
        size_t start = s->other.length;
        if (piece->added >= 0)
            EM__TRY(em__text_copy(&s->other, &s->text, piece->start, piece->end));
        else
            EM__TRY(rewrite(s, pre, *piece));
        piece->start = (uint32_t)start;
        piece->end = (uint32_t)s->other.length;
    }
    em__swap_texts(s);
    return EM_OK;
}

static em_status split_space(em__scratch *s, const em__pre *pre, em__piece piece)
{
    (void)pre;
    return em__split_flags(s, piece, EM_SPLIT_REMOVED, EM_UC_SPACE);
}

static em_status split_punctuation(em__scratch *s, const em__pre *pre, em__piece piece)
{
    return em__split_flags(s, piece, pre->behavior, EM_UC_PUNCTUATION);
}

static em_status split_digits(em__scratch *s, const em__pre *pre, em__piece piece)
{
    em__behavior behavior = pre->individual_digits ? EM_SPLIT_ISOLATED : EM_SPLIT_CONTIGUOUS;
    return em__split_flags(s, piece, behavior, EM_UC_NUMERIC);
}

/* \w+|[^\w\s]+ */
static em_status split_words(em__scratch *s, const em__pre *pre, em__piece piece)
{
    const char *start = s->text.bytes, *at = start + piece.start, *end = start + piece.end, *from = at;
    unsigned previous = EM_UC_SPACE;
    (void)pre;
    while (at < end) {
        const char *before = at;
        unsigned flags = em__uc_flags(em__utf8_next(&at));
        unsigned kind = flags & EM_UC_WORD ? EM_UC_WORD : flags & EM_UC_SPACE;
        if (kind == previous)
            continue;
        if (previous != EM_UC_SPACE)
            EM__TRY(em__add_piece(s, (size_t)(from - start), (size_t)(before - start)));
        from = before;
        previous = kind;
    }
    return previous == EM_UC_SPACE ? EM_OK : em__add_piece(s, (size_t)(from - start), piece.end);
}

static em_status split_delimiter(em__scratch *s, const em__pre *pre, em__piece piece)
{
    return em__split_character(s, piece, EM_SPLIT_REMOVED, pre->character);
}

static em_status split_lengths(em__scratch *s, const em__pre *pre, em__piece piece)
{
    const char *start = s->text.bytes, *at = start + piece.start, *end = start + piece.end;
    while (at < end) {
        const char *from = at;
        for (size_t i = 0; i < pre->length && at < end; i++)
            em__utf8_next(&at);
        EM__TRY(em__add_piece(s, (size_t)(from - start), (size_t)(at - start)));
    }
    return EM_OK;
}

static em_status run_step(em__scratch *s, const em__pre *pre)
{
    static const em__pre isolated = {.behavior = EM_SPLIT_ISOLATED};
    switch (pre->kind) {
    case EM_PRE_BERT:
        EM__TRY(em__each_piece(s, pre, split_space));
        return em__each_piece(s, &isolated, split_punctuation);
    case EM_PRE_WHITESPACE: return em__each_piece(s, pre, split_words);
    case EM_PRE_WHITESPACE_SPLIT: return em__each_piece(s, pre, split_space);
    case EM_PRE_PUNCTUATION: return em__each_piece(s, pre, split_punctuation);
    case EM_PRE_DIGITS: return em__each_piece(s, pre, split_digits);
    case EM_PRE_SPLIT: return em__each_piece(s, pre, em__split_pattern);
    case EM_PRE_BYTE_LEVEL: return em__pretokenize_bytes(s, pre);
    case EM_PRE_METASPACE: return em__pretokenize_metaspace(s, pre);
    case EM_PRE_DELIMITER: return em__each_piece(s, pre, split_delimiter);
    case EM_PRE_FIXED_LENGTH: return em__each_piece(s, pre, split_lengths);
    }
    return em__fail(EM_ERROR_INTERNAL, "tokenizer: pre-tokenizer %d is unknown", (int)pre->kind);
}

em_status em__pretokenize(const em_tokenizer *tok, em__scratch *s)
{
    for (size_t i = 0; i < tok->pres.length; i++)
        EM__TRY(run_step(s, &tok->pres.data[i]));
    return EM_OK;
}
