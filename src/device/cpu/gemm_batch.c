/*
 * Batches of products over strided operands, brought to what gemm.c runs: rows of A contiguous, B packed.
 *
 * When the packed operands of one product fit SMALL_BYTES, each is one task: pack and multiply in the worker's scratch.
 * Otherwise the products go one after the other, each packed into the caller's memory and multiplied by the whole
 * pool.
 */
#include <string.h>

#include "core/error.h"
#include "device/cpu/gemm_kernels.h"

#define SMALL_BYTES ((size_t)384 << 10)
#define PANEL EM__GEMM_PANEL
#define TURN_ROWS 128 /* rows of A transposed at a time, through PANEL x TURN_ROWS floats of the stack */

typedef struct batch_job {
    const em__gemm_kernels *kernels;
    em__pool *pool;
    const em__gemm_batch *args;
    bool copy_a;
    size_t packed_bytes, copy_bytes; /* of B and of A, multiples of 64 */
} batch_job;

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const float *operand_at(const em__gemm_batch *args, const em__gemm_operand *operand, int64_t index)
{
    const float *data = operand->data;
    for (int axis = args->rank - 1; axis >= 0; axis--) {
        data += index % args->dims[axis] * operand->batch[axis];
        index /= args->dims[axis];
    }
    return data;
}

/* One strip of A, [m][PANEL] of its k from `depth` on, into rows of k. */
static void turn_strip(const batch_job *job, float *dst, const float *a, int64_t depth)
{
    const em__gemm_batch *args = job->args;
    const int count = (int)min64(PANEL, args->k - depth);
    _Alignas(64) float turned[TURN_ROWS * PANEL];
    for (int64_t row = 0; row < args->m; row += TURN_ROWS) {
        const int64_t rows = min64(TURN_ROWS, args->m - row);
        job->kernels->pack_rows(turned, a + depth * args->a.depth + row, args->a.depth, count, rows, false);
        for (int64_t r = 0; r < rows; r++)
            memcpy(dst + (row + r) * args->k + depth, turned + r * PANEL, (size_t)count * sizeof *dst);
    }
}

static void gather_strip(const batch_job *job, float *dst, const float *a, int64_t depth)
{
    const em__gemm_batch *args = job->args;
    const int64_t end = min64(args->k, depth + PANEL);
    for (int64_t row = 0; row < args->m; row++)
        for (int64_t i = depth; i < end; i++)
            dst[row * args->k + i] = a[row * args->a.row + i * args->a.depth];
}

static void copy_strip(const batch_job *job, float *dst, const float *a, int64_t depth)
{
    if (job->args->a.row == 1)
        turn_strip(job, dst, a, depth);
    else
        gather_strip(job, dst, a, depth);
}

static em__gemm_args product_args(const batch_job *job, int64_t index, const float *a, const float *packed)
{
    const em__gemm_batch *args = job->args;
    return (em__gemm_args){.m = args->m,
                           .n = args->n,
                           .k = args->k,
                           .a = a,
                           .lda = job->copy_a ? args->k : args->a.row,
                           .b = packed,
                           .c = args->c + index * args->m * args->n,
                           .ldc = args->n};
}

static void run_small(void *context, int64_t index, int worker)
{
    const batch_job *job = context;
    const em__gemm_batch *args = job->args;
    const float *a = operand_at(args, &args->a, index);
    char *scratch = (char *)em__pool_scratch(job->pool, worker) + em__gemm_scratch_bytes(job->kernels, args->k);
    float *packed = (float *)(void *)scratch, *copy = (float *)(void *)(scratch + job->packed_bytes);
    em__gemm_f32_pack(job->kernels, NULL, packed, operand_at(args, &args->b, index), args->n, args->k, args->b.row,
                      args->b.depth);
    for (int64_t depth = 0; job->copy_a && depth < args->k; depth += PANEL)
        copy_strip(job, copy, a, depth);
    const em__gemm_args product = product_args(job, index, job->copy_a ? copy : a, packed);
    em__gemm_f32_inline(job->kernels, job->pool, &product);
}

typedef struct strip_job {
    const batch_job *job;
    float *dst;
    const float *a;
} strip_job;

static void run_strip(void *context, int64_t index, int worker)
{
    const strip_job *strip = context;
    (void)worker;
    copy_strip(strip->job, strip->dst, strip->a, index * PANEL);
}

static em_status run_large(const batch_job *job, int64_t count, char *block)
{
    const em__gemm_batch *args = job->args;
    float *packed = (float *)(void *)block, *copy = (float *)(void *)(block + job->packed_bytes);
    for (int64_t index = 0; index < count; index++) {
        const float *a = operand_at(args, &args->a, index);
        em__gemm_f32_pack(job->kernels, job->pool, packed, operand_at(args, &args->b, index), args->n, args->k,
                          args->b.row, args->b.depth);
        if (job->copy_a) {
            strip_job strip = {job, copy, a};
            em__pool_run(job->pool, run_strip, &strip, (args->k + PANEL - 1) / PANEL);
        }
        const em__gemm_args product = product_args(job, index, job->copy_a ? copy : a, packed);
        EM__TRY(em__gemm_f32(job->kernels, job->pool, &product));
    }
    return EM_OK;
}

/* The number of products; 0 when there is nothing to compute. */
static int64_t describe(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_batch *args, batch_job *job)
{
    int64_t count = args->m > 0 && args->n > 0 ? 1 : 0;
    for (int axis = 0; axis < args->rank; axis++)
        count *= args->dims[axis];
    *job = (batch_job){.kernels = kernels, .pool = pool, .args = args};
    job->copy_a = args->a.depth != 1 && args->k > 1;
    job->packed_bytes = em__gemm_f32_packed_bytes(kernels, args->n, args->k);
    job->copy_bytes = job->copy_a ? ((size_t)(args->m * args->k) * sizeof(float) + 63) / 64 * 64 : 0;
    return count;
}

static bool side_by_side(const batch_job *job, int64_t count)
{
    return count > 1 && job->packed_bytes + job->copy_bytes <= SMALL_BYTES;
}

bool em__gemm_f32_batched_needs(const em__gemm_kernels *kernels, const em__gemm_batch *args, size_t *memory,
                                size_t *scratch)
{
    batch_job job;
    int64_t count = describe(kernels, NULL, args, &job);
    size_t bytes = job.packed_bytes + job.copy_bytes;
    bool small = side_by_side(&job, count);
    *memory = small || count == 0 ? 0 : bytes;
    *scratch = em__gemm_scratch_bytes(kernels, args->k) + (small ? bytes : 0);
    return count == 0 || job.packed_bytes > 0 || args->k == 0;
}

em_status em__gemm_f32_batched(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_batch *args)
{
    batch_job job;
    int64_t count = describe(kernels, pool, args, &job);
    if (count == 0)
        return EM_OK;
    EM__FAIL_IF(job.packed_bytes == 0 && args->k > 0, EM_ERROR_OUT_OF_MEMORY,
                "matmul: a right side of %lld x %lld is larger than memory", (long long)args->k, (long long)args->n);
    if (!side_by_side(&job, count))
        return run_large(&job, count, args->memory);
    EM__TRY(em__pool_reserve(pool, em__gemm_scratch_bytes(kernels, args->k) + job.packed_bytes + job.copy_bytes));
    em__pool_run(pool, run_small, &job, count);
    return EM_OK;
}
