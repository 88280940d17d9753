/* Shape rules: quantized weights. The scheme in the attributes is checked here, so that kernels need not. */
#include <stdio.h>

#include "core/error.h"
#include "ops/quant.h"

/* The group and bits of a mode, of affine those that it has where none are named. */
static const struct {
    const char *name;
    int group, bits;
} modes[EM__QUANT_MODES] = {
    [EM_QUANT_AFFINE] = {"affine", 64, 4},
    [EM_QUANT_MXFP4] = {"mxfp4", 32, 4},
    [EM_QUANT_MXFP8] = {"mxfp8", 32, 8},
    [EM_QUANT_NVFP4] = {"nvfp4", 16, 4},
};

const char *em_quant_mode_name(em_quant_mode mode)
{
    return (unsigned)mode < EM__QUANT_MODES ? modes[mode].name : "?";
}

void em__quant_fill(em__quant *q)
{
    if ((unsigned)q->mode >= EM__QUANT_MODES)
        return;
    q->group = q->group ? q->group : modes[q->mode].group;
    q->bits = q->bits ? q->bits : modes[q->mode].bits;
}

bool em__quant_bits_fit(const em__quant *q)
{
    if (q->mode == EM_QUANT_AFFINE)
        return q->bits >= 2 && q->bits <= 8 && q->bits != 7;
    return (unsigned)q->mode < EM__QUANT_MODES && q->bits == modes[q->mode].bits;
}

bool em__quant_group_fits(const em__quant *q)
{
    if (q->mode == EM_QUANT_AFFINE)
        return q->group == 16 || q->group == 32 || q->group == 64 || q->group == 128;
    return (unsigned)q->mode < EM__QUANT_MODES && q->group == modes[q->mode].group;
}

static bool is_weight(em_dtype dtype)
{
    return dtype == EM_F32 || dtype == EM_F16 || dtype == EM_BF16;
}

/* The scheme, or an error that names what is wrong with it. */
static em_status read_scheme(const em__apply *apply, em__quant *out)
{
    if (apply->n_ints < 3 || apply->ints[0] < EM_QUANT_AFFINE || apply->ints[0] > EM_QUANT_NVFP4)
        return em__infer_fail(apply, "mode %lld does not exist; there are affine 0, mxfp4 1, mxfp8 2, nvfp4 3",
                              apply->n_ints ? (long long)apply->ints[0] : -1);
    *out = em__quant_decode(apply->ints);
    if (out->mode != EM_QUANT_AFFINE) {
        if (!em__quant_group_fits(out) || !em__quant_bits_fit(out))
            return em__infer_fail(apply, "mode %s needs group %d and bits %d, not group %lld and bits %lld",
                                  modes[out->mode].name, modes[out->mode].group, modes[out->mode].bits,
                                  (long long)out->group, (long long)out->bits);
        return EM_OK;
    }
    if (!em__quant_bits_fit(out))
        return em__infer_fail(apply, "mode affine has bits 2, 3, 4, 5, 6 or 8, not %lld", (long long)out->bits);
    if (out->group < 1 || out->group > INT32_MAX)
        return em__infer_fail(apply, "group is %lld; it must be 1 or more", (long long)out->group);
    return EM_OK;
}

static em_status check_weight(const em__apply *apply, const em__quant *q)
{
    const em__spec *w = apply->in[0];
    const char *mode = em_quant_mode_name(q->mode);
    if (!em__quant_group_fits(q))
        return em__infer_fail(apply, "mode affine has groups of 16, 32, 64 or 128, not %lld", (long long)q->group);
    if (!is_weight(w->dtype))
        return em__infer_fail(apply, "w must be f32, f16 or bf16 (mode %s, group %lld, bits %lld)", mode,
                              (long long)q->group, (long long)q->bits);
    if (w->rank < 1)
        return em__infer_fail(apply, "w must have rank 1 or more");
    int64_t last = w->dims[w->rank - 1];
    if (last % q->group || last % 32 * q->bits % 32)
        return em__infer_fail(apply,
                              "w: its last axis, %lld, is not divisible by the group (mode %s, group %lld, bits "
                              "%lld), or its codes are no whole words of 32 bits",
                              (long long)last, mode, (long long)q->group, (long long)q->bits);
    return EM_OK;
}

