/* Without LAPACK: an error that says what to install, on the cpu device only; all else goes on. */
#include <stdlib.h>

#include <emily/linalg.h>
#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"

static em_status decompose(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    return em_lu(s, in[0], NULL, &out[0], NULL);
}

static void test_absent(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(em_device_find("cpu"));
    em_array *a = em_iota(s, EM_F32, em_shape(3, 3), 0), *l, *out;
    EXPECT_ERROR(em_array_eval(em_determinant(s, a)), EM_ERROR_UNSUPPORTED, "determinant: LAPACK cannot be opened");
    EXPECT_ERROR(em_array_eval(em_determinant(s, a)), EM_ERROR_UNSUPPORTED, "apt-get install liblapacke");
    EXPECT_OK(em_array_eval(em_exp(s, a)));
    em_program *program = em_compile(decompose, NULL, &(em_spec){EM_F32, {2, {3, 3}}}, 1, 1, NULL);
    if (program)
        EXPECT_ERROR(em_run(program, &a, &out), EM_ERROR_UNSUPPORTED, "lu: LAPACK");
    else
        EXPECT_ERROR(em_last_status(), EM_ERROR_UNSUPPORTED, "lu: LAPACK");
    em_program_free(program);
    em_scope_free(s);
    s = em_scope_new(em_device_find("ref"));
    EXPECT_OK(em_lu(s, em_iota(s, EM_F32, em_shape(3, 3), 0), NULL, &l, NULL));
    EXPECT_OK(em_eval(s, l));
    em_scope_free(s);
}

int main(void)
{
    setenv("EMILY_LAPACK", "/no/such/library.so", 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_absent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
