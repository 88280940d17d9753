/* Streaming over one JSON value, strictly, and members of a jansson object. */
#include "tokenizer/json.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "tokenizer/utf8.h"

em_status em__tokjson_fail(const em__tokjson *json, const char *expected)
{
    size_t left = (size_t)(json->end - json->at);
    return em__fail(EM_ERROR_FORMAT, "%s: expected %s at \"%.*s\" (byte %zu of it)", json->what, expected,
                    (int)(left < 20 ? left : 20), json->at, (size_t)(json->at - json->start));
}

char em__tokjson_peek(em__tokjson *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t'))
        json->at++;
    return json->at < json->end ? *json->at : '\0';
}

em_status em__tokjson_expect(em__tokjson *json, char c)
{
    char quoted[4] = {'\'', c, '\''};
    if (em__tokjson_peek(json) != c)
        return em__tokjson_fail(json, quoted);
    json->at++;
    return EM_OK;
}

em_status em__tokjson_more(em__tokjson *json, char close, bool first, bool *more)
{
    char c = em__tokjson_peek(json);
    *more = c != close;
    if (!*more) {
        json->at++;
        return EM_OK;
    }
    return first ? EM_OK : em__tokjson_expect(json, ',');
}

static bool read_hex(const char *at, const char *end, uint32_t *value)
{
    *value = 0;
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

/* The cursor stands behind "\u". Surrogates come in pairs or not at all. */
static em_status unescape_unicode(em__tokjson *json)
{
    uint32_t c, low;
    char utf8[4];
    if (!read_hex(json->at, json->end, &c))
        return em__tokjson_fail(json, "four hexadecimal digits");
    json->at += 4;
    if (c >= 0xD800 && c < 0xE000) {
        if (c >= 0xDC00 || json->end - json->at < 6 || json->at[0] != '\\' || json->at[1] != 'u' ||
            !read_hex(json->at + 2, json->end, &low) || low < 0xDC00 || low > 0xDFFF)
            return em__tokjson_fail(json, "the second half of a surrogate pair");
        json->at += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    return em__str_add(&json->unescaped, utf8, em__utf8_put(utf8, c));
}

static em_status unescape(em__tokjson *json)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (json->at >= json->end)
        return em__tokjson_fail(json, "an escape");
    char c = *json->at++;
    if (c == 'u')
        return unescape_unicode(json);
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return em__tokjson_fail(json, "an escape");
    return em__str_add_char(&json->unescaped, to[found - from]);
}

em_status em__tokjson_string(em__tokjson *json, const char **text, size_t *length)
{
    EM__TRY(em__tokjson_expect(json, '"'));
    const char *start = json->at;
    while (json->at < json->end && *json->at != '"' && *json->at != '\\' && (uint8_t)*json->at >= 0x20)
        json->at++;
    if (json->at < json->end && *json->at == '"') {
        *text = start;
        *length = (size_t)(json->at++ - start);
        return EM_OK;
    }
    em__str_clear(&json->unescaped);
    EM__TRY(em__str_add(&json->unescaped, start, (size_t)(json->at - start)));
    while (json->at < json->end && *json->at != '"') {
        if (*json->at == '\\') {
            json->at++;
            EM__TRY(unescape(json));
            continue;
        }
        if ((uint8_t)*json->at < 0x20)
            return em__tokjson_fail(json, "no raw control character in a string");
        EM__TRY(em__str_add_char(&json->unescaped, *json->at++));
    }
    EM__TRY(em__tokjson_expect(json, '"'));
    *text = em__str_text(&json->unescaped);
    *length = json->unescaped.length;
    return EM_OK;
}

em_status em__tokjson_integer(em__tokjson *json, int64_t *value)
{
    char c = em__tokjson_peek(json);
    bool negative = c == '-';
    const char *at = json->at + negative, *digits = at;
    int64_t sum = 0;
    for (; at < json->end && *at >= '0' && *at <= '9'; at++) {
        if (sum > (INT64_MAX - 9) / 10)
            return em__tokjson_fail(json, "a whole number that fits 64 bits");
        sum = sum * 10 + (*at - '0');
    }
    if (at == digits || (*digits == '0' && at - digits > 1) || (at < json->end && strchr(".eE", *at)))
        return em__tokjson_fail(json, "a whole number");
    json->at = at;
    *value = negative ? -sum : sum;
    return EM_OK;
}

em_status em__tokjson_number(em__tokjson *json, double *value)
{
    char text[64];
    size_t n = 0;
    em__tokjson_peek(json);
    while (json->at + n < json->end && n < sizeof text - 1 && strchr("+-.0123456789eE", json->at[n]) && json->at[n])
        n++;
    memcpy(text, json->at, n);
    text[n] = '\0';
    if (n == sizeof text - 1 || !em__parse_f64(text, value) || !isfinite(*value))
        return em__tokjson_fail(json, "a number");
    json->at += n;
    return EM_OK;
}

/* The member, or NULL if it is missing or null. */
static em_status member(const json_t *object, const char *where, const char *key, bool required, json_t **value)
{
    *value = json_object_get(object, key);
    if (json_is_null(*value))
        *value = NULL;
    EM__FAIL_IF(!*value && required, EM_ERROR_FORMAT, "%s: \"%s\" is missing", where, key);
    return EM_OK;
}

em_status em__tokjson_bool(const json_t *object, const char *where, const char *key, bool required, bool *value)
{
    json_t *found;
    EM__TRY(member(object, where, key, required, &found));
    EM__FAIL_IF(found && !json_is_boolean(found), EM_ERROR_FORMAT, "%s: \"%s\" must be true or false", where, key);
    if (found)
        *value = json_is_true(found);
    return EM_OK;
}

em_status em__tokjson_size(const json_t *object, const char *where, const char *key, bool required, size_t *value)
{
    json_t *found;
    EM__TRY(member(object, where, key, required, &found));
    EM__FAIL_IF(found && (!json_is_integer(found) || json_integer_value(found) < 0), EM_ERROR_FORMAT,
                "%s: \"%s\" must be a whole number, 0 or more", where, key);
    if (found)
        *value = (size_t)json_integer_value(found);
    return EM_OK;
}

em_status em__tokjson_text(const json_t *object, const char *where, const char *key, bool required, const char **text,
                           size_t *length)
{
    json_t *found;
    EM__TRY(member(object, where, key, required, &found));
    EM__FAIL_IF(found && !json_is_string(found), EM_ERROR_FORMAT, "%s: \"%s\" must be a string", where, key);
    if (found) {
        *text = json_string_value(found);
        *length = json_string_length(found);
    }
    return EM_OK;
}
