/*
 * Builders that arrange and make: compositions of views, copies and comparisons, exact, with no op of their own. They
 * work on few axes at a time ([outer, axis, inner]), so that rank 8 needs no ninth.
 */
#include <emily/indexing.h>
#include <emily/ops.h>

#include "array/array.h"
#include "core/alloc.h"
#include "core/error.h"

#define MOST_STACKED (1 << 20) /* arrays, as of a concatenation */
#define TILED_AT_ONCE 3        /* axes; each takes two in the broadcast, and one stands behind the last */

static int64_t product(const int64_t *dims, int from, int to)
{
    int64_t size = 1;
    for (int i = from; i < to; i++)
        size *= dims[i];
    return size;
}

em_array *em_full(em_scope *scope, em_dtype dtype, double value, em_dims dims)
{
    return em_broadcast_to(scope, em_scalar(scope, dtype, value), dims);
}

/* Tiles the next few axes from *from on that repeat; *from becomes the axis behind them. */
static em_array *tile_some(em_scope *scope, em_array *a, const int64_t *reps, int *from)
{
    em_dims split = {0}, wide = {0}, out = em_array_dims(a);
    int64_t run = product(out.dims, 0, *from);
    int axis = *from;
    for (; axis < out.rank; axis++) {
        int64_t dim = out.dims[axis];
        if (reps[axis] == 1) {
            run *= dim;
            continue;
        }
        if (split.rank == 2 * TILED_AT_ONCE)
            break;
        split.dims[split.rank] = wide.dims[split.rank] = run;
        split.dims[split.rank + 1] = 1;
        wide.dims[split.rank + 1] = reps[axis];
        split.rank += 2;
        run = dim;
        if (em__mul_overflows(dim, reps[axis], &out.dims[axis]))
            out.dims[axis] = -1; /* an error of the broadcast or the reshape */
    }
    if (split.rank > 0) {
        split.dims[split.rank] = wide.dims[split.rank] = run * product(out.dims, axis, out.rank);
        wide.rank = ++split.rank;
        a = em_reshape(scope, em_broadcast_to(scope, em_reshape(scope, a, split), wide), out);
    }
    *from = axis;
    return a;
}

em_array *em_tile(em_scope *scope, em_array *a, const int64_t *reps)
{
    if (!em__scope_ok(scope, &a, 1, "tile"))
        return NULL;
    int rank = a->spec.rank;
    for (int i = 0; i < rank; i++)
        if (!reps || reps[i] < 0) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "tile: each of %d axes needs a count of 0 or more", rank);
            return em__scope_fail(scope);
        }
    for (int from = 0; from < rank && a;)
        a = tile_some(scope, a, reps, &from);
    return a;
}

em_array *em_repeat(em_scope *scope, em_array *a, int64_t count, int axis)
{
    int at;
    if (!em__scope_ok(scope, &a, 1, "repeat") || !em__axis_of(scope, a, axis, "repeat", &at))
        return NULL;
    em_dims out = em_array_dims(a), split = {.rank = 3};
    if (count < 0 || em__mul_overflows(out.dims[at], count, &out.dims[at])) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "repeat: %lld times does not fit", (long long)count);
        return em__scope_fail(scope);
    }
    split.dims[0] = product(a->spec.dims, 0, at + 1);
    split.dims[1] = 1;
    split.dims[2] = product(a->spec.dims, at + 1, a->spec.rank);
    a = em_reshape(scope, a, split);
    split.dims[1] = count;
    return em_reshape(scope, em_broadcast_to(scope, a, split), out);
}

em_array *em_stack(em_scope *scope, em_array *const *arrays, size_t count, int axis)
{
    if (!em__scope_ok(scope, NULL, 0, "stack"))
        return NULL;
    em_array **rows = arrays && count && count <= MOST_STACKED ? em__calloc(count, sizeof *rows) : NULL;
    if (!rows) {
        if (!arrays || count == 0 || count > MOST_STACKED)
            em__fail(EM_ERROR_INVALID_ARGUMENT, "stack: %zu arrays%s; give 1 to %d", count, arrays ? "" : " at NULL",
                     MOST_STACKED);
        return em__scope_fail(scope);
    }
    int at = 0;
    bool good = em__scope_ok(scope, arrays, 1, "stack");
    if (good && !em__axis(axis, arrays[0]->spec.rank + 1, &at)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "stack: axis %d is out of range for operands of rank %d", axis,
                 arrays[0]->spec.rank);
        good = em__scope_fail(scope) != NULL;
    }
    for (size_t i = 0; i < count && good; i++)
        good = (rows[i] = em_expand_dims(scope, arrays[i], at)) != NULL;
    em_array *out = good ? em_concatenate(scope, rows, count, at) : NULL;
    em__free(rows);
    return out;
}

