/* Freeing encodings and what they worked with. */
#include "core/alloc.h"
#include "tokenizer/tokenizer.h"

static void free_tokens(em__tokens *tokens)
{
    em__free(tokens->ids);
    em__free(tokens->spans);
    em__vec_free(&tokens->spaces);
}

static void free_scratch(em__scratch *s)
{
    if (!s)
        return;
    for (int i = 0; i < 2; i++) {
        em__str_free(&s->repaired[i]);
        free_tokens(&s->tokens[i]);
        em__vec_free(&s->windows[i]);
    }
    em__text_free(&s->text);
    em__text_free(&s->other);
    em__vec_free(&s->pieces);
    em__vec_free(&s->split);
    em__vec_free(&s->changes);
    em__vec_free(&s->sorting);
    em__vec_free(&s->symbols);
    em__vec_free(&s->heap);
    em__vec_free(&s->word);
    em__vec_free(&s->best);
    em__vec_free(&s->hashes);
    em__str_free(&s->buffer);
    em__str_free(&s->buffer2);
    em__free(s->cache.entries);
    em__str_free(&s->cache.text);
    em__vec_free(&s->cache.tokens);
    em__matching_free(&s->matching);
    em__free(s);
}

void em_encoding_free(em_encoding *encoding)
{
    if (!encoding)
        return;
    for (size_t i = 0; i < encoding->overflow_capacity; i++)
        em_encoding_free(&encoding->overflow[i]);
    em__free(encoding->overflow);
    em__free(encoding->ids);
    em__free(encoding->type_ids);
    em__free(encoding->offsets);
    em__free(encoding->special_mask);
    em__free(encoding->attention_mask);
    free_scratch(encoding->scratch);
    *encoding = (em_encoding){0};
}
