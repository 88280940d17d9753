/* The calls of emily/model.h: what they refuse, NULL models, cancelling, options, what is said of a model. */
#include <string.h>

#include <emily/model.h>

#include "harness/expect.h"
#include "harness/golden.h"

static em_model *model;

static int open_model(void **state)
{
    (void)state;
    model = em_model_open(golden_path("models/bert-cls-relu-prefix"), NULL);
    return model ? 0 : -1;
}

static int close_model(void **state)
{
    (void)state;
    em_model_close(&model);
    assert_null(model);
    em_model_close(&model);
    em_model_close(NULL);
    return 0;
}

static const char *const texts[] = {"A man is eating food.", "the woman reads", "", "the dog"};

static void expect_embed_error(const em_embed_options *options, em_status status, const char *words)
{
    em_array *v = em_embed(model, texts, 4, options);
    assert_null(v);
    EXPECT_ERROR(em_last_status(), status, words);
}

static void test_null(void **state)
{
    (void)state;
    em_model_info info = {.struct_size = sizeof info};
    double ms;
    em_clear_error();
    assert_null(em_model_open("/nowhere/at/all", NULL));
    char first[512];
    strncpy(first, em_last_error(), sizeof first - 1);
    first[sizeof first - 1] = '\0';
    assert_null(em_embed(NULL, texts, 4, NULL));
    assert_null(em_model_tokenizer(NULL));
    assert_null(em_model_hidden(NULL, NULL, NULL, NULL, 0));
    assert_int_not_equal(em_model_get_info(NULL, &info), EM_OK);
    assert_int_not_equal(em_model_bench(NULL, 1, 1, 1, &ms), EM_OK);
    assert_string_equal(em_last_error(), first);
    em_clear_error();
    assert_null(em_embed(NULL, texts, 4, NULL));
    assert_int_equal(em_last_status(), EM_ERROR_INVALID_ARGUMENT);
}

static void test_options(void **state)
{
    (void)state;
    em_embed_options o = {.struct_size = 3};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "struct_size is 3");
    o = (em_embed_options){.struct_size = sizeof o + 8};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "struct_size");
    o = (em_embed_options){.struct_size = sizeof o, .pooling = 9};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "pooling is 9");
    o = (em_embed_options){.struct_size = sizeof o, .normalize = 2};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "normalize is 2");
    o = (em_embed_options){.struct_size = sizeof o, .max_tokens = 2};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "the tokenizer adds 2");
    o = (em_embed_options){.struct_size = sizeof o, .max_tokens = 41};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "positions for 40");
    o = (em_embed_options){.struct_size = sizeof o, .dimensions = 49};
    expect_embed_error(&o, EM_ERROR_INVALID_ARGUMENT, "dimensions is 49, and the vectors have 48");
    o = (em_embed_options){.struct_size = sizeof o, .prompt_name = "document"};
    expect_embed_error(&o, EM_ERROR_NOT_FOUND, "query, passage");
    const char *const holes[] = {"a", NULL};
    assert_null(em_embed(model, holes, 2, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "text 1");
    assert_null(em_embed(model, NULL, 2, NULL));
    em_model_options m = {.struct_size = sizeof m, .dtype = EM_S32};
    assert_null(em_model_open(golden_path("models/bert-plain"), &m));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "dtype is s32");
}

static void test_none(void **state)
{
    (void)state;
    em_array *v = em_embed(model, NULL, 0, NULL);
    assert_non_null(v);
    assert_int_equal(em_array_dims(v).dims[0], 0);
    assert_int_equal(em_array_dims(v).dims[1], 48);
    em_array_release(&v);
}

static size_t calls, last_done;

static bool keep_going(size_t done, size_t total, void *user)
{
    assert_int_equal(total, 4);
    assert_true(done > last_done && done <= total);
    last_done = done;
    return ++calls < *(size_t *)user;
}

static void test_progress(void **state)
{
    (void)state;
    size_t stop = 99;
    em_embed_options o = {.struct_size = sizeof o, .progress = keep_going, .user = &stop, .batch_tokens = 1};
    calls = last_done = 0;
    em_array *v = em_embed(model, texts, 4, &o);
    assert_non_null(v);
    em_array_release(&v);
    assert_int_equal(calls, 4);
    assert_int_equal(last_done, 4);
    calls = last_done = 0;
    stop = 2;
    expect_embed_error(&o, EM_ERROR_CANCELLED, "2 of 4");
    assert_int_equal(calls, 2);
}

