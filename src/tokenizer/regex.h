/*
 * Patterns of Split and Replace: a literal, or a regular expression in Oniguruma's syntax matched by PCRE2.
 *
 * The two dialects differ in places. The pattern is translated where the meaning can be kept (white space, word
 * characters, letters and digits that PCRE2's Unicode does not know yet) and refused, by EM_ERROR_UNSUPPORTED, where it
 * cannot.
 */
#ifndef EM_TOKENIZER_REGEX_H
#define EM_TOKENIZER_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

typedef struct em__pattern {
    const char *literal; /* NULL: a regular expression */
    size_t literal_length;
    pcre2_code *code;
} em__pattern;

/* What matching needs of its own, one a thread. Zero-initialise. */
typedef struct em__matching {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
} em__matching;

/* Iteration over the matches of one text. */
typedef struct em__matches {
    const em__pattern *pattern;
    em__matching *matching;
    const char *text;
    size_t length, at, last_end;
    bool had_match;
} em__matches;

em_status em__pattern_compile(const char *where, const char *regex, size_t length, em__pattern *pattern);
void em__pattern_free(em__pattern *pattern);
void em__matching_free(em__matching *matching);

/* Begins an iteration; the text is well-formed UTF-8. */
em_status em__matches_begin(em__matches *matches, const em__pattern *pattern, em__matching *matching, const char *text,
                            size_t length);

/* The next match, *start <= *end; *found is false when there is none. An empty match right behind the last one is
 * passed over. EM_ERROR_UNSUPPORTED when the expression needs more steps than its limit allows. */
em_status em__matches_next(em__matches *matches, bool *found, size_t *start, size_t *end);

#endif
