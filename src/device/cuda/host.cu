/*
 * Calls that have no kernel here: operands come down, the cpu device runs the op, the result goes up. Right for every
 * op and dtype, and slow; it is counted as a fallback.
 */
#include <string.h>

#include "device/cuda/common.cuh"

extern "C" {
#include "core/alloc.h"
#include "core/block.h"
}

/* The first n operands on the host, row-major; they are so on the device. */
static em_status bring_down(em_device *device, const em__call *call, em__tensor *in)
{
    for (int i = 0; i < call->n_in; i++) {
        in[i] = call->in[i];
        in[i].data = em__block_alloc(em__spec_bytes(&in[i].spec));
        if (!in[i].data)
            return EM_ERROR_OUT_OF_MEMORY;
        EM__TRY(em__cuda_memory.download(device, in[i].data, call->in[i].data, em__spec_bytes(&in[i].spec)));
    }
    return EM_OK;
}

static em_status run_there(const em__call *call, em__call *there)
{
    em_device *cpu = em__cuda_host->cpu;
    em__plan plan;
    *there = *call;
    there->scratch = NULL;
    there->packed = NULL;
    EM__TRY(cpu->vtable->prepare(cpu, there, &plan));
    there->kernel = plan.kernel;
    if (plan.scratch && !(there->scratch = em__block_alloc(plan.scratch)))
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = there->kernel(cpu, there);
    em__block_free(there->scratch, plan.scratch);
    return status;
}

static em_status upload(em_device *device, void *to, const void *from, size_t size)
{
    const em__transfer part = {to, from, size};
    return em__cuda_memory.upload(device, &part, 1);
}

static em_status run_on_host(em_device *device, const em__call *call)
{
    size_t bytes = em__spec_bytes(&call->out.spec);
    em__tensor *in = (em__tensor *)em__calloc((size_t)call->n_in + 1, sizeof *in);
    void *out = in ? em__block_alloc(bytes) : NULL;
    em_status status = out ? bring_down(device, call, in) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        em__call mine = *call, there;
        mine.in = in;
        mine.out.data = out;
        if (call->n_in > 0 && call->out.data == call->in[0].data && em__spec_bytes(&call->in[0].spec) == bytes)
            memcpy(out, in[0].data, bytes); /* an update in place leaves alone what it does not change */
        status = run_there(&mine, &there);
    }
    if (status == EM_OK)
        status = upload(device, call->out.data, out, bytes);
    for (int i = 0; in && i < call->n_in; i++)
        em__block_free(in[i].data, em__spec_bytes(&in[i].spec));
    em__block_free(out, bytes);
    em__free(in);
    return status;
}

extern "C" bool em__cuda_prepare_host(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    (void)call;
    plan->kernel = run_on_host;
    plan->host = true;
    plan->fallback = true;
    return true;
}
