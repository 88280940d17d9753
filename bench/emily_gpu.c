/*
 * Times ops on the default device (EMILY_DEVICE=cuda) as peers on a GPU are timed: many are asked for one after
 * another, then the device is waited for. Each line "OP DTYPE N MILLISECONDS" on standard input is answered by one line
 * of JSON {"op", "dtype", "n", "median_us", "best_us", "runs"}: microseconds an op (a replay of the graph). OP is
 *
 *     add exp gelu pow softmax sum_rows argmax sort layer_norm
 *                           on n x n arrays, four sets in turn: more than the chip's caches hold
 *     matmul                n x n by n x n
 *     eager eager_matmul    a chain of 1,000 adds of n elements, or products of n x n, one after the other
 *     upload                n MiB of host memory, taken up by a kernel that reads them
 *     native fuse           a program of 1,000 dependent nodes on n elements
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/order.h>
#include <emily/program.h>

#include "timing.h"

enum { SETS = 4, NODES = 1000, MOST_RUNS = 2000 };

typedef struct bench {
    em_device *device;
    em_dtype dtype;
    long n;
    bool flat; /* operands are [n], not [n, n] */
    em_scope *scope;
    em_array *a[SETS], *b[SETS], *positive[SETS], *weight;
    em_program *program;
    em_lane lane;
    int turn;
} bench;

static void stop(const char *what, const char *why)
{
    fprintf(stderr, "emily_gpu: %s: %s\n", what, why);
    exit(1);
}

static em_array *values(bench *b, em_dims dims, double seed)
{
    em_array *row = em_iota(b->scope, EM_F32, dims, dims.rank - 1), *column = em_iota(b->scope, EM_F32, dims, 0);
    em_array *x = em_sin(b->scope, em_add(b->scope, em_mul(b->scope, row, em_scalar(b->scope, EM_F32, seed)), column));
    x = em_cast(b->scope, x, b->dtype);
    if (!x || em_eval(b->scope, x) != EM_OK)
        stop("operands", em_scope_error(b->scope));
    return x;
}

static void set_up(bench *b, em_dtype dtype, long n, bool flat)
{
    if (b->scope && b->dtype == dtype && b->n == n && b->flat == flat)
        return;
    em_program_free(b->program);
    em_scope_free(b->scope);
    *b = (bench){.device = b->device, .dtype = dtype, .n = n, .flat = flat, .scope = em_scope_new(b->device)};
    em_dims dims = flat ? em_shape(n) : em_shape(n, n);
    for (int i = 0; i < SETS; i++) {
        b->a[i] = values(b, dims, 0.37 + i);
        b->b[i] = values(b, dims, 0.73 + i);
        b->positive[i] = em_exp(b->scope, b->a[i]);
        if (em_eval(b->scope, b->positive[i]) != EM_OK)
            stop("operands", em_scope_error(b->scope));
    }
    b->weight = values(b, em_shape(n), 0.11);
}

static em_array *apply(em_scope *s, const char *op, const bench *b, int set)
{
    em_array *x = b->a[set], *y = b->b[set];
    if (!strcmp(op, "add"))
        return em_add(s, x, y);
    if (!strcmp(op, "exp"))
        return em_exp(s, x);
    if (!strcmp(op, "gelu"))
        return em_gelu(s, x);
    if (!strcmp(op, "pow"))
        return em_pow(s, b->positive[set], y);
    if (!strcmp(op, "argmax"))
        return em_argmax(s, x, -1);
    if (!strcmp(op, "sort"))
        return em_sort(s, x, -1, false);
    if (!strcmp(op, "softmax"))
        return em_softmax(s, x, -1);
    if (!strcmp(op, "sum_rows"))
        return em_sum(s, x, EM_AXES(-1), false);
    if (!strcmp(op, "layer_norm"))
        return em_layer_norm(s, x, b->weight, b->weight, 1e-5);
    if (!strcmp(op, "matmul"))
        return em_matmul(s, x, y);
    return NULL;
}

/* `count` ops, one asked for after the other; seconds until all are done. */
static double run_ops(bench *b, const char *op, int count)
{
    double begin = now();
    for (int i = 0; i < count; i++) {
        em_scope *s = em_scope_new(b->device);
        em_array *y = apply(s, op, b, b->turn++ % SETS);
        if (!y || em_eval(s, y) != EM_OK)
            stop(op, y ? em_scope_error(s) : "no such op");
        em_scope_free(s);
    }
    if (em_device_wait(b->device) != EM_OK)
        stop(op, em_last_error());
    return (now() - begin) / count;
}

