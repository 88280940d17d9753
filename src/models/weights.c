/* From tensors by name to arrays by field. */
#include "models/weights.h"

#include <stdio.h>
#include <string.h>

#include <emily/ops.h>

#include "array/array.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "core/str.h"
#include "io/safetensors.h"

enum { MAX_NAME = 160 };

/* "model.safetensors" of a checkpoint in one file; the directory's first shard otherwise. */
static const char *file_name(const em_safetensors *file)
{
    const char *path = em_safetensors_file_path(file, 0);
    return path ? path : "checkpoint";
}

static em_status add_shape(em__str *text, const int64_t *dims, int rank)
{
    EM__TRY(em__str_add_text(text, "["));
    for (int i = 0; i < rank; i++)
        EM__TRY(em__str_addf(text, "%s%lld", i ? ", " : "", (long long)dims[i]));
    return em__str_add_text(text, "]");
}

static em_status fail_shape(const em_safetensors *file, const em_safetensors_tensor *tensor, const em__wanted *wanted)
{
    em__str text = {0};
    const int64_t dims[2] = {wanted->rows, wanted->columns};
    em_status status = add_shape(&text, tensor->dims.dims, tensor->dims.rank);
    if (status == EM_OK)
        status = em__str_addf(&text, ", %s asks for ", wanted->by);
    if (status == EM_OK)
        status = add_shape(&text, dims, wanted->columns == EM__VECTOR ? 1 : 2);
    if (status == EM_OK)
        status = em__fail(EM_ERROR_FORMAT, "%s: tensor %s has shape %s; the file may belong to another model",
                          file_name(file), tensor->name, em__str_text(&text));
    em__str_free(&text);
    return status;
}

static bool has_shape(const em_safetensors_tensor *tensor, const em__wanted *wanted)
{
    int rank = wanted->columns == EM__VECTOR ? 1 : 2;
    return tensor->dims.rank == rank && tensor->dims.dims[0] == wanted->rows &&
           (rank == 1 || tensor->dims.dims[1] == wanted->columns);
}

static em_status check_tensor(const em_safetensors *file, const em_safetensors_tensor *tensor, const em__wanted *wanted)
{
    EM__FAIL_IF(!tensor, EM_ERROR_FORMAT, "%s: tensor %s is missing; the file may belong to another model",
                file_name(file), wanted->name);
    if (!has_shape(tensor, wanted))
        return fail_shape(file, tensor, wanted);
    em_dtype d = tensor->dtype;
    EM__FAIL_IF(d != EM_F32 && d != EM_F16 && d != EM_BF16 && d != EM_F64, EM_ERROR_UNSUPPORTED,
                "%s: tensor %s is stored as %s; weights may be f32, f16, bf16 or f64", file_name(file), wanted->name,
                em__tensor_dtype(tensor));
    return EM_OK;
}

bool em__tensors_equal(const em_safetensors *file, const char *first, const char *second)
{
    const em_safetensors_tensor *a = em_safetensors_find(file, first), *b = em_safetensors_find(file, second);
    if (!a || !b || a->dtype != b->dtype || a->nbytes != b->nbytes || a->dims.rank != b->dims.rank ||
        memcmp(a->dims.dims, b->dims.dims, (size_t)a->dims.rank * sizeof *a->dims.dims) != 0)
        return a == b;
    const bool equal = memcmp(a->data, b->data, a->nbytes) == 0;
    em__safetensors_release_pages(file, b);
    return equal;
}

/* Replaces the array by one of from->dtype. */
static em_status cast(const em__source *from, em_array **array)
{
    em_scope *scope = em_scope_new(from->device);
    if (!scope)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array *result = em_cast(scope, *array, from->dtype);
    em_status status = em_eval(scope, result);
    if (status == EM_OK) {
        em_array_release(array);
        *array = em_array_retain(result);
    }
    em_scope_free(scope);
    return status;
}

static void release_pages(void *file, const void *data, size_t bytes)
{
    const em_safetensors_tensor tensor = {.data = data, .nbytes = bytes};
    em__safetensors_release_pages(file, &tensor);
}

em_array *em__tensor_wrap(em_safetensors *file, const em_safetensors_tensor *t)
{
    em_array *wrapped =
        em_array_wrap(t->dtype, t->data, t->dims, em__safetensors_release, em__safetensors_retain(file));
    if (wrapped)
        wrapped->buffer->release_pages = release_pages;
    else
        em__safetensors_release(file);
    return wrapped;
}

em_status em__tensor_load(const em__source *from, const em__wanted *wanted, em_array **array)
{
    const em_safetensors_tensor *t = em_safetensors_find(from->file, wanted->name);
    EM__TRY(check_tensor(from->file, t, wanted));
    em_array *wrapped = em__tensor_wrap(from->file, t);
    if (!wrapped)
        return em_last_status();
    em_status status = EM_OK;
    if (!wanted->as_stored && from->dtype != t->dtype)
        status = cast(from, &wrapped);
    if (status != EM_OK)
        em_array_release(&wrapped);
    *array = wrapped;
    return status;
}

