/*
 * Decoding: tokens go through the file's decoders as lists of strings, as `tokenizers` does it, but in parts. A decoder
 * is a step that remembers what it was told so far and gives what no later token can change; told that the end is
 * reached, it gives the rest. Decoding ids at once is one part that is also the last.
 *
 * Between steps a string may come in pieces, which never cut a character.
 */
#ifndef EM_TOKENIZER_DECODE_H
#define EM_TOKENIZER_DECODE_H

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"

/* Bytes past the last end are the beginning of a string that goes on in the list that comes next. */
typedef struct em__list {
    em__str bytes;
    EM__VEC(size_t) ends; /* string i ends here, and begins where the one before ended */
} em__list;

/* One decoder at work. Which members mean what is said where they are used; all zero is the beginning. */
typedef struct em__decode_step {
    const em__decoder *decoder;
    em__str begun;      /* of a string that has to be seen whole: what came of it */
    em__str held;       /* what waits for its end, or for the next string */
    size_t strings;     /* ended so far */
    size_t at_start;    /* Strip: characters cut from the string's beginning */
    size_t at_end;      /* Strip: characters that are cut if the string ends here */
    bool past_start;    /* Strip: nothing more is cut from the beginning */
    bool has_held;      /* BPEDecoder, CTC: `held` is a string */
    bool opened;        /* ByteFallback: part of the run of bytes was given */
    bool ill_formed;    /* ByteFallback: the run is not UTF-8 */
    size_t given, room; /* bytes that came of it so far, and that still may */
    size_t most_held;   /* ByteFallback: of a run that is UTF-8 so far, more bytes than these are not held back */
    em__matching matching;
} em__decode_step;

/* The decoders of a tokenizer at work. */
typedef struct em__decoding {
    const em_tokenizer *tok;
    bool skip_special;
    bool joined;            /* without decoders: a token came before */
    size_t taken;           /* bytes of the tokens so far */
    em__decode_step *steps; /* one for each decoder */
    em__list list, other;
} em__decoding;

em_status em__decoding_init(em__decoding *d, const em_tokenizer *tok, bool skip_special, size_t most_held);
void em__decoding_free(em__decoding *d);

/* Back to the beginning, keeping the memory. */
void em__decoding_reset(em__decoding *d);

/* Appends to `out` the text that is ready after `count` more ids; all of it, if they are the last. */
em_status em__decoding_add(em__decoding *d, const int32_t *ids, size_t count, bool last, em__str *out);

/* Appends to `out`, which is empty, what a step makes of `in`. */
em_status em__decode_step_run(em__decode_step *step, const em__list *in, bool last, em__list *out);

/* Adds what a Replace puts in. Only it makes text longer, so that only it can run out of room before it is done. */
em_status em__decode_put(em__decode_step *step, em__list *out);

/* The steps that pass on parts of strings: decode_parts.c. */
em_status em__decode_byte_level(em__decode_step *step, const em__list *in, bool last, em__list *out);
em_status em__decode_byte_fallback(em__decode_step *step, const em__list *in, bool last, em__list *out);
em_status em__decode_strip(em__decode_step *step, const em__list *in, em__list *out);
em_status em__decode_literal(em__decode_step *step, const em__list *in, em__list *out);

/* decode_text.c: appends `text` with every `from` replaced by `to`, or tidied up as WordPiece and CTC do. */
em_status em__replace_all(em__str *out, em__string text, em__string from, em__string to);
em_status em__clean_up(em__str *out, em__string text);

/* String i of a list; the one after the last is the beginning of one. */
static inline em__string em__list_at(const em__list *list, size_t i)
{
    size_t start = i ? list->ends.data[i - 1] : 0;
    size_t end = i < list->ends.length ? list->ends.data[i] : list->bytes.length;
    return (em__string){em__str_text(&list->bytes) + start, end - start};
}

/* Ends the string that the last bytes are. */
static inline em_status em__list_end(em__list *list)
{
    return em__vec_push(&list->ends, list->bytes.length);
}

static inline em_status em__list_add(em__list *list, em__string text)
{
    EM__TRY(em__str_add(&list->bytes, text.data, text.length));
    return em__list_end(list);
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

/*
 * Whole strings: string i of `in`, joined with what of it came before. False for the beginning of a string, which is
 * kept, and past the end. The string is valid until the next call.
 */
bool em__whole_string(em__decode_step *step, const em__list *in, size_t i, em__string *string, em_status *status);

#endif
