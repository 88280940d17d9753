/*
 * Elementwise and row kernels on n x n f32 matrices: microseconds and GB/s (add moves 12 bytes an element, exp and
 * softmax and gelu 8, the sum of rows 4). Best and median of runs over about a quarter of a second a case.
 * Use: kernels_vec [threads] [level] [case] [n]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/str.h"
#include "device/cpu/copy.h"
#include "device/cpu/elementwise.h"
#include "device/cpu/reduce.h"
#include "device/cpu/rows.h"
#include "timing.h"

#define SECONDS 0.25
#define MOST_RUNS 4000

typedef struct bench {
    em__elementwise elementwise;
    em__rows rows;
    em__reduce reduce;
    em__copy copy;
    em__pool *pool;
    float *a, *b, *out;
    size_t n;
} bench;

static void unary(const bench *s, em__unary_op op)
{
    em__elementwise_unary(&s->elementwise, s->pool, op, EM_F32, s->out, s->a, s->n * s->n);
}

static void run_add(const bench *s)
{
    em__elementwise_binary(&s->elementwise, s->pool, EM__BINARY_ADD, EM_F32, s->out, s->a, s->b, s->n * s->n, EM__VV);
}

static void run_exp(const bench *s)
{
    unary(s, EM__UNARY_EXP);
}

static void run_gelu(const bench *s)
{
    unary(s, EM__UNARY_GELU);
}

static void run_tanh(const bench *s)
{
    unary(s, EM__UNARY_TANH);
}

static void run_softmax(const bench *s)
{
    em__rows_softmax(&s->rows, s->pool, EM__SOFTMAX, EM_F32, s->out, s->n, s->a, s->n, s->n, s->n);
}

static void run_layer_norm(const bench *s)
{
    em__norm_args args = {.out = s->out, .x = s->a, .weight = s->b, .bias = s->b, .eps = 1e-5};
    args.rows = args.cols = args.out_stride = args.x_stride = s->n;
    em__rows_norm(&s->rows, s->pool, EM__LAYER_NORM, EM_F32, &args);
}

static void run_sum_rows(const bench *s)
{
    em__reduce_run(&s->reduce, s->pool, EM__REDUCE_SUM, EM_F32, s->out, s->a, s->n, s->n, 1);
}

static void run_sum_columns(const bench *s)
{
    em__reduce_run(&s->reduce, s->pool, EM__REDUCE_SUM, EM_F32, s->out, s->a, 1, s->n, s->n);
}

static void run_transpose(const bench *s)
{
    int64_t n = (int64_t)s->n;
    em__copy_layout layout = {.rank = 2, .size = 4, .dims = {n, n}, .out_strides = {n, 1}, .in_strides = {1, n}};
    em__copy_run(&s->copy, s->pool, s->out, s->a, &layout);
}

static const struct bench_case {
    const char *name;
    void (*run)(const bench *s);
    double bytes; /* an element */
} cases[] = {
    {"add", run_add, 12},
    {"exp", run_exp, 8},
    {"softmax", run_softmax, 8},
    {"sum_rows", run_sum_rows, 4},
    {"gelu", run_gelu, 8},
    {"tanh", run_tanh, 8},
    {"layer_norm", run_layer_norm, 8},
    {"sum_columns", run_sum_columns, 4},
    {"transpose", run_transpose, 8},
};

static void measure(const bench *s, const struct bench_case *c)
{
    static double times[MOST_RUNS];
    int runs = 0;
    c->run(s);
    c->run(s);
    for (double end = now() + SECONDS; runs < MOST_RUNS && (runs < 3 || now() < end); runs++) {
        double start = now();
        c->run(s);
        times[runs] = now() - start;
    }
    qsort(times, (size_t)runs, sizeof *times, ascending);
    double bytes = c->bytes * (double)(s->n * s->n);
    printf("%-12s %5zu  median %10.2f us %7.1f GB/s  best %10.2f us %7.1f GB/s\n", c->name, s->n, times[runs / 2] * 1e6,
           bytes / times[runs / 2] / 1e9, times[0] * 1e6, bytes / times[0] / 1e9);
    fflush(stdout);
}

static int set_up(bench *s, int threads, em__cpu_level level, size_t most)
{
    em__elementwise_init(&s->elementwise, level);
    em__rows_init(&s->rows, level);
    em__reduce_init(&s->reduce, level);
    em__copy_init(&s->copy, level);
    size_t bytes = most * most * sizeof(float);
    s->a = em__block_alloc(bytes);
    s->b = em__block_alloc(bytes);
    s->out = em__block_alloc(bytes);
    if (!s->a || !s->b || !s->out || em__pool_new(threads, &s->pool) != EM_OK)
        return 0;
    uint32_t seed = 1;
    for (size_t i = 0; i < most * most; i++) {
        seed = seed * 1664525u + 1013904223u;
        s->a[i] = (float)(int32_t)seed * (2.0f / 2147483648.0f);
        s->b[i] = s->a[i] * 0.5f;
        s->out[i] = 0.0f;
    }
    return 1;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {128, 512, 1024, 2048, 4096};
    em__cpu_level level = em__cpu_get()->level;
    long long threads = 0, only = 0;
    if (argc > 1 && !em__parse_i64(argv[1], &threads))
        return fprintf(stderr, "use: kernels_vec [threads] [level] [case] [n]\n"), 2;
    for (int l = 0; argc > 2 && l <= (int)em__cpu_get()->level; l++)
        if (!strcmp(argv[2], em__cpu_level_name((em__cpu_level)l)))
            level = (em__cpu_level)l;
    if (argc > 4 && !em__parse_i64(argv[4], &only))
        return fprintf(stderr, "n: \"%s\" is no number\n", argv[4]), 2;
    bench s = {0};
    if (!set_up(&s, (int)threads, level, only ? (size_t)only : 4096))
        return fprintf(stderr, "%s\n", em_last_error()), 1;
    printf("%s, %d threads\n", em__cpu_level_name(s.elementwise.level), em__pool_size(s.pool));
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        if (argc > 3 && strcmp(argv[3], "all") && strcmp(argv[3], cases[c].name))
            continue;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            s.n = sizes[i];
            if (!only || (size_t)only == s.n)
                measure(&s, &cases[c]);
        }
    }
    em__pool_free(s.pool);
    return 0;
}
