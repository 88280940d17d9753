/*
 * Loops of the fuse lane: how often a body runs depends on data, its body is a random program (support/random_graph.h)
 * and chains of primitives that the lane merges. What floats become stays within 1e-4 of eager, native has eager's
 * bits, and work on integers is exact. A loop that is wrong names its seed.
 */
#include <math.h>
#include <string.h>

#include <emily/control.h>
#include <emily/ops.h>

#include "graph/support/random_graph.h"
#include "harness/expect.h"
#include "harness/rng.h"

#define FUSE_ABS 1e-4f
#define STILL 1e-5 /* a loop that waits for this may turn once more in one lane than in another */
#define MOST_TURNS 50

enum { PROGRAMS = 60, ROWS = 5, COLUMNS = 7, STATES = 3 };

typedef struct loop {
    random_graph graph;
    bool counted; /* as often as the input says; else until the state is still */
    em_array *other;
} loop;

static em_array *f(em_scope *s, double x)
{
    return em_scalar(s, EM_F32, x);
}

/* States: the turn, or what is left of them; x; how far it moved. */
static em_status goes_on(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const loop *l = user;
    em_array *more = em_greater(s, in[0], em_scalar(s, EM_S32, 0));
    out[0] = l->counted ? more : em_logical_and(s, more, em_greater(s, in[2], f(s, STILL)));
    return em_scope_status(s);
}

/* gelu by tanh and a softmax, in primitives. */
static em_array *written(em_scope *s, em_array *x)
{
    em_array *cube = em_mul(s, em_mul(s, x, x), x);
    em_array *inner = em_mul(s, em_add(s, x, em_mul(s, cube, f(s, 0.044715))), f(s, 0.7978845608));
    em_array *gelu = em_mul(s, em_mul(s, x, f(s, 0.5)), em_add(s, em_tanh(s, inner), f(s, 1)));
    em_array *e = em_exp(s, em_sub(s, x, em_max(s, x, EM_AXES(-1), true)));
    return em_add(s, gelu, em_div(s, e, em_sum(s, e, EM_AXES(-1), true)));
}

static em_status turn(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    loop *l = user;
    em_array *values[GRAPH_OUTPUTS], *x = in[1], *pull = f(s, 0);
    em_status status = random_graph_trace(s, (em_array *[]){x, l->other}, values, &l->graph);
    for (int i = 0; i < GRAPH_OUTPUTS && status == EM_OK; i++)
        pull = em_add(s, pull, em_mean(s, em_tanh(s, em_cast(s, values[i], EM_F32)), EM_ALL_AXES, false));
    em_array *next = em_mul(s, em_tanh(s, em_add(s, written(s, x), pull)), f(s, 0.4));
    out[0] = em_sub(s, in[0], em_scalar(s, EM_S32, 1));
    out[1] = next;
    out[2] = em_max(s, em_abs(s, em_sub(s, next, x)), EM_ALL_AXES, false);
    return status == EM_OK ? em_scope_status(s) : status;
}

/* The greatest element, which is exact, says how many turns there are. */
static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    loop *l = user;
    l->other = in[1];
    em_array *most = em_scalar(s, EM_S32, MOST_TURNS);
    if (l->counted)
        most = em_cast(s, em_mul(s, em_max(s, em_abs(s, in[0]), EM_ALL_AXES, false), f(s, 9)), EM_S32);
    return em_while(s, goes_on, turn, l, (em_array *[]){most, em_mul(s, in[0], f(s, 1)), f(s, 1)}, STATES, out);
}

static em_status step_whole(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *x = in[1], *seven = em_scalar(s, EM_S32, 7);
    em_array *mixed = em_bitwise_xor(s, em_add(s, em_mul(s, x, seven), in[0]), em_cumulative_sum(s, x, 1, false));
    out[0] = em_sub(s, in[0], em_scalar(s, EM_S32, 1));
    out[1] = em_sub(s, mixed, em_max(s, em_remainder(s, mixed, seven), EM_AXES(-1), true));
    return em_scope_status(s);
}

static em_status whole(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = em_cast(s, em_mul(s, in[0], f(s, 1000)), EM_S32);
    em_array *most = em_remainder(s, em_max(s, em_abs(s, x), EM_ALL_AXES, false), em_scalar(s, EM_S32, 19));
    return em_while(s, goes_on, step_whole, user, (em_array *[]){most, x}, 2, out);
}

static void expect_near(const loop *l, em_array *const *want, em_array *const *got)
{
    const float *x = em_array_data(want[1]), *y = em_array_data(got[1]);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        if (!(fabsf(x[i] - y[i]) <= FUSE_ABS))
            fail_msg("seed %d, element %d: %.9g in the fuse lane, %.9g eager", (int)l->graph.seed, i, y[i], x[i]);
}

static void expect_same(const loop *l, em_array *const *want, em_array *const *got, int n)
{
    for (int i = 0; i < n; i++)
        if (memcmp(em_array_data(want[i]), em_array_data(got[i]), em_array_bytes(want[i])) != 0)
            fail_msg("seed %d: state %d has other bits than eager's", (int)l->graph.seed, i);
}

/* Eager and both lanes; how many turns were left to eager. */
static int compare(em_trace_fn fn, loop *l, int n)
{
    static const em_spec specs[] = {{EM_F32, {2, {ROWS, COLUMNS}}}, {EM_F32, {2, {7, 6}}}};
    float data[3][42];
    rng r = {l->graph.seed * 31 + 5};
    em_scope *s = em_scope_new(NULL);
    for (int i = 0; i < 3; i++)
        rng_fill(&r, EM_F32, data[i], 42);
    em_array *in[] = {em_constant_f32(s, data[0], em_shape(ROWS, COLUMNS)),
                      em_constant_f32(s, data[1], em_shape(7, 6))};
    l->graph.constant = em_transpose(s, em_constant_f32(s, data[2], em_shape(6, 7)), EM_ALL_AXES);
    em_array *want[STATES] = {0}, *got[STATES] = {0};
    EXPECT_OK(fn(s, in, want, l));
    for (int i = 0; i < n; i++)
        EXPECT_OK(em_array_eval(want[i]));
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
        em_program *program = em_compile(fn, l, specs, 2, (size_t)n, &options);
        if (!program)
            fail_msg("seed %d: %s", (int)l->graph.seed, em_last_error());
        EXPECT_OK(em_run(program, in, got));
        if (lane == EM_FUSE && fn == trace)
            expect_near(l, want, got);
        else
            expect_same(l, want, got, n);
        for (int i = 0; i < n; i++)
            em_array_release(&got[i]);
        em_program_free(program);
    }
    const int left = *(const int32_t *)em_array_data(want[0]);
    em_scope_free(s);
    return left;
}

static loop loop_of(int seed, bool counted)
{
    return (loop){.graph = {.seed = (uint64_t)seed, .steps = 1 + seed % 12, .smooth = true}, .counted = counted};
}

static void test_floats(void **state)
{
    (void)state;
    int stopped = 0;
    for (int seed = 1; seed <= PROGRAMS; seed++) {
        loop counted = loop_of(seed, true), still = loop_of(seed, false);
        assert_true(compare(trace, &counted, STATES) <= 0);
        stopped += compare(trace, &still, STATES) > 0;
    }
    assert_true(stopped > PROGRAMS / 2); /* by what they computed */
}

static void test_integers(void **state)
{
    (void)state;
    for (int seed = 1; seed <= PROGRAMS; seed++) {
        loop l = loop_of(seed, true);
        compare(whole, &l, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_floats), cmocka_unit_test(test_integers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
