/*
 * Eager evaluation: what an array needs is run op by op, in the order in which it was built. An array that is done lets
 * its operands go. One evaluation at a time: the lock guards the buffers of all lazy arrays, which threads may share; a
 * settled array needs it no more.
 */
#include <pthread.h>
#include <string.h>

#include "array/array.h"
#include "array/lower.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "core/vec.h"
#include "device/checked.h"
#include "device/memory.h"

/* Recursive: a control op compiles its functions when it first runs, and compiling folds constants by evaluating. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void em__eval_lock(void)
{
    pthread_mutex_lock(&lock);
}

void em__eval_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

typedef EM__VEC(em_array *) stack;

static void set_layout(em_array *array, em__buffer *buffer, const em__tensor *tensor)
{
    memcpy(array->strides, tensor->strides, sizeof array->strides);
    array->offset = (char *)tensor->data - (char *)buffer->data;
    array->buffer = buffer;
}

/* A row-major copy of `from`, which is in the device's memory, in a new buffer. */
static em_status copied(em_device *device, em__tensor *from, em__tensor *to, em__buffer **out)
{
    em__call copy;
    em__plan plan;
    const em__spec spec = from->spec;
    EM__TRY(em__lower_copy(device, from, &copy, &plan));
    em__buffer *buffer = em__buffer_new(device, em__spec_bytes(&spec));
    if (!buffer)
        return EM_ERROR_OUT_OF_MEMORY;
    copy.out.data = buffer->data;
    em_status status = copy.kernel(device, &copy);
    if (status != EM_OK) {
        em__buffer_release(buffer);
        return status;
    }
    *to = (em__tensor){.data = buffer->data, .spec = spec};
    em__tensor_contiguous(to);
    *out = buffer;
    return EM_OK;
}

static em_status run_view(em_array *array)
{
    em_array *source = array->in[0];
    em__tensor in = em__array_tensor(source), out;
    em__buffer *buffer = em__buffer_retain(source->buffer);
    int64_t shift;
    if (!em__view(array->op, &in, array->ints, &array->spec, &out, &shift)) {
        em__buffer_release(buffer);
        EM__TRY(em__array_tensor_on(source, array->device, &in));
        EM__TRY(copied(array->device, &in, &in, &buffer));
        em__view(array->op, &in, array->ints, &array->spec, &out, &shift);
    }
    out.data = (char *)out.data + shift * (int64_t)em_dtype_size(in.spec.dtype);
    set_layout(array, buffer, &out);
    return EM_OK;
}

/* Copies the operands that the kernel can't take strided; their buffers are released by the caller. */
static em_status copy_operands(em_device *device, em__call *call, const em__lowered *lowered, em__buffer **temps)
{
    for (int i = 0; i < call->n_in; i++)
        if (em__lowered_copies(lowered, call, i)) {
            em__tensor strided = call->in[i];
            EM__TRY(copied(device, &strided, &call->in[i], &temps[i]));
        }
    return EM_OK;
}

/* `temps` [n_in] is empty and stays so. */
static em_status run_call(em_array *array, em__call *call, em__buffer **temps)
{
    em_device *device = array->device;
    em__lowered lowered = {0};
    em__buffer *out = NULL;
    em_status status = em__lower(device, call, &lowered);
    if (status == EM_OK)
        status = copy_operands(device, call, &lowered, temps);
    if (status == EM_OK && lowered.plan.scratch && !(call->scratch = em__memory_alloc(device, lowered.plan.scratch)))
        status = EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK && !(out = em__buffer_new(device, em_array_bytes(array))))
        status = EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        call->out.data = out->data;
        status = em__call_run(device, call);
    }
    if (status == EM_OK)
        set_layout(array, out, &call->out);
    else
        em__buffer_release(out);
    em__memory_free(device, call->scratch, lowered.plan.scratch);
    for (int i = 0; i < call->n_in; i++) {
        em__buffer_release(temps[i]);
        temps[i] = NULL;
    }
    return status;
}

static em_status run_entered(em_array *array)
{
    if (em__op_get(array->op)->traits & EM__TRAIT_VIEW)
        return run_view(array);
    em__tensor few[8], *in = few;
    em__buffer *no_temps[8] = {0}, **temps = no_temps;
    if (array->n_in > 8) {
        in = em__calloc((size_t)array->n_in, sizeof *in + sizeof *temps);
        if (!in)
            return EM_ERROR_OUT_OF_MEMORY;
        temps = (em__buffer **)(in + array->n_in);
    }
    em_status status = EM_OK;
    for (int i = 0; i < array->n_in && status == EM_OK; i++)
        status = em__array_tensor_on(array->in[i], array->device, &in[i]);
    em__call call = {.op = array->op,
                     .n_in = array->n_in,
                     .in = in,
                     .out = {.spec = array->spec},
                     .ints = array->ints,
                     .n_ints = array->n_ints,
                     .floats = array->floats,
                     .n_floats = array->n_floats,
                     .functions = array->functions[0] ? array->functions : NULL};
    if (status == EM_OK)
        status = run_call(array, &call, temps);
    if (in != few)
        em__free(in);
    return status;
}

