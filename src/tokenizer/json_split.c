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

static em_status skip_value(splitter *s)
{
    size_t depth = 0;
    const char *text;
    size_t length;
    do {
        if (s->at >= s->end)
            return fail(s, "a value does not end");
        char c = *s->at;
        if (c == '"') {
            EM__TRY(skip_string(s, &text, &length));
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']') {
            if (depth == 0)
                return fail(s, "a value is missing");
            depth--;
        }
        s->at++;
        if (depth == 0 && c != '}' && c != ']') /* a number or a word: up to what ends it */
            while (s->at < s->end && !strchr(",}] \n\r\t", *s->at))
                s->at++;
    } while (depth > 0);
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
        EM__TRY(skip_value(s));
        em__tokjson_range *range = !in_model                   ? NULL
                                   : is(key, length, "vocab")  ? vocab
                                   : is(key, length, "merges") ? merges
                                                               : NULL;
        if (!range || (*start != '{' && *start != '['))
            continue;
        EM__TRY(em__str_add(rest, *copied, (size_t)(start - *copied)));
        EM__TRY(em__str_add_text(rest, "null"));
        *copied = s->at;
        range->start = start;
        range->end = s->at;
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

size_t em__tokjson_count(em__tokjson_range range)
{
    size_t depth = 0, count = 1;
    for (const char *at = range.start; at < range.end; at++) {
        if (*at == '"') {
            for (at++; at < range.end && *at != '"'; at++)
                at += *at == '\\';
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        } else if (*at == ',' && depth == 1) {
            count++;
        }
    }
    return count;
}
