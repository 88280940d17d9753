/* Tokenizer objects: freeing them and asking them. No tokenizer, as models without one have, has no tokens. */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"

void em_tokenizer_free(em_tokenizer *tok)
{
    if (!tok)
        return;
    for (size_t i = 0; i < tok->norms.length; i++)
        em__pattern_free(&tok->norms.data[i].pattern);
    for (size_t i = 0; i < tok->pres.length; i++)
        em__pattern_free(&tok->pres.data[i].pattern);
    for (size_t i = 0; i < tok->decoders.length; i++)
        em__pattern_free(&tok->decoders.data[i].pattern);
    em__vec_free(&tok->norms);
    em__vec_free(&tok->pres);
    em__vec_free(&tok->decoders);
    em__vec_free(&tok->added);
    em__vec_free(&tok->special_ids);
    em__vec_free(&tok->post.trims);
    em__matcher_free(&tok->raw);
    em__matcher_free(&tok->normalized);
    em__vocab_free(&tok->added_vocab);
    em__vocab_free(&tok->model.vocab);
    em__trie_free(&tok->model.trie);
    em__free(tok->model.merges);
    em__free(tok->model.scores);
    em__arena_clear(&tok->arena);
    em__free(tok);
}

size_t em_tokenizer_vocab_size(const em_tokenizer *tok)
{
    if (!tok)
        return 0;
    size_t size = tok->model.vocab.count, length;
    for (size_t id = 0; id < tok->added_vocab.id_count; id++) {
        const char *text = em__vocab_text(&tok->added_vocab, (int64_t)id, &length);
        size += text && em__vocab_find(&tok->model.vocab, text, length) < 0;
    }
    return size;
}

int32_t em_tokenizer_max_id(const em_tokenizer *tok)
{
    if (!tok)
        return -1;
    const em__vocab *vocabs[2] = {&tok->model.vocab, &tok->added_vocab};
    int64_t largest = -1;
    size_t length;
    for (int i = 0; i < 2; i++)
        for (int64_t id = (int64_t)vocabs[i]->id_count - 1; id > largest; id--)
            if (em__vocab_text(vocabs[i], id, &length))
                largest = id;
    return (int32_t)largest;
}

const char *em_tokenizer_token(const em_tokenizer *tok, int32_t id, size_t *length)
{
    size_t ignored;
    if (!tok)
        return NULL;
    length = length ? length : &ignored;
    const char *text = em__vocab_text(&tok->added_vocab, id, length);
    return text ? text : em__vocab_text(&tok->model.vocab, id, length);
}

int32_t em_tokenizer_id(const em_tokenizer *tok, const char *token, size_t length)
{
    if (!tok || !token)
        return -1;
    int32_t id = tok->added_vocab.count ? em__vocab_find(&tok->added_vocab, token, length) : -1;
    return id >= 0 ? id : em__vocab_find(&tok->model.vocab, token, length);
}

const int32_t *em_tokenizer_special_ids(const em_tokenizer *tok, size_t *count)
{
    if (count)
        *count = tok ? tok->special_ids.length : 0;
    return tok ? tok->special_ids.data : NULL;
}

bool em_tokenizer_is_special(const em_tokenizer *tok, int32_t id)
{
    size_t low = 0, high = tok ? tok->special_ids.length : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (tok->special_ids.data[middle] == id)
            return true;
        if (tok->special_ids.data[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

size_t em_tokenizer_added_tokens(const em_tokenizer *tok, bool pair)
{
    return !tok ? 0 : pair ? tok->post.pair.added : tok->post.single.added;
}

size_t em_tokenizer_max_length(const em_tokenizer *tok)
{
    return tok && tok->has_truncation ? tok->truncation.max_length : 0;
}

bool em_tokenizer_truncates_left(const em_tokenizer *tok)
{
    return tok && tok->has_truncation && tok->truncation.left;
}

int32_t em_tokenizer_pad_id(const em_tokenizer *tok)
{
    return tok && tok->has_padding ? tok->padding.id : -1;
}

const char *em_tokenizer_model_name(const em_tokenizer *tok)
{
    static const char *const names[] = {"WordPiece", "BPE", "Unigram", "WordLevel"};
    return tok ? names[tok->model.kind] : "";
}
