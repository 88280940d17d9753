/* See march.cuh: what a list may hold, how its jobs are divided, which kernel. */
#include "device/cuda/march.cuh"

#include "device/cuda/march_kernel.cuh"

enum { FEWEST_SLOTS = 4, MOST_PARTS = 16 };

static_assert(sizeof(em__march) <= 32764, "the parameters of a kernel");

/* A kernel, and its bytes of shared memory for attention. */
typedef struct march_kernel {
    void (*kernel)(const em__march);
    size_t attention;
} march_kernel;

/* By the size of a head and the queries that share one of keys; NULL: there is none. */
template <int D, int G> static const march_kernel *found()
{
    static const march_kernel kernel = {em_march_kernel<em_march_bf16, __nv_bfloat16, D, G>,
                                        sizeof(em_attend_memory<EM_MARCH_WARPS, __nv_bfloat16, D, G>)};
    return &kernel;
}

static const march_kernel *find(int size, int group)
{
    switch (size * 16 + group) {
    case 64 * 16 + 1: return found<64, 1>();
    case 64 * 16 + 2: return found<64, 2>();
    case 64 * 16 + 4: return found<64, 4>();
    case 128 * 16 + 1: return found<128, 1>();
    case 128 * 16 + 2: return found<128, 2>();
    case 128 * 16 + 4: return found<128, 4>();
    default: return NULL;
    }
}

/* Blocks for a head of keys: a power of two, as many as there are blocks for. */
static int parts_of(const em__cuda *cuda, const em__step_attend *a)
{
    int parts = MOST_PARTS;
    while (parts > 1 && parts * a->kv_heads > cuda->sms)
        parts /= 2;
    return parts;
}

bool em__march_takes(const em__cuda *cuda, const em__step_attend *a, const em__gemv *products)
{
    if (cuda->major < 9 || a->cache != EM_BF16 || a->kv_heads < 1 || a->kv_heads > cuda->sms ||
        a->heads % a->kv_heads != 0)
        return false;
    return products->weights == EM_BF16 && find(a->size, a->heads / a->kv_heads) &&
           (int64_t)parts_of(cuda, a) * a->heads * (a->size + 2) <= EM_MARCH_PARTIALS;
}

/* Weights lie as they are fetched, and groups of rows in one matrix. */
static bool lies_well(const em__gemv *g)
{
    uintptr_t all = (uintptr_t)g->gain | (uintptr_t)g->x;
    int rows = 0;
    for (int i = 0; i < EM_GEMV_MATRICES; i++) {
        all |= (uintptr_t)g->weight[i];
        rows |= g->end[i] < em_gemv_rows(*g) ? g->end[i] : 0;
    }
    return all % 16 == 0 && rows % em_march_bf16::ROWS == 0 && (!g->pair || g->end[0] % em_march_bf16::ROWS == 0) &&
           g->depth % em_march_bf16::COLUMNS == 0;
}

static const em__march_job *attention_of(const em__march *march)
{
    for (int i = 0; i < march->n; i++)
        if (march->jobs[i].attends)
            return &march->jobs[i];
    return NULL;
}

static bool same_attention(const em__step_attend *a, const em__step_attend *b)
{
    return a->heads == b->heads && a->kv_heads == b->kv_heads && a->size == b->size && a->cache == b->cache &&
           a->turned == b->turned && a->at == b->at && a->periods == b->periods && a->step == b->step;
}

bool em__march_follows(const em__cuda *cuda, const em__march *march, const em__march_job *job)
{
    const em__march_job *attention = attention_of(march);
    if (march->n == EM_MARCH_JOBS || (march->n > 0 && job->x_from != 1))
        return false;
    if (job->attends)
        return march->n > 0 && !march->jobs[march->n - 1].attends &&
               (!attention || same_attention(&attention->attend, &job->attend)) &&
               job->attend.heads * job->attend.size <= EM_MARCH_BOX;
    const em__gemv *g = &job->gemv;
    return g->weights == EM_BF16 && lies_well(g) && g->m == 1 && g->out_dtype == EM_F32 && g->x_dtype == EM_F32 &&
           sizeof(em_march_memory) + em_march_bf16::staged(g) + FEWEST_SLOTS * em_march_bf16::SLOT <=
               cuda->shared_bytes;
}

static int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

/* Rows to blocks, in as many tiles as the table of sums asks for. */
static void divide(em__gemv *g, const em__cuda *cuda)
{
    const int step = g->pair ? 2 * em_march_bf16::ROWS : em_march_bf16::ROWS;
    int tiles = 1;
    do
        g->per_block = divide_up(divide_up(em_gemv_rows(*g), cuda->sms * tiles++), step) * step;
    while (g->per_block > EM_MARCH_MOST);
}

/* Divides all products; bytes of shared memory for x and for attention. */
static size_t divide_all(em__cuda *cuda, em__march *march, size_t room)
{
    for (int i = 0; i < march->n; i++)
        if (!march->jobs[i].attends) {
            divide(&march->jobs[i].gemv, cuda);
            const size_t staged = em_march_bf16::staged(&march->jobs[i].gemv);
            room = staged > room ? staged : room;
        }
    return room;
}

em_status em__march_run(em__cuda *cuda, em__march *march)
{
    const em__march_job *attention = attention_of(march);
    const em__step_attend *a = &attention->attend;
    const march_kernel *k = find(a->size, a->heads / a->kv_heads);
    const size_t room = divide_all(cuda, march, k->attention);
    const size_t slots = (cuda->shared_bytes - sizeof(em_march_memory) - room) / em_march_bf16::SLOT;
    march->slots = slots > EM_MARCH_SLOTS ? EM_MARCH_SLOTS : (int)slots;
    march->parts = parts_of(cuda, a);
    march->attention = (int)(attention - march->jobs);
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(k->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes),
        "a decoder's step"));
    cudaLaunchAttribute together = {};
    together.id = cudaLaunchAttributeCooperative;
    together.val.cooperative = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = cuda->sms;
    config.blockDim = (EM_MARCH_WARPS + 1) * 32; /* one fetches */
    config.dynamicSmemBytes = (size_t)march->slots * em_march_bf16::SLOT + sizeof(em_march_memory) + room;
    config.stream = cuda->stream;
    config.attrs = &together;
    config.numAttrs = 1;
    return em__cuda_check(cuda, cudaLaunchKernelEx(&config, k->kernel, *march), "a decoder's step");
}
