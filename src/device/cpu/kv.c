/*
 * KV_UPDATE, KV_CODES, KV_SCALES: a copy of the cache unless it is the result already, then the new rows, which a cache
 * of halves, codes or scales takes from f32 as they are written.
 */
#include <string.h>

#include "device/cpu/attention_kernels.h"
#include "device/cpu/cpu.h"
#include "device/ref/ref.h"

#define CHUNK ((int64_t)1 << 18) /* bytes that one worker copies at a time */
#define FEW ((int64_t)1 << 15)   /* elements that wake no worker */

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

/* The new rows of all planes: a plane is a matrix [rows, width], of which the cache keeps `size` bytes a row. */
typedef struct rows_job {
    const em__call *call;
    const em__attention_kernels *kernels;
    em__cast_fn cast; /* NULL: the bytes as they are */
    int64_t planes, room, length, width, size;
} rows_job;

/* Where plane p of the rows begins, in elements. */
static int64_t plane_offset(const em__tensor *rows, int64_t p)
{
    int64_t offset = 0;
    for (int d = rows->spec.rank - 3; d >= 0; d--) {
        offset += p % rows->spec.dims[d] * rows->strides[d];
        p /= rows->spec.dims[d];
    }
    return offset;
}

static void write_row(const rows_job *job, char *to, const char *from)
{
    const float *x = (const float *)(const void *)from;
    if (job->call->op == EM__OP_KV_SCALES) {
        *(float *)(void *)to = job->kernels->code_scale(x, job->width);
    } else if (job->call->op == EM__OP_KV_CODES) {
        float scale = job->kernels->code_scale(x, job->width);
        if (scale > 0)
            job->kernels->encode((int8_t *)to, x, scale, job->width);
        else
            memset(to, 0, (size_t)job->size);
    } else if (job->cast) {
        job->cast(to, from, (size_t)job->width);
    } else {
        memcpy(to, from, (size_t)job->size);
    }
}

static void write_plane(void *context, int64_t p, int worker)
{
    (void)worker;
    const rows_job *job = context;
    const em__tensor *rows = &job->call->in[1], *position = &job->call->in[2], *out = &job->call->out;
    const int rank = rows->spec.rank;
    const int64_t batches = rank > 2 ? out->spec.dims[0] : 1, step = rows->strides[rank - 2];
    const int64_t from_bytes = (int64_t)em_dtype_size(rows->spec.dtype);
    const int64_t at = position->spec.rank ? p / (job->planes / batches) * position->strides[0] : 0;
    int64_t first = em__ref_index(position->spec.dtype, position->data, at);
    first = first < 0 ? 0 : first > job->room - job->length ? job->room - job->length : first;
    const char *from = (const char *)rows->data + plane_offset(rows, p) * from_bytes;
    char *to = (char *)out->data + (p * job->room + first) * job->size;
    for (int64_t r = 0; r < job->length; r++)
        write_row(job, to + r * job->size, from + r * step * from_bytes);
}

static em_status run_kv_update(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    const em__tensor *cache = &call->in[0], *rows = &call->in[1];
    const int rank = rows->spec.rank;
    const int64_t element = (int64_t)em_dtype_size(cache->spec.dtype), elements = em__spec_size(&cache->spec);
    const copy_job copy = {call->out.data, cache->data, elements * element};
    if (copy.to != copy.from && copy.bytes)
        em__pool_run(cpu->pool, copy_chunk, (void *)&copy, (copy.bytes + CHUNK - 1) / CHUNK);
    rows_job job = {.call = call, .kernels = cpu->attention, .length = rows->spec.dims[rank - 2]};
    if (elements == 0 || job.length == 0)
        return EM_OK;
    job.room = cache->spec.dims[rank - 2];
    job.width = rows->spec.dims[rank - 1];
    job.size = call->op == EM__OP_KV_SCALES ? element : job.width * element;
    job.planes = elements * element / (job.room * job.size);
    if (call->op == EM__OP_KV_UPDATE && rows->spec.dtype != cache->spec.dtype)
        job.cast = cpu->cast->fn[rows->spec.dtype][cache->spec.dtype];
    if (job.planes * job.length * job.width > FEW)
        em__pool_run(cpu->pool, write_plane, &job, job.planes);
    else
        for (int64_t p = 0; p < job.planes; p++)
            write_plane(&job, p, 0);
    return EM_OK;
}

bool em__cpu_prepare_kv(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu;
    if (call->op != EM__OP_KV_UPDATE && call->op != EM__OP_KV_CODES && call->op != EM__OP_KV_SCALES)
        return false;
    const em__tensor *rows = &call->in[1];
    *plan = (em__plan){.kernel = run_kv_update, .strided = rows->strides[rows->spec.rank - 1] == 1 ? 6 : 4};
    return true;
}
