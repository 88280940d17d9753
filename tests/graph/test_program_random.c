/*
 * Random programs: 1 to 60 ops over two inputs and a constant, views among them; a native replay has the bits of eager,
 * from fixed seeds.
 */
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"
#include "harness/rng.h"

#define MOST 64
#define PROGRAMS 150

typedef struct recipe {
    uint64_t seed;
    em_array *constant;
} recipe;

static em_array *matched(em_scope *s, em_array *a, em_array *b, rng *r)
{
    em_dims x = em_array_dims(a), y = em_array_dims(b);
    if (x.rank == 2 && y.rank == 2 && x.dims[1] == y.dims[0])
        return em_matmul(s, a, b);
    if (x.rank == 2 && y.rank == 2 && x.dims[1] == y.dims[1])
        return em_linear(s, a, b, NULL);
    bool same = x.rank == y.rank && memcmp(x.dims, y.dims, (size_t)x.rank * sizeof x.dims[0]) == 0;
    if (!same)
        return em_add(s, a, em_mean(s, b, EM_ALL_AXES, false));
    switch (rng_below(r, 4)) {
    case 0: return em_sub(s, a, b);
    case 1: return em_mul(s, a, b);
    case 2: return em_select(s, em_less(s, a, b), a, b);
    default: return em_maximum(s, a, b);
    }
}

static em_array *moved(em_scope *s, em_array *a, rng *r)
{
    em_dims d = em_array_dims(a);
    int64_t start[EM_MAX_RANK] = {0}, step[EM_MAX_RANK];
    for (int i = 0; i < d.rank; i++) {
        step[i] = 1 + (int64_t)rng_below(r, 2);
        start[i] = d.dims[i] > 2 ? (int64_t)rng_below(r, 2) : 0;
    }
    switch (rng_below(r, 6)) {
    case 0: return em_transpose(s, a, EM_ALL_AXES);
    case 1: return em_reverse(s, a, EM_ALL_AXES);
    case 2: return em_slice(s, a, start, d.dims, step);
    case 3: return em_reshape(s, a, em_shape((int64_t)em_array_size(a)));
    case 4: return d.rank == 1 ? em_reshape(s, a, em_shape(1, -1)) : em_concatenate(s, (em_array *[]){a, a}, 2, 0);
    default: return em_broadcast_to(s, em_expand_dims(s, em_max(s, a, EM_ALL_AXES, false), 0), em_shape(3, 4));
    }
}

static em_array *mapped(em_scope *s, em_array *a, rng *r)
{
    int last = em_array_dims(a).rank - 1;
    switch (rng_below(r, 8)) {
    case 0: return em_tanh(s, a);
    case 1: return em_gelu(s, a);
    case 2: return em_softmax(s, a, last);
    case 3: return em_softmax(s, a, 0);
    case 4: return em_layer_norm(s, a, NULL, NULL, 1e-5);
    case 5: return em_cast(s, em_cast(s, a, EM_F16), EM_F32);
    case 6: return em_sum(s, a, EM_AXES(0), true);
    default: return em_sin(s, a);
    }
}

static em_status random_program(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const recipe *q = user;
    rng r = {q->seed};
    em_array *values[MOST + 4] = {in[0], in[1], q->constant};
    size_t n = 3, ops = 1 + rng_below(&r, 60);
    for (; n < ops + 3; n++) {
        em_array *a = values[rng_below(&r, n)], *b = values[rng_below(&r, n)];
        size_t kind = rng_below(&r, 3);
        values[n] = kind == 0 ? matched(s, a, b, &r) : kind == 1 ? moved(s, a, &r) : mapped(s, a, &r);
        if (!values[n])
            return em_scope_status(s);
        if (em_array_size(values[n]) > 4096) /* concatenations and products must not run away */
            values[n] = in[0];
    }
    out[0] = values[n - 1];
    out[1] = values[rng_below(&r, n)];
    out[2] = values[rng_below(&r, n)];
    return EM_OK;
}

static void check_program(uint64_t seed)
{
    static const em_spec specs[] = {{EM_F32, {2, {5, 7}}}, {EM_F32, {2, {7, 6}}}};
    float data[3][42];
    rng r = {seed * 977 + 1};
    for (int i = 0; i < 3; i++)
        rng_fill(&r, EM_F32, data[i], 42);
    em_scope *s = em_scope_new(NULL);
    em_array *in[] = {em_constant_f32(s, data[0], em_shape(5, 7)), em_constant_f32(s, data[1], em_shape(7, 6))};
    em_array *eager[3], *native[3];
    recipe q = {seed, em_transpose(s, em_constant_f32(s, data[2], em_shape(6, 7)), EM_ALL_AXES)};
    EXPECT_OK(random_program(s, in, eager, &q));
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE};
    em_program *program = em_compile(random_program, &q, specs, 2, 3, &options);
    if (!program)
        fail_msg("seed %llu: %s", (unsigned long long)seed, em_last_error());
    EXPECT_OK(em_run(program, in, native));
    for (int i = 0; i < 3; i++) {
        size_t bytes = em_array_bytes(eager[i]);
        assert_int_equal(em_array_bytes(native[i]), bytes);
        if (memcmp(em_array_data(native[i]), em_array_data(eager[i]), bytes) != 0)
            fail_msg("seed %llu: output %d differs", (unsigned long long)seed, i);
        em_array_release(&native[i]);
    }
    em_program_free(program);
    em_scope_free(s);
}

static void test_native_has_eagers_bits(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++)
        check_program(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_native_has_eagers_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
