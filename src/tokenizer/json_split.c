/* Cutting the two big values out of tokenizer.json. Brackets are only matched here; whoever reads a part checks it. */
#include "tokenizer/json.h"

#include <string.h>

#include "core/error.h"

typedef struct splitter {
    const char *start, *at, *end;
} splitter;

static em_status fail(const splitter *s, const char *what)
{
    return em__fail(EM_ERROR_FORMAT, "tokenizer.json: %s at byte %zu", what, (size_t)(s->at - s->start));
}

static void skip_space(splitter *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* Passes over a string; *text is what stands between the quotes, escapes and all. */
static em_status skip_string(splitter *s, const char **text, size_t *length)
{
    const char *start = ++s->at;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '"') {
            *text = start;
            *length = (size_t)(s->at++ - start);
            return EM_OK;
        }
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
    }
    return fail(s, "a string does not end");
}

/* What a value is made of, but for its strings: bytes that matter to its extent, and to the count of its entries. */
static bool is_structure(char c)
{
    return c == '"' || c == '{' || c == '[' || c == '}' || c == ']' || c == ',';
}

/* A list or an object; the cursor stands at its bracket. *count is as em__tokjson_range has it. */
static em_status skip_nested(splitter *s, size_t *count)
{
    size_t depth = 0, length;
    const char *text;
    *count = 1;
    do {
        while (s->at < s->end && !is_structure(*s->at))
            s->at++;
        if (s->at >= s->end)
            return fail(s, "a value does not end");
        char c = *s->at;
        if (c == '"') {
            EM__TRY(skip_string(s, &text, &length));
            continue;
        }
        if (c == ',')
            *count += depth == 1;
        else
            depth += c == '{' || c == '[' ? 1 : (size_t)-1;
        s->at++;
    } while (depth > 0);
    return EM_OK;
}

static em_status skip_value(splitter *s, size_t *count)
{
    const char *text;
    size_t length;
    if (s->at >= s->end)
        return fail(s, "a value does not end");
    if (*s->at == '}' || *s->at == ']')
        return fail(s, "a value is missing");
    if (*s->at == '{' || *s->at == '[')
        return skip_nested(s, count);
    if (*s->at == '"')
        return skip_string(s, &text, &length);
    for (s->at++; s->at < s->end && !strchr(",}] \n\r\t", *s->at);) /* a number or a word: up to what ends it */
        s->at++;
    return EM_OK;
}

static bool is(const char *text, size_t length, const char *key)
{
    return length == strlen(key) && memcmp(text, key, length) == 0;
}

/* One object of the two that are opened, the file itself (model is NULL) and its "model". Ranges are cut out of the
 * latter; what was copied so far ends at *copied. */
static em_status split_object(splitter *s, bool in_model, em__str *rest, const char **copied, em__tokjson_range *vocab,
                              em__tokjson_range *merges)
{
    for (s->at++;;) {
        skip_space(s);
        if (s->at < s->end && *s->at == '}') {
            s->at++;
            return EM_OK;
        }
        if (s->at < s->end && *s->at == ',') {
            s->at++;
            continue;
        }
        if (s->at >= s->end || *s->at != '"')
            return fail(s, "expected a member's name");
        const char *key;
        size_t length;
        EM__TRY(skip_string(s, &key, &length));
        skip_space(s);
        if (s->at >= s->end || *s->at != ':')
            return fail(s, "expected ':'");
        s->at++;
        skip_space(s);
        if (!in_model && is(key, length, "model") && s->at < s->end && *s->at == '{') {
            EM__TRY(split_object(s, true, rest, copied, vocab, merges));
            continue;
        }
        const char *start = s->at;
        size_t count = 0;
        EM__TRY(skip_value(s, &count));
        em__tokjson_range *range = !in_model                   ? NULL
                                   : is(key, length, "vocab")  ? vocab
                                   : is(key, length, "merges") ? merges
                                                               : NULL;
        if (!range || (*start != '{' && *start != '['))
            continue;
        EM__TRY(em__str_add(rest, *copied, (size_t)(start - *copied)));
        EM__TRY(em__str_add_text(rest, "null"));
        *copied = s->at;
        *range = (em__tokjson_range){start, s->at, count};
    }
}

em_status em__tokjson_split(const char *json, size_t length, em__str *rest, em__tokjson_range *vocab,
                            em__tokjson_range *merges)
{
    splitter s = {json, json, json + length};
    const char *copied = json;
    *vocab = *merges = (em__tokjson_range){0};
    skip_space(&s);
    if (s.at >= s.end || *s.at != '{')
        return fail(&s, "expected an object");
    EM__TRY(split_object(&s, false, rest, &copied, vocab, merges));
    return em__str_add(rest, copied, (size_t)(s.end - copied));
}

em_status em__tokjson_check(em__tokjson_range range, const char *what, size_t least)
{
    const size_t length = (size_t)(range.end - range.start);
    EM__FAIL_IF(range.count > length / least + 1, EM_ERROR_FORMAT,
                "%s: %zu commas in %zu bytes, where an entry takes %zu at least", what, range.count - 1, length, least);
    return EM_OK;
}
