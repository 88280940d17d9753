/* Lists of strings, and the decoders that turn one into another. */
#ifndef EM_TOKENIZER_DECODE_H
#define EM_TOKENIZER_DECODE_H

#include "core/alloc.h"
#include "tokenizer/tokenizer.h"

typedef struct em__list {
    em__str bytes;
    EM__VEC(size_t) ends; /* string i ends here, and begins where the one before ended */
} em__list;

typedef struct em__string {
    const char *data;
    size_t length;
} em__string;

static inline em__string em__list_at(const em__list *list, size_t i)
{
    size_t start = i ? list->ends.data[i - 1] : 0;
    return (em__string){em__str_text(&list->bytes) + start, list->ends.data[i] - start};
}

/* Ends the string that the last bytes are. */
static inline em_status em__list_end(em__list *list)
{
    return em__vec_push(&list->ends, list->bytes.length);
}

static inline void em__list_clear(em__list *list)
{
    em__str_clear(&list->bytes);
    list->ends.length = 0;
}

static inline void em__list_free(em__list *list)
{
    em__str_free(&list->bytes);
    em__vec_free(&list->ends);
}

/* Appends what a decoder makes of `in` to `out`, which is empty. */
em_status em__decoder_run(const em__decoder *decoder, const em__list *in, em__list *out);

#endif
