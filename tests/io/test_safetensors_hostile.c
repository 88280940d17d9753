/*
 * Files that must be refused, each with a message that names the tensor and the cause. The shapes come from published
 * findings in other readers: products that wrap, unchecked offsets, overlaps, header bloat, escaping shard names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <emily/array.h>

#include "core/str.h"
#include "io/safetensors.h"
#include "support/st.h"
#include "support/temp.h"

/* Opens header + data from memory and from a file; both must fail alike. */
static void refuse(const char *dir, const char *header, size_t data, em_status expected, const char *part)
{
    size_t size;
    em_safetensors *file;
    unsigned char *bytes = st_bytes(header, data, &size);
    assert_int_equal(em_safetensors_open_memory(bytes, size, &file), expected);
    assert_error_has(part);
    assert_null(file);
    assert_int_equal(em_safetensors_open(temp_file(dir, "t.safetensors", bytes, size), NULL, &file), expected);
    assert_error_has(part);
    assert_error_has("t.safetensors: ");
    free(bytes);
}

static const struct {
    const char *shape;
    const char *part;
} shapes[] = {
    {"[4294967296, 4294967296]", "w.shape: the number of bytes does not fit 64 bits"},
    {"[4294967296, 4294967296, 0]", "w.shape: the number of bytes does not fit"},
    {"[4, 4611686018427387905, 1]", "w.shape: the number of bytes does not fit"},
    {"[9223372036854775807, 2, 1]", "w.shape: the number of bytes does not fit"},
    {"[-1]", "w.shape[0]: expected an integer of 0 or more, got -1"},
    {"[-4294967296, -4294967296]", "w.shape[0]: expected an integer"},
    {"[9223372036854775808]", "w.shape[0]: expected an integer of 0 or more, got 9.22"},
    {"[18446744073709551617]", "w.shape[0]: expected an integer"},
    {"[1.0]", "w.shape[0]: expected an integer"},
    {"[\"1\"]", "w.shape[0]: expected an integer"},
    {"[null]", "w.shape[0]: expected an integer of 0 or more, got null"},
    {"{}", "w.shape: expected an array, got an object"},
    {"1", "w.shape: expected an array, got 1"},
    {"[2]", "w.data_offsets: [0, 4] are 4 bytes, dtype and shape need 8"},
    {"[]", ""},
};

static void test_shapes(void **state)
{
    for (size_t i = 0; i + 1 < sizeof shapes / sizeof shapes[0]; i++) {
        char header[300];
        snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,4]}}",
                 shapes[i].shape);
        refuse(*state, header, 4, EM_ERROR_FORMAT, shapes[i].part);
    }
    em__str many = {0};
    em__str_add_text(&many, "{\"w\":{\"dtype\":\"F32\",\"shape\":[1");
    for (int i = 1; i < 65; i++)
        em__str_add_text(&many, ",1");
    em__str_add_text(&many, "],\"data_offsets\":[0,4]}}");
    refuse(*state, many.data, 4, EM_ERROR_UNSUPPORTED, "w.shape: has rank 65, at most 8");
    em__str_free(&many);
}

static void test_offsets(void **state)
{
    static const struct {
        const char *offsets, *part;
    } rows[] = {
        {"[4, 0]", "w.data_offsets: [4, 0] ends before it begins"},
        {"[0, 8]", "w.data_offsets: [0, 8] passes the end: the file holds 4 bytes"},
        {"[9223372036854775800, 9223372036854775804]", "passes the end"},
        {"[-4, 0]", "w.data_offsets[0]: expected an integer of 0 or more, got -4"},
        {"[0, 18446744073709551615]", "w.data_offsets[1]: expected an integer"},
        {"[0, 3]", "w.data_offsets: [0, 3] are 3 bytes, dtype and shape need 4"},
        {"[0]", "w.data_offsets: has 1 elements, expected [begin, end]"},
        {"[0, 4, 4]", "w.data_offsets: has 3 elements"},
        {"\"0\"", "w.data_offsets: expected an array"},
        {"null", "w.data_offsets: expected an array, got null"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char header[300];
        snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":%s}}",
                 rows[i].offsets);
        refuse(*state, header, 4, EM_ERROR_FORMAT, rows[i].part);
    }
}

