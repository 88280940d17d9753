/* BertNormalizer: clean_text, spaces around Chinese characters, strip_accents, lowercase, in this order. */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

static bool keeps_clean(uint32_t c)
{
    return c != 0 && c != 0xFFFD && !(em__uc_flags(c) & EM_UC_OTHER);
}

static bool keeps_spacing(uint32_t c)
{
    return !(em__uc_flags(c) & EM_UC_NONSPACING);
}

static em_status clean_text(em__scratch *s, uint32_t origin)
{
    EM__TRY(em__normalize_filter(s, origin, keeps_clean));
    const char *at = s->text.bytes, *end = at + s->text.length;
    s->changes.length = 0;
    while (at < end) {
        uint32_t c = em__utf8_next(&at);
        EM__TRY(em__push_change(s, em__uc_flags(c) & EM_UC_SPACE ? ' ' : c, 0));
    }
    return em__transform_all(s, origin, 0);
}

static em_status space_chinese(em__scratch *s, uint32_t origin)
{
    const char *at = s->text.bytes, *end = at + s->text.length;
    bool any = false;
    s->changes.length = 0;
    while (at < end) {
        uint32_t c = em__utf8_next(&at);
        bool chinese = em__is_chinese(c);
        if (chinese)
            EM__TRY(em__push_change(s, ' ', 0));
        EM__TRY(em__push_change(s, c, chinese));
        if (chinese)
            EM__TRY(em__push_change(s, ' ', 1));
        any = any || chinese;
    }
    return any ? em__transform_all(s, origin, 0) : EM_OK;
}

em_status em__normalize_bert(const em__norm *norm, em__scratch *s, uint32_t origin)
{
    if (norm->clean_text)
        EM__TRY(clean_text(s, origin));
    if (norm->handle_chinese_chars)
        EM__TRY(space_chinese(s, origin));
    if (norm->strip_accents) {
        EM__TRY(em__normalize_form(EM_NORM_NFD, s, origin));
        EM__TRY(em__normalize_filter(s, origin, keeps_spacing));
    }
    return norm->lowercase ? em__normalize_lower(s, origin) : EM_OK;
}
