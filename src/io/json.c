/* Reading documents, and the typed members of json.h. */
#include "io/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/cause.h"
#include "core/error.h"
#include "io/file.h"

const char *em__printable(char *out, size_t size, const char *text)
{
    size_t n = 0;
    while (*text && n + 1 < size) {
        const size_t control = em__control(text);
        out[n++] = control ? '?' : *text;
        text += control ? control : 1;
    }
    out[n] = '\0';
    if (*text && n >= 3)
        memcpy(out + n - 3, "...", 3);
    return out;
}

/* Deepest nesting of brackets outside of strings. Looked at before parsing: jansson recurses. */
static size_t depth_of(const char *text, size_t length)
{
    size_t depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            deepest = ++depth > deepest ? depth : deepest;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

static em_status fail_parse(const char *source, const json_error_t *error)
{
    char text[160];
    enum json_error_code code = json_error_code(error);
    /* Inside a container jansson loses the code of a failed allocation; what is left has no text. */
    if (code == json_error_out_of_memory || error->text[0] == '\0')
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory while reading JSON", source);
    em__fail(EM_ERROR_FORMAT, "%s: not valid JSON, line %d column %d: %s", source, error->line, error->column,
             em__printable(text, sizeof text, error->text));
    return em__because(EM_ERROR_FORMAT, EM__CAUSE_JSON);
}

static em_status parse(const char *text, size_t length, const char *source, bool exact, em__json_doc *doc)
{
    const size_t flags = JSON_REJECT_DUPLICATES | (exact ? JSON_ALLOW_NUL : 0);
    *doc = (em__json_doc){0};
    size_t depth = depth_of(text, length);
    if (depth > EM__JSON_DEPTH) {
        em__fail(EM_ERROR_FORMAT, "%s: JSON is nested %zu deep, at most %d is read", source, depth, EM__JSON_DEPTH);
        return em__because(EM_ERROR_FORMAT, EM__CAUSE_JSON);
    }
    json_error_t error = {0}; /* jansson sets its code only when it has a text */
    doc->root = json_loadb(text, length, flags, &error);
    if (!doc->root && !exact && json_error_code(&error) == json_error_numeric_overflow) {
        doc->big_numbers = true;
        error = (json_error_t){0};
        doc->root = json_loadb(text, length, flags | JSON_DECODE_INT_AS_REAL, &error);
    }
    if (!doc->root)
        return fail_parse(source, &error);
    doc->source = em__strdup(source);
    return doc->source ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

em_status em__json_parse(const char *text, size_t length, const char *source, em__json_doc *doc)
{
    return parse(text, length, source, false, doc);
}

em_status em__json_parse_exact(const char *text, size_t length, const char *source, em__json_doc *doc)
{
    return parse(text, length, source, true, doc);
}

em_status em__json_load(const char *path, size_t cap, em__json_doc *doc)
{
    char *text;
    size_t length;
    *doc = (em__json_doc){0};
    EM__TRY(em__file_read(path, cap, &text, &length));
    em_status status = em__json_parse(text, length, path, doc);
    em__free(text);
    return status;
}

em_status em__json_load_at(const char *dir, const char *name, bool *there, em__json_doc *doc)
{
    char *path = em__path_join(dir, name);
    *doc = (em__json_doc){0};
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    const bool wanted = !there || em__path_exists(path);
    if (there)
        *there = wanted;
    const size_t cap = strcmp(name, "tokenizer_config.json") == 0 ? EM__JSON_TOKENIZER_CAP : EM__JSON_CAP;
    const em_status status = wanted ? em__json_load(path, cap, doc) : EM_OK;
    em__free(path);
    return status;
}

void em__json_text_free(char *text)
{
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (text)
        release(text);
}

void em__json_free(em__json_doc *doc)
{
    json_decref(doc->root);
    em__free(doc->source);
    *doc = (em__json_doc){0};
}

em__json em__json_root(const em__json_doc *doc)
{
    return (em__json){.value = doc->root, .doc = doc};
}

/* The document, if its loading came to EM_OK and there is one; frees it. */
static em_status read_object(em_status loaded, em__json_doc *doc, em__json_reader read, void *into)
{
    const em__json root = em__json_root(doc);
    em_status status = loaded;
    if (status == EM_OK && root.value)
        status = em__json_as_object(&root);
    if (status == EM_OK && root.value)
        status = read(&root, into);
    em__json_free(doc);
    return status;
}

em_status em__json_read(const char *path, em__json_reader read, void *into)
{
    em__json_doc doc;
    const em_status loaded = em__json_load(path, EM__JSON_CAP, &doc);
    return read_object(loaded, &doc, read, into);
}

em_status em__json_read_at(const char *dir, const char *name, bool *there, em__json_reader read, void *into)
{
    em__json_doc doc;
    const em_status loaded = em__json_load_at(dir, name, there, &doc);
    return read_object(loaded, &doc, read, into);
}

em__json em__json_item(const em__json *array, size_t index)
{
    return (em__json){json_array_get(array->value, index), array->doc, array, NULL, index};
}

em__json em__json_member(const em__json *object, const char *key)
{
    return (em__json){json_object_get(object->value, key), object->doc, object, key, 0};
}

/* Writes "a.b[2]" into out; a key with odd characters is quoted. Returns the length, below `size`. */
static size_t print_path(const em__json *at, char *out, size_t size)
{
    if (!at->parent)
        return 0;
    size_t n = print_path(at->parent, out, size);
    if (n + 1 >= size)
        return n;
    int m;
    if (at->key) {
        char key[160];
        em__printable(key, sizeof key, at->key);
        bool plain = at->key[0] && !strpbrk(key, ".[]\" ?");
        m = snprintf(out + n, size - n, plain ? "%s%s" : "%s\"%s\"", n ? "." : "", key);
    } else {
        m = snprintf(out + n, size - n, "[%zu]", at->index);
    }
    return m < 0 ? n : n + (size_t)m < size ? n + (size_t)m : size - 1;
}

em_status em__json_fail(const em__json *at, em_status status, const char *format, ...)
{
    char path[320] = "";
    va_list args;
    va_start(args, format);
    em__vfail(status, format, args);
    va_end(args);
    if (print_path(at, path, sizeof path) > 0)
        em__context(status, "%s", path);
    em__context(status, "%s", at->doc->source);
    return em__because(status, EM__CAUSE_JSON);
}

/* "expected <wanted>, got <what stands there>". */
static em_status fail_type(const em__json *at, const char *wanted)
{
    char text[80];
    json_t *v = at->value;
    if (!v)
        return em__json_fail(at, EM_ERROR_FORMAT, "is missing, expected %s", wanted);
    if (json_is_string(v))
        return em__json_fail(at, EM_ERROR_FORMAT, "expected %s, got the string \"%s\"", wanted,
                             em__printable(text, sizeof text, json_string_value(v)));
    if (json_is_integer(v))
        return em__json_fail(at, EM_ERROR_FORMAT, "expected %s, got %lld", wanted, (long long)json_integer_value(v));
    if (json_is_real(v))
        return em__json_fail(at, EM_ERROR_FORMAT, "expected %s, got %.17g", wanted, json_real_value(v));
    static const char *const kinds[] = {[JSON_OBJECT] = "an object",
                                        [JSON_ARRAY] = "an array",
                                        [JSON_TRUE] = "true",
                                        [JSON_FALSE] = "false",
                                        [JSON_NULL] = "null"};
    return em__json_fail(at, EM_ERROR_FORMAT, "expected %s, got %s", wanted, kinds[json_typeof(v)]);
}

em_status em__json_as_int(const em__json *at, int64_t min, int64_t max, int64_t *value)
{
    int64_t got;
    bool fits = json_is_integer(at->value);
    if (fits) {
        got = json_integer_value(at->value);
    } else if (at->doc->big_numbers && json_is_real(at->value)) {
        double real = json_real_value(at->value);
        fits = real == floor(real) && fabs(real) <= 9007199254740992.0;
        got = fits ? (int64_t)real : 0;
    }
    if (fits && got >= min && got <= max)
        return *value = got, EM_OK;
    char wanted[80];
    if (max == INT64_MAX)
        snprintf(wanted, sizeof wanted, "an integer of %lld or more", (long long)min);
    else
        snprintf(wanted, sizeof wanted, "an integer of %lld .. %lld", (long long)min, (long long)max);
    return fail_type(at, wanted);
}

em_status em__json_as_real(const em__json *at, double min, double max, double *value)
{
    double got = json_number_value(at->value);
    if (json_is_number(at->value) && got >= min && got <= max)
        return *value = got, EM_OK;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "a number of %.6g .. %.6g", min, max);
    return fail_type(at, wanted);
}

em_status em__json_as_bool(const em__json *at, bool *value)
{
    if (!json_is_boolean(at->value))
        return fail_type(at, "true or false");
    *value = json_is_true(at->value);
    return EM_OK;
}

em_status em__json_as_string(const em__json *at, const char **value)
{
    if (!json_is_string(at->value))
        return fail_type(at, "a string");
    *value = json_string_value(at->value);
    return EM_OK;
}

em_status em__json_as_object(const em__json *at)
{
    return json_is_object(at->value) ? EM_OK : fail_type(at, "an object");
}

em_status em__json_as_array(const em__json *at, size_t *size)
{
    if (!json_is_array(at->value))
        return fail_type(at, "an array");
    *size = json_array_size(at->value);
    return EM_OK;
}
