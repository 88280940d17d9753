/* Any bytes as model.safetensors.index.json, beside a good shard (tensors a and b) and a link out of the directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <emily/safetensors.h>

#include "fuzz/replay.h"

static char directory[64], index_path[128], shard_path[128], link_path[128];

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void clean(void)
{
    unlink(index_path);
    unlink(shard_path);
    unlink(link_path);
    rmdir(directory);
}

static void prepare(void)
{
    static const float x[2] = {1, 2};
    const em_safetensors_tensor tensors[] = {{"a", EM_F32, {1, {2}}, x, 8}, {"b", EM_U8, {1, {3}}, x, 3}};
    /* In memory, if there is such a place: a disk takes 1,000 times as long. */
    snprintf(directory, sizeof directory, "/dev/shm/emily-fuzz-XXXXXX");
    if (!mkdtemp(directory)) {
        snprintf(directory, sizeof directory, "/tmp/emily-fuzz-XXXXXX");
        if (!mkdtemp(directory))
            abort();
    }
    snprintf(index_path, sizeof index_path, "%s/model.safetensors.index.json", directory);
    snprintf(shard_path, sizeof shard_path, "%s/s", directory);
    snprintf(link_path, sizeof link_path, "%s/l", directory);
    if (em_safetensors_write(shard_path, tensors, 2, NULL, 0) != EM_OK || symlink("/etc/passwd", link_path) != 0)
        abort();
    atexit(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_safetensors *file;
    if (!directory[0])
        prepare();
    write_file(index_path, data, size);
    if (em_safetensors_open(directory, NULL, &file) == EM_OK &&
        strcmp(em_safetensors_file_path(file, 0), shard_path) != 0)
        abort();
    em_safetensors_close(&file);
    return 0;
}
