/*
 * Chains: random ones over dtypes, broadcasts, row lengths around the tiles, reductions, NaN and infinities have
 * eager's bits on both devices and at any number of threads; what known compositions become; every allocation failed
 * once.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

#define MOST 48
#define INPUTS 6

typedef struct recipe {
    uint64_t seed;
    em_dims full;
    em_dtype dtype;
} recipe;

static bool is_float(em_array *a)
{
    em_dtype_kind kind = em_dtype_get_kind(em_array_dtype(a));
    return kind == EM_KIND_FLOAT;
}

static em_array *mapped(em_scope *s, em_array *a, rng *r)
{
    static const em_dtype dtypes[] = {EM_F32, EM_F32, EM_F16, EM_BF16, EM_F64, EM_S32, EM_U8, EM_S64, EM_S8, EM_PRED};
    if (rng_below(r, 5) == 0 || em_array_dtype(a) == EM_PRED)
        return em_cast(s, a, dtypes[rng_below(r, 10)]);
    if (!is_float(a))
        return rng_below(r, 2) ? em_neg(s, a) : em_square(s, a);
    switch (rng_below(r, 8)) {
    case 0: return em_tanh(s, a);
    case 1: return em_exp(s, a);
    case 2: return em_rsqrt(s, a);
    case 3: return em_floor(s, a);
    case 4: return em_gelu(s, a);
    case 5: return em_abs(s, a);
    case 6: return em_is_nan(s, a);
    default: return em_cos(s, a);
    }
}

static em_array *joined(em_scope *s, em_array *a, em_array *b, rng *r)
{
    switch (rng_below(r, 8)) {
    case 0: return em_less(s, a, b);
    case 1: return em_select(s, em_greater_equal(s, a, b), a, b);
    case 2: return em_select(s, em_cast(s, a, EM_PRED), b, a);
    case 3: return em_equal(s, b, a);
    default: break;
    }
    if (em_array_dtype(a) == EM_PRED && em_array_dtype(b) == EM_PRED)
        return em_logical_and(s, a, b);
    switch (rng_below(r, 5)) {
    case 0: return em_add(s, a, b);
    case 1: return em_sub(s, a, b);
    case 2: return em_mul(s, a, b);
    case 3: return em_div(s, a, b);
    default: return em_maximum(s, a, b);
    }
}

/* A reduction of the last axis, kept, dropped, or dropped and put back; sometimes of all axes or the first. */
static em_array *reduced(em_scope *s, em_array *a, rng *r)
{
    int rank = em_array_dims(a).rank;
    em_axes axes = rank > 1 && rng_below(r, 12) == 0 ? EM_AXES(0) : rng_below(r, 12) == 0 ? EM_ALL_AXES : EM_AXES(-1);
    bool keep = rng_below(r, 2);
    if (rank == 0)
        return a;
    switch (rng_below(r, 4)) {
    case 0: a = em_sum(s, a, axes, keep); break;
    case 1: a = em_mean(s, a, axes, keep); break;
    case 2: a = em_max(s, em_cast(s, a, EM_F32), axes, keep); break;
    default: a = em_min(s, em_cast(s, a, EM_F32), axes, keep); break;
    }
    return !keep && axes.count == 1 && axes.axes[0] == -1 && rng_below(r, 2) ? em_expand_dims(s, a, -1) : a;
}

static bool broadcasts(em_array *a, em_array *b, const em_dims *full)
{
    em_dims x = em_array_dims(a), y = em_array_dims(b);
    for (int i = 1; i <= full->rank; i++) {
        int64_t p = i <= x.rank ? x.dims[x.rank - i] : 1, q = i <= y.rank ? y.dims[y.rank - i] : 1;
        int64_t size = p > q ? p : q;
        if ((p != q && p != 1 && q != 1) || (size != 1 && size != full->dims[full->rank - i]))
            return false;
    }
    return true;
}

static em_status random_chain(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const recipe *q = user;
    rng r = {q->seed};
    em_array *values[MOST + INPUTS + 2];
    size_t n = 0, ops = 2 + rng_below(&r, MOST - 2);
    for (; n < INPUTS; n++)
        values[n] = in[n];
    values[n++] = em_scalar(s, q->dtype, 3);
    size_t first = n;
    for (; n < ops + first; n++) {
        em_array *a = values[n - 1 - rng_below(&r, n < 4 ? n : 4)], *b = values[rng_below(&r, n)];
        size_t kind = rng_below(&r, 10);
        values[n] = kind < 1    ? em_broadcast_to(s, broadcasts(a, in[0], &q->full) ? a : in[2], q->full)
                    : kind < 3  ? reduced(s, a, &r)
                    : kind >= 7 ? mapped(s, a, &r)
                    : broadcasts(a, b, &q->full) ? joined(s, a, b, &r)
                                                 : mapped(s, b, &r);
        if (!values[n])
            return em_scope_status(s);
    }
    out[0] = values[n - 1];
    out[1] = rng_below(&r, 2) ? values[n - 2] : values[first + rng_below(&r, n - first)];
    return em_scope_status(s);
}

