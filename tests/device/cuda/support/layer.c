/* See layer.h. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"

/* Inputs: keys and values of all layers, then these. Outputs: those keys and values, the result, what is watched. */
enum { X, POSITIONS, SLOTS, LENGTHS, PERIODS, OTHERS };
enum { MOST_LAYERS = 5, MOST_INPUTS = 2 * MOST_LAYERS + OTHERS, WATCHED = 2, MOST_BATCH = 8, MOST_HEAD = 256 };

/* A matrix [n, k] as models have it. */
typedef struct matrix {
    em_array *weight; /* NULL: codes */
    em_quantized codes;
} matrix;

typedef struct layer {
    const layer_shape *as;
    const layer_way *way;
    em_quantization how;
    matrix q, k, v, o, gate, up, down, head;
    em_array *norms[3], *q_norm, *k_norm;
} layer;

/* What a layer is made with. */
typedef struct maker {
    em_scope *scope;
    rng *random;
    const layer *layer;
} maker;

static em_array *filled(const maker *m, em_dims dims, double middle, double spread)
{
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)rng_between(m->random, middle - spread, middle + spread);
    em_array *array = em_constant_f32(m->scope, values, dims);
    free(values);
    return array;
}

static matrix make_matrix(const maker *m, int64_t n, int64_t k)
{
    matrix x = {0};
    em_array *w = em_cast(m->scope, filled(m, em_shape(n, k), 0, 0.1), m->layer->as->weights);
    if (m->layer->how.group)
        x.codes = em_quantize(m->scope, w, &m->layer->how);
    else
        x.weight = w;
    em_array *parts[] = {x.weight, x.codes.codes, x.codes.scales, x.codes.biases};
    for (int i = 0; i < 4; i++)
        assert_true(!parts[i] || em_eval(m->scope, parts[i]) == EM_OK);
    return x;
}

static void make_layer(const maker *m, layer *l)
{
    const layer_shape *as = l->as;
    const int64_t queries = as->heads * as->head, keys = as->kv_heads * as->head;
    l->q = make_matrix(m, queries, as->width);
    l->k = make_matrix(m, keys, as->width);
    l->v = make_matrix(m, keys, as->width);
    l->o = make_matrix(m, as->width, queries);
    l->gate = make_matrix(m, as->inner, as->width);
    l->up = make_matrix(m, as->inner, as->width);
    l->down = make_matrix(m, as->width, as->inner);
    if (as->outputs)
        l->head = make_matrix(m, as->outputs, as->width);
    for (int i = 0; i < 3; i++)
        l->norms[i] = filled(m, em_shape(as->width), 1, 0.2);
    if (as->norms) {
        l->q_norm = filled(m, em_shape(as->head), 1, 0.2);
        l->k_norm = filled(m, em_shape(as->head), 1, 0.2);
    }
}

static int caches_of(const layer_shape *as)
{
    assert_true(as->layers <= MOST_LAYERS);
    return 2 * (as->layers ? as->layers : 1);
}

static em_array *make_x(const maker *m)
{
    const layer_shape *as = m->layer->as;
    const em_dims dims = em_shape(as->batch, as->tokens, as->width);
    if (!as->apart)
        return filled(m, dims, 0, 1);
    const int64_t n = (int64_t)as->batch * as->tokens * as->width;
    const int64_t start = 1, stop = n + 1;
    em_array *more = filled(m, em_shape(n + 1), 0, 1);
    EXPECT_OK(em_eval(m->scope, more));
    return em_reshape(m->scope, em_slice(m->scope, more, &start, &stop, NULL), dims);
}

