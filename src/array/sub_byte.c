/* See sub_byte.h. */
#include "array/sub_byte.h"

#include <string.h>

#include <emily/ops.h>

#include "core/alloc.h"
#include "core/error.h"

bool em__is_sub_byte(const em__build_args *args)
{
    bool any = args->op == EM__OP_IOTA && args->n_ints > 0 && em__sub_byte((em_dtype)args->ints[0]);
    for (int i = 0; i < args->n_in && !any; i++)
        any = em__sub_byte(args->in[i]->spec.dtype);
    return any && !em__op_takes_sub_byte(args->op);
}

static bool counts_bits(em__op op)
{
    return op == EM__OP_POPULATION_COUNT || op == EM__OP_COUNT_LEADING_ZEROS;
}

/* The operand in s8 or u8; for an op that counts bits, without the copies of the sign that s8 has. */
static em_array *widened(em_scope *scope, em__op op, em_array *a)
{
    em_dtype dtype = a->spec.dtype;
    if (!em__sub_byte(dtype))
        return a;
    if (counts_bits(op))
        a = em_cast(scope, a, em_dtype_bits(dtype) == 4 ? EM_U4 : EM_U2);
    return em_cast(scope, a, counts_bits(op) ? EM_U8 : em__wide_dtype(dtype));
}

/* All operands, in memory of its own at *in, which the caller frees; false once the scope has an error. */
static bool widen_all(em_scope *scope, const em__build_args *args, em_array ***in)
{
    *in = em__calloc((size_t)args->n_in + 1, sizeof **in);
    if (!*in)
        em__scope_fail(scope);
    for (int i = 0; i < args->n_in && *in && scope->status == EM_OK; i++)
        (*in)[i] = widened(scope, args->op, args->in[i]);
    return scope->status == EM_OK;
}

/* What the op gives where nothing was in reach is the end of the wide dtype's range: of the narrow one's it must be. */
static em_array *held_within(em_scope *scope, em_array *a, em_dtype dtype)
{
    bool is_signed = em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
    int bits = (int)em_dtype_bits(dtype), low = is_signed ? -(1 << (bits - 1)) : 0;
    em_array *lowest = em_scalar(scope, a->spec.dtype, low);
    em_array *highest = em_scalar(scope, a->spec.dtype, low + (1 << bits) - 1);
    return lowest && highest ? em_clip(scope, a, lowest, highest) : NULL;
}

/* A result in s8 or u8 as one of `dtype`, which the op's rule gives. */
static em_array *narrowed(em_scope *scope, em__op op, em_array *a, em_dtype dtype)
{
    if (!a || !em__sub_byte(dtype))
        return a;
    switch (op) {
    case EM__OP_MAX:
    case EM__OP_MIN:
    case EM__OP_WINDOW_MAX:
    case EM__OP_WINDOW_MIN: a = held_within(scope, a, dtype); break;
    case EM__OP_COUNT_LEADING_ZEROS:
        a = em_sub(scope, a, em_scalar(scope, EM_U8, 8 - (double)em_dtype_bits(dtype)));
        break;
    default: break;
    }
    return a ? em_cast(scope, a, dtype) : NULL;
}

/* The op's own rule, which knows a dtype by its kind. */
static em_status infer(const em__build_args *args, em__spec *out)
{
    const em__spec **in = em__calloc((size_t)args->n_in + 1, sizeof *in);
    if (!in)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int i = 0; i < args->n_in; i++)
        in[i] = &args->in[i]->spec;
    em__apply apply = {args->op, args->n_in, in, args->n_ints, args->ints, args->n_floats, args->floats};
    memset(out, 0, sizeof *out);
    em_status status = em__op_get(args->op)->infer(&apply, out);
    em__free(in);
    return status;
}

em_array *em__build_wide(em_scope *scope, const em__build_args *args)
{
    em__spec spec;
    em_array **in, *out = NULL;
    int64_t ints[2 + EM_MAX_RANK];
    em__build_args wide = *args;
    if (infer(args, &spec) != EM_OK)
        return em__scope_fail(scope);
    if (args->op == EM__OP_BITCAST) /* between two of as many bits, a cast keeps them */
        return em_cast(scope, args->in[0], spec.dtype);
    if (args->op == EM__OP_IOTA) {
        memcpy(ints, args->ints, (size_t)args->n_ints * sizeof *ints);
        ints[0] = em__wide_dtype(spec.dtype);
        wide.ints = ints;
    }
    if (widen_all(scope, args, &in)) {
        wide.in = in;
        out = narrowed(scope, args->op, em__build(scope, &wide), spec.dtype);
    }
    em__free(in);
    return out;
}

bool em__build_parts_wide(em_scope *scope, const em__build_args *args, em_array **out, int n)
{
    em__spec *specs = NULL;
    int64_t *offsets;
    em_array **in = NULL;
    em__build_args wide = *args;
    bool good = em__find_parts(args, n, &specs, &offsets) == EM_OK || em__scope_fail(scope);
    if (good && (good = widen_all(scope, args, &in))) {
        wide.in = in;
        good = em__build_parts(scope, &wide, out, n);
    }
    for (int i = 0; i < n && good; i++)
        good = (out[i] = narrowed(scope, args->op, out[i], specs[i].dtype)) != NULL;
    em__free(in);
    em__free(specs);
    return good;
}
