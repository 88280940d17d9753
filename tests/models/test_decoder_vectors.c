/*
 * Sentence vectors of decoders, besides what test_model_recorded asks of all checkpoints: activations that are rounded
 * to bf16, quantized weights, what generates and what does not, and modules that can't be used.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <emily/generation.h>
#include <emily/model.h>
#include <emily/quantize.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "harness/recorded.h"

#define LAST "models/qwen3-last" /* tied */
#define NO_HEAD "models/mistral-mean-dense-window"
#define OWN_HEAD "models/qwen2-both-ways-bf16"

static em_model *opened(const char *dir)
{
    em_model *model = em_model_open(dir, NULL);
    if (!model)
        fail_msg("%s: %s", dir, em_last_error());
    return model;
}

static em_model_info info_of(const em_model *model)
{
    em_model_info info = {.struct_size = sizeof info};
    em_clear_error();
    EXPECT_OK(em_model_get_info(model, &info));
    assert_string_equal(em_last_error(), ""); /* there is no chat template, which is no error */
    return info;
}

static em_array *embed(em_model *model, const char *const *texts, size_t n, size_t batch)
{
    const em_embed_options options = {.struct_size = sizeof options, .batch_tokens = batch};
    em_array *vectors = em_embed(model, texts, n, &options);
    if (!vectors)
        fail_msg("%s", em_last_error());
    return vectors;
}

/* Together, in small batches and alone the same bits, on any number of threads; and near to what was recorded, in the
 * rms of the difference over that of the vectors. */
static void check_texts(em_model *model, const recorded *r, double most)
{
    const char *texts[RECORDED_CASES] = {0};
    size_t n = 0;
    for (; n < r->n_cases && !r->cases[n].prompt && !r->cases[n].prompt_name; n++)
        texts[n] = r->cases[n].text;
    em_array *all = embed(model, texts, n, 0), *few = embed(model, texts, n, 50);
    const size_t width = (size_t)em_array_dims(all).dims[1];
    const float *got = em_array_data(all);
    double off = 0, size = 0;
    EXPECT_SAME_BITS(EM_F32, em_array_data(few), got, n * width);
    for (size_t i = 0; i < n; i++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), 1 + (int)i % 5));
        em_array *one = embed(model, &texts[i], 1, 0);
        EXPECT_SAME_BITS(EM_F32, em_array_data(one), got + i * width, width);
        em_array_release(&one);
    }
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
    for (size_t i = 0; i < n * width; i++) {
        const double want = ((const double *)r->embeddings.data)[i];
        off += (got[i] - want) * (got[i] - want);
        size += want * want;
    }
    if (!(sqrt(off / size) <= most))
        fail_msg("%s: the vectors are off by %g of their size", r->dir, sqrt(off / size));
    em_array_release(&all);
    em_array_release(&few);
}

static void test_rounded(void **state)
{
    recorded r;
    (void)state;
    recorded_open(&r, "qwen2-both-ways-bf16");
    em_model *model = opened(r.dir);
    check_texts(model, &r, 2e-2);
    em_model_close(&model);
    recorded_close(&r);
}

static void test_quantized(void **state)
{
    char out[1024];
    const em_quantization how = {sizeof how, EM_QUANT_AFFINE, 32, 8};
    const em_quantize_options options = {.struct_size = sizeof options, .how = &how};
    recorded r;
    (void)state;
    snprintf(out, sizeof out, "%s", golden_scratch("decoder_vectors_8bit"));
    checkpoint_remove(out);
    EXPECT_OK(em_checkpoint_quantize(golden_path(LAST), out, &options, NULL));
    recorded_open(&r, "qwen3-last");
    em_model *model = opened(out);
    assert_int_equal(info_of(model).quantized_bits, 8);
    check_texts(model, &r, 5e-2);
    em_model_close(&model);
    recorded_close(&r);
}

static em_status generate(em_model *model)
{
    const em_generation_options options = {.struct_size = sizeof options, .max_tokens = 2};
    em_generation *g = em_generation_new(model, &options);
    const em_status status = g ? EM_OK : em_last_status();
    em_generation_free(g);
    return status;
}

