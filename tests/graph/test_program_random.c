/*
 * Random programs (support/random_graph.h): a native replay has the bits of eager, each time; one, two and five threads
 * give the same bits; and where the ops let small differences stay small, eager stays close to ref, and the fuse lane
 * to eager. A program that fails is cut down and printed. EM_TEST_PROGRAMS says how many, 200 unless told.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ir.h>
#include <emily/ops.h>

#include "graph/support/random_graph.h"
#include "harness/expect.h"
#include "harness/rng.h"

#define FUSE_ABS 1e-4

static float data[3][42]; /* two inputs and the captured constant */
static const em_spec specs[] = {{EM_F32, {2, {5, 7}}}, {EM_F32, {2, {7, 6}}}};

static void print_line(const char *line, void *user)
{
    (void)user;
    print_error("%s\n", line);
}

static bool same_bits(em_array *a, em_array *b)
{
    size_t bytes = em_array_bytes(a);
    return bytes == em_array_bytes(b) && (!bytes || memcmp(em_array_data(a), em_array_data(b), bytes) == 0);
}

static bool close_enough(em_array *a, em_array *b)
{
    if (em_array_bytes(a) != em_array_bytes(b) || em_array_dtype(a) != EM_F32)
        return em_array_bytes(a) == em_array_bytes(b);
    const float *x = em_array_data(a), *y = em_array_data(b);
    for (size_t i = 0; i < em_array_size(a); i++)
        if (!(fabsf(x[i] - y[i]) <= (float)FUSE_ABS) && !(isnan(x[i]) && isnan(y[i])))
            return false;
    return true;
}

/* NULL when the program is right in the lane, else what is wrong. `print`: the program, too. */
static const char *check_lane(random_graph *g, em_array *const *in, em_array *const *eager, em_lane lane, bool print)
{
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane, .keep_ir = print};
    em_array *got[GRAPH_OUTPUTS] = {0};
    const char *wrong = NULL;
    em_program *program = em_compile(random_graph_trace, g, specs, 2, GRAPH_OUTPUTS, &options);
    if (!program)
        return em_last_error();
    if (print)
        em_program_print(program, EM_PRINT_TEXT, print_line, NULL);
    for (int time = 0; time < 2 && !wrong; time++) {
        if (em_run(program, in, got) != EM_OK)
            wrong = em_last_error();
        for (int i = 0; i < GRAPH_OUTPUTS && !wrong; i++)
            if (lane == EM_NATIVE ? !same_bits(eager[i], got[i]) : g->smooth && !close_enough(eager[i], got[i]))
                wrong = lane == EM_NATIVE ? "native has other bits than eager" : "fuse is far from eager";
        for (int i = 0; i < GRAPH_OUTPUTS; i++)
            em_array_release(&got[i]);
    }
    em_program_free(program);
    return wrong;
}

/* The same for eager itself with other numbers of threads. */
static const char *check_threads(random_graph *g, em_array *const *in, em_array *const *eager)
{
    static const int counts[] = {1, 2, 5};
    em_device *device = em_device_default();
    const char *wrong = NULL;
    for (int i = 0; i < 3 && !wrong; i++) {
        em_array *again[GRAPH_OUTPUTS];
        EXPECT_OK(em_device_set_threads(device, counts[i]));
        em_scope *s = em_scope_new(device);
        if (random_graph_trace(s, in, again, g) != EM_OK)
            wrong = em_last_error();
        for (int k = 0; k < GRAPH_OUTPUTS && !wrong; k++)
            if (em_array_eval(again[k]) != EM_OK || !same_bits(eager[k], again[k]))
                wrong = "another number of threads gives other bits";
        em_scope_free(s);
    }
    EXPECT_OK(em_device_set_threads(device, 0));
    return wrong;
}

/* Eager itself where ref can say what is right. */
static const char *check_ref(random_graph *g, em_array *const *eager)
{
    em_scope *s = em_scope_new(em_device_find("ref"));
    em_array *in[] = {em_constant_f32(s, data[0], em_shape(5, 7)), em_constant_f32(s, data[1], em_shape(7, 6))};
    em_array *want[GRAPH_OUTPUTS], *constant = g->constant;
    g->constant = em_transpose(s, em_constant_f32(s, data[2], em_shape(6, 7)), EM_ALL_AXES);
    const char *wrong = random_graph_trace(s, in, want, g) == EM_OK ? NULL : "ref refuses the program";
    for (int i = 0; i < GRAPH_OUTPUTS && !wrong; i++)
        if (em_array_eval(want[i]) != EM_OK || !close_enough(want[i], eager[i]))
            wrong = "eager is far from ref";
    g->constant = constant;
    em_scope_free(s);
    return wrong;
}

static const char *check(random_graph *g, bool threads, bool print)
{
    rng r = {g->seed * 977 + 1};
    for (int i = 0; i < 3; i++)
        rng_fill(&r, EM_F32, data[i], 42);
    em_scope *s = em_scope_new(NULL);
    em_array *in[] = {em_constant_f32(s, data[0], em_shape(5, 7)), em_constant_f32(s, data[1], em_shape(7, 6))};
    em_array *eager[GRAPH_OUTPUTS];
    g->constant = em_transpose(s, em_constant_f32(s, data[2], em_shape(6, 7)), EM_ALL_AXES);
    if (default_has_own_memory())
        em_array_data(g->constant); /* reading lays it out anew, and a GPU's order of sums follows the layout */
    const char *wrong = random_graph_trace(s, in, eager, g) == EM_OK ? NULL : em_scope_error(s);
    for (int i = 0; i < GRAPH_OUTPUTS && !wrong; i++)
        wrong = em_array_eval(eager[i]) == EM_OK ? NULL : em_last_error();
    for (int lane = EM_NATIVE; lane <= EM_FUSE && !wrong; lane++)
        wrong = check_lane(g, in, eager, (em_lane)lane, print);
    if (!wrong && threads)
        wrong = check_threads(g, in, eager);
    if (!wrong && g->smooth)
        wrong = check_ref(g, eager);
    static char kept[512]; /* the scope's text dies with it */
    if (wrong)
        snprintf(kept, sizeof kept, "%s", wrong);
    em_scope_free(s);
    return wrong ? kept : NULL;
}

/* Switches off every step without which the program still fails, and prints what is left. */
static void report(random_graph *g, bool threads)
{
    for (int i = g->steps; i-- > 0;) {
        g->off[i] = true;
        g->off[i] = check(g, threads, false) != NULL;
    }
    const char *wrong = check(g, threads, true);
    fail_msg("seed %llu, %d steps, %s: %s", (unsigned long long)g->seed, g->steps, g->smooth ? "smooth" : "all",
             wrong ? wrong : "right when looked at again");
}

static void test_lanes_and_threads_agree(void **state)
{
    (void)state;
    const char *wanted = getenv("EM_TEST_PROGRAMS");
    unsigned long programs = wanted ? strtoul(wanted, NULL, 10) : 200;
    for (unsigned long seed = 1; seed <= programs; seed++) {
        rng r = {seed};
        random_graph g = {
            .seed = seed, .steps = 1 + (int)rng_below(&r, seed % 8 ? 60 : GRAPH_STEPS), .smooth = seed % 4 == 0};
        bool threads = seed % 10 == 0;
        if (check(&g, threads, false))
            report(&g, threads);
    }
    print_message("%lu programs\n", programs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lanes_and_threads_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
