/*
 * Times the fast ops and what the fuse lane makes of them written out, on request: each line "WHAT DTYPE B H HKV LQ
 * LK D MODE MILLISECONDS" on standard input is answered by one line of JSON {"median_us", "best_us", "runs"}. WHAT
 * is one of the table below; those that work on rows take LQ rows of D. MODE 0 is what a caller pays eagerly: a
 * fresh lazy array built, evaluated and dropped again; 1 is the replay of a program.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "timing.h"

#define MAX_RUNS 1000
#define LAST EM_AXES(-1)

typedef struct shape {
    char what[32], dtype[8];
    long b, h, hkv, lq, lk, d, mode;
} shape;

typedef struct operands {
    shape shape;
    em_dtype dtype;
    em_array *in[3];
    int n;
} operands;

static void stop(const char *why)
{
    fprintf(stderr, "emily_fast: %s\n", why);
    exit(1);
}

static em_array *normal(em_scope *scope, em_dtype dtype, em_dims dims, unsigned seed)
{
    int64_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= dims.dims[i];
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int)seed * (2.0f / 2147483648.0f);
    }
    em_array *array = values ? em_cast(scope, em_constant_f32(scope, values, dims), dtype) : NULL;
    if (!array || em_eval(scope, array) != EM_OK)
        stop("no memory");
    free(values);
    return array;
}

static em_array *number(em_scope *s, em_array *like, double value)
{
    return em_scalar(s, em_array_dtype(like), value);
}

static em_array *softmax_written(em_scope *s, em_array *x)
{
    em_array *e = em_exp(s, em_sub(s, x, em_max(s, x, LAST, true)));
    return em_div(s, e, em_sum(s, e, LAST, true));
}

static em_array *sdpa(em_scope *s, const operands *o, em_array *const *in)
{
    return em_sdpa(s, in[0], in[1], in[2], NULL, 0, o->shape.lq == o->shape.lk && o->shape.what[0] == 'c');
}

static em_array *attention_written(em_scope *s, const operands *o, em_array *const *in)
{
    em_array *scores = em_matmul(s, in[0], em_transpose(s, in[1], EM_AXES(0, 1, 3, 2)));
    scores = em_div(s, scores, number(s, in[0], sqrt((double)o->shape.d)));
    return em_matmul(s, softmax_written(s, scores), in[2]);
}

static em_array *rope(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    return em_rope(s, in[0], NULL, NULL);
}

static em_array *cut(em_scope *s, em_array *x, int64_t from, int64_t to)
{
    em_dims d = em_array_dims(x);
    int64_t start[EM_MAX_RANK] = {0};
    start[d.rank - 1] = from;
    d.dims[d.rank - 1] = to;
    return em_slice(s, x, start, d.dims, NULL);
}

static em_array *rotary_written(em_scope *s, const operands *o, em_array *const *in)
{
    em_array *x = in[0], *half[] = {em_neg(s, cut(s, x, o->shape.d / 2, o->shape.d)), cut(s, x, 0, o->shape.d / 2)};
    return em_add(s, em_mul(s, x, in[1]), em_mul(s, em_concatenate(s, half, 2, -1), in[2]));
}

static em_array *rms_norm(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    return em_rms_norm(s, in[0], in[1], 1e-6);
}

static em_array *rms_norm_written(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    em_array *x = in[0], *mean = em_mean(s, em_square(s, x), LAST, true);
    return em_mul(s, em_mul(s, x, em_rsqrt(s, em_add(s, mean, number(s, x, 1e-6)))), in[1]);
}

static em_array *layer_norm(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    return em_layer_norm(s, in[0], in[1], in[2], 1e-5);
}

static em_array *layer_norm_written(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    em_array *x = in[0], *d = em_sub(s, x, em_mean(s, x, LAST, true));
    em_array *root = em_rsqrt(s, em_add(s, em_mean(s, em_square(s, d), LAST, true), number(s, x, 1e-5)));
    return em_add(s, em_mul(s, em_mul(s, d, root), in[1]), in[2]);
}

static em_array *softmax_of(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    return softmax_written(s, in[0]);
}

static em_array *gelu_written(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    em_array *x = in[0], *cube = em_mul(s, em_mul(s, x, x), x);
    em_array *inner = em_mul(s, em_add(s, x, em_mul(s, cube, number(s, x, 0.044715))), number(s, x, sqrt(2 / M_PI)));
    return em_mul(s, em_mul(s, x, number(s, x, 0.5)), em_add(s, em_tanh(s, inner), number(s, x, 1)));
}

static em_array *swiglu_written(em_scope *s, const operands *o, em_array *const *in)
{
    (void)o;
    return em_mul(s, em_mul(s, in[0], em_sigmoid(s, in[0])), in[1]);
}

/* What the operands are: q, k, v; x and two tables; x and two rows; x and its like. */
static const struct {
    const char *name;
    em_array *(*apply)(em_scope *s, const operands *o, em_array *const *in);
    char kind;
} table[] = {
    {"attention", sdpa, 'q'},
    {"causal", sdpa, 'q'},
    {"attention_written", attention_written, 'q'},
    {"rope", rope, 't'},
    {"rotary_written", rotary_written, 't'},
    {"rms_norm", rms_norm, 'r'},
    {"rms_norm_written", rms_norm_written, 'r'},
    {"layer_norm", layer_norm, 'r'},
    {"layer_norm_written", layer_norm_written, 'r'},
    {"softmax_written", softmax_of, 'r'},
    {"gelu_written", gelu_written, 'r'},
    {"swiglu_written", swiglu_written, 'x'},
};

