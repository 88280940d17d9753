/* Products of half types by wgmma: which tile and which cluster a job gets, and whether that pays. See matmul.cuh. */
#include "device/cuda/matmul.cuh"

#include "device/cuda/early.h"
#include "device/cuda/finish.h"
#include "device/cuda/matmul_codes.cuh"
#include "device/cuda/matmul_turns.cuh"
#include "device/cuda/tensor_map.cuh"

/* A tile's kernels and what is known of it. */
typedef struct tile {
    void (*kernel[2])(const arguments); /* of bf16, of f16 */
    void (*heads[2])(const arguments);  /* of heads of 64, of 128; NULL: none */
    int rows, columns, resident, threads, stage_bytes, sum_bytes;
    /* nanoseconds, as measured on an H200: of a step of depth; of beginning and end, alone and of a divided depth */
    int step, ends, ends_divided;
    bool turns;                         /* matmul_turns.cuh */
    int slots, slot_bytes, scale_bytes; /* of codes, matmul_codes.cuh: bytes of all, and of one of scales. Else 0 */
} tile;

/* What a shape says of itself, without kernels. */
template <typename S> static tile tile_of_shape(int step, int ends, int ends_divided)
{
    return {{NULL, NULL},   {NULL, NULL}, S::ROWS, S::COLUMNS, S::RESIDENT, S::THREADS,
            S::STAGE_BYTES, S::SUM_BYTES, step,    ends,       ends_divided};
}

template <int WARPGROUPS, int COLUMNS, int RESIDENT> static tile tile_of(int step, int ends, int ends_divided)
{
    typedef shape<__nv_bfloat16, WARPGROUPS, COLUMNS, RESIDENT> S;
    tile t = tile_of_shape<S>(step, ends, ends_divided);
    t.kernel[0] = matmul_kernel<S, 0>;
    t.kernel[1] = matmul_kernel<shape<__half, WARPGROUPS, COLUMNS, RESIDENT>, 0>;
    return t;
}

/* One that has whole heads. */
template <int WARPGROUPS, int COLUMNS, int RESIDENT> static tile tile_of_heads(int step, int ends, int ends_divided)
{
    typedef shape<__nv_bfloat16, WARPGROUPS, COLUMNS, RESIDENT> S;
    tile t = tile_of<WARPGROUPS, COLUMNS, RESIDENT>(step, ends, ends_divided);
    t.heads[0] = matmul_kernel<S, 64>;
    t.heads[1] = matmul_kernel<S, 128>;
    return t;
}

/* Of warpgroups that take turns: of pairs, or of heads. */
template <int COLUMNS, bool HEADS> static tile tile_of_turns(int step, int ends)
{
    typedef turn_shape<__nv_bfloat16, COLUMNS> S;
    tile t = tile_of_shape<S>(step, ends, 0);
    t.turns = true;
    if constexpr (HEADS) {
        t.heads[0] = turns_kernel<S, 64>;
        t.heads[1] = turns_kernel<S, 128>;
    } else {
        t.kernel[0] = turns_kernel<S, 0>;
    }
    return t;
}

/* Of weights of codes. */
template <int WARPGROUPS, int COLUMNS, int RESIDENT, int MAKERS>
static tile tile_of_codes(int step, int ends, int ends_divided)
{
    typedef code_shape<WARPGROUPS, COLUMNS, RESIDENT, MAKERS> S;
    tile t = tile_of_shape<S>(step, ends, ends_divided);
    t.kernel[0] = codes_kernel<S, 0>;
    t.slots = S::SLOTS;
    t.slot_bytes = S::SLOTS * S::CODE_BYTES;
    t.scale_bytes = 2 * S::SCALE_BYTES;
    if constexpr (COLUMNS == 128) {
        t.heads[0] = codes_kernel<S, 64>;
        t.heads[1] = codes_kernel<S, 128>;
    }
    return t;
}

