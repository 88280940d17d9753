/*
 * A layer of a decoder for many tokens: the fuse lane, whose calls the cuda device merges, against the same program
 * with results that keep them apart, which round at the same places. Random shapes with tails: heads with and without
 * norms, windows, halves of both kinds, 4-bit codes, caches that hold something already, several sequences. A second
 * run must have the same bits.
 */
#include "harness/expect.h"
#include "harness/sample.h"

#include "support/layer.h"

static em_device *gpu;
static rng numbers = {2463534242u};

static int draw(size_t below)
{
    return (int)rng_below(&numbers, below);
}

/* Sums of other orders: a value may round the other way, and more of them do at each place that rounds. */
static void check_layer(const layer_shape *as)
{
    static const layer_way apart = {EM_FUSE, true, true}, merged = {EM_FUSE, true, false};
    if (!sample_takes())
        return;
    const layer_errors e = layer_compare(gpu, &numbers, as, &apart, &merged);
    if (!(e.keys < 3e-4 && e.values < 3e-4 && e.result < 3e-3))
        fail_msg("%d x %d tokens of %d, %d/%d heads of %d%s%s, inner %d, place %d, window %d: errors %g, %g, %g",
                 as->batch, as->tokens, as->width, as->heads, as->kv_heads, as->head, as->norms ? " normalised" : "",
                 as->turned ? " turned" : "", as->inner, as->place, as->window, e.keys, e.values, e.result);
}

static void test_as_models_have_them(void **unused)
{
    static const layer_shape shapes[] = {
        {1, 100, 256, 4, 2, 128, 512, 160, 0, 0, true, true, EM_BF16, EM_BF16, 0, 0},
        {1, 256, 512, 8, 2, 128, 768, 256, 0, 0, false, true, EM_BF16, EM_BF16, 0, 0},    /* as Llama */
        {1, 130, 256, 4, 4, 64, 520, 400, 77, 0, true, true, EM_BF16, EM_BF16, 0, 0},     /* behind a prompt */
        {1, 300, 256, 4, 1, 128, 512, 512, 100, 96, false, true, EM_BF16, EM_BF16, 0, 0}, /* a window */
        {1, 64, 256, 2, 2, 128, 512, 100, 3, 0, false, false, EM_BF16, EM_BF16, 0, 0},    /* no positions */
        {1, 70, 256, 4, 2, 128, 512, 160, 0, 0, true, true, EM_F16, EM_F16, 0, 0},
        {1, 70, 256, 4, 2, 128, 512, 160, 9, 0, true, true, EM_BF16, EM_F16, 0, 0},
        {3, 40, 256, 4, 2, 64, 512, 96, 5, 0, true, true, EM_BF16, EM_BF16, 0, 0},
        {1, 1000, 256, 6, 3, 128, 3000, 1100, 50, 0, true, true, EM_BF16, EM_BF16, 0, 0}, /* wide tiles with tails */
        {1, 1024, 1024, 16, 8, 128, 3072, 1024, 0, 0, true, true, EM_BF16, EM_BF16, 0, 0},
        {1, 17, 512, 4, 2, 128, 1024, 64, 3, 0, true, true, EM_BF16, EM_BF16, 0, 0}, /* few rows */
        {1, 40, 1024, 8, 4, 128, 1536, 100, 7, 0, true, true, EM_BF16, EM_BF16, 0, 0},
        {1, 17, 512, 4, 2, 128, 1024, 64, 3, 0, true, true, EM_BF16, EM_BF16, 64, 0}, /* codes */
        {1, 40, 1024, 8, 4, 128, 1536, 100, 7, 0, true, true, EM_BF16, EM_BF16, 64, 0},
        {1, 100, 512, 8, 4, 64, 1024, 100, 0, 0, false, true, EM_BF16, EM_BF16, 32, 0},
        {1, 300, 1024, 16, 8, 128, 3072, 400, 50, 0, true, true, EM_BF16, EM_BF16, 128, 0},
        {1, 1024, 1024, 16, 8, 128, 3072, 1024, 0, 0, true, true, EM_BF16, EM_BF16, 64, 0},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check_layer(&shapes[i]);
}

static void test_random_shapes(void **unused)
{
    (void)unused;
    for (int i = 0; i < 12; i++) {
        layer_shape as = {.batch = 1, .weights = EM_BF16, .cache = EM_BF16};
        as.tokens = 16 + draw(300);
        as.width = 8 * (1 + draw(80));
        as.kv_heads = 1 + draw(3);
        as.heads = as.kv_heads * (1 + draw(3));
        as.head = draw(2) ? 64 * (1 + draw(2)) : 8 * (1 + draw(16));
        as.inner = 8 * (1 + draw(120));
        as.place = draw(2) * draw(200);
        as.capacity = as.place + as.tokens + draw(50);
        as.window = draw(3) ? 0 : 1 + draw(200);
        as.norms = draw(2);
        as.turned = draw(4) != 0;
        check_layer(&as);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_models_have_them),
                                       cmocka_unit_test(test_random_shapes)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
