/*
 * Times order, Fourier transforms and random numbers, on request: each line "OP DTYPE ROWS N MILLISECONDS" on standard
 * input is answered by one line of JSON {"op", "dtype", "rows", "n", "median_us", "best_us", "runs"}. OP is sort,
 * argsort, top_k (100), fft, rfft, bits, uniform, normal, randint (below 1000) or permutation; the operand is [ROWS, N]
 * of normal numbers or of whole ones from -2^30 to 2^30. Between requests the process sleeps.
 *
 * A run is what a caller pays: a fresh lazy array built, evaluated and dropped again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/fourier.h>
#include <emily/order.h>
#include <emily/random.h>

#include "timing.h"

#define MAX_RUNS 1000

typedef struct operand {
    char dtype[8];
    long rows, n;
    em_dtype type;
    em_scope *scope;
    em_array *x, *key;
} operand;

static void prepare(operand *in)
{
    em_scope_free(in->scope);
    em_scope *s = in->scope = em_scope_new(NULL);
    em_dims dims = em_shape(in->rows, in->n);
    in->key = em_random_key(s, 7);
    in->x = NULL;
    if (em_dtype_parse(in->dtype, &in->type) != EM_OK)
        return;
    switch (em_dtype_get_kind(in->type)) {
    case EM_KIND_FLOAT: in->x = em_random_normal(s, in->key, in->type, dims); break;
    case EM_KIND_COMPLEX: {
        em_dtype part = in->type == EM_C64 ? EM_F32 : EM_F64;
        em_array *pairs = em_random_normal(s, in->key, part, em_shape(in->rows, in->n, 2));
        in->x = em_constant(s, in->type, em_array_data(pairs), dims);
        break;
    }
    default: in->x = em_random_randint(s, in->key, -(1 << 30), 1 << 30, in->type, dims); break;
    }
    em_eval(s, in->x);
}

static em_array *apply(em_scope *s, const char *op, const operand *in)
{
    em_dims dims = em_shape(in->rows, in->n);
    em_array *indices = NULL;
    if (!strcmp(op, "sort"))
        return em_sort(s, in->x, -1, false);
    if (!strcmp(op, "argsort"))
        return em_argsort(s, in->x, -1, false);
    if (!strcmp(op, "top_k"))
        return em_top_k(s, in->x, in->n < 100 ? in->n : 100, -1, NULL, &indices) ? indices : NULL;
    if (!strcmp(op, "fft"))
        return em_fft(s, in->x, 0, -1);
    if (!strcmp(op, "rfft"))
        return em_rfft(s, in->x, 0, -1);
    if (!strcmp(op, "bits"))
        return em_random_bits(s, in->key, in->type, dims);
    if (!strcmp(op, "uniform"))
        return em_random_uniform(s, in->key, 0, 1, in->type, dims);
    if (!strcmp(op, "normal"))
        return em_random_normal(s, in->key, in->type, dims);
    if (!strcmp(op, "randint"))
        return em_random_randint(s, in->key, 0, 1000, in->type, dims);
    if (!strcmp(op, "permutation"))
        return em_random_permutation_of(s, in->key, in->n);
    return NULL;
}

static double run_once(const char *op, const operand *in)
{
    double start = now();
    em_scope *s = em_scope_new(NULL);
    em_array *y = apply(s, op, in);
    if (!y || em_eval(s, y) != EM_OK) {
        fprintf(stderr, "emily_lines: %s %s %ld: %s\n", op, in->dtype, in->n, em_scope_error(s));
        exit(1);
    }
    em_scope_free(s);
    return now() - start;
}

static void answer(const char *op, const operand *in, double budget)
{
    static double times[MAX_RUNS];
    int runs = 0;
    run_once(op, in);
    for (double end = now() + budget; runs < MAX_RUNS && (runs < 2 || now() < end); runs++)
        times[runs] = run_once(op, in);
    qsort(times, (size_t)runs, sizeof *times, ascending);
    printf("{\"op\": \"%s\", \"dtype\": \"%s\", \"rows\": %ld, \"n\": %ld, \"median_us\": %.3f, \"best_us\": %.3f, "
           "\"runs\": %d}\n",
           op, in->dtype, in->rows, in->n, 1e6 * times[runs / 2], 1e6 * times[0], runs);
    fflush(stdout);
}

int main(void)
{
    operand in = {.rows = 0};
    char op[16], dtype[8];
    long rows, n;
    double milliseconds;
    while (scanf("%15s %7s %ld %ld %lf", op, dtype, &rows, &n, &milliseconds) == 5) {
        if (rows < 1 || n < 1 || n > (1L << 28) / rows)
            return fprintf(stderr, "emily_lines: [%ld, %ld] can't be timed\n", rows, n), 1;
        if (rows != in.rows || n != in.n || strcmp(dtype, in.dtype) != 0) {
            memcpy(in.dtype, dtype, sizeof dtype);
            in.rows = rows;
            in.n = n;
            prepare(&in);
        }
        answer(op, &in, milliseconds / 1e3);
    }
    em_scope_free(in.scope);
    return 0;
}
