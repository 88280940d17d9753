/*
 * Attention against loops in double precision, at every level this machine runs, and its promises about bits: the same
 * for any thread count, alone or beside other sequences, and for both vector widths.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/float16.h"
#include "device/cpu/attention.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_round.h"

static const int thread_counts[] = {1, 2, 3, 5};
static em__pool *pools[4];
static uint64_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float *random_floats(int64_t count, float scale)
{
    float *x = malloc(((size_t)count + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++)
        x[i] = scale * ((float)next_random() / (float)(1u << 30) - 1.0f);
    return x;
}

enum { CAUSAL = 1, MASK = 2, ALLOWED = 4, RELATIVE = 8, SINKS = 16, PACKED = 32, BROADCAST = 64 };

/* A problem with operands in the layout of a merged projection: tokens, then q, k and v side by side. */
typedef struct problem {
    em__attention_args args;
    float *q, *kv, *out, *mask, *relative, *sinks;
    uint8_t *allowed;
    int32_t *offsets;
    int64_t tokens;
} problem;

/* Sequences of up to `queries` tokens; the dense ones attend to `keys` keys. */
static problem problem_new(int64_t batch, int64_t queries, int64_t keys, int heads, int kv_heads, int dim, int vdim,
                           int flags)
{
    problem p = {0};
    em__attention_args *a = &p.args;
    p.offsets = calloc((size_t)batch + 1, sizeof *p.offsets);
    for (int64_t b = 0; b < batch; b++)
        p.offsets[b + 1] =
            p.offsets[b] + (b == 0 ? (int32_t)queries : (int32_t)(next_random() % (uint32_t)(queries + 1)));
    bool packed = flags & PACKED;
    p.tokens = packed ? p.offsets[batch] : batch * queries;
    int64_t all_keys = packed ? p.tokens : batch * keys, longest = packed || queries > keys ? queries : keys;
    int64_t q_token = heads * dim + 3, kv_token = kv_heads * (dim + vdim) + 5;
    p.q = random_floats(p.tokens * q_token, 2);
    p.kv = random_floats(all_keys * kv_token, 2);
    p.out = random_floats(p.tokens * heads * vdim, 1);
    p.mask = random_floats(batch * heads * queries * longest, 3);
    p.allowed = calloc((size_t)(batch * heads * queries * longest) + 1, 1);
    for (int64_t i = 0; i < batch * heads * queries * longest; i++)
        p.allowed[i] = next_random() % 3 != 0;
    p.relative = random_floats(heads * (2 * longest - 1), 2);
    p.sinks = random_floats(heads, 2);
    *a = (em__attention_args){.batch = batch, .heads = heads, .kv_heads = kv_heads, .head_dim = dim};
    a->dtype = a->cache = EM_F32;
    a->value_dim = vdim;
    a->queries = queries;
    a->keys = keys;
    a->offsets = packed ? p.offsets : NULL;
    a->q = (em__attention_operand){p.q, queries * q_token, dim, q_token};
    a->k = (em__attention_operand){p.kv, keys * kv_token, dim, kv_token};
    a->v = (em__attention_operand){p.kv + kv_heads * dim, keys * kv_token, vdim, kv_token};
    a->out = p.out;
    a->out_batch = queries * heads * vdim;
    a->out_head = vdim;
    a->out_token = heads * vdim;
    a->scale = 1 / sqrtf((float)dim);
    a->causal = flags & CAUSAL;
    em__attention_mask full = {NULL, heads * queries * longest, queries * longest, longest, 1};
    if (flags & BROADCAST)
        full = (em__attention_mask){NULL, longest, 0, 0, 1};
    a->mask = a->allowed = full;
    a->mask.data = flags & MASK ? p.mask : NULL;
    a->allowed.data = flags & ALLOWED ? p.allowed : NULL;
    a->relative = flags & RELATIVE ? p.relative : NULL;
    a->relative_span = longest;
    a->sinks = flags & SINKS ? p.sinks : NULL;
    return p;
}

static void problem_free(problem *p)
{
    free(p->q);
    free(p->kv);
    free(p->out);
    free(p->mask);
    free(p->relative);
    free(p->sinks);
    free(p->allowed);
    free(p->offsets);
}

