/* Structs of options whose struct_size is 0: the fields of 0.1.0, read to the last, and not a byte behind them. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <emily/emily.h>

#include "core/options.h"
#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"

#define PRIMER EM_TEST_DIR "/../models/primer"

/* A field behind the last would end this. It goes into the table while there is no release; afterwards the table stays
 * and this names the new size. */
#define AS_IN_0_1_0(type)                                                                                              \
    _Static_assert(sizeof(type) - EM__FIRST_SIZE(type) < _Alignof(type),                                               \
                   #type " has another last field than " #type " of core/options.h")
AS_IN_0_1_0(em_arg_options);
AS_IN_0_1_0(em_chat_options);
AS_IN_0_1_0(em_compile_options);
AS_IN_0_1_0(em_conv_options);
AS_IN_0_1_0(em_embed_options);
AS_IN_0_1_0(em_encode_options);
AS_IN_0_1_0(em_generation_options);
AS_IN_0_1_0(em_hub_options);
AS_IN_0_1_0(em_model_options);
AS_IN_0_1_0(em_quantization);
AS_IN_0_1_0(em_quantize_options);
AS_IN_0_1_0(em_rope_options);
AS_IN_0_1_0(em_safetensors_options);
AS_IN_0_1_0(em_sdpa_options);
AS_IN_0_1_0(em_segments_options);
AS_IN_0_1_0(em_stream_options);
AS_IN_0_1_0(em_template_options);
AS_IN_0_1_0(em_window_options);

/* Where a struct of `size` bytes ends with its page, the next one being nobody's. */
static void *page_end(const void *given, size_t size)
{
    static char *pages;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!pages) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(pages != MAP_FAILED);
        assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    }
    memset(pages, 0xff, page);
    return memcpy(pages + page - size, given, size);
}
#define AT_PAGE_END(type, ...) ((const type *)page_end(&(type){__VA_ARGS__}, sizeof(type)))

typedef struct old_options {
    size_t struct_size;
    double a;
    int b;
} old_options;

typedef struct new_options {
    size_t struct_size;
    double a;
    int b;
    int c; /* where the old one has padding */
    double d;
} new_options;
#define EM__LAST_new_options b

