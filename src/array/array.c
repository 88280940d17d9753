/* References, arrays over memory. */
#include "array/array.h"

#include <math.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/memory.h"

em_array *em__array_new(em_device *device, const em__spec *spec, em__op op, int n_in, int n_ints, int n_floats)
{
    size_t bytes = sizeof(em_array) + (size_t)n_in * sizeof(em_array *) + (size_t)n_ints * sizeof(int64_t) +
                   (size_t)n_floats * sizeof(double);
    em_array *array = em__alloc(bytes);
    if (!array)
        return NULL;
    memset(array, 0, bytes);
    atomic_init(&array->refs, 1);
    array->op = op;
    array->device = device;
    array->spec = *spec;
    array->n_in = n_in;
    array->n_ints = n_ints;
    array->n_floats = n_floats;
    array->ints = (int64_t *)(array + 1);
    array->floats = (double *)(array->ints + n_ints);
    array->in = (em_array **)(array->floats + n_floats);
    return array;
}

em__function *em__function_retain(em__function *function)
{
    if (function)
        atomic_fetch_add_explicit(&function->refs, 1, memory_order_relaxed);
    return function;
}

void em__function_release(em__function **function)
{
    if (*function && atomic_fetch_sub_explicit(&(*function)->refs, 1, memory_order_acq_rel) == 1)
        (*function)->free_fn(*function);
    *function = NULL;
}

em_array *em__array_share(const em_array *array)
{
    em_array *shared = em__array_new(array->device, &array->spec, EM__OP_CONSTANT, 0, 0, 0);
    if (!shared)
        return NULL;
    memcpy(shared->strides, array->strides, sizeof shared->strides);
    shared->offset = array->offset;
    shared->buffer = em__buffer_retain(array->buffer);
    return shared;
}

em_array *em_array_retain(em_array *array)
{
    if (array)
        atomic_fetch_add_explicit(&array->refs, 1, memory_order_relaxed);
    return array;
}

/* Drops one reference; arrays that die join the chain. */
static void drop(em_array *array, em_array **dead)
{
    if (atomic_fetch_sub_explicit(&array->refs, 1, memory_order_acq_rel) != 1)
        return;
    array->next_dead = *dead;
    *dead = array;
}

void em_array_release(em_array **array)
{
    if (!array || !*array)
        return;
    em_array *dead = NULL;
    drop(*array, &dead);
    *array = NULL;
    while (dead) {
        em_array *next = dead;
        dead = next->next_dead;
        for (int i = 0; i < next->n_in; i++)
            if (next->in[i])
                drop(next->in[i], &dead);
        for (int i = 0; i < EM__FUNCTIONS; i++)
            em__function_release(&next->functions[i]);
        em__buffer_release(next->buffer);
        em__free(next);
    }
}

static em_status spec_of(em_dtype dtype, em_dims dims, const char *what, em__spec *spec)
{
    EM__FAIL_IF((unsigned)dtype >= EM_DTYPE_COUNT, EM_ERROR_INVALID_ARGUMENT, "%s: dtype %d does not exist", what,
                (int)dtype);
    *spec = (em__spec){.dtype = dtype, .rank = dims.rank};
    EM__FAIL_IF(dims.rank < 0 || dims.rank > EM_MAX_RANK, EM_ERROR_INVALID_ARGUMENT, "%s: rank is %d; at most %d", what,
                dims.rank, EM_MAX_RANK);
    memcpy(spec->dims, dims.dims, sizeof spec->dims);
    return em__spec_check(spec, what);
}

em_array *em__array_over(em_device *device, const em__spec *spec, em__buffer *buffer)
{
    em_array *array = em__array_new(device, spec, EM__OP_CONSTANT, 0, 0, 0);
    if (!array)
        return NULL;
    em__tensor layout = {.spec = *spec};
    em__tensor_contiguous(&layout);
    memcpy(array->strides, layout.strides, sizeof array->strides);
    array->buffer = buffer;
    atomic_init(&array->settled, true);
    return array;
}

em_array *em__array_borrow(em_device *device, const em__spec *spec, void *data)
{
    em__buffer *buffer = em__calloc(1, sizeof *buffer);
    em_array *array = buffer ? em__array_over(device, spec, buffer) : NULL;
    if (!array) {
        em__free(buffer);
        return NULL;
    }
    atomic_init(&buffer->refs, 1);
    buffer->data = data;
    buffer->size = em_array_bytes(array);
    buffer->memory = em__memory_of(device);
    buffer->foreign = true;
    return array;
}