static const tile tiles[] = {
    tile_of_turns<192, false>(450, 4500),         tile_of_turns<128, true>(310, 4500),
    tile_of<1, 32, 2>(180, 1700, 2520),           tile_of<1, 64, 2>(220, 1850, 3140),
    tile_of_heads<1, 128, 2>(260, 2340, 5070),    tile_of<2, 64, 2>(295, 1950, 3990),
    tile_of<2, 96, 2>(325, 3510, 5320),           tile_of_heads<2, 128, 2>(380, 3230, 5950),
    tile_of<2, 192, 1>(500, 2750, 7310),          tile_of_heads<2, 256, 1>(640, 5270, 8970),
    tile_of_codes<1, 64, 2, 2>(250, 1500, 3500),  tile_of_codes<1, 128, 1, 2>(440, 1000, 4000),
    tile_of_codes<2, 64, 2, 1>(340, 2500, 4000),  tile_of_codes<2, 128, 1, 2>(550, 2500, 5000),
    tile_of_codes<2, 192, 1, 1>(810, 3000, 6500),
};

/* How a job is divided. */
typedef struct choice {
    const tile *of;
    int cluster; /* blocks that divide the depth */
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

static int64_t blocks_of(const em__matmul *job, const choice *c)
{
    return divide_up(job->m, c->of->rows) * column_tiles(job, c->of) * c->cluster;
}

static int64_t steps_of(const em__matmul *job, const choice *c)
{
    return divide_up(divide_up(job->k, DEEP), c->cluster);
}

/* Nanoseconds, roughly: a multiprocessor's blocks share what it can read and multiply, and each round has a beginning
 * and an end that nothing hides but the other block. Clusters of four do not fill the chip. Right within 5 % in the
 * mean of what was measured, up to 4096^3; the tile that is chosen was within 2 % of the best. */
static double cost(const em__cuda *cuda, const em__matmul *job, const choice *c)
{
    const tile *t = c->of;
    const int64_t at_once = c->cluster == 4 ? cuda->sms * 7 / 8 : cuda->sms;
    const int64_t each = divide_up(blocks_of(job, c), at_once), rounds = divide_up(each, t->resident);
    if (t->turns) /* what ends a tile is hidden but for the last */
        return (double)(divide_up(blocks_of(job, c), cuda->sms) * steps_of(job, c)) * t->step + t->ends;
    const double step = c->cluster > 1 ? 1.2 * t->step : t->step;
    double ends = c->cluster > 1 ? t->ends_divided : t->ends;
    if (job->activation != EM__OP_COPY)
        ends += 0.1 * t->rows * width(job, t) / t->resident;
    return (double)(each * steps_of(job, c)) * step + (double)rounds * ends;
}

typedef void (*kernel_fn)(const arguments);

static bool is_gate(em__op op)
{
    return op == EM__OP_SILU || op == EM__OP_GELU || op == EM__OP_GELU_TANH;
}

/* NULL: the tile is not for this job. */
static kernel_fn kernel_of(const em__matmul *job, const tile *t)
{
    if (t->turns && !job->heads &&
        (!job->pair || job->out_dtype != job->dtype || job->matrix[0].n % 4 || !is_gate(job->activation)))
        return NULL;
    if ((job->shift != 0) != (t->slots != 0))
        return NULL;
    return job->heads ? t->heads[job->heads->size == 128] : t->kernel[job->dtype == EM_F16];
}

/* Whether blocks may divide the depth: each its two steps at least, or of codes whole slots. */
static bool divides(const em__matmul *job, const tile *t, int cluster)
{
    const int64_t steps = divide_up(job->k, DEEP);
    return !t->turns && !job->heads && (job->shift ? steps % (cluster * CODE_STEPS) == 0 : steps >= 2 * cluster);
}

static choice choose(const em__cuda *cuda, const em__matmul *job)
{
    choice best = {};
    double least = 0;
    for (const tile &t : tiles)
        for (int cluster = 1; cluster <= 4; cluster *= 2) {
            const choice c = {&t, cluster};
            if ((cluster > 1 && !divides(job, &t, cluster)) || !kernel_of(job, &t))
                continue;
            const double now = cost(cuda, job, &c);
            if (!best.of || now < least) {
                best = c;
                least = now;
            }
        }
    return best;
}

/* Slots of scales: see matmul_codes.cuh. */
static int scale_slots(const em__matmul *job, const tile *t)
{
    const int each = CODE_GROUPS << job->shift >> 7; /* slots of codes for one */
    return t->slots ? (t->slots + 2 * each - 2) / each : 0;
}

/* Bytes behind the ring. */
static size_t code_bytes(const em__matmul *job, const tile *t)
{
    return (size_t)(t->slot_bytes + scale_slots(job, t) * t->scale_bytes);
}

/* Stages of the ring: as many as fit, and serve. */
static int stages_of(const em__cuda *cuda, const em__matmul *job, const choice *c)
{
    const size_t room = cuda->shared_bytes - 2048, half = room / 2 - 1024;
    const bool two = c->of->resident > 1 && (c->cluster > 1 || blocks_of(job, c) > cuda->sms);
    const size_t left = (two ? half : room) - code_bytes(job, c->of);
    int64_t stages = (int64_t)(left / (size_t)c->of->stage_bytes), steps = steps_of(job, c);
    if (stages > MOST_STAGES)
        stages = MOST_STAGES;
    return (int)(stages < steps ? stages : steps);
}

static size_t shared_bytes(const em__matmul *job, const tile *t, int stages)
{
    const size_t rings = (size_t)(stages * t->stage_bytes) + code_bytes(job, t), sums = (size_t)t->sum_bytes;
    return (rings > sums ? rings : sums) + 1024;
}

static bool is_real(em_dtype dtype)
{
    return dtype == EM_F32 || dtype == EM_BF16 || dtype == EM_F16;
}

static bool holds_heads(const em__matmul *job)
{
    bool whole = job->heads->size == 64 || job->heads->size == 128;
    for (int i = 0; i < job->matrices; i++)
        whole = whole && job->matrix[i].n % job->heads->size == 0;
    return whole;
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
        fits = job->matrix[i].n > 0 && job->matrix[i].n < most && (job->shift || job->matrix[i].step % 8 == 0);
        columns += job->matrix[i].n;
    }
    if (fits && job->heads)
        fits = job->dtype == EM_BF16 && !job->pair && holds_heads(job);
    if (fits && job->shift)
        fits = job->dtype == EM_BF16 && job->shift >= 5 && job->shift <= 7 && job->k % (CODE_GROUPS << job->shift) == 0;
    if (fits && job->pair)
        fits = job->matrices == 2 && job->matrix[0].n == job->matrix[1].n;
    return fits && divide_up(job->m, 64) * divide_up(columns, 32) < most;
}

