/*
 * Times single f32 ops on n x n arrays, on request: each line "OP N MILLISECONDS" on standard input is answered by one
 * line of JSON {"op", "n", "median_us", "best_us", "runs"}. OP is add, exp, softmax, sum_rows or matmul. Between
 * requests the process sleeps, so that it can take turns with other programs; its arrays stay warm.
 *
 * A run is what a caller pays: a fresh lazy array built, evaluated and dropped again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>

#include "timing.h"

#define MAX_RUNS 1000

typedef struct operands {
    int64_t n;
    em_scope *scope;
    em_array *a, *b;
} operands;

static em_array *normal(em_scope *scope, int64_t n, unsigned seed)
{
    float *values = malloc((size_t)(n * n) * sizeof *values);
    for (int64_t i = 0; values && i < n * n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int)seed * (2.0f / 2147483648.0f);
    }
    em_array *array = values ? em_constant_f32(scope, values, em_shape(n, n)) : NULL;
    free(values);
    return array;
}

static em_array *apply(em_scope *s, const char *op, const operands *in)
{
    if (!strcmp(op, "add"))
        return em_add(s, in->a, in->b);
    if (!strcmp(op, "exp"))
        return em_exp(s, in->a);
    if (!strcmp(op, "softmax"))
        return em_softmax(s, in->a, -1);
    if (!strcmp(op, "sum_rows"))
        return em_sum(s, in->a, EM_AXES(-1), false);
    if (!strcmp(op, "matmul"))
        return em_matmul(s, in->a, in->b);
    return NULL;
}

static double run_once(const char *op, const operands *in)
{
    double start = now();
    em_scope *s = em_scope_new(NULL);
    em_array *y = apply(s, op, in);
    if (!y || em_eval(s, y) != EM_OK) {
        fprintf(stderr, "emily_ops: %s %ld: %s\n", op, (long)in->n, y ? em_scope_error(s) : "no such op");
        exit(1);
    }
    em_scope_free(s);
    return now() - start;
}

static void answer(const char *op, const operands *in, double budget)
{
    static double times[MAX_RUNS];
    int runs = 0;
    run_once(op, in);
    for (double end = now() + budget; runs < MAX_RUNS && (runs < 2 || now() < end); runs++)
        times[runs] = run_once(op, in);
    qsort(times, (size_t)runs, sizeof *times, ascending);
    printf("{\"op\": \"%s\", \"n\": %ld, \"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n", op, (long)in->n,
           1e6 * times[runs / 2], 1e6 * times[0], runs);
    fflush(stdout);
}

int main(void)
{
    operands in = {0};
    char op[16];
    long n;
    double milliseconds;
    while (scanf("%15s %ld %lf", op, &n, &milliseconds) == 3) {
        if (n < 1 || n > 16384)
            return fprintf(stderr, "emily_ops: n is %ld, 1 to 16384 can be timed\n", n), 1;
        if (n != in.n) {
            em_scope_free(in.scope);
            in.scope = em_scope_new(NULL);
            in.n = n;
            in.a = normal(in.scope, n, 1);
            in.b = normal(in.scope, n, 2);
        }
        answer(op, &in, milliseconds / 1e3);
    }
    em_scope_free(in.scope);
    return 0;
}
