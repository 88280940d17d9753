/* Tags and the text between them. What stands inside of a tag is cut by lex_tag.c. */
#include "template/lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "template/lex_tag.h"
#include "template/text.h"

em_status em__j_syntax(const char *name, int line, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return em__fail(EM_ERROR_FORMAT, "%s: line %d: %s", name, line, text);
}

/* \r\n and \r become \n; one \n at the very end goes. */
static em_status normalize(em__str *out, const char *text, size_t length)
{
    size_t from = 0;
    EM__TRY(em__str_reserve(out, length));
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\r')
            continue;
        EM__TRY(em__str_add(out, text + from, i - from));
        EM__TRY(em__str_add_char(out, '\n'));
        from = i + 1 < length && text[i + 1] == '\n' ? i + 2 : i + 1;
        i = from - 1;
    }
    EM__TRY(em__str_add(out, text + from, length - from));
    if (out->length && out->data[out->length - 1] == '\n')
        out->data[--out->length] = '\0';
    return EM_OK;
}

em_status em__j_push_token(em__jlexer *lx, em__jtoken token)
{
    token.line = lx->line;
    return em__vec_push(&lx->tokens->list, token);
}

void em__j_advance(em__jlexer *lx, size_t to)
{
    for (; lx->at < to; lx->at++)
        lx->line += lx->text[lx->at] == '\n';
}

/* Bytes of white space from `at`. */
static size_t skip_space(const em__jlexer *lx, size_t at)
{
    return at + em__j_space_start(lx->text + at, lx->length - at);
}

static bool starts(const em__jlexer *lx, size_t at, const char *what)
{
    size_t n = strlen(what);
    return lx->length - at >= n && memcmp(lx->text + at, what, n) == 0;
}

size_t em__j_tag_end(const em__jlexer *lx, size_t at, const char *close, bool block)
{
    if (at < lx->length && lx->text[at] == '-' && starts(lx, at + 1, close))
        return skip_space(lx, at + 1 + strlen(close));
    if (block && at < lx->length && lx->text[at] == '+' && starts(lx, at + 1, close))
        return at + 1 + strlen(close);
    if (!starts(lx, at, close))
        return 0;
    at += strlen(close);
    return block && at < lx->length && lx->text[at] == '\n' ? at + 1 : at;
}

/* Data from lx->at to `end`, in front of a tag with that sign: white space may go. Leaves lx->at at `end`. */
static em_status push_data(em__jlexer *lx, size_t end, char sign, bool block)
{
    const char *data = lx->text + lx->at;
    size_t length = end - lx->at, kept = length;
    if (sign == '-') {
        kept = em__j_space_end(data, length);
    } else if (sign != '+' && block) {
        size_t line = length;
        while (line > 0 && data[line - 1] != '\n')
            line--;
        if ((line > 0 || lx->line_starting) && em__j_space_start(data + line, length - line) == length - line)
            kept = line;
    }
    em__jtoken token = {.kind = J_TOKEN_DATA, .start = lx->tokens->strings.length, .length = kept};
    if (kept) {
        EM__TRY(em__str_add(&lx->tokens->strings, data, kept));
        EM__TRY(em__j_push_token(lx, token));
    }
    em__j_advance(lx, end);
    return EM_OK;
}

static void end_tag(em__jlexer *lx, size_t end)
{
    em__j_advance(lx, end);
    lx->line_starting = end > 0 && lx->text[end - 1] == '\n';
}

/* The place after {% raw %} when `at`, behind "{%" and its sign, says so; else 0. What follows {% raw %} stays, its
 * newline too; that of {% endraw %} goes, by `trim`. */
static size_t raw_tag(const em__jlexer *lx, size_t at, const char *word, bool trim)
{
    at = skip_space(lx, at);
    if (!starts(lx, at, word))
        return 0;
    return em__j_tag_end(lx, skip_space(lx, at + strlen(word)), "%}", trim);
}

static char sign_at(const em__jlexer *lx, size_t at)
{
    return at < lx->length && (lx->text[at] == '-' || lx->text[at] == '+') ? lx->text[at] : '\0';
}

