/*
 * From tokens to text that can be shown: bytes come out when no later token can change them, and never a byte that may
 * turn out to belong to a stop string.
 */
#ifndef EM_GENERATE_TEXT_H
#define EM_GENERATE_TEXT_H

#include <stdbool.h>

#include <emily/tokenizer.h>

#include "core/str.h"

typedef struct em__stops {
    char **strings; /* owned, none empty */
    size_t count;
} em__stops;

typedef struct em__text_out {
    em_decode_stream *stream; /* NULL: no tokenizer, no text */
    em_text piece;
    em__str text; /* all so far; bytes past `shown` wait */
    size_t shown;
} em__text_out; /* zero-initialise */

/* Begins a text; keeps memory. `tokenizer` NULL: there will be none. */
em_status em__text_out_begin(em__text_out *writer, const em_tokenizer *tokenizer, bool show_special);
void em__text_out_free(em__text_out *writer);

/* Adds a token. *stopped: a stop string is complete, and the text ends before it. Afterwards bytes
 * [*from, writer->shown) of the text are new. */
em_status em__text_out_push(em__text_out *writer, const em__stops *stops, int32_t id, size_t *from, bool *stopped);

/* Nothing more comes: shows what was held back (a stop string in it still counts). */
em_status em__text_out_finish(em__text_out *writer, const em__stops *stops, size_t *from);

#endif
