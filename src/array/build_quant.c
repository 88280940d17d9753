/* Builders: quantized weights. */
#include <emily/ops.h>
#include <emily/quantize.h>

#include "array/array.h"
#include "core/error.h"
#include "core/options.h"
#include "ops/quant.h"

/* Mode, group and bits with the mode's own for 0; false once the scope has an error. */
static bool scheme(em_scope *scope, const em_quantization *how, int64_t *ints)
{
    em_quantization q = {0};
    if (EM__OPTIONS_COPY(how, &q, em_quantization) != EM_OK) {
        em__scope_fail(scope);
        return false;
    }
    em__quant filled = {q.mode, q.group, q.bits};
    em__quant_fill(&filled);
    ints[0] = (int64_t)filled.mode;
    ints[1] = filled.group;
    ints[2] = filled.bits;
    return true;
}

em_quantized em_quantize(em_scope *scope, em_array *w, const em_quantization *how)
{
    em_array *out[3] = {0};
    int64_t ints[3];
    if (!em__scope_ok(scope, &w, 1, "quantize") || !scheme(scope, how, ints))
        return (em_quantized){0};
    em__build_parts(scope, &(em__build_args){.op = EM__OP_QUANTIZE, .in = &w, .n_in = 1, .ints = ints, .n_ints = 3},
                    out, ints[0] == EM_QUANT_AFFINE ? 3 : 2);
    return (em_quantized){out[0], out[1], out[2]};
}

/* Codes, scales and biases into `in`; their number, 0 once the scope has an error. */
static int operands(em_scope *scope, const em_quantized *w, em_array **in, const char *what)
{
    if (!w)
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: w is NULL", what);
    if (!w || !scope) {
        em__scope_fail(scope);
        return 0;
    }
    in[0] = w->codes;
    in[1] = w->scales;
    in[2] = w->biases;
    int n = w->biases ? 3 : 2;
    return em__scope_ok(scope, in, n, what) ? n : 0;
}

em_array *em_dequantize(em_scope *scope, const em_quantized *w, const em_quantization *how)
{
    em_array *in[3];
    int64_t ints[3];
    int n = operands(scope, w, in, "dequantize");
    if (!n || !scheme(scope, how, ints))
        return NULL;
    return em__build(scope, &(em__build_args){.op = EM__OP_DEQUANTIZE, .in = in, .n_in = n, .ints = ints, .n_ints = 3});
}

/* Broadcasts the axes before the last two; as it is when they are alike. NULL once the scope has an error. */
static em_array *with_lead(em_scope *scope, em_array *a, const em__spec *lead)
{
    em_dims dims = {.rank = lead->rank + 2};
    for (int i = 0; i < lead->rank; i++)
        dims.dims[i] = lead->dims[i];
    for (int i = 0; i < 2; i++)
        dims.dims[lead->rank + i] = a->spec.dims[a->spec.rank - 2 + i];
    bool alike = a->spec.rank == dims.rank;
    for (int i = 0; alike && i < lead->rank; i++)
        alike = a->spec.dims[i] == dims.dims[i];
    return alike ? a : em_broadcast_to(scope, a, dims);
}

/* x and the weight's arrays, brought to one rank and one lead. */
static bool broadcast_operands(em_scope *scope, em_array **in, int n)
{
    if (in[0]->spec.rank < 2)
        in[0] = em_expand_dims(scope, in[0], 0);
    if (!in[0])
        return false;
    em__spec x = in[0]->spec, w = in[1]->spec, lead = {0};
    x.rank -= 2;
    w.rank -= 2;
    for (int i = 2; i < n; i++)
        if (in[i]->spec.rank != in[1]->spec.rank) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "quantized_matmul: codes, scales and biases differ in rank");
            em__scope_fail(scope);
            return false;
        }
    if (!em__broadcast(&x, &w, &lead) || lead.rank + 2 > EM_MAX_RANK) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "quantized_matmul: leading axes of x and w do not broadcast");
        em__scope_fail(scope);
        return false;
    }
    for (int i = 0; i < n; i++)
        in[i] = with_lead(scope, in[i], &lead);
    return em__scope_ok(scope, in, n, "quantized_matmul");
}

em_array *em_quantized_matmul(em_scope *scope, em_array *x, const em_quantized *w, const em_quantization *how,
                              bool transpose)
{
    em_array *in[4] = {x};
    int64_t ints[4];
    int n = operands(scope, w, in + 1, "quantized_matmul");
    if (!n || !em__scope_ok(scope, &x, 1, "quantized_matmul") || !scheme(scope, how, ints))
        return NULL;
    bool vector = x->spec.rank == 1, leads = in[1]->spec.rank > 2;
    if (leads && !broadcast_operands(scope, in, n + 1))
        return NULL;
    ints[3] = transpose;
    em_array *y = em__build(
        scope, &(em__build_args){.op = EM__OP_QUANTIZED_MATMUL, .in = in, .n_in = n + 1, .ints = ints, .n_ints = 4});
    return leads && vector ? em_squeeze(scope, y, EM_AXES(-2)) : y;
}
