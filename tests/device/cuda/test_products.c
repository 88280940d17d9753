/*
 * Products on the GPU against ref: every dtype, operands laid out in every way, shapes on each side of the limits
 * between kernels; f32 with half weights, exact and rounded; what follows a product; quantized weights. Ends with 77
 * where there is no GPU.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "device/device.h"
#include "device/ref/ref.h"
#include "harness/expect.h"
#include "harness/rng.h"
#include "harness/sample.h"

enum { MOST_OPERANDS = 8 };

static em_device *gpu;
static rng random_numbers = {11};

/* An operand: as it lies on the host, and its copy on the GPU. */
typedef struct operand {
    em__tensor host;
    size_t bytes;
    void *there;
} operand;

/* Memory of `elements`, 0: as many as the shape has. */
static operand make(em_dtype dtype, int rank, const int64_t *dims, const int64_t *strides, int64_t elements)
{
    operand o = {.host = {.spec = {.dtype = dtype, .rank = rank}}};
    memcpy(o.host.spec.dims, dims, (size_t)rank * sizeof *dims);
    em__tensor_contiguous(&o.host);
    if (strides)
        memcpy(o.host.strides, strides, (size_t)rank * sizeof *strides);
    size_t n = (size_t)(elements ? elements : em__spec_size(&o.host.spec));
    o.bytes = n * em_dtype_size(dtype);
    o.host.data = em__alloc(o.bytes);
    rng_fill(&random_numbers, dtype, o.host.data, n);
    return o;
}

static operand matrix(em_dtype dtype, int64_t rows, int64_t columns)
{
    return make(dtype, 2, (int64_t[]){rows, columns}, NULL, 0);
}

static void *on_gpu(const void *data, size_t bytes)
{
    const em__device_memory *memory = gpu->vtable->memory;
    void *block = memory->alloc(gpu, bytes);
    assert_non_null(block);
    EXPECT_OK(memory->upload(gpu, &(em__transfer){block, data, bytes}, 1));
    return block;
}

/* The operand as the plan wants it: row-major, unless any strides are fine. */
static em__tensor laid_out(const operand *o, bool strided)
{
    em__tensor t = o->host;
    t.data = o->there;
    if (strided || em__tensor_is_contiguous(&t))
        return t;
    em__call copy = {.op = EM__OP_COPY, .n_in = 1, .in = &t, .out = {.spec = t.spec}};
    em__plan plan;
    em__tensor_contiguous(&copy.out);
    size_t bytes = (size_t)em__spec_size(&t.spec) * em_dtype_size(t.spec.dtype);
    copy.out.data = gpu->vtable->memory->alloc(gpu, bytes); /* given back with the process */
    EXPECT_OK(gpu->vtable->prepare(gpu, &copy, &plan));
    EXPECT_OK(plan.kernel(gpu, &copy));
    return copy.out;
}

static void run_on_gpu(em__call *call, operand *in, void *out, size_t bytes)
{
    const em__device_memory *memory = gpu->vtable->memory;
    em__tensor there[MOST_OPERANDS];
    em__plan plan;
    em__call mine = *call;
    for (int i = 0; i < call->n_in; i++) {
        in[i].there = on_gpu(in[i].host.data, in[i].bytes);
        there[i] = in[i].host;
        there[i].data = in[i].there;
    }
    mine.in = there;
    EXPECT_OK(gpu->vtable->prepare(gpu, &mine, &plan));
    assert_false(plan.fallback);
    for (int i = 0; i < call->n_in; i++)
        there[i] = laid_out(&in[i], plan.strided >> i & 1);
    memset(out, 0xee, bytes);
    mine.out.data = on_gpu(out, bytes);
    mine.scratch = memory->alloc(gpu, plan.scratch);
    EXPECT_OK(plan.kernel(gpu, &mine));
    EXPECT_OK(memory->download(gpu, out, mine.out.data, bytes));
    memory->free(gpu, mine.scratch, plan.scratch);
    memory->free(gpu, mine.out.data, bytes);
    for (int i = 0; i < call->n_in; i++)
        memory->free(gpu, in[i].there, in[i].bytes);
}