/* What cuBLASLt takes, roughly, in nanoseconds: also as measured. */
static double cost_of_blas(int64_t m, int64_t n, int64_t k)
{
    const double waiting = 2500 + 1.6 * (double)k, working = 1800 + (double)m * (double)n * 2 * (double)k / 82e4;
    return waiting > working ? waiting : working;
}

/* Nanoseconds for what a kernel of its own would do to the sums. */
static double cost_behind(const em__matmul *job, double columns)
{
    return 1500 + (double)job->m * columns * 12 / 4500;
}

/* Of products that leave heads as they are. */
static double cost_of_plain(const em__cuda *cuda, const em__matmul *job)
{
    em__matmul plain = *job;
    plain.heads = NULL;
    const choice c = choose(cuda, &plain);
    return cost(cuda, &plain, &c);
}

/* As measured: weights of codes become bf16 beforehand, by a kernel that keeps up with memory. */
static double cost_of_widened(const em__cuda *cuda, const em__matmul *job)
{
    em__matmul plain = *job;
    double elements = 0;
    plain.shift = 0;
    for (int i = 0; i < job->matrices; i++)
        elements += (double)job->matrix[i].n * (double)job->k;
    const choice c = choose(cuda, &plain);
    return 1000 + elements * 2.56 / 3600 + cost(cuda, &plain, &c);
}

/* Beside a product for each matrix, and the kernel that follows where cuBLASLt does not do all. Codes are beside
 * weights that become bf16 first; their heads beside what may leave them to another kernel. */