static void test_pooling_and_length(void **state)
{
    (void)state;
    em_embed_options o = {.struct_size = sizeof o, .prompt = "", .normalize = 1};
    for (int pooling = 0; pooling <= EM_POOL_WEIGHTED + 1; pooling++) {
        o.pooling = pooling;
        em_array *v = em_embed(model, texts, 4, &o);
        assert_non_null(v);
        const float *x = em_array_data(v);
        for (int i = 0; i < 4; i++)
            assert_true(em_dot_f32(x + i * 48, x + i * 48, 48) > 0.99999);
        em_array_release(&v);
    }
    size_t truncated;
    o = (em_embed_options){.struct_size = sizeof o, .prompt = "", .max_tokens = 5, .truncated = &truncated};
    em_array *cut = em_embed(model, texts, 4, &o);
    assert_non_null(cut);
    assert_int_equal(truncated, 1);
    const char *shorter = "A man is";
    em_array *whole = em_embed(model, &shorter, 1, &o);
    assert_int_equal(truncated, 0);
    EXPECT_SAME_BITS(EM_F32, em_array_data(cut), em_array_data(whole), 48);
    em_array_release(&cut);
    em_array_release(&whole);
}

/* The checkpoint keeps 20 of 32, made unit length before; an option keeps other leading elements of the same. */
static void test_dimensions(void **state)
{
    (void)state;
    em_model_info info = {.struct_size = sizeof info};
    em_model *m = em_model_open(golden_path("models/bert-truncate-dim"), NULL);
    EXPECT_OK(em_model_get_info(m, &info));
    assert_int_equal(info.width, 20);
    assert_int_equal(info.whole_width, 32);
    em_embed_options o = {.struct_size = sizeof o, .dimensions = 32};
    em_array *whole = em_embed(m, texts, 1, &o);
    const float *x = em_array_data(whole);
    assert_true(em_dot_f32(x, x, 32) > 0.99999);
    for (size_t kept = 0; kept < 32; kept += 10) {
        o.dimensions = kept;
        const size_t width = kept ? kept : 20;
        em_array *v = em_embed(m, texts, 1, &o);
        assert_int_equal(em_array_size(v), width);
        EXPECT_SAME_BITS(EM_F32, em_array_data(v), x, width);
        em_array_release(&v);
        o.normalize = 1;
        v = em_embed(m, texts, 1, &o);
        const float *unit = em_array_data(v);
        assert_true(em_dot_f32(unit, unit, width) > 0.99999);
        em_array_release(&v);
        o.normalize = 0;
    }
    em_array_release(&whole);
    em_model_close(&m);
}

static void test_lengths(void **state)
{
    (void)state;
    const char *text = "the dog and the cat";
    const size_t length = 7;
    em_array *a = em_embed_n(model, &text, &length, 1, NULL), *b = em_embed(model, &texts[3], 1, NULL);
    assert_non_null(a);
    EXPECT_SAME_BITS(EM_F32, em_array_data(a), em_array_data(b), 48);
    em_array_release(&a);
    em_array_release(&b);
}

static void test_hidden(void **state)
{
    (void)state;
    const int32_t ids[] = {2, 5, 6, 3, 2, 3}, types[] = {0, 0, 0, 0, 0, 0}, wrong_types[] = {0, 0, 0, 0, 0, 1};
    const int32_t offsets[] = {0, 4, 4, 6}, backward[] = {0, 4, 3, 6}, late[] = {1, 4, 4, 6};
    const int32_t large[] = {2, 5, 6, 3, 2, 1 << 30};
    em_array *h = em_model_hidden(model, ids, types, offsets, 3);
    assert_non_null(h);
    assert_int_equal(em_array_dims(h).dims[0], 6);
    em_array *alone = em_model_hidden(model, ids + 4, NULL, (const int32_t[]){0, 2}, 1);
    EXPECT_SAME_BITS(EM_F32, (const float *)em_array_data(h) + 4 * 48, em_array_data(alone), 2 * 48);
    em_array_release(&h);
    em_array_release(&alone);
    assert_null(em_model_hidden(model, ids, types, backward, 3));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "offsets[2] is 3");
    assert_null(em_model_hidden(model, ids, types, late, 3));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "offsets[0] is 1");
    assert_null(em_model_hidden(model, large, types, offsets, 3));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "ids[5]");
    assert_null(em_model_hidden(model, ids, wrong_types, offsets, 3));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "type_ids[5] is 1");
    assert_null(em_model_hidden(model, ids, types, (const int32_t[]){0, 100000}, 1));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "has positions for");
}

static void count_line(const char *line, void *user)
{
    assert_non_null(line);
    ++*(size_t *)user;
}