/* Inputs: two full ones (one handed over transposed), a row, a column, a scalar, one of rank - 1. */
static void shapes_of(const recipe *q, em_dims *dims)
{
    for (int i = 0; i < INPUTS; i++)
        dims[i] = q->full;
    dims[2] = (em_dims){1, {q->full.dims[q->full.rank - 1]}};
    dims[3].dims[q->full.rank - 1] = 1;
    dims[4] = (em_dims){0, {0}};
    dims[5].rank--;
}

static void show(const char *line, void *user)
{
    (void)user;
    print_message("  %s\n", line);
}

static void count_chains(const char *line, void *user)
{
    *(int *)user += strstr(line, "fused_chain") != NULL;
}

/* The first element with other bits, past the last when there is none; NaN is NaN. */
static size_t first_difference(em_array *got, em_array *want)
{
    const unsigned char *x = em_array_data(got), *y = em_array_data(want);
    em_dtype dtype = em_array_dtype(want);
    size_t size = em_dtype_size(dtype), n = em_array_size(want), at = 0;
    assert_int_equal(em_array_bytes(got), n * size);
    for (; at < n; at++) {
        bool same = memcmp(x + at * size, y + at * size, size) == 0;
        if (!same && !(isnan(expect_element(dtype, x, at)) && isnan(expect_element(dtype, y, at))))
            break;
    }
    return at;
}

/* Returns how many chains the program has. */
static int check_chain(em_device *device, const recipe *q)
{
    int chains = 0;
    em_scope *s = em_scope_new(device);
    em_array *in[INPUTS], *eager[2], *fused[2];
    em_dims dims[INPUTS];
    em_spec specs[INPUTS];
    rng r = {q->seed * 31 + 7};
    shapes_of(q, dims);
    for (int i = 0; i < INPUTS; i++) {
        size_t n = 1;
        for (int d = 0; d < dims[i].rank; d++)
            n *= (size_t)dims[i].dims[d];
        void *data = em__alloc(n * 8);
        (q->seed % 3 ? rng_fill : rng_fill_edges)(&r, q->dtype, data, n);
        in[i] = em_constant(s, q->dtype, data, dims[i]);
        specs[i] = (em_spec){q->dtype, dims[i]};
        em__free(data);
    }
    EXPECT_OK(random_chain(s, in, eager, (void *)q));
    em_compile_options options = {.struct_size = sizeof options, .lane = EM_FUSE, .device = device};
    em_program *program = em_compile(random_chain, (void *)q, specs, INPUTS, 2, &options);
    if (!program)
        fail_msg("seed %llu: %s", (unsigned long long)q->seed, em_last_error());
    em_program_describe(program, count_chains, &chains);
    EXPECT_OK(em_run(program, in, fused));
    for (int i = 0; i < 2; i++) {
        size_t at = first_difference(fused[i], eager[i]);
        if (at < em_array_size(eager[i])) {
            em_program_describe(program, show, NULL);
            fail_msg("%s, seed %llu, output %d: element %zu of %zu differs", em_device_name(device),
                     (unsigned long long)q->seed, i, at, em_array_size(eager[i]));
        }
        em_array_release(&fused[i]);
    }
    em_program_free(program);
    em_scope_free(s);
    return chains;
}

static recipe recipe_of(uint64_t seed, bool small)
{
    static const em_dtype dtypes[] = {EM_F32, EM_F32, EM_F32, EM_F16, EM_BF16, EM_F64, EM_S32, EM_U8, EM_S64};
    static const em_dims shapes[] = {{2, {5, 7}},       {2, {40, 64}},  {3, {3, 4, 130}}, {2, {33, 1025}},
                                     {2, {9, 2050}},    {1, {5000}},    {3, {2, 1, 700}}, {2, {1, 16}},
                                     {4, {2, 3, 5, 4}}, {2, {12, 6000}}};
    return (recipe){seed, shapes[seed * 7 / 3 % (small ? 3 : 10)], dtypes[seed % 9]};
}

