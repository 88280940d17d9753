/* Matrices between a tensor's strides and column-major memory. */
#ifndef EM_DEVICE_LINALG_MOVE_H
#define EM_DEVICE_LINALG_MOVE_H

#include "device/linalg.h"

/* How elements move: one triangle (the other becomes 0), a diagonal of ones, transposed, conjugated. */
typedef struct em__move {
    em__half half;
    bool unit, swap, conjugate;
} em__move;

/* Matrix `index` of the tensor's batch, its last two axes, into `to`, whose dtype is as wide or wider. */
void em__matrix_load(const em__tensor *from, int64_t index, em__move move, em__matrix *to);

/* Back to matrix `index`; the tensor's last `axes` axes hold it: none a scalar, one a column. */
void em__matrix_store(const em__matrix *from, int axes, int64_t index, em__move move, em__tensor *to);

bool em__matrix_is_finite(const em__matrix *matrix);

/* `diagonal` on the diagonal, `rest` elsewhere. */
void em__matrix_fill(em__matrix *matrix, double rest, double diagonal);

#endif
