/*
 * Order on the cpu device against ref, bit for bit, for every dtype and every way a shape is sorted, on 1, 2 and 5
 * threads; the vector kernels of each level this machine runs; random bits of each level and number of threads.
 */
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"
#include "harness/sample.h"

#include "device/cpu/order.h"
#include "device/cpu/random.h"

#define MOST 150000

static uint64_t *memory;

enum { SORT, ARGSORT, TOP_VALUES, TOP_INDICES, WAYS };

static em_array *apply(em_scope *s, em_array *x, int way, int axis, bool descending, int64_t k)
{
    em_array *parts[2];
    if (way == SORT)
        return em_sort(s, x, axis, descending);
    if (way == ARGSORT)
        return em_argsort(s, x, axis, descending);
    em_top_k(s, x, k, axis, &parts[0], &parts[1]);
    return parts[way == TOP_INDICES];
}

static void compare(em_dtype dtype, em_dims dims, int axis, int64_t k)
{
    for (int way = 0; way < WAYS; way++) {
        for (int descending = 0; descending < (way < TOP_VALUES ? 2 : 1); descending++) {
            if (!sample_takes())
                continue;
            em_scope *a = em_scope_new(em_device_find("ref")), *b = em_scope_new(em_device_default());
            em_array *want = apply(a, em_constant(a, dtype, memory, dims), way, axis, descending, k);
            em_array *got = apply(b, em_constant(b, dtype, memory, dims), way, axis, descending, k);
            EXPECT_OK(em_eval(a, want));
            EXPECT_OK(em_eval(b, got));
            if (em_array_bytes(got) && memcmp(em_array_data(got), em_array_data(want), em_array_bytes(got)) != 0)
                fail_msg("%s, way %d, rank %d, axis %d, k %d: other bits than ref", em_dtype_name(dtype), way,
                         dims.rank, axis, (int)k);
            em_scope_free(a);
            em_scope_free(b);
        }
    }
}

static void fill(em_dtype dtype, size_t n, uint64_t seed)
{
    rng r = {seed};
    rng_fill_edges(&r, dtype, memory, n);
}

static void shapes(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < EM_C64; dtype++) {
        fill((em_dtype)dtype, MOST, (uint64_t)dtype + 1);
        compare((em_dtype)dtype, em_shape(40, 33), 1, 5);   /* a network */
        compare((em_dtype)dtype, em_shape(33, 40), 0, 33);  /* the same, down columns */
        compare((em_dtype)dtype, em_shape(2, 1500), 1, 40); /* rows by radix */
        compare((em_dtype)dtype, em_shape(1300, 2), 0, 0);
        compare((em_dtype)dtype, em_shape(3, 20), 1, 20);
        compare((em_dtype)dtype, em_shape(41, 70), 1, 50); /* the best of rows in a network */
        compare((em_dtype)dtype, em_shape(600, 19), 0, 40);
    }
}

static void long_rows(void **state)
{
    static const em_dtype dtypes[] = {EM_F32, EM_S64, EM_F64, EM_U8};
    (void)state;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        fill(dtypes[i], MOST, i + 30);
        compare(dtypes[i], em_shape(MOST), 0, 100);
        compare(dtypes[i], em_shape(2, 70000), 1, 30);
    }
    compare(EM_U8, em_shape(MOST), 0, 20000);
}

/* Keys that agree in their leading bits, and rising ones: what radix sorts and selections like least. */
static void patterns(void **state)
{
    (void)state;
    rng r = {5};
    for (size_t i = 0; i < MOST; i++)
        memory[i] = (rng_below(&r, 3) << 62) + rng_below(&r, 1000) * (rng_below(&r, 2) ? 1 : 1 << 20);
    compare(EM_U64, em_shape(MOST / 2), 0, 77);
    compare(EM_U64, em_shape(50, 90), 1, 80);
    for (size_t i = 0; i < MOST; i++)
        memory[i] = i / 7;
    compare(EM_S64, em_shape(MOST), 0, 77);
    for (size_t i = 0; i < MOST; i++)
        ((float *)memory)[i] = -(float)(i / 3) * (float)(i % 2);
    compare(EM_F32, em_shape(MOST), 0, 33);
    compare(EM_F32, em_shape(3, 9000), 1, 100);
    for (size_t i = 0; i < MOST; i++) /* a few join at a time, and tie with those in order */
        ((float *)memory)[i] = (float)((i * 2654435761u >> 7) % (i + 50));
    compare(EM_F32, em_shape(3, 9000), 1, 100);
    memset(memory, 0, MOST * sizeof *memory);
    compare(EM_F64, em_shape(70000), 0, 10);
}

