/* The cpu device: start, threads, and who runs a call. */
#include "device/cpu/cpu.h"

#include <pthread.h>
#include <stdio.h>

#include "core/error.h"

static em__cpu cpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const em__cpu_prepare_fn families[] = {
    em__cpu_prepare_map,       em__cpu_prepare_norm,      em__cpu_prepare_reduce, em__cpu_prepare_dot,
    em__cpu_prepare_dot_half,  em__cpu_prepare_dot_mixed, em__cpu_prepare_move,   em__cpu_prepare_gather,
    em__cpu_prepare_attention, em__cpu_prepare_rotary,    em__cpu_prepare_kv,     em__cpu_prepare_chain,
    em__cpu_prepare_random,    em__cpu_prepare_order,     em__cpu_prepare_conv,   em__cpu_prepare_dot_any,
    em__cpu_prepare_quant,     em__cpu_prepare_fourier,   em__cpu_prepare_linalg};

static em_status describe(em_device *device, char *text, size_t size)
{
    char features[64];
    em__cpu_describe(features, sizeof features);
    int n = em_device_threads(device);
    snprintf(text, size, "%s, %d thread%s", features, n, n == 1 ? "" : "s");
    return EM_OK;
}

bool em__cpu_prepare_any(em__cpu *device, const em__call *call, em__plan *plan)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        *plan = (em__plan){0}; /* a family that declines may have begun to fill it */
        if (families[i](device, call, plan))
            return true;
    }
    return false;
}

static em_status prepare(em_device *device, const em__call *call, em__plan *plan)
{
    if (em__cpu_prepare_any(em__cpu_of(device), call, plan) || em__cpu_prepare_narrow(em__cpu_of(device), call, plan))
        return em__pool_reserve(em__cpu_of(device)->pool, plan->workers);
    *plan = (em__plan){.kernel = em__ref_kernel(call->op), .strided = UINT64_MAX, .fallback = true};
    plan->scratch = em__ref_scratch(call);
    EM__FAIL_IF(!plan->kernel, EM_ERROR_INTERNAL, "%s has no kernel", em__op_get(call->op)->name);
    return EM_OK;
}

static int threads(em_device *device)
{
    return em__pool_size(em__cpu_of(device)->pool);
}

static em_status set_threads(em_device *device, int count)
{
    em__pool *pool;
    EM__TRY(em__pool_new(count, &pool));
    /* Programs that were compiled before rely on the scratch that their calls reserved. */
    em_status status = em__pool_reserve(pool, em__pool_scratch_bytes(em__cpu_of(device)->pool));
    if (status != EM_OK) {
        em__pool_free(pool);
        return status;
    }
    em__pool_free(em__cpu_of(device)->pool);
    em__cpu_of(device)->pool = pool;
    return EM_OK;
}

static const em__device_vtable vtable = {
    .version = EM__DEVICE_VERSION,
    .name = "cpu",
    .describe = describe,
    .prepare = prepare,
    .threads = threads,
    .set_threads = set_threads,
    .packed_bytes = em__cpu_packed_bytes,
    .pack = em__cpu_pack,
    .chains = em__cpu_chains,
    .merge = em__cpu_merge,
};

static void start(void)
{
    cpu.level = em__cpu_get()->level;
    cpu.elementwise = em__elementwise_get();
    cpu.rows = em__rows_get();
    cpu.rotary = em__rotary_get();
    cpu.reduce = em__reduce_get();
    cpu.cast = em__cast_get();
    cpu.copy = em__copy_get();
    cpu.attention = em__attention_kernels_get(cpu.level);
    if (em__pool_new(0, &cpu.pool) == EM_OK)
        cpu.device.vtable = &vtable;
}

em_device *em__cpu_device(void)
{
    pthread_once(&once, start);
    if (cpu.device.vtable)
        return &cpu.device;
    em__fail(EM_ERROR_OUT_OF_MEMORY, "the cpu device could not start: no memory for its threads");
    return NULL;
}
