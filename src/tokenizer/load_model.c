/* "model": its members here, its vocabulary and merges streamed. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"
#include "tokenizer/load_model.h"

/* Entries that were read and not yet added: the table's lines that they need are on their way from memory. */
enum { AHEAD = 16 };

typedef struct entries {
    struct {
        const char *text;
        size_t length;
        uint64_t hash;
        int64_t id;
    } list[AHEAD];
    size_t count;
} entries;

static em_status add_entries(em__vocab *vocab, entries *ahead)
{
    for (size_t i = 0; i < ahead->count; i++)
        EM__TRY(em__vocab_add_hashed(vocab, ahead->list[i].hash, ahead->list[i].text, ahead->list[i].length,
                                     ahead->list[i].id));
    ahead->count = 0;
    return EM_OK;
}

static em_status read_entries(em__vocab *vocab, em__tokjson *json)
{
    entries ahead = {.count = 0};
    bool more;
    EM__TRY(em__tokjson_expect(json, '{'));
    for (bool first = true;; first = false) {
        const char *text;
        size_t length;
        int64_t id;
        EM__TRY(em__tokjson_more(json, '}', first, &more));
        if (!more)
            return add_entries(vocab, &ahead);
        EM__TRY(em__tokjson_string(json, &text, &length));
        EM__TRY(em__tokjson_expect(json, ':'));
        EM__TRY(em__tokjson_integer(json, &id));
        uint64_t hash = em__vocab_hash(EM_VOCAB_SEED, text, length);
        __builtin_prefetch(em__vocab_place(vocab, hash), 1);
        ahead.list[ahead.count].text = text;
        ahead.list[ahead.count].length = length;
        ahead.list[ahead.count].hash = hash;
        ahead.list[ahead.count++].id = id;
        if (ahead.count == AHEAD || text == json->unescaped.data) /* the next string may take its memory */
            EM__TRY(add_entries(vocab, &ahead));
    }
}

em_status em__load_vocab(em__vocab *vocab, em__tokjson_range range)
{
    em__tokjson json = {.start = range.start, .at = range.start, .end = range.end, .what = "model.vocab"};
    EM__FAIL_IF(!range.start, EM_ERROR_FORMAT, "model: \"vocab\" is missing");
    EM__FAIL_IF(*range.start != '{', EM_ERROR_FORMAT, "model.vocab: expected an object of tokens and ids");
    EM__TRY(em__tokjson_check(range, json.what, sizeof "\"\":0," - 1));
    EM__TRY(em__vocab_init(vocab, range.count, (size_t)(range.end - range.start)));
    em_status status = read_entries(vocab, &json);
    em__str_free(&json.unescaped);
    return status;
}

/* The unknown token; whether the vocabulary has it is told when a text needs it. */
static void find_unk(em__model *model)
{
    if (model->has_unk)
        model->unk_id = em__vocab_find(&model->vocab, model->unk_token.data, model->unk_token.length);
}

/* Each piece of a word costs a look-up of every prefix that could be a token: with words and tokens of any length time
 * is quadratic. Words of models have 100 characters, or 200. */
enum { LONGEST_PIECE = 1024 };

static em_status check_work(const em__model *model)
{
    const size_t token = model->vocab.max_length;
    EM__FAIL_IF(token > LONGEST_PIECE && model->max_chars > LONGEST_PIECE, EM_ERROR_UNSUPPORTED,
                "model WordPiece: words of %zu characters with a token of %zu bytes take too much work, at most %d of "
                "one of them are possible",
                model->max_chars, token, LONGEST_PIECE);
    return EM_OK;
}

static em_status load_wordpiece(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab)
{
    em__model *model = &tok->model;
    const char *where = "model WordPiece";
    EM__TRY(em__load_member(tok, value, where, "unk_token", true, &model->unk_token));
    EM__TRY(em__load_member(tok, value, where, "continuing_subword_prefix", true, &model->prefix));
    EM__TRY(em__tokjson_size(value, where, "max_input_chars_per_word", true, &model->max_chars));
    EM__TRY(em__load_vocab(&model->vocab, vocab));
    EM__TRY(check_work(model));
    model->has_unk = true;
    model->prefix_hash = em__vocab_hash(EM_VOCAB_SEED, model->prefix.data, model->prefix.length);
    return EM_OK;
}

static em_status load_wordlevel(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab)
{
    tok->model.has_unk = true;
    EM__TRY(em__load_member(tok, value, "model WordLevel", "unk_token", true, &tok->model.unk_token));
    return em__load_vocab(&tok->model.vocab, vocab);
}

/* Files of old lack the type; what they have instead tells it. */
static const char *guess_type(const json_t *value, em__tokjson_range vocab, em__tokjson_range merges)
{
    if (merges.start)
        return "BPE";
    if (vocab.start && *vocab.start == '[')
        return "Unigram";
    return json_object_get(value, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

em_status em__load_model(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab, em__tokjson_range merges)
{
    const char *type = NULL;
    size_t length;
    em__model *model = &tok->model;
    EM__FAIL_IF(!json_is_object(value), EM_ERROR_FORMAT, "tokenizer.json: \"model\" is missing or not an object");
    EM__TRY(em__tokjson_text(value, "model", "type", false, &type, &length));
    if (!type)
        type = guess_type(value, vocab, merges);
    static const char *const names[] = {"WordPiece", "BPE", "Unigram", "WordLevel", NULL};
    int kind = 0;
    while (names[kind] && strcmp(names[kind], type) != 0)
        kind++;
    EM__FAIL_IF(!names[kind], EM_ERROR_UNSUPPORTED, "model \"%s\" is not supported", type);
    model->unk_id = -1;
    model->kind = (em__model_kind)kind;
    switch (model->kind) {
    case EM_MODEL_WORDPIECE: EM__TRY(load_wordpiece(tok, value, vocab)); break;
    case EM_MODEL_BPE: EM__TRY(em__load_bpe(tok, value, vocab, merges)); break;
    case EM_MODEL_UNIGRAM: EM__TRY(em__load_unigram(tok, value, vocab)); break;
    case EM_MODEL_WORDLEVEL: EM__TRY(load_wordlevel(tok, value, vocab)); break;
    }
    find_unk(model);
    return EM_OK;
}
