/*
 * Checkpoints quantized: what is written and what not, in one file or several, the numbers of the report, and that a
 * failure, an interruption or a want of memory leaves nothing behind.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <emily/model.h>
#include <emily/quantize.h>
#include <emily/safetensors.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/golden.h"

#include "io/file.h"
#include "io/json.h"

/* The scratch directory of this test, and names in it. */
static char top[512], in[1024], out[1024];

/* `in` is a copy of the golden checkpoint, `out` is not there. */
static void use(const char *golden)
{
    char name[256];
    snprintf(name, sizeof name, "decoders/%s", golden);
    snprintf(in, sizeof in, "%s", checkpoint_copy(name, "quantize_in"));
    snprintf(top, sizeof top, "%s", golden_scratch("quantize_out"));
    snprintf(out, sizeof out, "%s/made", top);
    checkpoint_remove(top); /* also what an earlier run left */
    assert_int_equal(mkdir(top, 0777), 0);
}

static em_safetensors *opened(const char *path)
{
    em_safetensors *file;
    if (em_safetensors_open(path, NULL, &file) != EM_OK)
        fail_msg("%s", em_last_error());
    return file;
}

static const em_safetensors_tensor *tensor(const em_safetensors *file, const char *layer, const char *suffix)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", layer, suffix);
    const em_safetensors_tensor *t = em_safetensors_find(file, name);
    if (!t)
        fail_msg("tensor %s is missing", name);
    return t;
}

static void expect_bytes(const em_safetensors_tensor *t, em_array *array)
{
    const void *data = em_array_data(array);
    assert_non_null(data);
    assert_int_equal(t->dtype, em_array_dtype(array));
    EXPECT_SAME_BITS(EM_U8, t->data, data, t->nbytes);
}

/* Each tensor of `in` is in `out`: as it was, or as em_quantize codes it. Returns how many are coded. */
static size_t expect_coded(const em_quantization *how)
{
    em_safetensors *from = opened(in), *to = opened(out);
    const em_safetensors_tensor *t;
    size_t coded = 0, parts = 0;
    for (size_t i = 0; (t = em_safetensors_at(from, i)); i++) {
        char layer[256];
        snprintf(layer, sizeof layer, "%.*s", (int)(strlen(t->name) - strlen(".weight")), t->name);
        if (t->dims.rank != 2 || t->dims.dims[1] % how->group != 0) {
            const em_safetensors_tensor *same = tensor(to, t->name, "");
            assert_int_equal(same->nbytes, t->nbytes);
            EXPECT_SAME_BITS(EM_U8, same->data, t->data, t->nbytes);
            parts++;
            continue;
        }
        em_scope *s = em_scope_new(NULL);
        em_quantized q = em_quantize(s, em_constant(s, t->dtype, t->data, t->dims), how);
        expect_bytes(tensor(to, layer, ".weight"), q.codes);
        expect_bytes(tensor(to, layer, ".scales"), q.scales);
        if (q.biases)
            expect_bytes(tensor(to, layer, ".biases"), q.biases);
        parts += q.biases ? 3 : 2;
        em_scope_free(s);
        coded++;
    }
    assert_int_equal(em_safetensors_count(to), parts);
    em_safetensors_close(&from);
    em_safetensors_close(&to);
    return coded;
}

static void add_report(const em_quantize_report *t, void *user)
{
    em_quantize_totals *sum = user;
    assert_int_equal(t->index, sum->tensors++);
    assert_true(t->index < t->tensors);
    sum->quantized += t->quantized;
    sum->before += t->before;
    sum->after += t->after;
    if (t->quantized)
        assert_true(t->rms_error > 0.001 && t->rms_error < 0.3 && t->max_error > 0 && isfinite(t->max_error));
    else
        assert_true(t->rms_error == 0 && t->before == t->after);
}

