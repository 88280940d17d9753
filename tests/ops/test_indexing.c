/*
 * Ops that index, arrange and slide: what they refuse, rank 0 and 8 and empty axes, more than 2^31 elements by stride
 * or by untouched pages, the check of indices, every allocation failing once.
 */
#include <string.h>
#include <sys/mman.h>

#include <emily/indexing.h>
#include <emily/ops.h>
#include <emily/windows.h>

#include "array/array.h"
#include "device/index.h"
#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/faults.h"

#define FAR (((int64_t)1 << 31) + 8)

/* The scope's error; the next call starts clean. */
#define REFUSES(call, words)                                                                                           \
    do {                                                                                                               \
        em_scope *s = em_scope_new(NULL);                                                                              \
        em_array *m = em_iota(s, EM_F32, em_shape(3, 4), 1), *v = em_iota(s, EM_S32, em_shape(3), 0);                  \
        (void)m;                                                                                                       \
        (void)v;                                                                                                       \
        assert_true(!(call));                                                                                          \
        EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, words);                                            \
        em_scope_free(s);                                                                                              \
    } while (0)

static void test_refuses_windows(void **state)
{
    (void)state;
    const int64_t ones[] = {1, 1}, zero[] = {1, 0}, two[] = {2, 2}, wide[] = {4, 1}, huge[] = {1, INT64_MAX};
    const em_window_options no_stride = {.struct_size = sizeof no_stride, .strides = zero};
    const em_window_options no_dilation = {.struct_size = sizeof no_stride, .dilations = zero};
    const em_window_options dilated = {.struct_size = sizeof no_stride, .dilations = two};
    const em_window_options long_steps = {.struct_size = sizeof no_stride, .strides = huge};
    const em_window_options far_apart = {.struct_size = sizeof no_stride, .dilations = huge};
    const em_window_options far = {.struct_size = sizeof no_stride, .low = huge};
    REFUSES(em_window_sum(s, m, zero, NULL), "must be positive");
    REFUSES(em_window_max(s, m, ones, &no_stride), "must be positive");
    REFUSES(em_window_min(s, m, ones, &no_dilation), "must be positive");
    REFUSES(em_window_sum(s, m, wide, NULL), "does not fit");
    REFUSES(em_window_sum(s, m, huge, NULL), "too large");
    REFUSES(em_window_sum(s, m, ones, &far), "too large");
    REFUSES(em_window_sum(s, m, ones, &long_steps), "too large");
    REFUSES(em_window_sum(s, m, ones, &far_apart), "too large");
    REFUSES(em_window_sum(s, m, NULL, NULL), "NULL");
    REFUSES(em_window_scatter_max(s, m, m, em_scalar(s, EM_F32, 0), two, &dilated), "dilated");
    REFUSES(em_window_scatter_max(s, m, m, em_scalar(s, EM_F32, 0), two, NULL), "source must be");
    REFUSES(em_window_max(s, em_cast(s, m, EM_C64), ones, NULL), "real number");
    REFUSES(em_cumulative_sum(s, m, 2, false), "axis 2");
    REFUSES(em_cumulative_sum(s, em_scalar(s, EM_F32, 1), 0, false), "axis 0");
    REFUSES(em_cumulative_max(s, em_cast(s, m, EM_C64), 0, false), "real number");
}

