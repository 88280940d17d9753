/* Order, naively: a stable merge of indices, element by element. */
#include <math.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/ref/ref.h"

typedef struct row {
    const em__tensor *in;
    int64_t base, stride, n;
    bool descending;
} row;

/* Whether element b must come before element a, which stands before it. NaN is greater than all else. */
static bool swapped(const row *r, int64_t a, int64_t b)
{
    em_dtype dtype = r->in->spec.dtype;
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    em__value x = em__ref_load(dtype, r->in->data, r->base + a * r->stride);
    em__value y = em__ref_load(dtype, r->in->data, r->base + b * r->stride);
    if (r->descending) {
        em__value z = x;
        x = y;
        y = z;
    }
    if (kind == EM_KIND_FLOAT)
        return isnan(x.f) ? !isnan(y.f) : y.f < x.f;
    return kind == EM_KIND_SIGNED ? y.s < x.s : y.u < x.u;
}

/* Puts 0 .. n - 1 in the row's order into `order`; `spare` is as long. */
static void sort_row(const row *r, int64_t *order, int64_t *spare)
{
    for (int64_t i = 0; i < r->n; i++)
        order[i] = i;
    for (int64_t width = 1; width < r->n; width *= 2) {
        for (int64_t from = 0; from < r->n; from += 2 * width) {
            int64_t middle = from + width < r->n ? from + width : r->n;
            int64_t end = middle + width < r->n ? middle + width : r->n, i = from, j = middle;
            for (int64_t k = from; k < end; k++)
                spare[k] = i < middle && (j == end || !swapped(r, order[i], order[j])) ? order[i++] : order[j++];
        }
        memcpy(order, spare, (size_t)r->n * sizeof *order);
    }
}

/* The first `count` elements of each sorted row: their values (unless NULL) and their indices (unless NULL). */
static em_status sort_rows(const em__tensor *in, int axis, int64_t count, bool descending, em__tensor *values,
                           em__tensor *indices)
{
    size_t size = em_dtype_size(in->spec.dtype);
    em__spec outer = in->spec;
    row r = {in, 0, in->strides[axis], in->spec.dims[axis], descending};
    outer.dims[axis] = 1;
    int64_t rows = em__spec_size(&outer), *order = em__calloc((size_t)r.n * 2 + 1, sizeof *order);
    if (!order)
        return EM_ERROR_OUT_OF_MEMORY;
    em__walk walk = {.spec = &outer};
    for (int64_t i = 0; i < rows; i++, em__walk_next(&walk)) {
        r.base = em__walk_offset(&walk, in);
        sort_row(&r, order, order + r.n);
        for (int64_t k = 0; k < count; k++) {
            int64_t from = r.base + order[k] * r.stride;
            if (values)
                memcpy((char *)values->data +
                           (em__walk_offset(&walk, values) + k * values->strides[axis]) * (int64_t)size,
                       (const char *)in->data + from * (int64_t)size, size);
            if (indices)
                ((int64_t *)indices->data)[em__walk_offset(&walk, indices) + k * indices->strides[axis]] = order[k];
        }
    }
    em__free(order);
    return EM_OK;
}

em_status em__ref_sort(em_device *device, const em__call *call)
{
    (void)device;
    em__tensor out = call->out;
    bool indices = call->op == EM__OP_ARGSORT;
    int axis = (int)call->ints[0];
    return sort_rows(&call->in[0], axis, call->in[0].spec.dims[axis], call->ints[1] != 0, indices ? NULL : &out,
                     indices ? &out : NULL);
}

em_status em__ref_top_k(em_device *device, const em__call *call)
{
    (void)device;
    em__tensor parts[2];
    EM__TRY(em__call_parts(call, parts, 2));
    return sort_rows(&call->in[0], (int)call->ints[0], call->ints[1], true, &parts[0], &parts[1]);
}
