/* Reading the parts of tokenizer.json. Every function fails with a message that names the part and the member. */
#ifndef EM_TOKENIZER_LOAD_H
#define EM_TOKENIZER_LOAD_H

#include "tokenizer/json.h"
#include "tokenizer/tokenizer.h"

enum { EM_LOAD_DEPTH = 16 }; /* sequences within sequences */
enum { EM_LOAD_STEPS = 64 }; /* of one kind; each passes over every text, and models have up to 20 */

em_status em__load_normalizer(em_tokenizer *tok, const json_t *value, int depth);
/* With `normalizer` loaded: what is done to it by what stands beside the file. (beside.c) */
em_status em__load_beside(em_tokenizer *tok, const json_t *normalizer, em__beside *beside);
em_status em__load_pretokenizer(em_tokenizer *tok, const json_t *value, int depth);
em_status em__load_model(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab, em__tokjson_range merges);
em_status em__load_added(em_tokenizer *tok, const json_t *value);
em_status em__load_post(em_tokenizer *tok, const json_t *value, int depth);
em_status em__load_decoder(em_tokenizer *tok, const json_t *value, int depth);

/* Each part of the list under `key`, one level deeper. */
em_status em__load_sequence(em_tokenizer *tok, const json_t *value, const char *where, const char *key,
                            em_status (*load)(em_tokenizer *tok, const json_t *value, int depth), int depth);

/* Whether a step can come after `count` others of its kind. */
em_status em__load_step(size_t count, const char *where);

/* "type" of a part. */
em_status em__load_type(const json_t *value, const char *where, const char **type);

/* A copy in the tokenizer's arena. */
em_status em__load_text(em_tokenizer *tok, const char *text, size_t length, em__bytes *out);

/* A string member, copied. Missing: *out stays as it was. */
em_status em__load_member(em_tokenizer *tok, const json_t *object, const char *where, const char *key, bool required,
                          em__bytes *out);

/* A string member that is one character. */
em_status em__load_char(const json_t *object, const char *where, const char *key, uint32_t *out);

/* {"String": text} or {"Regex": expression} under "pattern". */
em_status em__load_pattern(em_tokenizer *tok, const json_t *object, const char *where, em__pattern *out);

/* "prepend_scheme" and "add_prefix_space" of a Metaspace. */
em_status em__load_prepend_scheme(const json_t *value, const char *where, em__prepend *prepend);

/* The index of `value` in a list of names that ends with NULL; an error that names it if it is not there. */
em_status em__load_choice(const char *where, const char *value, const char *const *names, int *choice);

#endif