static em_status lex_raw(em__jlexer *lx, size_t body)
{
    int line = lx->line;
    end_tag(lx, body);
    for (size_t at = body; at < lx->length; at++) {
        if (!starts(lx, at, "{%"))
            continue;
        char sign = sign_at(lx, at + 2);
        size_t end = raw_tag(lx, at + 2 + (sign != '\0'), "endraw", true);
        if (!end)
            continue;
        EM__TRY(push_data(lx, at, sign, true));
        end_tag(lx, end);
        return EM_OK;
    }
    return em__j_syntax(lx->tokens->name, line, "{%% raw %%} has no end");
}

static em_status lex_comment(em__jlexer *lx, size_t body)
{
    for (size_t at = body; at < lx->length; at++) {
        size_t end = em__j_tag_end(lx, at, "#}", true);
        if (end) {
            end_tag(lx, end);
            return EM_OK;
        }
    }
    return em__j_syntax(lx->tokens->name, lx->line, "a comment has no end");
}

/* The tag at `at`, and the data before it. */
static em_status lex_root_tag(em__jlexer *lx, size_t at)
{
    char what = lx->text[at + 1], sign = sign_at(lx, at + 2);
    size_t body = at + 2 + (sign != '\0');
    EM__TRY(push_data(lx, at, sign, what != '{'));
    if (what == '#')
        return lex_comment(lx, body);
    size_t raw = what == '%' ? raw_tag(lx, body, "raw", false) : 0;
    if (raw)
        return lex_raw(lx, raw);
    bool block = what == '%';
    EM__TRY(em__j_push_token(lx, (em__jtoken){.kind = block ? J_TOKEN_BLOCK_BEGIN : J_TOKEN_PRINT_BEGIN}));
    em__j_advance(lx, body);
    EM__TRY(em__j_lex_tag(lx, block));
    lx->line_starting = lx->at > 0 && lx->text[lx->at - 1] == '\n';
    return EM_OK;
}

static em_status lex_all(em__jlexer *lx)
{
    while (lx->at < lx->length) {
        size_t at = lx->at;
        const char *brace;
        for (;; at++) {
            brace = memchr(lx->text + at, '{', lx->length - at);
            if (!brace || (at = (size_t)(brace - lx->text)) + 1 >= lx->length) {
                at = lx->length;
                break;
            }
            if (strchr("%{#", lx->text[at + 1]) && lx->text[at + 1])
                break;
        }
        if (at == lx->length)
            return push_data(lx, at, '+', false);
        EM__TRY(lex_root_tag(lx, at));
    }
    return EM_OK;
}

em_status em__j_lex(em__jtokens *tokens, const char *text, size_t length)
{
    if (!em__j_is_utf8(text, length))
        return em__fail(EM_ERROR_FORMAT, "%s: the template is not valid UTF-8", tokens->name);
    EM__TRY(normalize(&tokens->text, text, length));
    em__jlexer lx = {.tokens = tokens,
                     .text = em__str_text(&tokens->text),
                     .length = tokens->text.length,
                     .line = 1,
                     .line_starting = true};
    EM__TRY(lex_all(&lx));
    return em__j_push_token(&lx, (em__jtoken){.kind = J_TOKEN_END});
}

void em__j_lex_free(em__jtokens *tokens)
{
    em__str_free(&tokens->text);
    em__str_free(&tokens->strings);
    em__vec_free(&tokens->list);
}

const char *em__j_token_text(const em__jtokens *tokens, const em__jtoken *token, char *out)
{
    static const char *const names[] = {[J_TOKEN_DATA] = "text",
                                        [J_TOKEN_BLOCK_BEGIN] = "{%",
                                        [J_TOKEN_BLOCK_END] = "%}",
                                        [J_TOKEN_PRINT_BEGIN] = "{{",
                                        [J_TOKEN_PRINT_END] = "}}",
                                        [J_TOKEN_STRING] = "a string",
                                        [J_TOKEN_END] = "the end of the template"};
    const char *name = names[token->kind];
    if (name)
        snprintf(out, 64, "%s", name);
    else
        snprintf(out, 64, "'%.*s'", token->length > 40 ? 40 : (int)token->length, tokens->text.data + token->start);
    return out;
}
