/* Tensor memory: reuse, accounting, the limit, trimming, alignment, waste. */
#include "harness/expect.h"

#include <pthread.h>
#include <string.h>

#include "core/block.h"
#include "harness/faults.h"
#include "harness/rng.h"

static em_memory_stats now(void)
{
    em_memory_stats stats = {.struct_size = sizeof stats};
    em_memory_get_stats(&stats);
    return stats;
}

static int trim_before(void **state)
{
    (void)state;
    em_memory_set_limit(SIZE_MAX);
    em_memory_trim();
    em_memory_reset_peak();
    return now().active == 0 ? 0 : -1;
}

/* Sizes around every class boundary up to 8 MiB. */
static void aligned_with_little_waste(void **state)
{
    (void)state;
    for (size_t base = 1; base <= (size_t)8 << 20; base = base * 9 / 8 + 1) {
        for (size_t size = base - 1; size <= base + 1; size++) {
            unsigned char *block = em__block_alloc(size);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % 64, 0);
            size_t active = now().active;
            assert_true(active >= size && active <= size + (size < 65536 ? 64 : size / 8));
            memset(block, 1, size);
            em__block_free(block, size);
            assert_int_equal(now().active, 0);
        }
    }
}

static void freed_blocks_come_back(void **state)
{
    (void)state;
    const size_t size = (size_t)3 << 20;
    void *first = em__block_alloc(size), *second = em__block_alloc(size);
    assert_ptr_not_equal(first, second);
    em__block_free(first, size);
    em__block_free(second, size);
    em_memory_stats stats = now();
    assert_int_equal(stats.active, 0);
    assert_int_equal(stats.cached, 2 * size);
    /* Last in, first out, and any size of the same class fits. */
    assert_ptr_equal(em__block_alloc(size - 1000), second);
    assert_ptr_equal(em__block_alloc(size), first);
    assert_int_equal(now().cached, 0);
    em__block_free(second, size - 1000);
    em__block_free(first, size);
    assert_int_equal(em_memory_trim(), 2 * size);
    assert_int_equal(em_memory_trim(), 0);
    assert_int_equal(now().cached, 0);
}

static void small_blocks_are_not_cached(void **state)
{
    (void)state;
    size_t active = now().active;
    void *block = em__block_alloc(5000);
    assert_int_equal(now().active, active + 5056);
    em__block_free(block, 5000);
    assert_int_equal(now().cached, 0);
    em__block_free(NULL, 12345);
}

static void tiny_blocks_are_kept_up_to_a_bound(void **state)
{
    (void)state;
    enum { BLOCKS = 1000 };
    static void *blocks[BLOCKS];
    size_t active = now().active;
    for (int i = 0; i < BLOCKS; i++)
        assert_non_null(blocks[i] = em__block_alloc(1000));
    assert_int_equal(now().active, active + BLOCKS * 1024);
    for (int i = BLOCKS; i-- > 0;)
        em__block_free(blocks[i], 1000);
    assert_int_equal(now().cached, (size_t)256 << 10);
    em_memory_trim();
    assert_int_equal(now().cached, 0);
    void *last = em__block_alloc(1);
    em__block_free(last, 1);
    assert_int_equal(now().cached, 64);
    void *again = em__block_alloc(64);
    assert_ptr_equal(again, last);
    em__block_free(again, 64);
}

static void peak_and_count(void **state)
{
    (void)state;
    size_t count = now().allocations;
    void *a = em__block_alloc(1 << 20), *b = em__block_alloc(1 << 20);
    em__block_free(a, 1 << 20);
    assert_int_equal(now().peak, 2 << 20);
    em_memory_reset_peak();
    assert_int_equal(now().peak, 1 << 20);
    a = em__block_alloc(1 << 20);
    assert_int_equal(now().allocations, count + 3);
    em__block_free(a, 1 << 20);
    em__block_free(b, 1 << 20);
}

static void limit_holds(void **state)
{
    (void)state;
    const size_t mib = 1 << 20;
    em_memory_set_limit(4 * mib);
    void *a = em__block_alloc(2 * mib);
    assert_non_null(a);
    assert_null(em__block_alloc(3 * mib));
    assert_int_equal(em_last_status(), EM_ERROR_OUT_OF_MEMORY);
    assert_non_null(strstr(em_last_error(), "3145728"));
    assert_non_null(strstr(em_last_error(), "limit is 4194304"));
    /* The next small one still works. */
    void *small = em__block_alloc(mib);
    assert_non_null(small);
    em__block_free(small, mib);
    /* The cache makes way for another size. */
    em__block_free(a, 2 * mib);
    assert_int_equal(now().cached, 3 * mib);
    void *b = em__block_alloc(3 * mib);
    assert_non_null(b);
    assert_int_equal(now().cached, 0);
    em__block_free(b, 3 * mib);
    /* Lowering the limit below what is cached gives the cache back; what is active stays. */
    b = em__block_alloc(mib);
    em_memory_set_limit(0);
    em_memory_stats stats = now();
    assert_int_equal(stats.cached, 0);
    assert_int_equal(stats.active, mib);
    assert_int_equal(stats.limit, 0);
    assert_null(em__block_alloc(0));
    em__block_free(b, mib);
    em_memory_set_limit(SIZE_MAX);
}

