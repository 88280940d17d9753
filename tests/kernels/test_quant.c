/*
 * Products with quantized weights against ref, at every level this machine runs: all modes, bits and groups, tails of
 * rows and columns, dtypes; and the promises of quant.h about bits: the same for any thread count, any company of rows,
 * both vector widths where the kernels are of one kind, and weights packed or not.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "core/block.h"
#include "core/float16.h"
#include "device/cpu/quant.h"
#include "device/device.h"

static em__pool *pools[2]; /* of one thread, of three */

static const em__quant schemes[] = {{EM_QUANT_AFFINE, 64, 2},  {EM_QUANT_AFFINE, 64, 3}, {EM_QUANT_AFFINE, 64, 4},
                                    {EM_QUANT_AFFINE, 64, 5},  {EM_QUANT_AFFINE, 64, 6}, {EM_QUANT_AFFINE, 64, 8},
                                    {EM_QUANT_AFFINE, 16, 4},  {EM_QUANT_AFFINE, 32, 3}, {EM_QUANT_AFFINE, 96, 4},
                                    {EM_QUANT_AFFINE, 128, 6}, {EM_QUANT_MXFP4, 32, 4},  {EM_QUANT_MXFP8, 32, 8},
                                    {EM_QUANT_NVFP4, 16, 4},   {EM_QUANT_AFFINE, 32, 8}, {EM_QUANT_AFFINE, 128, 5},
                                    {EM_QUANT_AFFINE, 32, 4},  {EM_QUANT_AFFINE, 128, 4}};
#define SCHEMES (sizeof schemes / sizeof *schemes)

/* Operands of one product in allocations of their exact size, so that a sanitizer sees a byte too far. */
typedef struct operands {
    em__quant_product p;
    void *x, *codes, *scales, *biases, *y;
    size_t y_bytes;
} operands;

static void *filled(rng *r, em_dtype dtype, int64_t count)
{
    void *data = malloc((size_t)count * em_dtype_size(dtype) + 1);
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++) {
        float v = (float)rng_normal(r);
        if (dtype == EM_F32)
            ((float *)data)[i] = v;
        else if (dtype == EM_U32)
            ((uint32_t *)data)[i] = (uint32_t)rng_u64(r);
        else if (dtype == EM_U8)
            ((uint8_t *)data)[i] = (uint8_t)(100 + rng_below(r, 30));
        else
            ((uint16_t *)data)[i] = dtype == EM_F16 ? em__f32_to_f16(v) : em__f32_to_bf16(v);
    }
    return data;
}

static operands make(rng *r, em__quant scheme, bool transpose, const int64_t *mnk, em_dtype x, em_dtype scale)
{
    const bool affine = scheme.mode == EM_QUANT_AFFINE;
    operands o = {.p = {.cast = em__cast_get(), .scheme = scheme, .transpose = transpose, .x_dtype = x}};
    o.p.m = mnk[0];
    o.p.n = mnk[1];
    o.p.k = mnk[2];
    o.p.scale_dtype = affine ? scale : EM_U8;
    o.p.y_dtype = affine ? em__promote(x, scale) : x;
    const int64_t rows = transpose ? o.p.n : o.p.k, length = transpose ? o.p.k : o.p.n;
    o.p.x = o.x = filled(r, x, o.p.m * o.p.k);
    o.p.codes = o.codes = filled(r, EM_U32, rows * length * scheme.bits / 32);
    o.p.scales = o.scales = filled(r, o.p.scale_dtype, rows * (length / scheme.group));
    o.p.biases = o.biases = affine ? filled(r, o.p.scale_dtype, rows * (length / scheme.group)) : NULL;
    o.y_bytes = (size_t)(o.p.m * o.p.n) * em_dtype_size(o.p.y_dtype);
    o.p.y = o.y = malloc(o.y_bytes + 1);
    return o;
}

static void drop(operands *o)
{
    free(o->x);
    free(o->codes);
    free(o->scales);
    free(o->biases);
    free(o->y);
}

static void run(operands *o, const em__quant_kernels *kernels, em__pool *pool)
{
    size_t memory, scratch;
    o->p.kernels = kernels;
    o->p.pool = pool;
    assert_true(em__quant_needs(&o->p, &memory, &scratch));
    assert_int_equal(em__pool_reserve(pool, scratch), EM_OK);
    o->p.memory = em__block_alloc(memory);
    assert_non_null(o->p.memory);
    memset(o->y, 0xff, o->y_bytes);
    em__quant_run(&o->p);
    em__block_free(o->p.memory, memory);
}

