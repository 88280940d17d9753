/* Vocabularies of the models. */
#ifndef EM_TOKENIZER_LOAD_MODEL_H
#define EM_TOKENIZER_LOAD_MODEL_H

#include "tokenizer/load.h"

/* {"token": id, ...} */
em_status em__load_vocab(em__vocab *vocab, em__tokjson_range range);

#endif
