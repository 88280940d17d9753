/* The arena: alignment, chunks, large requests, exhaustion. */
#include "harness/expect.h"

#include <string.h>

#include "core/alloc.h"
#include "core/arena.h"
#include "harness/faults.h"
#include "harness/rng.h"

static void aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static unsigned char *ptrs[COUNT];
    static size_t sizes[COUNT];
    em__arena arena = {0};
    rng r = {1};
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = rng_below(&r, i % 100 == 0 ? 20000 : 100);
        ptrs[i] = em__arena_alloc(&arena, sizes[i]);
        assert_non_null(ptrs[i]);
        assert_int_equal((uintptr_t)ptrs[i] % 16, 0);
        memset(ptrs[i], i & 255, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(ptrs[i][j], i & 255);
    em__arena_clear(&arena);
    assert_null(arena.head);
    em__arena_clear(&arena);
}

/* A request larger than the next chunk must not cost the room left in the current one. */
static void large_request_keeps_the_rest(void **state)
{
    (void)state;
    em__arena arena = {0};
    char *before = em__arena_alloc(&arena, 16);
    unsigned long count = em__alloc_count();
    char *large = em__arena_alloc(&arena, 5 << 20);
    char *after = em__arena_alloc(&arena, 16);
    assert_non_null(large);
    assert_ptr_equal(after, before + 16);
    assert_int_equal(em__alloc_count(), count + 1);
    em__arena_clear(&arena);
}

static void zeroed_and_strings(void **state)
{
    (void)state;
    em__arena arena = {0};
    memset(em__arena_alloc(&arena, 64), 255, 64);
    em__arena_clear(&arena);
    unsigned char *zeros = em__arena_calloc(&arena, 10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    assert_string_equal(em__arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(em__arena_strndup(&arena, "", 0), "");
    em__arena_clear(&arena);
}

static void impossible_sizes(void **state)
{
    (void)state;
    em__arena arena = {0};
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 40, SIZE_MAX / 2 + 1};
    for (int i = 0; i < 4; i++) {
        em_clear_error();
        assert_null(em__arena_alloc(&arena, sizes[i]));
        assert_int_equal(em_last_status(), EM_ERROR_OUT_OF_MEMORY);
    }
    em_clear_error();
    assert_null(em__arena_calloc(&arena, SIZE_MAX / 4, 8));
    assert_int_equal(em_last_status(), EM_ERROR_OUT_OF_MEMORY);
    assert_null(em__arena_strndup(&arena, "x", SIZE_MAX));
    assert_non_null(em__arena_alloc(&arena, 1));
    em__arena_clear(&arena);
}

static em_status fill_and_clear(void *context)
{
    (void)context;
    em__arena arena = {0};
    em_status status = EM_OK;
    for (int i = 0; i < 2000 && status == EM_OK; i++)
        status = em__arena_alloc(&arena, 64) ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    em__arena_clear(&arena);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    long chunks = faults_sweep(fill_and_clear, NULL);
    assert_in_range(chunks, 3, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_and_apart),           cmocka_unit_test(large_request_keeps_the_rest),
        cmocka_unit_test(zeroed_and_strings),          cmocka_unit_test(impossible_sizes),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
