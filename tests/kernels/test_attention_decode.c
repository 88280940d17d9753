/*
 * Attention of few queries, and of f32 queries over a cache of halves: against the ref device for every option and
 * dtype, and the kernels' promises about bits: the same for any thread count and for both vector widths, and those of
 * a cache that was cast to f32 before.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>

#include "core/float16.h"
#include "device/cpu/attention_kernels.h"
#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

typedef struct problem {
    int64_t heads, kv_heads, queries, keys, dim, value_dim;
    bool causal, mask, allowed, sinks, lengths;
    int window;
    double softcap;
} problem;

static const problem problems[] = {
    {1, 1, 1, 16, 16, 16, .window = 0},
    {4, 2, 1, 1000, 64, 64, .causal = true},
    {8, 1, 1, 300, 128, 128, .mask = true},
    {6, 6, 1, 257, 80, 48, .sinks = true, .lengths = true},
    {4, 2, 3, 700, 20, 100, .causal = true, .lengths = true},
    {2, 2, 8, 256, 8, 8, .causal = true, .window = 5, .allowed = true},
    {5, 1, 2, 513, 33, 7, .softcap = 3, .mask = true, .sinks = true, .window = 300},
    {8, 4, 1, 900, 64, 64, .causal = true, .window = 40, .lengths = true},
    /* many queries */
    {4, 2, 20, 100, 40, 24, .causal = true, .lengths = true},
    {2, 1, 60, 620, 8, 12, .causal = true, .lengths = true, .window = 90, .softcap = 9},
    {3, 3, 11, 48, 33, 65, .mask = true, .sinks = true},
    {3, 1, 9, 31, 64, 32, .allowed = true},
};

enum { BATCH = 2, PROBLEMS = sizeof problems / sizeof *problems };

static em_array *values(em_scope *s, rng *r, em_dtype dtype, em_dims d)
{
    size_t n = 1;
    for (int i = 0; i < d.rank; i++)
        n *= (size_t)d.dims[i];
    void *data = malloc(n * 4 + 1);
    assert_non_null(data);
    if (dtype == EM_PRED)
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)data)[i] = rng_below(r, 3) != 0;
    else
        rng_fill(r, dtype, data, n);
    em_array *a = em_constant(s, dtype, data, d);
    free(data);
    return a;
}

/* x with NaN where a cache was not written yet: on `axis` from each sequence's length on. */
static em_array *unwritten(em_scope *s, em_array *x, em_array *lengths, int axis)
{
    em_dims d = em_array_dims(x), one = {d.rank, {1, 1, 1, 1}};
    one.dims[0] = BATCH;
    em_array *behind = em_greater_equal(s, em_iota(s, EM_S32, d, axis), em_reshape(s, lengths, one));
    return em_select(s, behind, em_scalar(s, em_array_dtype(x), NAN), x);
}

/* `cast`: k and v are f32 before the op sees them. */
static em_array *attended(em_scope *s, const problem *p, em_dtype dtype, em_dtype cache, bool cast)
{
    rng r = {11};
    em_array *q = values(s, &r, dtype, em_shape(BATCH, p->heads, p->queries, p->dim));
    em_array *k = values(s, &r, cache, em_shape(BATCH, p->kv_heads, p->keys, p->dim));
    em_array *v = values(s, &r, cache, em_shape(BATCH, p->kv_heads, p->keys, p->value_dim));
    const int32_t lengths[BATCH] = {(int32_t)p->keys - 3, (int32_t)p->keys / 2};
    em_sdpa_options o = {.struct_size = sizeof o, .causal = p->causal, .window = p->window, .softcap = p->softcap};
    if (p->mask)
        o.mask = values(s, &r, EM_F32, em_shape(p->heads, 1, p->keys));
    if (p->allowed)
        o.mask = values(s, &r, EM_PRED, em_shape(BATCH, 1, 1, p->keys));
    if (p->sinks)
        o.sinks = values(s, &r, EM_F32, em_shape(p->heads));
    if (p->lengths)
        o.lengths = em_constant(s, EM_S32, lengths, em_shape(BATCH));
    if (cache == EM_S8) {
        o.k_scales =
            em_mul(s, values(s, &r, EM_F32, em_shape(BATCH, p->kv_heads, p->keys)), em_scalar(s, EM_F32, 0.01));
        o.v_scales =
            em_mul(s, values(s, &r, EM_F32, em_shape(BATCH, p->kv_heads, p->keys)), em_scalar(s, EM_F32, 0.01));
    }
    if (p->lengths && cache == EM_S8) {
        o.k_scales = unwritten(s, o.k_scales, o.lengths, 2);
        o.v_scales = unwritten(s, o.v_scales, o.lengths, 2);
    } else if (p->lengths) {
        k = unwritten(s, k, o.lengths, 2);
        v = unwritten(s, v, o.lengths, 2);
    }
    if (cast) {
        k = em_cast(s, k, EM_F32);
        v = em_cast(s, v, EM_F32);
    }
    em_array *y = em_sdpa_with(s, q, k, v, &o);
    assert_non_null(y);
    assert_int_equal(em_array_dtype(y), dtype);
    EXPECT_OK(em_eval(s, y));
    return y;
}

