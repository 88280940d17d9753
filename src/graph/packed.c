/* See packed.h. The list is short (a model has some dozens of weights) and searched at compile time only. */
#include "graph/packed.h"

#include <pthread.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "graph/packed_room.h"

#define MOST_WEIGHTS 8

struct em__packed {
    em__packed *next;
    em_device *device;
    int refs, n, n_axes;
    int64_t axes[EM_MAX_RANK];       /* contracted: the same weight may be used turned as well */
    em_array *weights[MOST_WEIGHTS]; /* held: their memory is the identity */
    void *data;                      /* NULL, with no bytes: the device saw the values and left them as they are */
    size_t bytes;
    em__packed_room *room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static em__packed *list;

static bool same_view(const em_array *a, const em_array *b)
{
    return a == b || (a->buffer == b->buffer && a->offset == b->offset && em__spec_equal(&a->spec, &b->spec) &&
                      memcmp(a->strides, b->strides, (size_t)a->spec.rank * sizeof a->strides[0]) == 0);
}

/* The axes of operand 1 that the call contracts; a FUSED_LINEAR's weights are [n, k]. */
static int contracted(const em__call *call, const int64_t **axes)
{
    static const int64_t last = 1;
    *axes = &last;
    if (call->op != EM__OP_DOT_GENERAL)
        return 1;
    em__dot dot = em__dot_decode(call->ints);
    *axes = dot.contract_b;
    return dot.n_contract;
}

static em__packed *find_locked(em_device *device, const em__call *call, em_array *const *weights, int n)
{
    const int64_t *axes;
    int n_axes = contracted(call, &axes);
    for (em__packed *entry = list; entry; entry = entry->next) {
        bool same = entry->device == device && entry->n == n && entry->n_axes == n_axes &&
                    memcmp(entry->axes, axes, (size_t)n_axes * sizeof *axes) == 0;
        for (int i = 0; i < n && same; i++)
            same = same_view(entry->weights[i], weights[i]);
        if (same)
            return entry;
    }
    return NULL;
}

static void release_pages(const em_array *weight)
{
    const em__buffer *buffer = weight->buffer;
    if (buffer->release_pages)
        buffer->release_pages(buffer->user, em__array_tensor(weight).data, em_array_bytes(weight));
}

static em_status make_locked(em_device *device, const em__call *call, em_array *const *weights, int n, size_t bytes,
                             em__packed **out)
{
    em__packed *entry = em__calloc(1, sizeof *entry);
    if (!entry)
        return EM_ERROR_OUT_OF_MEMORY;
    *entry = (em__packed){.device = device, .n = n, .bytes = bytes};
    entry->data = em__packed_room_alloc(device, bytes, &entry->room);
    em_status status = entry->data ? device->vtable->pack(device, call, entry->data) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_ERROR_UNSUPPORTED) {
        em__packed_room_free(device, entry->data, bytes, entry->room);
        entry->data = NULL;
        entry->room = NULL;
        entry->bytes = 0;
        status = EM_OK;
    }
    if (status != EM_OK) {
        em__packed_room_free(device, entry->data, bytes, entry->room);
        em__free(entry);
        return status;
    }
    const int64_t *axes;
    entry->n_axes = contracted(call, &axes);
    memcpy(entry->axes, axes, (size_t)entry->n_axes * sizeof *axes);
    for (int i = 0; i < n; i++) {
        entry->weights[i] = em_array_retain(weights[i]);
        if (entry->data)
            release_pages(weights[i]);
    }
    entry->next = list;
    list = entry;
    *out = entry;
    return EM_OK;
}

em_status em__packed_acquire(em_device *device, const em__call *call, em_array *const *values, em__packed **packed)
{
    em_array *weights[MOST_WEIGHTS];
    const bool linear = call->op == EM__OP_FUSED_LINEAR, coded = call->op == EM__OP_QUANTIZED_MATMUL;
    const int n = linear ? (int)call->ints[2] : coded ? call->n_in - 1 : 1;
    *packed = NULL;
    bool may = device->vtable->packed_bytes && call->n_in > 1 && n <= MOST_WEIGHTS;
    size_t bytes = may ? device->vtable->packed_bytes(device, call) : 0;
    if (!bytes)
        return EM_OK;
    for (int i = 0; i < n; i++) {
        weights[i] = values[linear ? em__linear_weight(call->ints, i) : 1 + i];
        if (!weights[i])
            return EM_OK;
    }
    pthread_mutex_lock(&lock);
    em_status status = EM_OK;
    em__packed *entry = find_locked(device, call, weights, n);
    if (!entry)
        status = make_locked(device, call, weights, n, bytes, &entry);
    if (status == EM_OK) {
        entry->refs++;
        *packed = entry;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void em__packed_release(em__packed *packed)
{
    if (!packed)
        return;
    pthread_mutex_lock(&lock);
    bool last = --packed->refs == 0;
    for (em__packed **at = &list; last && *at; at = &(*at)->next)
        if (*at == packed) {
            *at = packed->next;
            break;
        }
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    for (int i = 0; i < packed->n; i++)
        em_array_release(&packed->weights[i]);
    pthread_mutex_lock(&lock);
    em__packed_room_free(packed->device, packed->data, packed->bytes, packed->room);
    pthread_mutex_unlock(&lock);
    em__free(packed);
}

const void *em__packed_data(const em__packed *packed)
{
    return packed ? packed->data : NULL;
}

size_t em__packed_bytes(const em__packed *packed)
{
    return packed ? packed->bytes : 0;
}
