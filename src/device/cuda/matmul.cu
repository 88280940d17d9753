/* Products of half types by wgmma: which tile and which cluster a job gets, and whether that pays. See matmul.cuh. */
#include "device/cuda/matmul.cuh"

#include "device/cuda/finish.h"
#include "device/cuda/matmul_kernel.cuh"
#include "device/cuda/tensor_map.cuh"

/* A tile's kernels and what is known of it. */
typedef struct tile {
    void (*kernel[2])(const arguments); /* of bf16, of f16 */
    int rows, columns, resident, threads, bytes;
} tile;

#define TILE(WARPGROUPS, COLUMNS, STAGES, RESIDENT)                                                                    \
    {                                                                                                                  \
        {matmul_kernel<shape<__nv_bfloat16, WARPGROUPS, COLUMNS, STAGES, RESIDENT>>,                                   \
         matmul_kernel<shape<__half, WARPGROUPS, COLUMNS, STAGES, RESIDENT>>},                                         \
            64 * WARPGROUPS, COLUMNS, RESIDENT, shape<__half, WARPGROUPS, COLUMNS, STAGES, RESIDENT>::THREADS,         \
            shape<__half, WARPGROUPS, COLUMNS, STAGES, RESIDENT>::SHARED_BYTES                                         \
    }

static const tile tiles[] = {
    TILE(1, 32, 8, 2), TILE(1, 64, 6, 2),  TILE(1, 128, 4, 2), TILE(2, 64, 4, 2),
    TILE(2, 96, 3, 2), TILE(2, 128, 3, 2), TILE(2, 192, 5, 1), TILE(2, 256, 4, 1),
};

/* How a job is divided. */
typedef struct choice {
    const tile *of;
    sharing how;
    int cluster;
} choice;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Columns of the result that a tile makes. */
static int width(const em__matmul *job, const tile *t)
{
    return job->pair ? t->columns / 2 : t->columns;
}

static int results(const em__matmul *job)
{
    return job->pair ? 1 : job->matrices;
}

static int64_t column_tiles(const em__matmul *job, const tile *t)
{
    int64_t n = 0;
    for (int i = 0; i < results(job); i++)
        n += divide_up(job->matrix[i].n, width(job, t));
    return n;
}

/* Blocks, those that only complete a cluster among them. */
static int64_t blocks_of(const em__matmul *job, const choice *c)
{
    int64_t rows = divide_up(job->m, c->of->rows), columns = column_tiles(job, c->of);
    if (c->how == SHARE_WEIGHT)
        return divide_up(rows, 2) * 2 * columns;
    if (c->how == SHARE_X)
        return divide_up(columns, 2) * 2 * rows;
    return rows * columns * c->cluster;
}

/*
 * Nanoseconds, roughly: a multiprocessor's blocks share its matrix units and what it can read, and each round has a
 * beginning and an end that nothing hides but the other block. As measured on an H200.
 */
static double cost(const em__cuda *cuda, const em__matmul *job, const choice *c)
{
    const tile *t = c->of;
    const double steps = (double)divide_up(divide_up(job->k, DEEP), c->how == SPLIT ? c->cluster : 1);
    const double shared_x = c->how == SHARE_X ? 0.5 : 1, shared_w = c->how == SHARE_WEIGHT ? 0.5 : 1;
    const double multiply = t->rows * t->columns * DEEP / 2048.0 / 1.5;
    const double read = (t->rows * shared_x + t->columns * shared_w) * DEEP * 2 / 70.0;
    const double step = (multiply > read ? multiply : read) + 20;
    const double ends = 1200 + (c->how == SPLIT ? 900 : 0) + t->rows * t->columns / 20.0;
    const int64_t blocks = blocks_of(job, c), each = divide_up(blocks, cuda->sms);
    const double rounds = (double)divide_up(each, t->resident);
    return (double)each * steps * step + rounds * ends;
}

static choice choose(const em__cuda *cuda, const em__matmul *job)
{
    static const struct {
        sharing how;
        int cluster;
    } ways[] = {{ALONE, 1}, {SHARE_WEIGHT, 2}, {SHARE_X, 2}, {SPLIT, 2}, {SPLIT, 4}};
    choice best = {};
    double least = 0;
    for (const tile &t : tiles)
        for (const auto &way : ways) {
            const choice c = {&t, way.how, way.cluster};
            if (way.how == SPLIT && (divide_up(job->k, DEEP) < 2 * way.cluster))
                continue;
            const double now = cost(cuda, job, &c);
            if (!best.of || now < least) {
                best = c;
                least = now;
            }
        }
    return best;
}

static bool is_real(em_dtype dtype)
{
    return dtype == EM_F32 || dtype == EM_BF16 || dtype == EM_F16;
}

