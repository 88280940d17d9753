/*
 * Unigram: of all ways to cut a piece into tokens, the one with the greatest sum of scores (Viterbi over bytes). A
 * character that no token of its length covers may be the unknown token; neighbouring unknowns are one.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"
#include "tokenizer/utf8.h"

/* A path that comes to `best`: it stays if it is the first or beats the one before. start is UINT32_MAX where none
 * came. */
static inline void offer(em__best *best, double score, size_t start, int32_t id)
{
    if (best->start == UINT32_MAX || score > best->score)
        *best = (em__best){score, (uint32_t)start, id};
}

/* Walks the trie from `start` and offers a path to every end of a token. */
static void extend(const em__model *model, em__scratch *s, const char *text, size_t length, size_t start, size_t width)
{
    const em__trie_node *nodes = model->trie.nodes.data;
    em__best *best = s->best.data;
    double score = best[start].score;
    uint32_t node = (uint8_t)text[start];
    bool single = false;
    if (model->trie.nodes.length > 0) {
        for (size_t i = start + 1;; i++) {
            int32_t id = nodes[node].id;
            if (id >= 0) {
                offer(&best[i], model->scores[id] + score, start, id);
                single = single || i - start == width;
            }
            if (i >= length || (node = em__trie_child(&model->trie, node, (uint8_t)text[i])) == 0)
                break;
        }
    }
    if (!single)
        offer(&best[start + width], model->unk_score + score, start, -1);
}

static em_status find_path(const em__model *model, em__scratch *s, const char *text, size_t length)
{
    s->best.length = 0;
    EM__TRY(em__vec_reserve(&s->best, length + 1));
    for (size_t i = 0; i <= length; i++)
        s->best.data[i] = (em__best){0, UINT32_MAX, -1};
    for (size_t start = 0, width; start < length; start += width) {
        width = em__utf8_length((uint8_t)text[start]);
        extend(model, s, text, length, start, width);
    }
    return EM_OK;
}

static em_status add(em__scratch *s, int32_t id, size_t length)
{
    return em__vec_push(&s->word, ((em__cache_token){id, (uint32_t)length}));
}

/* Text that is unknown: a token after all, its bytes, or the unknown token. All bytes stand for the whole of it, so
 * only the first has its length. */
static em_status add_unknown(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length)
{
    const em__model *model = &tok->model;
    int32_t id = em__vocab_find(&model->vocab, text, length);
    bool bytes = id < 0 && model->byte_fallback;
    for (size_t i = 0; i < length && bytes; i++)
        bytes = model->byte_ids[(uint8_t)text[i]] >= 0;
    if (!bytes) {
        id = id < 0 ? model->unk_id : id;
        return id < 0 ? em__missing_unk(tok) : add(s, id, length);
    }
    for (size_t i = length; i-- > 0;)
        EM__TRY(add(s, model->byte_ids[(uint8_t)text[i]], i == 0 ? length : 0));
    return EM_OK;
}

/* The tokens of the best path in s->word, last first. */
static em_status trace(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length)
{
    const em__model *model = &tok->model;
    size_t unknown_end = 0;
    s->word.length = 0;
    for (size_t end = length; end > 0;) {
        em__best node = s->best.data[end];
        bool unknown = node.id < 0 || node.id == model->unk_id;
        if (node.id < 0 && model->unk_id < 0)
            return em__missing_unk(tok);
        if (unknown && unknown_end == 0)
            unknown_end = end;
        if (!unknown && unknown_end > 0) {
            EM__TRY(add_unknown(tok, s, text + end, unknown_end - end));
            unknown_end = 0;
        }
        if (!unknown)
            EM__TRY(add(s, node.id, end - node.start));
        end = node.start;
    }
    return unknown_end > 0 ? add_unknown(tok, s, text, unknown_end) : EM_OK;
}

static em_status compute(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length)
{
    EM__TRY(find_path(&tok->model, s, text, length));
    EM__TRY(trace(tok, s, text, length));
    em__cache_token *word = s->word.data;
    for (size_t i = 0, k = s->word.length; i + 1 < k; i++, k--) {
        em__cache_token swapped = word[i];
        word[i] = word[k - 1];
        word[k - 1] = swapped;
    }
    return EM_OK;
}

em_status em__unigram(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, em__place place,
                      em__tokens *out)
{
    size_t count = 0, at = 0;
    const em__cache_token *tokens;
    EM__TRY(em__cached(tok, s, em__word_hash(text, length), text, length, compute, &tokens, &count));
    EM__TRY(em__tokens_reserve(out, count));
    em_span span = {0, 0};
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].length > 0)
            span = em__place_span(place, at, at + tokens[i].length);
        at += tokens[i].length;
        em__tokens_push(out, tokens[i].id, span.start, span.end);
    }
    return EM_OK;
}