static double score(const em__attention_args *a, int64_t b, int64_t h, int64_t i, int64_t j, int64_t queries,
                    int64_t keys, const float *q, const float *k)
{
    if (a->causal && j > i + keys - queries)
        return -INFINITY;
    double sum = 0;
    for (int64_t d = 0; d < a->head_dim; d++)
        sum += (double)q[d] * k[d];
    sum *= a->scale;
    const em__attention_mask *m = &a->mask, *w = &a->allowed;
    if (m->data)
        sum += ((const float *)m->data)[b * m->batch + h * m->head + i * m->query + j * m->key];
    if (a->relative)
        sum += a->relative[h * (2 * a->relative_span - 1) + j - i + a->relative_span - 1];
    if (w->data && !((const uint8_t *)w->data)[b * w->batch + h * w->head + i * w->query + j * w->key])
        return -INFINITY;
    return sum;
}

static double most = 4e-6; /* error of an element */

static void check_row(const em__attention_args *a, int64_t b, int64_t h, int64_t i, const char *what)
{
    int64_t begin = a->offsets ? a->offsets[b] : 0, dense = a->offsets ? 0 : b, kv = h / (a->heads / a->kv_heads);
    int64_t queries = a->offsets ? a->offsets[b + 1] - begin : a->queries, keys = a->offsets ? queries : a->keys;
    const float *q = (const float *)a->q.data + dense * a->q.batch + (begin + i) * a->q.token + h * a->q.head;
    const float *k = (const float *)a->k.data + dense * a->k.batch + begin * a->k.token + kv * a->k.head;
    const float *v = (const float *)a->v.data + dense * a->v.batch + begin * a->v.token + kv * a->v.head;
    double *s = malloc((size_t)(keys + 1) * sizeof *s), top = a->sinks ? a->sinks[h] : -INFINITY;
    for (int64_t j = 0; j < keys; j++) {
        s[j] = score(a, b, h, i, j, queries, keys, q, k + j * a->k.token);
        top = s[j] > top ? s[j] : top;
    }
    double total = a->sinks ? exp(a->sinks[h] - top) : 0;
    for (int64_t j = 0; j < keys; j++)
        total += s[j] = top == -INFINITY ? 0 : exp(s[j] - top);
    for (int64_t d = 0; d < a->value_dim; d++) {
        double want = 0;
        for (int64_t j = 0; j < keys; j++)
            want += total > 0 ? s[j] / total * v[j * a->v.token + d] : 0;
        double got = ((const float *)a->out)[dense * a->out_batch + (begin + i) * a->out_token + h * a->out_head + d];
        if (!(fabs(got - want) <= most))
            fail_msg("%s: sequence %d head %d query %d of %d, %d keys, element %d: %.9g, expected %.9g", what, (int)b,
                     (int)h, (int)i, (int)queries, (int)keys, (int)d, got, want);
    }
    free(s);
}

static void check_values(const em__attention_args *a, const char *what)
{
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t queries = a->offsets ? a->offsets[b + 1] - a->offsets[b] : a->queries;
        int64_t step = 1 + queries / 60;
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t i = 0; i < queries; i += step)
                check_row(a, b, h, i, what);
    }
}

static const em__attention_kernels *level_or_null(em__cpu_level level)
{
    return em__gemm_kernels_level(em__gemm_kernels_get(level)) == level ? em__attention_kernels_get(level) : NULL;
}

static void check(em__cpu_level level, int64_t batch, int64_t queries, int64_t keys, int heads, int kv_heads, int dim,
                  int vdim, int flags)
{
    char what[80];
    snprintf(what, sizeof what, "%s, flags %d, dims %d %d", em__cpu_level_name(level), flags, dim, vdim);
    problem p = problem_new(batch, queries, keys, heads, kv_heads, dim, vdim, flags);
    assert_int_equal(em__attention_f32(level_or_null(level), pools[next_random() % 4], &p.args), EM_OK);
    check_values(&p.args, what);
    problem_free(&p);
}

static void test_values(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        if (!level_or_null(level)) {
            print_message("no attention kernels of level %s run here\n", em__cpu_level_name(level));
            continue;
        }
        for (int64_t n = 1; n <= 36; n++)
            check(level, 2, n, 1 + next_random() % 40, 2, 1, 1 + (int)(next_random() % 40),
                  1 + (int)(next_random() % 40), (int)(next_random() % 32));
        for (int flags = 0; flags < 128; flags++)
            check(level, 3, 1 + next_random() % 50, 1 + next_random() % 50, 4, 2, 8, 16, flags);
        check(level, 2, 128, 128, 12, 12, 32, 32, 0);
        check(level, 5, 70, 0, 12, 12, 32, 32, PACKED);
        check(level, 1, 40, 1100, 2, 2, 64, 64, CAUSAL | MASK | BROADCAST);
        check(level, 1, 700, 700, 2, 1, 16, 24, CAUSAL | SINKS);
        check(level, 1, 600, 550, 1, 1, 128, 128, RELATIVE);
        check(level, 1, 70, 20, 1, 1, 32, 32, CAUSAL);
        check(level, 1, 5, 0, 2, 2, 8, 8, 0);
    }
}

