/* Methods of str. */
#include <string.h>

#include <utf8proc.h>

#include "template/loop.h"
#include "template/run.h"
#include "template/text.h"

#define METHOD(name)                                                                                                   \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

METHOD(str_upper)
{
    (void)arg, (void)all;
    return em__j_change_case(run, self.string, J_UPPER, out);
}

METHOD(str_lower)
{
    (void)arg, (void)all;
    return em__j_change_case(run, self.string, J_LOWER, out);
}

METHOD(str_title)
{
    (void)arg, (void)all;
    return em__j_change_case(run, self.string, J_TITLE, out);
}

METHOD(str_capitalize)
{
    (void)arg, (void)all;
    return em__j_change_case(run, self.string, J_CAPITALIZE, out);
}

METHOD(str_swapcase)
{
    (void)arg, (void)all;
    return em__j_change_case(run, self.string, J_SWAP, out);
}

METHOD(str_strip)
{
    (void)all;
    return em__j_strip(run, self, arg[0], 3, out);
}

METHOD(str_lstrip)
{
    (void)all;
    return em__j_strip(run, self, arg[0], 1, out);
}

METHOD(str_rstrip)
{
    (void)all;
    return em__j_strip(run, self, arg[0], 2, out);
}

METHOD(str_replace)
{
    const em__jstring *old, *fresh;
    int64_t most = -1;
    (void)all;
    EM__TRY(em__j_want_string(run, "replace()", arg[0], &old));
    EM__TRY(em__j_want_string(run, "replace()", arg[1], &fresh));
    if (em__j_given(arg[2]))
        EM__TRY(em__j_want_int(run, "replace()", arg[2], &most));
    return em__j_replace(run, self.string, old, fresh, most, out);
}

METHOD(str_join)
{
    (void)all;
    return em__j_join(run, self.string, arg[0], (em__jvalue){.kind = J_MISSING}, false, out);
}

METHOD(str_splitlines)
{
    (void)all;
    return em__j_split_lines(run, self.string, em__j_truth(arg[0]), out);
}

METHOD(str_format)
{
    (void)arg;
    return em__j_format(run, self.string, all, out);
}

/* Does the part stand at the beginning, or the end? `arg` is a string, or a tuple of some. */
static em_status begins(em__jrun *run, em__jvalue self, const em__jvalue *arg, bool end, em__jvalue *out)
{
    em__jvalue subject = self, bounds[3] = {em__j_none(), em__j_none(), em__j_none()};
    const em__jvalue *parts = arg;
    size_t count = 1;
    bool yes = false;
    if (em__j_given(arg[1])) {
        bounds[0] = arg[1];
        bounds[1] = em__j_given(arg[2]) ? arg[2] : em__j_none();
        EM__TRY(em__j_slice(run, self, bounds, &subject));
    }
    if (arg[0].kind == J_TUPLE) {
        parts = arg[0].list->items;
        count = arg[0].list->length;
    }
    for (size_t i = 0; i < count && !yes; i++) {
        const em__jstring *part, *s = subject.string;
        EM__TRY(em__j_want_string(run, end ? "endswith()" : "startswith()", parts[i], &part));
        EM__TRY(em__j_work(run, part->length + 64));
        yes = part->length <= s->length &&
              memcmp(end ? s->bytes + s->length - part->length : s->bytes, part->bytes, part->length) == 0;
    }
    *out = em__j_bool(yes);
    return EM_OK;
}

METHOD(str_startswith)
{
    (void)all;
    return begins(run, self, arg, false, out);
}

METHOD(str_endswith)
{
    (void)all;
    return begins(run, self, arg, true, out);
}

static em_status remove_part(em__jrun *run, em__jvalue self, const em__jvalue *arg, bool end, em__jvalue *out)
{
    em__jvalue is, only[3] = {arg[0], {.kind = J_MISSING}, {.kind = J_MISSING}};
    const em__jstring *part, *s = self.string;
    EM__TRY(em__j_want_string(run, end ? "removesuffix()" : "removeprefix()", arg[0], &part));
    EM__TRY(begins(run, self, only, end, &is));
    *out = self;
    if (!is.truth)
        return EM_OK;
    return em__j_part(run, s, end ? 0 : part->length, end ? s->length - part->length : s->length, out);
}

METHOD(str_removeprefix)
{
    (void)all;
    return remove_part(run, self, arg, false, out);
}

METHOD(str_removesuffix)
{
    (void)all;
    return remove_part(run, self, arg, true, out);
}

/* The code points that all must be, for the is... methods. */
typedef bool (*char_test)(uint32_t c);

static em_status all_are(em__jrun *run, em__jvalue self, char_test test, em__jvalue *out)
{
    const em__jstring *s = self.string;
    bool yes = s->length > 0;
    EM__TRY(em__j_work(run, 4 * s->length));
    for (size_t at = 0; at < s->length && yes; at += em__j_char_length(s->bytes[at]))
        yes = test(em__j_char_at(s->bytes + at));
    *out = em__j_bool(yes);
    return EM_OK;
}

