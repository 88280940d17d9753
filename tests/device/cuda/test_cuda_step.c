/*
 * A layer of a decoder for one token: the fuse lane, which merges its calls on the cuda device, against the native
 * lane, which runs them one by one: result and caches. Weights bf16, then 4-bit; a second run must have the same bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"

enum { WIDTH = 512, HEADS = 8, KV_HEADS = 4, HEAD = 64, INNER = 1024, CAPACITY = 700, OUTPUTS = 3 };

static em_device *gpu;
static uint32_t state = 2463534242u;

static float uniform(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (float)state / 2147483648.0f - 1;
}

static em_array *filled(em_scope *s, em_dims dims, float middle, float spread)
{
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = middle + spread * uniform();
    em_array *array = em_constant_f32(s, values, dims);
    free(values);
    return array;
}

/* A matrix [n, k] as models have it: bf16, or codes with scales and biases. */
typedef struct matrix {
    em_array *weight;
    em_quantized codes;
} matrix;

static const em_quantization how = {.struct_size = sizeof how, .mode = EM_QUANT_AFFINE, .group = 64, .bits = 4};

typedef struct layer {
    matrix q, k, v, o, gate, up, down, head;
    em_array *norms[3], *q_norm, *k_norm;
    bool quantized;
} layer;

static matrix make_matrix(em_scope *s, int64_t n, int64_t k, bool quantized)
{
    matrix m = {0};
    em_array *w = em_cast(s, filled(s, em_shape(n, k), 0, 0.1f), EM_BF16);
    if (quantized)
        m.codes = em_quantize(s, w, &how);
    else
        m.weight = w;
    em_array *parts[] = {m.weight, m.codes.codes, m.codes.scales, m.codes.biases};
    for (int i = 0; i < 4; i++)
        assert_true(!parts[i] || em_eval(s, parts[i]) == EM_OK);
    return m;
}

static layer make_layer(em_scope *s, bool quantized)
{
    layer l = {.quantized = quantized};
    l.q = make_matrix(s, HEADS * HEAD, WIDTH, quantized);
    l.k = make_matrix(s, KV_HEADS * HEAD, WIDTH, quantized);
    l.v = make_matrix(s, KV_HEADS * HEAD, WIDTH, quantized);
    l.o = make_matrix(s, WIDTH, HEADS * HEAD, quantized);
    l.gate = make_matrix(s, INNER, WIDTH, quantized);
    l.up = make_matrix(s, INNER, WIDTH, quantized);
    l.down = make_matrix(s, WIDTH, INNER, quantized);
    l.head = make_matrix(s, 500, WIDTH, quantized);
    for (int i = 0; i < 3; i++)
        l.norms[i] = filled(s, em_shape(WIDTH), 1, 0.2f);
    l.q_norm = filled(s, em_shape(HEAD), 1, 0.2f);
    l.k_norm = filled(s, em_shape(HEAD), 1, 0.2f);
    return l;
}

static em_array *product(em_scope *s, em_array *x, const matrix *m)
{
    return m->weight ? em_linear(s, x, m->weight, NULL) : em_quantized_matmul(s, x, &m->codes, &how, true);
}

static em_array *heads(em_scope *s, em_array *x, em_array *norm, em_array *const *in)
{
    x = em_reshape(s, x, em_shape(1, 1, -1, HEAD));
    if (norm) {
        em_rope_options turn = {.struct_size = sizeof turn, .dims = HEAD, .freqs = in[6], .axis = 1};
        x = em_rope(s, em_rms_norm(s, x, norm, 1e-6), in[3], &turn);
    }
    return em_transpose(s, x, EM_AXES(0, 2, 1, 3));
}

