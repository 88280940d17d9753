/*
 * Layers of a decoder for one token: the fuse lane, which merges its calls on the cuda device, against the native
 * lane, which runs them one by one: result and caches. Weights bf16, then 4-bit, of several shapes; a second run must
 * have the same bits.
 */
#include "harness/expect.h"
#include "harness/sample.h"

#include "support/layer.h"

static const layer_shape small = {1, 1, 512, 8, 4, 64, 1024, 700, 0, 0, true, true, EM_BF16, EM_BF16, 0, 500};
static const layer_shape deep = {/* a row is several stages; odd rows at the end */
                                 1, 1, 1536, 8, 2, 128, 9728, 700, 0, 0, true, true, EM_BF16, EM_BF16, 0, 501};
static const layer_shape uneven = {1, 1, 1024, 4, 1, 128, 2048 + 512, 700, 0, 0, true, true, EM_BF16, EM_BF16, 0, 523};

static const layer_shape long_rows = {/* more of x than a warp stages at once */
                                      1, 1, 512, 8, 4, 64, 16384, 700, 0, 0, true, true, EM_BF16, EM_BF16, 0, 541};

static em_device *gpu;
static rng numbers = {2463534242u};

static void check_layer(const layer_shape *shape, int group, int place)
{
    static const layer_way native = {EM_NATIVE, false, false}, fused = {EM_FUSE, false, false};
    layer_shape as = *shape;
    if (!sample_takes())
        return;
    as.group = group;
    as.place = place;
    const layer_errors e = layer_compare(gpu, &numbers, &as, &native, &fused);
    print_message("width %d, inner %d, group %d, behind %d: caches and result %.1e, result %.1e\n", as.width, as.inner,
                  group, place, e.all, e.result);
    assert_true(e.all < 1e-4 && e.result < 1e-4); /* a cache rounds its rows: one may fall the other way */
}

static void test_layer_of_bf16(void **unused)
{
    (void)unused;
    check_layer(&small, 0, 70);
    check_layer(&small, 0, 601);
    check_layer(&deep, 0, 70);
    check_layer(&uneven, 0, 5);
}

static void test_layer_of_4_bits(void **unused)
{
    (void)unused;
    check_layer(&small, 64, 70);
    check_layer(&small, 64, 601);
    check_layer(&deep, 64, 70);
    check_layer(&uneven, 64, 5);
    check_layer(&long_rows, 64, 70);
}

static void test_layer_of_other_groups(void **unused)
{
    (void)unused;
    check_layer(&small, 32, 70);
    check_layer(&small, 128, 70);
}

/* As many jobs as make blocks take up what they have seen once more. */
static void test_layers(void **unused)
{
    (void)unused;
    layer_shape many = small;
    many.layers = 5;
    check_layer(&many, 0, 70);
    check_layer(&many, 64, 601);
}

/* What can't be read by the kernel of the whole step, which was chosen before it could be known. */
static void test_input_apart(void **unused)
{
    (void)unused;
    layer_shape apart = small;
    apart.apart = true;
    check_layer(&apart, 0, 70);
    check_layer(&apart, 64, 70);
    apart.layers = 2;
    check_layer(&apart, 0, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layer_of_bf16), cmocka_unit_test(test_layer_of_4_bits),
                                       cmocka_unit_test(test_layer_of_other_groups), cmocka_unit_test(test_layers),
                                       cmocka_unit_test(test_input_apart)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
