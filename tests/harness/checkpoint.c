/* Copying and spoiling checkpoints. */
#include "harness/checkpoint.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include <emily/safetensors.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "io/file.h"

enum { PATH = 1024, LARGEST = 64 << 20 };

void checkpoint_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[2 * PATH];
    while (d && (entry = readdir(d))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (unlink(path) != 0) /* a link goes, not what it leads to */
            checkpoint_remove(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

int checkpoint_entries(const char *dir)
{
    int count = -2; /* . and .. */
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

static void copy_file(const char *from, const char *to)
{
    char *bytes;
    size_t size;
    EXPECT_OK(em__file_read(from, LARGEST, &bytes, &size));
    EXPECT_OK(em__file_write(to, bytes, size));
    em__free(bytes);
}

static void copy_tree(const char *from, const char *to)
{
    DIR *d = opendir(from);
    struct dirent *entry;
    char source[PATH], target[PATH];
    if (!d)
        fail_msg("cannot read %s", from);
    EXPECT_OK(em__dir_make(to));
    while ((entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        if (em__path_is_dir(source))
            copy_tree(source, target);
        else
            copy_file(source, target);
    }
    closedir(d);
}

const char *checkpoint_copy(const char *golden, const char *name)
{
    static char path[PATH];
    snprintf(path, sizeof path, "%s", golden_scratch(name));
    checkpoint_remove(path);
    copy_tree(golden_path(golden), path);
    return path;
}

void checkpoint_write(const char *dir, const char *file, const char *text)
{
    char path[PATH], folder[PATH];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    if (text) {
        EXPECT_OK(em__dir_make(folder));
        EXPECT_OK(em__file_write(path, text, strlen(text)));
    } else {
        unlink(path);
    }
}

void checkpoint_set(const char *dir, const char *file, const char *key, const char *value)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    json_t *root = json_load_file(path, 0, NULL), *member = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    if (!root || (value && !member))
        fail_msg("%s: not JSON, or %s is not", path, value);
    if (value)
        json_object_set_new(root, key, member);
    else
        json_object_del(root, key);
    assert_int_equal(json_dump_file(root, path, JSON_INDENT(1)), 0);
    json_decref(root);
}

void checkpoint_spoil(const char *dir, const char *tensor, size_t at, size_t count)
{
    char path[PATH];
    const char none = '\377';
    em_safetensors *file;
    uint64_t header;
    EXPECT_OK(em_safetensors_open(dir, NULL, &file));
    const em_safetensors_tensor *t = em_safetensors_find(file, tensor), *first = em_safetensors_at(file, 0);
    if (!t)
        fail_msg("tensor %s is missing", tensor);
    for (size_t i = 1; i < em_safetensors_count(file); i++)
        if ((const char *)em_safetensors_at(file, i)->data < (const char *)first->data)
            first = em_safetensors_at(file, i);
    const off_t offset = (const char *)t->data - (const char *)first->data + (off_t)at;
    em_safetensors_close(&file);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    const int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &header, sizeof header, 0), sizeof header);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pwrite(fd, &none, 1, 8 + (off_t)header + offset + (off_t)i), 1);
    close(fd);
}
