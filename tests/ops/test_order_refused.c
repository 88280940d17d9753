/* What order, Fourier transforms and random numbers refuse, and how they say it. */
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"

typedef em_array *(*bad_fn)(em_scope *s, em_array *x);

static em_array *sort_axis(em_scope *s, em_array *x)
{
    return em_sort(s, x, 2, false);
}

static em_array *sort_complex(em_scope *s, em_array *x)
{
    return em_argsort(s, em_fft(s, x, 0, 1), 0, true);
}

static em_array *too_many(em_scope *s, em_array *x)
{
    em_array *values, *indices;
    assert_false(em_top_k(s, x, 4, 1, &values, &indices));
    assert_null(indices);
    return values;
}

static em_array *partition_beyond(em_scope *s, em_array *x)
{
    return em_partition(s, x, 3, 1);
}

static em_array *transform_length(em_scope *s, em_array *x)
{
    return em_fft(s, x, -1, 0);
}

static em_array *transform_complex(em_scope *s, em_array *x)
{
    return em_rfft(s, em_fft(s, x, 0, 0), 0, 0);
}

static em_array *same_axis(em_scope *s, em_array *x)
{
    return em_fft2(s, x, (int64_t[]){0, 0}, (int[]){0, -2});
}

static em_array *not_a_key(em_scope *s, em_array *x)
{
    return em_random_bits(s, x, EM_U32, em_shape(3));
}

static em_array *odd_bits(em_scope *s, em_array *x)
{
    (void)x;
    return em_random_bits(s, em_random_key(s, 1), EM_S32, em_shape(3));
}

static em_array *whole_floats(em_scope *s, em_array *x)
{
    (void)x;
    return em_random_uniform(s, em_random_key(s, 1), 0, 1, EM_S32, em_shape(3));
}

static em_array *float_integers(em_scope *s, em_array *x)
{
    (void)x;
    return em_random_randint(s, em_random_key(s, 1), 0, 1, EM_F32, em_shape(3));
}

static em_array *too_much(em_scope *s, em_array *x)
{
    return em_random_choice(s, em_random_key(s, 1), x, 0, 3, false);
}

static void refused(void **state)
{
    static const struct {
        bad_fn fn;
        const char *words;
    } cases[] = {
        {sort_axis, "sort: axis 2 is out of range"},
        {sort_complex, "complex numbers have no order"},
        {too_many, "k is 4; axis 1 has 3"},
        {partition_beyond, "element 3 of an axis of 3"},
        {transform_length, "the length is -1"},
        {transform_complex, "rfft"},
        {same_axis, "axis 0 is named twice"},
        {not_a_key, "a key is u32[2]"},
        {odd_bits, "u8, u16, u32 or u64"},
        {whole_floats, "random floats are"},
        {float_integers, "the dtype must be an integer"},
        {too_much, "more slices are asked for"},
    };
    static const float values[6] = {3, 1, 2, 6, 5, 4};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        em_scope *s = em_scope_new(NULL);
        assert_null(cases[i].fn(s, em_constant(s, EM_F32, values, em_shape(2, 3))));
        assert_int_equal(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT);
        if (!strstr(em_scope_error(s), cases[i].words))
            fail_msg("case %zu says: %s", i, em_scope_error(s));
        em_scope_free(s);
    }
}

/* Element kth is where sorting puts it, and the halves lie on their sides of it. */
static void partitions(void **state)
{
    static const float values[7] = {3, 1, 2, 6, 5, 4, 0};
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_constant(s, EM_F32, values, em_shape(7));
    em_array *y = em_partition(s, x, 2, 0), *at = em_argpartition(s, x, -2, 0);
    EXPECT_OK(em_eval(s, y));
    EXPECT_OK(em_eval(s, at));
    const float *v = em_array_data(y);
    const int64_t *i = em_array_data(at);
    assert_true(v[2] == 2 && v[0] < 2 && v[1] < 2 && v[3] > 2);
    assert_true(values[i[5]] == 5 && values[i[6]] == 6);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refused), cmocka_unit_test(partitions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
