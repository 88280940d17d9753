/* What the models share: where the bytes of a piece stand in the original, and the entry points. */
#ifndef EM_TOKENIZER_MODEL_H
#define EM_TOKENIZER_MODEL_H

#include "tokenizer/tokenizer.h"

/* Where the bytes of a piece stand: align[i], or, with a NULL align, code point start + i (one byte, one code
 * point). */
typedef struct em__place {
    const em_span *align;
    uint32_t start;
} em__place;

/* The code points of bytes [start, end), which are not empty. */
static inline em_span em__place_span(em__place place, size_t start, size_t end)
{
    if (!place.align)
        return (em_span){place.start + (uint32_t)start, place.start + (uint32_t)end};
    return (em_span){place.align[start].start, place.align[end - 1].end};
}

/* `chars` code points in `length` bytes. */
em_status em__wordpiece(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, size_t chars,
                        em__place place, em__tokens *out);

#endif
