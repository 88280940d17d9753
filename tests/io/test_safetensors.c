/* Good files: every dtype, shards, look-ups, alignment, references, and each allocation failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/alloc.h"
#include "io/safetensors.h"
#include "support/st.h"
#include "support/temp.h"

static const char two[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                          "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[4,12]},"
                          "\"a\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}";

static void test_single(void **state)
{
    const char *path = st_file(*state, "model.safetensors", two, 12);
    for (int mode = EM_SAFETENSORS_MAP; mode <= EM_SAFETENSORS_READ; mode++) {
        em_safetensors *file;
        em_safetensors_options options = {sizeof options, (em_safetensors_mode)mode};
        assert_int_equal(em_safetensors_open(mode ? path : *state, &options, &file), EM_OK);
        assert_int_equal(em_safetensors_count(file), 2);
        const em_safetensors_tensor *a = em_safetensors_at(file, 0), *b = em_safetensors_find(file, "b");
        assert_string_equal(a->name, "a");
        assert_ptr_equal(b, em_safetensors_at(file, 1));
        assert_null(em_safetensors_at(file, 2));
        assert_null(em_safetensors_find(file, "c"));
        assert_int_equal(a->dims.rank, 0);
        assert_int_equal(*(const int32_t *)a->data, 0x03020100);
        assert_int_equal(b->dims.rank, 2);
        assert_int_equal(b->dims.dims[0], 2);
        assert_int_equal(b->nbytes, 8);
        assert_string_equal(em_safetensors_metadata(file, "format"), "pt");
        assert_null(em_safetensors_metadata(file, "x"));
        assert_null(em_safetensors_metadata(file, NULL));
        assert_true(em_safetensors_metadata_at(file, 0, NULL, NULL));
        assert_int_equal(em_safetensors_metadata_count(file), 1);
        assert_string_equal(em_safetensors_file_path(file, 0), path);
        em__safetensors_will_need(file, b);
        em__safetensors_release_pages(file, b);
        em_safetensors_close(&file);
        assert_null(file);
        em_safetensors_close(&file);
    }
}

static void test_outlives_close(void **state)
{
    em_safetensors *file;
    assert_int_equal(em_safetensors_open(st_file(*state, "x.safetensors", two, 12), NULL, &file), EM_OK);
    void *kept = em__safetensors_retain(file);
    const unsigned char *data = em_safetensors_find(file, "b")->data;
    em_safetensors_close(&file);
    assert_int_equal(data[0], 4);
    em__safetensors_release(kept);
}

static void test_dtypes(void **state)
{
    (void)state;
    static const char *const names[] = {
#define NAME(name, text, bits, kind, st) st,
        EM_DTYPE_MAP(NAME)
#undef NAME
    };
    for (int i = 0; i < EM_DTYPE_COUNT && names[i]; i++) { /* those without a name stand last */
        char header[200];
        size_t size, bytes = 3 * em_dtype_size((em_dtype)i);
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}", names[i],
                 bytes);
        unsigned char *data = st_bytes(header, bytes, &size);
        em_safetensors *file;
        assert_int_equal(em_safetensors_open_memory(data, size, &file), EM_OK);
        const em_safetensors_tensor *t = em_safetensors_at(file, 0);
        assert_int_equal(t->dtype, i);
        assert_int_equal(t->nbytes, bytes);
        assert_int_equal((uintptr_t)t->data % em_dtype_size((em_dtype)i), 0); /* whatever the header's length */
        assert_memory_equal(t->data, data + size - bytes, bytes);
        em_safetensors_close(&file);
        free(data);
    }
}

static void test_without_elements(void **state)
{
    (void)state;
    size_t size;
    unsigned char *data = st_bytes("{\"z\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[4,4]},"
                                   "\"y\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]},"
                                   "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                                   "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}   ",
                                   8, &size);
    em_safetensors *file;
    assert_int_equal(em_safetensors_open_memory(data, size, &file), EM_OK);
    assert_int_equal(em_safetensors_find(file, "z")->nbytes, 0);
    assert_non_null(em_safetensors_find(file, "z")->data);
    em_safetensors_close(&file);
    free(data);
    data = st_bytes("{}", 0, &size);
    assert_int_equal(em_safetensors_open_memory(data, size, &file), EM_OK);
    assert_int_equal(em_safetensors_count(file), 0);
    em_safetensors_close(&file);
    free(data);
}

