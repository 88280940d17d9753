/*
 * Times f32 convolutions on request: each line "IMAGES CHANNELS HEIGHT WIDTH OUTPUTS TAPS STRIDE PADDING GROUPS PROGRAM
 * MILLISECONDS" on standard input is answered by one line of JSON {"median_us", "best_us", "runs"}. Height 1 stands for
 * one spatial axis. PROGRAM 0 is what a caller pays eagerly: a fresh lazy array built, evaluated and dropped again; 1
 * is the replay of a program whose kernel is a constant.
 */
#include <stdio.h>
#include <stdlib.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "timing.h"

#define MAX_RUNS 1000

typedef struct shape {
    long n, c, h, w, o, k, stride, pad, groups, program;
} shape;

typedef struct operands {
    shape shape;
    em_array *x, *w;
} operands;

static em_array *normal(em_scope *scope, em_dims dims, unsigned seed)
{
    int64_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= dims.dims[i];
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int)seed * (2.0f / 2147483648.0f);
    }
    em_array *array = values ? em_constant_f32(scope, values, dims) : NULL;
    free(values);
    return array;
}

static em_array *apply(em_scope *s, const shape *p, em_array *x, em_array *w)
{
    const int64_t strides[] = {p->stride, p->stride}, pads[] = {p->pad, p->pad};
    em_conv_options o = {0};
    o.strides = strides;
    o.pad_low = o.pad_high = pads;
    o.feature_groups = p->groups;
    return em_conv(s, x, w, &o);
}

static em_status trace(em_scope *s, em_array *const *inputs, em_array **outputs, void *user)
{
    const operands *in = user;
    outputs[0] = apply(s, &in->shape, inputs[0], in->w);
    return em_scope_status(s);
}

static void stop(const char *why)
{
    fprintf(stderr, "emily_conv: %s\n", why);
    exit(1);
}

static double run_eager(const operands *in)
{
    double start = now();
    em_scope *s = em_scope_new(NULL);
    em_array *y = apply(s, &in->shape, in->x, in->w);
    if (!y || em_eval(s, y) != EM_OK)
        stop(em_scope_error(s));
    em_scope_free(s);
    return now() - start;
}

static double run_program(em_program *program, const operands *in)
{
    em_array *inputs[] = {in->x}, *out = NULL;
    double start = now();
    if (em_run(program, inputs, &out) != EM_OK)
        stop(em_last_error());
    em_array_release(&out);
    return now() - start;
}

static void answer(const operands *in, double budget)
{
    static double times[MAX_RUNS];
    int runs = 0;
    em_spec spec = {EM_F32, em_array_dims(in->x)};
    em_program *program = NULL;
    if (in->shape.program && !(program = em_compile(trace, (void *)in, &spec, 1, 1, NULL)))
        stop(em_last_error());
    for (double end = now() + budget; runs < MAX_RUNS && (runs < 3 || now() < end); runs++)
        times[runs] = program ? run_program(program, in) : run_eager(in);
    em_program_free(program);
    qsort(times + 1, (size_t)runs - 1, sizeof *times, ascending); /* the first warms up */
    printf("{\"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n", 1e6 * times[runs / 2], 1e6 * times[1], runs - 1);
    fflush(stdout);
}

int main(void)
{
    shape p;
    double milliseconds;
    while (scanf("%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %lf", &p.n, &p.c, &p.h, &p.w, &p.o, &p.k, &p.stride, &p.pad,
                 &p.groups, &p.program, &milliseconds) == 11) {
        em_scope *scope = em_scope_new(NULL);
        const long per_group = p.groups > 0 ? p.c / p.groups : 0;
        operands in = {.shape = p};
        in.x = normal(scope, p.h == 1 ? em_shape(p.n, p.c, p.w) : em_shape(p.n, p.c, p.h, p.w), 1);
        in.w = normal(scope, p.h == 1 ? em_shape(p.o, per_group, p.k) : em_shape(p.o, per_group, p.k, p.k), 2);
        if (!in.x || !in.w)
            stop(em_scope_error(scope));
        answer(&in, milliseconds / 1e3);
        em_scope_free(scope);
    }
    return 0;
}
