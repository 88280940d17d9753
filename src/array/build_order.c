/* Builders: order and Fourier transforms. */
#include <emily/fourier.h>
#include <emily/order.h>

#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"

static em_array *sort(em_scope *scope, em__op op, em_array *a, int axis, bool descending)
{
    int at;
    const char *name = em__op_get(op)->name;
    if (!em__scope_ok(scope, &a, 1, name) || !em__axis_of(scope, a, axis, name, &at))
        return NULL;
    return em__build(
        scope, &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = (int64_t[]){at, descending}, .n_ints = 2});
}

em_array *em_sort(em_scope *scope, em_array *a, int axis, bool descending)
{
    return sort(scope, EM__OP_SORT, a, axis, descending);
}

em_array *em_argsort(em_scope *scope, em_array *a, int axis, bool descending)
{
    return sort(scope, EM__OP_ARGSORT, a, axis, descending);
}

bool em_top_k(em_scope *scope, em_array *a, int64_t k, int axis, em_array **values, em_array **indices)
{
    em_array *parts[2] = {0};
    int at;
    bool good = em__scope_ok(scope, &a, 1, "top_k") && em__axis_of(scope, a, axis, "top_k", &at);
    good =
        good &&
        em__build_parts(
            scope, &(em__build_args){.op = EM__OP_TOP_K, .in = &a, .n_in = 1, .ints = (int64_t[]){at, k}, .n_ints = 2},
            parts, 2);
    if (values)
        *values = parts[0];
    if (indices)
        *indices = parts[1];
    return good;
}

static em_array *partition(em_scope *scope, em__op op, em_array *a, int64_t kth, int axis)
{
    const char *name = op == EM__OP_SORT ? "partition" : "argpartition";
    int at;
    if (!em__scope_ok(scope, &a, 1, name) || !em__axis_of(scope, a, axis, name, &at))
        return NULL;
    int64_t size = a->spec.dims[at];
    if (kth < -size || kth >= size) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: element %lld of an axis of %lld", name, (long long)kth,
                 (long long)size);
        return em__scope_fail(scope);
    }
    return sort(scope, op, a, at, false);
}

em_array *em_partition(em_scope *scope, em_array *a, int64_t kth, int axis)
{
    return partition(scope, EM__OP_SORT, a, kth, axis);
}

em_array *em_argpartition(em_scope *scope, em_array *a, int64_t kth, int axis)
{
    return partition(scope, EM__OP_ARGSORT, a, kth, axis);
}

static em_array *fourier(em_scope *scope, em__op op, em_array *a, int64_t n, int axis, bool inverse)
{
    const char *name = em__op_get(op)->name;
    int at;
    if (!em__scope_ok(scope, &a, 1, name) || !em__axis_of(scope, a, axis, name, &at))
        return NULL;
    em_dtype dtype = a->spec.dtype;
    if (em_dtype_get_kind(dtype) != EM_KIND_COMPLEX && dtype != EM_F64)
        a = em_cast(scope, a, EM_F32);
    if (!a)
        return NULL;
    if (n == 0)
        n = op == EM__OP_IRFFT ? 2 * (a->spec.dims[at] - 1) : a->spec.dims[at];
    return em__build(
        scope, &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = (int64_t[]){at, n, inverse}, .n_ints = 3});
}

em_array *em_fft(em_scope *scope, em_array *a, int64_t n, int axis)
{
    return fourier(scope, EM__OP_FFT, a, n, axis, false);
}

em_array *em_ifft(em_scope *scope, em_array *a, int64_t n, int axis)
{
    return fourier(scope, EM__OP_FFT, a, n, axis, true);
}

em_array *em_rfft(em_scope *scope, em_array *a, int64_t n, int axis)
{
    return fourier(scope, EM__OP_RFFT, a, n, axis, false);
}

em_array *em_irfft(em_scope *scope, em_array *a, int64_t n, int axis)
{
    return fourier(scope, EM__OP_IRFFT, a, n, axis, true);
}

static em_array *fourier2(em_scope *scope, em_array *a, const int64_t n[2], const int axes[2], bool inverse)
{
    int first, second;
    if (!n || !axes) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "fft2: two lengths and two axes are needed");
        return em__scope_fail(scope);
    }
    if (!em__scope_ok(scope, &a, 1, "fft2") || !em__axis_of(scope, a, axes[0], "fft2", &first) ||
        !em__axis_of(scope, a, axes[1], "fft2", &second))
        return NULL;
    if (first == second) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "fft2: axis %d is named twice", first);
        return em__scope_fail(scope);
    }
    a = fourier(scope, EM__OP_FFT, a, n[1], second, inverse);
    return a ? fourier(scope, EM__OP_FFT, a, n[0], first, inverse) : NULL;
}

em_array *em_fft2(em_scope *scope, em_array *a, const int64_t n[2], const int axes[2])
{
    return fourier2(scope, a, n, axes, false);
}

em_array *em_ifft2(em_scope *scope, em_array *a, const int64_t n[2], const int axes[2])
{
    return fourier2(scope, a, n, axes, true);
}
