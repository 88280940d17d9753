/* Maps, small reads, atomic writes, and the policy for names that come from files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "io/file.h"
#include "support/temp.h"

static void test_read_and_cap(void **state)
{
    const char *path = temp_text(*state, "a", "hello");
    char *text;
    size_t size;
    assert_int_equal(em__file_read(path, 5, &text, &size), EM_OK);
    assert_int_equal(size, 5);
    assert_string_equal(text, "hello");
    em__free(text);
    assert_int_equal(em__file_read(path, 4, &text, &size), EM_ERROR_FORMAT);
    assert_error_has("is 5 bytes long, at most 4");
    assert_int_equal(em__file_read(temp_path(*state, "b"), 4, &text, &size), EM_ERROR_NOT_FOUND);
    assert_error_has("no such file");
    assert_int_equal(em__file_read(*state, 4, &text, &size), EM_ERROR_IO);
    assert_error_has("a directory");
    assert_int_equal(symlink("../blobs/gone", temp_path(*state, "link")), 0);
    assert_int_equal(em__file_read(temp_path(*state, "link"), 4, &text, &size), EM_ERROR_IO);
    assert_error_has("is a link to ../blobs/gone, which is not there");
    assert_true(em__path_exists(temp_path(*state, "link")) && em__path_exists(*state));
    assert_false(em__path_exists(temp_path(*state, "b")) || em__path_exists(temp_path(*state, "a/b")));
    mkfifo(temp_path(*state, "pipe"), 0600);
    assert_int_equal(em__file_read(temp_path(*state, "pipe"), 4, &text, &size), EM_ERROR_IO);
}

static void test_map_modes(void **state)
{
    char page[10000];
    memset(page, 'x', sizeof page);
    const char *path = temp_file(*state, "a", page, sizeof page);
    for (int mode = EM__MAP_PAGES; mode <= EM__MAP_READ; mode++) {
        em__map map = {0};
        assert_int_equal(em__map_open(path, (em__map_mode)mode, &map), EM_OK);
        assert_int_equal(map.size, sizeof page);
        em__map_will_need(&map, 100, SIZE_MAX);
        em__map_release_pages(&map, 0, SIZE_MAX);
        em__map_release_pages(&map, 20000, 1);
        assert_memory_equal(map.data, page, sizeof page);
        em__map_close(&map);
        em__map_close(&map);
    }
    em__map map;
    assert_int_equal(em__map_open(temp_text(*state, "empty", ""), EM__MAP_PAGES, &map), EM_OK);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    em__map_close(&map);
}

/* A file that shrank between the two looks at its size must not be mapped. */
static void test_map_shrunk(void **state)
{
    const char *path = temp_text(*state, "a", "0123456789");
    for (int mode = EM__MAP_PAGES; mode <= EM__MAP_READ; mode++) {
        int fd;
        size_t size;
        em__map map;
        assert_int_equal(em__file_open(path, &fd, &size), EM_OK);
        assert_int_equal(em__map_fd(fd, path, size + 1, (em__map_mode)mode, &map), EM_ERROR_IO);
        em__map_close(&map);
        close(fd);
    }
}

static void test_write_is_atomic(void **state)
{
    const char *path = temp_path(*state, "out");
    assert_int_equal(em__file_write(path, "one", 3), EM_OK);
    em__writer writer;
    assert_int_equal(em__writer_begin(&writer, path), EM_OK);
    assert_int_equal(em__writer_add(&writer, "xxtwo", 5), EM_OK);
    char *text;
    size_t size;
    assert_int_equal(em__file_read(path, 10, &text, &size), EM_OK);
    assert_string_equal(text, "one");
    em__free(text);
    assert_int_equal(em__writer_patch(&writer, 0, "==", 2), EM_OK);
    assert_int_equal(em__writer_commit(&writer), EM_OK);
    em__writer_abort(&writer);
    assert_int_equal(em__file_read(path, 10, &text, &size), EM_OK);
    assert_string_equal(text, "==two");
    em__free(text);
    assert_int_equal(em__writer_begin(&writer, path), EM_OK);
    em__writer_abort(&writer);
    assert_int_equal(em__writer_begin(&writer, temp_path(*state, "no/such/dir")), EM_ERROR_NOT_FOUND);
    em__writer_abort(&writer);
    unlink(path);
    assert_int_equal(rmdir(*state), 0); /* nothing was left behind */
    mkdir(*state, 0700);
}

