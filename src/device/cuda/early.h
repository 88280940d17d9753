/*
 * When a kernel may read constants before em_grid_wait. A replay follows all that was asked before it, so that
 * constants lie ready; a kernel that is launched by itself may overlap the one that made them.
 */
#ifndef EM_DEVICE_CUDA_EARLY_H
#define EM_DEVICE_CUDA_EARLY_H

#include "device/cuda/cuda.h"

/* `constant`: whether all are, of what it reads early. */
static inline bool em__cuda_early(const em__cuda *cuda, bool constant)
{
    return constant && cuda->recording;
}

#endif
