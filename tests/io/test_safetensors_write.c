/* The writer: round trips, layout, refusals, allocation failures. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <emily/safetensors.h>

#include "harness/faults.h"
#include "support/temp.h"

static const unsigned char data[256] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

#define TENSOR(name, dtype, bytes, ...)                                                                                \
    {                                                                                                                  \
        name, dtype, {sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}}, data, bytes                                \
    }

static void test_round_trip(void **state)
{
    const char *path = temp_path(*state, "out.safetensors");
    const em_safetensors_tensor tensors[] = {
        TENSOR("odd", EM_U8, 3, 3), TENSOR("h", EM_BF16, 12, 2, 3),  TENSOR("quote\"\\\n\xc3\xa9/", EM_F32, 8, 2),
        TENSOR("a", EM_F32, 4, 1),  TENSOR("none", EM_F64, 0, 4, 0), {"scalar", EM_C128, {0}, data, 16},
    };
    const em_safetensors_entry entries[] = {{"format", "pt"}, {"\xe2\x82\xac", ""}};
    assert_int_equal(em_safetensors_write(path, tensors, 6, entries, 2), EM_OK);
    em_safetensors *file;
    assert_int_equal(em_safetensors_open(path, NULL, &file), EM_OK);
    assert_int_equal(em_safetensors_count(file), 6);
    for (size_t i = 0; i < 6; i++) {
        const em_safetensors_tensor *t = em_safetensors_find(file, tensors[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, tensors[i].dtype);
        assert_memory_equal(&t->dims, &tensors[i].dims, sizeof t->dims);
        assert_memory_equal(t->data, data, t->nbytes);
    }
    assert_string_equal(em_safetensors_at(file, 0)->name, "scalar");
    assert_int_equal((uintptr_t)em_safetensors_at(file, 0)->data % 64, 0);
    assert_string_equal(em_safetensors_metadata(file, "format"), "pt");
    assert_string_equal(em_safetensors_metadata(file, "\xe2\x82\xac"), "");
    em_safetensors_close(&file);
    assert_int_equal(em_safetensors_write(path, NULL, 0, NULL, 0), EM_OK);
    assert_int_equal(em_safetensors_open(path, NULL, &file), EM_OK);
    assert_int_equal(em_safetensors_count(file), 0);
    em_safetensors_close(&file);
}

static void refuse(const char *dir, const em_safetensors_tensor *tensors, size_t n, const char *part)
{
    const char *path = temp_path(dir, "bad.safetensors");
    em_safetensors *file;
    assert_int_equal(em_safetensors_write(path, tensors, n, NULL, 0), EM_ERROR_INVALID_ARGUMENT);
    assert_error_has(part);
    assert_int_equal(em_safetensors_open(path, NULL, &file), EM_ERROR_NOT_FOUND);
}

static void test_refused(void **state)
{
    const em_safetensors_tensor rows[] = {
        TENSOR("", EM_U8, 3, 3),      TENSOR("__metadata__", EM_U8, 3, 3),  TENSOR("x", EM_U8, 4, 3),
        TENSOR("x", EM_U8, 3, -3),    TENSOR("x", EM_F32, 0, INT64_MAX, 8), TENSOR("x", (em_dtype)99, 3, 3),
        TENSOR("x\xff", EM_U8, 3, 3), {"x", EM_U8, {1, {3}}, NULL, 3},      {"x", EM_U8, {9, {1}}, data, 1},
        {NULL, EM_U8, {0}, data, 1},
    };
    static const char *const parts[] = {"named \"\"",  "named \"__metadata__\"",
                                        "nbytes is 4", "dimension 0 is -3",
                                        "dimension 0", "dtype 99",
                                        "UTF-8",       "data is NULL",
                                        "rank is 9",   "(null)"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refuse(*state, &rows[i], 1, parts[i]);
    const em_safetensors_tensor twice[] = {TENSOR("x", EM_U8, 3, 3), TENSOR("y", EM_U8, 3, 3),
                                           TENSOR("x", EM_F32, 4, 1)};
    refuse(*state, twice, 3, "two tensors are named \"x\"");
    const em_safetensors_tensor one[] = {TENSOR("x", EM_U8, 3, 3)};
    assert_int_equal(em_safetensors_write(temp_path(*state, "no/dir"), one, 1, NULL, 0), EM_ERROR_NOT_FOUND);
}

static void test_metadata_refused(void **state)
{
    static const struct {
        em_safetensors_entry entries[2];
        const char *part;
    } rows[] = {{{{"k", "v"}, {NULL, "v"}}, "key or value 1 of metadata is NULL"},
                {{{NULL, "v"}, {"k", "v"}}, "key or value 0 of metadata is NULL"},
                {{{"k", "v"}, {"l", NULL}}, "key or value 1 of metadata is NULL"},
                {{{"k", "v"}, {"k", "w"}}, "two entries of metadata are named \"k\""},
                {{{"k", "v"}, {"l", "\xff"}}, "is not valid UTF-8"}};
    const char *path = temp_path(*state, "bad.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(em_safetensors_write(path, NULL, 0, rows[i].entries, 2), EM_ERROR_INVALID_ARGUMENT);
        assert_error_has(rows[i].part);
    }
}

static void *no_memory(size_t size)
{
    (void)size;
    errno = ENOMEM;
    return NULL;
}

/* Want of memory is no fault of the text. */
static void test_metadata_memory(void **state)
{
    const em_safetensors_entry entry = {"k", "v"};
    json_set_alloc_funcs(no_memory, free);
    em_status status = em_safetensors_write(temp_path(*state, "x"), NULL, 0, &entry, 1);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(status, EM_ERROR_OUT_OF_MEMORY);
    assert_error_has("safetensors_write: out of memory");
}

static em_status write_two(void *path)
{
    const em_safetensors_tensor two[] = {TENSOR("y", EM_U8, 3, 3), TENSOR("x", EM_F32, 4, 1)};
    const em_safetensors_entry entry = {"k", "v"};
    return em_safetensors_write(path, two, 2, &entry, 1);
}

static void test_every_allocation_fails(void **state)
{
    char *path = strdup(temp_path(*state, "x"));
    assert_true(faults_sweep(write_two, path) >= 4);
    free(path);
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEMP(test_round_trip), TEMP(test_refused), TEMP(test_metadata_refused),
                                       TEMP(test_metadata_memory), TEMP(test_every_allocation_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