static void every_mode(void **state)
{
    (void)state;
    static const char *const checkpoints[] = {"qwen2-f16", "qwen3", "qwen3-untied"};
    static const em_quantization ways[] = {{sizeof(em_quantization), EM_QUANT_AFFINE, 32, 4},
                                           {sizeof(em_quantization), EM_QUANT_AFFINE, 64, 3},
                                           {sizeof(em_quantization), EM_QUANT_MXFP4, 32, 4},
                                           {sizeof(em_quantization), EM_QUANT_MXFP8, 32, 8},
                                           {sizeof(em_quantization), EM_QUANT_NVFP4, 16, 4}};
    for (size_t c = 0; c < 3; c++)
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            em_quantize_totals totals = {.struct_size = sizeof totals}, sum = {0};
            const em_quantize_options options = {sizeof options, &ways[w], 0, NULL, add_report, NULL, &sum, false};
            use(checkpoints[c]);
            if (em_checkpoint_quantize(in, out, &options, &totals) != EM_OK)
                fail_msg("%s", em_last_error());
            assert_int_equal(totals.quantized, expect_coded(&ways[w]));
            assert_int_equal(totals.tensors, sum.tensors);
            assert_int_equal(totals.quantized, sum.quantized);
            assert_int_equal(totals.before, sum.before);
            assert_int_equal(totals.after, sum.after);
            assert_int_equal(totals.files, 1);
            assert_true(totals.rms_error > 0.001 && totals.rms_error < 0.3);
            em_model *model = em_model_open(out, NULL);
            if (!model)
                fail_msg("%s", em_last_error());
            em_model_close(&model);
        }
}

/* Files of a few KB: the same tensors, an index that finds them, no file above the limit but for one weight. */
static void shards(void **state)
{
    (void)state;
    const em_quantization how = {sizeof how, EM_QUANT_AFFINE, 64, 4};
    const em_quantize_options options = {sizeof options, NULL, 10000, NULL, NULL, NULL, NULL, false};
    em_quantize_totals totals = {.struct_size = sizeof totals};
    use("qwen3-shards");
    checkpoint_write(in, "tokenizer.json", "{\"any\": 1}");
    checkpoint_write(in, "pytorch_model.bin", "not copied");
    if (em_checkpoint_quantize(in, out, &options, &totals) != EM_OK)
        fail_msg("%s", em_last_error());
    assert_true(totals.files > 3);
    assert_int_equal(checkpoint_entries(out), totals.files + 3); /* index, config, tokenizer */
    expect_coded(&how);
    em_safetensors *file = opened(out);
    assert_int_equal(em_safetensors_file_count(file), totals.files);
    em_safetensors_close(&file);
    assert_int_equal(checkpoint_entries(top), 1);
}

/* Member of config.json's "quantization" and of its twin. */
static void says_how(void **state)
{
    (void)state;
    const em_quantization how = {sizeof how, EM_QUANT_MXFP8, 0, 0};
    const em_quantize_options options = {.struct_size = sizeof options, .how = &how};
    static const char *const names[] = {"quantization", "quantization_config"};
    em__json_doc doc;
    char path[1100];
    use("qwen3-bf16");
    assert_int_equal(mkdir(out, 0777), 0); /* an empty directory is fine */
    assert_int_equal(em_checkpoint_quantize(in, out, &options, NULL), EM_OK);
    snprintf(path, sizeof path, "%s/config.json", out);
    assert_int_equal(em__json_load(path, EM__JSON_CAP, &doc), EM_OK);
    em__json root = em__json_root(&doc), member;
    for (int i = 0; i < 2; i++) {
        int64_t group = 0, bits = 0;
        const char *mode = "";
        assert_int_equal(em__json_get_object(&root, names[i], &member), EM_OK);
        assert_int_equal(em__json_get_int(&member, "group_size", 1, 128, &group), EM_OK);
        assert_int_equal(em__json_get_int(&member, "bits", 1, 8, &bits), EM_OK);
        assert_int_equal(em__json_get_string(&member, "mode", &mode), EM_OK);
        assert_true(group == 32 && bits == 8 && strcmp(mode, "mxfp8") == 0);
    }
    em__json_free(&doc);
}