static size_t entry_of(const char *name)
{
    size_t i = 0;
    while (strcmp(table[i].name, name) != 0)
        if (++i == sizeof table / sizeof *table)
            stop("no such op");
    return i;
}

static void fill(em_scope *scope, operands *o)
{
    const shape *p = &o->shape;
    char kind = table[entry_of(p->what)].kind;
    em_dims rows = em_shape(p->lq, p->d), q = em_shape(p->b, p->h, p->lq, p->d),
            k = em_shape(p->b, p->hkv, p->lk, p->d);
    em_dims first = kind == 'q' || kind == 't' ? q : rows, others = k;
    if (kind != 'q')
        others = kind == 'r' ? em_shape(p->d) : rows;
    o->n = kind == 'x' ? 2 : 3;
    for (int i = 0; i < o->n; i++)
        o->in[i] = normal(scope, o->dtype, i ? others : first, (unsigned)i + 1);
}

static em_status trace(em_scope *s, em_array *const *inputs, em_array **outputs, void *user)
{
    const operands *o = user;
    outputs[0] = table[entry_of(o->shape.what)].apply(s, o, inputs);
    return em_scope_status(s);
}

static double run_eager(const operands *o)
{
    double start = now();
    em_scope *s = em_scope_new(NULL);
    em_array *y = table[entry_of(o->shape.what)].apply(s, o, o->in);
    if (!y || em_eval(s, y) != EM_OK)
        stop(em_scope_error(s));
    em_scope_free(s);
    return now() - start;
}

static double run_program(em_program *program, const operands *o)
{
    em_array *out = NULL;
    double start = now();
    if (em_run(program, o->in, &out) != EM_OK)
        stop(em_last_error());
    em_array_release(&out);
    return now() - start;
}

static void answer(const operands *o, double budget)
{
    static double times[MAX_RUNS];
    int runs = 0;
    em_spec specs[3];
    em_program *program = NULL;
    for (int i = 0; i < o->n; i++)
        specs[i] = (em_spec){o->dtype, em_array_dims(o->in[i])};
    if (o->shape.mode && !(program = em_compile(trace, (void *)o, specs, (size_t)o->n, 1, NULL)))
        stop(em_last_error());
    for (double end = now() + budget; runs < MAX_RUNS && (runs < 3 || now() < end); runs++)
        times[runs] = program ? run_program(program, o) : run_eager(o);
    em_program_free(program);
    qsort(times + 1, (size_t)runs - 1, sizeof *times, ascending); /* the first warms up */
    printf("{\"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n", 1e6 * times[runs / 2], 1e6 * times[1], runs - 1);
    fflush(stdout);
}

int main(void)
{
    shape p;
    double milliseconds;
    while (scanf("%31s %7s %ld %ld %ld %ld %ld %ld %ld %lf", p.what, p.dtype, &p.b, &p.h, &p.hkv, &p.lq, &p.lk, &p.d,
                 &p.mode, &milliseconds) == 10) {
        em_scope *scope = em_scope_new(NULL);
        operands o = {.shape = p};
        if (em_dtype_parse(p.dtype, &o.dtype) != EM_OK)
            stop(em_last_error());
        fill(scope, &o);
        answer(&o, milliseconds / 1e3);
        em_scope_free(scope);
    }
    return 0;
}
