/* Vocabularies of the models. */
#ifndef EM_TOKENIZER_LOAD_MODEL_H
#define EM_TOKENIZER_LOAD_MODEL_H

#include "tokenizer/load.h"

/* {"token": id, ...} */
em_status em__load_vocab(em__vocab *vocab, em__tokjson_range range);

em_status em__load_bpe(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab, em__tokjson_range merges);
em_status em__load_unigram(em_tokenizer *tok, const json_t *value, em__tokjson_range vocab);

/* The ids of <0xNN> and of the byte-level characters. */
void em__find_byte_tokens(em__model *model);

#endif
