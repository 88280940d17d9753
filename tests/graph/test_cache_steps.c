/*
 * Steps of a decoder over donated caches, in f32, halves and 8 bits: programs write where the caches lie, and give the
 * bits of eager, in prefill as in decoding, with sequences of their own lengths.
 */
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"
#include "harness/rng.h"

enum { B = 2, H = 4, KV = 2, ROOM = 300, D = 32, STEPS = 3, MOST = 4 };

typedef struct step {
    em_dtype cache;
    int tokens, caches; /* k, v and, of codes, the scales of k and of v */
} step;

/* caches, then rows [B, KV, T, D] for k and v, q, positions, lengths */
static em_status attend(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const step *t = user;
    em_array *const *rest = in + t->caches;
    em_sdpa_options o = {.struct_size = sizeof o, .lengths = rest[4], .causal = true, .window = 200};
    for (int i = 0; i < 2 && t->cache != EM_S8; i++)
        out[i] = em_kv_update(s, in[i], rest[i], rest[3]);
    for (int i = 0; i < 2 && t->cache == EM_S8; i++) {
        out[i] = em_kv_codes(s, in[i], rest[i], rest[3]);
        out[2 + i] = em_kv_scales(s, in[2 + i], rest[i], rest[3]);
    }
    if (t->cache == EM_S8) {
        o.k_scales = out[2];
        o.v_scales = out[3];
    }
    out[t->caches] = em_sdpa_with(s, rest[2], out[0], out[1], &o);
    return em_scope_status(s);
}

static size_t list(const step *t, em_spec *specs)
{
    const em_dims cache = em_shape(B, KV, ROOM, D), scales = em_shape(B, KV, ROOM);
    for (int i = 0; i < t->caches; i++)
        specs[i] = (em_spec){i < 2 ? t->cache : EM_F32, i < 2 ? cache : scales};
    em_spec *rest = specs + t->caches;
    rest[0] = rest[1] = (em_spec){EM_F32, em_shape(B, KV, t->tokens, D)};
    rest[2] = (em_spec){EM_F32, em_shape(B, H, t->tokens, D)};
    rest[3] = rest[4] = (em_spec){EM_S32, em_shape(B)};
    return (size_t)t->caches + 5;
}

static size_t bytes_of(const em_spec *spec)
{
    size_t n = em_dtype_size(spec->dtype);
    for (int i = 0; i < spec->dims.rank; i++)
        n *= (size_t)spec->dims.dims[i];
    return n;
}

/* The caches move on, and `out` [B, H, T, D] is filled. */
static void run_eager(const step *t, const em_spec *specs, void *const *inputs, float *out)
{
    em_array *in[MOST + 5], *results[MOST + 1];
    em_scope *s = em_scope_new(NULL);
    for (int i = 0; i < t->caches + 5; i++)
        in[i] = em_constant(s, specs[i].dtype, inputs[i], specs[i].dims);
    EXPECT_OK(attend(s, in, results, (void *)t));
    for (int i = t->caches; i >= 0; i--) {
        EXPECT_OK(em_eval(s, results[i]));
        memcpy(i < t->caches ? inputs[i] : out, em_array_data(results[i]), em_array_bytes(results[i]));
    }
    em_scope_free(s);
}

static void check_steps(em_dtype cache, int tokens)
{
    step t = {cache, tokens, cache == EM_S8 ? 4 : 2};
    em_spec specs[MOST + 5];
    void *mine[MOST + 5], *theirs[MOST + 5], *outputs[MOST + 1];
    rng r = {5};
    const size_t n = list(&t, specs), size = bytes_of(&specs[t.caches + 2]);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(mine[i] = calloc(1, bytes_of(&specs[i])));
        assert_non_null(theirs[i] = calloc(1, bytes_of(&specs[i])));
    }
    float *want = malloc(size), *got = malloc(size);
    memcpy(outputs, mine, sizeof outputs);
    outputs[t.caches] = got;
    em_program *p =
        em_compile(attend, &t, specs, n, (size_t)t.caches + 1,
                   &(em_compile_options){
                       .struct_size = sizeof(em_compile_options), .lane = EM_NATIVE, .donated = (size_t)t.caches});
    assert_non_null(p);
    for (int i = 0; i < t.caches; i++)
        assert_true(em_program_updates(p, (size_t)i));
    for (int k = 0; k < STEPS; k++) {
        for (int i = 0; i < 3; i++)
            rng_fill(&r, EM_F32, mine[t.caches + i], bytes_of(&specs[t.caches + i]) / 4);
        for (int b = 0; b < B; b++) {
            ((int32_t *)mine[t.caches + 3])[b] = k * tokens + 7 * b;
            ((int32_t *)mine[t.caches + 4])[b] = (k + 1) * tokens + 7 * b;
        }
        for (size_t i = (size_t)t.caches; i < n; i++)
            memcpy(theirs[i], mine[i], bytes_of(&specs[i]));
        run_eager(&t, specs, theirs, want);
        EXPECT_OK(em_run_raw(p, (const void *const *)mine, outputs));
        EXPECT_SAME_BITS(EM_F32, got, want, size / 4);
        for (int i = 0; i < t.caches; i++)
            assert_memory_equal(mine[i], theirs[i], bytes_of(&specs[i]));
    }
    em_program_free(p);
    for (size_t i = 0; i < n; i++) {
        free(mine[i]);
        free(theirs[i]);
    }
    free(want);
    free(got);
}

static void test_steps(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_BF16, EM_F16, EM_S8};
    for (int d = 0; d < 4; d++)
        for (int tokens = 1; tokens <= 64; tokens *= 8)
            check_steps(dtypes[d], tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