static void test_refuses_indices(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 5}, strides[] = {1, 0}, ok[] = {1, 1}, back[] = {2, 1};
    REFUSES(em_take_along_axis(s, m, v, 0), "shape outside axis 0");
    REFUSES(em_take_along_axis(s, m, m, 0), "integers");
    REFUSES(em_gather(s, m, v, EM_AXES(0, 1)), "[.., 2]");
    REFUSES(em_gather(s, m, em_reshape(s, v, em_shape(3, 1)), EM_AXES(2)), "axis 2");
    REFUSES(em_gather(s, m, em_iota(s, EM_S32, em_shape(2, 2), 0), EM_AXES(1, 1)), "named twice");
    REFUSES(em_gather(s, em_reshape(s, m, em_shape(0, 4)), v, EM_AXES(0)), "number of elements");
    REFUSES(em_indexed_add(s, m, em_reshape(s, v, em_shape(3, 1)), m, EM_AXES(1)), "updates must be");
    REFUSES(em_dynamic_slice(s, m, (em_array *[]){v, v}, ok, NULL), "scalar");
    REFUSES(em_dynamic_slice(s, m, NULL, ok, NULL), "NULL");
    em_array *none[2] = {0};
    REFUSES(em_dynamic_slice(s, m, none, ok, NULL), "NULL");
    REFUSES(em_dynamic_slice(s, m, (em_array *[]){em_scalar(s, EM_S32, 0), em_scalar(s, EM_S32, 0)}, lengths, NULL),
            "do not fit");
    REFUSES(em_dynamic_slice(s, m, (em_array *[]){em_scalar(s, EM_S32, 0), em_scalar(s, EM_S32, 0)}, ok, strides),
            "do not fit");
    REFUSES(em_put_slice(s, m, v, (em_array *[]){em_scalar(s, EM_S32, 0), em_scalar(s, EM_S32, 0)}), "does not fit");
    REFUSES(em_tile(s, m, (int64_t[]){-1, 1}), "count");
    REFUSES(em_tile(s, m, (int64_t[]){INT64_MAX, 2}), "");
    REFUSES(em_repeat(s, m, -1, 0), "does not fit");
    REFUSES(em_stack(s, NULL, 2, 0), "NULL");
    REFUSES(em_stack(s, (em_array *[]){m, v}, 2, 0), "differs");
    em_array *parts[3];
    REFUSES(em_split(s, m, back, 2, 0, parts), "ascend");
    REFUSES(em_diagonal(s, v, 0), "rank 1");
    REFUSES(em_diagonal(s, m, 5), "beyond");
    REFUSES(em_make_diagonal(s, m, 0), "vector");
    REFUSES(em_eye(s, EM_F32, em_shape(3), 0), "rank 2");
}

