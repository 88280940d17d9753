/*
 * Reading tokenizer.json in two ways.
 *
 * Its two big parts, model.vocab and model.merges (10^5 entries and more), are streamed straight into our tables; the
 * rest, a few kilobytes, becomes a jansson document. em__tokjson_split cuts the one from the other: it copies the file
 * without the two values (null stands in their place) and says where they were.
 */
#ifndef EM_TOKENIZER_JSON_H
#define EM_TOKENIZER_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "core/str.h"

typedef struct em__tokjson_range {
    const char *start, *end; /* NULL when the file lacks the value */
    size_t count;            /* its entries: commas at its own depth and one, an upper bound for malformed text */
} em__tokjson_range;

/* The file must be well-formed UTF-8. EM_ERROR_FORMAT where brackets and strings do not match. */
em_status em__tokjson_split(const char *json, size_t length, em__str *rest, em__tokjson_range *vocab,
                            em__tokjson_range *merges);

/* Whether the value can have its entries, of which the shortest, comma and all, takes `least` bytes. Asked before
 * tables are made for them: commas alone would take fifty times their bytes there. */
em_status em__tokjson_check(em__tokjson_range range, const char *what, size_t least);

/* Cursor over one streamed value. */
typedef struct em__tokjson {
    const char *start, *at, *end;
    const char *what;  /* for messages: "model.vocab" */
    em__str unescaped; /* holds the last string that had escapes; free with em__str_free */
} em__tokjson;

/* What stands at the cursor, after white space: one of { } [ ] , : " or the first character of a number or word;
 * '\0' at the end. */
char em__tokjson_peek(em__tokjson *json);

/* Passes over `c`, which must stand there. */
em_status em__tokjson_expect(em__tokjson *json, char c);

/* At the start of an element or at the end of a list that `close` ends: sets *more, and passes over the comma or the
 * closing bracket. `first` is true before the first element. */
em_status em__tokjson_more(em__tokjson *json, char close, bool first, bool *more);

/* Reads a string; *text is valid until the next one is read. */
em_status em__tokjson_string(em__tokjson *json, const char **text, size_t *length);

/* Reads a whole number, and any number. */
em_status em__tokjson_integer(em__tokjson *json, int64_t *value);
em_status em__tokjson_number(em__tokjson *json, double *value);

/* An error about what stands at the cursor. */
em_status em__tokjson_fail(const em__tokjson *json, const char *expected);

/* Members of the jansson document, `where` naming the object in messages. A missing member leaves *value as it was, and
 * is an error if `required`. A member that is null counts as missing. */
em_status em__tokjson_bool(const json_t *object, const char *where, const char *key, bool required, bool *value);
em_status em__tokjson_size(const json_t *object, const char *where, const char *key, bool required, size_t *value);
em_status em__tokjson_text(const json_t *object, const char *where, const char *key, bool required, const char **text,
                           size_t *length);

#endif