/* The error over the size of what is wanted, both as roots of mean squares; infinite where one alone is no number. */
static double distance(em_dtype dtype, const void *got, const void *want, int64_t n)
{
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        em__value g = em__ref_load(dtype, got, i), w = em__ref_load(dtype, want, i);
        if (em_dtype_get_kind(dtype) < EM_KIND_FLOAT && (g.s != w.s || g.u != w.u))
            return INFINITY;
        if (isnan(g.f) != isnan(w.f) || isinf(g.f) != isinf(w.f) || (isinf(g.f) && g.f != w.f))
            return INFINITY;
        if (!isfinite(w.f))
            continue;
        error += (g.f - w.f) * (g.f - w.f) + (g.imag - w.imag) * (g.imag - w.imag);
        size += w.f * w.f + w.imag * w.imag;
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

static void drop(const operand *in, int n_in)
{
    for (int i = 0; i < n_in; i++)
        em__free(in[i].host.data);
}

/* Runs the op on both, and gives the operands back. `most`: the distance allowed. */
static void check(em__op op, operand *in, int n_in, const int64_t *ints, int n_ints, bool half_products, double most)
{
    em__call call = {.op = op, .n_in = n_in, .ints = ints, .n_ints = n_ints, .half_products = half_products};
    em__tensor host[MOST_OPERANDS];
    const em__spec *specs[MOST_OPERANDS];
    if (!sample_takes()) {
        drop(in, n_in);
        return;
    }
    for (int i = 0; i < n_in; i++) {
        host[i] = in[i].host;
        specs[i] = &in[i].host.spec;
    }
    call.in = host;
    EXPECT_OK(em__op_infer(&(em__apply){op, n_in, specs, n_ints, ints, 0, NULL}, &call.out.spec));
    em__tensor_contiguous(&call.out);
    const int64_t n = em__spec_size(&call.out.spec);
    const size_t bytes = (size_t)n * em_dtype_size(call.out.spec.dtype);
    void *got = em__alloc(bytes), *want = em__alloc(bytes);
    run_on_gpu(&call, in, got, bytes);
    call.out.data = want;
    call.scratch = em__alloc(em__ref_scratch(&call));
    EXPECT_OK(em__ref_kernel(op)(&em__ref_device, &call));
    double far = distance(call.out.spec.dtype, got, want, n);
    if (!(far <= most)) {
        char a[EM__SPEC_TEXT], b[EM__SPEC_TEXT];
        fail_msg("%s of %s and %s: %.3g away, at most %.3g", em__op_get(op)->name,
                 em__spec_print(specs[0], a, sizeof a), n_in > 1 ? em__spec_print(specs[1], b, sizeof b) : "", far,
                 most);
    }
    em__free(got);
    em__free(want);
    em__free(call.scratch);
    drop(in, n_in);
}

static double tolerance(em_dtype dtype)
{
    switch (dtype) {
    case EM_F64:
    case EM_C128: return 1e-14;
    case EM_F16: return 1e-3;
    case EM_BF16: return 4e-3;
    case EM_F8_E4M3FN: return 5e-2;
    case EM_F8_E5M2: return 1e-1;
    default: return 2e-6;
    }
}

static void check_dot(operand a, operand b, const int64_t *ints, int n_ints, bool half_products, double most)
{
    check(EM__OP_DOT_GENERAL, (operand[]){a, b}, 2, ints, n_ints, half_products, most);
}

/* [m, k] times [k, n] as matrices that are turned or not. */
static void check_turned(em_dtype a, em_dtype b, const int64_t *s, bool half_products, double most)
{
    for (int turned = 0; turned < 4; turned++) {
        const int64_t ints[] = {1, 0, turned & 1 ? 0 : 1, turned & 2 ? 1 : 0};
        check_dot(turned & 1 ? matrix(a, s[2], s[0]) : matrix(a, s[0], s[2]),
                  turned & 2 ? matrix(b, s[1], s[2]) : matrix(b, s[2], s[1]), ints, 4, half_products, most);
    }
}

static void dots(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_F16, EM_BF16, EM_C64,       EM_C128,   EM_S32,
                                      EM_S64, EM_U8,  EM_S16, EM_PRED, EM_F8_E4M3FN, EM_F8_E5M2};
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 64, 128}, {33, 65, 17}, {64, 128, 96},
                                       {7, 100, 1}, {5, 3, 0},    {0, 5, 7}};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        const em_dtype t = dtypes[i];
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            check_turned(t, t, sizes[j], false, tolerance(t));
        const int64_t batch[] = {1, 2, 3, 3, 0, 2, 0, 2}, middle[] = {1, 0, 1, 1}, two[] = {2, 0, 1, 2, 1, 0};
        check_dot(make(t, 4, (int64_t[]){3, 17, 5, 20}, NULL, 0), make(t, 4, (int64_t[]){3, 19, 5, 20}, NULL, 0), batch,
                  8, false, tolerance(t));
        check_dot(make(t, 3, (int64_t[]){6, 7, 8}, NULL, 0), make(t, 3, (int64_t[]){9, 7, 4}, NULL, 0), middle, 4,
                  false, tolerance(t));
        check_dot(make(t, 3, (int64_t[]){6, 7, 8}, NULL, 0), make(t, 3, (int64_t[]){8, 7, 4}, NULL, 0), two, 6, false,
                  tolerance(t));
    }
}

