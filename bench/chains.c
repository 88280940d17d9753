/*
 * Times chains of primitive ops as fused programs, on request: each line "CHAIN ELEMENTS MILLISECONDS" on standard
 * input is answered by one line of JSON {"chain", "elements", "median_us", "best_us", "runs"}. Between requests the
 * process sleeps, so that it can take turns with other programs. A run makes a new result array, as the peers do.
 *
 * CHAIN is gelu_tanh (8 primitives), softmax, layer_norm, rms_norm (rows of 1024), rope (heads of 64), affine (x w + y)
 * or gate (x sigmoid(y)), each f32; a second argument "native" takes the lane that does not fuse. CHAIN "compile"
 * ELEMENTS answers with the time of compiling a graph of so many ops, trace included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "timing.h"

#define MAX_RUNS 1000
#define COLUMNS 1024
#define HEAD 64

static em_array *number(em_scope *s, double value)
{
    return em_scalar(s, EM_F32, value);
}

static em_array *gelu_tanh(em_scope *s, em_array *x)
{
    em_array *cube = em_mul(s, em_mul(s, x, x), x);
    em_array *inner = em_mul(s, em_add(s, x, em_mul(s, cube, number(s, 0.044715))), number(s, 0.7978845608));
    return em_mul(s, em_mul(s, x, number(s, 0.5)), em_add(s, em_tanh(s, inner), number(s, 1)));
}

static em_array *softmax(em_scope *s, em_array *x)
{
    em_array *e = em_exp(s, em_sub(s, x, em_max(s, x, EM_AXES(-1), true)));
    return em_div(s, e, em_sum(s, e, EM_AXES(-1), true));
}

static em_array *layer_norm(em_scope *s, em_array *x, em_array *w, em_array *b)
{
    em_array *d = em_sub(s, x, em_mean(s, x, EM_AXES(-1), true));
    em_array *v = em_mean(s, em_mul(s, d, d), EM_AXES(-1), true);
    return em_add(s, em_mul(s, em_mul(s, d, em_rsqrt(s, em_add(s, v, number(s, 1e-5)))), w), b);
}

static em_array *rms_norm(em_scope *s, em_array *x, em_array *w)
{
    em_array *v = em_mean(s, em_mul(s, x, x), EM_AXES(-1), true);
    return em_mul(s, em_mul(s, x, em_rsqrt(s, em_add(s, v, number(s, 1e-6)))), w);
}

/* x [n, 16, HEAD]; cos, sin [n, 1, HEAD]. */
static em_array *rope(em_scope *s, em_array *x, em_array *cosine, em_array *sine)
{
    em_dims d = em_array_dims(x);
    int64_t n = d.dims[0], h = d.dims[1], half = HEAD / 2;
    int64_t zero[3] = {0}, one[3] = {1, 1, 1}, middle[3] = {0, 0, half};
    em_array *low = em_slice(s, x, zero, (int64_t[]){n, h, half}, one);
    em_array *high = em_slice(s, x, middle, (int64_t[]){n, h, HEAD}, one);
    em_array *turned = em_concatenate(s, (em_array *[]){em_neg(s, high), low}, 2, -1);
    return em_add(s, em_mul(s, x, cosine), em_mul(s, turned, sine));
}

/* x [16, HEAD], w [HEAD, HEAD], b [HEAD]; four ops a turn. */
static em_array *layers(em_scope *s, em_array *x, em_array *w, em_array *b, long ops)
{
    for (long i = 0; i < ops; i += 4)
        x = em_tanh(s, em_add(s, em_mul(s, em_matmul(s, x, w), number(s, 0.1)), b));
    return x;
}

typedef struct request {
    char chain[16];
    long elements;
} request;

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const request *q = user;
    if (!strcmp(q->chain, "gelu_tanh"))
        out[0] = gelu_tanh(s, in[0]);
    else if (!strcmp(q->chain, "softmax"))
        out[0] = softmax(s, in[0]);
    else if (!strcmp(q->chain, "layer_norm"))
        out[0] = layer_norm(s, in[0], in[1], in[2]);
    else if (!strcmp(q->chain, "rms_norm"))
        out[0] = rms_norm(s, in[0], in[1]);
    else if (!strcmp(q->chain, "rope"))
        out[0] = rope(s, in[0], in[1], in[2]);
    else if (!strcmp(q->chain, "affine"))
        out[0] = em_add(s, em_mul(s, in[0], in[1]), in[2]);
    else if (!strcmp(q->chain, "gate"))
        out[0] = em_mul(s, in[0], em_sigmoid(s, in[1]));
    else if (!strcmp(q->chain, "compile"))
        out[0] = layers(s, in[0], in[1], in[2], q->elements);
    return out[0] ? em_scope_status(s) : EM_ERROR_INVALID_ARGUMENT;
}

