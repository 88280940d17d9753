/* Products of two to eight rows: which jobs, how the work is divided. See gemv_few.cuh. */
#include "device/cuda/gemv_few.cuh"

#include "device/cuda/gemv_few_kernel.cuh"

using namespace em_few;

namespace
{

enum {
    MOST_PARTS = 8,   /* blocks of a cluster */
    MOST_TABLES = 16, /* tiles in all tables */
};

/* A kind's kernels, for a depth that is not divided and one that is, and its numbers. */
struct kind {
    void (*kernel[2])(const arguments);
    int columns;
    size_t ring;
};

template <typename K> const kind *kind_of()
{
    static const kind found = {{few<K, false>, few<K, true>}, K::COLUMNS, (size_t)STAGES * K::STAGE};
    return &found;
}

const kind *find_kind(const em__gemv *job)
{
    if (job->weights == EM_BF16)
        return kind_of<halves>();
    const bool codes_of_64 = job->weights == EM_U32 && job->scale == EM_BF16 && 1 << job->shift == codes::GROUP;
    return codes_of_64 ? kind_of<codes>() : NULL;
}

/* How the work is divided. */
struct division {
    int parts, warps, blocks, batch; /* blocks of a cluster; warps of a block; blocks in all; tiles of a table */
    size_t shared;
};

int rows_of(const em__gemv *job, int matrix)
{
    return job->end[matrix] - (matrix ? job->end[matrix - 1] : 0);
}

int tiles_of(const em__gemv *job)
{
    int all = 0;
    for (int i = 0; i < EM_GEMV_MATRICES; i++)
        all += em_gemv_cuts(rows_of(job, i), TILE);
    return all;
}

/* Blocks that run at the same time, of clusters of so many: groups of multiprocessors are no multiple of them. */
int slots_of(const em__cuda *cuda, int parts)
{
    return parts > 4 ? cuda->sms * 3 / 4 : parts > 2 ? cuda->sms * 7 / 8 : cuda->sms;
}

/* With so many blocks to a cluster, one to a multiprocessor; warps: 0 where it can't be. */
division divide_by(const em__cuda *cuda, const em__gemv *job, const kind *k, int parts)
{
    const int pieces = job->depth / k->columns, all = tiles_of(job), warps = em_gemv_cuts(pieces, parts);
    const int slots = slots_of(cuda, parts) / parts, units = slots < all ? slots : all;
    const size_t ring = (size_t)warps * k->ring, table = (size_t)(warps + (parts > 1)) * ENTRIES * sizeof(float);
    const bool all_have_some = (parts - 1) * warps < pieces; /* a block without columns has no sums */
    if (warps > WARPS || units < 1 || !all_have_some || ring + 2 * table > cuda->shared_bytes)
        return {0, 0, 0, 0, 0};
    const int tables = (int)((cuda->shared_bytes - ring) / table), each = em_gemv_cuts(all, units);
    const int most = tables < MOST_TABLES ? tables : MOST_TABLES, batch = 2 * each <= most ? each : most / 2;
    return {parts, warps, units * parts, batch, ring + 2 * (size_t)batch * table};
}

/* In the fewest parts that can be: by the depth and the chip alone, so that a row of weights gives the same bits
 * whatever lies beside it. */
division divide(const em__cuda *cuda, const em__gemv *job, const kind *k)
{
    division d = {0, 0, 0, 0, 0};
    for (int parts = 1; parts <= (cuda->major < 9 ? 1 : (int)MOST_PARTS) && !d.warps; parts *= 2)
        d = divide_by(cuda, job, k, parts);
    return d;
}

} // namespace

bool em__gemv_few_takes(const em__cuda *cuda, const em__gemv *job)
{
    const kind *k = find_kind(job);
    uintptr_t sixteens = (uintptr_t)job->x, fours = 0;
    for (int i = 0; i < EM_GEMV_MATRICES; i++) {
        sixteens |= (uintptr_t)job->weight[i];
        fours |= (uintptr_t)job->scales[i] | (uintptr_t)job->biases[i];
    }
    return k && job->m > 1 && job->x_dtype == EM_F32 && !job->pair && !job->norm && job->depth > 0 &&
           job->depth % k->columns == 0 && sixteens % 16 == 0 && fours % 4 == 0 && divide(cuda, job, k).warps > 0;
}

em_status em__gemv_few_run(em__cuda *cuda, const em__gemv *job, const char *what)
{
    const kind *k = find_kind(job);
    const division d = divide(cuda, job, k);
    arguments a = {};
    for (int i = 0; i < EM_GEMV_MATRICES; i++) {
        a.weight[i] = job->weight[i];
        a.scales[i] = job->scales[i];
        a.biases[i] = job->biases[i];
        a.rows[i] = rows_of(job, i);
        a.end[i] = (i ? a.end[i - 1] : 0) + em_gemv_cuts(a.rows[i], TILE);
        a.out[i] = job->out[job->joined ? 0 : i];
        a.width[i] = job->joined ? em_gemv_rows(*job) : a.rows[i];
        a.column[i] = job->joined && i ? job->end[i - 1] : 0;
    }
    a.x = (const float *)job->x;
    a.bias = job->bias;
    a.residual = job->residual;
    a.m = job->m;
    a.depth = job->depth;
    a.pieces = d.warps;
    a.batch = d.batch;
    a.activation = job->activation;
    a.out_dtype = job->out_dtype;
    a.constant = job->constant;
    void (*kernel)(const arguments) = k->kernel[d.parts > 1];
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes),
        what));
    return em_launch_clusters(cuda, what, kernel, (unsigned)d.parts, (unsigned)d.blocks, (unsigned)(d.warps * 32),
                              d.shared, a);
}
