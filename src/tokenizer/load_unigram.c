/* Unigram: a list of [token, score], whose places are the ids. */
#include <math.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load_model.h"

static const double UNKNOWN_PENALTY = 10.0;

static em_status add_token(em__model *model, const char *text, size_t length, size_t id, double score)
{
    int32_t previous;
    EM__TRY(em__vocab_add_last(&model->vocab, text, length, (int64_t)id));
    model->scores[id] = score;
    if (score < model->unk_score)
        model->unk_score = score;
    return length ? em__trie_insert(&model->trie, text, length, (int32_t)id, &previous) : EM_OK;
}

static em_status read_tokens(em__model *model, em__tokjson *json, size_t room)
{
    bool more;
    EM__TRY(em__tokjson_expect(json, '['));
    for (size_t id = 0;; id++) {
        const char *text;
        size_t length;
        double score;
        EM__TRY(em__tokjson_more(json, ']', id == 0, &more));
        if (!more)
            return EM_OK;
        EM__FAIL_IF(id >= room, EM_ERROR_INTERNAL, "model.vocab: more tokens than were counted");
        EM__TRY(em__tokjson_expect(json, '['));
        EM__TRY(em__tokjson_string(json, &text, &length));
        EM__TRY(em__tokjson_expect(json, ','));
        EM__TRY(em__tokjson_number(json, &score));
        EM__TRY(em__tokjson_expect(json, ']'));
        EM__TRY(add_token(model, text, length, id, score));
    }
}

static em_status load_tokens(em__model *model, em__tokjson_range range)
{
    em__tokjson json = {.start = range.start, .at = range.start, .end = range.end, .what = "model.vocab"};
    EM__FAIL_IF(!range.start || *range.start != '[', EM_ERROR_FORMAT,
                "model Unigram: \"vocab\" is missing or not a list of [token, score]");
    EM__TRY(em__tokjson_check(range, json.what, sizeof "[\"\",0]," - 1));
    size_t count = range.count;
    EM__TRY(em__vocab_init(&model->vocab, count, (size_t)(range.end - range.start)));
    model->scores = em__calloc(count, sizeof *model->scores);
    if (!model->scores)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = read_tokens(model, &json, count);
    em__str_free(&json.unescaped);
    return status;
}

em_status em__load_unigram(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab)
{
    em__model *model = &tok->model;
    size_t unk = SIZE_MAX, length = 0;
    EM__TRY(em__tokjson_size(value, "model Unigram", "unk_id", false, &unk));
    EM__TRY(em__tokjson_bool(value, "model Unigram", "byte_fallback", false, &model->byte_fallback));
    model->unk_score = INFINITY;
    EM__TRY(load_tokens(model, vocab));
    model->unk_score -= UNKNOWN_PENALTY;
    EM__FAIL_IF(unk != SIZE_MAX && unk >= model->vocab.count, EM_ERROR_FORMAT,
                "model Unigram: unk_id is %zu, the vocabulary has %zu tokens", unk, model->vocab.count);
    em__find_byte_tokens(model);
    if (unk == SIZE_MAX)
        return EM_OK;
    model->unk_id = (int32_t)unk;
    const char *text = em__vocab_text(&model->vocab, model->unk_id, &length);
    return em__load_text(tok, text, length, &model->unk_token);
}
