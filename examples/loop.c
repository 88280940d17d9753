/* A loop inside a tensor program: x becomes tanh(x w) ten times, traced once, run without coming back. */
#include <emily/emily.h>
#include <stdio.h>

static em_status below(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, in[0], em_scalar(s, EM_S32, 10));
    return EM_OK;
}

static em_status next(em_scope *s, em_array *const *in, em_array **out, void *weight)
{
    out[0] = em_add(s, in[0], em_scalar(s, EM_S32, 1));
    out[1] = em_tanh(s, em_matmul(s, in[1], weight)); /* captured, not copied */
    return EM_OK;
}

int main(void)
{
    const float w[] = {0.9f, -0.4f, 0.4f, 0.9f}, x[] = {1, 0};
    em_scope *s = em_scope_new(NULL);
    em_array *weight = em_constant_f32(s, w, em_shape(2, 2)), *results[2];
    em_array *states[] = {em_scalar(s, EM_S32, 0), em_constant_f32(s, x, em_shape(1, 2))};
    em_while(s, below, next, weight, states, 2, results);
    const float *y = em_array_data(results[1]); /* evaluates; NULL on error */
    if (y)
        printf("%.4f %.4f\n", (double)y[0], (double)y[1]);
    else
        fprintf(stderr, "%s\n", em_last_error());
    em_scope_free(s);
    return !y;
}