/* The problem's numbers become those of bf16; its keys and values lie so in `kv`, to which the result refers. */
static em__attention_args rounded(problem *p, int64_t count, int64_t queries, uint16_t *kv)
{
    em__attention_args args = p->args;
    for (int64_t i = 0; i < count; i++)
        p->kv[i] = em__bf16_to_f32(kv[i] = em__f32_to_bf16(p->kv[i]));
    for (int64_t i = 0; i < queries; i++)
        p->q[i] = em__bf16_to_f32(em__f32_to_bf16(p->q[i]));
    args.cache = EM_BF16;
    args.may_round = true;
    args.k.data = kv;
    args.v.data = kv + ((const float *)p->args.v.data - p->kv);
    return args;
}

/* Dense sequences of `queries` and `keys` with rounding, against double; then each alone, on other threads. */
static void check_rounded(em__cpu_level level, int64_t queries, int64_t keys, int kv_heads, int dim, int vdim,
                          int flags)
{
    enum { BATCH = 2 };
    char what[80];
    snprintf(what, sizeof what, "rounded, %s, flags %d, dims %d %d", em__cpu_level_name(level), flags, dim, vdim);
    problem p = problem_new(BATCH, queries, keys, 2, kv_heads, dim, vdim, flags);
    const int64_t count = BATCH * p.args.k.batch, per = queries * p.args.out_token;
    uint16_t *kv = malloc((size_t)count * sizeof *kv + 1);
    em__attention_args args = rounded(&p, count, BATCH * p.args.q.batch, kv);
    assert_int_equal(em__attention_f32(level_or_null(level), pools[next_random() % 4], &args), EM_OK);
    check_values(&p.args, what);
    float *first = malloc((size_t)(BATCH * per) * sizeof *first + 1);
    memcpy(first, p.out, (size_t)(BATCH * per) * sizeof *first);
    for (int64_t b = 0; b < BATCH; b++) {
        args.batch = 1;
        args.q.data = p.q + b * args.q.batch;
        args.k.data = kv + b * args.k.batch;
        args.v.data = kv + kv_heads * dim + b * args.v.batch;
        args.mask.data = p.args.mask.data ? p.mask + b * args.mask.batch : NULL;
        args.allowed.data = p.args.allowed.data ? p.allowed + b * args.allowed.batch : NULL;
        assert_int_equal(em__attention_f32(level_or_null(level), pools[b], &args), EM_OK);
        assert_memory_equal(p.out, first + b * per, (size_t)per * sizeof *first);
    }
    free(first);
    free(kv);
    problem_free(&p);
}

/* Results with and without rounding differ where the level has kernels for it; and where values from some key on are
 * infinite, no more rows see them than a tile has, where that is a taller one. */
static void check_unseen(em__cpu_level level)
{
    enum { N = 64, DIM = 16 };
    const em__round_kernels *rounding = em__round_kernels_get(level);
    const bool taller = rounding && rounding->tile_rows > em__gemm_kernels_get(level)->tile_rows;
    const int64_t rows = taller ? rounding->tile_rows : 1;
    problem p = problem_new(1, N, N, 2, 2, DIM, DIM, CAUSAL);
    const int64_t count = p.args.k.batch, size = N * p.args.out_token;
    uint16_t *kv = malloc((size_t)count * sizeof *kv);
    float *exact = malloc((size_t)size * sizeof *exact);
    em__attention_args args = rounded(&p, count, p.args.q.batch, kv);
    uint16_t *values = kv + ((const float *)p.args.v.data - p.kv);
    for (int64_t key = N; key > 0; key--) {
        for (int64_t d = 0; d < DIM && key < N; d++)
            values[key * args.v.token + d] = em__f32_to_bf16(INFINITY);
        args.may_round = false;
        assert_int_equal(em__attention_f32(level_or_null(level), pools[1], &args), EM_OK);
        memcpy(exact, p.out, (size_t)size * sizeof *exact);
        args.may_round = true;
        assert_int_equal(em__attention_f32(level_or_null(level), pools[1], &args), EM_OK);
        if (key == N)
            assert_int_equal(memcmp(exact, p.out, (size_t)size * sizeof *exact) != 0, rounding != NULL);
        for (int64_t i = 0; i < size; i++)
            assert_true(!isfinite(exact[i]) || isfinite(p.out[i]) || i / p.args.out_token / rows * rows + rows > key);
    }
    free(exact);
    free(kv);
    problem_free(&p);
}

