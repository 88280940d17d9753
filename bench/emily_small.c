/*
 * What an op costs beside its arithmetic: a chain of adds and muls over 16 floats, built and evaluated eagerly,
 * replayed as a program, and compiled. Prints one line of JSON: {"ops", "eager_us", "native_us", "fuse_us" (each an
 * op), "compile_ms"}, best of many. Use: emily_small [ops] [rounds]. The peers: bench/peers/small.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "timing.h"

enum { WIDTH = 16 };

static em_status chain(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    int ops = *(const int *)user;
    em_array *x = in[0];
    for (int i = 0; i < ops; i += 2)
        x = em_mul(s, em_add(s, x, in[1]), in[2]);
    out[0] = x;
    return em_scope_status(s);
}

static double eager_once(int ops, const float *data)
{
    em_scope *s = em_scope_new(NULL);
    em_array *in[3], *out;
    for (int i = 0; i < 3; i++)
        in[i] = em_constant_f32(s, data + i * WIDTH, em_shape(WIDTH));
    double begin = now();
    bool good = chain(s, in, &out, &ops) == EM_OK && em_eval(s, out) == EM_OK;
    double seconds = now() - begin;
    em_scope_free(s);
    return good ? seconds : -1;
}

static double replay_once(int ops, const float *data, em_lane lane, double *compile)
{
    const em_spec spec = {EM_F32, {1, {WIDTH}}}, specs[] = {spec, spec, spec};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    float result[WIDTH];
    double begin = now();
    em_program *p = em_compile(chain, &ops, specs, 3, 1, &options);
    *compile = now() - begin;
    double best = -1;
    for (int i = 0; i < 8 && p; i++) {
        begin = now();
        if (em_run_raw(p, (const void *[]){data, data + WIDTH, data + 2 * WIDTH}, (void *[]){result}) != EM_OK)
            break;
        double seconds = now() - begin;
        best = best < 0 || seconds < best ? seconds : best;
    }
    em_program_free(p);
    return best;
}

static void keep_best(double *best, double seconds)
{
    *best = seconds < *best ? seconds : *best;
}

int main(int argc, char **argv)
{
    int ops = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1000,
        rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 200;
    float data[3 * WIDTH];
    double eager = 1, native = 1, fuse = 1, compile = 1, ignored;
    for (int i = 0; i < 3 * WIDTH; i++)
        data[i] = i < WIDTH ? 1.0f : i < 2 * WIDTH ? 0.001f : 0.999f;
    for (int i = 0; i < rounds; i++) {
        keep_best(&eager, eager_once(ops, data));
        keep_best(&native, replay_once(ops, data, EM_NATIVE, &ignored));
        keep_best(&compile, ignored);
        keep_best(&fuse, replay_once(ops, data, EM_FUSE, &ignored));
    }
    printf("{\"ops\":%d,\"eager_us\":%.3f,\"native_us\":%.3f,\"fuse_us\":%.3f,\"compile_ms\":%.3f}\n", ops,
           eager / ops * 1e6, native / ops * 1e6, fuse / ops * 1e6, compile * 1e3);
    return 0;
}
