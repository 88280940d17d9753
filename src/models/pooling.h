/* The settings of sentence-transformers' Pooling and Transformer modules; parts of em__modules_read. */
#ifndef EM_MODELS_POOLING_H
#define EM_MODELS_POOLING_H

#include "models/modules.h"

/* config.json of a Pooling module in `dir`: modes in either spelling, and include_prompt. */
em_status em__pooling_read(const char *dir, em__modules *modules);

/* How many tokens a text may have, where longer ones are cut, and whether it is lowercased, from the files in
 * modules->transformer: sentence_bert_config.json (or its namesakes), else tokenizer_config.json. Missing files are
 * fine. (limits.c) */
em_status em__limits_read(em__modules *modules);

#endif
