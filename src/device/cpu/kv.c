/* KV_UPDATE: a copy of the cache unless it is the result already, then the new rows. */
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/ref/ref.h"

#define CHUNK ((int64_t)1 << 18) /* bytes that one worker copies at a time */

typedef struct copy_job {
    char *to;
    const char *from;
    int64_t bytes;
} copy_job;

static void copy_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const copy_job *job = context;
    int64_t from = chunk * CHUNK, n = job->bytes - from;
    memcpy(job->to + from, job->from + from, (size_t)(n < CHUNK ? n : CHUNK));
}

static em_status run_kv_update(em_device *device, const em__call *call)
{
    const em__tensor *cache = &call->in[0], *rows = &call->in[1], *position = &call->in[2];
    const int rank = cache->spec.rank;
    const int64_t element = (int64_t)em_dtype_size(cache->spec.dtype), size = cache->spec.dims[rank - 1] * element;
    const int64_t length = rows->spec.dims[rank - 2], room = cache->spec.dims[rank - 2];
    copy_job job = {call->out.data, cache->data, em__spec_size(&cache->spec) * element};
    if (job.to != job.from && job.bytes)
        em__pool_run(em__cpu_of(device)->pool, copy_chunk, &job, (job.bytes + CHUNK - 1) / CHUNK);
    const int64_t planes = job.bytes ? job.bytes / (room * size) : 0;
    const int64_t batches = rank > 2 && planes ? cache->spec.dims[0] : 1;
    for (int64_t p = 0; p < planes && length; p++) {
        int64_t at = position->spec.rank ? p / (planes / batches) * position->strides[0] : 0;
        int64_t first = em__ref_index(position->spec.dtype, position->data, at);
        first = first < 0 ? 0 : first > room - length ? room - length : first;
        memcpy(job.to + (p * room + first) * size, (const char *)rows->data + p * length * size,
               (size_t)(length * size));
    }
    return EM_OK;
}

bool em__cpu_prepare_kv(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu;
    *plan = (em__plan){.kernel = run_kv_update, .strided = 4};
    return call->op == EM__OP_KV_UPDATE;
}
