/* See checked.h. Elements are read one by one as the ref device reads them: clear before fast. */
#include "device/checked.h"

#include <math.h>
#include <stdio.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/cause.h"
#include "core/error.h"
#include "device/index.h"
#include "device/memory.h"
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
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: produced %s at element %lld of %s from operands without one (%s)",
             em__op_get(call->op)->name, nan ? "NaN" : "an infinity", (long long)place,
             em__spec_print(&out->spec, shape, sizeof shape), operands);
    return em__because(EM_ERROR_INVALID_ARGUMENT, EM__CAUSE_NO_NUMBER);
}

/* Memory of the host that holds a tensor of a device's. */
typedef struct brought {
    void *block;
    size_t size;
} brought;

/* The tensor on the host, with the strides that it has: all bytes from its lowest element to its highest come. */
static em_status bring(em_device *device, const em__tensor *from, em__tensor *to, brought *memory)
{
    const int64_t size = (int64_t)em_dtype_size(from->spec.dtype);
    int64_t low = 0, high = 0;
    *to = *from;
    if (em__spec_size(&from->spec) == 0)
        return EM_OK;
    for (int i = 0; i < from->spec.rank; i++) {
        int64_t reach = (from->spec.dims[i] - 1) * from->strides[i];
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
    }
    memory->size = (size_t)((high - low + 1) * size);
    memory->block = em__block_alloc(memory->size);
    if (!memory->block)
        return EM_ERROR_OUT_OF_MEMORY;
    to->data = (char *)memory->block - low * size;
    return em__memory_download(device, memory->block, (char *)from->data + low * size, memory->size);
}

/* The checks before the kernel: whether indices are in range, and whether operands have what is looked for. */
static em_status check_operands(const em__call *call, unsigned flags, bool *clean)
{
    if (flags & EM_DEBUG_BOUNDS)
        EM__TRY(em__call_check_indices(call));
    for (int i = 0; i < call->n_in && *clean; i++) /* before the kernel, which may write over an operand */
        *clean = find_bad(&call->in[i], flags) < 0;
    return EM_OK;
}

static em_status check_result(const em__call *call, const em__tensor *out, unsigned flags)
{
    int64_t place = find_bad(out, flags);
    return place < 0 ? EM_OK : report(call, out, place);
}

/* The same checks on copies of what the device has. */
static em_status checked_there(em_device *device, const em__call *call, unsigned flags, bool clean)
{
    em__call here = *call;
    em__tensor out;
    brought result = {0}, *operands = em__calloc((size_t)call->n_in + 1, sizeof *operands);
    here.in = em__calloc((size_t)call->n_in + 1, sizeof *here.in);
    em_status status = operands && here.in ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    for (int i = 0; i < call->n_in && status == EM_OK; i++)
        status = bring(device, &call->in[i], &here.in[i], &operands[i]);
    if (status == EM_OK)
        status = check_operands(&here, flags, &clean);
    if (status == EM_OK)
        status = call->kernel(device, call);
    if (status == EM_OK)
        status = em__memory_wait(device);
    if (status == EM_OK && clean)
        status = bring(device, &call->out, &out, &result);
    if (status == EM_OK && clean)
        status = check_result(&here, &out, flags);
    em__block_free(result.block, result.size);
    for (int i = 0; operands && i < call->n_in; i++)
        em__block_free(operands[i].block, operands[i].size);
    em__free(operands);
    em__free(here.in);
    return status;
}

em_status em__call_checked(em_device *device, const em__call *call, unsigned flags)
{
    bool clean = flags & (EM_DEBUG_NAN | EM_DEBUG_INF) && !call->functions && !call->merged;
    if (em__memory_of(device))
        return checked_there(device, call, flags, clean);
    EM__TRY(check_operands(call, flags, &clean));
    EM__TRY(call->kernel(device, call));
    return clean ? check_result(call, &call->out, flags) : EM_OK;
}
