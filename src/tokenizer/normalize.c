/* Running the normalizers; changing text while keeping track of where it came from. */
#include "tokenizer/normalize.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/utf8.h"

void em__swap_texts(em__scratch *s)
{
    em__text text = s->text;
    s->text = s->other;
    s->other = text;
}

em_status em__transform(em__scratch *s, size_t start, size_t end, uint32_t origin, size_t removed)
{
    const em__text *text = &s->text;
    size_t offset = start;
    char utf8[4];
    for (; removed > 0 && offset < end; removed--)
        offset += em__utf8_length((uint8_t)text->bytes[offset]);
    for (size_t i = 0; i < s->changes.length; i++) {
        em__change change = s->changes.data[i];
        em_span align = {origin, origin};
        if (change.change <= 0 && offset < end)
            align = text->align[offset];
        else if (offset > start)
            align = text->align[offset - 1];
        for (int32_t gone = change.change; gone <= 0 && offset < end; gone++)
            offset += em__utf8_length((uint8_t)text->bytes[offset]);
        EM__TRY(em__text_add(&s->other, utf8, em__utf8_put(utf8, change.c), align));
    }
    return EM_OK;
}

em_status em__transform_all(em__scratch *s, uint32_t origin, size_t removed)
{
    s->other.length = 0;
    EM__TRY(em__transform(s, 0, s->text.length, origin, removed));
    em__swap_texts(s);
    return EM_OK;
}

em_status em__normalize_filter(em__scratch *s, uint32_t origin, bool (*keep)(uint32_t c))
{
    const char *at = s->text.bytes, *end = at + s->text.length;
    size_t removed_first = 0;
    int32_t removed = 0;
    bool any = false;
    (void)origin;
    s->changes.length = 0;
    while (at < end) {
        uint32_t c = em__utf8_next(&at);
        if (!keep(c)) {
            removed++;
            any = true;
            continue;
        }
        if (s->changes.length > 0)
            s->changes.data[s->changes.length - 1].change = -removed;
        else
            removed_first = (size_t)removed;
        removed = 0;
        EM__TRY(em__push_change(s, c, 0));
    }
    return any ? em__transform_all(s, origin, removed_first) : EM_OK;
}

em_status em__normalize_lower(em__scratch *s, uint32_t origin)
{
    const char *at = s->text.bytes, *end = at + s->text.length;
    bool any = false;
    s->changes.length = 0;
    while (at < end) {
        uint32_t c = em__utf8_next(&at), lower[2] = {c};
        int count = 1;
        if (em__uc_flags(c) & EM_UC_UPPER) {
            count = em__lower(c, lower);
            any = true;
        }
        for (int i = 0; i < count; i++)
            EM__TRY(em__push_change(s, lower[i], i > 0));
    }
    return any ? em__transform_all(s, origin, 0) : EM_OK;
}

static bool keeps_unmarked(uint32_t c)
{
    return !(em__uc_flags(c) & EM_UC_MARK);
}

