/*
 * The recorded models of tests/golden/models: what Hugging Face's packages answered for each checkpoint.
 */
#ifndef EM_TESTS_RECORDED_H
#define EM_TESTS_RECORDED_H

#include "io/json.h"
#include "io/npy.h"

/* Names of all, NULL-terminated. */
extern const char *const recorded_names[];

/* One text of expected/cases.json; a NULL prompt and prompt_name stand for the checkpoint's default. */
typedef struct recorded_case {
    const char *text, *prompt, *prompt_name;
} recorded_case;

enum { RECORDED_CASES = 64 };

typedef struct recorded {
    const char *dir; /* the checkpoint */
    bool decoder;
    em__npy ids, types, offsets, hidden; /* s32, s32, s32, f64: sequences and their last hidden states */
    em__npy embeddings;                  /* f64: one row a case */
    recorded_case cases[RECORDED_CASES];
    size_t n_cases, n_sequences;
    em__json_doc doc;
    char path[1024];
} recorded;

/* The test fails when a file is missing or wrong. */
void recorded_open(recorded *r, const char *name);
void recorded_close(recorded *r);

#endif
