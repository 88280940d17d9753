/*
 * Writing safetensors. Layout: length, header padded with spaces so that tensors begin at a multiple of 64 bytes, then
 * tensors by falling element size, which keeps each aligned without holes, then by name: the same input gives the same
 * bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"

#define ALIGNMENT 64

static const char *const dtype_names[EM_DTYPE_COUNT] = {
#define NAME(name, text, bits, kind, st) [EM_##name] = st,
    EM_DTYPE_MAP(NAME)
#undef NAME
};

static em_status fail_memory(void)
{
    return em__fail(EM_ERROR_OUT_OF_MEMORY, "safetensors_write: out of memory");
}

/* Adds `text` as a JSON string. jansson validates the UTF-8, and says NULL for that as for want of memory; malloc says
 * ENOMEM. */
static em_status add_string(em__str *out, const char *text)
{
    char shown[80];
    errno = 0;
    json_t *string = json_string(text);
    if (!string && errno == ENOMEM)
        return fail_memory();
    EM__FAIL_IF(!string, EM_ERROR_INVALID_ARGUMENT, "safetensors_write: \"%s\" is not valid UTF-8",
                em__printable(shown, sizeof shown, text));
    char *dumped = json_dumps(string, JSON_ENCODE_ANY);
    json_decref(string);
    if (!dumped)
        return fail_memory();
    em_status status = em__str_add_text(out, dumped);
    em__json_text_free(dumped);
    return status;
}

static em_status check_tensor(const em_safetensors_tensor *tensor)
{
    char shown[80];
    EM__FAIL_IF(!tensor->name || !tensor->name[0] || strcmp(tensor->name, "__metadata__") == 0,
                EM_ERROR_INVALID_ARGUMENT, "safetensors_write: a tensor is named \"%s\"",
                tensor->name ? tensor->name : "(null)");
    em__printable(shown, sizeof shown, tensor->name);
    size_t bytes = em_dtype_size(tensor->dtype);
    EM__FAIL_IF(bytes == 0, EM_ERROR_INVALID_ARGUMENT, "safetensors_write: %s: dtype %d does not exist", shown,
                (int)tensor->dtype);
    EM__FAIL_IF(!dtype_names[tensor->dtype], EM_ERROR_UNSUPPORTED,
                "safetensors_write: %s: the format has no dtype for %s; cast it to u8 or s8", shown,
                em_dtype_name(tensor->dtype));
    EM__FAIL_IF(tensor->dims.rank < 0 || tensor->dims.rank > EM_MAX_RANK, EM_ERROR_INVALID_ARGUMENT,
                "safetensors_write: %s: rank is %d, at most %d", shown, tensor->dims.rank, EM_MAX_RANK);
    for (int i = 0; i < tensor->dims.rank; i++) {
        int64_t n = tensor->dims.dims[i];
        EM__FAIL_IF(n < 0 || em__mul_overflows(bytes, (uint64_t)n, &bytes), EM_ERROR_INVALID_ARGUMENT,
                    "safetensors_write: %s: dimension %d is %lld", shown, i, (long long)n);
    }
    EM__FAIL_IF(bytes != tensor->nbytes, EM_ERROR_INVALID_ARGUMENT,
                "safetensors_write: %s: nbytes is %zu, dtype and dims give %zu", shown, tensor->nbytes, bytes);
    return EM_OK;
}

static int compare_layout(const void *left, const void *right)
{
    const em_safetensors_tensor *const *a = left, *const *b = right;
    size_t m = em_dtype_size((*a)->dtype), n = em_dtype_size((*b)->dtype);
    return m != n ? (m > n ? -1 : 1) : strcmp((*a)->name, (*b)->name);
}

