/*
 * Causal attention of many queries of halves against f32 on the processor: random sizes of heads, numbers of queries
 * and of keys, with windows, sinks, several sequences of different lengths, keys that lie by tokens. There is NaN past
 * each length.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/sample.h"

enum { MOST = 4 };

static em_device *gpu, *cpu;
static uint32_t state = 88675123u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

typedef struct shape {
    int batch, heads, kv_heads, queries, keys, size, value_size, window;
    bool sinks, lengths, by_tokens;
    em_dtype dtype;
    int32_t length[MOST];
} shape;

static float *numbers(size_t n)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)draw() / 2147483648.0f - 1;
    return x;
}

/* Keys or values. */
static float *cache(const shape *as, int size)
{
    return numbers((size_t)as->batch * (size_t)(as->kv_heads * as->keys * size));
}

/* What lies past the lengths becomes NaN. */
static void spoil(const shape *as, float *x, int size)
{
    for (int b = 0; b < as->batch && as->lengths; b++)
        for (int h = 0; h < as->kv_heads; h++)
            for (int i = as->length[b]; i < as->keys; i++)
                for (int d = 0; d < size; d++)
                    x[((b * as->kv_heads + h) * as->keys + i) * size + d] = NAN;
}

static em_array *laid(em_scope *s, const shape *as, const float *x, int heads, int rows, int size, bool exact)
{
    em_array *a = em_cast(s, em_constant_f32(s, x, em_shape(as->batch, heads, rows, size)), as->dtype);
    if (exact)
        return em_cast(s, a, EM_F32);
    if (!as->by_tokens)
        return a;
    a = em_reshape(s, em_transpose(s, a, EM_AXES(0, 2, 1, 3)), em_shape(as->batch, rows, heads * size));
    return em_transpose(s, em_reshape(s, a, em_shape(as->batch, rows, heads, size)), EM_AXES(0, 2, 1, 3));
}

/* The result as f32. */
static float *attend(em_device *device, const shape *as, const float *q, const float *k, const float *v,
                     const float *sinks, size_t *n)
{
    em_scope *s = em_scope_new(device);
    assert_non_null(s);
    const bool exact = device == cpu;
    em_sdpa_options how = {.struct_size = sizeof how, .causal = true, .window = as->window};
    if (as->sinks)
        how.sinks = em_constant_f32(s, sinks, em_shape(as->heads));
    if (as->lengths)
        how.lengths = em_constant(s, EM_S32, as->length, em_shape(as->batch));
    em_array *out = em_sdpa_with(s, laid(s, as, q, as->heads, as->queries, as->size, exact),
                                 laid(s, as, k, as->kv_heads, as->keys, as->size, exact),
                                 laid(s, as, v, as->kv_heads, as->keys, as->value_size, exact), &how);
    em_array *wide = em_cast(s, out, EM_F32);
    if (em_eval(s, wide) != EM_OK)
        fail_msg("%s", em_scope_error(s));
    *n = em_array_bytes(wide) / sizeof(float);
    float *got = malloc(em_array_bytes(wide));
    assert_non_null(got);
    memcpy(got, em_array_data(wide), em_array_bytes(wide));
    em_scope_free(s);
    return got;
}

static void check(const shape *as)
{
    size_t n;
    if (!sample_takes())
        return;
    float *q = numbers((size_t)as->batch * (size_t)(as->heads * as->queries * as->size));
    float *k = cache(as, as->size), *v = cache(as, as->value_size), *sinks = numbers((size_t)as->heads);
    float *want = attend(cpu, as, q, k, v, sinks, &n);
    spoil(as, k, as->size);
    spoil(as, v, as->value_size);
    float *got = attend(gpu, as, q, k, v, sinks, &n);
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    if (!(sqrt(error) <= (as->dtype == EM_BF16 ? 6e-3 : 1e-3) * sqrt(size)))
        fail_msg("%d x %d/%d heads, %d queries of %d keys (length %d), %d and %d wide, window %d: error %g", as->batch,
                 as->heads, as->kv_heads, as->queries, as->keys, as->lengths ? as->length[0] : as->keys, as->size,
                 as->value_size, as->window, sqrt(error / size));
    float *again = attend(gpu, as, q, k, v, sinks, &n);
    assert_memory_equal(got, again, n * sizeof(float));
    float *const all[] = {q, k, v, sinks, got, want, again};
    for (int i = 0; i < 7; i++)
        free(all[i]);
}

static void test_prompts(void **unused)
{
    static const shape shapes[] = {
        {.batch = 1, .heads = 4, .kv_heads = 2, .queries = 512, .keys = 512, .size = 128, .value_size = 128},
        {.batch = 1,
         .heads = 2,
         .kv_heads = 1,
         .queries = 320,
         .keys = 1000,
         .size = 128,
         .value_size = 128,
         .lengths = true,
         .length = {777}},
        {.batch = 2,
         .heads = 2,
         .kv_heads = 2,
         .queries = 65,
         .keys = 130,
         .size = 64,
         .value_size = 64,
         .lengths = true,
         .length = {65, 130}},
        {.batch = 1,
         .heads = 2,
         .kv_heads = 1,
         .queries = 200,
         .keys = 600,
         .size = 128,
         .value_size = 128,
         .window = 50},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int half = 0; half < 2; half++) {
            shape as = shapes[i];
            as.dtype = half ? EM_F16 : EM_BF16;
            check(&as);
        }
}

static void test_random(void **unused)
{
    (void)unused;
    for (int i = 0; i < 40; i++) {
        shape as = {.batch = 1 + (int)(draw() % 3), .kv_heads = 1 + (int)(draw() % 2)};
        as.heads = as.kv_heads * (1 + (int)(draw() % 3));
        as.queries = 1 + (int)(draw() % 260);
        as.keys = 1 + (int)(draw() % 400); /* fewer than queries now and then: some see nothing */
        as.size = draw() % 3 ? 128 : 8 * (1 + (int)(draw() % 16));
        as.value_size = draw() % 3 ? as.size : 8 * (1 + (int)(draw() % 16));
        as.window = draw() % 3 ? 0 : 1 + (int)(draw() % 150);
        as.sinks = draw() % 3 == 0;
        as.lengths = draw() % 2;
        as.by_tokens = draw() % 2;
        as.dtype = draw() % 2 ? EM_BF16 : EM_F16;
        for (int b = 0; b < MOST; b++)
            as.length[b] = (int32_t)(draw() % (uint32_t)(as.keys + 1));
        check(&as);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prompts), cmocka_unit_test(test_random)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    cpu = em_device_find("cpu");
    assert_non_null(cpu);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
