/* BertModel and its heads' bodies: BERT, MiniLM, e5, bge; and the families that share all of it but the positions. */
#ifndef EM_MODELS_BERT_BERT_H
#define EM_MODELS_BERT_BERT_H

#include "models/family.h"

extern const em__family em__bert, em__roberta, em__xlm_roberta, em__camembert;

#endif
