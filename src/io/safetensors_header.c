/*
 * The header of one safetensors file: u64 little-endian length N, N bytes of JSON, then the tensors' bytes.
 *
 *     {"__metadata__": {"k": "v"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
 *
 * Offsets count from the end of the header. Time is linear in the header, but for a sort when tensors don't stand in
 * the order of their bytes. No length is believed before it was compared with the file's.
 */
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/cause.h"
#include "core/error.h"
#include "io/json.h"
#include "io/safetensors.h"

typedef struct span {
    const unsigned char *data;
    size_t size;
} span; /* the tensors' bytes */

static const char *const dtype_names[EM_DTYPE_COUNT] = {
#define NAME(name, text, bits, kind, st) [EM_##name] = st,
    EM_DTYPE_MAP(NAME)
#undef NAME
};

/* Of the format, but without a dtype of ours: files that hold them are read, such tensors only listed. */
static const struct {
    const char *name;
    size_t bits;
} foreign_dtypes[] = {{"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},
                      {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};

static em_status read_dtype(const em__json *tensor, em_safetensors_tensor *out, size_t *bits)
{
    const char *name;
    char shown[40];
    EM__TRY(em__json_get_string(tensor, "dtype", &name));
    for (int i = 0; i < EM_DTYPE_COUNT; i++)
        if (dtype_names[i] && strcmp(name, dtype_names[i]) == 0) {
            out->dtype = (em_dtype)i;
            out->stored = dtype_names[i];
            *bits = em_dtype_bits(out->dtype);
            return EM_OK;
        }
    for (size_t i = 0; i < sizeof foreign_dtypes / sizeof foreign_dtypes[0]; i++)
        if (strcmp(name, foreign_dtypes[i].name) == 0) {
            out->dtype = EM_DTYPE_COUNT;
            out->stored = foreign_dtypes[i].name;
            *bits = foreign_dtypes[i].bits;
            return EM_OK;
        }
    return em__json_fail(tensor, EM_ERROR_FORMAT,
                         "dtype \"%s\" is unknown to the format (F32, BF16, F16, I64 and so on)",
                         em__printable(shown, sizeof shown, name));
}

static em_status read_shape(const em__json *tensor, size_t bits, em_dims *dims, size_t *bytes)
{
    em__json shape;
    size_t rank;
    EM__TRY(em__json_get_array(tensor, "shape", &shape, &rank));
    if (rank > EM_MAX_RANK)
        return em__json_fail(&shape, EM_ERROR_UNSUPPORTED, "has rank %zu, at most %d is supported", rank, EM_MAX_RANK);
    *dims = (em_dims){.rank = (int)rank};
    size_t total = bits;
    bool overflow = false, none = false;
    for (size_t i = 0; i < rank; i++) {
        em__json item = em__json_item(&shape, i);
        EM__TRY(em__json_as_int(&item, 0, INT64_MAX, &dims->dims[i]));
        none |= dims->dims[i] == 0;
        overflow |= em__mul_overflows(total, (uint64_t)dims->dims[i], &total);
    }
    /* A product that wraps is an error even where a later 0 would hide it. */
    if (overflow)
        return em__json_fail(&shape, EM_ERROR_FORMAT, "the number of bytes does not fit 64 bits");
    if (!none && total % 8 != 0)
        return em__json_fail(&shape, EM_ERROR_FORMAT, "%zu bits are no whole number of bytes", total);
    *bytes = none ? 0 : total / 8;
    return EM_OK;
}

static em_status read_offsets(const em__json *tensor, span bytes, em_safetensors_tensor *out)
{
    em__json offsets;
    size_t count;
    int64_t begin = 0, end = 0;
    EM__TRY(em__json_get_array(tensor, "data_offsets", &offsets, &count));
    if (count != 2)
        return em__json_fail(&offsets, EM_ERROR_FORMAT, "has %zu elements, expected [begin, end]", count);
    em__json first = em__json_item(&offsets, 0), second = em__json_item(&offsets, 1);
    EM__TRY(em__json_as_int(&first, 0, INT64_MAX, &begin));
    EM__TRY(em__json_as_int(&second, 0, INT64_MAX, &end));
    if (end < begin)
        return em__json_fail(&offsets, EM_ERROR_FORMAT, "[%lld, %lld] ends before it begins", (long long)begin,
                             (long long)end);
    if ((uint64_t)end > bytes.size)
        return em__json_fail(
            &offsets, EM_ERROR_FORMAT,
            "[%lld, %lld] passes the end: the file holds %zu bytes of tensors; it may be cut short: fetch it again",
            (long long)begin, (long long)end, bytes.size);
    if ((uint64_t)(end - begin) != out->nbytes)
        return em__json_fail(&offsets, EM_ERROR_FORMAT, "[%lld, %lld] are %lld bytes, dtype and shape need %zu",
                             (long long)begin, (long long)end, (long long)(end - begin), out->nbytes);
    out->data = bytes.data + begin;
    return EM_OK;
}

static em_status read_tensor(em_safetensors *file, const em__json *tensor, span bytes)
{
    em_safetensors_tensor out = {0};
    EM__TRY(em__json_as_object(tensor));
    size_t bits = 0;
    EM__TRY(read_dtype(tensor, &out, &bits));
    EM__TRY(read_shape(tensor, bits, &out.dims, &out.nbytes));
    EM__TRY(read_offsets(tensor, bytes, &out));
    out.name = em__arena_strndup(&file->arena, tensor->key, strlen(tensor->key));
    if (!out.name)
        return EM_ERROR_OUT_OF_MEMORY;
    return em__vec_push(&file->tensors, out);
}

static em_status read_metadata(em_safetensors *file, size_t shard, const em__json *metadata)
{
    EM__TRY(em__json_as_object(metadata));
    const char *key;
    json_t *value;
    json_object_foreach(metadata->value, key, value)
    {
        em__json entry = em__json_member(metadata, key);
        const char *text;
        EM__TRY(em__json_as_string(&entry, &text));
        if (shard > 0)
            continue;
        em_safetensors_entry copy = {em__arena_strndup(&file->arena, key, strlen(key)),
                                     em__arena_strndup(&file->arena, text, strlen(text))};
        if (!copy.key || !copy.value)
            return EM_ERROR_OUT_OF_MEMORY;
        EM__TRY(em__vec_push(&file->metadata, copy));
    }
    return EM_OK;
}

static int compare_place(const void *left, const void *right)
{
    const em_safetensors_tensor *a = left, *b = right;
    if (a->data != b->data)
        return (const char *)a->data < (const char *)b->data ? -1 : 1;
    return a->nbytes < b->nbytes ? -1 : a->nbytes > b->nbytes;
}

/* Sorts the tensors from `first` on by place, and demands that they cover the bytes, each byte once. */
static em_status check_cover(em_safetensors *file, size_t first, const char *path, span bytes)
{
    em_safetensors_tensor *tensors = file->tensors.data ? file->tensors.data + first : NULL;
    size_t n = file->tensors.length - first, at = 0;
    char name[120];
    bool sorted = true;
    for (size_t i = 1; i < n; i++)
        sorted &= compare_place(&tensors[i - 1], &tensors[i]) <= 0;
    if (!sorted)
        qsort(tensors, n, sizeof *tensors, compare_place);
    for (size_t i = 0; i < n; i++) {
        size_t begin = (size_t)((const unsigned char *)tensors[i].data - bytes.data);
        EM__FAIL_IF(begin < at, EM_ERROR_FORMAT,
                    "%s: %s: begins at byte %zu, inside the tensor before it, which ends at %zu", path,
                    em__printable(name, sizeof name, tensors[i].name), begin, at);
        EM__FAIL_IF(begin > at, EM_ERROR_FORMAT, "%s: %s: begins at byte %zu, the tensor before it ends at %zu: a hole",
                    path, em__printable(name, sizeof name, tensors[i].name), begin, at);
        at += tensors[i].nbytes;
    }
    EM__FAIL_IF(at != bytes.size, EM_ERROR_FORMAT, "%s: tensors end at byte %zu, %zu bytes follow the header", path, at,
                bytes.size);
    return EM_OK;
}

/* Old writers did not pad the header; a tensor that would be misaligned is copied. */
static em_status align(em_safetensors *file, size_t first)
{
    for (size_t i = first; i < file->tensors.length; i++) {
        em_safetensors_tensor *tensor = &file->tensors.data[i];
        size_t alignment = em_dtype_size(tensor->dtype);
        if (alignment == 0 || (uintptr_t)tensor->data % alignment == 0)
            continue;
        void *copy = em__arena_alloc(&file->arena, tensor->nbytes);
        if (!copy)
            return EM_ERROR_OUT_OF_MEMORY;
        memcpy(copy, tensor->data, tensor->nbytes);
        tensor->data = copy;
    }
    return EM_OK;
}

/* The JSON between the length and the tensors. */
static em_status find_header(const em__shard *shard, span *json, span *bytes)
{
    const unsigned char *data = shard->map.data;
    size_t size = shard->map.size;
    EM__FAIL_IF(size < 8, EM_ERROR_FORMAT,
                "%s: is %zu bytes long, expected a safetensors file: it begins with 8 bytes of length", shard->path,
                size);
    EM__TRY(em__file_check_pointer(shard->path, data, size));
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | data[i];
    EM__FAIL_IF(length > EM__SAFETENSORS_HEADER_CAP, EM_ERROR_FORMAT,
                "%s: header length is %llu, at most %zu is read; is this a safetensors file?", shard->path,
                (unsigned long long)length, EM__SAFETENSORS_HEADER_CAP);
    EM__FAIL_IF(length > size - 8, EM_ERROR_FORMAT,
                "%s: header length is %llu, %zu bytes are there; the file may be cut short: fetch it again",
                shard->path, (unsigned long long)length, size - 8);
    EM__FAIL_IF(length < 2 || data[8] != '{', EM_ERROR_FORMAT, "%s: header does not begin with '{'", shard->path);
    *json = (span){data + 8, (size_t)length};
    *bytes = (span){data + 8 + length, size - 8 - (size_t)length};
    return EM_OK;
}

em_status em__safetensors_read_header(em_safetensors *file, size_t shard)
{
    const em__shard *s = &file->shards.data[shard];
    span json = {0}, bytes = {0};
    EM__TRY(find_header(s, &json, &bytes));
    em__json_doc doc;
    size_t first = file->tensors.length;
    em_status status = em__json_parse((const char *)json.data, json.size, s->path, &doc);
    if (status == EM_OK) {
        em__json root = em__json_root(&doc);
        const char *key;
        json_t *value;
        json_object_foreach(doc.root, key, value)
        {
            em__json member = {value, &doc, &root, key, 0};
            status = strcmp(key, "__metadata__") == 0 ? read_metadata(file, shard, &member)
                                                      : read_tensor(file, &member, bytes);
            if (status != EM_OK)
                break;
        }
    }
    if (status == EM_OK)
        status = check_cover(file, first, s->path, bytes);
    if (status == EM_OK)
        status = align(file, first);
    em__json_free(&doc);
    return em__because(status, EM__CAUSE_UNKNOWN); /* a file of weights is not mended by hand */
}
