/* What an open checkpoint answers: tensors, metadata, files, and hints about their pages. */
#include <string.h>

#include "io/safetensors.h"

size_t em_safetensors_count(const em_safetensors *file)
{
    return file ? file->tensors.length : 0;
}

const em_safetensors_tensor *em_safetensors_at(const em_safetensors *file, size_t index)
{
    return index < em_safetensors_count(file) ? &file->tensors.data[index] : NULL;
}

const em_safetensors_tensor *em_safetensors_find(const em_safetensors *file, const char *name)
{
    size_t low = 0, high = name ? em_safetensors_count(file) : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->name);
        if (order == 0)
            return file->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

size_t em_safetensors_file_count(const em_safetensors *file)
{
    return file ? file->shards.length : 0;
}

const char *em_safetensors_file_path(const em_safetensors *file, size_t index)
{
    return index < em_safetensors_file_count(file) ? file->shards.data[index].path : NULL;
}

size_t em_safetensors_bytes(const em_safetensors *file)
{
    size_t total = 0;
    for (size_t i = 0; i < em_safetensors_file_count(file); i++)
        total += file->shards.data[i].map.size;
    return total;
}

size_t em_safetensors_metadata_count(const em_safetensors *file)
{
    return file ? file->metadata.length : 0;
}

bool em_safetensors_metadata_at(const em_safetensors *file, size_t index, const char **key, const char **value)
{
    if (index >= em_safetensors_metadata_count(file))
        return false;
    if (key)
        *key = file->metadata.data[index].key;
    if (value)
        *value = file->metadata.data[index].value;
    return true;
}

const char *em_safetensors_metadata(const em_safetensors *file, const char *key)
{
    for (size_t i = 0; key && i < em_safetensors_metadata_count(file); i++)
        if (strcmp(file->metadata.data[i].key, key) == 0)
            return file->metadata.data[i].value;
    return NULL;
}

/* The map that holds the tensor, NULL for an aligned copy. */
static const em__map *map_of(const em_safetensors *file, const em_safetensors_tensor *tensor, size_t *offset)
{
    uintptr_t at = (uintptr_t)tensor->data;
    for (size_t i = 0; i < file->shards.length; i++) {
        const em__map *map = &file->shards.data[i].map;
        uintptr_t base = (uintptr_t)map->data;
        if (at >= base && at - base <= map->size) {
            *offset = at - base;
            return map;
        }
    }
    return NULL;
}

void em__safetensors_will_need(const em_safetensors *file, const em_safetensors_tensor *tensor)
{
    size_t offset;
    const em__map *map = map_of(file, tensor, &offset);
    if (map)
        em__map_will_need(map, offset, tensor->nbytes);
}

void em__safetensors_release_pages(const em_safetensors *file, const em_safetensors_tensor *tensor)
{
    size_t offset;
    const em__map *map = map_of(file, tensor, &offset);
    if (map)
        em__map_release_pages(map, offset, tensor->nbytes);
}
