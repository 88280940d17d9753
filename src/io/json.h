/*
 * JSON, read strictly, with errors that say where: a thin layer over jansson.
 *
 *     em__json_doc doc;
 *     EM__TRY(em__json_load(path, EM__JSON_CAP, &doc));
 *     em__json root = em__json_root(&doc), rope;
 *     int64_t hidden;
 *     status = em__json_get_int(&root, "hidden_size", 1, 1 << 20, &hidden);
 *     ... /models/x/config.json: hidden_size: expected an integer of 1 .. 1048576, got 0
 *     em__json_free(&doc);
 *
 * An em__json is a place in a document. It borrows from the document and points to the place it was reached from, so
 * keep the parent alive (both usually stand in one function). Nothing here allocates once the document is read.
 *
 * Documents are at most EM__JSON_DEPTH deep, have no duplicate keys, no NUL in strings, valid UTF-8. An integer beyond
 * 64 bits (model_max_length is often 10^30) is read as the nearest real.
 */
#ifndef EM_IO_JSON_H
#define EM_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <emily/status.h>

/* Bytes of a file; a parsed document takes up to fifty times as many. A configuration may list labels by the ten
 * thousand, tokenizer_config.json its added tokens, and an index has a line for each tensor. */
#define EM__JSON_CAP ((size_t)4 << 20)
#define EM__JSON_TOKENIZER_CAP ((size_t)8 << 20)
#define EM__JSON_INDEX_CAP ((size_t)16 << 20)
#define EM__JSON_DEPTH 64

typedef struct em__json_doc {
    json_t *root;
    char *source;     /* the file's name, for messages */
    bool big_numbers; /* an integer did not fit 64 bits: all numbers were read as reals */
} em__json_doc;       /* zero-initialised: empty */

typedef struct em__json {
    json_t *value; /* borrowed; NULL when an optional member is absent */
    const em__json_doc *doc;
    const struct em__json *parent; /* NULL at the root */
    const char *key;               /* in an object; NULL: `index` in an array */
    size_t index;
} em__json;

/* The document must be an object or an array. `source` is copied. Free with em__json_free also after a failure. */
em_status em__json_parse(const char *text, size_t length, const char *source, em__json_doc *doc);

/* For tokenizer.json: strings may hold NUL, and an integer beyond 64 bits is an error. */
em_status em__json_parse_exact(const char *text, size_t length, const char *source, em__json_doc *doc);
em_status em__json_load(const char *path, size_t cap, em__json_doc *doc);

/* DIR/NAME, of as many bytes as a file of that name may have. Unless `there` is NULL a file that is not there is fine,
 * and said. */
em_status em__json_load_at(const char *dir, const char *name, bool *there, em__json_doc *doc);
void em__json_free(em__json_doc *doc); /* NULL members are fine */

/* Frees what json_dumps gave; NULL is fine. */
void em__json_text_free(char *text);

em__json em__json_root(const em__json_doc *doc);

/* Files that hold one object: `read` gets it, unless there is none, and `into`; then the document is freed. */
typedef em_status (*em__json_reader)(const em__json *root, void *into);
em_status em__json_read(const char *path, em__json_reader read, void *into);
em_status em__json_read_at(const char *dir, const char *name, bool *there, em__json_reader read, void *into);

/* EM_ERROR_FORMAT, or `status`, with "<source>: <path>: " before the text; for rules beyond the types below. */
em_status em__json_fail(const em__json *at, em_status status, const char *format, ...) EM_PRINTF(3, 4);

/* Present and not null? */
bool em__json_has(const em__json *object, const char *key);

/* The value at a place. Strings are borrowed. An integer is a real too; a real is never an integer, unless it stands
 * for an integer of a document with big_numbers and is exact. Bounds are inclusive; JSON has no non-finite reals. */
em_status em__json_as_int(const em__json *at, int64_t min, int64_t max, int64_t *value);
em_status em__json_as_real(const em__json *at, double min, double max, double *value);
em_status em__json_as_bool(const em__json *at, bool *value);
em_status em__json_as_string(const em__json *at, const char **value);
em_status em__json_as_object(const em__json *at);
em_status em__json_as_array(const em__json *at, size_t *size);

/* Required members: absent and null are errors. */
em_status em__json_get_int(const em__json *object, const char *key, int64_t min, int64_t max, int64_t *value);
em_status em__json_get_real(const em__json *object, const char *key, double min, double max, double *value);
em_status em__json_get_bool(const em__json *object, const char *key, bool *value);
em_status em__json_get_string(const em__json *object, const char *key, const char **value);
em_status em__json_get_object(const em__json *object, const char *key, em__json *member);
em_status em__json_get_array(const em__json *object, const char *key, em__json *member, size_t *size);

/* Optional members: absent and null leave `*value` alone, or set member->value to NULL and `*size` to 0; a value of the
 * wrong type is still an error. */
em_status em__json_opt_int(const em__json *object, const char *key, int64_t min, int64_t max, int64_t *value);
em_status em__json_opt_real(const em__json *object, const char *key, double min, double max, double *value);
em_status em__json_opt_bool(const em__json *object, const char *key, bool *value);
em_status em__json_opt_string(const em__json *object, const char *key, const char **value);
em_status em__json_opt_object(const em__json *object, const char *key, em__json *member);
em_status em__json_opt_array(const em__json *object, const char *key, em__json *member, size_t *size);

/* Element `index` of an array (it must exist), member `key` of an object (value NULL when absent). */
em__json em__json_item(const em__json *array, size_t index);
em__json em__json_member(const em__json *object, const char *key);

/* Copies `text` for a message: control characters become '?', and what does not fit ends in "...". Returns `out`. */
const char *em__printable(char *out, size_t size, const char *text);

#endif