/* `entered` is the root's device; operands may be of others. */
static em_status run_array(em_array *array, em_device *entered)
{
    if (array->op == EM__OP_INPUT)
        return em__fail(EM_ERROR_INVALID_ARGUMENT, "eval: an input of a program has no value while it is traced");
    if (array->device == entered)
        return run_entered(array);
    em__device_enter(array->device);
    em_status status = run_entered(array);
    em__device_leave(array->device);
    return status;
}

/* Depth first with an explicit stack: an array is run once all its operands have buffers. */
static em_status eval_locked(em_array *root, stack *todo)
{
    EM__TRY(em__vec_push(todo, root));
    while (todo->length) {
        em_array *array = todo->data[todo->length - 1];
        bool ready = true;
        for (int i = 0; i < array->n_in && !array->buffer; i++)
            if (!array->in[i]->buffer) {
                EM__TRY(em__vec_push(todo, array->in[i]));
                ready = false;
            }
        if (!ready)
            continue;
        todo->length--;
        if (array->buffer)
            continue;
        EM__TRY(run_array(array, root->device));
        for (int i = 0; i < array->n_in; i++)
            em_array_release(&array->in[i]);
        array->n_in = 0;
        for (int i = 0; i < EM__FUNCTIONS; i++)
            em__function_release(&array->functions[i]);
    }
    return EM_OK;
}

em_status em_array_eval(em_array *array)
{
    if (!array) /* the call that gave NULL has set the error */
        return em_last_status() != EM_OK ? em_last_status()
                                         : em__fail(EM_ERROR_INVALID_ARGUMENT, "eval: the array is NULL");
    uint64_t begin = em__telemetry_wanted() ? em__now() : 0;
    stack todo = {0};
    pthread_mutex_lock(&lock);
    em__device_enter(array->device);
    em_status status = array->buffer ? EM_OK : eval_locked(array, &todo);
    em__device_leave(array->device);
    pthread_mutex_unlock(&lock);
    em__vec_free(&todo);
    if (begin)
        em__telemetry("eval", em__op_get(array->op)->name, em__now() - begin);
    return status;
}

em_status em_eval(em_scope *scope, em_array *array)
{
    if (scope && scope->status != EM_OK)
        return scope->status;
    em_status status = em_array_eval(array);
    if (status != EM_OK && scope)
        em__scope_fail(scope);
    return status;
}

/* Gives the evaluated array a row-major buffer of its own, unless it is row-major: and, in a device's memory, not a
 * small part of a large one, all of which would come to the host. */
static em_status lay_out(em_array *array)
{
    enum { MOST_SPARE = 1 << 16 };
    em__tensor tensor, row_major;
    em__buffer *buffer = array->buffer;
    em__array_tensor_on(array, buffer->memory, &tensor);
    bool whole = !buffer->memory || buffer->size <= MOST_SPARE || buffer->size / 2 <= em_array_bytes(array);
    if (whole && em__tensor_is_contiguous(&tensor))
        return EM_OK;
    em_device *device = buffer->memory ? buffer->memory : array->device;
    em__device_enter(device);
    em_status status = em__array_tensor_on(array, device, &tensor);
    if (status == EM_OK)
        status = copied(device, &tensor, &row_major, &buffer);
    em__device_leave(device);
    if (status == EM_OK) {
        em__buffer_release(array->buffer);
        set_layout(array, buffer, &row_major);
    }
    return status;
}

/* Where its row-major elements are, in the memory of the device. A settled array does not wait for what others
 * evaluate: inputs of programs and results of earlier evaluations. */
em_status em__array_data_on(em_array *array, em_device *device, void **data)
{
    em_status status = EM_OK;
    *data = NULL;
    if (!array || !atomic_load_explicit(&array->settled, memory_order_acquire)) {
        EM__TRY(em_array_eval(array));
        pthread_mutex_lock(&lock);
        status = lay_out(array);
        atomic_store_explicit(&array->settled, status == EM_OK, memory_order_release);
        pthread_mutex_unlock(&lock);
        EM__TRY(status);
    }
    em__buffer *buffer = em__buffer_on(array->buffer, device);
    if (!buffer)
        return em_last_status();
    *data = (char *)buffer->data + array->offset;
    return EM_OK;
}

const void *em_array_data(em_array *array)
{
    void *data;
    em__array_data_on(array, NULL, &data);
    return data;
}
