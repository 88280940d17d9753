/*
 * em_compile_options.half_products: in the fuse lane, products of at least 64 rows of f32 with bf16 weights are those
 * of x rounded to bf16, or exact where the processor does not multiply bf16. Fewer rows, other weights and the native
 * lane have the bits that they have without.
 */
#include <math.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "core/cpu.h"
#include "harness/expect.h"
#include "harness/rng.h"

enum { K = 96, N = 50, MOST_ROWS = 70 };

typedef struct setting {
    em_dtype dtype; /* of the weights */
    float weights[2 * N * K], bias[N], x[MOST_ROWS * K];
} setting;

static em_array *weight(em_scope *s, const setting *at, int i)
{
    return em_cast(s, em_constant(s, EM_F32, at->weights + i * N * K, em_shape(N, K)), at->dtype);
}

/* Two products of one x, one with an epilogue, and one of an x that lies turned. */
static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const setting *at = user;
    em_array *w[2];
    for (int i = 0; i < 2; i++) {
        w[i] = weight(s, at, i);
        EXPECT_OK(em_eval(s, w[i]));
        w[i] = em_constant(s, at->dtype, em_array_data(w[i]), em_shape(N, K));
    }
    em_array *y[3] = {
        em_silu(s, em_linear(s, in[0], w[0], em_constant(s, EM_F32, at->bias, em_shape(N)))),
        em_linear(s, in[0], w[1], NULL),
        em_linear(s, em_transpose(s, in[1], EM_AXES(1, 0)), w[0], NULL),
    };
    out[0] = em_concatenate(s, y, 3, -1);
    return em_scope_status(s);
}

typedef struct lane_case {
    int64_t rows;
    em_lane lane;
    bool half;
} lane_case;

static void count_products(const char *line, void *user)
{
    int *counts = user;
    counts[0] += strstr(line, "fused_linear") != NULL;
    counts[1] += strstr(line, "silu") != NULL && strstr(line, "fused_linear") != NULL;
}

/* Row-major f32 [rows, 3 N] into `to`. */
static void run(const setting *at, const lane_case *c, const float *x, float *to)
{
    static float turned[K * MOST_ROWS];
    const em_spec specs[] = {{EM_F32, em_shape(c->rows, K)}, {EM_F32, em_shape(K, c->rows)}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = c->lane, .half_products = c->half};
    em_program *program = em_compile(trace, (void *)at, specs, 2, 1, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    int counts[2] = {0};
    em_program_describe(program, count_products, counts);
    assert_int_equal(counts[0], c->lane == EM_FUSE ? 2 : 0); /* the third reads what was transposed, as a product */
    assert_int_equal(counts[1], c->lane == EM_FUSE ? 1 : 0);
    for (int64_t i = 0; i < c->rows * K; i++)
        turned[i % K * c->rows + i / K] = x[i];
    EXPECT_OK(em_run_raw(program, (const void *const[]){x, turned}, (void *const[]){to}));
    em_program_free(program);
}

static void fill(setting *at, em_dtype dtype)
{
    rng r = {4};
    at->dtype = dtype;
    rng_fill(&r, EM_F32, at->weights, sizeof at->weights / sizeof(float));
    rng_fill(&r, EM_F32, at->bias, N);
    rng_fill(&r, EM_F32, at->x, sizeof at->x / sizeof(float));
}

static bool rounds(void)
{
    const em__cpu_info *cpu = em__cpu_get();
    return cpu->level >= EM__CPU_AVX512 && cpu->avx512_bf16 && !strcmp(em_device_name(em_device_default()), "cpu");
}

static void test_rounded(void **state)
{
    static setting at;
    static float got[MOST_ROWS * 3 * N], want[MOST_ROWS * 3 * N], x[MOST_ROWS * K];
    (void)state;
    fill(&at, EM_BF16);
    em_scope *s = em_scope_new(NULL);
    em_array *halves = em_cast(s, em_constant(s, EM_F32, at.x, em_shape(MOST_ROWS, K)), EM_BF16);
    em_array *rounded = em_cast(s, halves, EM_F32);
    EXPECT_OK(em_eval(s, rounded));
    memcpy(x, em_array_data(rounded), sizeof x);
    em_scope_free(s);
    for (int64_t rows = 64; rows <= MOST_ROWS; rows += 3) {
        run(&at, &(lane_case){rows, EM_FUSE, true}, at.x, got);
        run(&at, &(lane_case){rows, EM_NATIVE, false}, rounds() ? x : at.x, want);
        for (int64_t i = 0; i < rows * 3 * N; i++)
            if (!(fabsf(got[i] - want[i]) <= 1e-4f))
                fail_msg("%d rows: element %d is %.9g, expected %.9g", (int)rows, (int)i, got[i], want[i]);
    }
}

static void expect_unchanged(const setting *at, int64_t rows, em_lane lane)
{
    static float got[MOST_ROWS * 3 * N], want[MOST_ROWS * 3 * N];
    run(at, &(lane_case){rows, lane, true}, at->x, got);
    run(at, &(lane_case){rows, lane, false}, at->x, want);
    EXPECT_SAME_BITS(EM_F32, got, want, (size_t)(rows * 3 * N));
}

static void test_unchanged(void **state)
{
    static setting at;
    (void)state;
    fill(&at, EM_BF16);
    expect_unchanged(&at, 63, EM_FUSE);
    expect_unchanged(&at, 1, EM_FUSE);
    expect_unchanged(&at, MOST_ROWS, EM_NATIVE);
    fill(&at, EM_F16);
    expect_unchanged(&at, MOST_ROWS, EM_FUSE);
    fill(&at, EM_F32);
    expect_unchanged(&at, MOST_ROWS, EM_FUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounded), cmocka_unit_test(test_unchanged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
