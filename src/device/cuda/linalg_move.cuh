/*
 * Matrices between tensors and column-major memory, all of a batch at once, and what a matrix with an element that is
 * not finite gets: no routine sees it, its results are NaN.
 */
#ifndef EM_DEVICE_CUDA_LINALG_MOVE_CUH
#define EM_DEVICE_CUDA_LINALG_MOVE_CUH

#include "device/cuda/linalg_job.h"
#include "device/cuda/words.cuh"

/* The part of a column-major matrix that a result is; what is elsewhere counts as 0 (of UNIT: 1 on the diagonal). */
enum em_part { EM_PART_WHOLE, EM_PART_UPPER, EM_PART_LOWER, EM_PART_UNIT_LOWER };

/* How elements move. `swap`: the tensor holds the transpose of the matrix. */
struct em_turn {
    em_part part;
    bool unit, swap, conjugate;
};

/* Operand `in` to `to`; `bad` (NULL: not asked) becomes 1 for each matrix with an element that is not finite. */
em_status em_matrices_in(em__cuda *cuda, const em__cuda_matrix &in, int64_t batch, em_turn turn, void *to, int *bad);

/* The batch's matrices of `bad` become identities: square parts of so many rows and columns. */
em_status em_matrices_mend(em__cuda *cuda, em_dtype work, void *matrices, int64_t rows, int64_t columns, int64_t batch,
                           const int *bad);

/* Result `out` from column-major matrices, `lead` elements a column and `step` a matrix; NaN where `bad`. */
em_status em_matrices_out(em__cuda *cuda, const em__cuda_matrix &out, int64_t batch, em_turn turn, const void *from,
                          int64_t lead, int64_t step, const int *bad);

#endif
