/* Text with the code points that its bytes came from. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

em_status em__text_reserve(em__text *text, size_t more)
{
    if (more <= text->capacity - text->length)
        return EM_OK;
    size_t bytes = text->capacity, spans = text->capacity;
    EM__TRY(em__vec_grow(&text->bytes, text->length, &bytes, more, 1));
    EM__TRY(em__vec_grow(&text->align, text->length, &spans, more, sizeof *text->align));
    text->capacity = bytes < spans ? bytes : spans;
    return EM_OK;
}

em_status em__text_add(em__text *text, const char *bytes, size_t length, em_span align)
{
    EM__TRY(em__text_reserve(text, length));
    for (size_t i = 0; i < length; i++) {
        text->bytes[text->length] = bytes[i];
        text->align[text->length++] = align;
    }
    return EM_OK;
}

em_status em__text_copy(em__text *text, const em__text *from, size_t start, size_t end)
{
    EM__TRY(em__text_reserve(text, end - start));
    if (end > start) {
        memcpy(text->bytes + text->length, from->bytes + start, end - start);
        memcpy(text->align + text->length, from->align + start, (end - start) * sizeof *text->align);
    }
    text->length += end - start;
    return EM_OK;
}

em_status em__text_add_source(em__text *text, em__source source)
{
    EM__TRY(em__text_reserve(text, source.length));
    memcpy(text->bytes + text->length, source.text, source.length);
    em_span *align = text->align + text->length;
    uint32_t position = source.origin;
    for (size_t i = 0; i < source.length;) {
        unsigned size = em__utf8_length((uint8_t)source.text[i]);
        for (unsigned k = 0; k < size; k++)
            align[i++] = (em_span){position, position + 1};
        position++;
    }
    text->length += source.length;
    return EM_OK;
}

void em__text_free(em__text *text)
{
    em__free(text->bytes);
    em__free(text->align);
    *text = (em__text){0};
}
