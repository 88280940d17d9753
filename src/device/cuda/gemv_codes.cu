/* Products of two to eight rows with 4-bit codes: which jobs, how the work is divided. See gemv_codes.cuh. */
#include "device/cuda/gemv_codes.cuh"

#include "device/cuda/gemv_codes_kernel.cuh"

using namespace em_few;

namespace
{

enum {
    MOST_PARTS = 4,   /* blocks of a cluster */
    MOST_TABLES = 16, /* tiles in all tables */
};

/* How the work is divided. */
struct division {
    int parts, warps, blocks, batch; /* blocks of a cluster; warps of a block; blocks in all; tiles of a table */
    size_t shared;
};

int tiles_of(const em__gemv *job)
{
    int all = 0;
    for (int i = 0; i < EM_GEMV_MATRICES; i++)
        all += em_gemv_cuts(job->end[i] - (i ? job->end[i - 1] : 0), TILE);
    return all;
}

/* With so many blocks to a cluster, one to a multiprocessor, of which clusters of four leave some; warps: 0 where it
 * can't be. */
division divide_by(const em__cuda *cuda, const em__gemv *job, int parts)
{
    const int all = tiles_of(job), warps = em_gemv_cuts(job->depth / COLUMNS, parts);
    const int slots = (parts > 2 ? cuda->sms * 7 / 8 : cuda->sms) / parts, units = slots < all ? slots : all;
    const size_t ring = (size_t)warps * STAGES * STAGE, table = (size_t)(warps + (parts > 1)) * ENTRIES * sizeof(float);
    const bool all_have_some = (parts - 1) * warps < job->depth / COLUMNS; /* a block without columns has no sums */
    if (warps > WARPS || units < 1 || !all_have_some || ring + 2 * table > cuda->shared_bytes)
        return {0, 0, 0, 0, 0};
    const int tables = (int)((cuda->shared_bytes - ring) / table), each = em_gemv_cuts(all, units);
    const int most = tables < MOST_TABLES ? tables : MOST_TABLES, batch = 2 * each <= most ? each : most / 2;
    return {parts, warps, units * parts, batch, ring + 2 * (size_t)batch * table};
}

/* In the fewest parts that can be: by the depth and the chip alone, so that a row of weights gives the same bits
 * whatever lies beside it. */
division divide(const em__cuda *cuda, const em__gemv *job)
{
    division d = {0, 0, 0, 0, 0};
    for (int parts = 1; parts <= (cuda->major < 9 ? 1 : (int)MOST_PARTS) && !d.warps; parts *= 2)
        d = divide_by(cuda, job, parts);
    return d;
}

} // namespace

bool em__gemv_codes_takes(const em__cuda *cuda, const em__gemv *job)
{
    uintptr_t sixteens = (uintptr_t)job->x, fours = 0;
    for (int i = 0; i < EM_GEMV_MATRICES; i++) {
        sixteens |= (uintptr_t)job->weight[i];
        fours |= (uintptr_t)job->scales[i] | (uintptr_t)job->biases[i];
    }
    const bool alone = job->end[0] == em_gemv_rows(*job);
    return job->m > 1 && job->weights == EM_U32 && job->scale == EM_BF16 && 1 << job->shift == GROUP &&
           job->x_dtype == EM_F32 && !job->pair && !job->norm && !job->bias && (alone || !job->residual) &&
           job->activation == EM__OP_COPY && (alone || !job->joined) && job->depth % COLUMNS == 0 &&
           sixteens % 16 == 0 && fours % 4 == 0 && divide(cuda, job).warps > 0;
}

em_status em__gemv_codes_run(em__cuda *cuda, const em__gemv *job, const char *what)
{
    const division d = divide(cuda, job);
    arguments a = {};
    for (int i = 0; i < EM_GEMV_MATRICES; i++) {
        a.codes[i] = job->weight[i];
        a.scales[i] = job->scales[i];
        a.biases[i] = job->biases[i];
        a.out[i] = job->out[i];
        a.rows[i] = job->end[i] - (i ? job->end[i - 1] : 0);
        a.end[i] = (i ? a.end[i - 1] : 0) + em_gemv_cuts(a.rows[i], TILE);
    }
    a.x = (const float *)job->x;
    a.residual = job->residual;
    a.m = job->m;
    a.depth = job->depth;
    a.pairs = d.warps;
    a.batch = d.batch;
    a.out_dtype = job->out_dtype;
    a.constant = job->constant;
    void (*kernel)(const arguments) = d.parts > 1 ? few_codes<true> : few_codes<false>;
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes),
        what));
    return em_launch_clusters(cuda, what, kernel, (unsigned)d.parts, (unsigned)d.blocks, (unsigned)(d.warps * 32),
                              d.shared, a);
}
