/* Reading the map of a Precompiled normalizer. */
#ifndef EM_TOKENIZER_LOAD_PRECOMPILED_H
#define EM_TOKENIZER_LOAD_PRECOMPILED_H

#include "tokenizer/load.h"
#include "tokenizer/utf8.h"

em_status em__load_precompiled(em_tokenizer *tok, const json_t *value, em__precompiled *map);

#endif
