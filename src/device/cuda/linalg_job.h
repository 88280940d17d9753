/*
 * A call of linear algebra as the cuda device sees it: device/linalg.h's frame, in words that C++ reads too. Matrices
 * are column-major without holes while they are worked on, those of a batch one after the other.
 */
#ifndef EM_DEVICE_CUDA_LINALG_JOB_H
#define EM_DEVICE_CUDA_LINALG_JOB_H

#ifdef __cplusplus
extern "C" {
#endif

#include "device/device.h"

typedef enum em__cuda_half { EM__CUDA_WHOLE, EM__CUDA_LOWER, EM__CUDA_UPPER } em__cuda_half;

typedef struct em__cuda_matrix {
    em__tensor tensor;
    em_dtype work; /* what it is worked on in */
    int64_t rows, columns;
    int axes; /* of the tensor that hold a matrix: 2, a column 1, a scalar 0 */
} em__cuda_matrix;

typedef struct em__cuda_linalg {
    em__op op;
    em_dtype work;
    int64_t batch, mode; /* mode: the op's first attribute */
    int n_in, n_out;
    em__cuda_matrix in[2], out[3];
    em__cuda_half half; /* the part of operand 0 that is read; the rest is 0 */
    char transform;     /* of a triangular solve: 'N', 'T' or 'C' */
    bool unit, swap, conjugate;
} em__cuda_linalg;

/* EM_ERROR_UNSUPPORTED when a matrix is too large. */
em_status em__cuda_linalg_open(const em__call *call, em__cuda_linalg *job);

/* The error that names a matrix of the batch as the one without an answer. */
em_status em__cuda_linalg_fail(em__op op, int64_t index, int64_t batch);

#ifdef __cplusplus
}
#endif
#endif
