/*
 * The real all-MiniLM-L6-v2 over the 500 recorded texts (tests/golden/models/minilm): cosine with Hugging Face's f32 at
 * least 0.999999 for each text, no element off by more than 2e-5, and an error against double precision no greater than
 * that of Hugging Face's own f32. Runs where the checkpoint is: EMILY_TEST_MODEL, or build/models/all-MiniLM-L6-v2
 * (tools/get-model.sh fetches it); elsewhere it is skipped and says so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <emily/model.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "io/npy.h"

#define TEXTS 500
#define WIDTH 384
#define SKIPPED 77

static em_model *model;
static em_array *all; /* the vectors of all texts, in one call */
static em__npy f32, f64, rows, tokens;
static em__map texts_file;
static const char *texts[TEXTS];
static size_t lengths[TEXTS];

static const char *checkpoint(void)
{
    const char *named = getenv("EMILY_TEST_MODEL");
    if (named && *named)
        return named;
    static const char *const places[] = {EM_TEST_BUILD_DIR "/../models/all-MiniLM-L6-v2",
                                         EM_TEST_DIR "/../build/models/all-MiniLM-L6-v2"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

static void read_array(const char *name, em__npy *npy, em_dtype dtype, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "models/minilm/%s.npy", name);
    EXPECT_OK(em__npy_read(golden_path(path), EM__MAP_READ, npy));
    assert_int_equal(npy->dtype, dtype);
    assert_int_equal(npy->nbytes, n * em_dtype_size(dtype));
}

static em_array *embed(size_t first, size_t n)
{
    em_array *v = em_embed_n(model, texts + first, lengths + first, n, NULL);
    if (!v || !em_array_data(v))
        fail_msg("text %zu: %s", first, em_last_error());
    assert_int_equal(em_array_size(v), n * WIDTH);
    return v;
}

static int open_all(void **state)
{
    (void)state;
    read_array("embeddings_f32", &f32, EM_F32, (size_t)TEXTS * WIDTH);
    read_array("tokens", &tokens, EM_S32, TEXTS);
    EXPECT_OK(em__npy_read(golden_path("models/minilm/rows_f64.npy"), EM__MAP_READ, &rows));
    read_array("embeddings_f64", &f64, EM_F64, (size_t)rows.dims.dims[0] * WIDTH);
    EXPECT_OK(em__map_open(golden_path("models/minilm/texts.txt"), EM__MAP_READ, &texts_file));
    const char *at = (const char *)texts_file.data, *end = at + texts_file.size;
    for (size_t i = 0; i < TEXTS; i++) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(line);
        texts[i] = at;
        lengths[i] = (size_t)(line - at);
        at = line + 1;
    }
    assert_ptr_equal(at, end);
    model = em_model_open(checkpoint(), NULL);
    if (!model)
        fail_msg("%s: %s", checkpoint(), em_last_error());
    all = embed(0, TEXTS);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    em_array_release(&all);
    em_model_close(&model);
    em__npy_close(&f32);
    em__npy_close(&f64);
    em__npy_close(&rows);
    em__npy_close(&tokens);
    em__map_close(&texts_file);
    return 0;
}

static void test_tokens(void **state)
{
    (void)state;
    const em_encode_options cut = {.struct_size = sizeof cut, .truncation = EM_TRUNCATION_GIVEN, .max_length = 256};
    em_encoding encoding = {0};
    for (size_t i = 0; i < TEXTS; i++) {
        EXPECT_OK(em_tokenizer_encode(em_model_tokenizer(model), texts[i], lengths[i], &cut, &encoding));
        if (encoding.length != (size_t)((const int32_t *)tokens.data)[i])
            fail_msg("text %zu: %zu tokens, recorded %d", i, encoding.length, ((const int32_t *)tokens.data)[i]);
    }
    em_encoding_free(&encoding);
}

static void test_against_f32(void **state)
{
    (void)state;
    const float *got = em_array_data(all), *want = f32.data;
    double worst = 0, lowest = 1;
    for (size_t i = 0; i < TEXTS; i++, got += WIDTH, want += WIDTH) {
        double cosine =
            em_dot_f32(got, want, WIDTH) / sqrt(em_dot_f32(got, got, WIDTH) * em_dot_f32(want, want, WIDTH));
        double off = 0;
        for (size_t k = 0; k < WIDTH; k++)
            off = fmax(off, fabs((double)got[k] - want[k]));
        if (!(cosine >= 0.999999) || !(off <= 2e-5))
            fail_msg("text %zu: cosine %.9f, greatest difference %.3g", i, cosine, off);
        worst = fmax(worst, off);
        lowest = fmin(lowest, cosine);
    }
    print_message("500 texts: cosine >= %.9f, greatest difference %.3g\n", lowest, worst);
}

/* Greatest and root mean square error of the rows recorded in double. */
static void error_of(const float *vectors, double *greatest, double *rms)
{
    size_t n = (size_t)rows.dims.dims[0];
    double square = 0;
    *greatest = 0;
    for (size_t r = 0; r < n; r++) {
        int32_t row = ((const int32_t *)rows.data)[r];
        for (size_t k = 0; k < WIDTH; k++) {
            double off = fabs(vectors[(size_t)row * WIDTH + k] - ((const double *)f64.data)[r * WIDTH + k]);
            *greatest = fmax(*greatest, off);
            square += off * off;
        }
    }
    *rms = sqrt(square / (double)(n * WIDTH));
}

static void test_against_f64(void **state)
{
    (void)state;
    double ours, our_rms, theirs, their_rms;
    error_of(em_array_data(all), &ours, &our_rms);
    error_of(f32.data, &theirs, &their_rms);
    print_message("error against f64: ours %.3g (rms %.3g), Hugging Face f32 %.3g (rms %.3g)\n", ours, our_rms, theirs,
                  their_rms);
    assert_true(ours <= theirs);
    assert_true(our_rms <= their_rms);
}

/* The processor promises the same bits; a GPU, whose order of sums follows shapes, the same but for rounding: as far
 * apart as two vectors can be that are both as near to the f64 run as Hugging Face's. */
static void test_alone(void **state)
{
    (void)state;
    const bool gpu = default_has_own_memory();
    double worst = 0;
    for (size_t i = 0; i < TEXTS; i += 23) {
        em_array *one = embed(i, 1);
        const float *got = em_array_data(one), *want = (const float *)em_array_data(all) + i * WIDTH;
        if (!gpu)
            EXPECT_SAME_BITS(EM_F32, got, want, WIDTH);
        for (size_t k = 0; k < WIDTH; k++)
            worst = fmax(worst, fabs((double)got[k] - want[k]));
        em_array_release(&one);
    }
    if (gpu)
        print_message("alone and in a batch: greatest difference %.3g; the device does not promise the same bits\n",
                      worst);
    assert_true(worst <= 3e-7);
}

int main(void)
{
    if (!checkpoint()) {
        puts("skipped: no all-MiniLM-L6-v2 (EMILY_TEST_MODEL is not set, build/models has none; tools/get-model.sh)");
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_against_f32),
                                       cmocka_unit_test(test_against_f64), cmocka_unit_test(test_alone)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
