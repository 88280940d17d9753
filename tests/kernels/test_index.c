/*
 * Reading and writing by index on cpu against ref, bit for bit: every dtype of elements and of indices, random shapes,
 * axes and layouts, indices out of range and repeated, 1, 2 and 5 threads. Offsets at every level.
 */
#include <stdlib.h>
#include <string.h>

#include <emily/indexing.h>
#include <emily/ops.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"
#include "harness/sample.h"

#include "device/cpu/offsets.h"
#include "ops/op.h"

#define ROOM (1 << 20) /* elements of an operand, at most */

static const em_dtype kinds[] = {EM_S64, EM_S32, EM_U8, EM_S8, EM_U16, EM_S16, EM_U32, EM_U64};

typedef struct operand {
    em_dtype dtype;
    em_dims dims;
    void *data;
    bool turned; /* given as the transpose of what is stored */
} operand;

typedef struct trial {
    em__op op;
    operand a, index, updates;
    int axis;
    em_axes axes;
    int64_t lengths[EM_MAX_RANK], strides[EM_MAX_RANK], starts[EM_MAX_RANK];
} trial;

static int64_t count_of(em_dims dims)
{
    int64_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= dims.dims[i];
    return n;
}

static void *room_for(operand *o)
{
    assert_true(count_of(o->dims) <= ROOM);
    o->data = calloc((size_t)count_of(o->dims) + 1, em_dtype_size(o->dtype));
    assert_non_null(o->data);
    return o->data;
}

/* Integers around [0, limit), as far as the dtype goes. */
static void fill_indices(rng *r, operand *o, em_dtype kind, int64_t limit)
{
    o->dtype = kind;
    char *data = room_for(o);
    bool is_signed = em_dtype_get_kind(kind) == EM_KIND_SIGNED;
    for (int64_t i = 0; i < count_of(o->dims); i++) {
        int64_t v = (int64_t)rng_below(r, (size_t)limit + 4) - (is_signed ? 2 : 0);
        memcpy(data + i * (int64_t)em_dtype_size(kind), &v, em_dtype_size(kind)); /* little endian */
    }
}

static void fill(rng *r, operand *o, em_dtype dtype, em_dims dims)
{
    o->dtype = dtype;
    o->dims = dims;
    rng_fill(r, dtype, room_for(o), (size_t)count_of(dims));
    o->turned = rng_below(r, 3) == 0;
}

static em_array *give(em_scope *s, const operand *o)
{
    if (!o->data)
        return NULL;
    em_dims dims = o->dims;
    for (int i = 0; i < dims.rank && o->turned; i++)
        dims.dims[i] = o->dims.dims[dims.rank - 1 - i];
    em_array *array = em_constant(s, o->dtype, o->data, dims);
    return o->turned ? em_transpose(s, array, EM_ALL_AXES) : array;
}

static em_array *build(em_scope *s, const trial *t)
{
    em_array *a = give(s, &t->a), *index = give(s, &t->index), *updates = give(s, &t->updates);
    em_array *starts[EM_MAX_RANK];
    for (int i = 0; i < t->a.dims.rank; i++)
        starts[i] = em_constant(s, EM_S64, &t->starts[i], EM_SCALAR_SHAPE);
    switch (t->op) {
    case EM__OP_TAKE: return em_take(s, a, index, t->axis);
    case EM__OP_TAKE_ALONG_AXIS: return em_take_along_axis(s, a, index, t->axis);
    case EM__OP_GATHER: return em_gather(s, a, index, t->axes);
    case EM__OP_INDEXED_ADD: return em_indexed_add(s, a, index, updates, t->axes);
    case EM__OP_INDEXED_PUT: return em_indexed_put(s, a, index, updates, t->axes);
    case EM__OP_DYNAMIC_SLICE: return em_dynamic_slice(s, a, starts, t->lengths, t->strides);
    default: return em_put_slice(s, a, updates, starts);
    }
}

static em_dims random_dims(rng *r, int rank, int64_t most)
{
    em_dims dims = {.rank = rank};
    for (int i = 0; i < rank; i++)
        dims.dims[i] = 1 + (int64_t)rng_below(r, (size_t)most);
    return dims;
}

/* `count` different axes of `rank`; the others' dimensions are appended to *rest. */
static em_axes random_axes(rng *r, em_dims dims, int count, em_dims *rest)
{
    em_axes axes = {0};
    unsigned named = 0;
    while (axes.count < count) {
        int axis = (int)rng_below(r, (size_t)dims.rank);
        if (!(named >> axis & 1))
            axes.axes[axes.count++] = axis;
        named |= 1u << axis;
    }
    for (int i = 0; i < dims.rank; i++)
        if (!(named >> i & 1))
            rest->dims[rest->rank++] = dims.dims[i];
    return axes;
}