/* What a later library makes of a program that was built before it. */
static void test_later_fields(void **state)
{
    (void)state;
    new_options o = {.c = 5, .d = 6};
    old_options old;
    memset(&old, 0xff, sizeof old);
    old = (old_options){.a = 1, .b = 2};
    memset((char *)&old + offsetof(new_options, c), 0xff, sizeof old - offsetof(new_options, c));
    assert_int_equal(EM__OPTIONS_COPY(page_end(&old, sizeof old), &o, new_options), EM_OK);
    assert_true(o.a == 1 && o.b == 2 && o.c == 5 && o.d == 6);
    const new_options all = {.struct_size = sizeof all, .a = 3, .c = 7, .d = 8};
    assert_int_equal(EM__OPTIONS_COPY(&all, &o, new_options), EM_OK);
    assert_true(o.a == 3 && o.b == 0 && o.c == 7 && o.d == 8);
    const size_t wrong[] = {1, sizeof(size_t) - 1, sizeof(size_t) + 1, sizeof all + 1, (size_t)-1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        EXPECT_ERROR(EM__OPTIONS_COPY(&wrong[i], &o, new_options), EM_ERROR_INVALID_ARGUMENT,
                     "expected 0 or sizeof(new_options)");
}

static int64_t dim(const em_array *a, int axis)
{
    return em_array_dims(a).dims[axis];
}

static void test_ops(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_random_normal(s, em_random_key(s, 7), EM_F32, em_shape(1, 2, 4, 64));
    em_array *a = em_argmax_with(s, x, AT_PAGE_END(em_arg_options, .axis = 2, .keep = true));
    assert_int_equal(dim(a, 2), 1);
    const int64_t two[] = {1, 1, 2, 2};
    em_array *w = em_window_sum(s, x, two, AT_PAGE_END(em_window_options, .strides = two, .same = true));
    assert_int_equal(dim(w, 3), 32);
    em_array *kernel = em_random_normal(s, em_random_key(s, 8), EM_F32, em_shape(2, 1, 3, 3));
    em_array *c = em_conv(s, x, kernel, AT_PAGE_END(em_conv_options, .same = true, .feature_groups = 2));
    assert_int_equal(dim(c, 3), 64);
    em_array *r = em_rope(s, x, NULL, AT_PAGE_END(em_rope_options, .base = 100, .axis = -2));
    em_array *p = em_sdpa_with(s, x, x, x, AT_PAGE_END(em_sdpa_options, .causal = true));
    const int32_t ends[] = {0, 3, 4};
    em_array *packed = em_reshape(s, x, em_shape(4, 2, 64));
    em_array *offsets = em_constant(s, EM_S32, ends, em_shape(3));
    em_array *g = em_sdpa_segments_with(s, packed, packed, packed, offsets,
                                        AT_PAGE_END(em_segments_options, .causal = true, .window = 2));
    em_quantized q = em_quantize(s, x, AT_PAGE_END(em_quantization, .bits = 8));
    assert_int_equal(dim(q.codes, 3), 16);
    EXPECT_OK(em_eval(s, em_add(s, em_add(s, r, p), em_reshape(s, g, em_shape(1, 2, 4, 64)))));
    em_scope_free(s);
}

static em_status negated(em_scope *s, em_array *const *inputs, em_array **outputs, void *user)
{
    (void)user;
    outputs[0] = em_neg(s, inputs[0]);
    return outputs[0] ? EM_OK : EM_ERROR_INVALID_ARGUMENT;
}

static void test_programs_and_streams(void **state)
{
    (void)state;
    const em_spec spec = {EM_F32, em_shape(8)};
    em_program *program = em_compile(negated, NULL, &spec, 1, 1,
                                     AT_PAGE_END(em_compile_options, .lane = EM_NATIVE, .half_products = true));
    assert_non_null(program);
    em_program_free(program);
    em_stream *stream = em_stream_new(AT_PAGE_END(em_stream_options, .capacity = 3));
    assert_non_null(stream);
    em_stream_free(stream);
}

static void test_files(void **state)
{
    (void)state;
    char *path;
    em_safetensors *file;
    const char *golden = golden_path("models/bert-cls-relu-prefix");
    EXPECT_OK(em_safetensors_open(golden, AT_PAGE_END(em_safetensors_options, .mode = EM_SAFETENSORS_READ), &file));
    em_safetensors_close(&file);
    EXPECT_OK(em_hub_resolve(golden, AT_PAGE_END(em_hub_options, .offline = true), &path));
    em_hub_path_free(path);
    char out[1024];
    snprintf(out, sizeof out, "%s", golden_scratch("options-quantized"));
    checkpoint_remove(out);
    const em_quantization affine = {.group = 16};
    EXPECT_OK(em_checkpoint_quantize(PRIMER, out, AT_PAGE_END(em_quantize_options, .how = &affine), NULL));
    checkpoint_remove(out);
}

static void test_models(void **state)
{
    (void)state;
    const char *text = "the dog";
    em_model *model =
        em_model_open(golden_path("models/bert-cls-relu-prefix"), AT_PAGE_END(em_model_options, .exact = true));
    em_array *v = em_embed(model, &text, 1, AT_PAGE_END(em_embed_options, .dimensions = 5));
    assert_int_equal(dim(v, 1), 5);
    em_array_release(&v);
    em_encoding whole = {0}, bare = {0};
    const em_tokenizer *tokenizer = em_model_tokenizer(model);
    EXPECT_OK(em_tokenizer_encode(tokenizer, text, strlen(text), NULL, &whole));
    EXPECT_OK(
        em_tokenizer_encode(tokenizer, text, strlen(text), AT_PAGE_END(em_encode_options, .no_special = true), &bare));
    assert_int_equal(whole.length, bare.length + 2);
    em_encoding_free(&whole);
    em_encoding_free(&bare);
    em_model_close(&model);
}

static void test_text(void **state)
{
    (void)state;
    char *text;
    em_template *source;
    EXPECT_ERROR(em_template_parse("{% x %}", 7, AT_PAGE_END(em_template_options, .name = "mine"), &source),
                 EM_ERROR_FORMAT, "mine");
    em_chat_template *chat;
    EXPECT_OK(em_chat_template_open(PRIMER, &chat));
    EXPECT_OK(em_chat_template_render(
        chat, AT_PAGE_END(em_chat_options, .messages = "[{\"role\": \"user\", \"content\": \"Hi\"}]"), &text, NULL));
    assert_non_null(strstr(text, "Hi"));
    em_template_text_free(text);
    em_chat_template_free(chat);
    em_model *model = em_model_open(PRIMER, NULL);
    em_generation *g =
        em_generation_new(model, AT_PAGE_END(em_generation_options, .max_tokens = 3, .ignore_eos = true));
    size_t length = 0;
    EXPECT_OK(em_generate(g, "Once"));
    em_generation_ids(g, 0, &length);
    assert_int_equal(length, 3);
    em_generation_free(g);
    em_model_close(&model);
}

/* What the library fills has no size of its own choice. */
static void test_results_want_their_size(void **state)
{
    (void)state;
    em_memory_stats stats = {0};
    EXPECT_ERROR(em_memory_get_stats(&stats), EM_ERROR_INVALID_ARGUMENT, "set it to sizeof(em_memory_stats)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later_fields),
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_programs_and_streams),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_results_want_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