static void expect_text(const char *path, const char *expected)
{
    char *text;
    size_t size;
    assert_int_equal(em__file_read(path, 100, &text, &size), EM_OK);
    assert_string_equal(text, expected);
    em__free(text);
}

/* Links lead to the file that is replaced, or that shall be; they stay. */
static void test_write_follows_links(void **state)
{
    struct stat info;
    em__dir_make(temp_path(*state, "d"));
    temp_text(*state, "d/there", "old");
    assert_int_equal(symlink("there", temp_path(*state, "d/near")), 0);
    assert_int_equal(symlink("d/near", temp_path(*state, "far")), 0);
    assert_int_equal(symlink("d/fresh", temp_path(*state, "dangling")), 0);
    assert_int_equal(symlink("d/none/x", temp_path(*state, "nowhere")), 0);
    assert_int_equal(symlink("ring", temp_path(*state, "ring")), 0);
    assert_int_equal(em__file_write(temp_path(*state, "far"), "new", 3), EM_OK);
    expect_text(temp_path(*state, "d/there"), "new");
    assert_int_equal(em__file_write(temp_path(*state, "dangling"), "one", 3), EM_OK);
    expect_text(temp_path(*state, "d/fresh"), "one");
    assert_true(lstat(temp_path(*state, "far"), &info) == 0 && S_ISLNK(info.st_mode));
    assert_true(lstat(temp_path(*state, "dangling"), &info) == 0 && S_ISLNK(info.st_mode));
    assert_int_equal(em__file_write(temp_path(*state, "nowhere"), "", 0), EM_ERROR_NOT_FOUND);
    assert_int_equal(em__file_write(temp_path(*state, "ring"), "", 0), EM_ERROR_IO);
    assert_error_has("levels of symbolic links");
}

/* Temporaries that an earlier process of our number left are in nobody's way, and are not ours to remove. */
static void test_write_past_stale(void **state)
{
    enum { STALE = 300 };
    char name[64];
    for (int i = 0; i < STALE; i++) {
        snprintf(name, sizeof name, "out.%ld-%d.tmp", (long)getpid(), i);
        temp_text(*state, name, "stale");
    }
    assert_int_equal(em__file_write(temp_path(*state, "out"), "new", 3), EM_OK);
    expect_text(temp_path(*state, "out"), "new");
    for (int i = 0; i < STALE; i++) {
        snprintf(name, sizeof name, "out.%ld-%d.tmp", (long)getpid(), i);
        expect_text(temp_path(*state, name), "stale");
    }
}