static em_array *bytes_far(em_scope *s, void **map, uint8_t at, int64_t where)
{
    uint8_t *pages =
        mmap(NULL, (size_t)(2 * FAR), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *map = pages;
    if (pages == MAP_FAILED)
        return NULL;
    pages[where] = at;
    return em_scope_adopt(s, em_array_wrap(EM_U8, pages, em_shape(FAR, 2), NULL, NULL));
}

static em_array *number(em_scope *s, int64_t v)
{
    return em_constant(s, EM_S64, &v, EM_SCALAR_SHAPE);
}

/* Untouched pages: the kernels' own index arithmetic beyond 2^31, without the memory. */
static void test_far_in_memory(void **state)
{
    (void)state;
    void *map;
    em_scope *s = em_scope_new(em_device_default());
    em_array *a = bytes_far(s, &map, 77, 2 * (FAR - 3) + 1);
    if (!a) {
        em_scope_free(s);
        skip();
    }
    const int64_t list[] = {FAR - 3, 0, FAR - 1, FAR + 5}, pairs[] = {FAR - 3, 1, FAR - 3, 0}, one_two[] = {1, 2};
    em_array *index = em_constant(s, EM_S64, list, em_shape(4)), *pair = em_constant(s, EM_S64, pairs, em_shape(2, 2));
    const uint8_t *rows = em_array_data(em_take(s, a, index, 0));
    assert_non_null(rows);
    assert_true(rows[0] == 0 && rows[1] == 77 && rows[3] == 0 && rows[7] == 0);
    const uint8_t *picked = em_array_data(em_gather(s, a, pair, EM_ALL_AXES));
    assert_non_null(picked);
    assert_true(picked[0] == 77 && picked[1] == 0);
    em_array *starts[] = {number(s, FAR - 3), number(s, 0)};
    const uint8_t *slice = em_array_data(em_dynamic_slice(s, a, starts, one_two, NULL));
    assert_non_null(slice);
    assert_true(slice[0] == 0 && slice[1] == 77);
    em_array *columns = em_constant(s, EM_S64, (int64_t[]){FAR - 3, FAR - 3}, em_shape(1, 2));
    const uint8_t *along = em_array_data(em_take_along_axis(s, a, columns, 0));
    assert_non_null(along);
    assert_true(along[0] == 0 && along[1] == 77);
    const uint8_t *strided =
        em_array_data(em_slice(s, a, (int64_t[]){1, 1}, (int64_t[]){FAR, 2}, (int64_t[]){FAR - 4, 1}));
    assert_non_null(strided);
    assert_true(strided[0] == 0 && strided[1] == 77);
    em_scope_free(s);
    munmap(map, (size_t)(2 * FAR));
}

/* Broadcast views: stride 0 over more than 2^31 rows. */
static void test_far_by_stride(void **state)
{
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++) {
        em_scope *s = em_scope_new(*device);
        const float v[] = {5, 6};
        em_array *a = em_broadcast_to(s, em_constant_f32(s, v, em_shape(2)), em_shape(FAR, 2));
        em_array *wide = em_broadcast_to(s, em_constant_f32(s, v, em_shape(2, 1)), em_shape(2, FAR));
        const int64_t list[] = {FAR - 1, 3};
        em_array *index = em_constant(s, EM_S64, list, em_shape(2));
        EXPECT_SAME_BITS(EM_F32, em_array_data(em_take(s, a, index, 0)), ((float[]){5, 6, 5, 6}), 4);
        em_array *pair = em_constant(s, EM_S64, (int64_t[]){FAR - 1, 1}, em_shape(1, 2));
        EXPECT_SAME_BITS(EM_F32, em_array_data(em_gather(s, a, pair, EM_ALL_AXES)), v + 1, 1);
        em_array *both = em_constant(s, EM_S64, (int64_t[]){FAR - 1, FAR - 2}, em_shape(2, 1));
        EXPECT_SAME_BITS(EM_F32, em_array_data(em_take_along_axis(s, wide, both, 1)), v, 2);
        em_array *starts[] = {number(s, FAR), number(s, 1)};
        EXPECT_SAME_BITS(EM_F32, em_array_data(em_dynamic_slice(s, a, starts, (int64_t[]){2, 1}, NULL)),
                         ((float[]){6, 6}), 2);
        em_array *cut = em_slice(s, a, (int64_t[]){FAR - 3, 0}, (int64_t[]){FAR, 2}, NULL);
        EXPECT_SAME_BITS(EM_F32, em_array_data(em_sum(s, cut, EM_AXES(0), false)), ((float[]){15, 18}), 2);
        em_array *spread =
            em_reverse(s, em_slice(s, a, (int64_t[]){7, 0}, (int64_t[]){FAR, 2}, (int64_t[]){FAR / 2, 1}), EM_AXES(0));
        EXPECT_SAME_BITS(EM_F32, em_array_data(em_max(s, spread, EM_AXES(1), false)), ((float[]){6, 6}), 2);
        em_array *flat =
            em_reshape(s, em_broadcast_to(s, em_constant_f32(s, v, em_shape(1)), em_shape(FAR, 2)), em_shape(2 * FAR));
        em_array *tail = em_slice(s, flat, (int64_t[]){2 * FAR - 2}, (int64_t[]){2 * FAR}, NULL);
        EXPECT_SAME_BITS(EM_F32, em_array_data(tail), ((float[]){5, 5}), 2);
        EXPECT_SAME_BITS(
            EM_F32,
            em_array_data(em_diagonal(s, em_broadcast_to(s, em_scalar(s, EM_F32, 5), em_shape(1 << 20, FAR)), FAR - 2)),
            ((float[]){5, 5}), 2);
        em_scope_free(s);
    }
}

static void test_iota_of_nothing(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_iota(s, EM_S64, em_shape(FAR, 0, 4), 0);
    EXPECT_OK(em_eval(s, a));
    assert_int_equal(em_array_size(a), 0);
    em_array *r = em_tile(s, a, (int64_t[]){3, 2, 1});
    EXPECT_OK(em_eval(s, r));
    assert_true(em_array_dims(r).dims[0] == 3 * FAR);
    em_scope_free(s);
}

static void test_views_of_rank_8(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_iota(s, EM_S32, (em_dims){8, {2, 1, 2, 1, 2, 1, 2, 3}}, 7);
    em_array *parts[3];
    assert_true(em_split(s, a, (int64_t[]){0, 1}, 2, -1, parts));
    assert_int_equal(em_array_size(parts[0]), 0);
    assert_int_equal(em_array_size(parts[1]), 16);
    const int32_t *last = em_array_data(parts[2]);
    assert_non_null(last);
    assert_true(last[0] == 1 && last[1] == 2);
    EXPECT_OK(em_eval(s, em_roll(s, em_repeat(s, a, 3, 0), -4, 7)));
    EXPECT_OK(em_eval(s, em_tril(s, em_diagonal(s, em_transpose(s, a, EM_ALL_AXES), 0), 1)));
    EXPECT_OK(em_eval(s, em_cumulative_max(s, parts[0], 7, true)));
    em_array *empty = em_indexed_put(s, parts[0], em_constant(s, EM_S64, NULL, em_shape(0, 1)),
                                     em_reshape(s, parts[0], (em_dims){8, {0, 1, 2, 1, 2, 1, 2, 0}}), EM_AXES(0));
    EXPECT_OK(em_eval(s, empty));
    em_scope_free(s);
}

