/* Shape rules: order, Fourier transforms, random bits. */
#include "core/error.h"
#include "ops/op.h"

/* Lengths beyond this have no use, and leave room for the powers of two above them. */
#define MOST_LENGTH ((int64_t)1 << 40)

static em_status check_order(const em__apply *apply, int n_ints)
{
    const em__spec *in = apply->in[0];
    if (apply->n_in != 1 || apply->n_ints != n_ints || apply->ints[0] < 0 || apply->ints[0] >= in->rank)
        return em__infer_fail(apply, "the axis is out of range");
    if (em_dtype_get_kind(in->dtype) == EM_KIND_COMPLEX)
        return em__infer_fail(apply, "complex numbers have no order");
    return EM_OK;
}

em_status em__infer_SORT(const em__apply *apply, em__spec *out)
{
    EM__TRY(check_order(apply, 2));
    *out = *apply->in[0];
    if (apply->op == EM__OP_ARGSORT)
        out->dtype = EM_S64;
    return EM_OK;
}

int em__parts_top_k(const em__apply *apply, em__spec *parts)
{
    if (check_order(apply, 2) != EM_OK)
        return -1;
    int64_t axis = apply->ints[0], k = apply->ints[1];
    if (k < 0 || k > apply->in[0]->dims[axis]) {
        em__infer_fail(apply, "k is %lld; axis %d has %lld elements", (long long)k, (int)axis,
                       (long long)apply->in[0]->dims[axis]);
        return -1;
    }
    if (parts) {
        parts[0] = parts[1] = *apply->in[0];
        parts[1].dtype = EM_S64;
        parts[0].dims[axis] = parts[1].dims[axis] = k;
    }
    return 2;
}

em_status em__infer_FFT(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    bool wide = in->dtype == EM_F64 || in->dtype == EM_C128, real = in->dtype == EM_F32 || in->dtype == EM_F64;
    if (apply->n_in != 1 || apply->n_ints != 3 || apply->ints[0] < 0 || apply->ints[0] >= in->rank)
        return em__infer_fail(apply, "the axis is out of range");
    if (!real && in->dtype != EM_C64 && in->dtype != EM_C128)
        return em__infer_fail(apply, "the operand must be f32, f64, c64 or c128");
    if (!real && apply->op == EM__OP_RFFT)
        return em__infer_fail(apply, "the operand must be real");
    if (apply->ints[1] < 1 || apply->ints[1] > MOST_LENGTH)
        return em__infer_fail(apply, "the length is %lld; it must be 1 or more", (long long)apply->ints[1]);
    *out = *in;
    out->dtype = wide ? EM_C128 : EM_C64;
    if (apply->op == EM__OP_IRFFT)
        out->dtype = wide ? EM_F64 : EM_F32;
    out->dims[apply->ints[0]] = apply->op == EM__OP_RFFT ? apply->ints[1] / 2 + 1 : apply->ints[1];
    return EM_OK;
}

em_status em__infer_THREEFRY(const em__apply *apply, em__spec *out)
{
    const em__spec *key = apply->in[0];
    if (key->dtype != EM_U32 || key->rank != 1 || key->dims[0] != 2)
        return em__infer_fail(apply, "a key is u32[2]");
    int64_t dtype = apply->n_ints < 1 || apply->n_ints > 1 + EM_MAX_RANK ? -1 : apply->ints[0];
    if ((dtype < EM_U8 || dtype > EM_U64) && dtype != EM_F32 && dtype != EM_F64)
        return em__infer_fail(apply, "random bits are u8, u16, u32 or u64, or made to f32 or f64");
    out->dtype = (em_dtype)apply->ints[0];
    out->rank = apply->n_ints - 1;
    for (int i = 0; i < out->rank; i++)
        out->dims[i] = apply->ints[1 + i];
    EM__TRY(em__spec_check(out, "random_bits"));
    if (em__spec_size(out) > (int64_t)1 << 30)
        return em__infer_fail(apply, "one key gives 2^30 numbers at most");
    if (apply->n_in == 2 && (out->dtype != EM_U32 || !em__spec_equal(out, apply->in[1])))
        return em__infer_fail(apply, "counters are u32 and have the result's shape");
    return EM_OK;
}

em_status em__infer_RANDINT(const em__apply *apply, em__spec *out)
{
    const em__spec *keys = apply->in[0];
    if (keys->dtype != EM_U32 || keys->rank != 2 || keys->dims[0] != 2 || keys->dims[1] != 2)
        return em__infer_fail(apply, "two keys are u32[2, 2]");
    if (apply->n_ints < 3 || apply->n_ints > 3 + EM_MAX_RANK ||
        (apply->ints[0] != EM_S32 && apply->ints[0] != EM_U32) || apply->ints[2] < 0 || apply->ints[2] > UINT32_MAX)
        return em__infer_fail(apply, "numbers are s32 or u32, from a range of them");
    out->dtype = (em_dtype)apply->ints[0];
    out->rank = apply->n_ints - 3;
    for (int i = 0; i < out->rank; i++)
        out->dims[i] = apply->ints[3 + i];
    EM__TRY(em__spec_check(out, "random_randint"));
    if (em__spec_size(out) > (int64_t)1 << 30)
        return em__infer_fail(apply, "one key gives 2^30 numbers at most");
    return EM_OK;
}
