/*
 * What sentence-transformers wrote beside the weights, honoured as it honours it: modules.json and the folder of each
 * module, sentence_bert_config.json, config_sentence_transformers.json. A checkpoint without modules.json is mean
 * pooled, as there. All files are untrusted: paths stay inside the checkpoint's directory.
 */
#ifndef EM_MODELS_MODULES_H
#define EM_MODELS_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/model.h>

#include "io/json.h"
#include "models/config.h"

#define EM__POOL_COUNT (EM_POOL_WEIGHTED + 1)
#define EM__TASK_COUNT (EM_TASK_DOCUMENT + 1)

typedef enum em__side { EM__SIDE_UNSAID, EM__SIDE_RIGHT, EM__SIDE_LEFT } em__side;

/* What happens to a pooled vector, in order. */
typedef struct em__stage {
    char *dir; /* of a dense module; NULL: make it unit length */
    int64_t in, out;
    bool has_bias;
    em__activation activation;
    em_array *weight, *bias; /* once em__stages_load ran */
} em__stage;

typedef struct em__prompt {
    char *name, *text;
} em__prompt;

typedef struct em__modules {
    char *transformer;             /* directory of config.json, weights and tokenizer */
    bool plain;                    /* there is no modules.json */
    em_pool pools[EM__POOL_COUNT]; /* their results are concatenated in this order */
    int n_pools;
    bool include_prompt; /* false: a prompt's tokens are not pooled */
    em__stage *stages;
    size_t n_stages;
    int64_t max_tokens;                    /* special tokens included; 0: not said */
    int64_t query_tokens, document_tokens; /* for these tasks instead; 0: not said */
    em__side truncation_side;              /* where a longer text is cut */
    bool lowercase;
    em_similarity similarity; /* of sentence vectors */
    int64_t truncate_dim;     /* elements of a sentence vector that are kept, the last stage behind; 0: all */
    em__prompt *prompts;
    size_t n_prompts;
    const char *default_prompt; /* text of one of `prompts`; NULL: none */
} em__modules;                  /* zero-initialised: empty */

/* Reads the checkpoint in `dir`. On failure *modules is empty. */
em_status em__modules_read(const char *dir, em__modules *modules);
void em__modules_free(em__modules *modules);

/* With the model's hidden size known: checks that each dense stage takes what it is given, maps its weights and casts
 * them to f32 where they are stored otherwise. *width is the size of a sentence vector. (stages.c) */
em_status em__stages_load(em__modules *modules, int64_t hidden, em_device *device, int64_t *width);

/* config_sentence_transformers.json, when `dir` has one (prompts.c). */
em_status em__prompts_read(const char *dir, em__modules *modules);
/* The text of the prompt called `name`; EM_ERROR_NOT_FOUND lists those that exist. */
em_status em__prompts_find(const em__modules *modules, const char *name, const char **text);
/* The text of the prompt that has a task's name, "" where there is none. */
const char *em__prompts_of_task(const em__modules *modules, em_task task);
void em__prompts_free(em__modules *modules);

/* Its similarity_fn_name, if it has one (similarity.c). */
em_status em__similarity_read(const em__json *root, em_similarity *similarity);

#endif
