/* The op table and what all rules share: specs, promotion, broadcasting, error text. */
#include "ops/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

static const em__op_info table[EM__OP_COUNT] = {
#define EM_OP(ENUM, op_name, SIGNATURE, INFER, DTYPES, TRAITS)                                                         \
    [EM__OP_##ENUM] = {#op_name, em__infer_##INFER, EM__ACCEPTS_##DTYPES, EM__TRAIT_##TRAITS},
#include <emily/ops.def>
#undef EM_OP
};

const em__op_info *em__op_get(em__op op)
{
    return &table[op];
}

int64_t em__spec_size(const em__spec *spec)
{
    int64_t size = 1;
    for (int i = 0; i < spec->rank; i++)
        size *= spec->dims[i];
    return size;
}

size_t em__spec_bytes(const em__spec *spec)
{
    size_t size = (size_t)em__spec_size(spec);
    if (em__sub_byte(spec->dtype))
        return (size * em_dtype_bits(spec->dtype) + 7) / 8;
    return size * em_dtype_size(spec->dtype);
}

bool em__spec_empty(const em__spec *spec)
{
    for (int i = 0; i < spec->rank; i++)
        if (spec->dims[i] == 0)
            return true;
    return false;
}

bool em__is_integer(const em__spec *spec)
{
    em_dtype_kind kind = em_dtype_get_kind(spec->dtype);
    return kind == EM_KIND_SIGNED || kind == EM_KIND_UNSIGNED;
}

bool em__same_shape(const em__spec *a, const em__spec *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; i < a->rank && same; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

bool em__spec_equal(const em__spec *a, const em__spec *b)
{
    return a->dtype == b->dtype && em__same_shape(a, b);
}

const char *em__spec_print(const em__spec *spec, char *text, size_t size)
{
    int n = snprintf(text, size, "%s[", em_dtype_name(spec->dtype));
    for (int i = 0; i < spec->rank && (size_t)n < size; i++)
        n += snprintf(text + n, size - (size_t)n, i ? ", %lld" : "%lld", (long long)spec->dims[i]);
    if ((size_t)n < size)
        snprintf(text + n, size - (size_t)n, "]");
    return text;
}

em_status em__spec_check(const em__spec *spec, const char *what)
{
    EM__FAIL_IF(spec->rank < 0 || spec->rank > EM_MAX_RANK, EM_ERROR_INVALID_ARGUMENT,
                "%s: rank is %d; ranks 0 to %d are supported", what, spec->rank, EM_MAX_RANK);
    int64_t bytes = 16; /* the widest element; axes of size 0 are passed over, so that strides fit too */
    for (int i = 0; i < spec->rank; i++) {
        EM__FAIL_IF(spec->dims[i] < 0, EM_ERROR_INVALID_ARGUMENT, "%s: dimension %d is %lld; it must be 0 or more",
                    what, i, (long long)spec->dims[i]);
        EM__FAIL_IF(spec->dims[i] && em__mul_overflows(bytes, spec->dims[i], &bytes), EM_ERROR_INVALID_ARGUMENT,
                    "%s: the shape's element count overflows 64 bits", what);
    }
    return EM_OK;
}

bool em__op_takes_sub_byte(em__op op)
{
    switch (op) {
    case EM__OP_CAST:
    case EM__OP_RESHAPE:
    case EM__OP_ELEMENT:
    case EM__OP_WHILE:
    case EM__OP_COND:
    case EM__OP_HOOK:
    case EM__OP_INPUT:
    case EM__OP_CONSTANT: return true;
    default: return false;
    }
}

static em_status check_sub_byte(const em__apply *apply, em_dtype dtype)
{
    EM__FAIL_IF(em__sub_byte(dtype) && !em__op_takes_sub_byte(apply->op), EM_ERROR_UNSUPPORTED,
                "%s does not compute with %s, which is for values at rest; cast to %s, compute, and cast back",
                table[apply->op].name, em_dtype_name(dtype), em_dtype_name(em__wide_dtype(dtype)));
    return EM_OK;
}

em_status em__op_infer(const em__apply *apply, em__spec *out)
{
    memset(out, 0, sizeof *out);
    EM__TRY(table[apply->op].infer(apply, out));
    EM__TRY(check_sub_byte(apply, out->dtype));
    for (int i = 0; i < apply->n_in; i++)
        EM__TRY(check_sub_byte(apply, apply->in[i]->dtype));
    return em__spec_check(out, table[apply->op].name);
}

static bool accepted(em__accepts accepts, em_dtype_kind kind)
{
    bool integer = kind == EM_KIND_UNSIGNED || kind == EM_KIND_SIGNED;
    switch (accepts) {
    case EM__ACCEPTS_ANY: return true;
    case EM__ACCEPTS_NUMERIC: return kind != EM_KIND_BOOL;
    case EM__ACCEPTS_REAL: return kind != EM_KIND_BOOL && kind != EM_KIND_COMPLEX;
    case EM__ACCEPTS_ORDERED:
    case EM__ACCEPTS_FLOAT: return kind != EM_KIND_COMPLEX;
    case EM__ACCEPTS_INEXACT:
    case EM__ACCEPTS_COMPLEX: return true;
    case EM__ACCEPTS_INTEGER: return integer;
    case EM__ACCEPTS_BITS: return integer || kind == EM_KIND_BOOL;
    }
    return false;
}

em_status em__op_operand_dtype(em__op op, em_dtype dtype, em_dtype *want)
{
    static const char *const classes[] = {"any dtype",     "anything but complex", "a number",
                                          "a real number", "a real number",        "a number",
                                          "a number",      "an integer",           "an integer or pred"};
    em__accepts accepts = table[op].accepts;
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    EM__FAIL_IF(!accepted(accepts, kind), EM_ERROR_INVALID_ARGUMENT, "%s: operand is %s, the op takes %s",
                table[op].name, em_dtype_name(dtype), classes[accepts]);
    bool inexact = accepts == EM__ACCEPTS_FLOAT || accepts == EM__ACCEPTS_INEXACT;
    *want = accepts == EM__ACCEPTS_COMPLEX    ? em__complex_dtype(dtype)
            : inexact && kind < EM_KIND_FLOAT ? EM_F32
                                              : dtype;
    return EM_OK;
}

em_dtype em__real_dtype(em_dtype dtype)
{
    return dtype == EM_C64 ? EM_F32 : dtype == EM_C128 ? EM_F64 : dtype;
}

em_dtype em__complex_dtype(em_dtype dtype)
{
    return dtype == EM_F64 || dtype == EM_C128 ? EM_C128 : EM_C64;
}

static em_dtype integer_of(em_dtype_kind kind, size_t bits)
{
    for (int i = 0; i < EM_DTYPE_COUNT; i++)
        if (em_dtype_get_kind((em_dtype)i) == kind && em_dtype_bits((em_dtype)i) == bits)
            return (em_dtype)i;
    return EM_S64;
}

em_dtype em__promote(em_dtype a, em_dtype b)
{
    em_dtype_kind ka = em_dtype_get_kind(a), kb = em_dtype_get_kind(b);
    size_t na = em_dtype_bits(a), nb = em_dtype_bits(b);
    if (a == b)
        return a;
    if (ka > kb) /* kinds ascend: bool, unsigned, signed, float, complex */
        return em__promote(b, a);
    if (kb == EM_KIND_COMPLEX)
        return a == EM_F64 || a == EM_C128 ? EM_C128 : b;
    if (kb == EM_KIND_FLOAT) {
        if (ka != EM_KIND_FLOAT)
            return b;
        if (a == EM_BF16 || b == EM_BF16) /* any other float of at most its width comes before bf16 */
            return a == EM_BF16 ? b : a;
        return na == nb ? EM_F16 : na > nb ? a : b; /* of one width: the two f8 */
    }
    if (ka == kb || ka == EM_KIND_BOOL)
        return na > nb && ka == kb ? a : b;
    size_t wide = na < nb ? nb : na * 2;
    return integer_of(EM_KIND_SIGNED, wide > 64 ? 64 : wide);
}

em_dtype em__wide_dtype(em_dtype dtype)
{
    return !em__sub_byte(dtype) ? dtype : em_dtype_get_kind(dtype) == EM_KIND_SIGNED ? EM_S8 : EM_U8;
}

em_dtype em__promote_fast(em_dtype a, em_dtype b)
{
    bool both = (a == EM_F16 && b == EM_BF16) || (a == EM_BF16 && b == EM_F16);
    return both ? EM_F32 : em__promote(a, b);
}

bool em__broadcast(const em__spec *a, const em__spec *b, em__spec *out)
{
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank; i++) {
        int64_t x = i < out->rank - a->rank ? 1 : a->dims[i - (out->rank - a->rank)];
        int64_t y = i < out->rank - b->rank ? 1 : b->dims[i - (out->rank - b->rank)];
        if (x != y && x != 1 && y != 1)
            return false;
        out->dims[i] = x == 1 ? y : x;
    }
    return true;
}

bool em__axis(int axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return false;
    *out = axis < 0 ? axis + rank : axis;
    return true;
}

em_status em__infer_fail(const em__apply *apply, const char *format, ...)
{
    char text[256], operands[512] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t used = 0;
    for (int i = 0; i < apply->n_in && i < 4; i++) {
        char spec[EM__SPEC_TEXT];
        int n = snprintf(operands + used, sizeof operands - used, "%s%s", i ? ", " : "",
                         em__spec_print(apply->in[i], spec, sizeof spec));
        used += (size_t)n < sizeof operands - used ? (size_t)n : 0;
    }
    return em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: %s%s%s", table[apply->op].name, text,
                    apply->n_in ? "; operands are " : "", operands);
}