static void write_shards(const char *dir)
{
    st_file(dir, "one.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
    st_file(dir, "two.safetensors",
            "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
            "\"extra\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}",
            4);
    temp_text(dir, "model.safetensors.index.json",
              "{\"metadata\":{\"total_size\":5},\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"one.safetensors\"}}");
}

static void test_shards(void **state)
{
    write_shards(*state);
    em_safetensors *file;
    assert_int_equal(em_safetensors_open(*state, NULL, &file), EM_OK);
    assert_int_equal(em_safetensors_count(file), 2);
    assert_int_equal(em_safetensors_file_count(file), 2);
    assert_int_equal(em_safetensors_find(file, "b")->nbytes, 3);
    assert_null(em_safetensors_find(file, "extra"));
    em_safetensors_close(&file);
    char cwd[1024];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(*state), 0);
    assert_int_equal(em_safetensors_open("model.safetensors.index.json", NULL, &file), EM_OK);
    em_safetensors_close(&file);
    assert_int_equal(chdir(cwd), 0);
}

/* Whatever stood in the result before a call that fails, NULL stands there after it. */
static void test_nothing_given(void **state)
{
    (void)state;
    int any;
    em_safetensors *file = (em_safetensors *)&any;
    assert_int_equal(em_safetensors_open(NULL, NULL, &file), EM_ERROR_INVALID_ARGUMENT);
    assert_null(file);
    file = (em_safetensors *)&any;
    assert_int_equal(em_safetensors_open_memory(NULL, 5, &file), EM_ERROR_INVALID_ARGUMENT);
    assert_null(file);
    assert_int_equal(em_safetensors_open("x", NULL, NULL), EM_ERROR_INVALID_ARGUMENT);
}

/* A caller built against an older header has fewer options, of a newer one more than are known here. */
static void test_options_of_the_callers_size(void **state)
{
    em_safetensors *file;
    em_safetensors_options options = {.struct_size = offsetof(em_safetensors_options, mode), .mode = 77};
    const char *path = st_file(*state, "model.safetensors", two, 12);
    assert_int_equal(em_safetensors_open(path, &options, &file), EM_OK);
    em_safetensors_close(&file);
    options.struct_size = sizeof options + 8;
    assert_int_equal(em_safetensors_open(path, &options, &file), EM_ERROR_INVALID_ARGUMENT);
    assert_null(file);
}

static void *json_alloc(size_t size)
{
    return em__alloc(size);
}

/* The n-th allocation fails, for n = 1, 2, ... until opening succeeds; jansson's allocations are among them. When one
 * of those fails inside a token, jansson goes on with the token cut short, so the error may be about the text. */
static void test_every_allocation_fails(void **state)
{
    write_shards(*state);
    json_set_alloc_funcs(json_alloc, em__free);
    for (int sticky = 0; sticky < 2; sticky++) {
        int n = 0;
        em_status status;
        do {
            em_safetensors *file;
            em__alloc_fail_at(++n, sticky);
            status = em_safetensors_open(*state, NULL, &file);
            em__alloc_fail_at(0, 0);
            assert_true(status == EM_OK ? file != NULL : file == NULL);
            assert_true(status != EM_OK || em_safetensors_find(file, "b")->nbytes == 3);
            em_safetensors_close(&file);
        } while (status != EM_OK);
        assert_true(n > 40);
    }
    json_set_alloc_funcs(malloc, free);
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP(test_single),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_without_elements),
        TEMP(test_outlives_close),
        TEMP(test_shards),
        cmocka_unit_test(test_nothing_given),
        TEMP(test_options_of_the_callers_size),
        TEMP(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