static void test_bench(void **state)
{
    (void)state;
    double ms[3] = {-1, -1, -1};
    size_t lines = 0;
    EXPECT_ERROR(em_model_profile(model, count_line, &lines), EM_ERROR_INVALID_ARGUMENT, "nothing was run");
    EXPECT_OK(em_model_bench(model, 2, 7, 3, ms));
    for (int i = 0; i < 3; i++)
        assert_true(ms[i] > 0);
    EXPECT_OK(em_model_profile(model, count_line, &lines));
    assert_true(lines > 5);
    EXPECT_ERROR(em_model_bench(model, 1, 100000, 1, ms), EM_ERROR_INVALID_ARGUMENT, "100000 tokens");
    EXPECT_ERROR(em_model_bench(model, SIZE_MAX, 2, 1, ms), EM_ERROR_INVALID_ARGUMENT, "bench");
    EXPECT_ERROR(em_model_bench(model, 0, 2, 1, ms), EM_ERROR_INVALID_ARGUMENT, "bench");
}

/* A program built with an older header gets what it knows, and nothing is written behind that. */
static void test_older_info(void **state)
{
    em_model_info all = {.struct_size = sizeof all}, some;
    const size_t known = offsetof(em_model_info, parameters);
    (void)state;
    EXPECT_OK(em_model_get_info(model, &all));
    memset(&some, 0x5a, sizeof some);
    some.struct_size = known;
    EXPECT_OK(em_model_get_info(model, &some));
    assert_string_equal(some.family, all.family);
    assert_int_equal(some.struct_size, known);
    for (size_t i = known; i < sizeof some; i++)
        assert_int_equal(((const unsigned char *)&some)[i], 0x5a);
    const size_t wrong[] = {0, sizeof some.struct_size - 1, sizeof some + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        some.struct_size = wrong[i];
        EXPECT_ERROR(em_model_get_info(model, &some), EM_ERROR_INVALID_ARGUMENT, "sizeof(em_model_info)");
    }
}

/* Of 82 positions of a RoBERTa two are the padding token's: what it says it takes, it takes. */
static void test_positions(void **state)
{
    (void)state;
    em_model_info info = {.struct_size = sizeof info};
    double ms;
    em_model *m = em_model_open(golden_path("models/roberta-mean"), NULL);
    EXPECT_OK(em_model_get_info(m, &info));
    assert_int_equal(info.positions, 80);
    EXPECT_OK(em_model_bench(m, 1, (size_t)info.positions, 1, &ms));
    EXPECT_ERROR(em_model_bench(m, 1, (size_t)info.positions + 1, 1, &ms), EM_ERROR_INVALID_ARGUMENT, "1 .. 80");
    em_model_close(&m);
}

static void test_info(void **state)
{
    (void)state;
    em_model_info info = {.struct_size = sizeof info};
    EXPECT_OK(em_model_get_info(model, &info));
    assert_string_equal(info.architecture, "BertForMaskedLM");
    assert_string_equal(info.family, "bert");
    assert_int_equal(info.hidden, 48);
    assert_int_equal(info.width, 48);
    assert_int_equal(info.pooling, EM_POOL_CLS);
    assert_false(info.normalize);
    assert_int_equal(info.max_tokens, 32);
    assert_int_equal(info.weight_files, 1);
    assert_int_equal(info.dtype, EM_F32);
    assert_true(info.parameters > 1000);
    assert_false(info.plain);
    assert_int_equal(info.prompts, 2);
    const char *name, *text;
    bool is_default;
    assert_true(em_model_prompt(model, 0, &name, &text, &is_default));
    assert_string_equal(name, "query");
    assert_string_equal(text, "query: ");
    assert_true(is_default);
    assert_false(em_model_prompt(model, 2, &name, &text, NULL));
    assert_non_null(em_model_tokenizer(model));
    assert_int_equal(info.n_poolings, 1);
    assert_int_equal(info.poolings[0], EM_POOL_CLS);
}

/* Vectors of several ways of pooling are as many times as wide. */
static void test_ways_of_pooling(void **state)
{
    (void)state;
    em_model_info info = {.struct_size = sizeof info};
    em_model *several = em_model_open(golden_path("models/bert-concat-pooling"), NULL);
    EXPECT_OK(em_model_get_info(several, &info));
    assert_true(info.n_poolings > 1);
    assert_int_equal(info.poolings[0], info.pooling);
    assert_int_equal(info.width, (int)info.n_poolings * info.hidden);
    em_model_close(&several);
}

/* Vectors outlive their model. */
static void test_outlives(void **state)
{
    em_array *v = em_embed(model, texts, 1, NULL);
    close_model(state);
    const float *x = em_array_data(v);
    assert_true(x[0] == x[0]);
    em_array_release(&v);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_model, close_model)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_null),
                                       TEST(test_options),
                                       TEST(test_none),
                                       TEST(test_progress),
                                       TEST(test_pooling_and_length),
                                       TEST(test_ways_of_pooling),
                                       TEST(test_dimensions),
                                       TEST(test_lengths),
                                       TEST(test_hidden),
                                       TEST(test_bench),
                                       TEST(test_info),
                                       TEST(test_positions),
                                       TEST(test_outlives),
                                       TEST(test_older_info)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
