/* Builders: rotary embedding, attention, and the cache of keys and values. */
#include <math.h>

#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"
#include "core/options.h"

em_array *em_rope(em_scope *scope, em_array *x, em_array *offset, const em_rope_options *options)
{
    em_rope_options o = {0};
    em_dtype dtype;
    int axis;
    if (!em__scope_ok(scope, &x, 1, "rope"))
        return NULL;
    if (EM__OPTIONS_COPY(options, &o, em_rope_options) != EM_OK ||
        em__op_operand_dtype(EM__OP_ROPE, x->spec.dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    if (o.freqs && o.base != 0) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "rope: base %g and freqs were given; only one can be", o.base);
        return em__scope_fail(scope);
    }
    if (!em__axis(o.axis ? o.axis : -2, x->spec.rank, &axis))
        axis = -1;
    em_array *in[3] = {em_cast(scope, x, dtype)};
    int n = 1;
    if (offset)
        in[n++] = offset;
    if (o.freqs)
        in[n++] = em_cast(scope, o.freqs, EM_F32);
    int64_t last = x->spec.rank ? x->spec.dims[x->spec.rank - 1] : 0;
    int64_t ints[] = {o.dims ? o.dims : last, o.interleaved, (offset ? 1 : 0) | (o.freqs ? 2 : 0), axis};
    double floats[] = {o.base != 0 ? o.base : 10000, o.scale != 0 ? o.scale : 1};
    return em__build(scope, &(em__build_args){EM__OP_ROPE, in, n, ints, 4, floats, 2});
}

em_array *em_rotary(em_scope *scope, em_array *x, em_array *cosine, em_array *sine, int dims, bool interleaved)
{
    em_array *in[] = {x, cosine, sine};
    em_dtype dtype;
    if (!em__scope_ok(scope, in, 3, "rotary"))
        return NULL;
    if (em__op_operand_dtype(EM__OP_ROTARY, x->spec.dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    em_dtype table = dtype == EM_F64 ? EM_F64 : EM_F32;
    in[0] = em_cast(scope, x, dtype);
    in[1] = em_cast(scope, cosine, table);
    in[2] = em_cast(scope, sine, table);
    int64_t last = x->spec.rank ? x->spec.dims[x->spec.rank - 1] : 0;
    return em__build(scope,
                     &(em__build_args){EM__OP_ROTARY, in, 3, (int64_t[]){dims ? dims : last, interleaved}, 2, NULL, 0});
}

em_array *em_kv_update(em_scope *scope, em_array *cache, em_array *rows, em_array *position)
{
    em_array *in[] = {cache, rows, position};
    if (!em__scope_ok(scope, in, 3, "kv_update"))
        return NULL;
    if (!em__sdpa_mixes(rows->spec.dtype, cache->spec.dtype))
        in[1] = em_cast(scope, rows, cache->spec.dtype);
    return em__build(scope, &(em__build_args){.op = EM__OP_KV_UPDATE, .in = in, .n_in = 3});
}

static em_array *coded_update(em_scope *scope, em__op op, em_array *cache, em_array *rows, em_array *position)
{
    em_array *in[] = {cache, rows, position};
    if (!em__scope_ok(scope, in, 3, em__op_get(op)->name))
        return NULL;
    in[1] = em_cast(scope, rows, EM_F32);
    return em__build(scope, &(em__build_args){.op = op, .in = in, .n_in = 3});
}

em_array *em_kv_codes(em_scope *scope, em_array *codes, em_array *rows, em_array *position)
{
    return coded_update(scope, EM__OP_KV_CODES, codes, rows, position);
}

em_array *em_kv_scales(em_scope *scope, em_array *scales, em_array *rows, em_array *position)
{
    return coded_update(scope, EM__OP_KV_SCALES, scales, rows, position);
}

/* q, k and v in one float dtype; but keys and values of a cache stay halves beside f32 queries. False once the scope
 * has an error. */
static bool attention_operands(em_scope *scope, em__op op, em_array **in)
{
    em_dtype dtype;
    if (!em__scope_ok(scope, in, 3, em__op_get(op)->name))
        return false;
    const em_dtype cache = in[1]->spec.dtype;
    dtype = em__promote_fast(em__promote_fast(in[0]->spec.dtype, in[1]->spec.dtype), in[2]->spec.dtype);
    if (em__op_operand_dtype(op, dtype, &dtype) != EM_OK) {
        em__scope_fail(scope);
        return false;
    }
    const bool mixed = op == EM__OP_SDPA && em__sdpa_mixes(dtype, cache) && in[2]->spec.dtype == cache;
    for (int i = 0; i < (mixed ? 1 : 3); i++)
        in[i] = em_cast(scope, in[i], dtype);
    return em__scope_ok(scope, in, 3, em__op_get(op)->name);
}

static double attention_scale(double scale, const em__spec *q)
{
    double size = q->rank ? (double)q->dims[q->rank - 1] : 1;
    return scale != 0 ? scale : 1 / sqrt(size > 0 ? size : 1);
}

/* f32 queries of codes, whose scales both are there. */
static bool coded_operands(em_scope *scope, em_array **in, const em_sdpa_options *o)
{
    if (!em__scope_ok(scope, in, 3, "sdpa"))
        return false;
    if (!o->k_scales || !o->v_scales) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "sdpa: scales of %s alone; k and v must both have them",
                 o->k_scales ? "k" : "v");
        em__scope_fail(scope);
        return false;
    }
    in[0] = em_cast(scope, in[0], EM_F32);
    return em__scope_ok(scope, in, 1, "sdpa");
}

