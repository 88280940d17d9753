/* Checkpoints whose weights do not fit their config.json: each a clear error, and what is harmless is let pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/log.h>
#include <emily/model.h>
#include <emily/safetensors.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"

#include "core/alloc.h"
#include "core/cause.h"
#include "io/file.h"

#define QUERY "encoder.layer.0.attention.self.query.weight"

enum { MAX_TENSORS = 128 };

static char dir[1024];

static int fresh(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s", checkpoint_copy("models/bert-plain", "weights"));
    return 0;
}

/* Rewrites model.safetensors with `change` applied to its list of tensors. */
static void rewrite(size_t (*change)(em_safetensors_tensor *tensors, size_t n))
{
    em_safetensors *file;
    em_safetensors_tensor tensors[MAX_TENSORS];
    char path[1100], fresh_path[1100];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    snprintf(fresh_path, sizeof fresh_path, "%s/fresh", dir);
    EXPECT_OK(em_safetensors_open(path, NULL, &file));
    size_t n = em_safetensors_count(file);
    assert_true(n + 4 <= MAX_TENSORS);
    for (size_t i = 0; i < n; i++)
        tensors[i] = *em_safetensors_at(file, i);
    n = change(tensors, n);
    EXPECT_OK(em_safetensors_write(fresh_path, tensors, n, NULL, 0));
    em_safetensors_close(&file);
    assert_int_equal(rename(fresh_path, path), 0);
}

static em_safetensors_tensor *find(em_safetensors_tensor *tensors, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static size_t drop_query(em_safetensors_tensor *tensors, size_t n)
{
    *find(tensors, n, QUERY) = tensors[n - 1];
    return n - 1;
}

static size_t narrow_query(em_safetensors_tensor *tensors, size_t n)
{
    em_safetensors_tensor *t = find(tensors, n, QUERY);
    t->dims.dims[1]--;
    t->nbytes -= (size_t)t->dims.dims[0] * sizeof(float);
    return n;
}

static size_t flatten_query(em_safetensors_tensor *tensors, size_t n)
{
    em_safetensors_tensor *t = find(tensors, n, QUERY);
    t->dims.dims[0] *= t->dims.dims[1];
    t->dims.rank = 1;
    return n;
}

static size_t integer_query(em_safetensors_tensor *tensors, size_t n)
{
    find(tensors, n, QUERY)->dtype = EM_S32;
    return n;
}

static size_t byte_query(em_safetensors_tensor *tensors, size_t n)
{
    em_safetensors_tensor *t = find(tensors, n, QUERY);
    t->dtype = EM_U8;
    t->nbytes /= sizeof(float);
    return n;
}

static size_t add_surplus(em_safetensors_tensor *tensors, size_t n)
{
    tensors[n] = tensors[0];
    tensors[n].name = "encoder.extra.weight";
    tensors[n + 1] = tensors[0];
    tensors[n + 1].name = "pooler.other.weight";
    return n + 2;
}

static void expect_open_error(em_status status, const char *words)
{
    em_model *model = em_model_open(dir, NULL);
    assert_null(model);
    EXPECT_ERROR(em_last_status(), status, words);
}

static void test_missing(void **state)
{
    (void)state;
    rewrite(drop_query);
    expect_open_error(EM_ERROR_FORMAT, "model.safetensors: tensor " QUERY " is missing");
}

static void test_shape(void **state)
{
    (void)state;
    rewrite(narrow_query);
    expect_open_error(EM_ERROR_FORMAT,
                      "model.safetensors: tensor " QUERY " has shape [32, 31], config.json asks for [32, 32]");
}

static void test_rank(void **state)
{
    (void)state;
    rewrite(flatten_query);
    expect_open_error(EM_ERROR_FORMAT, "has shape [1024], config.json asks for [32, 32]");
}

static void test_dtype(void **state)
{
    (void)state;
    rewrite(integer_query);
    expect_open_error(EM_ERROR_UNSUPPORTED, "tensor " QUERY " is stored as s32");
}

/* The header's only "U8" becomes a dtype of one byte that Emily lacks. */
static void make_foreign(void)
{
    static const char from[] = "\"U8\"", to[] = "\"F8_E8M0\"";
    char path[1100], *bytes;
    size_t size;
    uint64_t length;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    EXPECT_OK(em__file_read(path, 1 << 24, &bytes, &size));
    char *at = bytes + 8;
    while (memcmp(at, from, strlen(from)) != 0)
        at++;
    memcpy(&length, bytes, sizeof length);
    length += strlen(to) - strlen(from);
    memcpy(bytes, &length, sizeof length);
    FILE *file = fopen(path, "wb");
    fwrite(bytes, 1, (size_t)(at - bytes), file);
    fwrite(to, 1, strlen(to), file);
    at += strlen(from);
    fwrite(at, 1, size - (size_t)(at - bytes), file);
    assert_int_equal(fclose(file), 0);
    em__free(bytes);
}

/* Only who uses the tensor is refused. */
static void test_foreign_dtype(void **state)
{
    (void)state;
    rewrite(byte_query);
    make_foreign();
    em_safetensors *file;
    EXPECT_OK(em_safetensors_open(dir, NULL, &file));
    assert_string_equal(em_safetensors_find(file, QUERY)->stored, "F8_E8M0");
    em_safetensors_close(&file);
    expect_open_error(EM_ERROR_UNSUPPORTED, "tensor " QUERY " is stored as F8_E8M0; weights may be f32");
}

static void test_config_disagrees(void **state)
{
    (void)state;
    checkpoint_set(dir, "config.json", "vocab_size", "12345");
    expect_open_error(EM_ERROR_FORMAT, "config.json asks for [12345, 32]");
    fresh(NULL);
    checkpoint_set(dir, "config.json", "num_hidden_layers", "1000");
    expect_open_error(EM_ERROR_FORMAT, "is missing");
}

static char surplus[512];

static void keep_line(em_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == EM_LOG_INFO && strstr(message, "not used"))
        snprintf(surplus + strlen(surplus), sizeof surplus - strlen(surplus), "%s\n", message);
}

