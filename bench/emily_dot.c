/*
 * Times batched matrix products on request: each line "DTYPE BATCH M N K MILLISECONDS" on standard input is answered by
 * one line of JSON {"median_us", "best_us", "runs"}. A run is what a caller pays: a fresh lazy array built, evaluated
 * and dropped again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>

#include "timing.h"

#define MAX_RUNS 2000

static void stop(const char *why)
{
    fprintf(stderr, "emily_dot: %s\n", why);
    exit(1);
}

/* Small whole numbers: any dtype holds them. */
static em_array *operand(em_scope *scope, em_dtype dtype, em_dims dims)
{
    em_array *i = em_iota(scope, EM_F32, dims, dims.rank - 1), *j = em_iota(scope, EM_F32, dims, dims.rank - 2);
    em_array *x = em_sub(scope,
                         em_remainder(scope, em_add(scope, i, em_mul(scope, j, em_scalar(scope, EM_F32, 3))),
                                      em_scalar(scope, EM_F32, 11)),
                         em_scalar(scope, EM_F32, dtype == EM_U8 ? 0 : 5));
    x = em_cast(scope, x, dtype);
    if (em_eval(scope, x) != EM_OK || !em_array_data(x))
        stop(em_scope_error(scope));
    return x;
}

static double run_once(em_array *a, em_array *b)
{
    double start = now();
    em_scope *s = em_scope_new(NULL);
    em_array *y = em_matmul(s, a, b);
    if (!y || em_eval(s, y) != EM_OK)
        stop(em_scope_error(s));
    em_scope_free(s);
    return now() - start;
}

static void answer(em_array *a, em_array *b, double budget)
{
    static double times[MAX_RUNS];
    int runs = 0;
    run_once(a, b);
    for (double end = now() + budget; runs < MAX_RUNS && (runs < 2 || now() < end); runs++)
        times[runs] = run_once(a, b);
    qsort(times, (size_t)runs, sizeof *times, ascending);
    printf("{\"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n", 1e6 * times[runs / 2], 1e6 * times[0], runs);
    fflush(stdout);
}

int main(void)
{
    char name[16];
    long batch, m, n, k;
    double milliseconds;
    while (scanf("%15s %ld %ld %ld %ld %lf", name, &batch, &m, &n, &k, &milliseconds) == 6) {
        em_dtype dtype;
        em_scope *scope = em_scope_new(NULL);
        if (em_dtype_parse(name, &dtype) != EM_OK)
            stop(em_last_error());
        em_array *a = operand(scope, dtype, batch ? em_shape(batch, m, k) : em_shape(m, k));
        em_array *b = operand(scope, dtype, batch ? em_shape(batch, k, n) : em_shape(k, n));
        answer(a, b, milliseconds / 1e3);
        em_scope_free(scope);
    }
    return 0;
}
