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

static void run_level(const em__call *call, em__cpu_level level, size_t n)
{
    em__conv_job job;
    assert_true(em__conv_describe(call, &job));
    job.kernels = em__conv_kernels_get(level);
    job.gemm = em__gemm_kernels_get(level);
    job.input = operands[0];
    job.weights = operands[1];
    for (int i = 0; i < 3; i++) {
        const size_t memory = em__conv_memory(&job);
        void *scratch = em__block_alloc(memory);
        job.pool = pools[i];
        EXPECT_OK(em__pool_reserve(pools[i], em__conv_worker_memory(&job)));
        memset(got, 0xa5, (n + 16) * sizeof *got);
        job.out = got;
        em__conv_run(&job, scratch);
        em__block_free(scratch, memory);
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

static void run_shape(rng *r, const shape *s)
{
    em__call call;
    em__tensor in[2];
    int64_t ints[17];
    describe(s, &call, in, ints);
    const em__spec *specs[] = {&in[0].spec, &in[1].spec};
    const em__apply apply = {.op = EM__OP_CONV, .n_in = 2, .in = specs, .n_ints = call.n_ints, .ints = ints};
    if (em__op_infer(&apply, &call.out.spec) != EM_OK)
        return; /* a kernel larger than what is left of the input */
    const size_t n = (size_t)em__spec_size(&call.out.spec);
    assert_true(n < MOST && em__spec_size(specs[0]) < MOST && em__spec_size(specs[1]) < MOST);
    for (int i = 0; i < 2; i++) {
        em__tensor_contiguous(&in[i]);
        rng_fill(r, EM_F32, operands[i], (size_t)em__spec_size(specs[i]));
    }
    call.out.data = want;
    em__tensor_contiguous(&call.out);
    EXPECT_OK(em__ref_kernel(EM__OP_CONV)(NULL, &call));
    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
        run_level(&call, (em__cpu_level)level, n);
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

/* Few pixels go another way: an image by itself has the bits that it has among others. */
static void test_images(void **state)
{
    (void)state;
    enum { CHANNELS = 60, OUTPUTS = 40, PIXELS = 49, IMAGES = 8 };
    rng r = {43};
    rng_fill(&r, EM_F32, operands[0], IMAGES * CHANNELS * PIXELS);
    rng_fill(&r, EM_F32, operands[1], OUTPUTS * CHANNELS * 9);
    const shape all = {IMAGES, CHANNELS, OUTPUTS, 1, false, 2, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
    for (int64_t i = -1; i < IMAGES; i++) {
        shape s = all;
        em__call call;
        em__tensor in[2];
        int64_t ints[17];
        s.n = i < 0 ? IMAGES : 1;
        describe(&s, &call, in, ints);
        call.out.spec = (em__spec){EM_F32, 4, {s.n, OUTPUTS, 7, 7}};
        em__conv_job job;
        assert_true(em__conv_describe(&call, &job));
        assert_int_equal(em__conv_is_turned(&job, s.n * PIXELS), i >= 0);
        job.kernels = em__conv_kernels_get(levels_best());
        job.gemm = em__gemm_kernels_get(levels_best());
        job.pool = pools[1];
        job.input = operands[0] + (i < 0 ? 0 : i) * CHANNELS * PIXELS;
        job.weights = operands[1];
        job.out = i < 0 ? want : got;
        const size_t memory = em__conv_memory(&job);
        void *scratch = em__block_alloc(memory);
        EXPECT_OK(em__pool_reserve(pools[1], em__conv_worker_memory(&job)));
        em__conv_run(&job, scratch);
        em__block_free(scratch, memory);
        if (i >= 0)
            EXPECT_SAME_BITS(EM_F32, got, want + i * OUTPUTS * PIXELS, OUTPUTS * PIXELS);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_special),
                                       cmocka_unit_test(test_images)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