/* A file that is written again stays as private, or as shared, as it was, while it is written and after. */
static void test_write_keeps_mode(void **state)
{
    static const mode_t modes[] = {0600, 0640, 0666, 0755};
    struct stat info;
    char temporary[96];
    em__writer writer;
    const char *path = temp_text(*state, "out", "old");
    const mode_t mask = umask(022);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(em__writer_begin(&writer, path), EM_OK);
        snprintf(temporary, sizeof temporary, "%s", writer.temporary);
        assert_true(stat(temporary, &info) == 0 && (info.st_mode & 0777 & ~modes[i]) == 0);
        assert_int_equal(em__writer_commit(&writer), EM_OK);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, modes[i]);
    }
    assert_int_equal(em__file_write(temp_path(*state, "fresh"), "", 0), EM_OK);
    assert_int_equal(stat(temp_path(*state, "fresh"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
    umask(mask);
}

/* What is no file is not replaced by one. */
static void test_write_refuses(void **state)
{
    struct stat info;
    em__dir_make(temp_path(*state, "folder"));
    mkfifo(temp_path(*state, "pipe"), 0600);
    assert_int_equal(symlink("pipe", temp_path(*state, "link")), 0);
    static const char *const names[] = {"folder", "pipe", "link"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(em__file_write(temp_path(*state, names[i]), "", 0), EM_ERROR_INVALID_ARGUMENT);
        assert_error_has("is no regular file");
    }
    assert_true(stat(temp_path(*state, "pipe"), &info) == 0 && S_ISFIFO(info.st_mode));
}

static void test_dirs(void **state)
{
    const char *deep = temp_path(*state, "a/b//c/");
    assert_int_equal(em__dir_make(deep), EM_OK);
    assert_int_equal(em__dir_make(deep), EM_OK);
    assert_true(em__path_is_dir(deep));
    temp_text(*state, "file", "");
    assert_int_equal(em__dir_make(temp_path(*state, "file")), EM_ERROR_IO);
    assert_int_equal(em__dir_make(temp_path(*state, "file/x")), EM_ERROR_IO);
}

static em_status try_inside(const char *dir, const char *name)
{
    int fd;
    size_t size;
    em_status status = em__file_open_inside(dir, name, &fd, &size);
    if (status == EM_OK)
        close(fd);
    return status;
}

static void test_untrusted_names(void **state)
{
    temp_text(*state, "x", "outside");
    em__dir_make(temp_path(*state, "model"));
    const char *dir = temp_path(*state, "model");
    temp_text(*state, "model/x", "inside");
    assert_int_equal(try_inside(dir, "x"), EM_OK);
    static const char *const bad[] = {"", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "..\\x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(try_inside(dir, bad[i]), EM_ERROR_FORMAT);
        assert_error_has("plain file name");
    }
    assert_int_equal(try_inside(dir, "y"), EM_ERROR_NOT_FOUND);
    assert_int_equal(symlink("../x", temp_path(dir, "out")), 0);
    assert_int_equal(try_inside(dir, "out"), EM_ERROR_FORMAT);
    assert_error_has("symbolic link");
    assert_int_equal(symlink("x", temp_path(dir, "in")), 0);
    assert_int_equal(try_inside(dir, "in"), EM_OK);
    assert_int_equal(symlink("loop", temp_path(dir, "loop")), 0);
    assert_int_equal(try_inside(dir, "loop"), EM_ERROR_IO);
}

/* snapshots/<commit>/x -> ../../blobs/<hash> is how a Hugging Face cache looks; other repositories are out of reach. */
static void test_cache_links(void **state)
{
    em__dir_make(temp_path(*state, "models--a--b/blobs"));
    em__dir_make(temp_path(*state, "models--a--b/snapshots/c0ffee"));
    em__dir_make(temp_path(*state, "models--a--c/blobs"));
    temp_text(*state, "models--a--b/blobs/123", "blob");
    temp_text(*state, "models--a--c/blobs/456", "blob");
    const char *dir = temp_path(*state, "models--a--b/snapshots/c0ffee");
    assert_int_equal(symlink("../../blobs/123", temp_path(dir, "good")), 0);
    assert_int_equal(symlink("../../../models--a--c/blobs/456", temp_path(dir, "bad")), 0);
    assert_int_equal(try_inside(dir, "good"), EM_OK);
    assert_int_equal(try_inside(dir, "bad"), EM_ERROR_FORMAT);
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP(test_read_and_cap),
        TEMP(test_map_modes),
        TEMP(test_map_shrunk),
        TEMP(test_write_is_atomic),
        TEMP(test_dirs),
        TEMP(test_write_follows_links),
        TEMP(test_write_past_stale),
        TEMP(test_write_keeps_mode),
        TEMP(test_write_refuses),
        TEMP(test_untrusted_names),
        TEMP(test_cache_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
