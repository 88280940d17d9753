/*
 * One program with a convolution, a singular value decomposition, sorts, a loop and a branch, built, run eagerly and as
 * a program: each of its allocations fails once, which is an error, or is done without, and nothing is left behind.
 */
#include <string.h>

#include <emily/control.h>
#include <emily/linalg.h>
#include <emily/ops.h>
#include <emily/order.h>
#include <emily/program.h>

#include "core/error.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

static float image[2 * 3 * 8 * 8], kernel[4 * 3 * 3 * 3];

static em_status below_three(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, in[0], em_scalar(s, EM_S32, 3));
    return em_scope_status(s);
}

static em_status sort_on(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_add(s, in[0], em_scalar(s, EM_S32, 1));
    out[1] = em_tanh(s, em_sort(s, in[1], -1, false));
    return em_scope_status(s);
}

static em_status sorted(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    out[0] = em_sort(s, user, -1, true);
    return em_scope_status(s);
}

static em_status negated(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    out[0] = em_neg(s, user);
    return em_scope_status(s);
}

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *u, *values, *vt, *state[2];
    EM__TRY(em_svd(s, em_conv(s, in[0], user, NULL), false, &u, &values, &vt));
    em_array *left = em_sum(s, em_abs(s, u), EM_AXES(-1), false), *right = em_sum(s, em_abs(s, vt), EM_AXES(-1), false);
    em_array *x = em_add(s, em_sort(s, em_add(s, left, right), -1, false), values);
    EM__TRY(em_while(s, below_three, sort_on, NULL, (em_array *[]){em_scalar(s, EM_S32, 0), x}, 2, state));
    em_array *positive = em_greater(s, em_sum(s, state[1], EM_ALL_AXES, false), em_scalar(s, EM_F32, 0));
    return em_cond(s, positive, sorted, negated, state[1], out, 1);
}

/* Eagerly into *eager, as a program into *replayed. */
static em_status run_both(em_scope *s, em_lane lane, em_array **eager, em_array **replayed, em_program **program)
{
    static const em_spec spec = {EM_F32, {4, {2, 3, 8, 8}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_array *in = em_constant_f32(s, image, em_shape(2, 3, 8, 8)),
             *k = em_constant_f32(s, kernel, em_shape(4, 3, 3, 3));
    EM__TRY(em_scope_status(s));
    EM__TRY(trace(s, &in, eager, k));
    EM__TRY(em_eval(s, *eager));
    *program = em_compile(trace, k, &spec, 1, 1, &options);
    return *program ? em_run(*program, &in, replayed) : em_last_status();
}

static em_status run(void *context)
{
    const em_lane lane = *(em_lane *)context;
    em_scope *s = em_scope_new(NULL);
    em_array *eager = NULL, *replayed = NULL;
    em_program *program = NULL;
    em_status status = s ? run_both(s, lane, &eager, &replayed, &program) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK && lane == EM_NATIVE)
        assert_memory_equal(em_array_data(eager), em_array_data(replayed), em_array_bytes(replayed));
    em_array_release(&replayed);
    em_program_free(program);
    em_scope_free(s);
    return status;
}

static void test_each_allocation(void **state)
{
    rng r = {5};
    (void)state;
    rng_fill(&r, EM_F32, image, sizeof image / sizeof *image);
    rng_fill(&r, EM_F32, kernel, sizeof kernel / sizeof *kernel);
    for (em_lane lane = EM_NATIVE; lane <= EM_FUSE; lane++)
        assert_true(faults_sweep_benign(run, &lane) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
