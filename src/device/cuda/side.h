/*
 * An operand of a contraction seen as a batch of matrices, [batch][rows][depth]: where its axes step evenly it is read
 * where it lies, otherwise from a row-major copy in scratch.
 */
#ifndef EM_DEVICE_CUDA_SIDE_H
#define EM_DEVICE_CUDA_SIDE_H

#include "device/cuda/blas.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em__side {
    int64_t batch, rows, depth;
    em__matrix as;      /* as the product reads it */
    em__tensor ordered; /* the operand with its axes in that order */
    size_t copied;      /* bytes of scratch for the copy, a multiple of 256; 0: it lies well */
} em__side;

em__side em__side_of(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch, int n_batch);

/* The operand's matrix: its data, or the copy that is asked for here, at *room, which moves on. */
em_status em__side_place(em__cuda *cuda, em__side *side, char **room, const void **data);

/* Elements from one row to the next, and from one step of depth to the next. */
static inline int64_t em__matrix_row_step(const em__matrix *m)
{
    return m->across ? 1 : m->ld;
}

static inline size_t em__scratch_bytes(int64_t elements, em_dtype dtype)
{
    return ((size_t)elements * em_dtype_size(dtype) + 255) / 256 * 256;
}

#ifdef __cplusplus
}
#endif
#endif
