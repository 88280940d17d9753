/*
 * Convolutions in f32: every level this machine runs against ref, on random shapes, strides, pads, dilations and
 * groups; the same bits on one, two and three threads, and at every level with fused multiply-adds.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "core/block.h"
#include "device/cpu/conv.h"

#define MOST (1 << 19)

static em__pool *pools[3];
static float *operands[2], *want, *first, *got;

typedef struct shape {
    int64_t n, channels, outputs, groups; /* channels and outputs of a group */
    bool batch_groups;
    int spatial;
    int64_t size[3], taps[3], strides[3], low[3], high[3], input_dilation[3], kernel_dilation[3];
} shape;

static void describe(const shape *s, em__call *call, em__tensor *in, int64_t *ints)
{
    const int n = s->spatial;
    in[0] = (em__tensor){.data = operands[0], .spec = {EM_F32, n + 2, {s->n, s->channels}}};
    in[1] = (em__tensor){.data = operands[1], .spec = {EM_F32, n + 2, {s->outputs * s->groups, s->channels}}};
    in[0].spec.dims[s->batch_groups ? 0 : 1] *= s->groups;
    for (int i = 0; i < n; i++) {
        in[0].spec.dims[i + 2] = s->size[i];
        in[1].spec.dims[i + 2] = s->taps[i];
        ints[i] = s->strides[i];
        ints[n + i] = s->low[i];
        ints[2 * n + i] = s->high[i];
        ints[3 * n + i] = s->input_dilation[i];
        ints[4 * n + i] = s->kernel_dilation[i];
    }
    ints[5 * n] = s->batch_groups ? 1 : s->groups;
    ints[5 * n + 1] = s->batch_groups ? s->groups : 1;
    *call = (em__call){.op = EM__OP_CONV, .n_in = 2, .in = in, .ints = ints, .n_ints = 5 * n + 2};
}

static em__conv_job make_job(const em__call *call, em__cpu_level level)
{
    em__conv_job job;
    assert_true(em__conv_describe(call, &job));
    job.kernels = em__conv_kernels_get(level);
    job.gemm = em__gemm_kernels_get(level);
    job.input = operands[0];
    job.weights = operands[1];
    return job;
}

static void run_job(em__conv_job job, em__pool *pool, float *out)
{
    const size_t memory = em__conv_memory(&job);
    void *scratch = em__block_alloc(memory);
    job.pool = pool;
    EXPECT_OK(em__pool_reserve(pool, em__conv_worker_memory(&job)));
    job.out = out;
    em__conv_run(&job, scratch);
    em__block_free(scratch, memory);
}

static void run_level(const em__call *call, em__cpu_level level, size_t n)
{
    const em__conv_job job = make_job(call, level);
    for (int i = 0; i < 3; i++) {
        memset(got, 0xa5, (n + 16) * sizeof *got);
        run_job(job, pools[i], got);
        if (i == 0 && level <= EM__CPU_AVX2)
            memcpy(first, got, n * sizeof *got);
        if (memcmp(got, first, n * sizeof *got) != 0)
            fail_msg("%s: other bits on %d threads or than at level avx2", em__cpu_level_name(level), i + 1);
        assert_int_equal(((unsigned char *)(got + n))[0], 0xa5);
    }
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f * (float)(4 + job.depth)))
            fail_msg("%s: element %zu is %.9g, ref says %.9g", em__cpu_level_name(level), i, (double)got[i],
                     (double)want[i]);
}

/* Random operands for the shape; false when it has no result. */
static bool fill_shape(rng *r, const shape *s, em__call *call, em__tensor *in, int64_t *ints)
{
    describe(s, call, in, ints);
    const em__spec *specs[] = {&in[0].spec, &in[1].spec};
    const em__apply apply = {.op = EM__OP_CONV, .n_in = 2, .in = specs, .n_ints = call->n_ints, .ints = ints};
    if (em__op_infer(&apply, &call->out.spec) != EM_OK)
        return false; /* a kernel larger than what is left of the input */
    assert_true(em__spec_size(&call->out.spec) < MOST && em__spec_size(specs[0]) < MOST &&
                em__spec_size(specs[1]) < MOST);
    for (int i = 0; i < 2; i++) {
        em__tensor_contiguous(&in[i]);
        rng_fill(r, EM_F32, operands[i], (size_t)em__spec_size(specs[i]));
    }
    return true;
}

/* `want` is ref's: sums in f64, rounded once. Returns its elements. */
static size_t run_shape(rng *r, const shape *s)
{
    em__call call;
    em__tensor in[2];
    int64_t ints[17];
    if (!fill_shape(r, s, &call, in, ints))
        return 0;
    const size_t n = (size_t)em__spec_size(&call.out.spec);
    call.out.data = want;
    em__tensor_contiguous(&call.out);
    EXPECT_OK(em__ref_kernel(EM__OP_CONV)(NULL, &call));
    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
        run_level(&call, (em__cpu_level)level, n);
    return n;
}

