/*
 * From Oniguruma's syntax, as Rust's onig has it by default, to PCRE2's.
 *
 * What both mean alike is copied. Character types are spelt out where the libraries differ: white space and word
 * characters as ranges of our own tables; letters and numbers as PCRE2's, joined by those of later versions of Unicode.
 * What would mean something else (\h, \b, {n,m}+, nested and intersected classes, most option groups) is refused by
 * name.
 */
#include "tokenizer/regex_translate.h"

#include <string.h>

#include "core/error.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

typedef struct translation {
    const char *where, *start, *at, *end;
    em__str *out;
} translation;

static em_status refuse(const translation *t, const char *what, size_t length)
{
    return em__fail(EM_ERROR_UNSUPPORTED, "%s: \"%.*s\" in the regular expression \"%.*s\" is not supported", t->where,
                    (int)length, what, (int)(t->end - t->start < 200 ? t->end - t->start : 200), t->start);
}

/* Whether the code points of a run are in a type. */
typedef bool (*member_fn)(uint32_t start, unsigned flags);

static bool is_space(uint32_t start, unsigned flags)
{
    (void)start;
    return flags & EM_UC_SPACE;
}

/* Oniguruma's \w: also the numbers of Latin-1, and not the two joiners. Each of these is a run of its own. */
static bool is_word(uint32_t start, unsigned flags)
{
    if (start == 0xB2 || start == 0xB9 || start == 0xBC)
        return true;
    return start != 0x200C && (flags & EM_UC_WORD);
}

static bool is_letter(uint32_t start, unsigned flags)
{
    (void)start;
    return flags & EM_UC_LETTER;
}

static bool is_number(uint32_t start, unsigned flags)
{
    (void)start;
    return flags & EM_UC_NUMBER;
}

/* Decimal digits, as far as they are recent: the numbers that are word characters. */
static bool is_digit(uint32_t start, unsigned flags)
{
    (void)start;
    return (flags & EM_UC_NUMBER) && (flags & EM_UC_WORD);
}

/* Ranges of the code points that are in a type, or that are not; with `recent`, only of those that PCRE2 may not
 * know. */
static em_status add_ranges(em__str *out, member_fn member, bool recent, bool negated)
{
    uint32_t start = 0;
    bool open = false;
    for (size_t run = 0; run <= em__uc_run_count; run++) {
        bool last = run == em__uc_run_count;
        uint32_t at = last ? 0x110000 : em__uc_runs[run].start;
        unsigned flags = last ? 0 : em__uc_runs[run].flags;
        bool in = !last && member(at, flags) != negated && (!recent || (flags & EM_UC_RECENT));
        if (open && !in) {
            /* surrogates are no characters, and PCRE2 refuses them as the end of a range */
            uint32_t end = at - 1 >= 0xD800 && at - 1 <= 0xDFFF ? 0xD7FF : at - 1;
            uint32_t first = start >= 0xD800 && start <= 0xDFFF ? 0xE000 : start;
            if (first <= end)
                EM__TRY(em__str_addf(out, "\\x{%x}-\\x{%x}", first, end));
        }
        if (in && !open)
            start = at;
        open = in;
    }
    return EM_OK;
}

/* The members of a character type, for use inside brackets. */
static em_status add_type(translation *t, char type)
{
    return add_ranges(t->out, type == 's' || type == 'S' ? is_space : is_word, false, type == 'S' || type == 'W');
}