size_t em__alignment(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_COMPLEX ? em_dtype_size(dtype) / 2 : em_dtype_size(dtype);
}

em_array *em_array_wrap(em_dtype dtype, const void *data, em_dims dims, void (*free_fn)(void *user), void *user)
{
    em__spec spec;
    if (spec_of(dtype, dims, "array_wrap", &spec) != EM_OK)
        return NULL;
    static const char nothing[16]; /* an empty array's data may be NULL, but NULL says failure elsewhere */
    size_t alignment = em__alignment(dtype);
    if (!data && !em__spec_empty(&spec)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "array_wrap: data is NULL");
        return NULL;
    }
    if ((uintptr_t)data % alignment) {
        em__fail(EM_ERROR_INVALID_ARGUMENT,
                 "array_wrap: data at %p is not aligned to %zu bytes, as %s needs; copy it "
                 "by em_constant",
                 data, alignment, em_dtype_name(dtype));
        return NULL;
    }
    if (!data)
        data = nothing;
    em_device *device = em__cpu_device(); /* it is the host's memory, whatever device will read it */
    em__buffer *buffer = device ? em__calloc(1, sizeof *buffer) : NULL;
    em_array *array = buffer ? em__array_over(device, &spec, buffer) : NULL;
    if (!array) {
        em__free(buffer);
        return NULL;
    }
    atomic_init(&buffer->refs, 1);
    memcpy(&buffer->data, &data, sizeof data); /* the buffer is read only by contract */
    buffer->size = em_array_bytes(array);
    buffer->foreign = true;
    buffer->free_fn = free_fn;
    buffer->user = user;
    return array;
}

em_array *em_constant(em_scope *scope, em_dtype dtype, const void *values, em_dims dims)
{
    em__spec spec;
    if (!em__scope_ok(scope, NULL, 0, "constant"))
        return NULL;
    if (spec_of(dtype, dims, "constant", &spec) != EM_OK)
        return em__scope_fail(scope);
    size_t bytes = em__spec_bytes(&spec);
    if (!values && bytes) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "constant: values is NULL");
        return em__scope_fail(scope);
    }
    em__buffer *buffer = em__buffer_new(NULL, bytes);
    em_array *array = buffer ? em__array_over(scope->device, &spec, buffer) : NULL;
    if (!array) {
        em__buffer_release(buffer);
        return em__scope_fail(scope);
    }
    if (bytes)
        memcpy(buffer->data, values, bytes);
    return em_scope_adopt(scope, array);
}

em_array *em_constant_f32(em_scope *scope, const float *values, em_dims dims)
{
    return em_constant(scope, EM_F32, values, dims);
}

em_dtype em_array_dtype(const em_array *array)
{
    return array ? array->spec.dtype : EM_F32;
}

em_dims em_array_dims(const em_array *array)
{
    em_dims dims = {0};
    if (!array)
        return dims;
    dims.rank = array->spec.rank;
    memcpy(dims.dims, array->spec.dims, sizeof dims.dims);
    return dims;
}

size_t em_array_size(const em_array *array)
{
    return array ? (size_t)em__spec_size(&array->spec) : 0;
}

size_t em_array_bytes(const em_array *array)
{
    return array ? em__spec_bytes(&array->spec) : 0;
}

/* Large, and made for every operand of every op: only what is used is copied. */
static void describe(const em_array *array, const em__buffer *buffer, em__tensor *tensor)
{
    tensor->data = (char *)buffer->data + array->offset;
    tensor->spec.dtype = array->spec.dtype;
    tensor->spec.rank = array->spec.rank;
    for (int i = 0; i < array->spec.rank; i++) {
        tensor->spec.dims[i] = array->spec.dims[i];
        tensor->strides[i] = array->strides[i];
    }
}

em__tensor em__array_tensor(const em_array *array)
{
    em__tensor tensor;
    describe(array, array->buffer, &tensor);
    return tensor;
}

em_status em__array_tensor_on(const em_array *array, em_device *device, em__tensor *tensor)
{
    em__buffer *buffer = array->buffer;
    if (buffer->memory != em__memory_of(device))
        buffer = em__buffer_on(buffer, device);
    if (!buffer)
        return em_last_status();
    describe(array, buffer, tensor);
    return EM_OK;
}

double em_dot_f32(const float *a, const float *b, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    if (n > 0 && (!a || !b)) /* the elements of an array that failed */
        return NAN;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            sum[j] += (double)a[i + (size_t)j] * (double)b[i + (size_t)j];
    for (; i < n; i++)
        sum[0] += (double)a[i] * (double)b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
