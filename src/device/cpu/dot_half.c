/*
 * Products of f16, bf16 and f8: operands are widened to f32, multiplied and accumulated in f32, and the result is
 * rounded once. A constant weight is widened when it is packed, so that a replay widens only the other operand.
 */
#include "core/block.h"
#include "core/error.h"
#include "device/cpu/cpu.h"

/* The f32 call behind the half one: operands and result row-major in `memory`, in that order; without memory only what
 * they look like. */
static em__call widened(const em__call *call, em__tensor *in, char *memory)
{
    em__call wide = *call;
    wide.in = in;
    for (int i = 0; i < 2; i++) {
        in[i] = (em__tensor){.data = memory, .spec = call->in[i].spec};
        in[i].spec.dtype = EM_F32;
        em__tensor_contiguous(&in[i]);
        memory = memory ? memory + em__cpu_wide_bytes(&call->in[i].spec) : NULL;
    }
    wide.out.data = memory;
    wide.out.spec.dtype = EM_F32;
    wide.scratch = memory ? memory + em__cpu_wide_bytes(&call->out.spec) : NULL;
    return wide;
}

static em_status run_half(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__tensor in[2];
    em__plan plan = {0};
    em__call wide = widened(call, in, call->scratch);
    em__cpu_prepare_dot(cpu, &wide, &plan);
    em__cpu_cast(cpu, &call->in[0], &in[0]);
    if (!call->packed)
        em__cpu_cast(cpu, &call->in[1], &in[1]);
    EM__TRY(plan.kernel(device, &wide));
    em__cpu_cast(cpu, &wide.out, &call->out);
    return EM_OK;
}

static bool is_half(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_FLOAT && em_dtype_size(dtype) < 4;
}

bool em__cpu_prepare_dot_half(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if (call->op != EM__OP_DOT_GENERAL || !is_half(call->in[0].spec.dtype) || !is_half(call->in[1].spec.dtype))
        return false;
    em__tensor in[2];
    em__call wide = widened(call, in, NULL);
    if (!em__cpu_prepare_dot(cpu, &wide, plan))
        return false;
    plan->kernel = run_half;
    plan->strided = 0;
    plan->scratch += em__cpu_wide_bytes(&call->in[0].spec) + em__cpu_wide_bytes(&call->in[1].spec) +
                     em__cpu_wide_bytes(&call->out.spec);
    return true;
}

/* Both operands as f32 specs; packing looks at nothing else of operand 0. */
size_t em__cpu_packed_bytes_half(em_device *device, const em__call *call)
{
    em__tensor in[2];
    bool mine = call->op == EM__OP_DOT_GENERAL && is_half(call->in[0].spec.dtype) && is_half(call->in[1].spec.dtype);
    if (!mine || !em__tensor_is_contiguous(&call->in[1]))
        return em__cpu_packed_bytes_mixed(device, call);
    em__call wide = widened(call, in, NULL);
    return em__cpu_packed_bytes(device, &wide);
}

em_status em__cpu_pack_half(em_device *device, const em__call *call, void *to)
{
    em__tensor in[2];
    if (call->in[0].spec.dtype == EM_F32)
        return em__cpu_pack_mixed(device, call, to);
    size_t bytes = em__cpu_wide_bytes(&call->in[1].spec);
    void *memory = em__block_alloc(bytes);
    if (!memory)
        return EM_ERROR_OUT_OF_MEMORY;
    em__call wide = widened(call, in, NULL);
    in[1].data = memory;
    em__cpu_cast(em__cpu_of(device), &call->in[1], &in[1]);
    em_status status = em__cpu_pack(device, &wide, to);
    em__block_free(memory, bytes);
    return status;
}
