/* Linear algebra on the cpu device: LAPACK on each matrix, the matrices of a batch over the pool's threads. */
#include <pthread.h>

#include "core/error.h"
#include "device/cpu/cpu.h"
#include "device/cpu/lapack.h"
#include "device/linalg.h"

/* A determinant is taken wider: the product of n pivots would lose n roundings, and overflows early. */
static em_dtype work_dtype(const em__call *call)
{
    em_dtype dtype = call->in[0].spec.dtype;
    if (call->op != EM__OP_DETERMINANT)
        return dtype;
    return dtype == EM_F32 ? EM_F64 : dtype == EM_C64 ? EM_C128 : dtype;
}

static em_status open_job(const em__call *call, const em__lapack **lapack, em__linalg *job)
{
    EM__TRY(em__context(em__lapack_get(lapack), "%s", em__op_get(call->op)->name));
    em_dtype work = work_dtype(call);
    return em__linalg_open(call, work, em__lapack_routine(call->op, work), job);
}

typedef struct context {
    em__linalg job;
    void *scratch;
} context;

static void run_slot(void *user, int64_t slot, int worker)
{
    context *c = user;
    (void)worker;
    em__linalg_slot(&c->job, c->scratch, slot);
}

static em_status run(em_device *device, const em__call *call)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    const em__lapack *lapack;
    context c = {.scratch = call->scratch};
    EM__TRY(open_job(call, &lapack, &c.job));
    if (lapack->one_at_a_time) {
        pthread_mutex_lock(&turn);
        for (int64_t i = 0; i < c.job.slots; i++)
            em__linalg_slot(&c.job, c.scratch, i);
        pthread_mutex_unlock(&turn);
    } else {
        em__pool_run(em__cpu_of(device)->pool, run_slot, &c, c.job.slots);
    }
    return em__linalg_close(&c.job);
}

bool em__cpu_prepare_linalg(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    const em__lapack *lapack;
    em__linalg job;
    (void)cpu;
    if (!em__lapack_routine(call->op, EM_F32))
        return false;
    *plan = (em__plan){.kernel = run, .strided = UINT64_MAX};
    if (open_job(call, &lapack, &job) == EM_OK) /* otherwise running it says why it can't */
        plan->scratch = em__linalg_scratch(&job);
    return true;
}
