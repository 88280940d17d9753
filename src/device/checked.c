/* See checked.h. Elements are read one by one as the ref device reads them: clear before fast. */
#include "device/checked.h"

#include <math.h>
#include <stdio.h>

#include "core/error.h"
#include "device/index.h"
#include "device/ref/ref.h"

static bool is_bad(double x, unsigned flags)
{
    return (flags & EM_DEBUG_NAN && isnan(x)) || (flags & EM_DEBUG_INF && isinf(x));
}

/* The first element that a check is about, in row-major order; -1: none. */
static int64_t find_bad(const em__tensor *tensor, unsigned flags)
{
    em_dtype_kind kind = em_dtype_get_kind(tensor->spec.dtype);
    int64_t size = em__spec_size(&tensor->spec);
    em__walk walk = {.spec = &tensor->spec};
    if (kind != EM_KIND_FLOAT && kind != EM_KIND_COMPLEX)
        return -1;
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value v = em__ref_load(tensor->spec.dtype, tensor->data, em__walk_offset(&walk, tensor));
        if (is_bad(v.f, flags) || is_bad(v.imag, flags))
            return i;
    }
    return -1;
}

static em_status report(const em__call *call, const em__tensor *out, int64_t place)
{
    char shape[EM__SPEC_TEXT], operands[256] = "";
    int n = 0;
    for (int i = 0; i < call->n_in && i < 4 && n < (int)sizeof operands - 1; i++)
        n += snprintf(operands + n, sizeof operands - (size_t)n, "%s%s", i ? ", " : "",
                      em__spec_print(&call->in[i].spec, shape, sizeof shape));
    em__value v = em__ref_load(out->spec.dtype, out->data, place);
    bool nan = isnan(v.f) || isnan(v.imag);
    return em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: produced %s at element %lld of %s from operands without one (%s)",
                    em__op_get(call->op)->name, nan ? "NaN" : "an infinity", (long long)place,
                    em__spec_print(&out->spec, shape, sizeof shape), operands);
}

em_status em__call_checked(em_device *device, const em__call *call, unsigned flags)
{
    bool clean = flags & (EM_DEBUG_NAN | EM_DEBUG_INF) && !call->functions;
    if (flags & EM_DEBUG_BOUNDS)
        EM__TRY(em__call_check_indices(call));
    for (int i = 0; i < call->n_in && clean; i++) /* before the kernel, which may write over an operand */
        clean = find_bad(&call->in[i], flags) < 0;
    EM__TRY(call->kernel(device, call));
    int64_t place = clean ? find_bad(&call->out, flags) : -1;
    return place < 0 ? EM_OK : report(call, &call->out, place);
}
