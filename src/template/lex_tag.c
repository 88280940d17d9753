/* Names, numbers, strings and operators inside of a tag. */
#include "template/lex_tag.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "template/text.h"

enum { MOST_BRACKETS = 200 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80 ||
           (!first && is_digit(c));
}

/* Digits of a base with single underscores between them, from `at`; the place behind. */
static size_t digits_end(const em__jlexer *lx, size_t at, const char *digits)
{
    size_t end = at;
    while (end < lx->length) {
        size_t next = lx->text[end] == '_' && end > at ? end + 1 : end;
        if (next >= lx->length || !lx->text[next] || !strchr(digits, lx->text[next]))
            break;
        end = next + 1;
    }
    return end;
}

/* The place after a float at lx->at, 0 when there is none. */
static size_t float_end(const em__jlexer *lx)
{
    static const char decimal[] = "0123456789";
    size_t at = lx->at, end = digits_end(lx, at, decimal);
    bool real = false;
    if (at > 0 && lx->text[at - 1] == '.')
        return 0;
    if (end + 1 < lx->length && lx->text[end] == '.' && is_digit(lx->text[end + 1])) {
        end = digits_end(lx, end + 1, decimal);
        real = true;
    }
    if (end < lx->length && (lx->text[end] == 'e' || lx->text[end] == 'E')) {
        size_t e = end + 1;
        if (e < lx->length && (lx->text[e] == '+' || lx->text[e] == '-'))
            e++;
        if (e < lx->length && is_digit(lx->text[e])) {
            end = digits_end(lx, e, decimal);
            real = true;
        }
    }
    return real ? end : 0;
}

static size_t integer_end(const em__jlexer *lx, int *base)
{
    size_t at = lx->at;
    char second = at + 1 < lx->length ? (char)(lx->text[at + 1] | 0x20) : '\0';
    *base = lx->text[at] != '0' ? 10 : second == 'x' ? 16 : second == 'o' ? 8 : second == 'b' ? 2 : 10;
    if (*base == 10) /* 012 is 0 and 12 */
        return digits_end(lx, at, lx->text[at] == '0' ? "0" : "0123456789");
    size_t end = digits_end(lx, at + 2, *base == 16 ? "0123456789abcdefABCDEF" : *base == 8 ? "01234567" : "01");
    if (end > at + 2)
        return end;
    *base = 10;
    return at + 1;
}

static em_status lex_number(em__jlexer *lx)
{
    char digits[64];
    size_t count = 0;
    int base = 10;
    em__jtoken token = {.kind = J_TOKEN_FLOAT, .start = lx->at};
    size_t end = float_end(lx);
    if (!end) {
        token.kind = J_TOKEN_INTEGER;
        end = integer_end(lx, &base);
    }
    token.length = end - lx->at;
    for (size_t i = lx->at + (base == 10 ? 0 : 2); i < end && count < sizeof digits - 1; i++)
        if (lx->text[i] != '_')
            digits[count++] = lx->text[i];
    digits[count] = '\0';
    bool fits = count < sizeof digits - 1;
    if (token.kind == J_TOKEN_FLOAT) {
        token.real = INFINITY; /* what is too large, as in Python */
        em__parse_f64(digits, &token.real);
    } else {
        for (size_t i = 0; i < count && fits; i++) {
            char c = digits[i];
            int digit = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
            fits = !__builtin_mul_overflow(token.integer, (int64_t)base, &token.integer) &&
                   !__builtin_add_overflow(token.integer, (int64_t)digit, &token.integer);
        }
    }
    if (!fits)
        return em__j_syntax(lx->tokens->name, lx->line, "the number %s... does not fit 64 bits", digits);
    EM__TRY(em__j_push_token(lx, token));
    lx->at = end;
    return EM_OK;
}

/* \ooo, \xhh, \uhhhh, \Uhhhhhhhh with the digits at `at`; the place behind, 0 when they are wrong. */
static size_t code_escape(const em__jlexer *lx, size_t at, size_t least, size_t most, int base, uint32_t *code)
{
    size_t i = 0;
    *code = 0;
    for (; i < most && at + i < lx->length; i++) {
        char c = lx->text[at + i], low = (char)(c | 0x20);
        int digit = is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : 99;
        if (digit >= base)
            break;
        *code = *code * (uint32_t)base + (uint32_t)digit;
    }
    return i < least ? 0 : at + i;
}