static void threads(void **state)
{
    static const int counts[] = {1, 5, 2};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), counts[i]));
        fill(EM_F32, MOST, i + 50);
        compare(EM_F32, em_shape(MOST), 0, 40);
        compare(EM_F32, em_shape(300, 100), 1, 40);
    }
}

static void networks(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__order k;
        rng r = {(uint64_t)level};
        em__order_init(&k, (em__cpu_level)level);
        for (int64_t n = 0; n < 70; n++) {
            uint64_t *wide = memory;
            for (int64_t i = 0; i < n * k.lanes64; i++)
                wide[i] = rng_u64(&r) >> rng_below(&r, 60);
            k.network64(wide, n);
            for (int64_t i = k.lanes64; i < n * k.lanes64; i++)
                assert_true(wide[i - k.lanes64] <= wide[i]);
            uint32_t *narrow = (uint32_t *)memory;
            for (int64_t i = 0; i < n * k.lanes32; i++)
                narrow[i] = (uint32_t)(rng_u64(&r) >> rng_below(&r, 60));
            k.network32(narrow, n);
            for (int64_t i = k.lanes32; i < n * k.lanes32; i++)
                assert_true(narrow[i - k.lanes32] <= narrow[i]);
        }
    }
}

/* Keys for which the middle of 32 samples, taken as order_quick_tmpl.c takes them, is always among the smallest. */
static void worst_keys(uint64_t *keys, int64_t n)
{
    static int64_t left[4000];
    uint64_t next = 1;
    for (int64_t i = 0; i < n; i++)
        left[i] = i;
    memset(keys, 0, (size_t)n * sizeof *keys);
    for (int64_t count = n, kept; count > 32; count = kept) {
        uint64_t some[32], pivot = 0;
        for (int64_t i = 0; i < 32; i++) {
            uint64_t *key = &keys[left[i * (count / 32) + count / 64]];
            some[i] = *key = *key ? *key : next++;
        }
        for (int i = 0; i < 32; i++) { /* the one that 16 are below of */
            int below = 0;
            for (int j = 0; j < 32; j++)
                below += some[j] < some[i];
            pivot = below == 16 ? some[i] : pivot;
        }
        kept = 0;
        for (int64_t i = 0; i < count; i++)
            if (!keys[left[i]] || keys[left[i]] >= pivot)
                left[kept++] = left[i];
    }
    for (int64_t i = 0; i < n; i++)
        keys[i] = keys[i] ? keys[i] : next++;
}

static void quick_keys(uint64_t *keys, int64_t n, int pattern, rng *r)
{
    for (int64_t i = 0; i < n; i++)
        keys[i] = pattern == 0   ? rng_u64(r) >> rng_below(r, 60)
                  : pattern == 1 ? (uint64_t)i << 20
                  : pattern == 2 ? rng_below(r, 3) - 1
                  : pattern == 3 ? UINT64_MAX - (uint64_t)i
                                 : rng_u64(r);
    if (pattern == 5)
        worst_keys(keys, n);
}

static void check_quick(const em__order *k, int64_t n, int pattern, rng *r)
{
    enum { MOST_KEYS = 4000, BEHIND = 16 };
    static uint64_t wide[MOST_KEYS + BEHIND], spare[MOST_KEYS + BEHIND], wide_sums[2];
    static uint32_t narrow[MOST_KEYS + BEHIND], short_spare[MOST_KEYS + BEHIND];
    uint32_t sums[2] = {0};
    quick_keys(wide, n, pattern, r);
    wide_sums[0] = wide_sums[1] = 0;
    for (int64_t i = 0; i < n; i++) {
        narrow[i] = (uint32_t)wide[i];
        wide_sums[0] += wide[i] * wide[i];
        sums[0] += narrow[i] * narrow[i];
    }
    for (int i = 0; i < BEHIND; i++) {
        wide[n + i] = spare[n + i] = 77;
        narrow[n + i] = short_spare[n + i] = 77;
    }
    k->quick64(wide, spare, n);
    k->quick32(narrow, short_spare, n);
    for (int64_t i = 0; i < n; i++) {
        wide_sums[1] += wide[i] * wide[i];
        sums[1] += narrow[i] * narrow[i];
        assert_true(i == 0 || (wide[i - 1] <= wide[i] && narrow[i - 1] <= narrow[i]));
    }
    assert_true(wide_sums[0] == wide_sums[1] && sums[0] == sums[1]);
    for (int i = 0; i < BEHIND; i++)
        assert_true(wide[n + i] == 77 && spare[n + i] == 77 && narrow[n + i] == 77 && short_spare[n + i] == 77);
}