bool em__matmul_pays(const em__cuda *cuda, const em__matmul *job)
{
    const choice c = choose(cuda, job);
    bool follows = job->activation != EM__OP_COPY || job->pair || job->heads;
    double theirs = 0, columns = 0;
    for (int i = 0; i < job->matrices; i++) {
        theirs += cost_of_blas(job->m, job->matrix[i].n, job->k);
        columns += (double)job->matrix[i].n;
        follows = follows || (job->out_dtype != EM_F32 && job->matrix[i].bias);
    }
    if (job->shift && !job->heads)
        return cost(cuda, job, &c) <= cost_of_widened(cuda, job);
    if (job->heads) {
        const double plain = cost_of_plain(cuda, job);
        theirs = job->shift || plain < theirs ? plain : theirs;
    }
    if (follows)
        theirs += cost_behind(job, columns);
    return ((double)job->m * columns * (double)job->k < 1e11 || job->shift) && cost(cuda, job, &c) <= theirs;
}

bool em__matmul_aligned(const em__matmul *job)
{
    uintptr_t all = (uintptr_t)job->x | (job->pair ? (uintptr_t)job->matrix[0].out : 0);
    for (int i = 0; i < job->matrices; i++)
        all |= (uintptr_t)job->matrix[i].weight | (uintptr_t)job->matrix[i].scales | (uintptr_t)job->matrix[i].biases;
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

static bool map_weights(arguments *a, const em__matmul *job, int i, int rows)
{
    const auto &m = job->matrix[i];
    const int64_t groups = job->k >> job->shift;
    if (!job->shift)
        return em_map_halves(&a->w[i], job->dtype, m.weight, m.n, job->k, m.step, rows);
    return em_map_plain(&a->w[i], EM_U32, m.weight, m.n, job->k / 8, CODE_STEPS * DEEP / 8, rows) &&
           em_map_plain(&a->scales[i], EM_BF16, m.scales, m.n, groups, CODE_GROUPS, rows) &&
           em_map_plain(&a->biases[i], EM_BF16, m.biases, m.n, groups, CODE_GROUPS, rows);
}

static bool fill(arguments *a, const em__matmul *job, const choice *c)
{
    a->x_box = job->m <= c->of->rows / 2 ? c->of->rows / 2 : c->of->rows;
    bool made = em_map_halves(&a->x, job->dtype, job->x, job->m, job->k, job->x_step, a->x_box);
    for (int i = 0; i < job->matrices; i++)
        made = made && map_weights(a, job, i, width(job, c->of));
    a->shift = job->shift;
    a->scale_slots = scale_slots(job, c->of);
    a->matrices = results(job);
    fill_results(a, job, c->of);
    if (job->heads)
        a->heads = *job->heads;
    a->m = (int)job->m;
    a->steps = (int)divide_up(job->k, DEEP);
    a->row_tiles = (int)divide_up(job->m, c->of->rows);
    a->tiles = a->row_tiles * a->first[a->matrices];
    a->op = (int)job->activation;
    a->cluster = c->cluster;
    a->pair = job->pair;
    a->bias = job->bias_dtype;
    a->residual = job->residual_dtype;
    a->out = job->out_dtype;
    a->by_four = lies_by_four(job, a);
    a->direct = a->by_four && c->cluster == 1 && (job->out_dtype == EM_F32 || job->out_dtype == job->dtype) &&
                (!job->residual || job->residual_dtype == job->out_dtype);
    return made;
}

static em_status run_as(em__cuda *cuda, const em__matmul *job, const choice *c, const char *what)
{
    arguments a = {};
    EM__FAIL_IF(!fill(&a, job, c), EM_ERROR_INTERNAL,
                "%s: %s: no tensor map for a product of [%lld, %lld] by %lld rows", cuda->name, what, (long long)job->m,
                (long long)job->k, (long long)job->matrix[0].n);
    a.constant = em__cuda_early(cuda, job->constant);
    a.stages = stages_of(cuda, job, c);
    const size_t shared = shared_bytes(job, c->of, a.stages);
    const kernel_fn kernel = kernel_of(job, c->of);
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes - 1024),
        what));
    const int64_t blocks = blocks_of(job, c);
    return em_launch_clusters(cuda, what, kernel, (unsigned)c->cluster,
                              (unsigned)(c->of->turns && blocks > cuda->sms ? cuda->sms : blocks),
                              (unsigned)c->of->threads, shared, a);
}

em_status em__matmul_run(em__cuda *cuda, const em__matmul *job, const char *what)
{
    const choice c = choose(cuda, job);
    return run_as(cuda, job, &c, what);
}