/* Checks the tensors and puts them in the order of the file. */
static em_status arrange(const em_safetensors_tensor *tensors, size_t n, const em_safetensors_tensor **order)
{
    for (size_t i = 0; i < n; i++) {
        EM__TRY(check_tensor(&tensors[i]));
        order[i] = &tensors[i];
    }
    qsort(order, n, sizeof *order, em__safetensors_by_name);
    for (size_t i = 1; i < n; i++)
        EM__FAIL_IF(strcmp(order[i - 1]->name, order[i]->name) == 0, EM_ERROR_INVALID_ARGUMENT,
                    "safetensors_write: two tensors are named \"%.80s\"", order[i]->name);
    qsort(order, n, sizeof *order, compare_layout);
    return EM_OK;
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static em_status check_metadata(const em_safetensors_entry *entries, size_t n)
{
    em_status status = EM_OK;
    char shown[80];
    for (size_t i = 0; i < n; i++)
        EM__FAIL_IF(!entries[i].key || !entries[i].value, EM_ERROR_INVALID_ARGUMENT,
                    "safetensors_write: key or value %zu of metadata is NULL", i);
    const char **keys = em__calloc(n, sizeof *keys);
    if (!keys)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        keys[i] = entries[i].key;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n && status == EM_OK; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = em__fail(EM_ERROR_INVALID_ARGUMENT, "safetensors_write: two entries of metadata are named \"%s\"",
                              em__printable(shown, sizeof shown, keys[i]));
    em__free(keys);
    return status;
}

static em_status add_metadata(em__str *out, const em_safetensors_entry *entries, size_t n)
{
    EM__TRY(check_metadata(entries, n));
    EM__TRY(em__str_add_text(out, "\"__metadata__\":{"));
    for (size_t i = 0; i < n; i++) {
        EM__TRY(em__str_add_text(out, i ? "," : ""));
        EM__TRY(add_string(out, entries[i].key));
        EM__TRY(em__str_add_char(out, ':'));
        EM__TRY(add_string(out, entries[i].value));
    }
    return em__str_add_char(out, '}');
}

static em_status add_tensor(em__str *out, const em_safetensors_tensor *tensor, size_t *offset)
{
    size_t end;
    EM__FAIL_IF(em__add_overflows(*offset, tensor->nbytes, &end), EM_ERROR_INVALID_ARGUMENT,
                "safetensors_write: the tensors together do not fit 64 bits");
    EM__TRY(add_string(out, tensor->name));
    EM__TRY(em__str_addf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_names[tensor->dtype]));
    for (int i = 0; i < tensor->dims.rank; i++)
        EM__TRY(em__str_addf(out, "%s%lld", i ? "," : "", (long long)tensor->dims.dims[i]));
    EM__TRY(em__str_addf(out, "],\"data_offsets\":[%zu,%zu]}", *offset, end));
    *offset = end;
    return EM_OK;
}

/* Length and header, padded. */
static em_status build_header(em__str *out, const em_safetensors_tensor *const *order, size_t n,
                              const em_safetensors_entry *entries, size_t n_entries)
{
    size_t offset = 0;
    EM__TRY(em__str_add(out, "\0\0\0\0\0\0\0\0", 8));
    EM__TRY(em__str_add_char(out, '{'));
    if (n_entries > 0)
        EM__TRY(add_metadata(out, entries, n_entries));
    for (size_t i = 0; i < n; i++) {
        EM__TRY(em__str_add_text(out, i || n_entries ? "," : ""));
        EM__TRY(add_tensor(out, order[i], &offset));
    }
    EM__TRY(em__str_add_char(out, '}'));
    while (out->length % ALIGNMENT != 0)
        EM__TRY(em__str_add_char(out, ' '));
    size_t length = out->length - 8;
    EM__FAIL_IF(length > EM__SAFETENSORS_HEADER_CAP, EM_ERROR_INVALID_ARGUMENT,
                "safetensors_write: the header is %zu bytes long, at most %zu can be read back", length,
                EM__SAFETENSORS_HEADER_CAP);
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(unsigned char)((uint64_t)length >> (8 * i));
    return EM_OK;
}

em_status em__safetensors_layout(const em_safetensors_tensor *tensors, size_t n, const em_safetensors_entry *entries,
                                 size_t n_entries, em__str *header, uint64_t *offsets)
{
    const em_safetensors_tensor **order = em__calloc(n, sizeof *order);
    em_status status = order ? arrange(tensors, n, order) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        status = build_header(header, order, n, entries, n_entries);
    uint64_t at = header->length;
    for (size_t i = 0; status == EM_OK && i < n; i++) {
        offsets[order[i] - tensors] = at;
        at += order[i]->nbytes;
    }
    em__free(order);
    return status;
}

static em_status write_all(const char *path, const em__str *header, const em_safetensors_tensor *const *order, size_t n)
{
    em__writer writer;
    EM__TRY(em__writer_begin(&writer, path));
    em_status status = em__writer_add(&writer, header->data, header->length);
    for (size_t i = 0; status == EM_OK && i < n; i++)
        status = em__writer_add(&writer, order[i]->data, order[i]->nbytes);
    if (status == EM_OK)
        return em__writer_commit(&writer);
    em__writer_abort(&writer);
    return status;
}

em_status em_safetensors_write(const char *path, const em_safetensors_tensor *tensors, size_t n,
                               const em_safetensors_entry *entries, size_t n_entries)
{
    EM__FAIL_IF(!path || (!tensors && n) || (!entries && n_entries), EM_ERROR_INVALID_ARGUMENT,
                "safetensors_write: NULL argument");
    em__str header = {0};
    const em_safetensors_tensor **order = em__calloc(n, sizeof *order);
    em_status status = order ? arrange(tensors, n, order) : EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; status == EM_OK && i < n; i++)
        if (!tensors[i].data && tensors[i].nbytes)
            status = em__fail(EM_ERROR_INVALID_ARGUMENT, "safetensors_write: %.80s: data is NULL", tensors[i].name);
    if (status == EM_OK)
        status = build_header(&header, order, n, entries, n_entries);
    if (status == EM_OK)
        status = write_all(path, &header, order, n);
    em__str_free(&header);
    em__free(order);
    return status;
}