static trial random_trial(rng *r, em__op op, em_dtype dtype, em_dtype kind)
{
    trial t = {.op = op};
    int rank = 1 + (int)rng_below(r, 4);
    bool big = rng_below(r, 8) == 0;
    em_dims dims = random_dims(r, rank, big ? rank == 1 ? 60000 : rank == 2 ? 250 : 24 : 6), rest = {0};
    fill(r, &t.a, dtype, dims);
    t.axis = (int)rng_below(r, (size_t)rank);
    for (int i = 0; i < rank; i++) {
        t.lengths[i] = (int64_t)rng_below(r, (size_t)dims.dims[i] + 1);
        t.strides[i] = 1 + (int64_t)rng_below(r, 3);
        t.starts[i] = (int64_t)rng_below(r, (size_t)dims.dims[i] + 4) - 2;
        rest.dims[i] = t.lengths[i];
    }
    rest.rank = rank;
    if (op == EM__OP_DYNAMIC_SLICE)
        return t;
    if (op == EM__OP_PUT_SLICE) {
        fill(r, &t.updates, dtype, rest);
        return t;
    }
    if (op == EM__OP_TAKE || op == EM__OP_TAKE_ALONG_AXIS) {
        t.index.dims = op == EM__OP_TAKE ? random_dims(r, (int)rng_below(r, 3), big ? 40 : 5) : dims;
        if (op == EM__OP_TAKE_ALONG_AXIS)
            t.index.dims.dims[t.axis] = 1 + (int64_t)rng_below(r, 9);
        fill_indices(r, &t.index, kind, dims.dims[t.axis] < 100 ? dims.dims[t.axis] : 100);
        return t;
    }
    rest = random_dims(r, (int)rng_below(r, 3), big ? 30 : 5);
    t.index.dims = rest;
    t.axes = random_axes(r, dims, 1 + (int)rng_below(r, (size_t)rank), &rest);
    t.index.dims.dims[t.index.dims.rank++] = t.axes.count;
    fill_indices(r, &t.index, kind, big ? 25 : 5);
    if (op != EM__OP_GATHER)
        fill(r, &t.updates, dtype, rest);
    return t;
}

static void run_trial(const trial *t)
{
    static const int threads[] = {1, 2, 5};
    em_scope *ref = em_scope_new(em_device_find("ref"));
    em_array *want = build(ref, t);
    if (!want || em_eval(ref, want) != EM_OK)
        fail_msg("%s: %s", em__op_get(t->op)->name, em_scope_error(ref));
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads[i]));
        em_scope *cpu = em_scope_new(em_device_default());
        em_array *got = build(cpu, t);
        EXPECT_OK(em_eval(cpu, got));
        assert_int_equal(em_array_dtype(got), em_array_dtype(want));
        EXPECT_SAME_BITS(em_array_dtype(want), em_array_data(got), em_array_data(want), em_array_size(want));
        em_scope_free(cpu);
    }
    em_scope_free(ref);
    free(t->a.data);
    free(t->index.data);
    free(t->updates.data);
}

static void test_like_ref(void **state)
{
    (void)state;
    static const em__op ops[] = {EM__OP_TAKE,        EM__OP_TAKE_ALONG_AXIS, EM__OP_GATHER,   EM__OP_INDEXED_ADD,
                                 EM__OP_INDEXED_PUT, EM__OP_DYNAMIC_SLICE,   EM__OP_PUT_SLICE};
    rng r = {5};
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
        for (int dtype = 0; dtype <= EM_C128; dtype++)
            for (int i = 0; i < 12; i++) {
                if (!sample_takes())
                    continue;
                trial t = random_trial(&r, ops[o], (em_dtype)dtype, kinds[(i + dtype) % 8]);
                run_trial(&t);
            }
}

/* Rows long enough for columns of their own, many updates of few places, and about as many rows as updates of them;
 * indices that are rows as they lie, and such that are not. */
static void test_shared_out(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{40, 3000, 60},     {3000, 64, 5000}, {2000, 64, 300},
                                        {50000, 1, 100000}, {3, 1, 70000},    {257, 8, 40}};
    static const em_dtype dtypes[] = {EM_F32, EM_BF16, EM_C64}, of_index[] = {EM_S32, EM_S64, EM_U16, EM_U64};
    rng r = {6};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int put = 0; put < 2; put++)
            for (size_t d = 0; d < 3; d++) {
                if (!sample_takes())
                    continue;
                int64_t rows = shapes[i][0], run = shapes[i][1], n = shapes[i][2];
                trial t = {.op = put ? EM__OP_INDEXED_PUT : EM__OP_INDEXED_ADD, .axes = EM_AXES(0)};
                t.index.dims = em_shape(n, 1);
                fill(&r, &t.a, dtypes[d], em_shape(rows, run));
                fill_indices(&r, &t.index, of_index[(i + d) % 4], rows);
                fill(&r, &t.updates, dtypes[d], em_shape(n, run));
                run_trial(&t);
            }
}