/* Strides of 0, of 2, larger than a row, and batches without end. */
static void layouts(void **state)
{
    (void)state;
    const int64_t plain[] = {1, 0, 1, 0}, batched[] = {1, 1, 2, 1, 0, 0};
    const int64_t a[] = {16, 20}, b[] = {20, 12};
    static const int64_t steps[][2][2] = {
        {{50, 1}, {1, 33}}, {{0, 1}, {12, 0}}, {{40, 2}, {24, 2}}, {{1, 16}, {1, 20}}};
    static const em_dtype dtypes[] = {EM_F32, EM_BF16, EM_S32};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        const em_dtype t = dtypes[i];
        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++)
            check_dot(make(t, 2, a, steps[j][0], 1000), make(t, 2, b, steps[j][1], 1000), plain, 4, false,
                      tolerance(t));
        check_dot(make(t, 3, (int64_t[]){4, 16, 20}, (int64_t[]){0, 20, 1}, 320),
                  make(t, 3, (int64_t[]){4, 20, 12}, NULL, 0), batched, 6, false, tolerance(t));
        check_dot(make(t, 3, (int64_t[]){70000, 2, 3}, NULL, 0), make(t, 3, (int64_t[]){70000, 3, 2}, NULL, 0), batched,
                  6, false, tolerance(t));
    }
}

static void mixed(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 64, 128}, {33, 65, 17}, {130, 256, 512}, {3, 7, 1}, {70, 40, 4096}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_turned(EM_F32, EM_BF16, sizes[i], false, 2e-6);
        check_turned(EM_F32, EM_BF16, sizes[i], true, 3e-3);
        check_turned(EM_F32, EM_F16, sizes[i], false, 2e-6);
    }
}

/* What is no number stays where it is, and does not spread. */
static void not_numbers(void **state)
{
    (void)state;
    static const em_dtype weights[] = {EM_F32, EM_BF16};
    for (int i = 0; i < 2; i++) {
        operand in[] = {matrix(EM_F32, 300, 72), matrix(weights[i], 40, 72)};
        float *x = in[0].host.data;
        x[3] = INFINITY;
        x[140] = -INFINITY;
        x[270] = NAN;
        x[1000] = 3.4e38f;
        x[2000] = 1e-45f;
        em__ref_store_real(weights[i], in[1].host.data, 90, -INFINITY);
        check(EM__OP_FUSED_LINEAR, in, 2, (int64_t[]){EM__OP_COPY, 0, 1}, 3, false, 2e-6);
    }
}

