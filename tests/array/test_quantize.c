/*
 * em_quantize and its relatives: what comes back from a round trip, the errors that name what is wrong, groups that MLX
 * leaves open (NaN, infinities, the smallest numbers), and failing allocations.
 */
#include <math.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/quantize.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

static em_quantization how(em_quant_mode mode, int group, int bits)
{
    return (em_quantization){sizeof(em_quantization), mode, group, bits};
}

static void round_trip_is_near(void **state)
{
    (void)state;
    static const double most[] = {[2] = 0.5, [3] = 0.25, [4] = 0.15, [5] = 0.08, [6] = 0.04, [8] = 0.01};
    float x[4 * 64];
    rng r = {3};
    em_scope *s = em_scope_new(NULL);
    for (size_t i = 0; i < 4 * 64; i++)
        x[i] = (float)rng_between(&r, -1, 1);
    em_array *w = em_constant(s, EM_F32, x, em_shape(4, 64));
    for (int bits = 2; bits <= 8; bits++) {
        em_quantization q = how(EM_QUANT_AFFINE, 32, bits);
        if (bits == 7)
            continue;
        em_quantized packed = em_quantize(s, w, &q);
        em_array *back = em_dequantize(s, &packed, &q);
        assert_int_equal(em_array_dims(packed.codes).dims[1], 2 * bits);
        EXPECT_CLOSE_F32(em_array_data(back), x, 4 * 64, most[bits], 0);
    }
    em_quantized packed = em_quantize(s, w, NULL); /* affine, 64, 4 */
    assert_int_equal(em_array_dims(packed.codes).dims[1], 8);
    em_scope_free(s);
}

/* Words by hand, as a checkpoint may hold them. */
static void hand_packed(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    static const uint32_t low[4] = {0x76543210, 0xfedcba98, 0x38404850, 0};
    static const uint8_t exponents[1] = {0x80}; /* 2 */
    static const float fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    em_quantization q = how(EM_QUANT_MXFP4, 0, 0);
    em_quantized w = {em_constant(s, EM_U32, low, em_shape(1, 4)), em_constant(s, EM_U8, exponents, em_shape(1, 1)), 0};
    em_array *y = em_cast(s, em_dequantize(s, &w, &q), EM_F32);
    const float *got = em_array_data(y);
    assert_non_null(got);
    EXPECT_CLOSE_F32(got, fp4, 16, 0, 0);
    static const uint32_t stream[3] = {0xDEADBEEF, 0xCAFEBABE, 0x12345678};
    const uint16_t one = 0x3c00, zero[2] = {0};
    q = how(EM_QUANT_AFFINE, 32, 3);
    w = (em_quantized){em_constant(s, EM_U32, stream, em_shape(1, 3)), em_constant(s, EM_F16, &one, em_shape(1, 1)),
                       em_constant(s, EM_F16, zero, em_shape(1, 1))};
    got = em_array_data(em_cast(s, em_dequantize(s, &w, &q), EM_F32));
    assert_non_null(got);
    for (int i = 0; i < 32; i++) {
        unsigned want = 0;
        for (int b = 0; b < 3; b++)
            want |= (stream[(3 * i + b) / 32] >> (3 * i + b) % 32 & 1) << b;
        assert_true(got[i] == (float)want);
    }
    em_scope_free(s);
}

static void what_mlx_leaves_open(void **state)
{
    (void)state;
    float x[3][32] = {{NAN, 1, -2}, {INFINITY, 1, -2}, {1e-40f, -5e-41f}};
    em_scope *s = em_scope_new(NULL);
    em_array *w = em_constant(s, EM_F32, x, em_shape(3, 32));
    em_quantization q = how(EM_QUANT_AFFINE, 32, 4);
    em_quantized packed = em_quantize(s, w, &q);
    const float *got = em_array_data(em_dequantize(s, &packed, &q));
    assert_true(got && isfinite(got[0]) && fabsf(got[1] - 1) < 0.11f && got[2] == -2);
    assert_true(isnan(got[32]) && isnan(got[33]));
    assert_true(got[64] == 0);
    q = how(EM_QUANT_MXFP8, 32, 8);
    packed = em_quantize(s, w, &q);
    const uint8_t *scales = em_array_data(packed.scales);
    got = em_array_data(em_cast(s, em_dequantize(s, &packed, &q), EM_F32));
    assert_true(got && got[0] == 0 && got[1] == 1 && got[2] == -2);
    assert_true(isinf(got[32]) && got[33] == 0 && scales[1] == 254 && scales[2] == 0);
    assert_true(fabsf(got[64]) < 1e-37f);
    em_scope_free(s);
}

static void expect_fault(em_scope *s, const void *made, const char *words)
{
    assert_null(made);
    assert_int_equal(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT);
    if (!strstr(em_scope_error(s), words))
        fail_msg("\"%s\" does not say \"%s\"", em_scope_error(s), words);
    em_scope_free(s);
}

