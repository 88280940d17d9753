/* A directory of its own for each test, removed at the end, and files in it. */
#ifndef EM_TESTS_TEMP_H
#define EM_TESTS_TEMP_H

#include <stddef.h>

/* cmocka setup and teardown: *state is the directory's path. */
int temp_setup(void **state);
int temp_teardown(void **state);

/* dir/name in one of eight rotating static buffers. */
const char *temp_path(const char *dir, const char *name);

/* Writes a file (its directory must exist); returns its path as temp_path does. */
const char *temp_file(const char *dir, const char *name, const void *bytes, size_t size);
const char *temp_text(const char *dir, const char *name, const char *text);

/* Asserts that the thread's last error holds `part`. */
void assert_error_has(const char *part);

#endif