static void make_inputs(const maker *m, em_array **in)
{
    const layer_shape *as = m->layer->as;
    const int caches = caches_of(as);
    int32_t places[MOST_BATCH], lengths[MOST_BATCH];
    float periods[MOST_HEAD / 2];
    assert_true(as->batch <= MOST_BATCH && as->head <= MOST_HEAD);
    for (int i = 0; i < as->head / 2; i++)
        periods[i] = powf(10000, 2.0f * (float)i / (float)as->head);
    for (int i = 0; i < as->batch; i++) {
        places[i] = as->place;
        lengths[i] = as->place + as->tokens;
    }
    for (int i = 0; i < caches; i++)
        in[i] =
            em_cast(m->scope, filled(m, em_shape(as->batch, as->kv_heads, as->capacity, as->head), 0, 1), as->cache);
    in += caches;
    in[X] = make_x(m);
    in[POSITIONS] = in[SLOTS] = em_constant(m->scope, EM_S32, places, em_shape(as->batch));
    in[LENGTHS] = em_constant(m->scope, EM_S32, lengths, em_shape(as->batch));
    in[PERIODS] = em_constant_f32(m->scope, periods, em_shape(as->head / 2));
    for (int i = -caches; i < OTHERS; i++)
        EXPECT_OK(em_eval(m->scope, in[i]));
}

static em_array *product(em_scope *s, em_array *x, const layer *l, const matrix *m)
{
    return m->weight ? em_linear(s, x, m->weight, NULL) : em_quantized_matmul(s, x, &m->codes, &l->how, true);
}

/* `in` begins with x. */
static em_array *heads(em_scope *s, em_array *x, const layer *l, em_array *norm, bool turned, em_array *const *in)
{
    x = em_reshape(s, x, em_shape(l->as->batch, l->as->tokens, -1, l->as->head));
    if (norm)
        x = em_rms_norm(s, x, norm, 1e-6);
    if (turned) {
        em_rope_options turn = {.struct_size = sizeof turn, .dims = l->as->head, .freqs = in[PERIODS], .axis = 1};
        x = em_rope(s, x, in[POSITIONS], &turn);
    }
    return em_transpose(s, x, EM_AXES(0, 2, 1, 3));
}

/* One layer: its caches are updated in place. `in` begins with x; watched: the results of both norms. */
static em_array *trace_layer(em_scope *s, em_array *x, const layer *l, em_array **keys, em_array **values,
                             em_array *const *in, em_array **watched)
{
    const layer_shape *as = l->as;
    em_array *h = watched[0] = em_rms_norm(s, x, l->norms[0], 1e-6);
    em_array *q = heads(s, product(s, h, l, &l->q), l, l->q_norm, as->turned, in);
    em_array *k = heads(s, product(s, h, l, &l->k), l, l->k_norm, as->turned, in);
    *keys = em_kv_update(s, *keys, k, in[SLOTS]);
    *values = em_kv_update(s, *values, heads(s, product(s, h, l, &l->v), l, NULL, false, in), in[SLOTS]);
    em_sdpa_options seen = {.struct_size = sizeof seen,
                            .lengths = in[LENGTHS],
                            .scale = 1 / sqrt(as->head),
                            .causal = true,
                            .window = as->window};
    em_array *mixed = em_transpose(s, em_sdpa_with(s, q, *keys, *values, &seen), EM_AXES(0, 2, 1, 3));
    mixed = em_reshape(s, mixed, em_shape(as->batch, as->tokens, -1));
    x = em_add(s, x, product(s, mixed, l, &l->o));
    h = watched[1] = em_rms_norm(s, x, l->norms[1], 1e-6);
    h = em_mul(s, em_silu(s, product(s, h, l, &l->gate)), product(s, h, l, &l->up));
    return em_add(s, x, product(s, h, l, &l->down));
}

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const layer *l = user;
    const int caches = caches_of(l->as), layers = caches / 2;
    em_array *x = in[caches + X], *watched[WATCHED] = {0};
    for (int i = 0; i < layers; i++) {
        out[i] = in[i];
        out[layers + i] = in[layers + i];
        x = trace_layer(s, x, l, &out[i], &out[layers + i], in + caches, watched);
    }
    out[caches] = l->as->outputs ? product(s, em_rms_norm(s, x, l->norms[2], 1e-6), l, &l->head) : x;
    for (int i = 0; i < WATCHED && l->way->watched; i++)
        out[caches + 1 + i] = watched[i];
    return em_scope_status(s);
}