/* Where a level has a quicksort: sorted, the same keys as before, nothing behind them touched. */
static void quick(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__order k;
        rng r = {(uint64_t)level};
        em__order_init(&k, (em__cpu_level)level);
        for (int pattern = 0; k.quick64 && pattern < 6; pattern++)
            for (int64_t n = 0; n <= 4000; n += n < 300 ? 1 : 1 + n / 3)
                check_quick(&k, n < 2000 ? n : 4000, pattern, &r);
    }
}

/* Keys of every level are those of the portable one, and order as the numbers do. */
static void keys(void **state)
{
    enum { N = 301 };
    (void)state;
    static float values[N];
    static uint32_t a[N], b[N];
    static int32_t at[N], other[N];
    em__order first, k;
    rng r = {77};
    fill(EM_U64, N, 78);
    rng_fill_edges(&r, EM_F32, values, N);
    em__order_init(&first, EM__CPU_PORTABLE);
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__order_init(&k, (em__cpu_level)level);
        for (int kind = 0; kind < 3; kind++) {
            uint32_t vary[2] = {0};
            bool special = first.encode32(a, (uint32_t *)values, N, (em__key_kind)kind, 0, 5, &vary[0]);
            assert_int_equal(k.encode32(b, (uint32_t *)values, N, (em__key_kind)kind, 0, 5, &vary[1]), special);
            assert_memory_equal(a, b, sizeof a);
            assert_int_equal(vary[0], vary[1]);
            for (int i = 0; i + 1 < N && kind == EM__KEY_FLOAT; i++)
                assert_true(!(values[i] < values[i + 1]) || a[i] < a[i + 1]);
            int64_t found = k.below32(a, N, a[7], at), next = 0;
            for (int i = 0; i < N; i++)
                if (a[i] < a[7])
                    assert_int_equal(at[next++], i);
            assert_int_equal(found, next);
            assert_int_equal(k.below32(a, N, UINT32_MAX, at), first.below32(a, N, UINT32_MAX, other));
            assert_memory_equal(at, other, sizeof at);
            found = k.below64(memory, N, memory[9], at);
            assert_int_equal(first.below64(memory, N, memory[9], other), found);
            assert_memory_equal(at, other, (size_t)found * sizeof *at);
            if (kind == EM__KEY_FLOAT)
                continue;
            k.decode32(b, a, N, (em__key_kind)kind, 0);
            assert_memory_equal(b, values, sizeof values);
        }
    }
}

static em_array *draw(em_scope *s, em_dtype dtype, int64_t n)
{
    em_array *key = em_random_key(s, 3);
    if (dtype == EM_S32)
        return em_random_randint(s, key, -5, n % 2 ? 3 * n : INT32_MAX, dtype, em_shape(n));
    if (dtype == EM_S16)
        return em_random_randint(s, key, 7, 8 + n % 2, dtype, em_shape(n));
    return dtype <= EM_U64 ? em_random_bits(s, key, dtype, em_shape(n))
                           : em_random_uniform(s, key, 0, 1, dtype, em_shape(n));
}

static void random_bits(void **state)
{
    enum { N = 1000 };
    static uint32_t a[2][N], b[2][N];
    const uint32_t key[2] = {123, 456};
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (int64_t n = 0; n < N; n += 1 + n / 3) {
            memset(a, 7, sizeof a);
            memset(b, 7, sizeof b);
            em__threefry_portable.run(key, 4294967000u, 9, n, a[0], b[0]);
            em__threefry_get((em__cpu_level)level)->run(key, 4294967000u, 9, n, a[1], b[1]);
            assert_memory_equal(a[0], a[1], sizeof a[0]);
            assert_memory_equal(b[0], b[1], sizeof b[0]);
        }
    }
    for (int dtype = EM_U8; dtype <= EM_F64; dtype++) {
        bool none = (dtype > EM_S32 || dtype == EM_S8) && dtype < EM_F32 && dtype > EM_U64;
        for (int64_t n = 1; n < 70000 && !none; n = 5 * n + 1) {
            em_scope *s = em_scope_new(em_device_find("ref")), *t = em_scope_new(em_device_default());
            em_array *want = draw(s, (em_dtype)dtype, n), *got = draw(t, (em_dtype)dtype, n);
            EXPECT_OK(em_eval(s, want));
            EXPECT_OK(em_eval(t, got));
            assert_memory_equal(em_array_data(got), em_array_data(want), em_array_bytes(want));
            em_scope_free(s);
            em_scope_free(t);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    levels_report();
    return posix_memalign((void **)&memory, 64, MOST * sizeof *memory) != 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),  cmocka_unit_test(long_rows),   cmocka_unit_test(patterns),
        cmocka_unit_test(threads), cmocka_unit_test(networks),    cmocka_unit_test(quick),
        cmocka_unit_test(keys),    cmocka_unit_test(random_bits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
