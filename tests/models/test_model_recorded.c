/*
 * Every recorded checkpoint in every lane: hidden states and sentence vectors within 1e-5 of Hugging Face's in double
 * precision; the same bits in eager and native, with any number of threads, alone and in a batch.
 */
#include <math.h>
#include <string.h>

#include <emily/model.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/recorded.h"

static const em_model_lane lanes[] = {EM_LANE_EAGER, EM_LANE_NATIVE, EM_LANE_FUSE};

enum { N_LANES = sizeof lanes / sizeof *lanes };

static em_model *open_model(const recorded *r, em_model_lane lane)
{
    const em_model_options options = {.struct_size = sizeof options, .lane = lane, .exact = true};
    em_model *model = em_model_open(r->dir, &options);
    if (!model)
        fail_msg("%s: %s", r->dir, em_last_error());
    return model;
}

static em_array *hidden(em_model *model, const recorded *r)
{
    em_array *h = em_model_hidden(model, r->ids.data, r->types.data, r->offsets.data, r->n_sequences);
    if (!h)
        fail_msg("%s: %s", r->dir, em_last_error());
    return h;
}

static void expect_near(const char *what, const recorded *r, const float *got, const double *want, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)got[i] - want[i]);
        worst = off <= worst ? worst : off; /* a NaN stays */
    }
    if (!(worst <= 1e-5))
        fail_msg("%s: %s differ by %g", r->dir, what, worst);
}

static void for_all(void (*check)(const recorded *r))
{
    recorded r;
    for (size_t i = 0; recorded_names[i]; i++) {
        recorded_open(&r, recorded_names[i]);
        check(&r);
        recorded_close(&r);
    }
}

static void check_hidden(const recorded *r)
{
    em_array *results[N_LANES];
    for (int i = 0; i < N_LANES; i++) {
        em_model *model = open_model(r, lanes[i]);
        results[i] = hidden(model, r);
        em_model_close(&model);
        assert_int_equal(em_array_size(results[i]), r->hidden.nbytes / sizeof(double));
        expect_near("hidden states", r, em_array_data(results[i]), r->hidden.data, em_array_size(results[i]));
    }
    EXPECT_SAME_BITS(EM_F32, em_array_data(results[1]), em_array_data(results[0]), em_array_size(results[0]));
    for (int i = 0; i < N_LANES; i++)
        em_array_release(&results[i]);
}

static void test_hidden(void **state)
{
    (void)state;
    for_all(check_hidden);
}

static em_array *embed(em_model *model, const char *const *texts, size_t n, const recorded_case *c)
{
    const em_embed_options options = {
        .struct_size = sizeof options, .prompt = c->prompt, .prompt_name = c->prompt_name};
    em_array *v = em_embed(model, texts, n, &options);
    if (!v)
        fail_msg("%s: %s", texts[0], em_last_error());
    return v;
}

static void check_embeddings(const recorded *r)
{
    size_t width = (size_t)r->embeddings.dims.dims[1];
    for (int i = 0; i < N_LANES; i++) {
        em_model *model = open_model(r, lanes[i]);
        em_model_info info = {.struct_size = sizeof info};
        EXPECT_OK(em_model_get_info(model, &info));
        assert_int_equal(info.width, width);
        for (size_t k = 0; k < r->n_cases; k++) {
            em_array *v = embed(model, &r->cases[k].text, 1, &r->cases[k]);
            assert_int_equal(em_array_size(v), width);
            expect_near(r->cases[k].text, r, em_array_data(v), (const double *)r->embeddings.data + k * width, width);
            em_array_release(&v);
        }
        em_model_close(&model);
    }
}

static void test_embeddings(void **state)
{
    (void)state;
    for_all(check_embeddings);
}

/* All texts in one call, in small and large batches, against each alone. */
static void check_batches(const recorded *r)
{
    const char *texts[RECORDED_CASES];
    static const size_t sizes[] = {0, 1, 40, 100};
    const recorded_case plain = {0};
    for (size_t k = 0; k < r->n_cases; k++)
        texts[k] = r->cases[k].text;
    for (int i = 0; i < N_LANES; i++) {
        em_model *model = open_model(r, lanes[i]);
        for (size_t b = 0; b < sizeof sizes / sizeof *sizes; b++) {
            size_t truncated = 99;
            const em_embed_options options = {
                .struct_size = sizeof options, .batch_tokens = sizes[b], .truncated = &truncated};
            em_array *all = em_embed(model, texts, r->n_cases, &options);
            size_t width = (size_t)em_array_dims(all).dims[1];
            assert_true(truncated < 99);
            for (size_t k = 0; k < r->n_cases; k++) {
                em_array *one = embed(model, &texts[k], 1, &plain);
                const float *together = (const float *)em_array_data(all) + k * width, *alone = em_array_data(one);
                if (default_has_own_memory()) /* a GPU's kernels are chosen by size */
                    for (size_t d = 0; d < width; d++)
                        assert_float_equal(together[d], alone[d], 1e-5);
                else
                    EXPECT_SAME_BITS(EM_F32, together, alone, width);
                em_array_release(&one);
            }
            em_array_release(&all);
        }
        em_model_close(&model);
    }
}

static void test_batches(void **state)
{
    (void)state;
    for_all(check_batches);
}

static void check_threads(const recorded *r)
{
    static const int threads[] = {1, 2, 3, 5};
    em_device *device = em_device_default();
    for (int i = 0; i < N_LANES; i++) {
        em_array *first = NULL;
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            EXPECT_OK(em_device_set_threads(device, threads[t]));
            em_model *model = open_model(r, lanes[i]);
            em_array *h = hidden(model, r);
            em_model_close(&model);
            if (!first)
                first = em_array_retain(h);
            EXPECT_SAME_BITS(EM_F32, em_array_data(h), em_array_data(first), em_array_size(h));
            em_array_release(&h);
        }
        em_array_release(&first);
    }
    EXPECT_OK(em_device_set_threads(device, 0));
}

static void test_threads(void **state)
{
    (void)state;
    for_all(check_threads);
}

/* Arithmetic in other dtypes: f64 is as good as f32 at least, the halves are near. */
static void check_dtypes(const recorded *r)
{
    static const struct {
        em_dtype dtype;
        double atol;
    } rows[] = {{EM_F64, 1e-6}, {EM_F16, 0.05}, {EM_BF16, 0.3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !r->decoder; i++) { /* those compute in f32 */
        const em_model_options options = {.struct_size = sizeof options, .dtype = rows[i].dtype};
        em_model *model = em_model_open(r->dir, &options);
        if (!model)
            fail_msg("%s: %s", r->dir, em_last_error());
        em_array *h = hidden(model, r);
        const float *got = em_array_data(h);
        const double *want = r->hidden.data;
        for (size_t k = 0; k < em_array_size(h); k++)
            if (!(fabs((double)got[k] - want[k]) <= rows[i].atol))
                fail_msg("%s in %s: %g, recorded %g", r->dir, em_dtype_name(rows[i].dtype), (double)got[k], want[k]);
        em_array_release(&h);
        em_model_close(&model);
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    for_all(check_dtypes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hidden), cmocka_unit_test(test_embeddings),
                                       cmocka_unit_test(test_batches), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_dtypes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