static void test_random_chains_on_cpu(void **state)
{
    (void)state;
    if (default_has_own_memory())
        skip(); /* a GPU's chains may sum in another order than its kernels */
    int chains = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        recipe q = recipe_of(seed, false);
        if (seed % 100 == 0)
            EXPECT_OK(em_device_set_threads(em_device_default(), (int)(seed / 100)));
        chains += check_chain(em_device_default(), &q);
    }
    print_message("%d chains\n", chains);
    assert_true(chains >= 300); /* equal bits say nothing where nothing was merged */
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
    recipe q = recipe_of(966, false); /* a wide register once changed its element's size between two tiles */
    check_chain(em_device_default(), &q);
}

static void test_random_chains_on_ref(void **state)
{
    (void)state;
    int chains = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        recipe q = recipe_of(seed, true);
        chains += check_chain(em_device_find("ref"), &q);
    }
    print_message("%d chains\n", chains);
    assert_true(chains >= 60);
}

static em_status gate(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_mul(s, in[0], em_sigmoid(s, em_add(s, in[1], in[2])));
    return em_scope_status(s);
}

/* So long a result goes past the caches, tile by tile, and shorter tiles where a polynomial waits for memory. */
static void test_larger_than_caches(void **state)
{
    (void)state;
    const em_dims dims[3] = {{2, {8193, 1030}}, {2, {8193, 1030}}, {1, {1030}}};
    em_scope *s = em_scope_new(NULL);
    em_array *in[3], *got[2];
    em_spec specs[3];
    for (int i = 0; i < 3; i++) {
        const size_t n = (size_t)dims[i].dims[0] * (i < 2 ? 1030 : 1);
        float *data = em__alloc(n * sizeof *data);
        for (size_t k = 0; k < n; k++)
            data[k] = (float)((k * 2654435761u + (size_t)i) % 2003) / 250 - 4;
        in[i] = em_constant_f32(s, data, dims[i]);
        specs[i] = (em_spec){EM_F32, dims[i]};
        em__free(data);
    }
    for (int i = 0; i < 2; i++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = i ? EM_FUSE : EM_NATIVE};
        em_program *program = em_compile(gate, NULL, specs, 3, 1, &options);
        assert_non_null(program);
        EXPECT_OK(em_run(program, in, &got[i]));
        em_program_free(program);
    }
    if (!default_has_own_memory())
        assert_int_equal(first_difference(got[1], got[0]), em_array_size(got[0]));
    em_array_release(&got[0]);
    em_array_release(&got[1]);
    em_scope_free(s);
}

/* A variance in primitives, and a gate that reads its row's mean: one kernel with two reductions. */
static em_status centred(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *d = em_sub(s, in[0], em_mean(s, in[0], EM_AXES(-1), true));
    em_array *v = em_mean(s, em_abs(s, d), EM_AXES(-1), false); /* with squares it would be a layer_norm */
    em_array *r = em_rsqrt(s, em_add(s, v, em_scalar(s, EM_F32, 1e-6)));
    out[0] = em_tanh(s, em_mul(s, em_mul(s, d, em_expand_dims(s, r, -1)), em_exp(s, in[1])));
    return em_scope_status(s);
}

static const em_spec centred_specs[] = {{EM_F32, {2, {20, 300}}}, {EM_F32, {2, {20, 300}}}};

static void keep_line(const char *line, void *user)
{
    snprintf(user, 1024, "%s", line);
}

static void test_profile_names_the_steps(void **state)
{
    (void)state;
    char line[1024] = "";
    em_program *program = em_compile(centred, NULL, centred_specs, 2, 1, NULL);
    em_program_stats stats = {.struct_size = sizeof stats};
    assert_non_null(program);
    em_program_get_stats(program, &stats);
    assert_int_equal(stats.kernels, 1);
    assert_int_equal(stats.fallback_calls, 0);
    em_program_describe(program, keep_line, line);
    assert_non_null(strstr(line, "[sum, div, sub, abs, sum, div, add, rsqrt, mul, exp, mul, tanh]"));
    em_program_free(program);
}

static em_status compile_centred(void *user)
{
    (void)user;
    em_program *program = em_compile(centred, NULL, centred_specs, 2, 1, NULL);
    if (!program)
        return em_last_status();
    em_program_free(program);
    return EM_OK;
}

static void test_every_allocation_failed(void **state)
{
    (void)state;
    faults_sweep(compile_centred, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_chains_on_cpu), cmocka_unit_test(test_random_chains_on_ref),
        cmocka_unit_test(test_larger_than_caches), cmocka_unit_test(test_profile_names_the_steps),
        cmocka_unit_test(test_every_allocation_failed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
