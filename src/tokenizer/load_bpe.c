/* BPE: members, vocabulary, and merges as ["a b", ...] or [["a", "b"], ...]. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load_model.h"
#include "tokenizer/model.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

static em_status init_merges(em__model *model, size_t count)
{
    size_t slots = 16;
    EM__FAIL_IF(count > UINT32_MAX / 4, EM_ERROR_FORMAT, "model.merges: %zu merges", count);
    while (slots < count * 2)
        slots *= 2;
    model->merges = em__alloc(slots * sizeof *model->merges);
    if (!model->merges)
        return EM_ERROR_OUT_OF_MEMORY;
    memset(model->merges, 0xFF, slots * sizeof *model->merges);
    model->merge_mask = slots - 1;
    return EM_OK;
}

static em_status find_token(const em__model *model, const char *text, size_t length, size_t rank, int32_t *id)
{
    *id = em__vocab_find(&model->vocab, text, length);
    EM__FAIL_IF(*id < 0, EM_ERROR_FORMAT, "model.merges: merge %zu has \"%.*s\", which is not in the vocabulary", rank,
                (int)(length < 60 ? length : 60), text);
    return EM_OK;
}

/* Of equal pairs the last one counts, as in `tokenizers`. */
static em_status add_merge(em__model *model, size_t rank, const char *left, size_t left_length, const char *right,
                           size_t right_length)
{
    em__merge merge = {.rank = (uint32_t)rank};
    EM__TRY(find_token(model, left, left_length, rank, &merge.left));
    EM__TRY(find_token(model, right, right_length, rank, &merge.right));
    EM__FAIL_IF(right_length < model->prefix.length, EM_ERROR_FORMAT,
                "model.merges: merge %zu has \"%.*s\", shorter than the continuing prefix", rank, (int)right_length,
                right);
    right += model->prefix.length;
    right_length -= model->prefix.length;
    uint64_t hash = em__vocab_hash(em__vocab_hash(EM_VOCAB_SEED, left, left_length), right, right_length);
    merge.id = em__vocab_find_parts(&model->vocab, hash, left, left_length, right, right_length);
    EM__FAIL_IF(merge.id < 0, EM_ERROR_FORMAT,
                "model.merges: merge %zu makes \"%.*s%.*s\", which is not in the vocabulary", rank,
                (int)(left_length < 60 ? left_length : 60), left, (int)(right_length < 60 ? right_length : 60), right);
    uint64_t key = ((uint64_t)(uint32_t)merge.left << 32 | (uint32_t)merge.right) * UINT64_C(0x9E3779B97F4A7C15);
    size_t i = (key >> 32 ^ key >> 15) & model->merge_mask;
    while (model->merges[i].left >= 0 && (model->merges[i].left != merge.left || model->merges[i].right != merge.right))
        i = (i + 1) & model->merge_mask;
    model->merges[i] = merge;
    return EM_OK;
}

/* "a b". A line that begins with #version is no merge. */
static em_status read_line(em__model *model, em__tokjson *json, size_t *rank)
{
    const char *text;
    size_t length;
    EM__TRY(em__tokjson_string(json, &text, &length));
    if (length >= 8 && memcmp(text, "#version", 8) == 0)
        return EM_OK;
    const char *space = memchr(text, ' ', length);
    EM__FAIL_IF(!space || memchr(space + 1, ' ', length - (size_t)(space + 1 - text)), EM_ERROR_FORMAT,
                "model.merges: \"%.*s\" (%zu) is not two tokens and a space", (int)(length < 60 ? length : 60), text,
                *rank);
    size_t left = (size_t)(space - text);
    return add_merge(model, (*rank)++, text, left, space + 1, length - left - 1);
}

/* ["a", "b"]. The first string moves aside, because reading the second may reuse its memory. */
static em_status read_pair(em__model *model, em__tokjson *json, em__str *left, size_t *rank)
{
    const char *text;
    size_t length;
    EM__TRY(em__tokjson_expect(json, '['));
    EM__TRY(em__tokjson_string(json, &text, &length));
    if (text == json->unescaped.data) {
        em__str_clear(left);
        EM__TRY(em__str_add(left, text, length));
        text = left->data;
    }
    const char *right;
    size_t right_length;
    EM__TRY(em__tokjson_expect(json, ','));
    EM__TRY(em__tokjson_string(json, &right, &right_length));
    EM__TRY(em__tokjson_expect(json, ']'));
    return add_merge(model, (*rank)++, text, length, right, right_length);
}

static em_status read_merges(em__model *model, em__tokjson *json, em__str *left)
{
    bool more, lines = false;
    size_t rank = 0;
    EM__TRY(em__tokjson_expect(json, '['));
    for (bool first = true;; first = false) {
        EM__TRY(em__tokjson_more(json, ']', first, &more));
        if (!more)
            return EM_OK;
        bool line = em__tokjson_peek(json) == '"';
        if (!first && line != lines)
            return em__tokjson_fail(json, "merges all of one form");
        lines = line;
        EM__TRY(line ? read_line(model, json, &rank) : read_pair(model, json, left, &rank));
    }
}

static em_status load_merges(em__model *model, em__tokjson_range range)
{
    em__tokjson json = {.start = range.start, .at = range.start, .end = range.end, .what = "model.merges"};
    em__str left = {0};
    EM__FAIL_IF(!range.start || *range.start != '[', EM_ERROR_FORMAT, "model BPE: \"merges\" is missing or not a list");
    EM__TRY(init_merges(model, em__tokjson_count(range)));
    em_status status = read_merges(model, &json, &left);
    em__str_free(&left);
    em__str_free(&json.unescaped);
    return status;
}

void em__find_byte_tokens(em__model *model)
{
    static const char digits[] = "0123456789ABCDEF";
    char utf8[4];
    for (int byte = 0; byte < 256; byte++) {
        char name[6] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
        model->byte_ids[byte] = em__vocab_find(&model->vocab, name, sizeof name);
        size_t size = em__utf8_put(utf8, em__byte_char((uint8_t)byte));
        model->char_ids[byte] = em__vocab_find(&model->vocab, utf8, size);
    }
}

em_status em__load_bpe(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab, em__tokjson_range merges)
{
    em__model *model = &tok->model;
    const char *where = "model BPE";
    const json_t *dropout = json_object_get(value, "dropout");
    EM__FAIL_IF(dropout && !json_is_null(dropout) && !json_is_number(dropout), EM_ERROR_FORMAT,
                "%s: \"dropout\" must be a number or null", where);
    EM__FAIL_IF(json_number_value(dropout) != 0, EM_ERROR_UNSUPPORTED,
                "%s: a dropout of %g makes ids random, and is not supported", where, json_number_value(dropout));
    EM__TRY(em__load_member(tok, value, where, "unk_token", false, &model->unk_token));
    EM__TRY(em__load_member(tok, value, where, "continuing_subword_prefix", false, &model->prefix));
    EM__TRY(em__load_member(tok, value, where, "end_of_word_suffix", false, &model->suffix));
    EM__TRY(em__tokjson_bool(value, where, "fuse_unk", false, &model->fuse_unk));
    EM__TRY(em__tokjson_bool(value, where, "byte_fallback", false, &model->byte_fallback));
    EM__TRY(em__tokjson_bool(value, where, "ignore_merges", false, &model->ignore_merges));
    EM__TRY(em__load_vocab(&model->vocab, vocab));
    EM__TRY(load_merges(model, merges));
    model->has_unk = model->unk_token.data != NULL;
    em__find_byte_tokens(model);
    return EM_OK;
}
