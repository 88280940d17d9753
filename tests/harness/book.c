/* Recorded ops: the reader, and the comparison. */
#include "harness/book.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/golden.h"

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is missing", path);
    fseek(file, 0, SEEK_END);
    long end = ftell(file);
    rewind(file);
    /* Aligned as book.py aligns its arrays. */
    char *bytes = aligned_alloc(64, ((size_t)end + 64) / 64 * 64);
    assert_non_null(bytes);
    *size = fread(bytes, 1, (size_t)end, file);
    fclose(file);
    return bytes;
}

void book_open(book *b, const char *family)
{
    char path[256];
    json_error_t error;
    snprintf(path, sizeof path, "ops/%s.json", family);
    b->root = json_load_file(golden_path(path), 0, &error);
    if (!b->root)
        fail_msg("%s: line %d: %s", path, error.line, error.text);
    b->n_cases = json_array_size(json_object_get(b->root, "cases"));
    snprintf(path, sizeof path, "ops/%s.bin", family);
    b->blob = read_file(golden_path(path), &b->blob_size);
}

void book_close(book *b)
{
    json_decref(b->root);
    free(b->blob);
    memset(b, 0, sizeof *b);
}

size_t book_visit(void (*visit)(const book *b, void *user), void *user)
{
    glob_t found;
    size_t cases = 0;
    assert_int_equal(glob(golden_path("ops/*.json"), 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        book b;
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        char family[64];
        snprintf(family, sizeof family, "%.*s", (int)(strlen(name) - strlen(".json")), name);
        book_open(&b, family);
        visit(&b, user);
        cases += b.n_cases;
        book_close(&b);
    }
    globfree(&found);
    return cases;
}

static void get_array(const book *b, const json_t *row, const char *name, book_array *out)
{
    memset(out, 0, sizeof *out);
    if (json_is_null(row))
        return;
    const json_t *dims = json_array_get(row, 1);
    if (em_dtype_parse(json_string_value(json_array_get(row, 0)), &out->dtype) != EM_OK)
        fail_msg("%s: %s", name, em_last_error());
    out->dims.rank = (int)json_array_size(dims);
    out->n = 1;
    for (int i = 0; i < out->dims.rank; i++) {
        out->dims.dims[i] = json_integer_value(json_array_get(dims, (size_t)i));
        out->n *= (size_t)out->dims.dims[i];
    }
    size_t at = (size_t)json_integer_value(json_array_get(row, 2));
    if (at + (out->n * em_dtype_bits(out->dtype) + 7) / 8 > b->blob_size)
        fail_msg("%s: its array ends behind the book's .bin", name);
    out->data = b->blob + at;
}

void book_get(const book *b, size_t i, book_case *out)
{
    const json_t *c = json_array_get(json_object_get(b->root, "cases"), i);
    const json_t *in = json_object_get(c, "inputs");
    memset(out, 0, sizeof *out);
    out->op = json_string_value(json_object_get(c, "op"));
    out->name = json_string_value(json_object_get(c, "name"));
    out->attrs = json_object_get(c, "attrs");
    out->n_in = json_array_size(in);
    assert_non_null(out->op);
    assert_non_null(out->name);
    assert_true(out->n_in <= BOOK_OPERANDS);
    for (size_t k = 0; k < out->n_in; k++)
        get_array(b, json_array_get(in, k), out->name, &out->in[k]);
    get_array(b, json_array_get(json_object_get(c, "outputs"), 0), out->name, &out->out);
    out->abs = json_number_value(json_object_get(c, "abs"));
    out->rel = json_number_value(json_object_get(c, "rel"));
    out->zero_sign = json_is_true(json_object_get(c, "zero_sign"));
    out->dtype_open = json_is_true(json_object_get(c, "dtype_open"));
}

double book_number(const book_case *c, const char *key, double otherwise)
{
    const json_t *value = json_object_get(c->attrs, key);
    return json_is_true(value) ? 1 : json_is_false(value) ? 0 : value ? json_number_value(value) : otherwise;
}

int book_list(const book_case *c, const char *key, int64_t *values)
{
    const json_t *list = json_object_get(c->attrs, key);
    int n = (int)json_array_size(list);
    assert_true(n <= EM_MAX_RANK);
    for (int i = 0; i < n; i++)
        values[i] = json_integer_value(json_array_get(list, (size_t)i));
    return n;
}

const char *book_text(const book_case *c, const char *key)
{
    const char *text = json_string_value(json_object_get(c->attrs, key));
    return text ? text : "";
}

/* Each part of a complex number within the tolerance of the recorded modulus. */
static bool complex_agrees(const book_case *c, const void *got, size_t i)
{
    em_dtype part = c->out.dtype == EM_C64 ? EM_F32 : EM_F64;
    double r[2] = {expect_element(part, c->out.data, 2 * i), expect_element(part, c->out.data, 2 * i + 1)};
    double size = hypot(r[0], r[1]);
    for (size_t k = 0; k < 2; k++) {
        double y = expect_element(part, got, 2 * i + k);
        bool near = isfinite(y) && isfinite(r[k]) && fabs(y - r[k]) <= c->abs + (isfinite(size) ? c->rel * size : 0);
        if (y == r[k] ? c->zero_sign && y == 0 && signbit(y) != signbit(r[k]) : !near && !(isnan(y) && isnan(r[k])))
            return false;
    }
    return true;
}

static bool element_agrees(const book_case *c, em_dtype dtype, const void *got, size_t i)
{
    if (em_dtype_get_kind(dtype) == EM_KIND_COMPLEX && dtype == c->out.dtype)
        return complex_agrees(c, got, i);
    double y = expect_element(dtype, got, i), r = expect_element(c->out.dtype, c->out.data, i);
    if (em_dtype_get_kind(dtype) != EM_KIND_FLOAT && em_dtype_bits(dtype) >= 8 && dtype == c->out.dtype) {
        size_t size = em_dtype_size(dtype);
        return !memcmp((const char *)got + i * size, (const char *)c->out.data + i * size, size);
    }
    if (isnan(y) || isnan(r))
        return isnan(y) && isnan(r);
    if (y == r)
        return !c->zero_sign || y != 0 || signbit(y) == signbit(r);
    return isfinite(y) && isfinite(r) && fabs(y - r) <= c->abs + c->rel * fabs(r);
}

bool book_agrees(const book_case *c, em_dtype dtype, em_dims dims, const void *got, char *why, size_t size)
{
    bool same = dims.rank == c->out.dims.rank;
    for (int i = 0; same && i < dims.rank; i++)
        same = dims.dims[i] == c->out.dims.dims[i];
    if (!same || (dtype != c->out.dtype && !c->dtype_open)) {
        snprintf(why, size, "result is %s of rank %d, expected %s of rank %d%s", em_dtype_name(dtype), dims.rank,
                 em_dtype_name(c->out.dtype), c->out.dims.rank, same ? "" : ", or of other dimensions");
        return false;
    }
    size_t wrong = 0, first = 0;
    for (size_t i = 0; i < c->out.n; i++)
        if (!element_agrees(c, dtype, got, i) && wrong++ == 0)
            first = i;
    if (wrong)
        snprintf(why, size, "%zu of %zu elements differ, first [%zu]: got %.9g, recorded %.9g (operand %.9g)", wrong,
                 c->out.n, first, expect_element(dtype, got, first), expect_element(c->out.dtype, c->out.data, first),
                 c->in[0].n == c->out.n ? expect_element(c->in[0].dtype, c->in[0].data, first) : NAN);
    return wrong == 0;
}