/* The same from a packed weight, if the kernels have that. */
static void expect_packed(operands *o, const em__quant_kernels *kernels, em__pool *pool)
{
    o->p.kernels = kernels;
    o->p.pool = pool;
    const size_t bytes = em__quant_packed_bytes(&o->p);
    void *packed = em__block_alloc(bytes), *raw = malloc(o->y_bytes + 1);
    assert_non_null(packed);
    if (bytes) {
        em__quant_pack(&o->p, packed);
        memcpy(raw, o->y, o->y_bytes);
        o->p.packed = packed;
        run(o, kernels, pool);
        EXPECT_SAME_BITS(EM_U8, o->y, raw, o->y_bytes);
        o->p.packed = NULL;
    }
    free(raw);
    em__block_free(packed, bytes);
}

static em__tensor matrix(const void *data, em_dtype dtype, int64_t rows, int64_t columns)
{
    em__tensor t = {.spec = {.dtype = dtype, .rank = 2, .dims = {rows, columns}}};
    memcpy(&t.data, &data, sizeof data);
    em__tensor_contiguous(&t);
    return t;
}

/* What a weight may be at most, roughly. */
static double largest_weight(const em__quant *q)
{
    return q->mode == EM_QUANT_AFFINE  ? 4.0 * (1 << q->bits)
           : q->mode == EM_QUANT_NVFP4 ? 480 * 6
           : q->bits == 8              ? 1800
                                       : 24;
}

static void expect_product(const operands *o, const float *want, const char *what)
{
    const em_dtype dtype = o->p.y_dtype;
    const double slack = 2e-7 * (double)o->p.k * largest_weight(&o->p.scheme);
    const double half = dtype == EM_F32 ? 0 : dtype == EM_F16 ? 0x1p-11 : 0x1p-8;
    for (int64_t i = 0; i < o->p.m * o->p.n; i++) {
        double got = expect_element(dtype, o->y, (size_t)i), r = (double)want[i];
        if (dtype == EM_F16 && fabs(r) > 65000)
            continue;
        if (!(fabs(got - r) <= slack + half * fabs(r)))
            fail_msg("%s: m %d n %d k %d: element %d is %.9g, expected %.9g", what, (int)o->p.m, (int)o->p.n,
                     (int)o->p.k, (int)i, got, r);
    }
}

static float *by_ref(const operands *o)
{
    const em__quant_product *p = &o->p;
    const int64_t rows = p->transpose ? p->n : p->k, length = p->transpose ? p->k : p->n;
    const int64_t ints[] = {p->scheme.mode, p->scheme.group, p->scheme.bits, p->transpose};
    em__tensor in[4] = {matrix(p->x, p->x_dtype, p->m, p->k),
                        matrix(p->codes, EM_U32, rows, length * p->scheme.bits / 32),
                        matrix(p->scales, p->scale_dtype, rows, length / p->scheme.group),
                        matrix(p->biases, p->scale_dtype, rows, length / p->scheme.group)};
    float *want = malloc((size_t)(p->m * p->n) * sizeof *want + 1);
    em__call call = {.op = EM__OP_QUANTIZED_MATMUL, .n_in = p->biases ? 4 : 3, .in = in, .ints = ints, .n_ints = 4};
    call.out = matrix(want, EM_F32, p->m, p->n);
    assert_int_equal(em__ref_kernel(call.op)(NULL, &call), EM_OK);
    return want;
}

