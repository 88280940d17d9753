/*
 * Products with a vector, which matrix units are not worth: eager and native agree whether the matrix is an operand or
 * a constant, a row of a matrix has the same bits alone and in company, and all are near the sum in f64.
 */
#include <math.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"
#include "harness/rng.h"

enum { K = 700, N = 90 };

typedef enum form { MATRIX_VECTOR, VECTOR_MATRIX, LINEAR_TO_ONE, FORMS } form;

typedef struct setting {
    form form;
    bool constant; /* the matrix */
    float matrix[N * K], vector[K];
} setting;

static em_dims matrix_dims(form f)
{
    return f == VECTOR_MATRIX ? em_shape(K, N) : em_shape(N, K);
}

static em_array *apply(em_scope *s, form f, em_array *matrix, em_array *vector)
{
    if (f == VECTOR_MATRIX)
        return em_matmul(s, em_reshape(s, vector, em_shape(1, K)), matrix);
    if (f == LINEAR_TO_ONE)
        return em_linear(s, matrix, em_reshape(s, vector, em_shape(1, K)), NULL);
    return em_matmul(s, matrix, vector);
}

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const setting *at = user;
    em_array *matrix = at->constant ? em_constant(s, EM_F32, at->matrix, matrix_dims(at->form)) : in[1];
    out[0] = apply(s, at->form, matrix, in[0]);
    return em_scope_status(s);
}

static void eager(const setting *at, const float *matrix, em_dims dims, float *to)
{
    em_scope *s = em_scope_new(NULL);
    em_array *vector = em_constant(s, EM_F32, at->vector, em_shape(K));
    em_array *y = apply(s, at->form, em_constant(s, EM_F32, matrix, dims), vector);
    EXPECT_OK(em_eval(s, y));
    memcpy(to, em_array_data(y), em_array_bytes(y));
    em_scope_free(s);
}

static void compare(const setting *at)
{
    float want[N], got[N];
    eager(at, at->matrix, matrix_dims(at->form), want);
    const em_spec specs[] = {{EM_F32, em_shape(K)}, {EM_F32, matrix_dims(at->form)}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE};
    em_program *program = em_compile(trace, (void *)at, specs, 2, 1, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    EXPECT_OK(em_run_raw(program, (const void *const[]){at->vector, at->matrix}, (void *const[]){got}));
    em_program_free(program);
    EXPECT_SAME_BITS(EM_F32, got, want, N);
    for (int i = 0; i < N; i++) {
        double sum = 0, size = 0;
        for (int k = 0; k < K; k++) {
            const double x = at->matrix[at->form == VECTOR_MATRIX ? k * N + i : i * K + k];
            sum += x * at->vector[k];
            size += fabs(x * at->vector[k]);
        }
        assert_true(fabs(got[i] - sum) <= 1e-5 * size);
        if (at->form != VECTOR_MATRIX)
            eager(at, at->matrix + i * K, em_shape(1, K), &got[i]);
    }
    EXPECT_SAME_BITS(EM_F32, got, want, N);
}

static void vectors(void **state)
{
    static setting at;
    rng r = {9};
    (void)state;
    rng_fill(&r, EM_F32, at.matrix, sizeof at.matrix / sizeof(float));
    rng_fill(&r, EM_F32, at.vector, K);
    for (at.form = 0; at.form < FORMS; at.form++)
        for (int constant = 0; constant < 2; constant++) {
            at.constant = constant;
            compare(&at);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