/* Old checkpoints call the weight of a LayerNorm gamma and its bias beta. */
static void old_norm_name(const em_safetensors *file, char *name)
{
    static const char *const names[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                           {"LayerNorm.bias", "LayerNorm.beta"}};
    size_t length = strlen(name);
    if (em_safetensors_find(file, name))
        return;
    for (size_t i = 0; i < 2; i++) {
        size_t tail = strlen(names[i][0]);
        char old[MAX_NAME];
        if (length < tail || strcmp(name + length - tail, names[i][0]) != 0)
            continue;
        memcpy(old, name, length - tail);
        memcpy(old + length - tail, names[i][1], strlen(names[i][1]) + 1);
        if (em_safetensors_find(file, old))
            memcpy(name, old, strlen(old) + 1);
    }
}

typedef struct loading {
    const em__source *from;
    const em__config *config;
    const char *prefix; /* of this checkpoint's tensors */
} loading;

static em_status load_row(const loading *l, const char *layer, const em__weight_row *row, em_array **array)
{
    char name[MAX_NAME];
    const int64_t *sizes = l->config->sizes;
    if (!row->name)
        return EM_OK;
    snprintf(name, sizeof name, "%s%s%s", l->prefix, layer, row->name);
    old_norm_name(l->from->file, name);
    em__wanted wanted = {.name = name,
                         .rows = sizes[row->rows],
                         .columns = row->columns == EM__ONE ? EM__VECTOR : sizes[row->columns],
                         .by = "config.json",
                         .as_stored = row->looked_up};
    return em__tensor_load(l->from, &wanted, array);
}

static em_status load_tables(const loading *l, const em__family *family, em__weights *weights)
{
    char layer[64];
    for (size_t i = 0; i < family->n_shared; i++)
        EM__TRY(load_row(l, "", &family->shared[i], &weights->shared[i]));
    for (int64_t n = 0; n < l->config->layers; n++) {
        em_array **into = weights->layers + (size_t)n * family->n_per_layer;
        snprintf(layer, sizeof layer, "%s%lld.", family->layer, (long long)n);
        for (size_t i = 0; i < family->n_per_layer; i++)
            EM__TRY(load_row(l, layer, &family->per_layer[i], &into[i]));
    }
    return EM_OK;
}

static em_status derive(const em__family *family, const em__config *config, em_device *device, em__weights *weights)
{
    if (!family->prepare)
        return EM_OK;
    em_scope *scope = em_scope_new(device);
    if (!scope)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array *derived = family->prepare(scope, config, weights);
    em_status status = derived ? em_eval(scope, derived) : em_last_status();
    if (status == EM_OK)
        weights->derived = em_array_retain(derived);
    em_scope_free(scope);
    return status;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Is `name`, without its prefix, a row of the tables or a known extra? */
static bool expected(const em__family *family, const char *name)
{
    for (size_t i = 0; family->harmless[i]; i++)
        if (begins(name, family->harmless[i]))
            return true;
    if (begins(name, family->layer))
        return true; /* a layer's tensor: were it unknown, that layer would lack another */
    for (size_t i = 0; i < family->n_shared; i++)
        if (family->shared[i].name && strcmp(name, family->shared[i].name) == 0)
            return true;
    return strstr(name, "LayerNorm.") != NULL;
}

static void log_surplus(const loading *l, const em__family *family)
{
    const em_safetensors_tensor *t;
    size_t skip = strlen(family->prefix);
    for (size_t i = 0; (t = em_safetensors_at(l->from->file, i)); i++) {
        const char *name = begins(t->name, family->prefix) ? t->name + skip : t->name;
        if (!expected(family, name))
            em__log(EM_LOG_INFO, "%s: tensor %s is not used", file_name(l->from->file), t->name);
    }
}

em_status em__weights_load(const em__source *from, const em__family *family, const em__config *config,
                           em__weights *weights)
{
    char probe[MAX_NAME];
    snprintf(probe, sizeof probe, "%s%s", family->prefix, family->shared[0].name);
    loading l = {from, config, em_safetensors_find(from->file, probe) ? family->prefix : ""};
    memset(weights, 0, sizeof *weights);
    weights->count = family->n_shared + (size_t)config->layers * family->n_per_layer;
    weights->shared = em__calloc(weights->count, sizeof *weights->shared);
    if (!weights->shared)
        return EM_ERROR_OUT_OF_MEMORY;
    weights->layers = weights->shared + family->n_shared;
    em_status status = load_tables(&l, family, weights);
    if (status == EM_OK)
        status = derive(family, config, from->device, weights);
    if (status != EM_OK)
        em__weights_free(weights);
    else if (em__log_wants(EM_LOG_INFO))
        log_surplus(&l, family);
    return status;
}

void em__weights_free(em__weights *weights)
{
    for (size_t i = 0; weights->shared && i < weights->count; i++)
        em_array_release(&weights->shared[i]);
    em_array_release(&weights->derived);
    em__free(weights->shared);
    memset(weights, 0, sizeof *weights);
}

void em__weights_release_pages(const em_safetensors *file)
{
    const em_safetensors_tensor *t;
    for (size_t i = 0; (t = em_safetensors_at(file, i)); i++)
        em__safetensors_release_pages(file, t);
}