/* A head that is tied to the embedding is not written a second time. */
static void tied_head(void **state)
{
    (void)state;
    use("qwen3-bf16");
    em_safetensors *from = opened(in);
    assert_non_null(em_safetensors_find(from, "lm_head.weight"));
    em_safetensors_close(&from);
    assert_int_equal(em_checkpoint_quantize(in, out, NULL, NULL), EM_OK);
    em_safetensors *file = opened(out);
    assert_null(em_safetensors_find(file, "lm_head.weight"));
    em_safetensors_close(&file);
}

/* A head that is another counts, whatever config.json says of ties. */
static void own_head(void **state)
{
    (void)state;
    use("qwen3-own-head");
    assert_int_equal(em_checkpoint_quantize(in, out, NULL, NULL), EM_OK);
    em_safetensors *file = opened(out);
    assert_non_null(em_safetensors_find(file, "lm_head.scales"));
    em_safetensors_close(&file);
}

static void expect_refused(em_status status, const char *to, const em_quantize_options *options, const char *words)
{
    const int before = checkpoint_entries(top);
    EXPECT_ERROR(em_checkpoint_quantize(in, to, options, NULL), status, words);
    assert_int_equal(checkpoint_entries(top), before);
}

static void truncate_file(const char *name, off_t size)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", in, name);
    assert_int_equal(truncate(path, size), 0);
}

static void refusals(void **state)
{
    (void)state;
    const em_quantization seven = {sizeof seven, EM_QUANT_AFFINE, 64, 7}, odd = {sizeof odd, EM_QUANT_MXFP4, 64, 4};
    em_quantize_options options = {.struct_size = sizeof options, .how = &seven};
    char name[1200];
    use("qwen3-shards");
    expect_refused(EM_ERROR_INVALID_ARGUMENT, out, &options, "7 bits");
    options.how = &odd;
    expect_refused(EM_ERROR_INVALID_ARGUMENT, out, &options, "mxfp4");
    snprintf(name, sizeof name, "%s/inside", in);
    expect_refused(EM_ERROR_INVALID_ARGUMENT, name, NULL, "lies in the checkpoint");
    expect_refused(EM_ERROR_INVALID_ARGUMENT, in, NULL, "not empty");
    expect_refused(EM_ERROR_INVALID_ARGUMENT, "", NULL, "empty");
    snprintf(name, sizeof name, "%s/none/made", top);
    expect_refused(EM_ERROR_NOT_FOUND, name, NULL, "none");
    snprintf(name, sizeof name, "%s/config.json", in);
    expect_refused(EM_ERROR_INVALID_ARGUMENT, name, NULL, "not a directory");
    truncate_file("model-00002-of-00003.safetensors", 5000);
    expect_refused(EM_ERROR_FORMAT, out, NULL, "model-00002-of-00003.safetensors");
    checkpoint_write(in, "model-00002-of-00003.safetensors", NULL);
    expect_refused(EM_ERROR_NOT_FOUND, out, NULL, "model-00002-of-00003.safetensors");
    checkpoint_write(in, "config.json", NULL);
    expect_refused(EM_ERROR_NOT_FOUND, out, NULL, "config.json");
    use("qwen3-bf16");
    checkpoint_set(in, "config.json", "hidden_size", "128");
    expect_refused(EM_ERROR_FORMAT, out, NULL, "config.json asks for [256, 128]");
    snprintf(in, sizeof in, "%s/nowhere", top);
    expect_refused(EM_ERROR_NOT_FOUND, out, NULL, "nowhere");
    use("qwen3-4bit");
    expect_refused(EM_ERROR_UNSUPPORTED, out, NULL, "quantized already");
    checkpoint_set(in, "config.json", "quantization", NULL);
    checkpoint_set(in, "config.json", "quantization_config", NULL);
    expect_refused(EM_ERROR_UNSUPPORTED, out, NULL, "quantized already");
}

static bool stop_later(size_t done, size_t total, void *user)
{
    int *left = user;
    assert_true(done <= total);
    return (*left)-- > 0;
}

static void stopped(void **state)
{
    (void)state;
    use("qwen3-shards");
    for (int calls = 0; calls < 12; calls += 3) {
        int left = calls;
        const em_quantize_options options = {
            .struct_size = sizeof options, .progress = stop_later, .user = &left, .shard_bytes = 20000};
        expect_refused(EM_ERROR_CANCELLED, out, &options, "stopped");
    }
}

