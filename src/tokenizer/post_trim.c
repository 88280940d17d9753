/* trim_offsets of ByteLevel and RobertaProcessing. */
#include "tokenizer/post.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

static bool is_space(uint32_t c)
{
    return c == 0x120 || (em__uc_flags(c) & EM_UC_SPACE); /* U+0120 is the byte-level space */
}

void em__count_space(const char *text, size_t length, uint32_t *leading, uint32_t *trailing)
{
    const char *at = text, *end = text + length;
    *leading = *trailing = 0;
    bool only = true;
    while (at < end) {
        bool space = is_space(em__utf8_next(&at));
        only = only && space;
        *leading += only;
        *trailing = space ? *trailing + 1 : 0;
    }
}

static void trim(em_span *span, bool first, bool add_prefix_space, uint32_t leading, uint32_t trailing)
{
    if (leading > 0) {
        if (add_prefix_space && leading == 1 && (first || span->start == 0))
            leading = 0;
        span->start = span->end - span->start < leading ? span->end : span->start + leading;
    }
    if (trailing > 0 && span->end >= trailing)
        span->end = span->end - span->start < trailing ? span->start : span->end - trailing;
}

/* The first of the added tokens' spaces that is at `token` or behind it. */
static size_t find_space(const em__tokens *tokens, size_t token)
{
    size_t low = 0, high = tokens->spaces.length;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (tokens->spaces.data[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void em__trim_spans(const em_tokenizer *tok, const em__tokens *tokens, size_t start, size_t end, em_span *spans)
{
    size_t next = find_space(tokens, start);
    for (size_t i = start; i < end; i++) {
        uint32_t leading = 0, trailing = 0;
        while (next < tokens->spaces.length && tokens->spaces.data[next].token < i)
            next++;
        if (next < tokens->spaces.length && tokens->spaces.data[next].token == i) {
            leading = tokens->spaces.data[next].leading;
            trailing = tokens->spaces.data[next].trailing;
        } else {
            size_t length;
            const char *text = em__vocab_text(&tok->model.vocab, tokens->ids[i], &length);
            if (text)
                em__count_space(text, length, &leading, &trailing);
        }
        for (size_t t = 0; t < tok->post.trims.length; t++)
            trim(&spans[i - start], i == start, tok->post.trims.data[t].add_prefix_space, leading, trailing);
    }
}