/* Inputs: keys, values, x, position, slot, length, periods. Outputs: keys, values, logits. */
static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const layer *l = user;
    em_array *x = in[2], *h = em_rms_norm(s, x, l->norms[0], 1e-6);
    em_array *q = heads(s, product(s, h, &l->q), l->q_norm, in);
    out[0] = em_kv_update(s, in[0], heads(s, product(s, h, &l->k), l->k_norm, in), in[4]);
    out[1] = em_kv_update(s, in[1], heads(s, product(s, h, &l->v), NULL, in), in[4]);
    em_sdpa_options seen = {.struct_size = sizeof seen, .lengths = in[5], .scale = 0.125, .causal = true};
    em_array *mixed = em_transpose(s, em_sdpa_with(s, q, out[0], out[1], &seen), EM_AXES(0, 2, 1, 3));
    x = em_add(s, x, product(s, em_reshape(s, mixed, em_shape(1, 1, -1)), &l->o));
    h = em_rms_norm(s, x, l->norms[1], 1e-6);
    h = em_mul(s, em_silu(s, product(s, h, &l->gate)), product(s, h, &l->up));
    x = em_add(s, x, product(s, h, &l->down));
    out[2] = product(s, em_rms_norm(s, x, l->norms[2], 1e-6), &l->head);
    return em_scope_status(s);
}

/* Runs the layer in the lane; the results as f32, one list behind the other. */
static size_t run(em_lane lane, layer *l, em_array *const *inputs, float *results)
{
    const em_dims cache = em_shape(1, KV_HEADS, CAPACITY, HEAD);
    const em_spec specs[] = {
        {EM_BF16, cache},      {EM_BF16, cache},      {EM_F32, em_shape(1, 1, WIDTH)}, {EM_S32, em_shape(1)},
        {EM_S32, em_shape(1)}, {EM_S32, em_shape(1)}, {EM_F32, em_shape(HEAD / 2)}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane, .device = gpu, .donated = 2};
    em_program *program = em_compile(trace, l, specs, 7, OUTPUTS, &options);
    assert_non_null(program);
    em_array *outputs[OUTPUTS];
    size_t n = 0;
    for (int turn = 0; turn < 2; turn++) {
        float *to = results + (turn ? n : 0);
        n = 0;
        assert_int_equal(em_run(program, inputs, outputs), EM_OK);
        for (int i = 0; i < OUTPUTS; i++) {
            em_scope *s = em_scope_new(gpu);
            em_array *wide = em_cast(s, outputs[i], EM_F32);
            assert_int_equal(em_eval(s, wide), EM_OK);
            memcpy(to + n, em_array_data(wide), em_array_bytes(wide));
            n += em_array_bytes(wide) / sizeof(float);
            em_scope_free(s);
            em_array_release(&outputs[i]);
        }
    }
    assert_memory_equal(results, results + n, n * sizeof(float));
    em_program_free(program);
    return n;
}

static void check_layer(bool quantized, int32_t place)
{
    static float native[2 * (2 * KV_HEADS * CAPACITY * HEAD + 500)], fused[2 * (2 * KV_HEADS * CAPACITY * HEAD + 500)];
    const int32_t length = place + 1;
    float periods[HEAD / 2];
    em_scope *s = em_scope_new(gpu);
    assert_non_null(s);
    layer l = make_layer(s, quantized);
    for (int i = 0; i < HEAD / 2; i++)
        periods[i] = powf(10000, 2.0f * (float)i / HEAD);
    em_array *inputs[7];
    for (int i = 0; i < 2; i++)
        inputs[i] = em_cast(s, filled(s, em_shape(1, KV_HEADS, CAPACITY, HEAD), 0, 1), EM_BF16);
    inputs[2] = filled(s, em_shape(1, 1, WIDTH), 0, 1);
    inputs[3] = inputs[4] = em_constant(s, EM_S32, &place, em_shape(1));
    inputs[5] = em_constant(s, EM_S32, &length, em_shape(1));
    inputs[6] = em_constant_f32(s, periods, em_shape(HEAD / 2));
    for (int i = 0; i < 7; i++)
        assert_int_equal(em_eval(s, inputs[i]), EM_OK);
    const size_t n = run(EM_NATIVE, &l, inputs, native);
    assert_int_equal(run(EM_FUSE, &l, inputs, fused), n);
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) { /* a cache rounds its rows: one may fall the other way */
        error += ((double)native[i] - fused[i]) * ((double)native[i] - fused[i]);
        size += (double)native[i] * native[i];
    }
    assert_true(sqrt(error / size) < 1e-4);
    em_scope_free(s);
}

static void test_layer_of_bf16(void **unused)
{
    (void)unused;
    check_layer(false, 70);
    check_layer(false, 601);
}

static void test_layer_of_4_bits(void **unused)
{
    (void)unused;
    check_layer(true, 70);
    check_layer(true, 601);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layer_of_bf16), cmocka_unit_test(test_layer_of_4_bits)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