static double run_eager(bench *b, bool products, int count)
{
    double begin = now();
    for (int i = 0; i < count; i++) {
        em_scope *s = em_scope_new(b->device);
        em_array *x = b->a[0];
        for (int k = 0; k < NODES; k++)
            if (!(x = products ? em_matmul(s, x, b->b[0]) : em_add(s, x, b->b[0])) || em_eval(s, x) != EM_OK)
                stop("eager", em_scope_error(s));
        em_scope_free(s);
    }
    if (em_device_wait(b->device) != EM_OK)
        stop("eager", em_last_error());
    return (now() - begin) / count / NODES;
}

/* x = tanh(x) * y, half as many times as there are nodes. */
static em_status chain(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *x = in[0];
    for (int i = 0; i < NODES; i += 2)
        x = em_mul(s, em_tanh(s, x), in[1]);
    out[0] = x;
    return em_scope_status(s);
}

static double run_program(bench *b, em_lane lane, int count)
{
    const em_spec spec = {b->dtype, em_shape(b->n)}, specs[] = {spec, spec};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane, .device = b->device};
    if (b->program && b->lane != lane)
        em_program_free(b->program), b->program = NULL;
    b->lane = lane;
    if (!b->program && !(b->program = em_compile(chain, NULL, specs, 2, 1, &options)))
        stop("program", em_last_error());
    double begin = now();
    for (int i = 0; i < count; i++) {
        em_array *out = NULL;
        if (em_run(b->program, (em_array *[]){b->a[0], b->b[0]}, &out) != EM_OK)
            stop("program", em_last_error());
        em_array_release(&out);
    }
    if (em_device_wait(b->device) != EM_OK)
        stop("program", em_last_error());
    return (now() - begin) / count;
}

/* Pages that were touched, as those of a mapped file in memory are; wrapped anew, so that they go up each time. */
static double run_upload(bench *b, int count)
{
    static float *host;
    static long most;
    if (most < b->n) {
        free(host);
        most = b->n;
        host = malloc((size_t)most << 20);
        if (!host)
            stop("upload", "no memory");
        memset(host, 1, (size_t)most << 20);
    }
    double begin = now();
    for (int i = 0; i < count; i++) {
        em_scope *s = em_scope_new(b->device);
        em_array *x = em_scope_adopt(s, em_array_wrap(EM_F32, host, em_shape(b->n << 18), NULL, NULL));
        em_array *y = x ? em_sum(s, x, EM_ALL_AXES, false) : NULL;
        if (!y || em_eval(s, y) != EM_OK)
            stop("upload", em_last_error());
        em_scope_free(s);
    }
    if (em_device_wait(b->device) != EM_OK)
        stop("upload", em_last_error());
    return (now() - begin) / count;
}

static double run(bench *b, const char *op, int count)
{
    if (!strcmp(op, "upload"))
        return run_upload(b, count);
    if (!strncmp(op, "eager", 5))
        return run_eager(b, op[5] == '_', count);
    if (!strcmp(op, "native") || !strcmp(op, "fuse"))
        return run_program(b, *op == 'n' ? EM_NATIVE : EM_FUSE, count);
    return run_ops(b, op, count);
}

/* Whether operands are [n]. */
static bool is_flat(const char *op)
{
    static const char *const flat[] = {"eager", "upload", "native", "fuse"};
    for (size_t i = 0; i < sizeof flat / sizeof flat[0]; i++)
        if (!strcmp(op, flat[i]))
            return true;
    return false;
}

/* Rounds of about 2 ms each, so that waiting for the device weighs little. */
static void answer(bench *b, const char *op, double budget)
{
    static double times[MOST_RUNS];
    int runs = 0;
    run(b, op, 2);
    double once = run(b, op, 3) * (!strncmp(op, "eager", 5) ? NODES : 1);
    int count = once < 2e-3 ? (int)(2e-3 / once) + 1 : 1;
    for (double end = now() + budget; runs < MOST_RUNS && (runs < 3 || now() < end); runs++)
        times[runs] = run(b, op, count);
    qsort(times, (size_t)runs, sizeof *times, ascending);
    printf("{\"op\": \"%s\", \"dtype\": \"%s\", \"n\": %ld, \"median_us\": %.3f, \"best_us\": %.3f, \"runs\": %d}\n",
           op, em_dtype_name(b->dtype), b->n, 1e6 * times[runs / 2], 1e6 * times[0], runs * count);
    fflush(stdout);
}

int main(void)
{
    bench b = {.device = em_device_default()};
    char op[16], name[16];
    long n;
    double milliseconds;
    em_dtype dtype;
    if (!b.device)
        stop("device", em_last_error());
    while (scanf("%15s %15s %ld %lf", op, name, &n, &milliseconds) == 4) {
        if (n < 1 || n > 16384 || em_dtype_parse(name, &dtype) != EM_OK)
            stop(op, "n is 1 to 16384, of a floating-point dtype");
        set_up(&b, dtype, n, is_flat(op));
        answer(&b, op, milliseconds / 1e3);
    }
    em_program_free(b.program);
    em_scope_free(b.scope);
    return 0;
}
