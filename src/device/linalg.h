/*
 * The frame of linear algebra, which the devices share: it brings each matrix of a batch into column-major memory
 * without holes, calls the device's routine, and stores the results. What has no answer for a routine (non-finite
 * matrices, empty ones) never reaches it.
 *
 * Work is cut into slots, each with memory of its own, which take the matrices of the batch in turn. How many there are
 * follows from the shapes alone.
 */
#ifndef EM_DEVICE_LINALG_H
#define EM_DEVICE_LINALG_H

#include <stdatomic.h>

#include "device/device.h"

/* Column-major, without holes: element (i, j) is at j * rows + i. */
typedef struct em__matrix {
    em_dtype dtype;
    int64_t rows, columns;
    void *data;
} em__matrix;

/* A routine takes its memory from here; with `base` NULL it only says how much it will take. */
typedef struct em__workspace {
    char *base;
    size_t used;
} em__workspace;
void *em__workspace_take(em__workspace *workspace, int64_t count, size_t size);

typedef struct em__linalg em__linalg;

/*
 * Operands `in` (may be destroyed) to results `out` (uninitialised), all of the frame's working dtype but for singular
 * values and eigenvalues, which are real. Takes all its memory first and returns when the workspace is only measuring.
 * Not 0: the matrix has no answer. -1 while measuring: the library can't work on this size.
 *
 *   LU a -> p, l, u            QR a -> q, r                CHOLESKY a -> factor; the other half of a is 0
 *   EIGH a -> values, vectors  SVD a -> s, u, vt           SOLVE a, b -> x        DETERMINANT a -> 1 x 1
 *   TRIANGULAR_SOLVE a, b -> x: op(a) x = b by `transform`; sides are the frame's business
 */
typedef int (*em__linalg_fn)(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace);

typedef enum em__half { EM__WHOLE, EM__LOWER, EM__UPPER } em__half;

struct em__linalg {
    em__op op;
    em__linalg_fn routine;
    const int64_t *ints;
    int n_in, n_out;
    int64_t batch, slots;
    em__tensor in[2], out[3];
    em__matrix in_matrix[2], out_matrix[3]; /* without data */
    size_t slot_bytes, work_at;             /* of a slot; where the routine's own memory begins */
    em__half half;                          /* the part of operand 0 that is read; the rest is 0 */
    char transform;                         /* of a triangular solve: 'N', 'T' or 'C' */
    bool unit, swap, conjugate;             /* unit diagonal; b and x are transposed, and conjugated */
    atomic_int_fast64_t failed;             /* the first matrix without an answer; the batch's size: none */
};

/* Decodes the call for a routine that works in `work`. EM_ERROR_UNSUPPORTED when a matrix is too large. */
em_status em__linalg_open(const em__call *call, em_dtype work, em__linalg_fn routine, em__linalg *job);

/* Bytes of all slots. */
size_t em__linalg_scratch(const em__linalg *job);

/* All matrices of one slot, in scratch of em__linalg_scratch bytes, 64-byte aligned. Slots may run on any threads. */
void em__linalg_slot(em__linalg *job, void *scratch, int64_t slot);

/* After all slots: EM_OK, or the error that names the first matrix without an answer. */
em_status em__linalg_close(em__linalg *job);

#endif