/* Elements from .. to - 1 along one axis, every step-th. */
static em_array *part(em_scope *scope, em_array *a, int axis, int64_t from, int64_t to, int64_t step)
{
    int64_t start[EM_MAX_RANK] = {0}, stop[EM_MAX_RANK], stride[EM_MAX_RANK];
    if (!a)
        return NULL;
    for (int i = 0; i < a->spec.rank; i++) {
        stop[i] = a->spec.dims[i];
        stride[i] = 1;
    }
    start[axis] = from;
    stop[axis] = to;
    stride[axis] = step;
    return em_slice(scope, a, start, stop, stride);
}

bool em_split(em_scope *scope, em_array *a, const int64_t *at, int count, int axis, em_array **out)
{
    int d;
    for (int i = 0; out && i <= count; i++)
        out[i] = NULL;
    if (!em__scope_ok(scope, &a, 1, "split") || !em__axis_of(scope, a, axis, "split", &d))
        return false;
    int64_t last = 0, dim = a->spec.dims[d];
    bool good = out && count >= 0 && (at || count == 0);
    for (int i = 0; i < count && good; last = at[i++])
        good = at[i] >= last && at[i] <= dim;
    if (!good) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "split: the places must ascend from 0 to %lld, the size of axis %d",
                 (long long)dim, d);
        em__scope_fail(scope);
        return false;
    }
    last = 0;
    for (int i = 0; i <= count && good; i++) {
        int64_t stop = i < count ? at[i] : dim;
        good = (out[i] = part(scope, a, d, last, stop, 1)) != NULL;
        last = stop;
    }
    for (int i = 0; i <= count && !good; i++)
        out[i] = NULL;
    return good;
}

em_array *em_roll(em_scope *scope, em_array *a, int64_t shift, int axis)
{
    int d;
    if (!em__scope_ok(scope, &a, 1, "roll") || !em__axis_of(scope, a, axis, "roll", &d))
        return NULL;
    int64_t dim = a->spec.dims[d], up = dim ? (shift % dim + dim) % dim : 0;
    if (up == 0)
        return a;
    em_array *parts[] = {part(scope, a, d, dim - up, dim, 1), part(scope, a, d, 0, dim - up, 1)};
    return em_concatenate(scope, parts, 2, d);
}

em_array *em_outer(em_scope *scope, em_array *a, em_array *b)
{
    em_array *in[] = {a, b};
    if (!em__scope_ok(scope, in, 2, "outer"))
        return NULL;
    em_dims column = {2, {em__spec_size(&a->spec), 1}}, row = {2, {1, em__spec_size(&b->spec)}};
    return em_mul(scope, em_reshape(scope, a, column), em_reshape(scope, b, row));
}

/* Elements of a diagonal of [rows, columns]; -1, with the scope's error, when it lies beyond them. */
static int64_t diagonal_length(em_scope *scope, int64_t rows, int64_t columns, int64_t offset)
{
    if (offset > columns || offset < -rows) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "diagonal: offset %lld lies beyond [%lld, %lld]", (long long)offset,
                 (long long)rows, (long long)columns);
        em__scope_fail(scope);
        return -1;
    }
    int64_t down = offset < 0 ? rows + offset : rows, right = offset > 0 ? columns - offset : columns;
    return down < right ? down : right;
}

