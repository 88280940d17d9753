/*
 * Times ops that move, accumulate and slide, on request: each line "OP MILLISECONDS" on standard input is answered by
 * one line of JSON {"op", "median_us", "best_us", "runs"}. The cases are in `cases` below; bench/peers/index.py has the
 * same. Between requests the process sleeps, so that it can take turns with other programs; its arrays stay warm.
 *
 * A run is what a caller pays: a fresh lazy array built, evaluated and dropped again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/indexing.h>
#include <emily/ops.h>
#include <emily/windows.h>

#include "timing.h"

#define MAX_RUNS 1000
#define ROWS 100000
#define SIDE 1000

typedef struct operands {
    em_array *line, *square, *bytes, *wide, *table, *updates, *rows, *columns, *places, *along, *image, *pooled, *inner,
        *zero, *none, *start;
} operands;

static unsigned seed = 1;

static unsigned next_number(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static em_array *normal(em_scope *s, em_dims dims)
{
    int64_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= dims.dims[i];
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = (float)next_number() * (2.0f / 16777216.0f) - 1;
    em_array *array = values ? em_constant_f32(s, values, dims) : NULL;
    free(values);
    return array;
}

static em_array *below(em_scope *s, unsigned limit, em_dims dims)
{
    int64_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= dims.dims[i];
    int32_t *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = (int32_t)(next_number() % limit);
    em_array *array = values ? em_constant(s, EM_S32, values, dims) : NULL;
    free(values);
    return array;
}

static void make(em_scope *s, operands *o)
{
    o->line = normal(s, em_shape(SIDE * SIDE));
    o->square = normal(s, em_shape(SIDE, SIDE));
    o->bytes = em_cast(s, below(s, 100, em_shape(SIDE, SIDE)), EM_U8);
    o->wide = em_cast(s, o->square, EM_F64);
    o->table = normal(s, em_shape(ROWS, 64));
    o->updates = normal(s, em_shape(ROWS, 64));
    o->rows = below(s, ROWS, em_shape(ROWS));
    o->columns = em_expand_dims(s, o->rows, -1);
    o->places = below(s, SIDE * SIDE, em_shape(SIDE * SIDE));
    o->along = below(s, SIDE, em_shape(SIDE, SIDE));
    o->image = normal(s, em_shape(8, 64, 56, 56));
    o->pooled = normal(s, em_shape(8, 64, 28, 28));
    o->inner = normal(s, em_shape(8, 64, 27, 27));
    o->zero = em_scalar(s, EM_F32, 0);
    o->none = em_scalar(s, EM_U8, 0);
    o->start = em_scalar(s, EM_S64, 17);
    em_eval(s, o->bytes);
    em_eval(s, o->wide);
    em_eval(s, o->columns);
}

static em_array *apply(em_scope *s, const char *op, const operands *o)
{
    const int64_t two[] = {1, 1, 2, 2}, three[] = {1, 1, 3, 3}, low[] = {1, 1}, pads[] = {0, 0, 1, 1};
    const em_window_options by_two = {.struct_size = sizeof by_two, .strides = two};
    const em_window_options by_two_padded = {.struct_size = sizeof by_two, .strides = two, .low = pads, .high = pads};
    const em_window_options by_one_padded = {.struct_size = sizeof by_one_padded, .low = pads, .high = pads};
    em_array *pair[] = {o->square, o->square}, *bytes[] = {o->bytes, o->bytes};
#define CASE(name, call)                                                                                               \
    if (!strcmp(op, name))                                                                                             \
    return call
    CASE("cumsum_line", em_cumulative_sum(s, o->line, 0, false));
    CASE("cumsum_rows", em_cumulative_sum(s, o->square, 1, false));
    CASE("cumsum_columns", em_cumulative_sum(s, o->square, 0, false));
    CASE("cumsum_f64", em_cumulative_sum(s, o->wide, 1, false));
    CASE("cummax_rows", em_cumulative_max(s, o->square, 1, false));
    CASE("gather_rows", em_take(s, o->table, o->rows, 0));
    CASE("take_elements", em_take(s, o->line, o->places, 0));
    CASE("take_along_rows", em_take_along_axis(s, o->square, o->along, 1));
    CASE("take_along_columns", em_take_along_axis(s, o->square, o->along, 0));
    CASE("scatter_add_rows", em_indexed_add(s, o->table, o->columns, o->updates, EM_AXES(0)));
    CASE("scatter_put_rows", em_indexed_put(s, o->table, o->columns, o->updates, EM_AXES(0)));
    CASE("scatter_add_elements", em_indexed_add(s, o->line, em_expand_dims(s, o->places, -1), o->line, EM_AXES(0)));
    CASE("max_pool_2", em_window_max(s, o->image, two, &by_two));
    CASE("max_pool_3", em_window_max(s, o->image, three, &by_two_padded));
    CASE("sum_pool_3", em_window_sum(s, o->image, three, NULL));
    CASE("max_pool_2_backward", em_window_scatter_max(s, o->image, o->pooled, o->zero, two, &by_two));
    CASE("max_pool_3_backward", em_window_scatter_max(s, o->image, o->pooled, o->zero, three, &by_two_padded));
    CASE("max_pool_3_bare_backward", em_window_scatter_max(s, o->image, o->inner, o->zero, three, &by_two));
    CASE("max_pool_3_by_1_backward", em_window_scatter_max(s, o->image, o->image, o->zero, three, &by_one_padded));
    CASE("concat_f32", em_concatenate(s, pair, 2, 1));
    CASE("concat_u8", em_concatenate(s, bytes, 2, 1));
    CASE("pad_f32", em_pad(s, o->square, o->zero, low, low, NULL));
    CASE("pad_u8", em_pad(s, o->bytes, o->none, low, low, NULL));
#undef CASE
    return NULL;
}

static double run_once(const char *op, const operands *in)
{
    double start = now();
    em_scope *s = em_scope_new(NULL);
    em_array *y = apply(s, op, in);
    if (!y || em_eval(s, y) != EM_OK) {
        fprintf(stderr, "emily_index: %s: %s\n", op, y ? em_scope_error(s) : "no such case");
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
    printf("{\"op\": \"%s\", \"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n", op, 1e6 * times[runs / 2],
           1e6 * times[0], runs);
    fflush(stdout);
}

int main(void)
{
    operands in = {0};
    char op[32];
    double milliseconds;
    em_scope *s = em_scope_new(NULL);
    make(s, &in);
    while (scanf("%31s %lf", op, &milliseconds) == 2)
        answer(op, &in, milliseconds / 1e3);
    em_scope_free(s);
    return 0;
}
