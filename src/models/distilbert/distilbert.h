/* DistilBertModel: distilbert, distiluse. */
#ifndef EM_MODELS_DISTILBERT_DISTILBERT_H
#define EM_MODELS_DISTILBERT_DISTILBERT_H

#include "models/family.h"

extern const em__family em__distilbert;

#endif
