/* Letter case, by utf8proc; of the letters whose other case is several, those of Latin are known. */
#include <utf8proc.h>

#include "template/run.h"
#include "template/text.h"

static em_status add_upper(em__jrun *run, em__jtext *text, uint32_t c, bool title)
{
    char bytes[4];
    if (c == 0xDF)
        return em__j_add_text(run, text, title ? "Ss" : "SS");
    if (c >= 0xFB00 && c <= 0xFB06) {
        static const char *const upper[] = {"FF", "FI", "FL", "FFI", "FFL", "ST", "ST"};
        static const char *const titled[] = {"Ff", "Fi", "Fl", "Ffi", "Ffl", "St", "St"};
        return em__j_add_text(run, text, (title ? titled : upper)[c - 0xFB00]);
    }
    utf8proc_int32_t upper = title ? utf8proc_totitle((utf8proc_int32_t)c) : utf8proc_toupper((utf8proc_int32_t)c);
    return em__j_add(run, text, bytes, em__j_put_char(bytes, (uint32_t)upper));
}

/* A sigma at the end of a word has a form of its own. */
static bool is_final_sigma(const em__jstring *s, size_t at)
{
    size_t before = at, after = at + 2;
    if (before == 0)
        return false;
    do
        before--;
    while (before > 0 && em__j_is_tail(s->bytes[before]));
    utf8proc_category_t left = utf8proc_category((utf8proc_int32_t)em__j_char_at(s->bytes + before));
    utf8proc_category_t right =
        after < s->length ? utf8proc_category((utf8proc_int32_t)em__j_char_at(s->bytes + after)) : UTF8PROC_CATEGORY_CN;
    return left >= UTF8PROC_CATEGORY_LU && left <= UTF8PROC_CATEGORY_LT &&
           !(right >= UTF8PROC_CATEGORY_LU && right <= UTF8PROC_CATEGORY_LT);
}

static em_status add_lower(em__jrun *run, em__jtext *text, const em__jstring *s, size_t at)
{
    char bytes[4];
    uint32_t c = em__j_char_at(s->bytes + at);
    if (c == 0x130)
        return em__j_add_text(run, text, "i\xCC\x87");
    if (c == 0x3A3)
        return em__j_add_text(run, text, is_final_sigma(s, at) ? "\xCF\x82" : "\xCF\x83");
    return em__j_add(run, text, bytes, em__j_put_char(bytes, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c)));
}

static bool is_cased(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

em_status em__j_change_case(em__jrun *run, const em__jstring *s, em__jcase how, em__jvalue *out)
{
    em__jtext text = {0};
    bool first = true;
    EM__TRY(em__j_work(run, 8 * s->length));
    for (size_t at = 0; at < s->length; at += em__j_char_length(s->bytes[at])) {
        uint32_t c = em__j_char_at(s->bytes + at);
        bool upper = how == J_UPPER || ((how == J_TITLE || how == J_CAPITALIZE) && first) ||
                     (how == J_SWAP && utf8proc_tolower((utf8proc_int32_t)c) == (utf8proc_int32_t)c);
        EM__TRY(upper ? add_upper(run, &text, c, how == J_TITLE || how == J_CAPITALIZE) : add_lower(run, &text, s, at));
        first = how == J_TITLE && !is_cased(c);
    }
    EM__TRY(em__j_text_value(run, &text, out));
    return s->markup ? em__j_mark(run, *out, false, out) : EM_OK;
}