static void test_values(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16, EM_F32, EM_F32, EM_F32};
    static const em_dtype caches[] = {EM_F32, EM_F16, EM_BF16, EM_F16, EM_BF16, EM_S8};
    static const double slack[] = {4e-6, 0x1p-9, 0x1p-6, 4e-6, 4e-6, 2e-5};
    for (int i = 0; i < PROBLEMS; i++)
        for (int d = 0; d < 6; d++) {
            em_scope *ref = em_scope_new(em_device_find("ref")), *cpu = em_scope_new(em_device_default());
            em_array *want = attended(ref, &problems[i], dtypes[d], caches[d], false);
            em_array *got = attended(cpu, &problems[i], dtypes[d], caches[d], false);
            size_t n = em_array_bytes(want) / em_dtype_size(dtypes[d]);
            for (size_t j = 0; j < n; j++) {
                double a = expect_element(dtypes[d], em_array_data(got), j);
                double b = expect_element(dtypes[d], em_array_data(want), j);
                if (!(fabs(a - b) <= slack[d] * (1 + fabs(b))))
                    fail_msg("problem %d %s of %s: element %zu is %g, expected %g", i, em_dtype_name(dtypes[d]),
                             em_dtype_name(caches[d]), j, a, b);
            }
            em_scope_free(ref);
            em_scope_free(cpu);
        }
}

static void test_widened(void **state)
{
    (void)state;
    if (default_has_own_memory())
        skip(); /* a GPU has other kernels for f32 caches */
    for (int i = 0; i < PROBLEMS; i++)
        for (em_dtype cache = EM_F16; cache <= EM_BF16; cache++) {
            em_scope *s = em_scope_new(em_device_default());
            em_array *want = attended(s, &problems[i], EM_F32, cache, true);
            em_array *got = attended(s, &problems[i], EM_F32, cache, false);
            EXPECT_SAME_BITS(EM_F32, em_array_data(got), em_array_data(want), em_array_bytes(want) / 4);
            em_scope_free(s);
        }
}

enum { HEADS = 6, KV_HEADS = 2, QUERIES = 2, DIM = 40, ROOM = 600, OUT = HEADS * QUERIES * DIM };

typedef struct sample {
    em_dtype dtype, cache;
    float q[OUT], scales[KV_HEADS * ROOM], kv[KV_HEADS * ROOM * DIM], first[OUT], out[OUT];
} sample;

/* 420 keys exist, in a cache that seems to have room for so many. */
static void run(sample *x, const em__attention_kernels *k, int threads, int64_t room, int64_t window)
{
    const int32_t length = 420;
    em__attention_args args = {.batch = 1, .heads = HEADS, .kv_heads = KV_HEADS, .head_dim = DIM, .value_dim = DIM};
    args.queries = QUERIES;
    args.keys = room;
    args.q = (em__attention_operand){x->q, 0, QUERIES * DIM, DIM};
    args.k = args.v = (em__attention_operand){x->kv, 0, ROOM * DIM, DIM};
    args.out = x->out;
    args.out_head = QUERIES * DIM;
    args.out_token = DIM;
    args.dtype = x->dtype;
    args.cache = x->cache;
    if (x->cache == EM_S8)
        args.k_scales = args.v_scales = (em__attention_scales){x->scales, 0, ROOM};
    args.scale = 0.2f;
    args.causal = true;
    args.window = window;
    args.lengths = &length;
    em__pool *pool;
    EXPECT_OK(em__pool_new(threads, &pool));
    float *scratch = malloc(em__attention_decode_scratch(&args));
    assert_non_null(scratch);
    EXPECT_OK(em__attention_decode(k, pool, &args, scratch));
    free(scratch);
    em__pool_free(pool);
}

static void check_bits(sample *x, int level, int64_t window)
{
    static const int thread_counts[] = {1, 2, 3, 5};
    const em__attention_kernels *k = em__attention_kernels_get((em__cpu_level)level);
    for (int t = 0; t < 4; t++)
        for (int64_t room = 420; room <= ROOM; room += ROOM - 420) {
            run(x, k, thread_counts[t], room, window);
            if (t == 0 && room == 420 && level <= 1) /* the plain level may round otherwise */
                memcpy(x->first, x->out, sizeof x->out);
            if (memcmp(x->first, x->out, OUT * em_dtype_size(x->dtype)))
                fail_msg("%s: level %d, %d threads, room for %d: other bits", em_dtype_name(x->cache), level,
                         thread_counts[t], (int)room);
        }
}

static void test_bits(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16, EM_F32, EM_F32};
    static const em_dtype caches[] = {EM_F32, EM_F16, EM_BF16, EM_BF16, EM_S8};
    static sample x;
    rng r = {4};
    for (int i = 0; i < KV_HEADS * ROOM; i++)
        x.scales[i] = 0.01f * (float)(1 + i % 7);
    for (int d = 0; d < 5; d++) {
        x.dtype = dtypes[d];
        x.cache = caches[d];
        rng_fill(&r, dtypes[d], x.q, sizeof x.q / 4);
        rng_fill(&r, caches[d], x.kv, sizeof x.kv / 4);
        for (int64_t window = 0; window <= 100; window += 100)
            for (int level = 0; level <= (int)levels_best(); level++)
                check_bits(&x, level, window);
    }
    levels_report();
}

/* What lies behind the length, or before the window, is not read into the result. */
static void test_unseen(void **state)
{
    (void)state;
    static sample x = {.dtype = EM_F32, .cache = EM_F32};
    rng r = {8};
    rng_fill(&r, EM_F32, x.q, OUT);
    for (int64_t i = 0; i < KV_HEADS * ROOM * DIM; i++) {
        int64_t key = i / DIM % ROOM;
        x.kv[i] = key < 319 || key >= 420 ? NAN : (float)(i % 7);
    }
    for (int level = 0; level <= (int)levels_best(); level++) {
        run(&x, em__attention_kernels_get((em__cpu_level)level), 2, ROOM, 100);
        for (int i = 0; i < OUT; i++)
            assert_false(isnan(x.out[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_widened),
                                       cmocka_unit_test(test_bits), cmocka_unit_test(test_unseen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
