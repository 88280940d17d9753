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

/*
 * Merges that were read and not yet added. Each needs three places of two big tables: those are asked for when it is
 * read, and looked at when AHEAD are together.
 */
enum { AHEAD = 16 };

typedef struct waiting {
    const char *left, *right;
    size_t left_length, right_length;
    uint64_t left_hash, right_hash;
    em__merge merge;
    size_t place; /* in model->merges */
} waiting;

typedef struct reader {
    em__model *model;
    em__tokjson json;
    em__str left; /* a string that had escapes */
    waiting ahead[AHEAD];
    size_t count, rank;
    int32_t expected; /* merges usually make the tokens of the vocabulary one after the other */
} reader;

static em_status find_token(const em__vocab *vocab, uint64_t hash, const char *text, size_t length, size_t rank,
                            int32_t *id)
{
    *id = em__vocab_find_hashed(vocab, hash, text, length);
    EM__FAIL_IF(*id < 0, EM_ERROR_FORMAT, "model.merges: merge %zu has \"%.*s\", which is not in the vocabulary", rank,
                (int)(length < 60 ? length : 60), text);
    return EM_OK;
}

/* The token that a merge makes; `expected` may be it. */
static int32_t find_whole(const em__vocab *vocab, int32_t expected, const waiting *w, const char *right,
                          size_t right_length)
{
    size_t length;
    const char *text = em__vocab_text(vocab, expected, &length);
    if (text && length == w->left_length + right_length && memcmp(text, w->left, w->left_length) == 0 &&
        memcmp(text + w->left_length, right, right_length) == 0)
        return expected;
    return em__vocab_find_parts(vocab, em__vocab_hash(w->left_hash, right, right_length), w->left, w->left_length,
                                right, right_length);
}

static em_status resolve(reader *r, waiting *w)
{
    const em__model *model = r->model;
    size_t rank = w->merge.rank;
    EM__TRY(find_token(&model->vocab, w->left_hash, w->left, w->left_length, rank, &w->merge.left));
    EM__TRY(find_token(&model->vocab, w->right_hash, w->right, w->right_length, rank, &w->merge.right));
    EM__FAIL_IF(w->right_length < model->prefix.length, EM_ERROR_FORMAT,
                "model.merges: merge %zu has \"%.*s\", shorter than the continuing prefix", rank, (int)w->right_length,
                w->right);
    const char *right = w->right + model->prefix.length;
    size_t right_length = w->right_length - model->prefix.length;
    w->merge.id = find_whole(&model->vocab, r->expected, w, right, right_length);
    EM__FAIL_IF(w->merge.id < 0, EM_ERROR_FORMAT,
                "model.merges: merge %zu makes \"%.*s%.*s\", which is not in the vocabulary", rank,
                (int)(w->left_length < 60 ? w->left_length : 60), w->left, (int)(right_length < 60 ? right_length : 60),
                right);
    r->expected = w->merge.id + 1;
    w->place = em__merge_place(model, w->merge.left, w->merge.right);
    __builtin_prefetch(&model->merges[w->place], 1);
    return EM_OK;
}

/* Of equal pairs the last one counts, as in `tokenizers`. */
static em_status add_merges(reader *r)
{
    em__model *model = r->model;
    for (size_t i = 0; i < r->count; i++)
        EM__TRY(resolve(r, &r->ahead[i]));
    for (size_t i = 0; i < r->count; i++) {
        em__merge merge = r->ahead[i].merge;
        size_t at = r->ahead[i].place;
        while (model->merges[at].left >= 0 &&
               (model->merges[at].left != merge.left || model->merges[at].right != merge.right))
            at = (at + 1) & model->merge_mask;
        model->merges[at] = merge;
    }
    r->count = 0;
    return EM_OK;
}

/* `lasting`: the strings are those of the file. Else they must be done with before the next one is read. */
static em_status put_merge(reader *r, em__string left, em__string right, bool lasting)
{
    const em__vocab *vocab = &r->model->vocab;
    waiting w = {.left = left.data,
                 .right = right.data,
                 .left_length = left.length,
                 .right_length = right.length,
                 .left_hash = em__vocab_hash(EM_VOCAB_SEED, left.data, left.length),
                 .right_hash = em__vocab_hash(EM_VOCAB_SEED, right.data, right.length),
                 .merge = {.rank = (uint32_t)r->rank++}};
    __builtin_prefetch(em__vocab_place(vocab, w.left_hash));
    __builtin_prefetch(em__vocab_place(vocab, w.right_hash));
    r->ahead[r->count++] = w;
    return r->count == AHEAD || !lasting ? add_merges(r) : EM_OK;
}

/* "a b". A line that begins with #version is no merge. */
static em_status read_line(reader *r)
{
    em__string text, left, right;
    EM__TRY(em__tokjson_string(&r->json, &text.data, &text.length));
    if (text.length >= 8 && memcmp(text.data, "#version", 8) == 0)
        return EM_OK;
    const char *space = memchr(text.data, ' ', text.length);
    left = (em__string){text.data, space ? (size_t)(space - text.data) : 0};
    right = (em__string){text.data + left.length + 1, text.length - left.length - 1};
    EM__FAIL_IF(!space || memchr(right.data, ' ', right.length), EM_ERROR_FORMAT,
                "model.merges: \"%.*s\" (%zu) is not two tokens and a space",
                (int)(text.length < 60 ? text.length : 60), text.data, r->rank);
    return put_merge(r, left, right, text.data != r->json.unescaped.data);
}

/* ["a", "b"]. The first string moves aside, because reading the second may reuse its memory. */
static em_status read_pair(reader *r)
{
    em__string left, right;
    bool lasting = true;
    EM__TRY(em__tokjson_expect(&r->json, '['));
    EM__TRY(em__tokjson_string(&r->json, &left.data, &left.length));
    if (left.data == r->json.unescaped.data) {
        em__str_clear(&r->left);
        EM__TRY(em__str_add(&r->left, left.data, left.length));
        left.data = r->left.data;
        lasting = false;
    }
    EM__TRY(em__tokjson_expect(&r->json, ','));
    EM__TRY(em__tokjson_string(&r->json, &right.data, &right.length));
    EM__TRY(em__tokjson_expect(&r->json, ']'));
    return put_merge(r, left, right, lasting && right.data != r->json.unescaped.data);
}

static em_status read_merges(reader *r)
{
    bool more, lines = false;
    EM__TRY(em__tokjson_expect(&r->json, '['));
    for (bool first = true;; first = false) {
        EM__TRY(em__tokjson_more(&r->json, ']', first, &more));
        if (!more)
            return add_merges(r);
        bool line = em__tokjson_peek(&r->json) == '"';
        if (!first && line != lines)
            return em__tokjson_fail(&r->json, "merges all of one form");
        lines = line;
        EM__TRY(line ? read_line(r) : read_pair(r));
    }
}

static em_status load_merges(em__model *model, em__tokjson_range range)
{
    reader r = {.model = model, .expected = -1};
    r.json = (em__tokjson){.start = range.start, .at = range.start, .end = range.end, .what = "model.merges"};
    EM__FAIL_IF(!range.start || *range.start != '[', EM_ERROR_FORMAT, "model BPE: \"merges\" is missing or not a list");
    EM__TRY(em__tokjson_check(range, r.json.what, sizeof "\" \"," - 1));
    EM__TRY(init_merges(model, range.count));
    em_status status = read_merges(&r);
    em__str_free(&r.left);
    em__str_free(&r.json.unescaped);
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
