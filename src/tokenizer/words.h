/*
 * Hand-made splitters for the regular expressions that byte-level vocabularies are made with. Each takes text at a
 * place and says where the match that begins there ends; every character is in some match.
 */
#ifndef EM_TOKENIZER_WORDS_H
#define EM_TOKENIZER_WORDS_H

#include <stddef.h>

typedef enum em__words {
    EM_WORDS_NONE,
    EM_WORDS_GPT2,    /* GPT-2, RoBERTa: ByteLevel's own */
    EM_WORDS_DIGITS1, /* Qwen: contractions in any case, numbers of one digit */
    EM_WORDS_DIGITS3  /* Llama 3, cl100k: the same with up to three digits */
} em__words;

/* The splitter that does what the expression says, EM_WORDS_NONE if there is none. */
em__words em__words_find(const char *regex, size_t length);

/* The end of the match at `at` < `end`. */
const char *em__words_next(em__words words, const char *at, const char *end);

#endif
