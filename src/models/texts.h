/*
 * Texts to tokens, many at a time on the CPU's threads. Texts are taken in groups, each with memory of its own, so that
 * threads share nothing; a group's memory serves the next window of texts too.
 */
#ifndef EM_MODELS_TEXTS_H
#define EM_MODELS_TEXTS_H

#include "core/vec.h"
#include "models/model.h"

enum { EM__TEXTS_GROUP = 16, EM__TEXTS_WINDOW = 4096 };

typedef struct em__text_group {
    EM__VEC(int32_t) ids;
    EM__VEC(int32_t) types;
    em_encoding encoding;
    struct {
        char *data;
        size_t length, capacity;
    } joined; /* prompt and text */
    em_status status;
    char *error;
} em__text_group;

/* Where a text's tokens are: ids[start .. start + length - 1] of its group. */
typedef struct em__text_place {
    size_t start, length;
    bool truncated;
} em__text_place;

typedef struct em__texts {
    em__text_group *groups;
    em__text_place *places;
    size_t count;  /* texts tokenized */
    size_t prompt; /* leading tokens of each that are not pooled; 0: all are */
} em__texts;       /* zero-initialise */

typedef struct em__texts_in {
    const char *const *texts;
    const size_t *lengths; /* NULL: the texts end with NUL */
    size_t count;          /* at most EM__TEXTS_WINDOW */
    size_t first;          /* index of texts[0] for messages */
    const char *prompt;    /* never NULL */
    size_t max_tokens;
} em__texts_in;

/* Tokenizes into *texts, replacing what it held. The message of a failure names the text by its index. */
em_status em__texts_encode(const em_model *model, const em__texts_in *in, em__texts *texts);
void em__texts_free(em__texts *texts);

/* Tokens at the beginning of every text that begins with `prompt`: as sentence-transformers counts them, those of the
 * prompt alone without a special token at its end. */
em_status em__prompt_length(const em_model *model, const char *prompt, size_t max_tokens, size_t *length);

static inline const int32_t *em__text_ids(const em__texts *texts, size_t i)
{
    return texts->groups[i / EM__TEXTS_GROUP].ids.data + texts->places[i].start;
}

static inline const int32_t *em__text_types(const em__texts *texts, size_t i)
{
    return texts->groups[i / EM__TEXTS_GROUP].types.data + texts->places[i].start;
}

#endif
