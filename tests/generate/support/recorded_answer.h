/* A prompt, and answers to it, of the recorded decoders. What fails ends the test. */
#ifndef EM_TESTS_GENERATE_RECORDED_ANSWER_H
#define EM_TESTS_GENERATE_RECORDED_ANSWER_H

#include <emily/generation.h>

enum { PROMPT_LENGTH = 13 };
extern const int32_t prompt[PROMPT_LENGTH];

/* The checkpoint tests/golden/decoders/NAME. */
em_model *open_model(const char *name);

/* A generation with these options. */
em_generation *begin(em_model *model, em_generation_options options);

/* The answer to ids, copied; returns its length. */
size_t answer(em_generation *g, const int32_t *ids, size_t n, int32_t *out);

#endif