static bool is_digit(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND;
}

static bool is_alpha(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_alnum(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return is_alpha(c) || category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
           category == UTF8PROC_CATEGORY_NO;
}

METHOD(str_isdigit)
{
    (void)arg, (void)all;
    return all_are(run, self, is_digit, out);
}

METHOD(str_isalpha)
{
    (void)arg, (void)all;
    return all_are(run, self, is_alpha, out);
}

METHOD(str_isalnum)
{
    (void)arg, (void)all;
    return all_are(run, self, is_alnum, out);
}

METHOD(str_isspace)
{
    (void)arg, (void)all;
    return all_are(run, self, em__j_is_space, out);
}

static em_status cased(em__jrun *run, em__jvalue self, utf8proc_category_t wanted, em__jvalue *out)
{
    const em__jstring *s = self.string;
    bool yes = false;
    EM__TRY(em__j_work(run, 4 * s->length));
    for (size_t at = 0; at < s->length; at += em__j_char_length(s->bytes[at])) {
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)em__j_char_at(s->bytes + at));
        bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LT;
        if (letter && category != wanted) {
            yes = false;
            break;
        }
        yes = yes || letter;
    }
    *out = em__j_bool(yes);
    return EM_OK;
}

METHOD(str_isupper)
{
    (void)arg, (void)all;
    return cased(run, self, UTF8PROC_CATEGORY_LU, out);
}

METHOD(str_islower)
{
    (void)arg, (void)all;
    return cased(run, self, UTF8PROC_CATEGORY_LL, out);
}

/* `width` code points: to the left (1), right (2) or the middle (3), filled up. */
static em_status justify(em__jrun *run, em__jvalue self, const em__jvalue *arg, int side, em__jvalue *out)
{
    em__jtext text = {0};
    const em__jstring *s = self.string, space = {" ", 1, 1, false}, *fill = &space;
    int64_t width;
    EM__TRY(em__j_want_int(run, "width", arg[0], &width));
    if (em__j_given(arg[1]))
        EM__TRY(em__j_want_string(run, "fill", arg[1], &fill));
    if (fill->chars != 1)
        return em__j_fail(run, "The fill character must be exactly one character long");
    width = width < 0 ? 0 : width;
    int64_t pad = width - (int64_t)s->chars, left = side == 1 ? 0 : side == 2 ? pad : pad / 2 + (pad & width & 1);
    EM__TRY(em__j_add_times(run, &text, fill->bytes, fill->length, left));
    EM__TRY(em__j_add(run, &text, s->bytes, s->length));
    EM__TRY(em__j_add_times(run, &text, fill->bytes, fill->length, pad - left));
    return em__j_text_value(run, &text, out);
}

METHOD(str_ljust)
{
    (void)all;
    return justify(run, self, arg, 1, out);
}

METHOD(str_rjust)
{
    (void)all;
    return justify(run, self, arg, 2, out);
}

METHOD(str_center)
{
    (void)all;
    return justify(run, self, arg, 3, out);
}

METHOD(str_zfill)
{
    em__jtext text = {0};
    const em__jstring *s = self.string;
    int64_t width;
    (void)all;
    EM__TRY(em__j_want_int(run, "zfill()", arg[0], &width));
    width = width < 0 ? 0 : width;
    size_t sign = s->length && (s->bytes[0] == '-' || s->bytes[0] == '+');
    EM__TRY(em__j_add(run, &text, s->bytes, sign));
    EM__TRY(em__j_add_times(run, &text, "0", 1, width - (int64_t)s->chars));
    EM__TRY(em__j_add(run, &text, s->bytes + sign, s->length - sign));
    return em__j_text_value(run, &text, out);
}

const em__jbuiltin em__j_string_methods[] = {
    {"upper", "", str_upper},
    {"lower", "", str_lower},
    {"title", "", str_title},
    {"capitalize", "", str_capitalize},
    {"swapcase", "", str_swapcase},
    {"casefold", "", str_lower},
    {"strip", "|chars", str_strip},
    {"lstrip", "|chars", str_lstrip},
    {"rstrip", "|chars", str_rstrip},
    {"replace", "old new|count", str_replace},
    {"join", "iterable", str_join},
    {"splitlines", "|keepends", str_splitlines},
    {"format", NULL, str_format},
    {"startswith", "prefix|start end", str_startswith},
    {"endswith", "suffix|start end", str_endswith},
    {"removeprefix", "prefix", str_removeprefix},
    {"removesuffix", "suffix", str_removesuffix},
    {"isdigit", "", str_isdigit},
    {"isdecimal", "", str_isdigit},
    {"isnumeric", "", str_isdigit},
    {"isalpha", "", str_isalpha},
    {"isalnum", "", str_isalnum},
    {"isspace", "", str_isspace},
    {"isupper", "", str_isupper},
    {"islower", "", str_islower},
    {"ljust", "width|fill", str_ljust},
    {"rjust", "width|fill", str_rjust},
    {"center", "width|fill", str_center},
    {"zfill", "width", str_zfill},
    {NULL, NULL, NULL},
};
