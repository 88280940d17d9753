/* Convolutions on the cpu: CONV of f32 by conv.h; f16 and bf16 widened to f32 and rounded once. */
#include "device/cpu/conv.h"

#include "core/error.h"
#include "device/cpu/cpu.h"

/* The f32 kernels of the vector levels: the order of a product's additions is theirs (conv.h). */
static void attach(em__conv_job *job, em__cpu *cpu)
{
    job->kernels = em__conv_kernels_get(cpu->level);
    job->gemm = em__gemm_kernels_get(cpu->level);
    job->pool = cpu->pool;
}

static em_status run_conv(em_device *device, const em__call *call)
{
    em__conv_job job;
    em__conv_describe(call, &job);
    attach(&job, em__cpu_of(device));
    job.input = call->in[0].data;
    job.weights = call->in[1].data;
    job.out = call->out.data;
    em__conv_run(&job, call->scratch);
    return EM_OK;
}

/* The f32 call behind the half one, with input, kernel and result in `memory`, then its scratch. */
static em__call widened(const em__call *call, em__tensor *in, char *memory)
{
    em__call wide = *call;
    wide.in = in;
    for (int i = 0; i < 2; i++) {
        in[i] = call->in[i];
        in[i].spec.dtype = EM_F32;
        in[i].data = memory;
        memory = memory ? memory + em__cpu_wide_bytes(&in[i].spec) : NULL;
    }
    wide.out.spec.dtype = EM_F32;
    wide.out.data = memory;
    wide.scratch = memory ? memory + em__cpu_wide_bytes(&wide.out.spec) : NULL;
    return wide;
}

static em_status run_half(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__tensor in[2];
    em__call wide = widened(call, in, call->scratch);
    em__cpu_cast(cpu, &call->in[0], &in[0]);
    em__cpu_cast(cpu, &call->in[1], &in[1]);
    EM__TRY(run_conv(device, &wide));
    em__cpu_cast(cpu, &wide.out, &call->out);
    return EM_OK;
}

bool em__cpu_prepare_conv(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em__conv_job job;
    if (call->op != EM__OP_CONV)
        return false;
    const em_dtype dtype = call->in[0].spec.dtype;
    const bool half = dtype == EM_F16 || dtype == EM_BF16;
    if ((dtype != EM_F32 && !half) || !em__conv_describe(call, &job))
        return false;
    attach(&job, cpu);
    *plan = (em__plan){.kernel = half ? run_half : run_conv,
                       .scratch = em__conv_memory(&job),
                       .workers = em__conv_worker_memory(&job)};
    if (half)
        plan->scratch += em__cpu_wide_bytes(&call->in[0].spec) + em__cpu_wide_bytes(&call->in[1].spec) +
                         em__cpu_wide_bytes(&call->out.spec);
    return true;
}
