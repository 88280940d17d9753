/* Text with the code points that its bytes came from. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

size_t em__text_allowance(size_t length, size_t growth)
{
    return EM_GROWTH_BASE + growth * length;
}

static void set_limit(em__text *text, size_t limit)
{
    text->length = 0;
    text->limit = limit;
    text->capacity = text->allocated < limit ? text->allocated : limit;
}

void em__text_allow(em__scratch *s, size_t room)
{
    s->room = room = room < UINT32_MAX ? room : UINT32_MAX; /* places in a text have 32 bits */
    set_limit(&s->text, room);
    set_limit(&s->other, room);
}

em_status em__text_too_long(size_t limit)
{
    return em__fail(EM_ERROR_FORMAT,
                    "tokenizer: the file's steps make more than %zu bytes of a text, far more than those of a model do",
                    limit);
}

em_status em__text_reserve(em__text *text, size_t more)
{
    if (more <= text->capacity - text->length)
        return EM_OK;
    if (more > text->limit - text->length)
        return em__text_too_long(text->limit);
    size_t bytes = text->allocated, spans = text->allocated;
    EM__TRY(em__vec_grow(&text->bytes, text->length, &bytes, more, 1));
    EM__TRY(em__vec_grow(&text->align, text->length, &spans, more, sizeof *text->align));
    text->allocated = bytes < spans ? bytes : spans;
    text->capacity = text->allocated < text->limit ? text->allocated : text->limit;
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
