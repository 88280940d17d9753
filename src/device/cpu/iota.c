/*
 * IOTA: the index along an axis, counted in s64, a block at a time, and converted: exact where the dtype is.
 */
#include <string.h>

#include "device/cpu/cpu.h"

#define BLOCK 512
#define CHUNK 32768 /* elements that one worker takes at a time, at least */

typedef struct job {
    em__cpu *cpu;
    em_dtype dtype;
    uint8_t *out;
    size_t count, inner, outer, chunk; /* result is [outer, count, inner]; chunk: elements */
} job;

/* Elements [from, to) of the result. */
static void run_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t size = em_dtype_size(j->dtype), n = j->outer * j->count * j->inner;
    size_t from = (size_t)chunk * j->chunk, to = n - from < j->chunk ? n : from + j->chunk;
    int64_t index[BLOCK];
    while (from < to) {
        size_t most = to - from < BLOCK ? to - from : BLOCK;
        size_t at = from / j->inner % j->count, left = j->inner - from % j->inner;
        for (size_t i = 0; i < most; i++) {
            index[i] = (int64_t)at;
            if (--left == 0) {
                left = j->inner;
                at = at + 1 == j->count ? 0 : at + 1;
            }
        }
        em__cast_run(j->cpu->cast, NULL, EM_S64, j->dtype, j->out + from * size, index, most);
        from += most;
    }
}

static em_status run(em_device *device, const em__call *call)
{
    const em__spec *spec = &call->out.spec;
    int axis = spec->rank ? (int)call->ints[1] : 0;
    job j = {
        .cpu = em__cpu_of(device), .dtype = spec->dtype, .out = call->out.data, .count = 1, .inner = 1, .outer = 1};
    for (int d = 0; d < spec->rank; d++)
        *(d < axis ? &j.outer : d == axis ? &j.count : &j.inner) *= (size_t)spec->dims[d];
    size_t n = j.outer * j.count * j.inner;
    j.chunk = CHUNK;
    if (n)
        em__pool_run(j.cpu->pool, run_chunk, &j, (int64_t)((n + CHUNK - 1) / CHUNK));
    return EM_OK;
}

bool em__cpu_prepare_iota(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu, (void)call;
    *plan = (em__plan){.kernel = run};
    return true;
}