static void check(operands *o)
{
    float *want = by_ref(o);
    void *best = malloc(o->y_bytes + 1);
    for (int level = 0; level <= (int)levels_best(); level++) {
        char what[96];
        snprintf(what, sizeof what, "%s, %s, group %d, bits %d, transpose %d", em__cpu_level_name((em__cpu_level)level),
                 em_quant_mode_name(o->p.scheme.mode), (int)o->p.scheme.group, (int)o->p.scheme.bits, o->p.transpose);
        run(o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
        expect_product(o, want, what);
        const em__planes_kernels *planes = em__quant_kernels_get((em__cpu_level)level)->planes;
        if (level > EM__CPU_AVX2 && planes == em__quant_kernels_get((em__cpu_level)(level - 1))->planes)
            EXPECT_SAME_BITS(EM_U8, o->y, best, o->y_bytes);
        memcpy(best, o->y, o->y_bytes);
        run(o, em__quant_kernels_get((em__cpu_level)level), pools[0]);
        EXPECT_SAME_BITS(EM_U8, o->y, best, o->y_bytes);
        expect_packed(o, em__quant_kernels_get((em__cpu_level)level), pools[level % 2]);
    }
    free(best);
    free(want);
}

static int64_t least_row(const em__quant *q)
{
    int64_t row = q->group;
    while (row % 32 * q->bits % 32)
        row += q->group;
    return row;
}

static void every_scheme(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 2, 3, 4, 5, 7, 9}, others[] = {1, 3, 4, 17, 35};
    rng r = {1};
    for (size_t s = 0; s < SCHEMES; s++)
        for (int i = 0; i < 12; i++) {
            const int64_t length = least_row(&schemes[s]) * (1 + i % 3), other = others[i % 5], m = rows[i % 7];
            operands o = make(&r, schemes[s], true, (int64_t[]){m, other, length}, EM_F32, EM_F32);
            check(&o);
            drop(&o);
            o = make(&r, schemes[s], false, (int64_t[]){m, length, other}, EM_F32, EM_F32);
            check(&o);
            drop(&o);
        }
}

static void every_dtype(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16};
    rng r = {2};
    for (int i = 0; i < 9; i++)
        for (size_t s = 2; s < SCHEMES; s += 5) {
            const int64_t length = 2 * least_row(&schemes[s]);
            operands o = make(&r, schemes[s], true, (int64_t[]){3, 9, length}, dtypes[i % 3], dtypes[i / 3]);
            check(&o);
            drop(&o);
            o = make(&r, schemes[s], false, (int64_t[]){3, length, 9}, dtypes[i % 3], dtypes[i / 3]);
            check(&o);
            drop(&o);
        }
}

/* Depths over a chunk, more rows than a block, tails of tiles. */
static void large_ones(void **state)
{
    (void)state;
    rng r = {3};
    static const int64_t shapes[][3] = {{1, 130, 2112}, {33, 67, 1088}, {101, 37, 128}, {2, 500, 192}};
    for (size_t i = 0; i < 4; i++)
        for (int transpose = 0; transpose < 2; transpose++) {
            const int64_t *s = shapes[i];
            operands o = make(&r, schemes[2], transpose,
                              (int64_t[]){s[0], transpose ? s[1] : s[2], transpose ? s[2] : s[1]}, EM_F32, EM_F32);
            check(&o);
            drop(&o);
        }
}

/* Rows enough for matrix units and for several of their tasks, codes that they take, depths over what they lay out at a
 * time; whole blocks and not. */
static void many_rows(void **state)
{
    (void)state;
    static const size_t four_bits[] = {2, 10, 15, 16}; /* groups of 64; e2m1; of 32; of 128 */
    static const int64_t rows[] = {9, 16, 17, 31, 48}, columns[] = {1, 16, 33, 50, 64};
    static const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16};
    rng r = {9};
    for (int i = 0; i < 20; i++) {
        const em__quant scheme = schemes[four_bits[i % 4]];
        operands o = make(&r, scheme, true, (int64_t[]){rows[i % 5], columns[i / 4], scheme.group * (3 + 3 * (i % 7))},
                          dtypes[i % 3], dtypes[i / 3 % 3]);
        check(&o);
        drop(&o);
    }
    operands o = make(&r, schemes[2], true, (int64_t[]){270, 300, 192}, EM_F32, EM_F32);
    check(&o);
    drop(&o);
}