static bool keeps_nmt(uint32_t c)
{
    return !((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F);
}

static bool is_nmt_space(uint32_t c)
{
    return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

static em_status normalize_nmt(em__scratch *s, uint32_t origin)
{
    EM__TRY(em__normalize_filter(s, origin, keeps_nmt));
    const char *at = s->text.bytes, *end = at + s->text.length;
    s->changes.length = 0;
    while (at < end) {
        uint32_t c = em__utf8_next(&at);
        EM__TRY(em__push_change(s, is_nmt_space(c) ? ' ' : c, 0));
    }
    return em__transform_all(s, origin, 0);
}

static em_status normalize_strip(em__scratch *s, bool left, bool right)
{
    const char *start = s->text.bytes, *end = start + s->text.length, *at;
    for (at = start; left && at < end && (em__uc_flags(em__utf8_next(&at)) & EM_UC_SPACE);)
        start = at;
    while (right && end > start) {
        for (at = end - 1; (*at & 0xC0) == 0x80;)
            at--;
        const char *last = at;
        if (!(em__uc_flags(em__utf8_next(&at)) & EM_UC_SPACE))
            break;
        end = last;
    }
    size_t from = (size_t)(start - s->text.bytes), length = (size_t)(end - start);
    s->other.length = 0;
    EM__TRY(em__text_copy(&s->other, &s->text, from, from + length));
    em__swap_texts(s);
    return EM_OK;
}

static em_status normalize_prepend(em__scratch *s, em__bytes content)
{
    if (s->text.length == 0)
        return EM_OK;
    em_span align = s->text.align[0];
    s->other.length = 0;
    EM__TRY(em__text_add(&s->other, content.data, content.length, align));
    EM__TRY(em__text_copy(&s->other, &s->text, 0, s->text.length));
    em__swap_texts(s);
    return EM_OK;
}

static em_status normalize_bytes(em__scratch *s)
{
    char utf8[4];
    s->other.length = 0;
    for (size_t i = 0; i < s->text.length; i++) {
        unsigned size = em__utf8_put(utf8, em__byte_char((uint8_t)s->text.bytes[i]));
        EM__TRY(em__text_add(&s->other, utf8, size, s->text.align[i]));
    }
    em__swap_texts(s);
    return EM_OK;
}

static em_status normalize_replace(const em__norm *norm, em__scratch *s, uint32_t origin)
{
    s->other.length = 0;
    EM__TRY(em__replace(s, &norm->pattern, norm->content, 0, s->text.length, origin));
    em__swap_texts(s);
    return EM_OK;
}

static em_status normalize_one(const em__norm *norm, em__scratch *s, uint32_t origin)
{
    switch (norm->kind) {
    case EM_NORM_BERT: return em__normalize_bert(norm, s, origin);
    case EM_NORM_NFC:
    case EM_NORM_NFD:
    case EM_NORM_NFKC:
    case EM_NORM_NFKD: return em__normalize_form(norm->kind, s, origin);
    case EM_NORM_LOWERCASE: return em__normalize_lower(s, origin);
    case EM_NORM_STRIP: return normalize_strip(s, norm->left, norm->right);
    case EM_NORM_STRIP_ACCENTS: return em__normalize_filter(s, origin, keeps_unmarked);
    case EM_NORM_PREPEND: return normalize_prepend(s, norm->content);
    case EM_NORM_NMT: return normalize_nmt(s, origin);
    case EM_NORM_BYTE_LEVEL: return normalize_bytes(s);
    case EM_NORM_REPLACE: return normalize_replace(norm, s, origin);
    case EM_NORM_PRECOMPILED: return em__normalize_precompiled(&norm->precompiled, s, origin);
    }
    return em__fail(EM_ERROR_INTERNAL, "tokenizer: normalizer %d is unknown", (int)norm->kind);
}

em_status em__replace(em__scratch *s, const em__pattern *pattern, em__bytes content, size_t start, size_t end,
                      uint32_t origin)
{
    em__matches matches;
    bool found;
    size_t from, to, copied = start;
    EM__TRY(em__matches_begin(&matches, pattern, &s->matching, s->text.bytes + start, end - start));
    for (;;) {
        EM__TRY(em__matches_next(&matches, &found, &from, &to));
        if (!found)
            return em__text_copy(&s->other, &s->text, copied, end);
        EM__TRY(em__text_copy(&s->other, &s->text, copied, start + from));
        em_span align = to > 0 ? s->text.align[start + to - 1] : (em_span){origin, origin};
        EM__TRY(em__text_add(&s->other, content.data, content.length, align));
        copied = start + to;
    }
}

uint32_t em__byte_char(uint8_t byte)
{
    if ((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE)
        return byte;
    return byte <= 0x20 ? 0x100u + byte : byte <= 0xA0 ? 0x121u + (byte - 0x7Fu) : 0x143u;
}

int em__char_byte(uint32_t c)
{
    if (c >= 0x100)
        return c <= 0x120 ? (int)c - 0x100 : c <= 0x142 ? (int)c - 0x121 + 0x7F : c == 0x143 ? 0xAD : -1;
    return em__byte_char((uint8_t)c) == c ? (int)c : -1;
}

em_status em__normalize(const em_tokenizer *tok, em__scratch *s, uint32_t origin)
{
    EM__TRY(em__text_reserve(&s->text, 1)); /* so that an empty text has an address */
    EM__TRY(em__text_reserve(&s->other, 1));
    for (size_t i = 0; i < tok->norms.length; i++)
        EM__TRY(normalize_one(&tok->norms.data[i], s, origin));
    return EM_OK;
}