static void test_rank_0(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *five = em_scalar(s, EM_F32, 5);
    em_array *made[] = {
        em_dynamic_slice(s, five, NULL, NULL, NULL),
        em_put_slice(s, em_scalar(s, EM_F32, 1), five, NULL),
        em_window_sum(s, five, NULL, NULL),
        em_window_mean(s, five, NULL, NULL),
        em_tile(s, five, NULL),
        em_gather(s, five, em_constant(s, EM_S64, NULL, em_shape(0)), EM_ALL_AXES),
        em_indexed_put(s, em_scalar(s, EM_F32, 1), em_constant(s, EM_S64, NULL, em_shape(0)), five, (em_axes){0}),
        em_pad(s, five, em_scalar(s, EM_F32, 0), NULL, NULL, NULL)};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        const float *v = em_array_data(made[i]);
        if (!v || em_array_dims(made[i]).rank != 0 || *v != 5)
            fail_msg("%zu: %s", i, em_scope_error(s));
    }
    em_scope_free(s);
}

static void test_check(void **state)
{
    (void)state;
    const int32_t list[] = {0, 4, 1, 2};
    int64_t axes[] = {1, 0};
    em__tensor in[] = {{.spec = {EM_F32, 2, {5, 5}}}, {.data = (void *)list, .spec = {EM_S32, 2, {2, 2}}}};
    em__tensor_contiguous(&in[0]);
    em__tensor_contiguous(&in[1]);
    em__call call = {.op = EM__OP_GATHER, .in = in, .n_in = 2, .ints = axes, .n_ints = 2};
    EXPECT_OK(em__call_check_indices(&call));
    in[0].spec.dims[0] = 4;
    EXPECT_ERROR(em__call_check_indices(&call), EM_ERROR_INVALID_ARGUMENT,
                 "gather: index 4 on axis 0 out of range (dim=4)");
    call.op = EM__OP_TAKE;
    in[0].spec.dims[1] = 3;
    EXPECT_ERROR(em__call_check_indices(&call), EM_ERROR_INVALID_ARGUMENT,
                 "take: index 4 on axis 1 out of range (dim=3)");
    call.op = EM__OP_ADD;
    EXPECT_OK(em__call_check_indices(&call));
    EXPECT_ERROR(em__index_check("take", -1, 0, 3), EM_ERROR_INVALID_ARGUMENT,
                 "take: index -1 on axis 0 is negative (dim=3)");
}

static em_status work(void *context)
{
    (void)context;
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return em_last_status();
    em_array *m = em_iota(s, EM_BF16, em_shape(6, 8), 1), *i = em_iota(s, EM_S32, em_shape(6, 1), 0);
    em_array *g = em_indexed_add(s, m, i, em_gather(s, m, i, EM_AXES(0)), EM_AXES(0));
    em_array *w = em_window_mean(s, em_cumulative_sum(s, g, 1, true), (int64_t[]){2, 2}, NULL);
    em_array *rows[] = {w, em_roll(s, w, 1, 0)};
    w = em_tile(s, em_tril(s, em_stack(s, rows, 2, 0), 1), (int64_t[]){2, 1, 2});
    w = em_make_diagonal(s, em_reshape(s, em_diagonal(s, w, 1), em_shape(-1)), 1);
    em_status status = em_eval(s, w);
    status = status != EM_OK ? status : em_scope_status(s);
    em_scope_free(s);
    return status;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep(work, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refuses_windows), cmocka_unit_test(test_refuses_indices),
                                       cmocka_unit_test(test_far_in_memory),   cmocka_unit_test(test_far_by_stride),
                                       cmocka_unit_test(test_iota_of_nothing), cmocka_unit_test(test_views_of_rank_8),
                                       cmocka_unit_test(test_rank_0),          cmocka_unit_test(test_check),
                                       cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