static int64_t pick(rng *r, int64_t least, int64_t most)
{
    return least + (int64_t)rng_below(r, (size_t)(most - least + 1));
}

static void test_random(void **state)
{
    (void)state;
    rng r = {41};
    for (int trial = 0; trial < 150; trial++) {
        shape s = {.n = pick(&r, 1, 3), .channels = pick(&r, 1, 5), .outputs = pick(&r, 1, 20)};
        s.groups = rng_below(&r, 3) ? 1 : pick(&r, 2, 3);
        s.batch_groups = rng_below(&r, 4) == 0;
        s.spatial = (int)pick(&r, 1, 3);
        for (int i = 0; i < s.spatial; i++) {
            s.size[i] = pick(&r, 1, s.spatial == 1 ? 100 : s.spatial == 2 ? 20 : 7);
            s.taps[i] = pick(&r, 1, s.spatial == 3 ? 3 : 5);
            s.strides[i] = rng_below(&r, 2) ? 1 : pick(&r, 2, 4);
            s.low[i] = pick(&r, -1, 3);
            s.high[i] = pick(&r, -1, 3);
            s.input_dilation[i] = rng_below(&r, 4) ? 1 : pick(&r, 2, 3);
            s.kernel_dilation[i] = rng_below(&r, 4) ? 1 : pick(&r, 2, 3);
        }
        run_shape(&r, &s);
    }
}

