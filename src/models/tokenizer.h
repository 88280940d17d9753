/* The tokenizer of a checkpoint, read on a thread of its own while the weights are mapped. */
#ifndef EM_MODELS_TOKENIZER_H
#define EM_MODELS_TOKENIZER_H

#include <pthread.h>
#include <stdbool.h>

#include <emily/tokenizer.h>

typedef struct em__tokenizer_load {
    const char *dir; /* holds tokenizer.json */
    bool lowercase;  /* as do_lower_case of sentence-transformers: Lowercase before its own normalizer */
    em_tokenizer *tokenizer;
    em_status status;
    char *error; /* errors belong to threads: the text travels */
    pthread_t thread;
    bool threaded;
} em__tokenizer_load;

/* em__tokenizer_open for those who know the other em__decoder, the language model. */
em_status em__tokenizer_read(const char *dir, bool lowercase, em_tokenizer **tokenizer);

/* Begins to load; `load` must stay where it is until em__tokenizer_join. */
void em__tokenizer_start(em__tokenizer_load *load, const char *dir, bool lowercase);

/* Waits. On success *tokenizer is the caller's. */
em_status em__tokenizer_join(em__tokenizer_load *load, em_tokenizer **tokenizer);

/* Waits and forgets what came; leaves the caller's last error as it is. */
void em__tokenizer_discard(em__tokenizer_load *load);

#endif