bool em__matmul_takes(const em__cuda *cuda, const em__matmul *job)
{
    const int64_t most = 1 << 28;
    bool fits = cuda->major == 9 && cuda->shared_bytes >= 220 << 10 &&
                (job->dtype == EM_BF16 || job->dtype == EM_F16) && job->m > 0 && job->m < most && job->k > 0 &&
                job->k < most && job->k % 8 == 0 && job->x_step % 8 == 0 && job->matrices >= 1 &&
                job->matrices <= EM_MATMUL_MATRICES && is_real(job->out_dtype) &&
                em__cuda_finish_takes(job->activation) && em_map_encoder();
    int64_t columns = 0;
    for (int i = 0; i < job->matrices && fits; i++) {
        fits = job->matrix[i].n > 0 && job->matrix[i].n < most && job->matrix[i].step % 8 == 0;
        columns += job->matrix[i].n;
    }
    if (fits && job->pair)
        fits = job->matrices == 2 && job->matrix[0].n == job->matrix[1].n;
    return fits && divide_up(job->m, 64) * divide_up(columns, 32) < most;
}

bool em__matmul_pays(const em__cuda *cuda, const em__matmul *job)
{
    (void)cuda;
    return (double)job->m * (double)job->matrix[0].n * (double)job->k < 4e9;
}

bool em__matmul_aligned(const em__matmul *job)
{
    uintptr_t all = (uintptr_t)job->x;
    for (int i = 0; i < job->matrices; i++)
        all |= (uintptr_t)job->matrix[i].weight;
    return all % 16 == 0;
}

/* Whether four neighbours of the result can be read and written at once. */
static bool lies_by_four(const em__matmul *job, const arguments *a)
{
    bool lies = true;
    for (int i = 0; i < a->matrices; i++) {
        const matrix *of = &a->of[i];
        lies = lies && of->n % 4 == 0 && of->step % 4 == 0 &&
               (uintptr_t)of->out % (4 * em_dtype_size(job->out_dtype)) == 0 &&
               (!of->residual || (uintptr_t)of->residual % (4 * em_dtype_size(job->residual_dtype)) == 0);
    }
    return lies;
}

static void fill_results(arguments *a, const em__matmul *job, const tile *t)
{
    int64_t columns = 0, before = 0;
    for (int i = 0; i < results(job); i++)
        columns += job->matrix[i].n;
    for (int i = 0; i < results(job); i++) {
        const int64_t n = job->matrix[i].n;
        matrix *of = &a->of[i];
        of->n = (int)n;
        of->step = job->joined ? columns : n;
        of->bias = job->matrix[i].bias;
        of->out = job->joined ? (char *)job->matrix[0].out + (size_t)before * em_dtype_size(job->out_dtype)
                              : job->matrix[i].out;
        if (job->residual)
            of->residual = (const char *)job->residual + (size_t)before * em_dtype_size(job->residual_dtype);
        before += n;
        a->first[i + 1] = a->first[i] + (int)divide_up(n, width(job, t));
    }
}

static bool fill(arguments *a, const em__matmul *job, const choice *c)
{
    bool made = em_map_halves(&a->x, job->dtype, job->x, job->m, job->k, job->x_step, c->of->rows / 2);
    for (int i = 0; i < job->matrices; i++)
        made = made && em_map_halves(&a->w[i], job->dtype, job->matrix[i].weight, job->matrix[i].n, job->k,
                                     job->matrix[i].step, c->of->columns / 2);
    a->matrices = results(job);
    fill_results(a, job, c->of);
    a->m = (int)job->m;
    a->steps = (int)divide_up(job->k, DEEP);
    a->row_groups = (int)divide_up(divide_up(job->m, c->of->rows), c->how == SHARE_WEIGHT ? 2 : 1);
    a->op = (int)job->activation;
    a->cluster = c->cluster;
    a->how = c->how;
    a->pair = job->pair;
    a->bias = job->bias_dtype;
    a->residual = job->residual_dtype;
    a->out = job->out_dtype;
    a->by_four = lies_by_four(job, a);
    return made;
}

static em_status run_as(em__cuda *cuda, const em__matmul *job, const choice *c, const char *what)
{
    arguments a = {};
    EM__FAIL_IF(!fill(&a, job, c), EM_ERROR_INTERNAL,
                "%s: %s: no tensor map for a product of [%lld, %lld] by %lld rows", cuda->name, what, (long long)job->m,
                (long long)job->k, (long long)job->matrix[0].n);
    /* A replay follows all that was asked before, so that constants lie ready; a launch may overlap what made them. */
    a.constant = job->constant && cuda->recording;
    auto kernel = c->of->kernel[job->dtype == EM_F16];
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, c->of->bytes), what));
    return em_launch_clusters(cuda, what, kernel, (unsigned)c->cluster, (unsigned)blocks_of(job, c),
                              (unsigned)c->of->threads, (size_t)c->of->bytes, a);
}

em_status em__matmul_run(em__cuda *cuda, const em__matmul *job, const char *what)
{
    const choice c = choose(cuda, job);
    return run_as(cuda, job, &c, what);
}
