/*
 * The cuda device's kernels along rows against ref's loops: lengths around every cut, operands with strides, NaN and
 * infinities, results over nothing. A second run must have the first one's bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "device/device.h"
#include "device/ref/ref.h"
#include "harness/expect.h"
#include "harness/sample.h"

static em_device *gpu;
static uint64_t state = 88172645463325252ull;

static uint64_t random_bits(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

typedef struct example {
    em__op op;
    em_dtype dtype;
    int rank;
    int64_t dims[4];
    int order[4]; /* the operand's axes in memory, the slowest first */
    int64_t ints[12];
    int n_ints;
    double special; /* the share of elements that are NaN, infinite or equal to others */
} example;

static bool is_product(em__op op)
{
    return op == EM__OP_PRODUCT || op == EM__OP_CUMULATIVE_PRODUCT || op == EM__OP_WINDOW_PRODUCT;
}

/* An operand of the example's shape whose axes lie in memory in its order. */
static em__tensor operand(const example *e)
{
    em__tensor t = {.spec = {.dtype = e->dtype, .rank = e->rank}};
    memcpy(t.spec.dims, e->dims, sizeof e->dims);
    int64_t stride = 1, size = em__spec_size(&t.spec);
    for (int i = e->rank - 1; i >= 0; i--) {
        t.strides[e->order[i]] = stride;
        stride *= e->dims[e->order[i]];
    }
    t.data = aligned_alloc(64, ((size_t)size * em_dtype_size(e->dtype) + 127) / 64 * 64);
    em_dtype_kind kind = em_dtype_get_kind(e->dtype);
    for (int64_t i = 0; i < size; i++) {
        double real = (double)(random_bits() >> 11) / 4503599627370496.0 - 1;
        if (is_product(e->op))
            real = 1 + real / 64;
        uint64_t bits = random_bits();
        if ((double)(random_bits() % 10000) < e->special * 10000)
            real = bits % 4 == 0 ? NAN : bits % 4 == 1 ? INFINITY : bits % 4 == 2 ? -INFINITY : 0;
        if ((e->op == EM__OP_ALL || e->op == EM__OP_ANY) && bits % 64)
            real = e->op == EM__OP_ALL, bits = e->op == EM__OP_ALL;
        em__value v = {real, is_product(e->op) ? 0.01 * real : real / 2, (int64_t)bits, bits};
        if (kind == EM_KIND_FLOAT && e->special == 0 && (e->op == EM__OP_ARGMAX || e->op == EM__OP_ARGMIN))
            v.f = (double)(bits % 64);
        em__ref_store(e->dtype, t.data, i, v);
    }
    return t;
}

/* Runs the call on the device, its operands there as they are, and brings the result down into `out`. */
static void run_there(const em__call *call, const size_t *bytes, void *out, size_t out_bytes)
{
    const em__device_memory *memory = gpu->vtable->memory;
    em__call there = *call;
    em__tensor in[4];
    em__plan plan;
    em__device_enter(gpu);
    there.in = in;
    for (int i = 0; i < call->n_in; i++)
        in[i] = call->in[i];
    there.out.data = NULL;
    assert_int_equal(gpu->vtable->prepare(gpu, &there, &plan), EM_OK);
    assert_false(plan.fallback);
    for (int i = 0; i < call->n_in; i++) {
        assert_true(plan.strided >> i & 1 || em__tensor_is_contiguous(&in[i]));
        in[i].data = memory->alloc(gpu, bytes[i]);
        const em__transfer part = {in[i].data, call->in[i].data, bytes[i]};
        assert_int_equal(memory->upload(gpu, &part, 1), EM_OK);
    }
    void *scratch = memory->alloc(gpu, plan.scratch);
    there.out.data = memory->alloc(gpu, out_bytes);
    there.scratch = scratch;
    assert_int_equal(plan.kernel(gpu, &there), EM_OK);
    assert_int_equal(memory->download(gpu, out, there.out.data, out_bytes), EM_OK);
    memory->free(gpu, there.out.data, out_bytes);
    memory->free(gpu, scratch, plan.scratch);
    for (int i = 0; i < call->n_in; i++)
        memory->free(gpu, in[i].data, bytes[i]);
    em__device_leave(gpu);
}

static double tolerance(em_dtype dtype)
{
    switch (dtype) {
    case EM_F64:
    case EM_C128: return 1e-12;
    case EM_F16: return 2e-3;
    case EM_BF16: return 1e-2;
    case EM_F8_E4M3FN: return 0.07;
    case EM_F8_E5M2: return 0.13;
    default: return 5e-6;
    }
}