/* The inputs' shapes; how many. */
static size_t specs_of(const request *q, em_spec *specs)
{
    em_dims x = em_shape(q->elements / COLUMNS, COLUMNS), row = em_shape(COLUMNS);
    bool full = !strcmp(q->chain, "affine") || !strcmp(q->chain, "gate");
    for (int i = 0; i < 3; i++)
        specs[i] = (em_spec){EM_F32, i == 0 || full ? x : row};
    if (!strcmp(q->chain, "rope")) {
        specs[0].dims = em_shape(q->elements / COLUMNS, COLUMNS / HEAD, HEAD);
        specs[1].dims = specs[2].dims = em_shape(q->elements / COLUMNS, 1, HEAD);
    }
    if (!strcmp(q->chain, "compile")) {
        specs[0].dims = em_shape(16, HEAD);
        specs[1].dims = em_shape(HEAD, HEAD);
        specs[2].dims = em_shape(HEAD);
    }
    return 3;
}

static em_array *normal(em_scope *scope, em_dims dims, unsigned seed)
{
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    float *values = malloc(n * sizeof *values);
    for (size_t i = 0; values && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int)seed * (2.0f / 2147483648.0f);
    }
    em_array *array = values ? em_constant_f32(scope, values, dims) : NULL;
    free(values);
    return array;
}

static void fail(const request *q)
{
    fprintf(stderr, "chains: %s %ld: %s\n", q->chain, q->elements, em_last_error());
    exit(1);
}

static void show(const char *line, void *user)
{
    (void)user;
    fprintf(stderr, "  %s\n", line);
}

/* One timed run, or with `program` NULL one timed compilation. */
static double run_once(const request *q, em_program *program, const em_compile_options *options, em_array **in)
{
    em_spec specs[3];
    em_array *out = NULL;
    double start = now();
    em_program *made = program ? NULL : em_compile(trace, (void *)q, specs, specs_of(q, specs), 1, options);
    if (program ? em_run(program, in, &out) != EM_OK : !made)
        fail(q);
    double took = now() - start;
    em_array_release(&out);
    em_program_free(made);
    return took;
}

static void answer(const request *q, double budget, em_lane lane, bool describe)
{
    static double times[MAX_RUNS];
    em_spec specs[3];
    em_array *in[3];
    em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_scope *s = em_scope_new(NULL);
    size_t n = specs_of(q, specs);
    for (size_t i = 0; i < n; i++)
        in[i] = normal(s, specs[i].dims, (unsigned)i + 1);
    em_program *program = strcmp(q->chain, "compile") ? em_compile(trace, (void *)q, specs, n, 1, &options) : NULL;
    if (!program && strcmp(q->chain, "compile"))
        fail(q);
    if (describe)
        em_program_describe(program, show, NULL);
    int runs = 0;
    run_once(q, program, &options, in);
    for (double end = now() + budget; runs < MAX_RUNS && (runs < 2 || now() < end); runs++)
        times[runs] = run_once(q, program, &options, in);
    qsort(times, (size_t)runs, sizeof *times, ascending);
    printf("{\"chain\": \"%s\", \"elements\": %ld, \"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n", q->chain,
           q->elements, 1e6 * times[runs / 2], 1e6 * times[0], runs);
    fflush(stdout);
    em_program_free(program);
    em_scope_free(s);
}

int main(int argc, char **argv)
{
    request q;
    double milliseconds;
    bool native = argc > 1 && !strcmp(argv[1], "native"), describe = argc > 1 && !strcmp(argv[1], "describe");
    while (scanf("%15s %ld %lf", q.chain, &q.elements, &milliseconds) == 3)
        answer(&q, milliseconds / 1e3, native ? EM_NATIVE : EM_FUSE, describe);
    return 0;
}
