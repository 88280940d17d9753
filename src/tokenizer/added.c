/* Added tokens: finding them in text, leftmost and longest first, with the white space and word borders they ask
 * for. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

em_status em__matcher_build(em_tokenizer *tok, bool normalized, em__matcher *matcher)
{
    matcher->single = -1;
    for (size_t i = 0; i < tok->added.length; i++) {
        const em__added *added = &tok->added.data[i];
        int32_t previous = -1;
        if (added->normalized != normalized || added->pattern.length == 0)
            continue;
        EM__TRY(em__trie_insert(&matcher->trie, added->pattern.data, added->pattern.length, (int32_t)i, &previous));
        EM__FAIL_IF(previous >= 0, EM_ERROR_FORMAT, "added_tokens: \"%s\" and \"%s\" are the same after normalization",
                    tok->added.data[previous].content.data, added->content.data);
        matcher->first[(uint8_t)added->pattern.data[0]] = 1;
        matcher->count++;
    }
    int first_bytes = 0;
    for (int byte = 0; byte < 256; byte++)
        if (matcher->first[byte]) {
            matcher->single = byte;
            first_bytes++;
        }
    if (first_bytes != 1)
        matcher->single = -1;
    return EM_OK;
}

void em__matcher_free(em__matcher *matcher)
{
    em__trie_free(&matcher->trie);
}

/* The longest pattern at `at`: its length, 0 if none begins there. */
static size_t longest(const em__matcher *matcher, const char *at, const char *end, int32_t *added)
{
    const em__trie_node *nodes = matcher->trie.nodes.data;
    uint32_t node = (uint8_t)*at;
    size_t found = 0;
    for (const char *p = at + 1;; p++) {
        if (nodes[node].id >= 0) {
            found = (size_t)(p - at);
            *added = nodes[node].id;
        }
        if (p >= end)
            return found;
        node = em__trie_child(&matcher->trie, node, (uint8_t)*p);
        if (!node)
            return found;
    }
}

static uint32_t previous_char(const char *start, const char **at)
{
    const char *p = *at - 1;
    while (p > start && (*p & 0xC0) == 0x80)
        p--;
    *at = p;
    return em__utf8_next(&p);
}

static bool is_single_word(const char *text, const char *end, const char *start, const char *stop)
{
    if (start > text && (em__uc_flags(previous_char(text, &start)) & EM_UC_WORD))
        return false;
    return stop >= end || !(em__uc_flags(em__utf8_next(&stop)) & EM_UC_WORD);
}

static void take_space(const em__added *added, const char *text, size_t length, size_t from, em__match *match)
{
    if (added->lstrip) {
        const char *start = text + match->start, *at = start;
        while (at > text + from && (em__uc_flags(previous_char(text, &at)) & EM_UC_SPACE))
            start = at;
        match->start = (size_t)(start - text);
    }
    if (added->rstrip) {
        const char *at = text + match->end;
        while (at < text + length && (em__uc_flags(em__utf8_next(&at)) & EM_UC_SPACE))
            match->end = (size_t)(at - text);
    }
}

bool em__matcher_next(const em_tokenizer *tok, const em__matcher *matcher, const char *text, size_t length, size_t from,
                      size_t *scan, em__match *match)
{
    const char *end = text + length, *at = text + *scan;
    while (matcher->count && at < end) {
        if (matcher->single >= 0) {
            at = memchr(at, matcher->single, (size_t)(end - at));
            if (!at)
                break;
        } else if (!matcher->first[(uint8_t)*at]) {
            at++;
            continue;
        }
        int32_t found = -1;
        size_t size = longest(matcher, at, end, &found);
        if (size == 0) {
            at++;
            continue;
        }
        const em__added *added = &tok->added.data[found];
        const char *start = at;
        at += size;
        if (added->single_word && !is_single_word(text, end, start, at))
            continue;
        *match = (em__match){(size_t)(start - text), (size_t)(at - text), found};
        *scan = match->end;
        take_space(added, text, length, from, match);
        return true;
    }
    *scan = length;
    return false;
}