static bool close_enough(double want, double got, double scale, double share)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    return want == got || fabs(want - got) <= share * (fabs(want) + scale);
}

static void compare(const example *e, const em__spec *spec, const void *want, const void *got, double scale)
{
    em_dtype_kind kind = em_dtype_get_kind(spec->dtype);
    for (int64_t i = 0; i < em__spec_size(spec); i++) {
        em__value a = em__ref_load(spec->dtype, want, i), b = em__ref_load(spec->dtype, got, i);
        double share = tolerance(spec->dtype) * (is_product(e->op) ? 10 : 1);
        bool same = kind < EM_KIND_FLOAT
                        ? a.s == b.s && a.u == b.u
                        : close_enough(a.f, b.f, scale, share) && close_enough(a.imag, b.imag, scale, share);
        if (!same)
            fail_msg("%s %s [%lld, %lld, %lld] ints %lld %lld: element %lld is %g (%lld), not %g (%lld)",
                     em__op_get(e->op)->name, em_dtype_name(e->dtype), (long long)e->dims[0], (long long)e->dims[1],
                     (long long)e->dims[2], (long long)e->ints[0], (long long)e->ints[1], (long long)i, b.f,
                     (long long)(b.s | (int64_t)b.u), a.f, (long long)(a.s | (int64_t)a.u));
    }
}

static void check(const example *e, int n_extra, const em__tensor *extra, double eps)
{
    em__tensor in[4];
    const em__spec *specs[4];
    size_t bytes[4];
    if (!sample_takes())
        return;
    in[0] = operand(e);
    for (int i = 0; i < n_extra; i++)
        in[1 + i] = extra[i];
    for (int i = 0; i <= n_extra; i++) {
        specs[i] = &in[i].spec;
        bytes[i] = (size_t)em__spec_size(&in[i].spec) * em_dtype_size(in[i].spec.dtype);
    }
    em__call call = {.op = e->op, .n_in = 1 + n_extra, .in = in, .ints = e->ints, .n_ints = e->n_ints};
    call.floats = &eps;
    call.n_floats = n_extra || e->op == EM__OP_RMS_NORM || e->op == EM__OP_LAYER_NORM;
    em__apply apply = {e->op, call.n_in, specs, e->n_ints, e->ints, call.n_floats, &eps};
    assert_int_equal(em__op_infer(&apply, &call.out.spec), EM_OK);
    em__tensor_contiguous(&call.out);
    size_t out_bytes = (size_t)em__spec_size(&call.out.spec) * em_dtype_size(call.out.spec.dtype);
    void *want = calloc(1, out_bytes + 1), *got = calloc(1, out_bytes + 1), *again = calloc(1, out_bytes + 1);
    void *scratch = calloc(1, em__ref_scratch(&call) + 1);
    call.out.data = want;
    call.scratch = scratch;
    assert_int_equal(em__ref_kernel(e->op)(&em__ref_device, &call), EM_OK);
    run_there(&call, bytes, got, out_bytes);
    run_there(&call, bytes, again, out_bytes);
    if (e->op == EM__OP_TOP_K) {
        em__tensor wanted[2], gotten[2];
        assert_int_equal(em__call_parts(&call, wanted, 2), EM_OK);
        call.out.data = got;
        assert_int_equal(em__call_parts(&call, gotten, 2), EM_OK);
        compare(e, &wanted[0].spec, wanted[0].data, gotten[0].data, 0);
        compare(e, &wanted[1].spec, wanted[1].data, gotten[1].data, 0);
    } else {
        double count = (double)em__spec_size(&in[0].spec) / (double)(em__spec_size(&call.out.spec) | 1);
        if (e->op == EM__OP_CUMULATIVE_SUM)
            count = (double)e->dims[e->ints[0]];
        double scale = e->op == EM__OP_SUM || e->op == EM__OP_CUMULATIVE_SUM ? sqrt(count)
                       : e->op == EM__OP_SOFTMAX                             ? 1e-4
                                                                             : 1;
        compare(e, &call.out.spec, want, got, scale);
        assert_memory_equal(got, again, out_bytes);
    }
    free(want);
    free(got);
    free(again);
    free(scratch);
    free(in[0].data);
}

