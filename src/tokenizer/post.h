/* Encodings and the post-processor's part in them. */
#ifndef EM_TOKENIZER_POST_H
#define EM_TOKENIZER_POST_H

#include "tokenizer/tokenizer.h"

/* Room for `count` tokens in all. What the arrays held is lost. */
em_status em__encoding_reserve(em_encoding *out, size_t count);

/* Takes the white space that tokens [start, end) begin and end with out of their spans, which stand in `spans`. */
void em__trim_spans(const em_tokenizer *tok, const em__tokens *tokens, size_t start, size_t end, em_span *spans);

#endif
