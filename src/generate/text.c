/* See text.h. */
#include "generate/text.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

em_status em__text_out_begin(em__text_out *w, const em_tokenizer *tokenizer, bool show_special)
{
    em_decode_stream_free(w->stream);
    w->stream = NULL;
    em__str_clear(&w->text);
    w->shown = 0;
    if (!tokenizer)
        return EM_OK;
    w->stream = em_decode_stream_new(tokenizer, !show_special);
    return w->stream ? EM_OK : em_last_status();
}

void em__text_out_free(em__text_out *w)
{
    em_decode_stream_free(w->stream);
    em_text_free(&w->piece);
    em__str_free(&w->text);
    *w = (em__text_out){0};
}

/* Where the first stop string begins that ends behind `from`; the text's length when there is none. */
static size_t find_stop(const em__text_out *w, const em__stops *stops, size_t from)
{
    size_t first = w->text.length;
    for (size_t i = 0; i < stops->count; i++) {
        size_t length = strlen(stops->strings[i]);
        for (size_t at = from >= length ? from - length + 1 : 0; at + length <= w->text.length && at < first; at++)
            if (memcmp(w->text.data + at, stops->strings[i], length) == 0)
                first = at;
    }
    return first;
}

/* Bytes at the end of the text that a stop string begins with. */
static size_t held(const em__text_out *w, const em__stops *stops)
{
    size_t most = 0;
    for (size_t i = 0; i < stops->count; i++) {
        size_t length = strlen(stops->strings[i]);
        for (size_t n = length - 1; n > most; n--)
            if (n <= w->text.length - w->shown && memcmp(w->text.data + w->text.length - n, stops->strings[i], n) == 0)
                most = n;
    }
    return most;
}

static em_status add(em__text_out *w, const em__stops *stops, bool last, size_t *from, bool *stopped)
{
    size_t old = w->text.length;
    *from = w->shown;
    EM__TRY(em__str_add(&w->text, w->piece.data ? w->piece.data : "", w->piece.length));
    size_t stop = stops->count > 0 && w->text.length > old ? find_stop(w, stops, old) : w->text.length;
    *stopped = stop < w->text.length;
    if (*stopped) {
        w->text.length = stop;
        w->text.data[stop] = 0;
    }
    size_t end = *stopped || last ? w->text.length : w->text.length - held(w, stops);
    w->shown = end > w->shown ? end : w->shown;
    return EM_OK;
}

em_status em__text_out_push(em__text_out *w, const em__stops *stops, int32_t id, size_t *from, bool *stopped)
{
    *from = w->shown;
    *stopped = false;
    if (!w->stream)
        return EM_OK;
    EM__TRY(em_decode_stream_push(w->stream, id, &w->piece));
    return add(w, stops, false, from, stopped);
}

em_status em__text_out_finish(em__text_out *w, const em__stops *stops, size_t *from)
{
    bool stopped;
    *from = w->shown;
    if (!w->stream)
        return EM_OK;
    EM__TRY(em_decode_stream_flush(w->stream, &w->piece));
    return add(w, stops, true, from, &stopped);
}