static void test_cover(void **state)
{
#define T(name, begin, end, n) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" n "],\"data_offsets\":[" begin "," end "]}"
    refuse(*state, "{" T("a", "0", "4", "4") "," T("b", "2", "6", "4") "}", 6, EM_ERROR_FORMAT,
           "b: begins at byte 2, inside the tensor before it");
    refuse(*state, "{" T("a", "0", "4", "4") "," T("b", "0", "4", "4") "}", 4, EM_ERROR_FORMAT,
           "begins at byte 0, inside");
    refuse(*state, "{" T("a", "0", "2", "2") "," T("b", "4", "6", "2") "}", 6, EM_ERROR_FORMAT,
           "b: begins at byte 4, the tensor before it ends at 2: a hole");
    refuse(*state, "{" T("a", "2", "4", "2") "}", 4, EM_ERROR_FORMAT, "a: begins at byte 2");
    refuse(*state, "{" T("a", "0", "2", "2") "}", 4, EM_ERROR_FORMAT, "tensors end at byte 2, 4 bytes follow");
    refuse(*state, "{}", 1, EM_ERROR_FORMAT, "tensors end at byte 0");
    refuse(*state, "{" T("a", "0", "4", "4") "," T("z", "2", "2", "0") "}", 4, EM_ERROR_FORMAT,
           "z: begins at byte 2, inside");
}

static void test_fields(void **state)
{
    static const struct {
        const char *header, *part;
    } rows[] = {
        {"{" T("a", "0", "1", "1") "," T("a", "1", "2", "1") "}", "duplicate object key near '\"a\"'"},
        {"{" T("a", "0", "1", "1") "," T("\\u0061", "1", "2", "1") "}", "duplicate object key"},
        {"{" T("a\\u0000b", "0", "2", "2") "}", "NUL byte in object key"},
        {"{\"a\":12}", "a: expected an object, got 12"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", "a.dtype: is missing"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,2]}}", "a.shape: is missing"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2]}}", "a.data_offsets: is missing"},
        {"{\"a\":{\"dtype\":\"U7\",\"shape\":[2],\"data_offsets\":[0,2]}}", "a: dtype \"U7\" is unknown"},
        {"{\"a\":{\"dtype\":[],\"shape\":[2],\"data_offsets\":[0,2]}}", "a.dtype: expected a string"},
        {"{\"__metadata__\":[]}", "__metadata__: expected an object"},
        {"{\"__metadata__\":{\"k\":1}}", "__metadata__.k: expected a string, got 1"},
        {"{\"a\xff\":{}}", "not valid JSON"},
        {"{\"a\":", "not valid JSON"},
        {"{}{}", "not valid JSON"},
        {"[]", "header does not begin with '{'"},
        {" {}", "header does not begin with '{'"},
        {"", "header does not begin with '{'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refuse(*state, rows[i].header, 2, EM_ERROR_FORMAT, rows[i].part);
}

/* Of the format, and none of ours: listed with the format's name, in bytes by its bits. */
static void test_foreign(void **state)
{
    static const struct {
        const char *name;
        int bits;
    } rows[] = {{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char header[256], bytes[300] = {0};
        const int size = rows[i].bits / 2;
        const uint64_t length = (uint64_t)snprintf(header, sizeof header,
                                                   "{\"a\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%d]},"
                                                   "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}}",
                                                   rows[i].name, size, size, size + 4);
        memcpy(bytes, &length, 8);
        memcpy(bytes + 8, header, length);
        em_safetensors *file;
        assert_int_equal(em_safetensors_open_memory(bytes, 8 + length + (size_t)size + 4, &file), EM_OK);
        const em_safetensors_tensor *a = em_safetensors_find(file, "a"), *b = em_safetensors_find(file, "b");
        assert_int_equal(a->dtype, EM_DTYPE_COUNT);
        assert_string_equal(a->stored, rows[i].name);
        assert_int_equal(a->nbytes, size);
        assert_string_equal(b->stored, "F32");
        assert_null(em_array_wrap(a->dtype, (void *)a->data, a->dims, NULL, NULL));
        em_safetensors_close(&file);
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%d]}}",
                 rows[i].name, size + 1);
        refuse(*state, header, (size_t)size + 1, EM_ERROR_FORMAT, "dtype and shape need");
    }
    refuse(*state, "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, EM_ERROR_FORMAT,
           "12 bits are no whole number of bytes");
}

