/* What normalizers share with the fused paths. */
#ifndef EM_TOKENIZER_NORMALIZE_H
#define EM_TOKENIZER_NORMALIZE_H

#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

/* Runs all normalizers of the file over s->text, which begins at code point `origin` of the original. */
em_status em__normalize(const em_tokenizer *tok, em__scratch *s, uint32_t origin);

/* One normalizer of a kind; each leaves the outcome in s->text. */
em_status em__normalize_bert(const em__norm *norm, em__scratch *s, uint32_t origin);
em_status em__normalize_form(em__norm_kind kind, em__scratch *s, uint32_t origin);
em_status em__normalize_lower(em__scratch *s, uint32_t origin);
em_status em__normalize_precompiled(const em__precompiled *map, em__scratch *s, uint32_t origin);

/* Drops the characters of s->text that `keep` refuses. */
em_status em__normalize_filter(em__scratch *s, uint32_t origin, bool (*keep)(uint32_t c));

/*
 * Appends to s->other what s->changes make of bytes [start, end) of s->text, whose first `removed` characters are gone.
 * `origin` is the code point at which the range begins. A character that replaces one stands where that one stood; a
 * new one stands where the character before it stood.
 */
em_status em__transform(em__scratch *s, size_t start, size_t end, uint32_t origin, size_t removed);

/* The same over all of s->text, which then is the outcome. */
em_status em__transform_all(em__scratch *s, uint32_t origin, size_t removed);

/* s->other becomes s->text. */
void em__swap_texts(em__scratch *s);

/* Appends to s->changes. */
static inline em_status em__push_change(em__scratch *s, uint32_t c, int32_t change)
{
    return em__vec_push(&s->changes, ((em__change){c, change}));
}

/* Appends to s->other bytes [start, end) of s->text with every match of the pattern replaced by `content`. */
em_status em__replace(em__scratch *s, const em__pattern *pattern, em__bytes content, size_t start, size_t end,
                      uint32_t origin);

/* The character that stands for a byte in byte-level vocabularies, U+0021 to U+0143. */
uint32_t em__byte_char(uint8_t byte);

/* The byte that such a character stands for, -1 for other characters. */
int em__char_byte(uint32_t c);

/* Lower case of a character with EM_UC_UPPER: one character, or the two of U+0130. Returns how many. */
static inline int em__lower(uint32_t c, uint32_t out[2])
{
    out[0] = c == 0x130 ? 'i' : em__uc_lower(c);
    out[1] = 0x307;
    return c == 0x130 ? 2 : 1;
}

/* The blocks that BERT takes for Chinese. */
static inline bool em__is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

#endif
