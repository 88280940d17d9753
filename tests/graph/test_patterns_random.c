/*
 * Random graphs of pieces that the matcher knows, spelled at random, whose inner values are used again at random: the
 * fuse lane must stay near eager whatever it finds. All values are [B, H, N, N], so that anything fits anywhere.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"
#include "harness/rng.h"
#include "harness/sample.h"

enum { B = 2, H = 2, N = 8, MOST = 96, INPUTS = 3, OUTPUTS = 2, SEEDS = 400 };

typedef struct graph {
    em_scope *s;
    rng r;
    em_array *values[MOST];
    size_t n;
} graph;

#define LAST EM_AXES(-1)

/* A value that may be used again. */
static em_array *keep(graph *g, em_array *x)
{
    if (g->n < MOST)
        g->values[g->n++] = x;
    return x;
}

static bool coin(graph *g)
{
    return rng_below(&g->r, 2);
}

static em_array *any(graph *g)
{
    size_t back = g->n < 8 || rng_below(&g->r, 4) == 0 ? g->n : 8;
    return g->values[g->n - 1 - rng_below(&g->r, back)];
}

static em_array *number(graph *g, double v)
{
    return em_scalar(g->s, EM_F32, v);
}

static em_array *times(graph *g, em_array *a, em_array *b)
{
    return coin(g) ? em_mul(g->s, a, b) : em_mul(g->s, b, a);
}

static em_array *plus(graph *g, em_array *a, em_array *b)
{
    return coin(g) ? em_add(g->s, a, b) : em_add(g->s, b, a);
}

static em_array *by(graph *g, em_array *x, double v)
{
    return coin(g) ? times(g, x, number(g, v)) : em_div(g->s, x, number(g, 1 / v));
}

/* A reduction, its axis kept or dropped and put back. */
static em_array *put_back(graph *g, em_array *(*reduce)(em_scope *, em_array *, em_axes, bool), em_array *x)
{
    return coin(g) ? reduce(g->s, x, LAST, true) : em_expand_dims(g->s, reduce(g->s, x, LAST, false), -1);
}

static em_array *mean_of(graph *g, em_array *x)
{
    return coin(g) ? em_mean(g->s, x, LAST, true) : by(g, put_back(g, em_sum, x), 1.0 / N);
}

static em_array *softmax_of(graph *g, em_array *x)
{
    if (coin(g))
        x = em_sub(g->s, x, put_back(g, em_max, x));
    em_array *e = keep(g, em_exp(g->s, x)), *sum = put_back(g, em_sum, e);
    return coin(g) ? em_div(g->s, e, sum) : times(g, e, em_reciprocal(g->s, sum));
}

static em_array *norm_of(graph *g, em_array *x)
{
    em_scope *s = g->s;
    em_array *d = coin(g) ? keep(g, em_sub(s, x, mean_of(g, x))) : x;
    em_array *v = plus(g, mean_of(g, coin(g) ? em_square(s, d) : em_mul(s, d, d)), number(g, 1e-3)), *y;
    if (coin(g))
        y = times(g, d, coin(g) ? em_rsqrt(s, v) : em_reciprocal(s, em_sqrt(s, v)));
    else
        y = em_div(s, d, em_sqrt(s, v));
    if (coin(g))
        y = times(g, keep(g, y), em_iota(s, EM_F32, em_shape(N), 0));
    return coin(g) ? plus(g, y, em_iota(s, EM_F32, em_shape(N), 0)) : y;
}

static em_array *activated(graph *g, em_array *x)
{
    em_scope *s = g->s;
    em_array *one = number(g, 1), *gate;
    switch (rng_below(&g->r, 4)) {
    case 0: return times(g, x, keep(g, em_sigmoid(s, x)));
    case 1: return em_div(s, x, plus(g, one, em_exp(s, em_neg(s, x))));
    case 2:
        gate = plus(g, one, em_erf(s, by(g, x, M_SQRT1_2)));
        return coin(g) ? times(g, by(g, x, 0.5), gate) : by(g, times(g, x, gate), 0.5);
    default:
        gate = plus(g, x, by(g, em_pow(s, x, number(g, 3)), 0.044715));
        return times(g, by(g, x, 0.5), plus(g, one, em_tanh(s, by(g, gate, sqrt(2 / M_PI)))));
    }
}

static em_array *half(graph *g, em_array *x, int64_t from)
{
    return em_slice(g->s, x, (int64_t[]){0, 0, 0, from}, (int64_t[]){B, H, N, from + N / 2}, NULL);
}

static em_array *rotated(graph *g, em_array *x)
{
    em_array *angle = em_cast(g->s, em_iota(g->s, EM_S32, em_shape(N, N), 0), EM_F32);
    em_array *parts[] = {em_neg(g->s, half(g, x, N / 2)), half(g, x, 0)};
    em_array *turned = keep(g, em_concatenate(g->s, parts, 2, -1));
    return plus(g, times(g, x, em_cos(g->s, angle)), times(g, turned, em_sin(g->s, angle)));
}