static const em_dtype all_dtypes[] = {EM_PRED,      EM_U8,      EM_U16, EM_U32,  EM_U64, EM_S8,  EM_S16, EM_S32, EM_S64,
                                      EM_F8_E4M3FN, EM_F8_E5M2, EM_F16, EM_BF16, EM_F32, EM_F64, EM_C64, EM_C128};

static bool reduces(em__op op, em_dtype dtype)
{
    if (op == EM__OP_SUM || op == EM__OP_PRODUCT)
        return em__sum_dtype(dtype) == dtype;
    return op == EM__OP_ALL || op == EM__OP_ANY || em_dtype_get_kind(dtype) != EM_KIND_COMPLEX;
}

static void reductions(void **unused)
{
    (void)unused;
    static const em__op ops[] = {EM__OP_SUM, EM__OP_PRODUCT, EM__OP_MAX, EM__OP_MIN, EM__OP_ALL, EM__OP_ANY};
    static const struct {
        int64_t dims[3];
        int64_t mask;
        int order[3];
    } shapes[] = {
        {{3, 5, 7}, 4, {0, 1, 2}},    {{3, 5, 7}, 1, {0, 1, 2}},     {{3, 5, 8}, 2, {0, 1, 2}},
        {{3, 5, 16}, 5, {0, 1, 2}},   {{4, 6, 15}, 7, {0, 1, 2}},    {{2, 3, 300}, 4, {0, 1, 2}},
        {{1, 2, 9000}, 4, {0, 1, 2}}, {{2, 1500, 48}, 2, {0, 1, 2}}, {{1, 40, 999}, 7, {0, 1, 2}},
        {{5, 6, 64}, 4, {2, 0, 1}},   {{5, 6, 64}, 1, {1, 2, 0}},    {{3, 0, 5}, 2, {0, 1, 2}},
        {{0, 3, 5}, 2, {0, 1, 2}},    {{3, 5, 7}, 0, {0, 1, 2}},     {{1, 300, 257}, 2, {0, 1, 2}},
    };
    for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++)
        for (size_t d = 0; d < sizeof all_dtypes / sizeof all_dtypes[0]; d++)
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0] && reduces(ops[o], all_dtypes[d]); s++) {
                example e = {ops[o], all_dtypes[d], 3, {0}, {0}, {(int64_t)(s & 1), shapes[s].mask}, 2, 0};
                memcpy(e.dims, shapes[s].dims, sizeof shapes[s].dims);
                memcpy(e.order, shapes[s].order, sizeof shapes[s].order);
                check(&e, 0, NULL, 0);
                e.special = 0.05;
                if (ops[o] == EM__OP_MAX || ops[o] == EM__OP_MIN)
                    check(&e, 0, NULL, 0);
            }
}

