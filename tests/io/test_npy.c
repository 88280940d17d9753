/* NPY: round trips, NumPy's own headers, streams, and headers that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/faults.h"
#include "io/npy.h"
#include "support/temp.h"

#define DIMS(...) ((em_dims){sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}})

static void test_round_trip(void **state)
{
    static const unsigned char data[6 * 16] = {1, 2, 3, 4, 5, 6, 7};
    const char *path = temp_path(*state, "a.npy");
    for (int d = 0; d < EM_DTYPE_COUNT; d++) {
        em_dtype dtype = (em_dtype)d;
        em_status status = em__npy_write(path, dtype, DIMS(2, 3), data);
        if (dtype == EM_BF16 || dtype == EM_F8_E4M3FN || dtype == EM_F8_E5M2 || em_dtype_bits(dtype) < 8) {
            assert_int_equal(status, EM_ERROR_UNSUPPORTED);
            assert_error_has("has no form in npy");
            continue;
        }
        assert_int_equal(status, EM_OK);
        for (int mode = EM__MAP_PAGES; mode <= EM__MAP_READ; mode++) {
            em__npy npy;
            assert_int_equal(em__npy_read(path, (em__map_mode)mode, &npy), EM_OK);
            assert_int_equal(npy.dtype, dtype);
            assert_int_equal(npy.dims.rank, 2);
            assert_int_equal(npy.dims.dims[1], 3);
            assert_int_equal(npy.nbytes, 6 * em_dtype_size(dtype));
            assert_memory_equal(npy.data, data, npy.nbytes);
            assert_int_equal((uintptr_t)npy.data % 64, 0);
            em__npy_close(&npy);
        }
    }
}

static void test_ranks(void **state)
{
    const float x[3] = {1, 2, 3};
    const char *path = temp_path(*state, "a.npy");
    static const em_dims all[] = {{0, {0}}, {1, {3}}, {2, {0, 7}}, {8, {1, 1, 1, 1, 1, 1, 1, 3}}};
    for (size_t i = 0; i < 4; i++) {
        em__npy npy;
        assert_int_equal(em__npy_write(path, EM_F32, all[i], x), EM_OK);
        assert_int_equal(em__npy_read(path, EM__MAP_PAGES, &npy), EM_OK);
        assert_int_equal(npy.dims.rank, all[i].rank);
        assert_memory_equal(npy.dims.dims, all[i].dims, sizeof npy.dims.dims);
        em__npy_close(&npy);
    }
    assert_int_equal(em__npy_write(path, EM_F32, DIMS(-1), x), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(em__npy_write(path, EM_F32, DIMS(INT64_MAX, 8), x), EM_ERROR_INVALID_ARGUMENT);
}

static void test_stream(void **state)
{
    const char *path = temp_path(*state, "a.npy");
    float row[5];
    em__npy_writer writer;
    assert_int_equal(em__npy_writer_begin(&writer, path, EM_F32, DIMS(0, 5)), EM_OK);
    for (int i = 0; i < 1234; i++) {
        for (int j = 0; j < 5; j++)
            row[j] = (float)(5 * i + j);
        assert_int_equal(em__npy_writer_add(&writer, row, 1), EM_OK);
    }
    assert_false(em__path_is_file(path));
    assert_int_equal(em__npy_writer_commit(&writer), EM_OK);
    em__npy npy;
    assert_int_equal(em__npy_read(path, EM__MAP_PAGES, &npy), EM_OK);
    assert_int_equal(npy.dims.dims[0], 1234);
    assert_true(((const float *)npy.data)[6169] == 6169);
    em__npy_close(&npy);
    assert_int_equal(em__npy_writer_begin(&writer, temp_path(*state, "b.npy"), EM_F32, DIMS(0, 5)), EM_OK);
    em__npy_writer_abort(&writer);
    assert_int_equal(em__npy_writer_begin(&writer, path, EM_F32, (em_dims){0}), EM_ERROR_INVALID_ARGUMENT);
}

/* "\x93NUMPY" version 1.0, length, dict, then `data` bytes. */
static size_t build(unsigned char *out, const char *dict, size_t data)
{
    size_t n = strlen(dict);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)n;
    out[9] = (unsigned char)(n >> 8);
    memcpy(out + 10, dict, n);
    memset(out + 10 + n, 7, data);
    return 10 + n + data;
}

static void test_foreign_headers(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }    \n",
        "{'shape': (2,), 'descr': '<f4', 'fortran_order': True}",
        "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(1,2)}\n",
        "{'descr': '<i1', 'fortran_order': False, 'shape': (8, 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (), }",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        unsigned char bytes[256];
        em__npy npy;
        size_t size = build(bytes, good[i], 8);
        assert_int_equal(em__npy_parse("x.npy", bytes, size, &npy), EM_OK);
        assert_int_equal(npy.nbytes, 8);
        em__npy_close(&npy);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *dict, *part;
    } rows[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "dtype \">f4\" is not supported"},
        {"{'descr': 'O', 'fortran_order': False, 'shape': (2,), }", "dtype \"O\""},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "expected a string near \"[('a'"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,1), }", "Fortran order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
         "holds 8 bytes of data, its dtype and shape ask for 12"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "ask for more than"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }", "fits 64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", "rank is above 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2), }", "expected ','"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, }", "and no more"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "each once"},
        {"{'descr': '<f4', 'x': False, 'shape': (2,), }", "each once"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", "and no more"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,), }", "',' or '}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "expected a dimension"},
        {"", "expected '{'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char bytes[256];
        em__npy npy;
        size_t size = build(bytes, rows[i].dict, 8);
        em_status status = em__npy_parse("x.npy", bytes, size, &npy);
        assert_true(status == EM_ERROR_FORMAT || status == EM_ERROR_UNSUPPORTED);
        assert_error_has("x.npy: npy");
        assert_error_has(rows[i].part);
    }
    unsigned char bytes[256];
    em__npy npy;
    size_t size = build(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8);
    for (size_t n = 0; n < size; n++)
        assert_int_equal(em__npy_parse("x.npy", bytes, n, &npy), EM_ERROR_FORMAT);
    bytes[6] = 4;
    assert_int_equal(em__npy_parse("x.npy", bytes, size, &npy), EM_ERROR_UNSUPPORTED);
}

static em_status write_and_read(void *path)
{
    static const float x[2] = {1, 2};
    em__npy_writer writer;
    em__npy npy;
    em_status status = em__npy_writer_begin(&writer, path, EM_F32, DIMS(0, 2));
    if (status == EM_OK)
        status = em__npy_writer_add(&writer, x, 1);
    if (status == EM_OK)
        status = em__npy_writer_commit(&writer);
    if (status == EM_OK)
        status = em__npy_write(path, EM_F32, DIMS(2), x);
    if (status == EM_OK)
        status = em__npy_read(path, EM__MAP_READ, &npy);
    if (status == EM_OK)
        em__npy_close(&npy);
    return status;
}

static void test_every_allocation_fails(void **state)
{
    char *path = strdup(temp_path(*state, "a.npy"));
    assert_true(faults_sweep(write_and_read, path) > 5);
    free(path);
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP(test_round_trip),
        TEMP(test_ranks),
        TEMP(test_stream),
        cmocka_unit_test(test_foreign_headers),
        cmocka_unit_test(test_refused),
        TEMP(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
