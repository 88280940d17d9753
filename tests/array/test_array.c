/* Arrays over memory: lifetime, alignment, empties, references across threads, data of strided arrays. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>

#include "array/array.h"
#include "core/alloc.h"
#include "harness/expect.h"

static void count_up(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
}

static void test_wrap_frees_once_at_the_last_reference(void **state)
{
    (void)state;
    const float data[] = {1, 2, 3, 4, 5, 6};
    atomic_int freed = 0;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_array_wrap(EM_F32, data, em_shape(2, 3), count_up, &freed);
    assert_non_null(a);
    assert_ptr_equal(em_array_data(a), data);
    em_array *t = em_array_retain(em_transpose(s, a, EM_ALL_AXES));
    EXPECT_OK(em_eval(s, t));
    em_array_release(&a);
    assert_null(a);
    em_scope_free(s);
    assert_int_equal(freed, 0); /* the transpose looks at the same memory */
    const float want[] = {1, 4, 2, 5, 3, 6};
    EXPECT_SAME_BITS(EM_F32, em_array_data(t), want, 6);
    assert_int_equal(freed, 1); /* its own copy now */
    em_array_release(&t);
    em_array_release(&t);
    em_array_release(NULL);
    assert_int_equal(freed, 1);
}

static void test_wrap_refuses_what_it_cannot_read(void **state)
{
    (void)state;
    _Alignas(16) char data[64] = {0};
    atomic_int freed = 0;
    assert_null(em_array_wrap(EM_F32, data + 2, em_shape(2), count_up, &freed));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "not aligned to 4");
    assert_null(em_array_wrap(EM_F32, NULL, em_shape(2), count_up, &freed));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "data is NULL");
    assert_null(em_array_wrap((em_dtype)99, data, em_shape(2), count_up, &freed));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "dtype 99");
    assert_null(em_array_wrap(EM_F32, data, (em_dims){9, {1}}, count_up, &freed));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "rank is 9");
    assert_null(em_array_wrap(EM_F32, data, em_shape(-1), count_up, &freed));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "dimension 0 is -1");
    assert_null(em_array_wrap(EM_U8, data, em_shape(INT64_MAX, INT64_MAX, 0), count_up, &freed));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "overflows");
    assert_int_equal(freed, 0);
    em_array *c = em_array_wrap(EM_C128, data + 8, em_shape(2), count_up, &freed);
    assert_non_null(c); /* a complex number is aligned as its parts are */
    em_array_release(&c);
    assert_int_equal(freed, 1);
}

static void test_empty_arrays_have_data(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_array_wrap(EM_F32, NULL, em_shape(0, 3), NULL, NULL);
    assert_non_null(em_array_data(a));
    assert_int_equal(em_array_size(a), 0);
    em_array *sum = em_sum(s, a, EM_AXES(0), false);
    const float zeros[3] = {0};
    EXPECT_SAME_BITS(EM_F32, em_array_data(sum), zeros, 3);
    assert_non_null(em_array_data(em_constant_f32(s, NULL, em_shape(4, 0))));
    EXPECT_OK(em_scope_status(s));
    em_scope_free(s);
    em_array_release(&a);
}

static void test_null_is_answered(void **state)
{
    (void)state;
    const float one[] = {1};
    assert_true(isnan(em_dot_f32(NULL, one, 1)) && isnan(em_dot_f32(one, NULL, 1)));
    assert_true(em_dot_f32(NULL, NULL, 0) == 0);
    assert_int_equal(em_array_size(NULL), 0);
    assert_int_equal(em_array_bytes(NULL), 0);
    assert_int_equal(em_array_dims(NULL).rank, 0);
    assert_null(em_array_retain(NULL));
    em_clear_error();
    assert_null(em_array_data(NULL));
    EXPECT_ERROR(em_array_eval(NULL), EM_ERROR_INVALID_ARGUMENT, "NULL");
}

/* A long chain is evaluated and freed without recursion. */
static void test_deep_graphs(void **state)
{
    (void)state;
    long live = em__alloc_live();
    for (int evaluated = 0; evaluated < 2; evaluated++) {
        em_scope *s = em_scope_new(NULL);
        em_array *x = em_scalar(s, EM_S32, 0), *one = em_scalar(s, EM_S32, 1);
        for (int i = 0; i < 100000; i++)
            x = em_add(s, x, one);
        em_array_retain(x);
        em_scope_free(s);
        if (evaluated)
            assert_int_equal(*(const int32_t *)em_array_data(x), 100000);
        em_array_release(&x);
    }
    assert_int_equal(em__alloc_live(), live);
}

#define THREADS 4
#define ROUNDS 200

static void *hold_and_read(void *arg)
{
    em_array *shared = arg, *mine = NULL;
    for (int i = 0; i < ROUNDS; i++) {
        mine = em_array_retain(shared);
        const float *data = em_array_data(mine);
        if (!data || data[0] != 0 || data[1] != 3)
            return "wrong";
        em_array_release(&mine);
    }
    return NULL;
}

/* Threads retain, evaluate and read one lazy, strided array. */
static void test_references_across_threads(void **state)
{
    (void)state;
    const float data[] = {0, 1, 2, 3, 4, 5};
    atomic_int freed = 0;
    for (int round = 0; round < 20; round++) {
        em_scope *s = em_scope_new(NULL);
        em_array *a = em_array_wrap(EM_F32, data, em_shape(2, 3), count_up, &freed);
        em_array *t = em_array_retain(em_transpose(s, a, EM_ALL_AXES));
        em_array_release(&a);
        em_scope_free(s);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, hold_and_read, t), 0);
        for (int i = 0; i < THREADS; i++) {
            void *result;
            pthread_join(threads[i], &result);
            assert_null(result);
        }
        em_array_release(&t);
        assert_int_equal(freed, round + 1);
    }
}

static void *change_threads(void *arg)
{
    atomic_bool *stop = arg;
    for (int n = 1; !atomic_load(stop); n = n % 4 + 1)
        if (em_device_set_threads(em_device_default(), n) != EM_OK || em_device_threads(em_device_default()) < 1)
            return "wrong";
    return NULL;
}

/* Threads of the device change while strided data is copied, products run and the count is asked for. */
static void test_device_threads_change_under_work(void **state)
{
    (void)state;
    pthread_t changer;
    atomic_bool stop = false;
    assert_int_equal(pthread_create(&changer, NULL, change_threads, &stop), 0);
    for (int i = 0; i < 100; i++) {
        em_scope *s = em_scope_new(NULL);
        em_array *x = em_iota(s, EM_F32, em_shape(64, 1024), 0);
        em_array *t = em_transpose(s, x, EM_ALL_AXES);
        const float *data = em_array_data(t);
        assert_true(data && data[63] == 63 && em_array_data(em_matmul(s, x, t)));
        em_scope_free(s);
    }
    atomic_store(&stop, true);
    void *result;
    pthread_join(changer, &result);
    assert_null(result);
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrap_frees_once_at_the_last_reference),
        cmocka_unit_test(test_wrap_refuses_what_it_cannot_read),
        cmocka_unit_test(test_empty_arrays_have_data),
        cmocka_unit_test(test_null_is_answered),
        cmocka_unit_test(test_deep_graphs),
        cmocka_unit_test(test_references_across_threads),
        cmocka_unit_test(test_device_threads_change_under_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