static void quantize_refuses(em_dtype dtype, em_dims dims, em_quantization q, const char *words)
{
    static const float zeros[256];
    em_scope *s = em_scope_new(NULL);
    expect_fault(s, em_quantize(s, em_constant(s, dtype, zeros, dims), &q).codes, words);
}

static void errors_name_what_is_wrong(void **state)
{
    (void)state;
    quantize_refuses(EM_F32, em_shape(2, 64), how((em_quant_mode)9, 64, 4), "mode 9 does not exist");
    quantize_refuses(EM_F32, em_shape(2, 64), how(EM_QUANT_AFFINE, 64, 7), "not 7");
    quantize_refuses(EM_F32, em_shape(2, 64), how(EM_QUANT_AFFINE, 48, 4), "not 48");
    quantize_refuses(EM_F32, em_shape(2, 64), how(EM_QUANT_MXFP4, 64, 4), "mxfp4 needs group 32");
    quantize_refuses(EM_F32, em_shape(2, 64), how(EM_QUANT_MXFP8, 32, 4), "bits 8");
    quantize_refuses(EM_F32, em_shape(2, 96), how(EM_QUANT_AFFINE, 64, 4), "quantize: w: its last axis, 96");
    quantize_refuses(EM_F32, em_shape(2, 48), how(EM_QUANT_AFFINE, 16, 3), "no whole words");
    quantize_refuses(EM_F32, EM_SCALAR_SHAPE, how(EM_QUANT_AFFINE, 64, 4), "rank 1");
    quantize_refuses(EM_S32, em_shape(2, 64), how(EM_QUANT_AFFINE, 64, 4), "must be f32, f16 or bf16");
    quantize_refuses(EM_F32, em_shape(2, 64), (em_quantization){4096, EM_QUANT_AFFINE, 64, 4}, "struct_size");
}

/* x [.., 64] with a weight [3, 64] at groups of 32 and 4 bits, one thing wrong. */
static void product_refuses(em_dtype x_dtype, int64_t k, em_dtype scales, bool biases, em_quantization q,
                            const char *words)
{
    static const float zeros[512];
    em_scope *s = em_scope_new(NULL);
    em_quantized w = {em_constant(s, EM_U32, zeros, em_shape(3, 8)), em_constant(s, scales, zeros, em_shape(3, 2)),
                      biases ? em_constant(s, scales, zeros, em_shape(3, 2)) : NULL};
    em_array *x = em_constant(s, x_dtype, zeros, em_shape(2, k));
    expect_fault(s, em_quantized_matmul(s, x, &w, &q, true), words);
}

static void products_refuse_what_does_not_fit(void **state)
{
    (void)state;
    em_quantization affine = how(EM_QUANT_AFFINE, 32, 4), micro = how(EM_QUANT_MXFP4, 32, 4);
    product_refuses(EM_F32, 63, EM_F32, true, affine, "the last axis of x must be 64");
    product_refuses(EM_S32, 64, EM_F32, true, affine, "x must be f32");
    product_refuses(EM_F32, 64, EM_F32, false, affine, "needs biases");
    product_refuses(EM_F32, 64, EM_U8, true, micro, "has no biases");
    product_refuses(EM_F32, 64, EM_F32, false, micro, "scales of mode mxfp4 must be u8");
    product_refuses(EM_F32, 64, EM_U8, true, affine, "scales of mode affine");
    product_refuses(EM_F32, 64, EM_F32, true, how(EM_QUANT_AFFINE, 64, 4), "do not fit");
    em_scope *s = em_scope_new(NULL);
    expect_fault(s, em_dequantize(s, NULL, NULL), "dequantize: w is NULL");
    s = em_scope_new(NULL);
    expect_fault(s, em_dequantize(s, &(em_quantized){0}, NULL), "operand 0 is NULL");
}

static em_status whole_way(void *context)
{
    (void)context;
    static const float ones[4 * 64] = {1, 2, 3};
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array *w = em_constant(s, EM_F32, ones, em_shape(2, 2, 64));
    em_quantized q = em_quantize(s, w, NULL);
    em_array *y = em_quantized_matmul(s, em_constant(s, EM_F32, ones, em_shape(1, 64)), &q, NULL, true);
    em_array *z = em_dequantize(s, &q, NULL);
    em_status status = em_scope_status(s);
    if (status == EM_OK)
        status = em_eval(s, y);
    if (status == EM_OK)
        status = em_eval(s, z);
    em_scope_free(s);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(faults_sweep(whole_way, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_is_near),
        cmocka_unit_test(hand_packed),
        cmocka_unit_test(what_mlx_leaves_open),
        cmocka_unit_test(errors_name_what_is_wrong),
        cmocka_unit_test(products_refuse_what_does_not_fit),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
