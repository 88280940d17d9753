/*
 * A layer of a decoder for many tokens: the fuse lane, whose calls the cuda device merges, against the same program
 * with results that keep them apart, which round at the same places. Random shapes with tails: heads with and without
 * norms, windows, halves of both kinds, caches that hold something already, several sequences. A second run must have
 * the same bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/sample.h"

enum { WATCHED = 2, OUTPUTS = 3, INPUTS = 7 };

static em_device *gpu;
static uint32_t state = 2463534242u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static em_array *filled(em_scope *s, em_dims dims, float middle, float spread)
{
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = middle + spread * ((float)draw() / 2147483648.0f - 1);
    em_array *array = em_constant_f32(s, values, dims);
    free(values);
    return array;
}

typedef struct shape {
    int batch, tokens, width, heads, kv_heads, head, inner, capacity, place, window;
    bool norms, turned;
    em_dtype weights, cache;
} shape;

typedef struct layer {
    shape as;
    bool watched; /* results of both norms are outputs */
    em_array *q, *k, *v, *o, *gate, *up, *down;
    em_array *norms[2], *q_norm, *k_norm;
} layer;

static em_array *matrix(em_scope *s, int64_t n, int64_t k, em_dtype dtype)
{
    em_array *w = em_cast(s, filled(s, em_shape(n, k), 0, 0.1f), dtype);
    assert_int_equal(em_eval(s, w), EM_OK);
    return w;
}

static layer make_layer(em_scope *s, const shape *as)
{
    layer l = {.as = *as};
    const int64_t queries = as->heads * as->head, keys = as->kv_heads * as->head;
    l.q = matrix(s, queries, as->width, as->weights);
    l.k = matrix(s, keys, as->width, as->weights);
    l.v = matrix(s, keys, as->width, as->weights);
    l.o = matrix(s, as->width, queries, as->weights);
    l.gate = matrix(s, as->inner, as->width, as->weights);
    l.up = matrix(s, as->inner, as->width, as->weights);
    l.down = matrix(s, as->width, as->inner, as->weights);
    for (int i = 0; i < 2; i++)
        l.norms[i] = filled(s, em_shape(as->width), 1, 0.2f);
    if (as->norms) {
        l.q_norm = filled(s, em_shape(as->head), 1, 0.2f);
        l.k_norm = filled(s, em_shape(as->head), 1, 0.2f);
    }
    return l;
}

static em_array *heads(em_scope *s, const layer *l, em_array *x, em_array *norm, bool turned, em_array *const *in)
{
    x = em_reshape(s, x, em_shape(l->as.batch, l->as.tokens, -1, l->as.head));
    if (norm)
        x = em_rms_norm(s, x, norm, 1e-6);
    if (turned) {
        em_rope_options turn = {.struct_size = sizeof turn, .dims = l->as.head, .freqs = in[6], .axis = 1};
        x = em_rope(s, x, in[3], &turn);
    }
    return em_transpose(s, x, EM_AXES(0, 2, 1, 3));
}

/* Inputs: keys, values, x, positions, slots, lengths, periods. Outputs: keys, values, x. */
static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const layer *l = user;
    em_array *x = in[2], *h = em_rms_norm(s, x, l->norms[0], 1e-6), *first = h;
    em_array *q = heads(s, l, em_linear(s, h, l->q, NULL), l->q_norm, l->as.turned, in);
    em_array *k = heads(s, l, em_linear(s, h, l->k, NULL), l->k_norm, l->as.turned, in);
    out[0] = em_kv_update(s, in[0], k, in[4]);
    out[1] = em_kv_update(s, in[1], heads(s, l, em_linear(s, h, l->v, NULL), NULL, false, in), in[4]);
    em_sdpa_options seen = {
        .struct_size = sizeof seen, .lengths = in[5], .scale = 0.125, .causal = true, .window = l->as.window};
    em_array *mixed = em_transpose(s, em_sdpa_with(s, q, out[0], out[1], &seen), EM_AXES(0, 2, 1, 3));
    mixed = em_reshape(s, mixed, em_shape(l->as.batch, l->as.tokens, -1));
    x = em_add(s, x, em_linear(s, mixed, l->o, NULL));
    h = em_rms_norm(s, x, l->norms[1], 1e-6);
    if (l->watched) {
        out[OUTPUTS] = first;
        out[OUTPUTS + 1] = h;
    }
    h = em_mul(s, em_silu(s, em_linear(s, h, l->gate, NULL)), em_linear(s, h, l->up, NULL));
    out[2] = em_add(s, x, em_linear(s, h, l->down, NULL));
    return em_scope_status(s);
}