em_array *em_diagonal(em_scope *scope, em_array *a, int64_t offset)
{
    if (!em__scope_ok(scope, &a, 1, "diagonal"))
        return NULL;
    int rank = a->spec.rank;
    if (rank < 2) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "diagonal: the operand has rank %d; 2 or more is needed", rank);
        return em__scope_fail(scope);
    }
    em_dims flat = em_array_dims(a);
    int64_t rows = flat.dims[rank - 2], columns = flat.dims[rank - 1];
    int64_t length = diagonal_length(scope, rows, columns, offset);
    if (length < 0)
        return NULL;
    flat.rank = rank - 1;
    flat.dims[rank - 2] = rows * columns;
    int64_t from = length == 0 ? 0 : offset >= 0 ? offset : -offset * columns;
    int64_t to = length == 0 ? 0 : from + (length - 1) * (columns + 1) + 1;
    return part(scope, em_reshape(scope, a, flat), rank - 2, from, to, columns + 1);
}

em_array *em_make_diagonal(em_scope *scope, em_array *a, int64_t offset)
{
    if (!em__scope_ok(scope, &a, 1, "make_diagonal"))
        return NULL;
    int64_t length = a->spec.rank == 1 ? a->spec.dims[0] : -1, side, size;
    if (length < 0 || offset == INT64_MIN || em__add_overflows(length, offset < 0 ? -offset : offset, &side) ||
        em__mul_overflows(side, side, &size)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT,
                 "make_diagonal: a vector and an offset that fits are needed, not rank %d "
                 "and %lld",
                 a->spec.rank, (long long)offset);
        return em__scope_fail(scope);
    }
    int64_t low = offset >= 0 ? offset : -offset * side;
    low = length ? low : 0;
    int64_t high = size - low - (length ? length + (length - 1) * side : 0);
    em_array *zero = em_scalar(scope, a->spec.dtype, 0);
    return em_reshape(scope, em_pad(scope, a, zero, &low, &high, &side), (em_dims){2, {side, side}});
}

/* pred [rows, columns]: compare(column, row + offset). */
static em_array *band(em_scope *scope, em_dims dims, int64_t offset,
                      em_array *(*compare)(em_scope *, em_array *, em_array *))
{
    int64_t shift = offset;
    int64_t most = (int64_t)1 << 62;
    shift = shift > most ? most : shift < -most ? -most : shift;
    em_array *row = em_iota(scope, EM_S64, (em_dims){2, {dims.dims[dims.rank - 2], 1}}, 0);
    em_array *column = em_iota(scope, EM_S64, (em_dims){2, {1, dims.dims[dims.rank - 1]}}, 1);
    em_array *by = em_constant(scope, EM_S64, &shift, (em_dims){0, {0}});
    return compare(scope, column, em_add(scope, row, by));
}

static em_array *made_band(em_scope *scope, em_dtype dtype, em_dims dims, int64_t offset, const char *what,
                           em_array *(*compare)(em_scope *, em_array *, em_array *))
{
    if (!em__scope_ok(scope, NULL, 0, what))
        return NULL;
    if (dims.rank < 2 || dims.rank > EM_MAX_RANK || (unsigned)dtype >= EM_DTYPE_COUNT) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: rank %d, dtype %d; rank 2 to %d is needed", what, dims.rank,
                 (int)dtype, EM_MAX_RANK);
        return em__scope_fail(scope);
    }
    return em_broadcast_to(scope, em_cast(scope, band(scope, dims, offset, compare), dtype), dims);
}

em_array *em_eye(em_scope *scope, em_dtype dtype, em_dims dims, int64_t offset)
{
    return made_band(scope, dtype, dims, offset, "eye", em_equal);
}

em_array *em_tri(em_scope *scope, em_dtype dtype, em_dims dims, int64_t offset)
{
    return made_band(scope, dtype, dims, offset, "tri", em_less_equal);
}

static em_array *triangle(em_scope *scope, em_array *a, int64_t offset, const char *what,
                          em_array *(*compare)(em_scope *, em_array *, em_array *))
{
    if (!em__scope_ok(scope, &a, 1, what))
        return NULL;
    if (a->spec.rank < 2) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: the operand has rank %d; 2 or more is needed", what, a->spec.rank);
        return em__scope_fail(scope);
    }
    em_array *keep = band(scope, em_array_dims(a), offset, compare);
    return em_select(scope, keep, a, em_scalar(scope, a->spec.dtype, 0));
}

em_array *em_tril(em_scope *scope, em_array *a, int64_t offset)
{
    return triangle(scope, a, offset, "tril", em_less_equal);
}

em_array *em_triu(em_scope *scope, em_array *a, int64_t offset)
{
    return triangle(scope, a, offset, "triu", em_greater_equal);
}