int em__parts_quantize(const em__apply *apply, em__spec *parts)
{
    em__quant q;
    if (read_scheme(apply, &q) != EM_OK || check_weight(apply, &q) != EM_OK)
        return -1;
    int n = q.mode == EM_QUANT_AFFINE ? 3 : 2, last = apply->in[0]->rank - 1;
    for (int i = 0; i < n && parts; i++) {
        int64_t k = apply->in[0]->dims[last];
        parts[i] = *apply->in[0];
        parts[i].dtype = i == 0 ? EM_U32 : q.mode == EM_QUANT_AFFINE ? parts[i].dtype : EM_U8;
        parts[i].dims[last] = i == 0 ? k / 32 * q.bits + k % 32 * q.bits / 32 : k / q.group;
    }
    return n;
}

/* Operands codes, scales and biases, the first at `first`; their logical row length into *k. */
static em_status check_quantized(const em__apply *apply, int first, const em__quant *q, int64_t *k)
{
    const bool affine = q->mode == EM_QUANT_AFFINE;
    const char *mode = em_quant_mode_name(q->mode);
    if (apply->n_in != first + (affine ? 3 : 2))
        return em__infer_fail(apply, "mode %s %s", mode, affine ? "needs biases" : "has no biases");
    const em__spec *codes = apply->in[first], *scales = apply->in[first + 1];
    if (codes->dtype != EM_U32 || codes->rank < 1)
        return em__infer_fail(apply, "codes must be u32 [.., words]");
    if (affine ? !is_weight(scales->dtype) : scales->dtype != EM_U8)
        return em__infer_fail(apply, "scales of mode %s must be %s", mode, affine ? "f32, f16 or bf16" : "u8");
    if (affine && !em__spec_equal(scales, apply->in[first + 2]))
        return em__infer_fail(apply, "biases must have the dtype and shape of the scales");
    const int last = codes->rank - 1;
    const int64_t words = codes->dims[last];
    if (words > INT64_MAX / 64 || words * 32 % q->bits)
        return em__infer_fail(apply, "%lld words are no whole number of %lld-bit codes", (long long)words,
                              (long long)q->bits);
    *k = words * 32 / q->bits;
    bool fits = scales->rank == codes->rank && *k % q->group == 0 && scales->dims[last] == *k / q->group;
    for (int i = 0; fits && i < last; i++)
        fits = scales->dims[i] == codes->dims[i];
    if (!fits)
        return em__infer_fail(apply,
                              "codes of %lld elements a row and these scales do not fit (mode %s, group %lld, "
                              "bits %lld)",
                              (long long)*k, mode, (long long)q->group, (long long)q->bits);
    return EM_OK;
}

em_status em__infer_DEQUANTIZE(const em__apply *apply, em__spec *out)
{
    em__quant q;
    int64_t k;
    EM__TRY(read_scheme(apply, &q));
    EM__TRY(check_quantized(apply, 0, &q, &k));
    *out = *apply->in[0];
    out->dtype = q.mode == EM_QUANT_AFFINE ? apply->in[1]->dtype : EM_BF16;
    out->dims[out->rank - 1] = k;
    return EM_OK;
}

em_status em__infer_QUANTIZED_MATMUL(const em__apply *apply, em__spec *out)
{
    em__quant q;
    int64_t k;
    EM__TRY(read_scheme(apply, &q));
    EM__TRY(check_quantized(apply, 1, &q, &k));
    const em__spec *x = apply->in[0], *w = apply->in[1];
    const bool transpose = apply->ints[3] != 0;
    if (!is_weight(x->dtype))
        return em__infer_fail(apply, "x must be f32, f16 or bf16");
    if (x->rank < 1 || w->rank < 2 || (w->rank > 2 && w->rank != x->rank))
        return em__infer_fail(apply, "x must be [.., k], w of rank 2, or both of one rank");
    for (int i = 0; i < w->rank - 2; i++)
        if (w->dims[i] != x->dims[i])
            return em__infer_fail(apply, "leading axes of x and w differ");
    const int64_t rows = w->dims[w->rank - 2], depth = transpose ? k : rows;
    if (x->dims[x->rank - 1] != depth)
        return em__infer_fail(apply,
                              "the last axis of x must be %lld, what w contracts with transpose %s (mode %s, "
                              "group %lld, bits %lld)",
                              (long long)depth, transpose ? "true" : "false", em_quant_mode_name(q.mode),
                              (long long)q.group, (long long)q.bits);
    *out = *x;
    out->dims[out->rank - 1] = transpose ? rows : k;
    if (q.mode == EM_QUANT_AFFINE)
        out->dtype = em__promote_fast(x->dtype, apply->in[2]->dtype);
    return EM_OK;
}