static void test_lengths(void **state)
{
    em_safetensors *file;
    unsigned char bytes[12] = {0};
    for (size_t n = 0; n < 8; n++) {
        assert_int_equal(em_safetensors_open_memory(bytes, n, &file), EM_ERROR_FORMAT);
        assert_error_has("begins with 8 bytes of length");
        temp_file(*state, "short", bytes, n);
        assert_int_equal(em_safetensors_open(temp_path(*state, "short"), NULL, &file), EM_ERROR_FORMAT);
    }
    bytes[0] = 5, bytes[8] = '{';
    assert_int_equal(em_safetensors_open_memory(bytes, sizeof bytes, &file), EM_ERROR_FORMAT);
    assert_error_has("header length is 5, 4 bytes are there");
    memset(bytes, 0xff, 8);
    assert_int_equal(em_safetensors_open_memory(bytes, sizeof bytes, &file), EM_ERROR_FORMAT);
    assert_error_has("header length is 18446744073709551615, at most 16777216");
    assert_int_equal(em_safetensors_open(temp_path(*state, "none"), NULL, &file), EM_ERROR_NOT_FOUND);
    assert_int_equal(em_safetensors_open(*state, NULL, &file), EM_ERROR_NOT_FOUND);
    assert_error_has("neither model.safetensors nor model.safetensors.index.json");
    temp_text(*state, "pytorch_model.bin", "");
    assert_int_equal(em_safetensors_open(*state, NULL, &file), EM_ERROR_NOT_FOUND);
    assert_error_has("convert it to safetensors");
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 10^5 tensors in falling order of place: the worst case for the sort must not be quadratic. */
static void test_many_entries(void **state)
{
    (void)state;
    em__str header = {0};
    em__str_add_text(&header, "{");
    for (int i = 99999; i >= 0; i--)
        assert_int_equal(em__str_addf(&header, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                                      i == 99999 ? "" : ",", i, i, i + 1),
                         EM_OK);
    em__str_add_text(&header, "}");
    size_t size;
    unsigned char *bytes = st_bytes(header.data, 100000, &size);
    em_safetensors *file;
    double start = now();
    assert_int_equal(em_safetensors_open_memory(bytes, size, &file), EM_OK);
    double seconds = now() - start;
    assert_int_equal(em_safetensors_count(file), 100000);
    assert_int_equal(*(const unsigned char *)em_safetensors_find(file, "t77777")->data, 77777 % 256);
    print_message("100000 tensors opened in %.3f s\n", seconds);
    assert_true(seconds < 100); /* generous: sanitizers, busy machines; quadratic would take minutes */
    em_safetensors_close(&file);
    free(bytes);
    em__str_free(&header);
}

static void refuse_index(const char *dir, const char *index, em_status expected, const char *part)
{
    em_safetensors *file;
    temp_text(dir, "model.safetensors.index.json", index);
    assert_int_equal(em_safetensors_open(dir, NULL, &file), expected);
    assert_error_has(part);
}

static void test_index(void **state)
{
    const char *dir = *state;
    st_file(dir, "a.safetensors", "{" T("a", "0", "1", "1") "}", 1);
    st_file(dir, "ab.safetensors", "{" T("a", "0", "1", "1") "," T("b", "1", "2", "1") "}", 2);
    refuse_index(dir, "{\"weight_map\":{\"a\":\"../a.safetensors\"}}", EM_ERROR_FORMAT, "plain file name");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", EM_ERROR_FORMAT, "plain file name");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"..\"}}", EM_ERROR_FORMAT, "plain file name");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"c.safetensors\"}}", EM_ERROR_NOT_FOUND, "c.safetensors: no such file");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"a.safetensors\",\"c\":\"a.safetensors\"}}", EM_ERROR_FORMAT,
                 "weight_map.c: is not in a.safetensors");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"ab.safetensors\"}}", EM_ERROR_FORMAT,
                 "weight_map.a: is said to be in a.safetensors, but ab.safetensors has it too");
    refuse_index(dir, "{\"weight_map\":{\"a\":12}}", EM_ERROR_FORMAT, "weight_map.a: expected a string, got 12");
    refuse_index(dir, "{\"weight_map\":[]}", EM_ERROR_FORMAT, "weight_map: expected an object");
    refuse_index(dir, "{\"weight_map\":{}}", EM_ERROR_FORMAT, "weight_map: lists no tensors");
    refuse_index(dir, "{}", EM_ERROR_FORMAT, "weight_map: is missing");
    refuse_index(dir, "[]", EM_ERROR_FORMAT, "weight_map: is missing");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", EM_ERROR_FORMAT, "header length");
    assert_int_equal(symlink("/etc/passwd", temp_path(dir, "link.safetensors")), 0);
    refuse_index(dir, "{\"weight_map\":{\"a\":\"link.safetensors\"}}", EM_ERROR_FORMAT, "symbolic link");
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP(test_shapes),  TEMP(test_offsets), TEMP(test_cover), TEMP(test_fields),
        TEMP(test_foreign), TEMP(test_lengths), TEMP(test_index), cmocka_unit_test(test_many_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
