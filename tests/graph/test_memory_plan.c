/*
 * The memory plan: no two values that live at once overlap, and the arena is at most a tenth larger than the most that
 * lives at any step, which no plan can go below, or by a small value. On random programs and on layers of a
 * transformer.
 */
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>

#include "graph/program.h"
#include "graph/support/random_graph.h"
#include "harness/expect.h"
#include "harness/rng.h"

enum { SPARE = 256 }; /* bytes: [1, 64] of f32, where no more than a few such live at once */

/* The most bytes that live at one step. */
static size_t lower_bound(const em_program *p)
{
    size_t most = 0;
    for (int step = 0; step < (int)p->steps.length; step++) {
        size_t live = 0;
        for (size_t i = 0; i < p->storages.length; i++) {
            const em__storage *s = &p->storages.data[i];
            live += s->kind == EM__AT_ARENA && s->first <= step && step <= s->last ? s->size : 0;
        }
        most = live > most ? live : most;
    }
    return most;
}

static void expect_no_overlap(const em_program *p)
{
    for (size_t i = 0; i < p->storages.length; i++)
        for (size_t j = 0; j < i; j++) {
            const em__storage *a = &p->storages.data[i], *b = &p->storages.data[j];
            bool together =
                a->kind == EM__AT_ARENA && b->kind == EM__AT_ARENA && a->first <= b->last && b->first <= a->last;
            if (together && a->offset < b->offset + b->size && b->offset < a->offset + a->size)
                fail_msg("storages %zu and %zu overlap", i, j);
        }
}

static em_array *weight(em_scope *s, int64_t rows, int64_t columns, uint64_t seed)
{
    float *data = malloc((size_t)(rows * columns) * sizeof *data);
    rng r = {seed};
    rng_fill(&r, EM_F32, data, (size_t)(rows * columns));
    em_array *array = em_constant_f32(s, data, em_shape(rows, columns));
    free(data);
    return array;
}

typedef struct shape {
    int64_t tokens, size, heads, inner;
    int layers;
    em_scope *weights;
} shape;

static em_array *heads_of(em_scope *s, em_array *x, const shape *h)
{
    return em_transpose(s, em_reshape(s, x, em_shape(1, h->tokens, h->heads, h->size / h->heads)),
                        (em_axes){4, {0, 2, 1, 3}});
}

static em_array *layer(em_scope *s, em_array *x, const shape *h, uint64_t seed)
{
    em_array *q = em_linear(s, x, weight(h->weights, h->size, h->size, seed), NULL);
    em_array *k = em_linear(s, x, weight(h->weights, h->size, h->size, seed + 1), NULL);
    em_array *v = em_linear(s, x, weight(h->weights, h->size, h->size, seed + 2), NULL);
    em_array *a = em_sdpa(s, heads_of(s, q, h), heads_of(s, k, h), heads_of(s, v, h), NULL, 0, true);
    a = em_reshape(s, em_transpose(s, a, (em_axes){4, {0, 2, 1, 3}}), em_shape(h->tokens, h->size));
    x = em_layer_norm(s, em_add(s, x, em_linear(s, a, weight(h->weights, h->size, h->size, seed + 3), NULL)), NULL,
                      NULL, 1e-5);
    em_array *up = em_gelu(s, em_linear(s, x, weight(h->weights, h->inner, h->size, seed + 4), NULL));
    return em_layer_norm(s, em_add(s, x, em_linear(s, up, weight(h->weights, h->size, h->inner, seed + 5), NULL)), NULL,
                         NULL, 1e-5);
}

static em_status transformer(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const shape *h = user;
    out[0] = in[0];
    for (int i = 0; i < h->layers; i++)
        out[0] = layer(s, out[0], h, (uint64_t)i * 10 + 1);
    return em_scope_status(s);
}

static void test_transformers(void **state)
{
    (void)state;
    shape shapes[] = {{16, 64, 4, 256, 3, NULL}, {33, 96, 3, 384, 2, NULL}, {1, 64, 4, 172, 4, NULL}};
    for (size_t i = 0; i < 3; i++)
        for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
            const em_spec spec = {EM_F32, {2, {shapes[i].tokens, shapes[i].size}}};
            const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
            shapes[i].weights = em_scope_new(NULL);
            em_program *p = em_compile(transformer, &shapes[i], &spec, 1, 1, &options);
            assert_non_null(p);
            expect_no_overlap(p);
            size_t least = lower_bound(p);
            if (p->arena_bytes > least + (least > 10 * SPARE ? least / 10 : SPARE))
                fail_msg("shape %zu, lane %d: the arena has %zu bytes, %zu live at once", i, lane, p->arena_bytes,
                         least);
            em_program_free(p);
            em_scope_free(shapes[i].weights);
        }
}

static void test_random_programs(void **state)
{
    (void)state;
    static const em_spec specs[] = {{EM_F32, {2, {5, 7}}}, {EM_F32, {2, {7, 6}}}};
    size_t arena = 0, least = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        em_scope *s = em_scope_new(NULL);
        random_graph g = {.seed = seed, .steps = 60, .constant = weight(s, 7, 6, seed)};
        em_program *p = em_compile(random_graph_trace, &g, specs, 2, GRAPH_OUTPUTS, NULL);
        assert_non_null(p);
        expect_no_overlap(p);
        arena += p->arena_bytes;
        least += lower_bound(p);
        em_program_free(p);
        em_scope_free(s);
    }
    print_message("random programs: arenas %.3f times what lives at once\n", (double)arena / (double)least);
    assert_true(arena <= least + least / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transformers), cmocka_unit_test(test_random_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