/* Result i behind the others, as f32. */
static size_t keep(float *to, em_array *result)
{
    em_scope *s = em_scope_new(gpu);
    em_array *wide = em_cast(s, result, EM_F32);
    assert_int_equal(em_eval(s, wide), EM_OK);
    const size_t n = em_array_bytes(wide) / sizeof(float);
    memcpy(to, em_array_data(wide), em_array_bytes(wide));
    em_scope_free(s);
    return n;
}

/* Runs the layer twice; the results as f32, one list behind the other. */
static size_t run(layer *l, bool watched, em_array *const *inputs, float *results)
{
    const shape *as = &l->as;
    const em_dims cache = em_shape(as->batch, as->kv_heads, as->capacity, as->head);
    const em_spec specs[INPUTS] = {{as->cache, cache},
                                   {as->cache, cache},
                                   {EM_F32, em_shape(as->batch, as->tokens, as->width)},
                                   {EM_S32, em_shape(as->batch)},
                                   {EM_S32, em_shape(as->batch)},
                                   {EM_S32, em_shape(as->batch)},
                                   {EM_F32, em_shape(as->head / 2)}};
    const em_compile_options options = {
        .struct_size = sizeof options, .lane = EM_FUSE, .device = gpu, .donated = 2, .half_products = true};
    const size_t n_outputs = OUTPUTS + (watched ? WATCHED : 0);
    l->watched = watched;
    em_program *program = em_compile(trace, l, specs, INPUTS, n_outputs, &options);
    assert_non_null(program);
    em_array *outputs[OUTPUTS + WATCHED];
    size_t n = 0;
    for (int turn = 0; turn < 2; turn++) {
        float *to = results + (turn ? n : 0);
        n = 0;
        assert_int_equal(em_run(program, inputs, outputs), EM_OK);
        for (size_t i = 0; i < n_outputs; i++) {
            if (i < OUTPUTS)
                n += keep(to + n, outputs[i]);
            em_array_release(&outputs[i]);
        }
    }
    assert_memory_equal(results, results + n, n * sizeof(float));
    em_program_free(program);
    return n;
}

static double error_of(const float *want, const float *got, size_t n)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)want[i] - got[i]) * ((double)want[i] - got[i]);
        size += (double)want[i] * want[i];
    }
    return sqrt(error / size);
}

