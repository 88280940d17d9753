/* Elements of matrices: each is read as a real and an imaginary part, by tiles so that both sides stay in cache. */
#include "device/linalg_move.h"

#include <math.h>

#define TILE 16

typedef struct element {
    double re, im;
} element;

static inline element load(em_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case EM_F32: return (element){(double)((const float *)data)[i], 0};
    case EM_F64: return (element){((const double *)data)[i], 0};
    case EM_C64: return (element){(double)((const float *)data)[2 * i], (double)((const float *)data)[2 * i + 1]};
    default: return (element){((const double *)data)[2 * i], ((const double *)data)[2 * i + 1]};
    }
}

static inline void store(em_dtype dtype, void *data, int64_t i, element x)
{
    switch (dtype) {
    case EM_F32: ((float *)data)[i] = (float)x.re; break;
    case EM_F64: ((double *)data)[i] = x.re; break;
    case EM_C64:
        ((float *)data)[2 * i] = (float)x.re;
        ((float *)data)[2 * i + 1] = (float)x.im;
        break;
    default:
        ((double *)data)[2 * i] = x.re;
        ((double *)data)[2 * i + 1] = x.im;
        break;
    }
}

/* Elements from the tensor's memory to matrix `index` of its batch, whose last `axes` axes are not batch. */
static int64_t batch_offset(const em__tensor *tensor, int axes, int64_t index)
{
    int64_t offset = 0;
    for (int i = tensor->spec.rank - axes - 1; i >= 0; i--) {
        offset += index % tensor->spec.dims[i] * tensor->strides[i];
        index /= tensor->spec.dims[i];
    }
    return offset;
}

/* Element (i, j) of one matrix in memory. */
typedef struct grid {
    em_dtype dtype;
    char *data;
    int64_t down, across; /* elements */
} grid;

static grid grid_of(const em__tensor *tensor, int axes, int64_t index, bool swap)
{
    int rank = tensor->spec.rank;
    grid g = {.dtype = tensor->spec.dtype, .data = tensor->data};
    g.data += batch_offset(tensor, axes, index) * (int64_t)em_dtype_size(g.dtype);
    g.down = axes == 2 ? tensor->strides[rank - 2] : axes == 1 ? tensor->strides[rank - 1] : 0;
    g.across = axes == 2 ? tensor->strides[rank - 1] : 0;
    if (swap)
        g = (grid){g.dtype, g.data, g.across, g.down};
    return g;
}

static inline element wanted(em__move move, int64_t i, int64_t j, element x)
{
    if ((move.half == EM__LOWER && j > i) || (move.half == EM__UPPER && i > j))
        return (element){0, 0};
    if (move.unit && i == j)
        return (element){1, 0};
    if (move.conjugate)
        x.im = -x.im;
    return x;
}

static void move_elements(grid from, grid to, int64_t rows, int64_t columns, em__move move)
{
    for (int64_t i0 = 0; i0 < rows; i0 += TILE)
        for (int64_t j0 = 0; j0 < columns; j0 += TILE)
            for (int64_t j = j0; j < columns && j < j0 + TILE; j++)
                for (int64_t i = i0; i < rows && i < i0 + TILE; i++) {
                    element x = load(from.dtype, from.data, i * from.down + j * from.across);
                    store(to.dtype, to.data, i * to.down + j * to.across, wanted(move, i, j, x));
                }
}

void em__matrix_load(const em__tensor *from, int64_t index, em__move move, em__matrix *to)
{
    grid target = {to->dtype, to->data, 1, to->rows};
    move_elements(grid_of(from, 2, index, move.swap), target, to->rows, to->columns, move);
}

void em__matrix_store(const em__matrix *from, int axes, int64_t index, em__move move, em__tensor *to)
{
    grid source = {from->dtype, from->data, 1, from->rows};
    move_elements(source, grid_of(to, axes, index, move.swap), from->rows, from->columns, move);
}

bool em__matrix_is_finite(const em__matrix *matrix)
{
    int64_t n = matrix->rows * matrix->columns;
    for (int64_t i = 0; i < n; i++) {
        element x = load(matrix->dtype, matrix->data, i);
        if (!isfinite(x.re) || !isfinite(x.im))
            return false;
    }
    return true;
}

void em__matrix_fill(em__matrix *matrix, double rest, double diagonal)
{
    for (int64_t j = 0; j < matrix->columns; j++)
        for (int64_t i = 0; i < matrix->rows; i++) {
            double x = i == j ? diagonal : rest;
            store(matrix->dtype, matrix->data, j * matrix->rows + i, (element){x, isnan(x) ? x : 0});
        }
}