static void large_reductions(void **unused)
{
    (void)unused;
    static const int64_t masks[] = {1, 2, 3};
    for (int m = 0; m < 3; m++)
        for (int odd = 0; odd < 2; odd++) {
            check(&(example){EM__OP_SUM, EM_F16, 2, {2300, 1504 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_SUM, EM_F32, 2, {2200, 1028 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_SUM, EM_F32, 2, {2200, 4096 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_MAX, EM_BF16, 2, {2200, 8192 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_SUM, EM_BF16, 2, {2200, 4096 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_SUM, EM_F32, 2, {700, 1900 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_SUM, EM_BF16, 2, {2, 300000 + odd}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_MAX, EM_F16, 2, {300000 + odd, 3}, {0, 1}, {0, masks[m]}, 2, 0}, 0, NULL, 0);
        }
}

static void places(void **unused)
{
    (void)unused;
    static const int64_t lengths[] = {1, 3, 16, 65, 257, 1031, 20000, 70001};
    for (int op = 0; op < 2; op++)
        for (size_t d = 0; d < sizeof all_dtypes / sizeof all_dtypes[0]; d++)
            for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++)
                for (int last = 0; last < 4 && em_dtype_get_kind(all_dtypes[d]) != EM_KIND_COMPLEX; last++) {
                    em__op which = op ? EM__OP_ARGMIN : EM__OP_ARGMAX;
                    double special = last >= 2 ? 0.01 : 0;
                    int64_t n_rows = lengths[n] > 2000 ? 2 : 5;
                    check(
                        &(example){which, all_dtypes[d], 2, {n_rows, lengths[n]}, {0, 1}, {1, last & 1, 0}, 3, special},
                        0, NULL, 0);
                    if (lengths[n] < 2000)
                        check(
                            &(example){which, all_dtypes[d], 2, {lengths[n], 40}, {0, 1}, {0, last & 1, 1}, 3, special},
                            0, NULL, 0);
                }
}

static const em_dtype float_dtypes[] = {EM_F16, EM_BF16, EM_F32, EM_F64};
static const int64_t row_lengths[] = {1,   2,    3,    8,    31,   64,   129,  256,  500,   512,   768,
                                      999, 1024, 1030, 2048, 3000, 4096, 5120, 8192, 10000, 16384, 40000};

static void softmax_rows(void **unused)
{
    (void)unused;
    for (size_t d = 0; d < 4; d++)
        for (size_t n = 0; n < sizeof row_lengths / sizeof row_lengths[0]; n++)
            for (int special = 0; special < 2; special++) {
                double share = special ? 0.3 / (double)row_lengths[n] : 0;
                check(&(example){EM__OP_SOFTMAX, float_dtypes[d], 2, {row_lengths[n], 1}, {0, 1}, {0}, 1, share}, 0,
                      NULL, 0);
                check(&(example){EM__OP_SOFTMAX, float_dtypes[d], 2, {7, row_lengths[n]}, {0, 1}, {1}, 1, share}, 0,
                      NULL, 0);
                if (row_lengths[n] > 2000)
                    continue;
                check(&(example){EM__OP_SOFTMAX, float_dtypes[d], 3, {3, row_lengths[n], 37}, {0, 1, 2}, {1}, 1, share},
                      0, NULL, 0);
                check(&(example){EM__OP_SOFTMAX, float_dtypes[d], 3, {3, 5, row_lengths[n]}, {1, 0, 2}, {2}, 1, share},
                      0, NULL, 0);
            }
}

static void norm_rows(void **unused)
{
    (void)unused;
    static const em__op ops[] = {EM__OP_LAYER_NORM, EM__OP_RMS_NORM, EM__OP_FUSED_LAYER_NORM};
    for (size_t d = 0; d < 4; d++)
        for (size_t n = 0; n < sizeof row_lengths / sizeof row_lengths[0]; n++)
            for (int o = 0; o < 3; o++) {
                int64_t length = row_lengths[n];
                bool fused = ops[o] == EM__OP_FUSED_LAYER_NORM, bias = ops[o] != EM__OP_RMS_NORM && n % 2;
                example e = {ops[o], float_dtypes[d], 3, {3, 2, length}, {0, 1, 2}, {1 | bias << 1}, 1, 0};
                example other = e, line = {EM__OP_COPY, float_dtypes[d], 1, {length}, {0}, {0}, 0, 0};
                em__tensor extra[3];
                int count = 0;
                if (fused)
                    extra[count++] = operand(&other);
                extra[count++] = operand(&line);
                if (bias)
                    extra[count++] = operand(&line);
                if (n % 3 == 0) {
                    e.order[0] = 1;
                    e.order[1] = 0;
                }
                check(&e, count, extra, 1e-5);
                for (int i = 0; i < count; i++)
                    free(extra[i].data);
            }
}

static void orders(void **unused)
{
    (void)unused;
    static const int64_t lengths[] = {1, 2, 31, 100, 1024, 4096, 700, 2000, 4097, 9000};
    static const em__op ops[] = {EM__OP_SORT, EM__OP_ARGSORT, EM__OP_TOP_K};
    for (int o = 0; o < 3; o++)
        for (size_t d = 0; d < sizeof all_dtypes / sizeof all_dtypes[0]; d++)
            for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
                if (em_dtype_get_kind(all_dtypes[d]) == EM_KIND_COMPLEX)
                    continue;
                int64_t more = ops[o] == EM__OP_TOP_K ? (lengths[n] + 1) / 2 : (int64_t)(n & 1);
                double special = n & 2 ? 0.05 : 0;
                check(&(example){ops[o], all_dtypes[d], 2, {3, lengths[n]}, {0, 1}, {1, more}, 2, special}, 0, NULL, 0);
                check(&(example){ops[o], all_dtypes[d], 2, {lengths[n], 3}, {0, 1}, {0, more}, 2, special}, 0, NULL, 0);
            }
}

static void random_words(void **unused)
{
    (void)unused;
    static const em_dtype dtypes[] = {EM_U8, EM_U16, EM_U32, EM_U64, EM_F32, EM_F64};
    for (int size = 0; size < 2000; size = size * 2 + 1 + size % 3)
        for (int d = 0; d < 6; d++) {
            check(&(example){EM__OP_THREEFRY2X32, EM_U32, 1, {2}, {0}, {dtypes[d], size}, 2, 0}, 0, NULL, 0);
            check(&(example){EM__OP_RANDINT, EM_U32, 2, {2, 2}, {0, 1}, {EM_S32, -5, d ? 1000 << d : 0, size}, 4, 0}, 0,
                  NULL, 0);
        }
}

static bool scans(em__op op, em_dtype dtype)
{
    bool sums = op == EM__OP_CUMULATIVE_SUM || op == EM__OP_WINDOW_SUM || is_product(op);
    return dtype != EM_PRED && (sums || em_dtype_get_kind(dtype) != EM_KIND_COMPLEX);
}

static void running(void **unused)
{
    (void)unused;
    static const em__op ops[] = {EM__OP_CUMULATIVE_SUM, EM__OP_CUMULATIVE_PRODUCT, EM__OP_CUMULATIVE_MAX,
                                 EM__OP_CUMULATIVE_MIN};
    static const int64_t lengths[] = {1, 5, 64, 1000, 4096, 20001};
    for (int o = 0; o < 4; o++)
        for (size_t d = 0; d < sizeof all_dtypes / sizeof all_dtypes[0]; d++)
            for (size_t n = 0; n < sizeof lengths / sizeof lengths[0] && scans(ops[o], all_dtypes[d]); n++) {
                int64_t length = lengths[n], reverse = (int64_t)(n + d) & 1;
                if (is_product(ops[o]) && length > 4096)
                    continue;
                double special = o >= 2 && n & 1 ? 0.001 : 0;
                check(&(example){ops[o], all_dtypes[d], 2, {3, length}, {0, 1}, {1, reverse}, 2, special}, 0, NULL, 0);
                check(&(example){ops[o], all_dtypes[d], 2, {length, 5}, {0, 1}, {0, reverse}, 2, special}, 0, NULL, 0);
            }
}

static void windows(void **unused)
{
    (void)unused;
    static const em__op ops[] = {EM__OP_WINDOW_SUM, EM__OP_WINDOW_PRODUCT, EM__OP_WINDOW_MAX, EM__OP_WINDOW_MIN};
    for (int o = 0; o < 4; o++)
        for (size_t d = 0; d < sizeof all_dtypes / sizeof all_dtypes[0]; d++)
            for (int special = 0; special < 2 && scans(ops[o], all_dtypes[d]); special++) {
                double share = o >= 2 && special ? 0.05 : 0;
                check(&(example){ops[o], all_dtypes[d], 2, {9, 13}, {0, 1}, {3, 2, 2, 1, 4, 1, 1, 0, 2, 3}, 10, share},
                      0, NULL, 0);
                check(&(example){ops[o], all_dtypes[d], 2, {40, 6}, {0, 1}, {1, 6, 1, 1, 0, 2, 0, 2, 1, 1}, 10, share},
                      0, NULL, 0);
            }
}

static void scattered_windows(void **unused)
{
    (void)unused;
    for (int smallest = 0; smallest < 2; smallest++)
        for (size_t d = 1; d < sizeof all_dtypes / sizeof all_dtypes[0]; d++) {
            if (em_dtype_get_kind(all_dtypes[d]) == EM_KIND_COMPLEX)
                continue;
            em__op op = smallest ? EM__OP_WINDOW_SCATTER_MIN : EM__OP_WINDOW_SCATTER_MAX;
            example e = {op, all_dtypes[d], 2, {9, 14}, {0, 1}, {3, 2, 2, 1, 1, 0, 1, 0}, 8, d & 1 ? 0.1 : 0};
            example source = {op, all_dtypes[d], 2, {5, 13}, {0, 1}, {0}, 0, 0};
            example init = {op, all_dtypes[d], 0, {0}, {0}, {0}, 0, 0};
            em__tensor extra[2] = {operand(&source), operand(&init)};
            check(&e, 2, extra, 0);
            free(extra[0].data);
            free(extra[1].data);
        }
}

/* An argument: only the tests that it names, with * for anything. */
int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions),        cmocka_unit_test(large_reductions), cmocka_unit_test(places),
        cmocka_unit_test(softmax_rows),      cmocka_unit_test(norm_rows),        cmocka_unit_test(orders),
        cmocka_unit_test(random_words),      cmocka_unit_test(running),          cmocka_unit_test(windows),
        cmocka_unit_test(scattered_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