/* Lengths as s32. Where their dtype holds more than that they are held inside [0, Lk] first: a length of 2^32 means all
 * keys, and would become 0. */
static em_array *lengths_of(em_scope *scope, em_array *lengths, const em__spec *k)
{
    const em_dtype dtype = lengths->spec.dtype;
    const int64_t keys = k->rank >= 2 ? k->dims[k->rank - 2] : 0;
    if (dtype == EM_U32 || em_dtype_size(dtype) > sizeof(int32_t))
        lengths = em_clip(scope, lengths, em_scalar(scope, dtype, 0),
                          em_scalar(scope, dtype, (double)(keys < INT32_MAX ? keys : INT32_MAX)));
    return em_cast(scope, lengths, EM_S32);
}

em_array *em_sdpa_with(em_scope *scope, em_array *q, em_array *k, em_array *v, const em_sdpa_options *options)
{
    em_array *in[8] = {q, k, v};
    em_sdpa_options o = {0};
    int n = 3;
    if (EM__OPTIONS_COPY(options, &o, em_sdpa_options) != EM_OK)
        return em__scope_fail(scope);
    const bool coded = o.k_scales || o.v_scales;
    if (coded ? !coded_operands(scope, in, &o) : !attention_operands(scope, EM__OP_SDPA, in))
        return NULL;
    if (o.mask)
        in[n++] = o.mask->spec.dtype == EM_PRED ? o.mask
                                                : em_cast(scope, o.mask, in[0]->spec.dtype == EM_F64 ? EM_F64 : EM_F32);
    if (o.sinks)
        in[n++] = em_cast(scope, o.sinks, EM_F32);
    if (o.lengths && em_dtype_get_kind(o.lengths->spec.dtype) >= EM_KIND_FLOAT) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "sdpa: lengths are %s, they must be integers",
                 em_dtype_name(o.lengths->spec.dtype));
        return em__scope_fail(scope);
    }
    if (o.lengths)
        in[n++] = lengths_of(scope, o.lengths, &k->spec);
    if (coded) {
        in[n++] = em_cast(scope, o.k_scales, EM_F32);
        in[n++] = em_cast(scope, o.v_scales, EM_F32);
    }
    int64_t ints[] = {o.causal, (o.mask ? 1 : 0) | (o.sinks ? 2 : 0) | (o.lengths ? 4 : 0) | (coded ? 24 : 0),
                      o.window};
    double floats[] = {attention_scale(o.scale, &in[0]->spec), o.softcap};
    return em__build(scope, &(em__build_args){EM__OP_SDPA, in, n, ints, 3, floats, 2});
}

em_array *em_sdpa(em_scope *scope, em_array *q, em_array *k, em_array *v, em_array *mask, double scale, bool causal)
{
    const em_sdpa_options options = {.struct_size = sizeof options, .mask = mask, .scale = scale, .causal = causal};
    return em_sdpa_with(scope, q, k, v, &options);
}

em_array *em_sdpa_segments(em_scope *scope, em_array *q, em_array *k, em_array *v, em_array *offsets, em_array *bias,
                           double scale)
{
    const em_segments_options options = {.struct_size = sizeof options, .bias = bias, .scale = scale};
    return em_sdpa_segments_with(scope, q, k, v, offsets, &options);
}

em_array *em_sdpa_segments_with(em_scope *scope, em_array *q, em_array *k, em_array *v, em_array *offsets,
                                const em_segments_options *options)
{
    em_array *in[] = {q, k, v, offsets, NULL};
    em_segments_options o = {0};
    if (EM__OPTIONS_COPY(options, &o, em_segments_options) != EM_OK)
        return em__scope_fail(scope);
    if (!attention_operands(scope, EM__OP_SDPA_SEGMENTS, in) || !em__scope_ok(scope, &offsets, 1, "sdpa_segments"))
        return NULL;
    if (o.bias)
        in[4] = em_cast(scope, o.bias, EM_F32);
    const int64_t ints[] = {o.bias != NULL, o.causal, o.window};
    const double scale = attention_scale(o.scale, &in[0]->spec);
    return em__build(scope, &(em__build_args){EM__OP_SDPA_SEGMENTS, in, o.bias ? 5 : 4, ints, 3, &scale, 1});
}
