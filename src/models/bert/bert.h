/* BertModel and its heads' bodies: BERT, MiniLM, e5, bge. */
#ifndef EM_MODELS_BERT_BERT_H
#define EM_MODELS_BERT_BERT_H

#include "models/family.h"

extern const em__family em__bert;

#endif