static void impossible_sizes(void **state)
{
    (void)state;
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4, (size_t)1 << 60};
    for (int i = 0; i < 4; i++) {
        em_clear_error();
        assert_null(em__block_alloc(sizes[i]));
        assert_int_equal(em_last_status(), EM_ERROR_OUT_OF_MEMORY);
    }
    assert_int_equal(now().active, 0);
}

/* A caller that was built against an older header has a shorter struct: what lies behind it is not touched. */
static void stats_of_the_callers_size(void **state)
{
    (void)state;
    em_memory_stats stats;
    memset(&stats, 0x5a, sizeof stats);
    stats.struct_size = offsetof(em_memory_stats, cached);
    void *block = em__block_alloc(100000);
    EXPECT_OK(em_memory_get_stats(&stats));
    em__block_free(block, 100000);
    assert_true(stats.active >= 100000 && stats.peak >= stats.active);
    assert_int_equal(stats.struct_size, offsetof(em_memory_stats, cached));
    for (size_t i = stats.struct_size; i < sizeof stats; i++)
        assert_int_equal(((const unsigned char *)&stats)[i], 0x5a);
    stats.struct_size = sizeof stats + 1;
    EXPECT_ERROR(em_memory_get_stats(&stats), EM_ERROR_INVALID_ARGUMENT, "struct_size");
    stats.struct_size = 0;
    EXPECT_ERROR(em_memory_get_stats(&stats), EM_ERROR_INVALID_ARGUMENT, "struct_size");
    EXPECT_ERROR(em_memory_get_stats(NULL), EM_ERROR_INVALID_ARGUMENT, "NULL");
}

/* Each thread keeps some blocks, marks them, and checks the marks: no block is ever in two hands. */
static void *churn(void *arg)
{
    enum { SLOTS = 8 };
    rng r = {(uint64_t)(uintptr_t)arg};
    unsigned char *blocks[SLOTS] = {0}, mark = (unsigned char)(uintptr_t)arg;
    size_t sizes[SLOTS] = {0};
    for (int i = 0; i < 4000; i++) {
        size_t at = rng_below(&r, SLOTS);
        if (blocks[at] && (blocks[at][0] != mark || blocks[at][sizes[at] - 1] != mark))
            return "a block was in two hands";
        em__block_free(blocks[at], sizes[at]);
        sizes[at] = 1 + rng_below(&r, (size_t)1 << (10 + rng_below(&r, 12)));
        blocks[at] = em__block_alloc(sizes[at]);
        if (!blocks[at])
            return "no memory";
        blocks[at][0] = blocks[at][sizes[at] - 1] = mark;
    }
    for (int i = 0; i < SLOTS; i++)
        em__block_free(blocks[i], sizes[i]);
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        if (complaint)
            fail_msg("%s", (const char *)complaint);
    }
    assert_int_equal(now().active, 0);
}

static em_status three_blocks(void *context)
{
    (void)context;
    const size_t sizes[] = {100, 100000, 3000000};
    void *blocks[3];
    em_status status = EM_OK;
    for (int i = 0; i < 3; i++) {
        blocks[i] = em__block_alloc(sizes[i]);
        status = blocks[i] ? status : EM_ERROR_OUT_OF_MEMORY;
    }
    for (int i = 0; i < 3; i++)
        em__block_free(blocks[i], sizes[i]);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    assert_int_equal(faults_sweep(three_blocks, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(aligned_with_little_waste, trim_before),
        cmocka_unit_test_setup(freed_blocks_come_back, trim_before),
        cmocka_unit_test_setup(small_blocks_are_not_cached, trim_before),
        cmocka_unit_test_setup(tiny_blocks_are_kept_up_to_a_bound, trim_before),
        cmocka_unit_test_setup(peak_and_count, trim_before),
        cmocka_unit_test_setup(limit_holds, trim_before),
        cmocka_unit_test_setup(impossible_sizes, trim_before),
        cmocka_unit_test_setup(stats_of_the_callers_size, trim_before),
        cmocka_unit_test_setup(many_threads, trim_before),
        cmocka_unit_test_setup(every_allocation_fails_once, trim_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