/* Two axes name a row, in both orders, and it has two axes. */
static void test_rows_of_two_axes(void **state)
{
    (void)state;
    rng r = {8};
    for (int put = 0; put < 2; put++)
        for (int turned = 0; turned < 2; turned++) {
            trial t = {.op = put ? EM__OP_INDEXED_PUT : EM__OP_INDEXED_ADD, .axes = EM_AXES(turned, !turned)};
            t.index.dims = em_shape(700, 2);
            fill(&r, &t.a, EM_F32, em_shape(25, 25, 4, 6));
            t.a.turned = false;
            fill_indices(&r, &t.index, EM_S32, 25);
            fill(&r, &t.updates, EM_F32, em_shape(700, 4, 6));
            run_trial(&t);
        }
}

/* Single elements of parts that do not lie in the first cache. */
static void test_elements(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_S64, EM_C64, EM_C128}, of_index[] = {EM_S32, EM_U32, EM_S64, EM_U64};
    rng r = {9};
    for (size_t d = 0; d < 4; d++)
        for (size_t k = 0; k < 4; k++)
            for (int form = 0; form < 4; form++) {
                static const em__op ops[] = {EM__OP_TAKE, EM__OP_TAKE_ALONG_AXIS, EM__OP_TAKE_ALONG_AXIS,
                                             EM__OP_GATHER};
                trial t = {.op = ops[form], .axes = EM_AXES(0), .axis = form == 0};
                em_dims dims = form == 0 ? em_shape(2, 5003) : form == 1 ? em_shape(90, 77) : em_shape(6001);
                fill(&r, &t.a, dtypes[d], dims);
                t.a.turned = false;
                t.index.dims = form == 1 ? em_shape(50, 77) : form == 3 ? em_shape(700, 1) : em_shape(700);
                fill_indices(&r, &t.index, of_index[k], dims.dims[t.axis]);
                run_trial(&t);
            }
}

static void check_offsets(em__cpu_level level, em_dtype kind)
{
    enum { N = 100 };
    em__offsets k;
    rng r = {(uint64_t)kind};
    int64_t got[N], want[N];
    em__offsets_init(&k, level);
    for (int round = 0; round < 40; round++) {
        operand o = {.dims = em_shape(2 * N)};
        int64_t step = 1 + round % 2, count = 1 + (int64_t)rng_below(&r, 120), scale = round % 3 ? 1 + round : 1;
        fill_indices(&r, &o, kind, count);
        em__index_list list = {o.data, step, (int64_t)rng_below(&r, N), count, scale};
        for (int strict = 0; strict < 2; strict++) {
            k.set[kind](got, &list, 7);
            strict ? k.strict[kind](got, &list) : k.add[kind](got, &list);
            for (int64_t i = 0; i < list.n; i++) {
                int64_t x = (int64_t)expect_element(kind, o.data, (size_t)(i * step));
                int64_t inside = x < 0 ? 0 : x >= count ? count - 1 : x;
                want[i] = strict && x != inside ? -1 : 7 + 2 * inside * scale;
            }
            EXPECT_SAME_BITS(EM_S64, got, want, (size_t)list.n);
        }
        free(o.data);
    }
}

static void check_within(em__cpu_level level, em_dtype kind)
{
    enum { N = 100 };
    em__offsets k;
    rng r = {(uint64_t)kind};
    int32_t at[N + 16], number[N + 16];
    em__offsets_init(&k, level);
    for (int round = 0; round < 60; round++) {
        operand o = {.dims = em_shape(N)};
        int64_t n = (int64_t)rng_below(&r, N + 1), low = (int64_t)rng_below(&r, 60), range = 1 + round, found = 0;
        fill_indices(&r, &o, kind, 100);
        low = round % 7 ? low : ((int64_t)1 << (29 + round / 7)) - 5; /* near the integers' own ends, and past them */
        range = round % 5 ? range : (int64_t)1 << 31;
        int64_t got = k.within[kind](at, number, o.data, n, low, range);
        for (int64_t i = 0; i < n; i++) {
            int64_t x = (int64_t)expect_element(kind, o.data, (size_t)i);
            if (x < low || x - low >= range)
                continue;
            assert_true(found < got && at[found] == x - low && number[found] == i);
            found++;
        }
        assert_int_equal(got, found);
        free(o.data);
    }
}

static void test_offsets(void **state)
{
    (void)state;
    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
        for (size_t i = 0; i < 8; i++)
            check_offsets((em__cpu_level)level, kinds[i]);
    static const em_dtype wide[] = {EM_S32, EM_U32, EM_S64, EM_U64};
    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
        for (size_t i = 0; i < 4; i++)
            check_within((em__cpu_level)level, wide[i]);
    levels_report();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_like_ref), cmocka_unit_test(test_shared_out),
                                       cmocka_unit_test(test_rows_of_two_axes), cmocka_unit_test(test_elements),
                                       cmocka_unit_test(test_offsets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