static void test_heads(void **state)
{
    static const char *const dirs[] = {LAST, OWN_HEAD, NO_HEAD};
    (void)state;
    for (int i = 0; i < 3; i++) {
        em_model *model = opened(golden_path(dirs[i]));
        const em_model_info info = info_of(model);
        assert_true(info.generates == (i < 2));
        assert_string_equal(info.can, i < 2 ? "embed, search, generate, tokenize" : "embed, search, tokenize");
        if (i < 2)
            EXPECT_OK(generate(model));
        else
            EXPECT_ERROR(generate(model), EM_ERROR_UNSUPPORTED, "(lm_head.weight): it does not generate");
        em_model_close(&model);
    }
}

/* A decoder that generates still does where there are no modules, or some that can't be used. */
static void test_modules_in_the_way(void **state)
{
    static const struct {
        const char *file, *text, *told;
        em_status status;
    } cases[] = {
        {"modules.json", NULL, "without modules.json", EM_ERROR_UNSUPPORTED},
        {"modules.json", "[{", "has no vectors: ", EM_ERROR_FORMAT},
        {"1_Pooling/config.json", NULL, "1_Pooling/config.json", EM_ERROR_NOT_FOUND},
        {"1_Pooling/config.json", "{\"pooling_mode\":\"odd\"}", "odd is not supported", EM_ERROR_UNSUPPORTED},
        {"modules.json",
         "[{\"path\":\"0_T\",\"type\":\"sentence_transformers.models.Transformer\"},"
         "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}]",
         "another transformer", EM_ERROR_UNSUPPORTED},
    };
    const int32_t ids[] = {5, 6, 7}, offsets[] = {0, 3};
    const char *text = "text";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *dir = checkpoint_copy(LAST, "decoder_vectors");
        checkpoint_write(dir, cases[i].file, cases[i].text);
        em_clear_error();
        em_model *model = opened(dir);
        assert_int_equal(em_last_status(), EM_OK);
        const em_model_info info = info_of(model);
        assert_int_equal(info.width, 0);
        assert_string_equal(info.can, "generate, tokenize");
        EXPECT_OK(generate(model));
        assert_null(em_embed(model, &text, 1, NULL));
        EXPECT_ERROR(em_last_status(), cases[i].status, cases[i].told);
        em_array *hidden = em_model_hidden(model, ids, NULL, offsets, 1);
        assert_int_equal(em_array_size(hidden), 3 * info.hidden);
        em_array_release(&hidden);
        em_model_close(&model);
    }
}

/* Without a head and without modules there is nothing to run, and no advice to run it. */
static void test_neither(void **state)
{
    const char *text = "text";
    (void)state;
    const char *dir = checkpoint_copy(NO_HEAD, "decoder_vectors_neither");
    checkpoint_write(dir, "modules.json", NULL);
    em_model *model = opened(dir);
    assert_null(em_embed(model, &text, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_UNSUPPORTED, "it gives neither vectors nor text");
    em_model_close(&model);
}

/* The transformer in a folder of its own, as sentence-transformers 2 wrote it. */
static void test_folder(void **state)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                        "sentence_bert_config.json", "model.safetensors"};
    char path[1200], to[1200];
    recorded r;
    (void)state;
    const char *dir = checkpoint_copy(LAST, "decoder_vectors_folder");
    checkpoint_write(dir, "0_T/empty", "");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        snprintf(to, sizeof to, "%s/0_T/%s", dir, files[i]);
        assert_int_equal(rename(path, to), 0);
    }
    checkpoint_write(dir, "modules.json",
                     "[{\"path\":\"0_T\",\"type\":\"sentence_transformers.models.Transformer\"},"
                     "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
                     "{\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]");
    recorded_open(&r, "qwen3-last");
    em_model *model = opened(dir);
    check_texts(model, &r, 1e-5);
    EXPECT_OK(generate(model));
    em_model_close(&model);
    recorded_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounded), cmocka_unit_test(test_quantized),
                                       cmocka_unit_test(test_heads),   cmocka_unit_test(test_modules_in_the_way),
                                       cmocka_unit_test(test_neither), cmocka_unit_test(test_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