/* What is no number is named, be it coded or copied, and taken only where that is asked for. */
static void no_numbers(void **state)
{
    (void)state;
    static const char *const names[] = {"model.layers.0.mlp.up_proj.weight", "model.norm.weight"};
    em_quantize_options options = {.struct_size = sizeof options};
    for (int i = 0; i < 2; i++) {
        use("qwen3-bf16");
        checkpoint_spoil(in, names[i], 0, 2);
        options.allow_nan = false;
        expect_refused(EM_ERROR_FORMAT, out, &options, names[i]);
        options.allow_nan = true;
        EXPECT_OK(em_checkpoint_quantize(in, out, &options, NULL));
    }
}

/* What the codes of a tensor of `out` stand for. */
static void expect_lost_group(const char *layer, const em_quantization *how)
{
    em_safetensors *file = opened(out);
    em_scope *s = em_scope_new(NULL);
    em_array *parts[3] = {0};
    static const char *const suffixes[] = {".weight", ".scales", ".biases"};
    for (int i = 0; i < (how->mode == EM_QUANT_AFFINE ? 3 : 2); i++) {
        const em_safetensors_tensor *t = tensor(file, layer, suffixes[i]);
        parts[i] = em_constant(s, t->dtype, t->data, t->dims);
    }
    const em_quantized q = {parts[0], parts[1], parts[2]};
    em_array *all = em_cast(s, em_dequantize(s, &q, how), EM_F32);
    const float *values = em_array_data(all);
    if (!values)
        fail_msg("%s", em_scope_error(s));
    for (int64_t i = 0; i < (int64_t)em_array_size(all); i++)
        if (isfinite(values[i]) == (i < how->group))
            fail_msg("%s: element %lld is %g", em_quant_mode_name(how->mode), (long long)i, (double)values[i]);
    em_scope_free(s);
    em_safetensors_close(&file);
}

/* A group that holds NaN stands for no number, all others do; a mode without NaN does not make numbers of it. */
static void no_numbers_stay(void **state)
{
    (void)state;
    static const em_quantization ways[] = {{sizeof(em_quantization), EM_QUANT_AFFINE, 32, 4},
                                           {sizeof(em_quantization), EM_QUANT_AFFINE, 64, 8},
                                           {sizeof(em_quantization), EM_QUANT_MXFP4, 32, 4},
                                           {sizeof(em_quantization), EM_QUANT_MXFP8, 32, 8}};
    const em_quantization nvfp4 = {.struct_size = sizeof nvfp4, .mode = EM_QUANT_NVFP4};
    em_quantize_options options = {.struct_size = sizeof options, .allow_nan = true};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        use("qwen3-bf16");
        checkpoint_spoil(in, "model.layers.0.mlp.up_proj.weight", 0, 2);
        options.how = &ways[i];
        EXPECT_OK(em_checkpoint_quantize(in, out, &options, NULL));
        expect_lost_group("model.layers.0.mlp.up_proj", &ways[i]);
    }
    checkpoint_remove(out);
    options.how = &nvfp4;
    expect_refused(EM_ERROR_UNSUPPORTED, out, &options, "nvfp4");
}

static em_status quantize_and_remove(void *context)
{
    (void)context;
    const em_quantize_options options = {.struct_size = sizeof options, .shard_bytes = 40000};
    em_status status = em_checkpoint_quantize(in, out, &options, NULL);
    if (status == EM_OK)
        checkpoint_remove(out);
    else
        assert_int_equal(checkpoint_entries(top), 0);
    return status;
}

static void without_memory(void **state)
{
    (void)state;
    use("qwen3-bf16");
    assert_true(faults_sweep(quantize_and_remove, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode),      cmocka_unit_test(shards),         cmocka_unit_test(says_how),
        cmocka_unit_test(tied_head),       cmocka_unit_test(own_head),       cmocka_unit_test(refusals),
        cmocka_unit_test(stopped),         cmocka_unit_test(without_memory), cmocka_unit_test(no_numbers),
        cmocka_unit_test(no_numbers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
