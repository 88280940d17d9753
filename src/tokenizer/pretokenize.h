/* Pieces: how pre-tokenizers split them. */
#ifndef EM_TOKENIZER_PRETOKENIZE_H
#define EM_TOKENIZER_PRETOKENIZE_H

#include "tokenizer/normalize.h"

/* Makes s->pieces of s->text: added tokens that want normalized text, and what stands between them. */
em_status em__cut_normalized(const em_tokenizer *tok, em__scratch *s, uint32_t origin);

/* Splits all pieces that are not added tokens, as the file's pre-tokenizers say. */
em_status em__pretokenize(const em_tokenizer *tok, em__scratch *s);

/* Appends to s->split bytes [start, end) of s->text, unless there are none. */
em_status em__add_piece(em__scratch *s, size_t start, size_t end);

/* Splits a piece around matches, which come in order; what lies between them comes by itself. Zero-initialise. */
typedef struct em__splitter {
    em__scratch *s;
    em__behavior behavior;
    bool invert;                       /* what lies between counts as the match */
    size_t from;                       /* end of the last match */
    size_t pending_start, pending_end; /* a part that may still grow */
    bool has_pending, previous;
} em__splitter;

em_status em__split_match(em__splitter *splitter, size_t start, size_t end);
em_status em__split_finish(em__splitter *splitter, size_t end);

/* Splits a piece around the characters that have one of `flags`. */
em_status em__split_flags(em__scratch *s, em__piece piece, em__behavior behavior, unsigned flags);

/* Splits a piece around a character. */
em_status em__split_character(em__scratch *s, em__piece piece, em__behavior behavior, uint32_t character);

/* Does something with a piece: adds what it becomes to s->split or, in a step that changes text, to s->other. */
typedef em_status (*em__piece_fn)(em__scratch *s, const em__pre *pre, em__piece piece);

/* Splits every piece that is not an added token. */
em_status em__each_piece(em__scratch *s, const em__pre *pre, em__piece_fn split);

/* Rewrites the text of every piece that is not an added token; `rewrite` appends to s->other. */
em_status em__rewrite_pieces(em__scratch *s, const em__pre *pre, em__piece_fn rewrite);

/* The pre-tokenizers that change text. */
em_status em__pretokenize_bytes(em__scratch *s, const em__pre *pre);
em_status em__pretokenize_metaspace(em__scratch *s, const em__pre *pre);

/* Splits a piece at the matches of the pattern or of the splitter that stands in for it. */
em_status em__split_pattern(em__scratch *s, const em__pre *pre, em__piece piece);

/* White space that a token begins and ends with, the byte-level space counted. */
void em__count_space(const char *text, size_t length, uint32_t *leading, uint32_t *trailing);

#endif