/* Every number of rows of x that a packed panel meets, and more; panels whole and not; scales of each kind. */
static void packed_ones(void **state)
{
    (void)state;
    static const int64_t columns[] = {1, 31, 32, 33, 64, 100, 70, 133};
    static const em_dtype dtypes[] = {EM_BF16, EM_F32, EM_F16};
    rng r = {8};
    for (int g = 32; g <= 128; g *= 2)
        for (int64_t m = 1; m <= 19; m++) {
            const em__quant scheme = {EM_QUANT_AFFINE, g, 4};
            operands o = make(&r, scheme, true, (int64_t[]){m, columns[m % 8], g * (1 + m % 5)}, EM_F32, dtypes[m % 3]);
            for (int level = 0; level <= (int)levels_best(); level++) {
                run(&o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
                expect_packed(&o, em__quant_kernels_get((em__cpu_level)level), pools[m % 2]);
            }
            drop(&o);
        }
}

/* More panels than one call of the kernel takes, an odd number of them. */
static void packed_long_ones(void **state)
{
    (void)state;
    const em__quant scheme = {EM_QUANT_AFFINE, 32, 4};
    rng r = {9};
    for (int64_t n = 760, i = 0; n < 860; n += 9, i++) {
        operands o = make(&r, scheme, true, (int64_t[]){(int64_t[]){1, 4, 5, 8}[i % 4], n, 32}, EM_F32, EM_BF16);
        const em__quant_kernels *kernels = em__quant_kernels_get(levels_best());
        run(&o, kernels, pools[1]);
        expect_packed(&o, kernels, pools[0]);
        drop(&o);
    }
}

/* A row alone has the bits that it has among others. */
static void rows_are_independent(void **state)
{
    (void)state;
    rng r = {4};
    for (size_t s = 0; s < SCHEMES; s++)
        for (int transpose = 0; transpose < 2; transpose++)
            for (int level = 0; level <= (int)levels_best(); level++) {
                const em__quant_kernels *kernels = em__quant_kernels_get((em__cpu_level)level);
                const int64_t length = 3 * least_row(&schemes[s]);
                operands o = make(&r, schemes[s], transpose,
                                  (int64_t[]){13, transpose ? 21 : length, transpose ? length : 150}, EM_F32, EM_F32);
                run(&o, kernels, pools[1]);
                float *all = o.y;
                for (int64_t m = 1; m < 13; m++) {
                    operands one = o;
                    one.y = one.p.y = malloc(o.y_bytes);
                    one.p.m = m;
                    one.p.x = (const float *)o.p.x + (13 - m) * o.p.k;
                    run(&one, kernels, pools[0]);
                    EXPECT_SAME_BITS(EM_F32, one.y, all + (13 - m) * o.p.n, (size_t)(m * o.p.n));
                    free(one.y);
                }
                drop(&o);
            }
}

/* Groups whose whole numbers are the largest there are, with codes of one end; tiny numbers, zeros, and one row with
 * what is not finite, which stays alone with it. */
static void extreme_rows(void **state)
{
    (void)state;
    static const float fills[] = {-0x1.fffffep3f, 0x1.fffffep-20f, 0, 1e-42f, 1e36f, -0x1.fefefep0f};
    static const uint8_t codes[] = {0x00, 0xff, 0x77};
    rng r = {6};
    for (size_t s = 0; s < SCHEMES; s++)
        for (int c = 0; c < 3; c++) {
            operands o = make(&r, schemes[s], true, (int64_t[]){6, 17, 2 * least_row(&schemes[s])}, EM_F32, EM_F32);
            const int64_t length = o.p.n * o.p.k;
            float *x = o.x;
            memset(o.codes, codes[c], (size_t)(length * schemes[s].bits / 8));
            for (int64_t i = 0; i < length / schemes[s].group && o.biases; i++) {
                ((float *)o.scales)[i] = 0x1p-12f;
                ((float *)o.biases)[i] = 0x1p-9f;
            }
            for (int64_t i = 0; i < o.p.m * o.p.k; i++)
                x[i] = i / o.p.k == 4 && o.p.scale_dtype == EM_U8 ? 1 : fills[i / o.p.k];
            float *want = by_ref(&o), row[17];
            for (int level = 0; level <= (int)levels_best(); level++) {
                run(&o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
                for (int64_t i = 0; i < 6 * 17; i++) {
                    const double got = (double)((float *)o.y)[i], expected = (double)want[i];
                    const double most = fabs((double)x[i / 17 * o.p.k]) * (double)o.p.k * largest_weight(&schemes[s]);
                    if (isfinite(expected) && !(fabs(got - expected) <= 2e-6 * most + 1e-20))
                        fail_msg("level %d, bits %d: element %d is %g, expected %g", level, (int)schemes[s].bits,
                                 (int)i, got, expected);
                }
                memcpy(row, (float *)o.y + 17, sizeof row);
                x[0] = INFINITY;
                x[2 * o.p.k] = NAN;
                run(&o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
                expect_packed(&o, em__quant_kernels_get((em__cpu_level)level), pools[0]);
                for (int i = 0; i < 17; i++)
                    assert_true(isnan(((float *)o.y)[2 * 17 + i]) && !isfinite(((float *)o.y)[i]));
                EXPECT_SAME_BITS(EM_F32, (float *)o.y + 17, row, 17);
                x[0] = fills[0];
                x[2 * o.p.k] = fills[2];
            }
            free(want);
            drop(&o);
        }
}

/* Row `row` of w [n, k] in f32. */
static void decode_row(const operands *o, int64_t row, float *to)
{
    const em__quant_product *p = &o->p;
    const int64_t groups = p->k / p->scheme.group, at = row * groups;
    float scales[64], biases[64];
    assert_true(groups <= 64);
    em__quant_kernels_get(EM__CPU_PORTABLE)
        ->expand[em__quant_kind_of(&p->scheme)](to, (const uint8_t *)p->codes + row * p->k * p->scheme.bits / 8,
                                                em__quant_scales(p, p->scales, at, groups, scales),
                                                em__quant_scales(p, p->biases, at, groups, biases), groups,
                                                p->scheme.group / EM__QUANT_STEP);
}

static double as_bf16(float x)
{
    return em__bf16_to_f32(em__f32_to_bf16(x));
}

/* Against sums in double of both sides rounded to bf16. */
static void expect_rounded(const operands *o)
{
    const int64_t k = o->p.k, n = o->p.n;
    const float *x = o->x, *y = o->y;
    float *w = malloc((size_t)k * sizeof *w);
    for (int64_t j = 0; j < n; j++) {
        decode_row(o, j, w);
        for (int64_t i = 0; i < o->p.m; i++) {
            double want = 0, sum = 0;
            for (int64_t at = 0; at < k; at++) {
                const double term = as_bf16(x[i * k + at]) * as_bf16(w[at]);
                want += term;
                sum += fabs(term);
            }
            if (!(fabs((double)y[i * n + j] - want) <= 4e-6 * sum))
                fail_msg("%s, group %d, bits %d, m %d n %d k %d: (%d, %d) is %.9g, expected %.9g",
                         em_quant_mode_name(o->p.scheme.mode), (int)o->p.scheme.group, (int)o->p.scheme.bits,
                         (int)o->p.m, (int)n, (int)k, (int)i, (int)j, (double)y[i * n + j], want);
        }
    }
    free(w);
}

static void check_rounded(rng *r, em__quant scheme, const int64_t *mnk, em_dtype scale)
{
    operands o = make(r, scheme, true, mnk, EM_F32, scale);
    float *want = by_ref(&o), *first = malloc(o.y_bytes);
    o.p.may_round = true;
    for (int level = 0; level <= (int)levels_best(); level++) {
        run(&o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
        if (!em__quant_round_takes(&o.p)) {
            expect_product(&o, want, em__cpu_level_name((em__cpu_level)level));
            continue;
        }
        expect_rounded(&o);
        memcpy(first, o.y, o.y_bytes);
        run(&o, em__quant_kernels_get((em__cpu_level)level), pools[0]);
        EXPECT_SAME_BITS(EM_F32, o.y, first, (size_t)(o.p.m * o.p.n));
        expect_packed(&o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
        o.p.m = 64;
        run(&o, em__quant_kernels_get((em__cpu_level)level), pools[1]);
        EXPECT_SAME_BITS(EM_F32, o.y, first, (size_t)(o.p.m * o.p.n));
        o.p.m = mnk[0];
    }
    free(first);
    free(want);
    drop(&o);
}

/* What may be rounded to bf16 is where there are rows enough and kernels for it; elsewhere nothing changes. */
static void rounded_ones(void **state)
{
    (void)state;
    static const int64_t others[] = {1, 15, 16, 33, 70};
    static const em_dtype dtypes[] = {EM_BF16, EM_F32, EM_F16};
    rng r = {7};
    for (size_t s = 0; s < SCHEMES; s++)
        for (int i = 0; i < 5; i++)
            check_rounded(&r, schemes[s], (int64_t[]){64 + 3 * i, others[i], least_row(&schemes[s]) * (1 + i % 3)},
                          dtypes[i % 3]);
    check_rounded(&r, schemes[2], (int64_t[]){63, 20, 128}, EM_BF16);
    check_rounded(&r, schemes[2], (int64_t[]){100, 300, 1152}, EM_BF16);
    check_rounded(&r, schemes[10], (int64_t[]){130, 150, 544}, EM_F32);
}

/* A weight, its codes by a level and by ref, and what both say that the codes stand for. */
static void check_coding(const em__quant *q, em_dtype dtype, int level, em__pool *pool, const void *w, int64_t rows,
                         int64_t length)
{
    const bool affine = q->mode == EM_QUANT_AFFINE;
    const int64_t ints[] = {q->mode, q->group, q->bits}, groups = rows * length / q->group;
    const em__spec spec = {dtype, 2, {rows, length}};
    const size_t size = (size_t)(rows * length), code_bytes = size * (size_t)q->bits / 8;
    em__tensor in = {.spec = spec}, parts[3];
    memcpy(&in.data, &w, sizeof w);
    em__tensor_contiguous(&in);
    em__call call = {.op = EM__OP_QUANTIZE, .n_in = 1, .in = &in, .ints = ints, .n_ints = 3};
    const em__spec *operand = &spec;
    assert_int_equal(em__op_infer(&(em__apply){call.op, 1, &operand, 3, ints, 0, NULL}, &call.out.spec), EM_OK);
    call.out.data = em__block_alloc((size_t)call.out.spec.dims[0]);
    assert_int_equal(em__ref_kernel(call.op)(NULL, &call), EM_OK);
    assert_int_equal(em__call_parts(&call, parts, affine ? 3 : 2), EM_OK);
    em__quant_coding c = {em__quant_kernels_get((em__cpu_level)level), em__cast_get(), pool, *q, groups};
    c.dtype = dtype;
    c.scale_dtype = parts[1].spec.dtype;
    const size_t scale_bytes = (size_t)groups * em_dtype_size(c.scale_dtype);
    memcpy(&c.w, &w, sizeof w);
    c.codes = malloc(code_bytes);
    c.scales = malloc(scale_bytes);
    c.biases = affine ? malloc(scale_bytes) : NULL;
    em__quant_encode(&c);
    EXPECT_SAME_BITS(EM_U8, c.codes, parts[0].data, code_bytes);
    EXPECT_CLOSE(c.scale_dtype, c.scales, parts[1].data, (size_t)groups, 0, 0); /* NaN is NaN */
    if (affine)
        EXPECT_CLOSE(c.scale_dtype, c.biases, parts[2].data, (size_t)groups, 0, 0);
    em__call back = {.op = EM__OP_DEQUANTIZE, .n_in = affine ? 3 : 2, .in = parts, .ints = ints, .n_ints = 3};
    back.out.spec = spec;
    back.out.spec.dtype = affine ? dtype : EM_BF16;
    em__tensor_contiguous(&back.out);
    back.out.data = malloc(size * 4);
    assert_int_equal(em__ref_kernel(back.op)(NULL, &back), EM_OK);
    c.dtype = back.out.spec.dtype;
    c.w = malloc(size * em_dtype_size(c.dtype));
    em__quant_decode_all(&c);
    EXPECT_CLOSE(c.dtype, c.w, back.out.data, size, 0, 0);
    free(c.w);
    free(c.codes);
    free(c.scales);
    free(c.biases);
    free(back.out.data);
    em__block_free(call.out.data, (size_t)call.out.spec.dims[0]);
}

static void coding_is_refs(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16};
    rng r = {5};
    assert_int_equal(em__pool_reserve(pools[0], em__quant_coding_scratch()), EM_OK);
    assert_int_equal(em__pool_reserve(pools[1], em__quant_coding_scratch()), EM_OK);
    for (size_t s = 0; s < SCHEMES; s++)
        for (int i = 0; i < 9; i++) {
            const em_dtype dtype = dtypes[i % 3];
            const int64_t length = least_row(&schemes[s]) * (1 + i), rows = i < 3 ? 40 : 3;
            if (schemes[s].group == 96) /* read, not written */
                continue;
            void *w = filled(&r, dtype, rows * length);
            if (i >= 6)
                rng_fill_edges(&r, dtype, w, (size_t)(rows * length));
            memset(w, 0, (size_t)schemes[s].group * em_dtype_size(dtype));
            for (int level = 0; level <= (int)levels_best(); level++)
                check_coding(&schemes[s], dtype, level, pools[level % 2], w, rows, length);
            free(w);
        }
}

static int set_up(void **state)
{
    (void)state;
    levels_report();
    return em__pool_new(1, &pools[0]) != EM_OK || em__pool_new(3, &pools[1]) != EM_OK;
}

static int tear_down(void **state)
{
    (void)state;
    em__pool_free(pools[0]);
    em__pool_free(pools[1]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme),     cmocka_unit_test(every_dtype),
        cmocka_unit_test(large_ones),       cmocka_unit_test(rows_are_independent),
        cmocka_unit_test(extreme_rows),     cmocka_unit_test(coding_is_refs),
        cmocka_unit_test(rounded_ones),     cmocka_unit_test(packed_ones),
        cmocka_unit_test(packed_long_ones), cmocka_unit_test(many_rows),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