/* Deeper than a block, rows on the same cache lines, images smaller than a panel, several outputs of one channel. */
static void test_special(void **state)
{
    (void)state;
    rng r = {42};
    const shape shapes[] = {
        {1, 90, 16, 1, false, 2, {6, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {2, 1024, 9, 1, false, 2, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}},
        {5, 3, 30, 1, false, 2, {4, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {7, 4, 3, 2, false, 1, {5}, {2}, {1}, {0}, {0}, {1}, {1}},
        {2, 1, 3, 4, false, 2, {9, 70}, {3, 3}, {1, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {2, 1, 2, 1, false, 1, {300}, {130}, {1}, {0}, {0}, {1}, {1}},
        {1, 2, 250, 1, false, 2, {2, 20}, {2, 3}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}},
        /* few pixels: of one image, of several, of groups of channels and of images, of one axis */
        {1, 50, 70, 1, false, 2, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {1, 512, 40, 1, false, 2, {7, 7}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}},
        {3, 20, 33, 2, false, 2, {5, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {2, 16, 48, 2, true, 2, {9, 9}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {2, 130, 64, 1, false, 1, {1}, {1}, {1}, {0}, {0}, {1}, {1}},
        {1, 9, 96, 1, false, 1, {150}, {3}, {1}, {0}, {-10}, {1}, {1}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        run_shape(&r, &shapes[i]);
}

/* An image by itself has the bits that it has among others: few pixels go another way, as do three taps. */
static void expect_same_alone(const shape *all, bool winograd)
{
    rng r = {43};
    em__call call;
    em__tensor in[2];
    int64_t ints[17];
    assert_true(fill_shape(&r, all, &call, in, ints));
    const size_t size = (size_t)(em__spec_size(&call.out.spec) / all->n);
    run_job(make_job(&call, levels_best()), pools[1], want);
    for (int64_t i = 0; i < all->n; i++) {
        shape one = *all;
        one.n = 1;
        em__spec out = call.out.spec;
        out.dims[0] = one.n;
        describe(&one, &call, in, ints);
        call.out.spec = out;
        em__conv_job job = make_job(&call, levels_best());
        assert_int_equal(job.winograd, winograd);
        assert_true(winograd || em__conv_is_turned(&job, job.pixels));
        job.input += i * all->channels * all->size[0] * all->size[1];
        run_job(job, pools[1], got);
        EXPECT_SAME_BITS(EM_F32, got, want + (size_t)i * size, size);
    }
}

static void test_images(void **state)
{
    (void)state;
    expect_same_alone(&(shape){8, 60, 40, 1, false, 2, {7, 7}, {5, 5}, {1, 1}, {2, 2}, {2, 2}, {1, 1}, {1, 1}}, false);
    expect_same_alone(&(shape){8, 60, 40, 1, false, 2, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, true);
    expect_same_alone(&(shape){3, 40, 50, 1, false, 2, {25, 19}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, true);
}

/* The root of the mean square of x - want. */
static double error_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)want[i]) * ((double)x[i] - (double)want[i]);
    return sqrt(sum / (double)n);
}

/* Three taps over many channels: odd sizes, any padding, tails of channels and outputs; an error near a product's. */
static void test_winograd(void **state)
{
    (void)state;
    rng r = {44};
    int taken = 0;
    for (int trial = 0; trial < 16; trial++) {
        const int64_t stride = 1 + trial % 2;
        shape s = {.n = pick(&r, 1, 3), .channels = pick(&r, 32, 70), .outputs = pick(&r, 32, 70), .groups = 1};
        s.spatial = 1 + trial / 2 % 2;
        for (int i = 0; i < s.spatial; i++) {
            s.size[i] = s.spatial == 1 ? pick(&r, 225 * stride, 500) : pick(&r, 8 * stride, 12 * stride);
            s.taps[i] = 3;
            s.strides[i] = stride;
            s.low[i] = pick(&r, -1, 3);
            s.high[i] = pick(&r, -1, 3);
            s.input_dilation[i] = s.kernel_dilation[i] = 1;
        }
        if (trial % 8 == 6) { /* the other axis stands */
            s.taps[0] = s.strides[0] = 1;
            s.low[0] = s.high[0] = 0;
            s.size[1] = 70;
        }
        em__call call;
        em__tensor in[2];
        int64_t ints[17];
        const rng before = r;
        const size_t n = run_shape(&r, &s);
        r = before;
        assert_true(n > 0 && fill_shape(&r, &s, &call, in, ints));
        em__conv_job job = make_job(&call, levels_best());
        const bool winograd = job.winograd;
        run_job(job, pools[1], got);
        const double error = error_of(got, n);
        job.winograd = false;
        run_job(job, pools[1], got);
        if (winograd && !(error <= 3 * error_of(got, n)))
            fail_msg("trial %d: an error of %.3g, a product's is %.3g", trial, error, error_of(got, n));
        taken += winograd;
    }
    assert_true(taken >= 12);
}

/* Several waves of tiles, channels by blocks, rows of tiles that chunks and blocks cut: as products say. */
static void test_winograd_blocks(void **state)
{
    (void)state;
    rng r = {45};
    const shape shapes[] = {
        {1, 64, 32, 1, false, 2, {90, 90}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {2, 300, 40, 1, false, 2, {13, 21}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {1, 270, 33, 1, false, 2, {31, 29}, {3, 3}, {2, 2}, {0, 1}, {1, 0}, {1, 1}, {1, 1}},
        {1, 1100, 40, 1, false, 1, {300}, {3}, {1}, {1}, {1}, {1}, {1}},
        {2, 33, 70, 1, false, 1, {3001}, {3}, {2}, {1}, {1}, {1}, {1}},
        {1, 35, 34, 1, false, 2, {9, 700}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        em__call call;
        em__tensor in[2];
        int64_t ints[17];
        assert_true(fill_shape(&r, &shapes[i], &call, in, ints));
        em__conv_job job = make_job(&call, levels_best());
        assert_true(job.winograd);
        job.winograd = false;
        run_job(job, pools[1], want);
        for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
            run_level(&call, (em__cpu_level)level, (size_t)em__spec_size(&call.out.spec));
    }
}

/* An image with an infinity, a NaN or a sum that overflows has the bits of products; the others keep theirs. */
static void test_winograd_strange(void **state)
{
    (void)state;
    enum { CHANNELS = 40, SIZE = 14, IMAGE = CHANNELS * SIZE * SIZE, RESULT = 36 * SIZE * SIZE };
    const float strange[] = {INFINITY, -INFINITY, NAN, 3e38f};
    const shape s = {3, CHANNELS, 36, 1, false, 2, {SIZE, SIZE}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
    for (int i = 0; i < 4; i++) {
        rng r = {46};
        em__call call;
        em__tensor in[2];
        int64_t ints[17];
        assert_true(fill_shape(&r, &s, &call, in, ints));
        em__conv_job job = make_job(&call, levels_best());
        assert_true(job.winograd);
        run_job(job, pools[1], first);
        operands[0][IMAGE + 5 * SIZE * SIZE + 3 * SIZE + 3] = strange[i];
        operands[0][IMAGE + 5 * SIZE * SIZE + 3 * SIZE + 4] = strange[i];
        run_job(job, pools[1], got);
        job.winograd = false;
        run_job(job, pools[1], want);
        EXPECT_SAME_BITS(EM_F32, got, first, RESULT);
        EXPECT_SAME_BITS(EM_F32, got + RESULT, want + RESULT, RESULT);
        EXPECT_SAME_BITS(EM_F32, got + 2 * RESULT, first + 2 * RESULT, RESULT);
        assert_true(isfinite(got[RESULT + 6 * SIZE + 6]));
    }
}

static int set_up(void **state)
{
    (void)state;
    float **const all[] = {&operands[0], &operands[1], &want, &first, &got};
    for (int i = 0; i < 5; i++) {
        *all[i] = malloc((MOST + 16) * sizeof **all[i]);
        assert_non_null(*all[i]);
    }
    for (int i = 0; i < 3; i++)
        EXPECT_OK(em__pool_new(i + 1, &pools[i]));
    levels_report();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    float *const all[] = {operands[0], operands[1], want, first, got};
    for (int i = 0; i < 5; i++)
        free(all[i]);
    for (int i = 0; i < 3; i++)
        em__pool_free(pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),          cmocka_unit_test(test_special),
                                       cmocka_unit_test(test_images),          cmocka_unit_test(test_winograd),
                                       cmocka_unit_test(test_winograd_blocks), cmocka_unit_test(test_winograd_strange)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