static em_array *attended(graph *g, em_array *q, em_array *k, em_array *v)
{
    em_scope *s = g->s;
    em_array *scores = keep(g, em_matmul(s, coin(g) ? by(g, q, 0.5) : q, em_transpose(s, k, EM_AXES(0, 1, 3, 2))));
    em_array *i = em_iota(s, EM_S32, em_shape(N, 1), 0), *j = em_iota(s, EM_S32, em_shape(1, N), 1);
    em_array *seen = coin(g) ? em_greater_equal(s, i, j) : em_less(s, j, em_scalar(s, EM_S32, 5));
    if (coin(g))
        scores = by(g, scores, 0.35);
    if (rng_below(&g->r, 4) == 0)
        scores = by(g, em_tanh(s, by(g, scores, 0.5)), 2);
    switch (rng_below(&g->r, 4)) {
    case 0: scores = em_select(s, seen, scores, number(g, -1e9)); break;
    case 1: scores = plus(g, scores, em_select(s, seen, number(g, 0), number(g, -1e9))); break;
    case 2: scores = plus(g, scores, any(g)); break;
    default: break;
    }
    return em_matmul(s, coin(g) ? keep(g, softmax_of(g, scores)) : softmax_of(g, scores), v);
}

static em_status build(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    graph g = {.s = s, .r = {*(uint64_t *)user}};
    for (int i = 0; i < INPUTS; i++)
        keep(&g, in[i]);
    size_t pieces = 1 + rng_below(&g.r, 10);
    for (size_t i = 0; i < pieces; i++) {
        em_array *x = any(&g), *y;
        switch (rng_below(&g.r, 7)) {
        case 0: y = softmax_of(&g, x); break;
        case 1: y = norm_of(&g, x); break;
        case 2: y = activated(&g, x); break;
        case 3: y = rotated(&g, x); break;
        case 4: y = attended(&g, x, any(&g), any(&g)); break;
        case 5: y = times(&g, x, any(&g)); break;
        default: y = plus(&g, x, any(&g)); break;
        }
        keep(&g, em_tanh(s, y)); /* stays of order 1 */
        if (coin(&g))
            g.n--; /* the piece itself instead */
        else
            continue;
        keep(&g, em_clip(s, y, number(&g, -2), number(&g, 2)));
    }
    out[0] = g.values[g.n - 1];
    out[1] = any(&g);
    return em_scope_status(s);
}

static void show(const char *line, void *user)
{
    (void)user;
    print_message("  %s\n", line);
}

static void count(const char *line, void *user)
{
    *(int *)user += strncmp(line, "near miss", 9) != 0;
}

static void test_random(void **state)
{
    (void)state;
    const em_spec spec = {EM_F32, {4, {B, H, N, N}}}, specs[] = {spec, spec, spec};
    int found = 0, taken = 0;
    double worst = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (!sample_takes())
            continue;
        taken++;
        em_array *in[INPUTS], *want[OUTPUTS], *got[OUTPUTS];
        float data[B * H * N * N];
        rng r = {seed};
        em_scope *s = em_scope_new(NULL);
        for (int i = 0; i < INPUTS; i++) {
            for (size_t j = 0; j < sizeof data / 4; j++)
                data[j] = (float)rng_between(&r, -1, 1);
            in[i] = em_constant_f32(s, data, spec.dims);
        }
        EXPECT_OK(build(s, in, want, &seed));
        em_program *program = em_compile(build, &seed, specs, INPUTS, OUTPUTS, NULL);
        if (!program)
            fail_msg("seed %d: %s", (int)seed, em_last_error());
        em_program_patterns(program, count, &found);
        EXPECT_OK(em_run(program, in, got));
        for (int o = 0; o < OUTPUTS; o++) {
            const float *a = em_array_data(got[o]), *b = em_array_data(want[o]);
            for (size_t j = 0; j < em_array_bytes(want[o]) / 4; j++) {
                double off = fabs((double)a[j] - (double)b[j]);
                if (!isfinite(b[j])) /* exp without the maximum overflows in eager alone */
                    continue;
                if (!(off <= 1e-4 * (1 + fabs((double)b[j])))) {
                    em_program_patterns(program, show, NULL);
                    em_program_describe(program, show, NULL);
                    fail_msg("seed %d, output %d: element %d is %.9g, eager has %.9g", (int)seed, o, (int)j,
                             (double)a[j], (double)b[j]);
                }
                worst = off > worst ? off : worst;
            }
            em_array_release(&got[o]);
        }
        em_program_free(program);
        em_scope_free(s);
    }
    print_message("%d graphs, patterns of %d kinds in all; the largest difference is %.1e\n", taken, found, worst);
    assert_true(found > taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