/* The escape behind the backslash at `at`: adds what it means, returns the place behind it, 0 when it is wrong. */
static size_t lex_escape(em__jlexer *lx, size_t at, em_status *status)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = lx->text[at + 1], bytes[4];
    const char *known = c ? strchr(from, c) : NULL;
    uint32_t code;
    size_t end;
    if (c == '\n')
        return at + 2;
    if (known) {
        *status = em__str_add_char(&lx->tokens->strings, to[known - from]);
        return at + 2;
    }
    if (c == 'x')
        end = code_escape(lx, at + 2, 2, 2, 16, &code);
    else if (c == 'u' || c == 'U')
        end = code_escape(lx, at + 2, c == 'u' ? 4 : 8, c == 'u' ? 4 : 8, 16, &code);
    else if (c >= '0' && c <= '7')
        end = code_escape(lx, at + 1, 1, 3, 8, &code);
    else if (c == 'N')
        end = 0;
    else { /* not an escape: both characters stay */
        *status = em__str_add_char(&lx->tokens->strings, '\\');
        return at + 1;
    }
    size_t n = end ? em__j_put_char(bytes, code) : 0;
    if (n)
        *status = em__str_add(&lx->tokens->strings, bytes, n);
    return n ? end : 0;
}

static em_status lex_string(em__jlexer *lx)
{
    char quote = lx->text[lx->at];
    em__jtoken token = {.kind = J_TOKEN_STRING, .start = lx->tokens->strings.length};
    size_t at = lx->at + 1;
    while (at < lx->length && lx->text[at] != quote) {
        em_status status = EM_OK;
        if (lx->text[at] == '\\' && at + 1 < lx->length) {
            at = lex_escape(lx, at, &status);
            if (status == EM_OK && !at)
                return em__j_syntax(lx->tokens->name, lx->line, "an escape of a string is wrong");
        } else {
            status = em__str_add_char(&lx->tokens->strings, lx->text[at++]);
        }
        EM__TRY(status);
    }
    if (at >= lx->length)
        return em__j_syntax(lx->tokens->name, lx->line, "a string has no end");
    token.length = lx->tokens->strings.length - token.start;
    EM__TRY(em__j_push_token(lx, token));
    em__j_advance(lx, at + 1);
    return EM_OK;
}

static em_status lex_name(em__jlexer *lx)
{
    size_t end = lx->at;
    while (end < lx->length && is_name_char(lx->text[end], false))
        end++;
    EM__TRY(em__j_push_token(lx, (em__jtoken){.kind = J_TOKEN_NAME, .start = lx->at, .length = end - lx->at}));
    lx->at = end;
    return EM_OK;
}

static em_status lex_operator(em__jlexer *lx, char *brackets, int *depth)
{
    static const char twos[] = "//d**p==e!=n>=g<=l";
    char c = lx->text[lx->at], next = lx->at + 1 < lx->length ? lx->text[lx->at + 1] : '\0';
    em__jtoken token = {.kind = J_TOKEN_OPERATOR, .op = c, .start = lx->at, .length = 1};
    for (const char *two = twos; *two; two += 3)
        if (two[0] == c && two[1] == next) {
            token.op = two[2];
            token.length = 2;
        }
    if (token.length == 1 && (!c || !strchr("+-*/%~[](){}<>=.:|,;", c)))
        return em__j_syntax(lx->tokens->name, lx->line, "unexpected character '%.*s'", (int)em__j_char_length(c),
                            lx->text + lx->at);
    if (c == '(' || c == '[' || c == '{') {
        if (*depth >= MOST_BRACKETS)
            return em__j_syntax(lx->tokens->name, lx->line, "brackets are nested more than %d deep", MOST_BRACKETS);
        brackets[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (*depth == 0 || brackets[*depth - 1] != c)
            return em__j_syntax(lx->tokens->name, lx->line, "unexpected '%c'", c);
        (*depth)--;
    }
    EM__TRY(em__j_push_token(lx, token));
    lx->at += token.length;
    return EM_OK;
}

static em_status lex_token(em__jlexer *lx, char *brackets, int *depth)
{
    char c = lx->text[lx->at];
    if (is_digit(c))
        return lex_number(lx);
    if (is_name_char(c, true))
        return lex_name(lx);
    if (c == '\'' || c == '"')
        return lex_string(lx);
    return lex_operator(lx, brackets, depth);
}

em_status em__j_lex_tag(em__jlexer *lx, bool block)
{
    char brackets[MOST_BRACKETS];
    int depth = 0, line = lx->line;
    for (;;) {
        em__j_advance(lx, lx->at + em__j_space_start(lx->text + lx->at, lx->length - lx->at));
        if (lx->at >= lx->length)
            return em__j_syntax(lx->tokens->name, line, "a tag has no end; it opens with %s", block ? "{%" : "{{");
        size_t end = depth ? 0 : em__j_tag_end(lx, lx->at, block ? "%}" : "}}", block);
        if (end) {
            EM__TRY(em__j_push_token(lx, (em__jtoken){.kind = block ? J_TOKEN_BLOCK_END : J_TOKEN_PRINT_END}));
            em__j_advance(lx, end);
            return EM_OK;
        }
        EM__TRY(lex_token(lx, brackets, &depth));
    }
}
