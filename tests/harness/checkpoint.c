/* Copying and spoiling checkpoints. */
#include "harness/checkpoint.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

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