/* The values as f32; how many there are. */
static size_t keep(em_device *device, em_array *result, float *to)
{
    em_scope *s = em_scope_new(device);
    em_array *wide = em_cast(s, result, EM_F32);
    EXPECT_OK(em_eval(s, wide));
    const size_t n = em_array_bytes(wide) / sizeof *to;
    memcpy(to, em_array_data(wide), n * sizeof *to);
    em_scope_free(s);
    return n;
}

static em_program *compile(em_device *device, layer *l)
{
    const layer_shape *as = l->as;
    const int caches = caches_of(as);
    const em_spec each = {EM_S32, em_shape(as->batch)};
    em_spec specs[MOST_INPUTS];
    for (int i = 0; i < caches; i++)
        specs[i] = (em_spec){as->cache, em_shape(as->batch, as->kv_heads, as->capacity, as->head)};
    for (int i = POSITIONS; i <= LENGTHS; i++)
        specs[caches + i] = each;
    specs[caches + X] = (em_spec){EM_F32, em_shape(as->batch, as->tokens, as->width)};
    specs[caches + PERIODS] = (em_spec){EM_F32, em_shape(as->head / 2)};
    const em_compile_options options = {.struct_size = sizeof options,
                                        .lane = l->way->lane,
                                        .device = device,
                                        .donated = (size_t)caches,
                                        .half_products = l->way->half_products};
    em_program *program = em_compile(trace, l, specs, (size_t)caches + OTHERS,
                                     (size_t)caches + 1 + (l->way->watched ? WATCHED : 0), &options);
    assert_non_null(program);
    return program;
}

/* Runs the layers twice; its results, in room for those of both runs, one list behind the other. */
static void run(em_device *device, layer *l, em_array *const *inputs, float *results, size_t n)
{
    const int kept = caches_of(l->as) + 1;
    em_array *outputs[2 * MOST_LAYERS + 1 + WATCHED] = {0};
    em_program *program = compile(device, l);
    for (int turn = 0; turn < 2; turn++) {
        size_t used = 0;
        EXPECT_OK(em_run(program, inputs, outputs));
        for (int i = 0; i < kept + WATCHED; i++) {
            if (i < kept)
                used += keep(device, outputs[i], results + (size_t)turn * n + used);
            em_array_release(&outputs[i]);
        }
        assert_int_equal(used, n);
    }
    assert_memory_equal(results, results + n, n * sizeof *results);
    em_program_free(program);
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

layer_errors layer_compare(em_device *device, rng *random, const layer_shape *as, const layer_way *want,
                           const layer_way *got)
{
    const size_t cached = (size_t)(caches_of(as) / 2 * as->batch * as->kv_heads * as->capacity * as->head),
                 made = (size_t)(as->batch * as->tokens * (as->outputs ? as->outputs : as->width)),
                 n = 2 * cached + made;
    float *one = malloc(2 * n * sizeof *one), *other = malloc(2 * n * sizeof *other);
    em_scope *s = em_scope_new(device);
    assert_true(one && other && s);
    layer l = {.as = as, .how = {sizeof l.how, .mode = EM_QUANT_AFFINE, .group = as->group, .bits = 4}};
    const maker m = {s, random, &l};
    em_array *inputs[MOST_INPUTS];
    make_layer(&m, &l);
    make_inputs(&m, inputs);
    l.way = want;
    run(device, &l, inputs, one, n);
    l.way = got;
    run(device, &l, inputs, other, n);
    const layer_errors errors = {error_of(one, other, cached), error_of(one + cached, other + cached, cached),
                                 error_of(one + 2 * cached, other + 2 * cached, made), error_of(one, other, n)};
    em_scope_free(s);
    free(one);
    free(other);
    return errors;
}
