/* Tokenizing a window of texts. */
#include "models/texts.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/cpu/cpu.h"

typedef struct job {
    const em_model *model;
    const em__texts_in *in;
    em__texts *texts;
} job;

/* Takes away the token at the end that was cut, of those that are not added ones: it was cut one token late, to see
 * whether it is cut. */
static void drop_one(em_encoding *e, bool left)
{
    size_t at = 0;
    while (at < e->length && e->special_mask[left ? at : e->length - 1 - at])
        at++;
    if (at == e->length)
        return;
    const size_t gone = left ? at : e->length - 1 - at, tail = e->length - 1 - gone;
    memmove(e->ids + gone, e->ids + gone + 1, tail * sizeof *e->ids);
    memmove(e->type_ids + gone, e->type_ids + gone + 1, tail * sizeof *e->type_ids);
    e->length--;
}

/* At most `max_tokens` tokens, special ones counted, cut where the checkpoint says. */
static em_status encode(const em_model *model, const char *text, size_t length, size_t max_tokens,
                        em_encoding *encoding, bool *truncated)
{
    const bool left = model->truncate_left;
    const em_encode_options options = {.struct_size = sizeof options,
                                       .truncation = EM_TRUNCATION_GIVEN,
                                       .max_length = max_tokens + 1,
                                       .truncate_left = left};
    EM__TRY(em_tokenizer_encode(model->tokenizer, text, length, &options, encoding));
    *truncated = encoding->length > max_tokens;
    if (*truncated)
        drop_one(encoding, left);
    return EM_OK;
}

static em_status join(em__text_group *group, const char *prompt, const char **text, size_t *length)
{
    size_t prefix = strlen(prompt), total;
    if (prefix == 0)
        return EM_OK;
    group->joined.length = 0;
    EM__FAIL_IF(em__add_overflows(prefix, *length, &total), EM_ERROR_INVALID_ARGUMENT, "the text is too long");
    EM__TRY(em__vec_grow(&group->joined.data, 0, &group->joined.capacity, total + 1, 1));
    memcpy(group->joined.data, prompt, prefix);
    memcpy(group->joined.data + prefix, *text, *length);
    *text = group->joined.data;
    *length = total;
    return EM_OK;
}

static em_status check_ids(const em_model *model, const em_encoding *e)
{
    const int64_t *sizes = model->config.sizes;
    for (size_t i = 0; i < e->length; i++) {
        EM__FAIL_IF(e->ids[i] < 0 || e->ids[i] >= sizes[EM__VOCABULARY], EM_ERROR_FORMAT,
                    "the tokenizer gives id %d, the model has embeddings for %lld", e->ids[i],
                    (long long)sizes[EM__VOCABULARY]);
        EM__FAIL_IF(sizes[EM__TYPES] > 0 && (e->type_ids[i] < 0 || e->type_ids[i] >= sizes[EM__TYPES]), EM_ERROR_FORMAT,
                    "the tokenizer gives token type %d, the model has %lld", e->type_ids[i],
                    (long long)sizes[EM__TYPES]);
    }
    return EM_OK;
}

static em_status encode_text(const job *j, size_t i, em__text_group *group)
{
    const char *text = j->in->texts[i];
    em_encoding *e = &group->encoding;
    em__text_place *place = &j->texts->places[i];
    EM__FAIL_IF(!text, EM_ERROR_INVALID_ARGUMENT, "it is NULL");
    size_t length = j->in->lengths ? j->in->lengths[i] : strlen(text);
    EM__TRY(join(group, j->in->prompt, &text, &length));
    EM__TRY(encode(j->model, text, length, j->in->max_tokens, e, &place->truncated));
    EM__TRY(check_ids(j->model, e));
    EM__TRY(em__vec_grow(&group->ids.data, group->ids.length, &group->ids.capacity, e->length, sizeof *e->ids));
    EM__TRY(em__vec_grow(&group->types.data, group->types.length, &group->types.capacity, e->length, sizeof *e->ids));
    place->start = group->ids.length;
    place->length = e->length;
    memcpy(group->ids.data + place->start, e->ids, e->length * sizeof *e->ids);
    memcpy(group->types.data + place->start, e->type_ids, e->length * sizeof *e->type_ids);
    group->ids.length = group->types.length = place->start + e->length;
    return EM_OK;
}

/* Errors belong to threads: a group carries its own home. */
static void encode_group(void *context, int64_t chunk, int worker)
{
    const job *j = context;
    em__text_group *group = &j->texts->groups[chunk];
    size_t end = ((size_t)chunk + 1) * EM__TEXTS_GROUP;
    (void)worker;
    group->ids.length = group->types.length = 0;
    group->status = EM_OK;
    for (size_t i = (size_t)chunk * EM__TEXTS_GROUP; i < end && i < j->in->count && group->status == EM_OK; i++) {
        group->status = em__context(encode_text(j, i, group), "embed: text %zu", j->in->first + i);
        if (group->status != EM_OK)
            group->error = em__strdup(em_last_error());
    }
}

static em_status first_error(em__texts *texts, size_t groups)
{
    em_status status = EM_OK;
    for (size_t i = 0; i < groups; i++) {
        em__text_group *group = &texts->groups[i];
        if (status == EM_OK && group->status != EM_OK)
            status = em__fail(group->status, "%s", group->error ? group->error : em_status_text(group->status));
        em__free(group->error);
        group->error = NULL;
    }
    return status;
}

static em_status reserve(em__texts *texts)
{
    if (!texts->groups)
        texts->groups = em__calloc(EM__TEXTS_WINDOW / EM__TEXTS_GROUP, sizeof *texts->groups);
    if (!texts->places)
        texts->places = em__calloc(EM__TEXTS_WINDOW, sizeof *texts->places);
    return texts->groups && texts->places ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

em_status em__texts_encode(const em_model *model, const em__texts_in *in, em__texts *texts)
{
    job j = {model, in, texts};
    size_t groups = (in->count + EM__TEXTS_GROUP - 1) / EM__TEXTS_GROUP;
    EM__TRY(reserve(texts));
    texts->count = in->count;
    em_device *cpu = groups > 1 ? em__cpu_device() : NULL;
    if (cpu) {
        em__device_enter(cpu);
        em__pool_run(em__cpu_of(cpu)->pool, encode_group, &j, (int64_t)groups);
        em__device_leave(cpu);
    } else {
        for (size_t i = 0; i < groups; i++)
            encode_group(&j, (int64_t)i, 0);
    }
    return first_error(texts, groups);
}

void em__texts_free(em__texts *texts)
{
    for (size_t i = 0; texts->groups && i < EM__TEXTS_WINDOW / EM__TEXTS_GROUP; i++) {
        em__text_group *group = &texts->groups[i];
        em__vec_free(&group->ids);
        em__vec_free(&group->types);
        em__vec_free(&group->joined);
        em_encoding_free(&group->encoding);
    }
    em__free(texts->groups);
    em__free(texts->places);
    memset(texts, 0, sizeof *texts);
}

em_status em__prompt_length(const em_model *model, const char *prompt, size_t max_tokens, size_t *length)
{
    em_encoding encoding = {0};
    bool truncated;
    *length = 0;
    em_status status = encode(model, prompt, strlen(prompt), max_tokens, &encoding, &truncated);
    if (status == EM_OK && encoding.length > 0) {
        bool ends_special = em_tokenizer_is_special(model->tokenizer, encoding.ids[encoding.length - 1]);
        *length = encoding.length - ends_special;
    }
    em_encoding_free(&encoding);
    return status;
}
