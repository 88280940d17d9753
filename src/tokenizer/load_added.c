/*
 * "added_tokens". As in `tokenizers`, an added token that the model knows has the model's id; the others are numbered
 * on from the size of the model's vocabulary, in the order of the file. The "id" that the file gives is only compared.
 * Of a token that is there twice the last entry counts, but once special it stays special.
 */
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "tokenizer/load.h"
#include "tokenizer/normalize.h"

/* What normalizers may make of each byte of all added tokens, whose trie takes many times that. */
enum { ADDED_GROWTH = 4 };

static em_status read_added(em_tokenizer *tok, const json_t *value, em__added *added, size_t *id)
{
    const char *where = "added_tokens";
    EM__FAIL_IF(!json_is_object(value), EM_ERROR_FORMAT, "added_tokens: expected a list of objects");
    EM__TRY(em__load_member(tok, value, where, "content", true, &added->content));
    EM__TRY(em__tokjson_size(value, where, "id", true, id));
    EM__TRY(em__tokjson_bool(value, where, "single_word", true, &added->single_word));
    EM__TRY(em__tokjson_bool(value, where, "lstrip", true, &added->lstrip));
    EM__TRY(em__tokjson_bool(value, where, "rstrip", true, &added->rstrip));
    EM__TRY(em__tokjson_bool(value, where, "normalized", true, &added->normalized));
    return em__tokjson_bool(value, where, "special", true, &added->special);
}

/* What the token looks like in normalized text. */
static em_status normalize_content(em_tokenizer *tok, em__scratch *s, em__added *added)
{
    added->pattern = added->content;
    if (!added->normalized || tok->norms.length == 0)
        return EM_OK;
    em__text_allow(s, s->room);
    EM__TRY(em__text_add_source(&s->text, (em__source){added->content.data, added->content.length, 0}));
    EM__TRY(em__normalize(tok, s, 0));
    s->room -= s->text.length;
    return em__load_text(tok, s->text.bytes ? s->text.bytes : "", s->text.length, &added->pattern);
}

static int by_id(const void *a, const void *b)
{
    const em__added *x = a, *y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : (x->place > y->place) - (x->place < y->place);
}

/* Of entries in order, one a token. */
static void keep_last(em_tokenizer *tok)
{
    em__added *all = tok->added.data;
    size_t kept = 0;
    for (size_t i = 0; i < tok->added.length; i++) {
        const bool again = kept > 0 && all[kept - 1].id == all[i].id, was_special = again && all[kept - 1].special;
        kept += !again;
        all[kept - 1] = all[i];
        all[kept - 1].special |= was_special;
    }
    tok->added.length = kept;
}

/* The ids of special tokens, which stand in order. */
static em_status collect_special(em_tokenizer *tok)
{
    for (size_t i = 0; i < tok->added.length; i++)
        if (tok->added.data[i].special)
            EM__TRY(em__vec_push(&tok->special_ids, tok->added.data[i].id));
    return EM_OK;
}

static em_status add_one(em_tokenizer *tok, em__scratch *s, const json_t *value, int32_t *next)
{
    em__added added = {0};
    size_t declared = 0;
    EM__TRY(read_added(tok, value, &added, &declared));
    if (added.content.length == 0)
        return EM_OK;
    const int32_t before = em__vocab_find(&tok->added_vocab, added.content.data, added.content.length);
    added.place = tok->added.length;
    added.id = before >= 0 ? before : em__vocab_find(&tok->model.vocab, added.content.data, added.content.length);
    if (added.id < 0)
        added.id = (*next)++;
    if ((size_t)added.id != declared)
        em__log(EM_LOG_WARN, "added_tokens: \"%s\" has id %zu in the file, but %d by the vocabulary",
                added.content.data, declared, added.id);
    EM__TRY(normalize_content(tok, s, &added));
    if (before < 0)
        EM__TRY(em__context(em__vocab_add(&tok->added_vocab, added.content.data, added.content.length, added.id),
                            "added_tokens"));
    return em__vec_push(&tok->added, added);
}

em_status em__load_added(em_tokenizer *tok, const json_t *value)
{
    em_encoding holder = {0};
    em_status status = EM_OK;
    size_t bytes = 0;
    int32_t next = (int32_t)tok->model.vocab.count;
    EM__FAIL_IF(value && !json_is_null(value) && !json_is_array(value), EM_ERROR_FORMAT,
                "added_tokens: expected a list");
    for (size_t i = 0; i < json_array_size(value); i++)
        bytes += json_string_length(json_object_get(json_array_get(value, i), "content"));
    EM__TRY(em__vocab_init(&tok->added_vocab, json_array_size(value), bytes));
    holder.scratch = em__calloc(1, sizeof(em__scratch));
    if (!holder.scratch)
        return EM_ERROR_OUT_OF_MEMORY;
    em__text_allow(holder.scratch, em__text_allowance(bytes, ADDED_GROWTH));
    for (size_t i = 0; i < json_array_size(value) && status == EM_OK; i++)
        status = add_one(tok, holder.scratch, json_array_get(value, i), &next);
    em_encoding_free(&holder);
    if (tok->added.length > 1)
        qsort(tok->added.data, tok->added.length, sizeof *tok->added.data, by_id);
    keep_last(tok);
    return status == EM_OK ? collect_special(tok) : status;
}