/* Weights of the softmax are rounded to 2^-9 of themselves, and values are below 2. */
static void test_rounded(void **state)
{
    (void)state;
    most = 0x1p-8;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        if (!level_or_null(level))
            continue;
        for (int i = 0; i < 20; i++)
            check_rounded(level, 64 + next_random() % 30, 1 + next_random() % 100, 1 + i % 2,
                          1 + (int)(next_random() % 70), 1 + (int)(next_random() % 70), (int)(next_random() % 32));
        check_unseen(level);
        check_rounded(level, 64, 64, 2, 128, 128, CAUSAL);
        check_rounded(level, 180, 700, 1, 128, 64, CAUSAL);
        check_rounded(level, 600, 600, 2, 64, 100, CAUSAL | SINKS);
        check_rounded(level, 70, 1030, 2, 33, 31, MASK);
    }
    most = 4e-6;
}

static bool same_bits(const float *x, const float *y, int64_t count)
{
    return memcmp(x, y, (size_t)count * sizeof *x) == 0;
}

static void check_bits(int64_t batch, int64_t longest, int flags)
{
    problem p = problem_new(batch, longest, longest, 3, 3, 32, 32, flags | PACKED);
    const int64_t row = p.args.out_token;
    float *first = NULL;
    for (int level = EM__CPU_AVX2; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__attention_kernels *kernels = level_or_null(level);
        for (int t = 0; kernels && t < 4; t++) {
            assert_int_equal(em__attention_f32(kernels, pools[t], &p.args), EM_OK);
            if (!first) {
                first = malloc((size_t)(p.tokens * row) * sizeof *first);
                memcpy(first, p.out, (size_t)(p.tokens * row) * sizeof *first);
            }
            assert_true(same_bits(first, p.out, p.tokens * row));
        }
        for (int64_t b = 0; kernels && b < batch; b++) {
            em__attention_args alone = p.args;
            const int32_t offsets[2] = {p.offsets[b], p.offsets[b + 1]};
            memset(p.out, 0, (size_t)(p.tokens * row) * sizeof *p.out);
            alone.batch = 1;
            alone.offsets = offsets;
            assert_int_equal(em__attention_f32(kernels, pools[2], &alone), EM_OK);
            assert_true(same_bits(first + offsets[0] * row, p.out + offsets[0] * row, (offsets[1] - offsets[0]) * row));
        }
    }
    free(first);
    problem_free(&p);
}

static void test_bits(void **state)
{
    (void)state;
    check_bits(6, 40, 0);
    check_bits(3, 200, RELATIVE);
    check_bits(3, 600, CAUSAL | SINKS);
}

/* Masks that exclude a whole row: -inf and `allowed` leave zero, a finite number leaves the average. */
static void test_masked_rows(void **state)
{
    (void)state;
    static const float values[] = {-INFINITY, -FLT_MAX, -1e9f};
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__attention_kernels *kernels = level_or_null(level);
        for (int v = 0; kernels && v < 3; v++) {
            problem p = problem_new(1, 20, 20, 2, 2, 8, 8, MASK);
            for (int64_t i = 0; i < 2 * 20 * 20; i++)
                p.mask[i] = i % 400 < 20 ? values[v] : 0;
            assert_int_equal(em__attention_f32(kernels, pools[1], &p.args), EM_OK);
            for (int64_t d = 0; d < 8; d++) {
                double mean = 0;
                for (int64_t j = 0; j < 20 && v > 0; j++)
                    mean += ((const float *)p.args.v.data)[j * p.args.v.token + d] / 20.0;
                assert_true(fabs(p.out[d] - mean) <= 1e-6);
            }
            problem_free(&p);
        }
    }
}

static void test_nan(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__attention_kernels *kernels = level_or_null(level);
        if (!kernels)
            continue;
        problem p = problem_new(2, 16, 16, 2, 2, 8, 8, PACKED);
        p.q[4 * p.args.q.token] = NAN;
        assert_int_equal(em__attention_f32(kernels, pools[1], &p.args), EM_OK);
        for (int64_t i = 0; i < p.tokens * 16; i++)
            assert_true((i / 16 == 4 && i % 16 < 8) == (bool)isnan(p.out[i]));
        problem_free(&p);
    }
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        if (em__pool_new(thread_counts[i], &pools[i]) != EM_OK)
            return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        em__pool_free(pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_rounded), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_masked_rows), cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