static void check_linear(em_dtype x, em_dtype w, const int64_t *s, em__op activation, int mask, int weights,
                         bool half_products, double most)
{
    operand in[MOST_OPERANDS] = {make(x, 3, (int64_t[]){2, s[0], s[2]}, NULL, 0), matrix(w, s[1], s[2])};
    int n = 2;
    int64_t columns = s[1];
    for (int i = 1; i < weights; i++)
        columns += s[1] + 4 * i;
    if (mask & 1)
        in[n++] = make(x, 1, &columns, NULL, 0);
    if (mask & 2)
        in[n++] = make(x, 3, (int64_t[]){2, s[0], columns}, NULL, 0);
    for (int i = 1; i < weights; i++)
        in[n++] = matrix(w, s[1] + 4 * i, s[2]);
    check(EM__OP_FUSED_LINEAR, in, n, (int64_t[]){activation, mask, weights}, 3, half_products, most);
}

static void linears(void **state)
{
    (void)state;
    static const em__op activations[] = {EM__OP_COPY,      EM__OP_RELU, EM__OP_SILU,   EM__OP_GELU,
                                         EM__OP_GELU_TANH, EM__OP_TANH, EM__OP_SIGMOID};
    static const struct {
        em_dtype x, w;
        bool half_products;
        double most;
    } kinds[] = {{EM_F32, EM_F32, false, 2e-6}, {EM_F32, EM_BF16, false, 2e-6}, {EM_F32, EM_BF16, true, 1e-2},
                 {EM_F32, EM_F16, false, 2e-6}, {EM_F16, EM_F16, false, 2e-3},  {EM_BF16, EM_BF16, false, 8e-3},
                 {EM_F64, EM_F64, false, 1e-13}};
    static const int64_t sizes[][3] = {{1, 36, 64},   {33, 64, 96}, {17, 7, 33},
                                       {70, 72, 136}, {7, 40, 64},  {13, 44, 264}}; /* twice as many rows */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            for (size_t a = 0; a < sizeof activations / sizeof activations[0]; a++)
                for (int mask = 0; mask < 4 && (a == 0 || a % 4 == j); mask++) /* each activation at one size */
                    check_linear(kinds[i].x, kinds[i].w, sizes[j], activations[a], mask, mask % 2 ? 3 : 1,
                                 kinds[i].half_products, kinds[i].most);
}

/* Shapes of a few tiles and of parts of one, depths that are divided, rows further apart than they are long. */
static void halves(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{5, 40, 64}, {16, 200, 384}, {16, 96, 1536}, {70, 132, 264}, {34, 72, 1032}};
    static const em_dtype dtypes[] = {EM_BF16, EM_F16};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int t = 0; t < 2; t++) {
            const double most = tolerance(dtypes[t]);
            const int64_t *s = sizes[i], ints[] = {1, 0, 1, 1};
            check_linear(dtypes[t], dtypes[t], s, EM__OP_COPY, 3, 3, false, most);
            check_linear(dtypes[t], dtypes[t], s, EM__OP_GELU, 1, 1, false, most);
            check_linear(dtypes[t], dtypes[t], s, EM__OP_SILU, 2, 2, false, most);
            check_linear(EM_F32, dtypes[t], s, EM__OP_GELU, 3, 1, true, 4e-3);
            check_dot(make(dtypes[t], 2, (int64_t[]){s[0], s[2]}, (int64_t[]){s[2] + 8, 1}, s[0] * (s[2] + 8)),
                      matrix(dtypes[t], s[1], s[2]), ints, 4, false, most);
        }
}