static void test_surplus(void **state)
{
    (void)state;
    rewrite(add_surplus);
    em_log_set(keep_line, EM_LOG_INFO, NULL);
    em_model *model = em_model_open(dir, NULL);
    em_log_set(NULL, EM_LOG_ERROR, NULL);
    assert_non_null(model);
    em_model_close(&model);
    assert_non_null(strstr(surplus, "encoder.extra.weight"));
    assert_null(strstr(surplus, "pooler"));
}

static void test_files(void **state)
{
    (void)state;
    checkpoint_write(dir, "model.safetensors", NULL);
    expect_open_error(EM_ERROR_NOT_FOUND, "model.safetensors");
    checkpoint_write(dir, "pytorch_model.bin", "pickled");
    expect_open_error(EM_ERROR_UNSUPPORTED, "convert");
    checkpoint_write(dir, "model.safetensors", "short");
    expect_open_error(EM_ERROR_FORMAT, "model.safetensors");
    fresh(NULL);
    checkpoint_write(dir, "config.json", NULL);
    expect_open_error(EM_ERROR_NOT_FOUND, "config.json");
    fresh(NULL);
    checkpoint_write(dir, "tokenizer.json", NULL);
    expect_open_error(EM_ERROR_NOT_FOUND, "tokenizer.json");
    checkpoint_write(dir, "tokenizer.json", "{}");
    expect_open_error(EM_ERROR_FORMAT, "tokenizer.json");
}

static void test_dense(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s", checkpoint_copy("models/bert-sqrt-dense-tanh-bf16", "weights"));
    checkpoint_set(dir, "2_Dense/config.json", "in_features", "49");
    expect_open_error(EM_ERROR_FORMAT, "in_features is 49");
    checkpoint_set(dir, "2_Dense/config.json", "in_features", "48");
    checkpoint_set(dir, "2_Dense/config.json", "out_features", "21");
    expect_open_error(EM_ERROR_FORMAT, "linear.weight has shape [20, 48], config.json asks for [21, 48]");
}

static size_t spoil_query(em_safetensors_tensor *tensors, size_t n)
{
    static char bytes[1 << 16]; /* the first element's bits are those of NaN */
    em_safetensors_tensor *t = find(tensors, n, QUERY);
    assert_true(t->nbytes <= sizeof bytes);
    memset(memcpy(bytes, t->data, t->nbytes), 0xff, sizeof(float));
    t->data = bytes;
    return n;
}

/* What a model gives must be numbers, also where the caller has the ids. */
static void test_nan(void **state)
{
    (void)state;
    rewrite(spoil_query);
    em_model *model = em_model_open(dir, NULL);
    assert_non_null(model);
    assert_null(em_model_hidden(model, (const int32_t[]){2, 5, 3}, NULL, (const int32_t[]){0, 3}, 1));
    EXPECT_ERROR(em_last_status(), EM_ERROR_FORMAT, "tensor " QUERY " holds NaN or infinity, first at element 0");
    assert_int_equal(em__last_cause(), EM__CAUSE_NO_NUMBER);
    em_model_close(&model);
}

#define TEST(fn) cmocka_unit_test_setup(fn, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_missing),          TEST(test_shape),   TEST(test_rank),  TEST(test_dtype), TEST(test_foreign_dtype),
        TEST(test_config_disagrees), TEST(test_surplus), TEST(test_files), TEST(test_dense), TEST(test_nan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