/* \p{Name}, \p{^Name}, \P{Name}; t->at is behind the p. */
static em_status add_property(translation *t, bool negated, bool in_class)
{
    const char *escape = t->at - 2, *close = memchr(t->at, '}', (size_t)(t->end - t->at));
    if (t->at >= t->end || *t->at != '{' || !close)
        return refuse(t, escape, 2);
    const char *name = t->at + 1;
    if (name < close && *name == '^') {
        negated = !negated;
        name++;
    }
    size_t length = (size_t)(close - name);
    t->at = close + 1;
    member_fn member = length != 1 ? NULL : *name == 'L' ? is_letter : *name == 'N' ? is_number : NULL;
    for (size_t i = 0; i < length; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", name[i]))
            return refuse(t, escape, (size_t)(t->at - escape));
    if (!member)
        return em__str_addf(t->out, "\\%c{%.*s}", negated ? 'P' : 'p', (int)length, name);
    if (!in_class)
        EM__TRY(em__str_add_text(t->out, negated ? "[^" : "["));
    if (in_class && negated) {
        EM__TRY(add_ranges(t->out, member, false, true));
    } else {
        EM__TRY(em__str_addf(t->out, "\\p{%c}", *name));
        EM__TRY(add_ranges(t->out, member, true, false));
    }
    return in_class ? EM_OK : em__str_add_char(t->out, ']');
}

/* \x41, \x{1F600}, é; t->at is behind the letter. */
static em_status add_code(translation *t, char kind)
{
    const char *escape = t->at - 2, *digits = t->at;
    bool braced = kind == 'x' && t->at < t->end && *t->at == '{';
    size_t count = 0, most = braced ? 8 : kind == 'u' ? 4 : 2;
    uint32_t c = 0;
    digits += braced;
    while (count < most && digits + count < t->end && strchr("0123456789abcdefABCDEF", digits[count]) &&
           digits[count]) {
        char d = digits[count++];
        c = c << 4 | (uint32_t)(d <= '9' ? d - '0' : (d | 32) - 'a' + 10);
    }
    t->at = digits + count;
    bool closed = !braced || (t->at < t->end && *t->at++ == '}');
    if (count == 0 || !closed || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || (kind == 'u' && count < 4) ||
        (kind == 'x' && !braced && c > 0x7F))
        return refuse(t, escape, (size_t)(t->at - escape));
    return em__str_addf(t->out, "\\x{%x}", c);
}

static em_status add_escape(translation *t, bool in_class)
{
    const char *escape = t->at;
    if (t->end - t->at < 2)
        return refuse(t, t->at, 1);
    char c = t->at[1];
    t->at += 2;
    if (c == 'p' || c == 'P')
        return add_property(t, c == 'P', in_class);
    if (c == 'x' || c == 'u')
        return add_code(t, c);
    if (c == 'v')
        return em__str_add_text(t->out, "\\x{b}");
    if (c == 'd' || (c == 'D' && !in_class)) {
        if (!in_class)
            EM__TRY(em__str_add_text(t->out, c == 'D' ? "[^" : "["));
        EM__TRY(em__str_add_text(t->out, "\\d"));
        EM__TRY(add_ranges(t->out, is_digit, true, false));
        return in_class ? EM_OK : em__str_add_char(t->out, ']');
    }
    if (strchr("sSwW", c) && c) {
        if (in_class)
            return add_type(t, c);
        EM__TRY(em__str_add_text(t->out, c == 'S' || c == 'W' ? "[^" : "["));
        EM__TRY(add_type(t, c == 's' || c == 'S' ? 's' : 'w'));
        return em__str_add_char(t->out, ']');
    }
    bool ascii = (uint8_t)c < 0x80;
    bool letter = ascii && ((c | 32) >= 'a' && (c | 32) <= 'z');
    bool digit = c >= '0' && c <= '9';
    if ((letter && !strchr(in_class ? "nrtfae" : "nrtfaeAzZ", c)) || (digit && (c == '0' || in_class)) || c == '\0')
        return refuse(t, escape, 2);
    if (!ascii) { /* an escaped character beyond ASCII is itself */
        t->at = escape + 1;
        return EM_OK;
    }
    return em__str_add(t->out, escape, 2);
}

static em_status add_class(translation *t)
{
    EM__TRY(em__str_add_char(t->out, *t->at++));
    if (t->at < t->end && *t->at == '^')
        EM__TRY(em__str_add_char(t->out, *t->at++));
    for (bool first = true; t->at < t->end; first = false) {
        if (*t->at == ']' && !first)
            return em__str_add_char(t->out, *t->at++);
        if (*t->at == '[' || (*t->at == '&' && t->at + 1 < t->end && t->at[1] == '&'))
            return refuse(t, t->at, *t->at == '[' ? 1 : 2);
        if (*t->at == '\\')
            EM__TRY(add_escape(t, true));
        else if (*t->at == ']')
            return refuse(t, "[]", 2);
        else
            EM__TRY(em__str_add_char(t->out, *t->at++));
    }
    return refuse(t, "[", 1);
}

/* What follows an opening parenthesis, as far as it is special. */
static em_status add_group(translation *t)
{
    static const char *const same[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"};
    size_t left = (size_t)(t->end - t->at);
    if (left >= 2 && t->at[1] == '*')
        return refuse(t, t->at, 2);
    if (left < 2 || t->at[1] != '?')
        return em__str_add_char(t->out, *t->at++);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        size_t length = strlen(same[i]);
        if (left >= length && memcmp(t->at, same[i], length) == 0) {
            t->at += length;
            return em__str_add(t->out, same[i], length);
        }
    }
    if (t->at == t->start && left >= 4 && memcmp(t->at, "(?i)", 4) == 0) {
        t->at += 4;
        return em__str_add_text(t->out, "(?i)");
    }
    return refuse(t, t->at, left < 4 ? left : 4);
}

/* An interval, or a brace that is none. */
static em_status add_brace(translation *t)
{
    const char *start = t->at, *p = t->at + 1;
    while (p < t->end && *p >= '0' && *p <= '9')
        p++;
    bool fixed = p < t->end && *p == '}' && p > start + 1, open_start = p < t->end && *p == ',' && p == start + 1;
    if (p < t->end && *p == ',')
        for (p++; p < t->end && *p >= '0' && *p <= '9';)
            p++;
    if (p >= t->end || *p != '}' || p == start + 1 || (open_start && p == start + 2)) {
        t->at++;
        return em__str_add_text(t->out, "\\{");
    }
    t->at = p + 1;
    if (t->at < t->end && (*t->at == '+' || (*t->at == '?' && fixed)))
        return refuse(t, start, (size_t)(t->at + 1 - start));
    EM__TRY(em__str_add_text(t->out, open_start ? "{0" : "{"));
    return em__str_add(t->out, start + 1, (size_t)(t->at - start - 1));
}

em_status em__regex_translate(const char *where, const char *regex, size_t length, em__str *out)
{
    translation t = {where, regex, regex, regex + length, out};
    while (t.at < t.end) {
        switch (*t.at) {
        case '\\': EM__TRY(add_escape(&t, false)); break;
        case '[': EM__TRY(add_class(&t)); break;
        case '(': EM__TRY(add_group(&t)); break;
        case '{': EM__TRY(add_brace(&t)); break;
        default: EM__TRY(em__str_add_char(out, *t.at++));
        }
    }
    return em__str_add(out, "", 0);
}
