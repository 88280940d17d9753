/* Ops with several results: which op has which parts, and where they lie in its block. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "ops/linalg.h"
#include "ops/op.h"
#include "ops/quant.h"

/* See em__op_parts. */
typedef int (*parts_fn)(const em__apply *apply, em__spec *parts);

static int parts_WHILE(const em__apply *apply, em__spec *parts)
{
    if (apply->n_ints != 2 || apply->ints[0] < 1 || apply->ints[0] > apply->n_in || apply->ints[1] < 0 ||
        apply->ints[1] > apply->n_in - apply->ints[0]) {
        em__infer_fail(apply, "the attributes do not fit the operands");
        return -1;
    }
    for (int i = 0; i < apply->ints[0] && parts; i++)
        parts[i] = *apply->in[i];
    return (int)apply->ints[0];
}

static int parts_COND(const em__apply *apply, em__spec *parts)
{
    int n = 0;
    if (apply->n_in < 1 || apply->in[0]->dtype != EM_PRED || apply->in[0]->rank != 0) {
        em__infer_fail(apply, "the condition must be a pred scalar");
        return -1;
    }
    for (int i = 1; i < apply->n_ints; n++) {
        const int64_t *ints = apply->ints + i;
        int left = apply->n_ints - i - 2;
        if (left < 0 || ints[0] < 0 || ints[0] >= EM_DTYPE_COUNT || ints[1] < 0 || ints[1] > EM_MAX_RANK ||
            ints[1] > left) {
            em__infer_fail(apply, "result %d is not described", n);
            return -1;
        }
        if (parts) {
            parts[n] = (em__spec){.dtype = (em_dtype)ints[0], .rank = (int)ints[1]};
            memcpy(parts[n].dims, ints + 2, (size_t)ints[1] * sizeof ints[0]);
        }
        i += 2 + (int)ints[1];
    }
    return n;
}

static const parts_fn rules[EM__OP_COUNT] = {
    [EM__OP_WHILE] = parts_WHILE,           [EM__OP_COND] = parts_COND,   [EM__OP_TOP_K] = em__parts_top_k,
    [EM__OP_QUANTIZE] = em__parts_quantize, [EM__OP_LU] = em__parts_lu,   [EM__OP_QR] = em__parts_qr,
    [EM__OP_EIGH] = em__parts_eigh,         [EM__OP_SVD] = em__parts_svd,
};

int em__op_parts(const em__apply *apply, em__spec *parts)
{
    if (rules[apply->op])
        return rules[apply->op](apply, parts);
    em__fail(EM_ERROR_INTERNAL, "%s has one result", em__op_get(apply->op)->name);
    return -1;
}

size_t em__part_bytes(const em__spec *part)
{
    size_t bytes = em__spec_bytes(part);
    return (bytes + EM__PART_ALIGN - 1) / EM__PART_ALIGN * EM__PART_ALIGN;
}

int64_t em__parts_layout(const em__spec *parts, int n, int64_t *offsets)
{
    int64_t total = 0;
    for (int i = 0; i < n; i++) {
        int64_t bytes;
        if (em__spec_check(&parts[i], "part") != EM_OK)
            return -1;
        bytes = (int64_t)em__spec_bytes(&parts[i]);
        if (offsets)
            offsets[i] = total;
        if (em__add_overflows(total, bytes, &total) || em__add_overflows(total, EM__PART_ALIGN - 1, &total)) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "the results together overflow 64 bits");
            return -1;
        }
        total -= total % EM__PART_ALIGN;
    }
    return total;
}

em_status em__infer_PARTS(const em__apply *apply, em__spec *out)
{
    int n = em__op_parts(apply, NULL);
    if (n < 0)
        return em_last_status();
    em__spec *parts = em__calloc(n ? (size_t)n : 1, sizeof *parts);
    if (!parts)
        return EM_ERROR_OUT_OF_MEMORY;
    int64_t bytes = em__op_parts(apply, parts) == n ? em__parts_layout(parts, n, NULL) : -1;
    em__free(parts);
    if (bytes < 0)
        return em_last_status();
    out->dtype = EM_U8;
    out->rank = 1;
    out->dims[0] = bytes;
    return EM_OK;
}

em_status em__infer_ELEMENT(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    if (in->dtype != EM_U8 || in->rank != 1 || apply->n_ints < 2 || apply->n_ints > 2 + EM_MAX_RANK ||
        apply->ints[0] < 0 || apply->ints[0] >= EM_DTYPE_COUNT)
        return em__infer_fail(apply, "not a part of a block");
    out->dtype = (em_dtype)apply->ints[0];
    out->rank = apply->n_ints - 2;
    for (int i = 0; i < out->rank; i++)
        out->dims[i] = apply->ints[2 + i];
    EM__TRY(em__spec_check(out, "element"));
    int64_t bytes = (int64_t)em__spec_bytes(out), at = apply->ints[1];
    if (at < 0 || at % EM__PART_ALIGN || at > in->dims[0] || bytes > in->dims[0] - at)
        return em__infer_fail(apply, "the part at byte %lld ends behind its block", (long long)at);
    return EM_OK;
}
