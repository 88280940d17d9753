/*
 * Fast ops of f16, bf16 and f8 that have a kernel for f32 alone: operands of the result's dtype are widened into
 * scratch memory, the f32 kernel runs, and its result is rounded once.
 */
#include <string.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/cpu.h"

#define MOST_OPERANDS 8

/* The f32 call behind the narrow one, its own scratch last; without memory only what it looks like. Returns the bytes
 * of operands and result. */
static size_t widened(const em__call *call, em__tensor *in, char *memory, em__call *wide)
{
    size_t used = 0;
    *wide = *call;
    wide->in = in;
    for (int i = 0; i < call->n_in; i++) {
        in[i] = call->in[i];
        em__tensor_contiguous(&in[i]);
        if (in[i].spec.dtype != call->out.spec.dtype)
            continue;
        in[i].spec.dtype = EM_F32;
        in[i].data = memory ? memory + used : NULL;
        used += em__cpu_wide_bytes(&in[i].spec);
    }
    wide->out.spec.dtype = EM_F32;
    wide->out.data = memory ? memory + used : NULL;
    used += em__cpu_wide_bytes(&wide->out.spec);
    wide->scratch = memory ? memory + used : NULL;
    return used;
}

static em_status run_narrow(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__tensor in[MOST_OPERANDS];
    em__call wide;
    em__plan plan = {0};
    widened(call, in, call->scratch, &wide);
    if (!em__cpu_prepare_any(cpu, &wide, &plan))
        return em__fail(EM_ERROR_INTERNAL, "%s: the f32 kernel is gone", em__op_get(call->op)->name);
    for (int i = 0; i < call->n_in; i++)
        if (in[i].spec.dtype != call->in[i].spec.dtype)
            em__cpu_cast(cpu, &call->in[i], &in[i]);
    EM__TRY(plan.kernel(device, &wide));
    em__cpu_cast(cpu, &wide.out, &call->out);
    return EM_OK;
}

bool em__cpu_prepare_narrow(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em__tensor in[MOST_OPERANDS];
    em__call wide;
    em_dtype dtype = call->out.spec.dtype;
    bool narrow = em_dtype_get_kind(dtype) == EM_KIND_FLOAT && em_dtype_size(dtype) < 4;
    if (!(em__op_get(call->op)->traits & EM__TRAIT_FAST) || !narrow || call->n_in > MOST_OPERANDS || call->packed)
        return false;
    em__plan inner = {0};
    size_t used = widened(call, in, NULL, &wide);
    if (!em__cpu_prepare_any(cpu, &wide, &inner))
        return false;
    *plan = (em__plan){.kernel = run_narrow, .scratch = used + inner.scratch, .workers = inner.workers};
    return true;
}
