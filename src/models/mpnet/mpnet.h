/* MPNetModel: all-mpnet-base and its kin. */
#ifndef EM_MODELS_MPNET_MPNET_H
#define EM_MODELS_MPNET_MPNET_H

#include "models/family.h"

extern const em__family em__mpnet;

#endif