/* Quantizes on ref, and looks at what the codes stand for and at products with them. */
static void check_quantized(const int64_t *scheme, em_dtype dtype)
{
    operand w = make(dtype, 2, (int64_t[]){24, 256}, NULL, 0);
    em__call call = {.op = EM__OP_QUANTIZE, .n_in = 1, .in = &w.host, .ints = scheme, .n_ints = 3};
    em__tensor parts[3];
    const int n = scheme[0] ? 2 : 3;
    EXPECT_OK(
        em__op_infer(&(em__apply){call.op, 1, (const em__spec *[]){&w.host.spec}, 3, scheme, 0, NULL}, &call.out.spec));
    call.out.data = em__alloc((size_t)em__spec_size(&call.out.spec));
    EXPECT_OK(em__ref_kernel(call.op)(&em__ref_device, &call));
    EXPECT_OK(em__call_parts(&call, parts, n));
    for (int form = 0; form < 7; form++) {
        const int64_t ints[] = {scheme[0], scheme[1], scheme[2], form % 2};
        static const em_dtype of_x[] = {EM_F32, EM_F32, EM_F32, EM_F32, EM_BF16, EM_F16};
        operand in[4] = {form < 6 ? matrix(of_x[form], 9, form % 2 ? 256 : 24) : w};
        const int first = form < 6;
        for (int i = 0; i < n; i++) {
            in[first + i] = make(parts[i].spec.dtype, 2, parts[i].spec.dims, NULL, 0);
            memcpy(in[first + i].host.data, parts[i].data, in[first + i].bytes);
        }
        check(form < 6 ? EM__OP_QUANTIZED_MATMUL : EM__OP_DEQUANTIZE, in, first + n, ints, form < 6 ? 4 : 3,
              form == 2 || form == 3,
              form < 2   ? 2e-6
              : form < 6 ? 8e-3
                         : 0);
    }
    em__free(call.out.data);
    em__free(w.host.data);
}

static void quantized(void **state)
{
    (void)state;
    static const int64_t schemes[][3] = {{0, 64, 4}, {0, 32, 8}, {0, 64, 2}, {0, 16, 3}, {0, 128, 5},
                                         {0, 64, 6}, {1, 32, 4}, {2, 32, 8}, {3, 16, 4}};
    static const em_dtype dtypes[] = {EM_F32, EM_BF16, EM_F16};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        for (int j = 0; j < 3; j++)
            check_quantized(schemes[i], dtypes[j]);
}

/* 4-bit codes within a product of f32 that may be rounded, or may not, or of bf16: few rows, in one turn or several;
 * rows and depth for each kind of tile, with tails, depths that are divided, one whose scales lie as the kernels can't
 * read them. */
static void codes(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {
        {9, 40, 512, 64},     {33, 72, 1024, 64},  {64, 40, 2560, 64},  {65, 72, 512, 32},   {130, 40, 768, 32},
        {40, 136, 1024, 128}, {200, 40, 1536, 64}, {17, 24, 640, 64},   {32, 136, 512, 64},  {2, 200, 1024, 64},
        {8, 76, 9728, 64},    {5, 520, 2560, 32},  {3, 24, 65536, 128}, {6, 1000, 2560, 64}, {8, 9000, 256, 64},
        {7, 24, 20480, 64},   {4, 200, 4096, 64},  {5, 40, 4224, 64},   {3, 40, 5248, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int kind = 0; kind < 3; kind++) {
            const int64_t *s = sizes[i], ints[] = {EM_QUANT_AFFINE, s[3], 4, 1};
            operand in[] = {matrix(kind == 2 ? EM_BF16 : EM_F32, s[0], s[2]), matrix(EM_U32, s[1], s[2] / 8),
                            matrix(EM_BF16, s[1], s[2] / s[3]), matrix(EM_BF16, s[1], s[2] / s[3])};
            check(EM__OP_QUANTIZED_MATMUL, in, 4, ints, 4, kind > 0, kind > 0 ? 8e-3 : 2e-6);
        }
}

/* An argument: only the tests that it names, with * for anything. */
int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    gpu = em_device_find("cuda");
    if (!gpu) {
        printf("skipped: %s\n", em_last_error());
        return 77;
    }
    em__device_enter(gpu);
    const struct CMUnitTest tests[] = {cmocka_unit_test(dots),      cmocka_unit_test(layouts),
                                       cmocka_unit_test(mixed),     cmocka_unit_test(not_numbers),
                                       cmocka_unit_test(linears),   cmocka_unit_test(halves),
                                       cmocka_unit_test(quantized), cmocka_unit_test(codes)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    em__device_leave(gpu);
    return failed;
}