static void check_layer(const shape *as)
{
    if (!sample_takes())
        return;
    const size_t cached = (size_t)as->batch * (size_t)(as->kv_heads * as->capacity * as->head),
                 room = 2 * cached + (size_t)as->batch * (size_t)(as->tokens * as->width);
    float *apart = malloc(2 * room * sizeof *apart), *merged = malloc(2 * room * sizeof *merged), periods[128];
    int32_t places[4], lengths[4];
    assert_true(apart && merged && as->batch <= 4);
    em_scope *s = em_scope_new(gpu);
    assert_non_null(s);
    layer l = make_layer(s, as);
    for (int i = 0; i < as->head / 2; i++)
        periods[i] = powf(10000, 2.0f * (float)i / (float)as->head);
    for (int i = 0; i < as->batch; i++) {
        places[i] = as->place;
        lengths[i] = as->place + as->tokens;
    }
    em_array *inputs[INPUTS];
    for (int i = 0; i < 2; i++)
        inputs[i] = em_cast(s, filled(s, em_shape(as->batch, as->kv_heads, as->capacity, as->head), 0, 1), as->cache);
    inputs[2] = filled(s, em_shape(as->batch, as->tokens, as->width), 0, 1);
    inputs[3] = inputs[4] = em_constant(s, EM_S32, places, em_shape(as->batch));
    inputs[5] = em_constant(s, EM_S32, lengths, em_shape(as->batch));
    inputs[6] = em_constant_f32(s, periods, em_shape(as->head / 2));
    for (int i = 0; i < INPUTS; i++)
        assert_int_equal(em_eval(s, inputs[i]), EM_OK);
    const size_t n = run(&l, true, inputs, apart);
    assert_int_equal(run(&l, false, inputs, merged), n);
    /* sums of other orders: a value may round the other way, and more of them do at each place that rounds */
    const double keys = error_of(apart, merged, cached), values = error_of(apart + cached, merged + cached, cached),
                 result = error_of(apart + 2 * cached, merged + 2 * cached, n - 2 * cached);
    if (!(keys < 3e-4 && values < 3e-4 && result < 3e-3))
        fail_msg("%d x %d tokens of %d, %d/%d heads of %d%s%s, inner %d, place %d, window %d: errors %g, %g, %g",
                 as->batch, as->tokens, as->width, as->heads, as->kv_heads, as->head, as->norms ? " normalised" : "",
                 as->turned ? " turned" : "", as->inner, as->place, as->window, keys, values, result);
    em_scope_free(s);
    free(apart);
    free(merged);
}

static void test_as_models_have_them(void **unused)
{
    static const shape shapes[] = {
        {1, 100, 256, 4, 2, 128, 512, 160, 0, 0, true, true, EM_BF16, EM_BF16},
        {1, 256, 512, 8, 2, 128, 768, 256, 0, 0, false, true, EM_BF16, EM_BF16},    /* as Llama */
        {1, 130, 256, 4, 4, 64, 520, 400, 77, 0, true, true, EM_BF16, EM_BF16},     /* behind a prompt */
        {1, 300, 256, 4, 1, 128, 512, 512, 100, 96, false, true, EM_BF16, EM_BF16}, /* a window */
        {1, 64, 256, 2, 2, 128, 512, 100, 3, 0, false, false, EM_BF16, EM_BF16},    /* no positions */
        {1, 70, 256, 4, 2, 128, 512, 160, 0, 0, true, true, EM_F16, EM_F16},
        {1, 70, 256, 4, 2, 128, 512, 160, 9, 0, true, true, EM_BF16, EM_F16},
        {3, 40, 256, 4, 2, 64, 512, 96, 5, 0, true, true, EM_BF16, EM_BF16},
        {1, 1000, 256, 6, 3, 128, 3000, 1100, 50, 0, true, true, EM_BF16, EM_BF16}, /* wide tiles with tails */
        {1, 1024, 1024, 16, 8, 128, 3072, 1024, 0, 0, true, true, EM_BF16, EM_BF16},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check_layer(&shapes[i]);
}

static void test_random_shapes(void **unused)
{
    (void)unused;
    for (int i = 0; i < 12; i++) {
        shape as = {.batch = 1, .weights = EM_BF16, .cache = EM_BF16};
        as.tokens = 16 + (int)(draw() % 300);
        as.width = 8 * (1 + (int)(draw() % 80));
        as.kv_heads = 1 + (int)(draw() % 3);
        as.heads = as.kv_heads * (1 + (int)(draw() % 3));
        as.head = draw() % 2 ? 64 * (1 + (int)(draw() % 2)) : 8 * (1 + (int)(draw() % 16));
        as.inner = 8 * (1 + (int)(draw() % 120));
        as.place = (int)(draw() % 2 * (draw() % 200));
        as.capacity = as.place + as.tokens + (int)(draw() % 50);
        as.window = draw() % 3 ? 0 : 1 + (int)(draw() % 200);
        as.norms = draw() % 2;
        as.turned = draw() % 4 != 0;
        check_layer(&as);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_models_have_them),
                                       cmocka_unit_test(test_random_shapes)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
