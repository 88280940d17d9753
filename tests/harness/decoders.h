/*
 * The recorded decoders of tests/golden/decoders: what Transformers answered for each case, which is a checkpoint with
 * some members of its config.json changed.
 *
 *     decoder_case c;
 *     for (size_t i = 0; i < decoder_count(); i++) {
 *         decoder_open(&c, i, "scratch");
 *         ... em_model_open(c.dir, NULL), c.ids + c.offsets[p] ...
 *         decoder_close(&c);
 *     }
 */
#ifndef EM_TESTS_DECODERS_H
#define EM_TESTS_DECODERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <emily/safetensors.h>

enum { DECODER_STEPS = 64 }; /* greedy ids after each prompt */

typedef struct decoder_case {
    const char *name;
    char dir[1024];         /* the checkpoint, in a scratch directory when its config is changed */
    bool chunks;            /* no answer depends on how the prompt is cut */
    size_t prompts, tokens; /* of all prompts */
    size_t vocabulary;
    size_t spellings;       /* of config.json that mean the same */
    const int32_t *ids;     /* [tokens]: prompt p is ids[offsets[p] .. offsets[p + 1] - 1] */
    const int32_t *offsets; /* [prompts + 1] */
    const float *logits;    /* [tokens, vocabulary] */
    const int32_t *greedy;  /* [prompts, DECODER_STEPS] */
    const float *steps;     /* [DECODER_STEPS, vocabulary]: logits behind the last prompt's answer; NULL: not kept */
    em_safetensors *expected;
    json_t *root, *json;
    char scratch[64];
} decoder_case;

size_t decoder_count(void);

/* Opens case `index`; `scratch` names a scratch directory of this test alone. The test fails when anything does. */
void decoder_open(decoder_case *c, size_t index, const char *scratch);

/* Writes the config.json of spelling `index` over that of the case. */
void decoder_spell(decoder_case *c, size_t index);
void decoder_close(decoder_case *c);

/* How many ids prompt p has, and where they are. */
size_t decoder_prompt(const decoder_case *c, size_t p, const int32_t **ids);

#endif
