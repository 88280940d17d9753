/* See march.cuh: what a list may hold, how its jobs are divided, which kernel. */
#include "device/cuda/march.cuh"

#include "device/cuda/march_codes.cuh"
#include "device/cuda/march_kernel.cuh"

enum { MOST_PARTS = 16 };

static_assert(sizeof(em__march) <= 32764, "the parameters of a kernel");

/* A kernel, and its bytes of shared memory for attention. */
typedef struct march_kernel {
    void (*kernel)(const em__march);
    size_t attention;
} march_kernel;

template <typename W, int D, int G> static const march_kernel *found()
{
    static const march_kernel kernel = {em_march_kernel<W, __nv_bfloat16, D, G>,
                                        sizeof(em_attend_memory<EM_MARCH_WARPS, __nv_bfloat16, D, G>)};
    return &kernel;
}

/* By the size of a head and the queries that share one of keys; NULL: there is none. */
template <typename W> static const march_kernel *find(int size, int group)
{
    switch (size * 16 + group) {
    case 64 * 16 + 1: return found<W, 64, 1>();
    case 64 * 16 + 2: return found<W, 64, 2>();
    case 64 * 16 + 4: return found<W, 64, 4>();
    case 128 * 16 + 1: return found<W, 128, 1>();
    case 128 * 16 + 2: return found<W, 128, 2>();
    case 128 * 16 + 4: return found<W, 128, 4>();
    default: return NULL;
    }
}

/* A kind of weights: see march_weights.cuh for what is asked of it. */
typedef struct kind {
    const march_kernel *(*find)(int size, int group);
    bool (*takes)(const em__gemv *job);
    size_t (*staged)(const em__gemv *job), (*least)(const em__gemv *job);
    int (*unit)(const em__gemv *job);
    void (*cut)(em__gemv *job);
    void (*set_ring)(em__march *march, size_t bytes);
} kind;

template <typename W> static const kind *kind_of()
{
    static const kind found = {find<W>, W::takes, W::staged, W::least, W::unit, W::cut, W::set_ring};
    return &found;
}

static const kind *find_kind(const em__gemv *job)
{
    switch (job->weights) {
    case EM_BF16: return kind_of<em_march_bf16>();
    case EM_U32: return kind_of<em_march_codes>();
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
    const kind *k = find_kind(products);
    return k && k->find(a->size, a->heads / a->kv_heads) &&
           (int64_t)parts_of(cuda, a) * a->heads * (a->size + 2) <= EM_MARCH_PARTIALS;
}

static const em__march_job *attention_of(const em__march *march)
{
    for (int i = 0; i < march->n; i++)
        if (march->jobs[i].attends)
            return &march->jobs[i];
    return NULL;
}

/* The first product; the list has one. */
static const em__gemv *product_of(const em__march *march)
{
    int i = 0;
    while (march->jobs[i].attends)
        i++;
    return &march->jobs[i].gemv;
}

static bool same_attention(const em__step_attend *a, const em__step_attend *b)
{
    return a->heads == b->heads && a->kv_heads == b->kv_heads && a->size == b->size && a->cache == b->cache &&
           a->turned == b->turned && a->at == b->at && a->periods == b->periods && a->step == b->step;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Bytes of shared memory for x or for attention, of the list's jobs and of `job` (NULL: none); *ring: of the smallest
 * ring. */
static size_t room_of(const kind *k, const em__march *march, const em__march_job *job, size_t *ring)
{
    size_t room = 0;
    *ring = 0;
    for (int i = 0; i <= march->n; i++) {
        const em__march_job *its = i < march->n ? &march->jobs[i] : job;
        if (!its)
            break;
        const em__step_attend *a = &its->attend;
        room = larger(room, its->attends ? k->find(a->size, a->heads / a->kv_heads)->attention : k->staged(&its->gemv));
        *ring = larger(*ring, its->attends ? 0 : k->least(&its->gemv));
    }
    return room;
}

static bool fits(const em__cuda *cuda, const kind *k, const em__march *march, const em__march_job *job)
{
    size_t ring;
    const size_t room = room_of(k, march, job, &ring);
    return sizeof(em_march_memory) + room + ring <= cuda->shared_bytes;
}

/* Gives jobs their boxes: a line of the cache is of one job. The floats of all. */
static int place_boxes(em__march *march)
{
    int mail = 0;
    for (int i = 0; i < march->n; i++) {
        march->jobs[i].box = mail;
        if (march->jobs[i].heard)
            mail += (em_march_results(&march->jobs[i]) + 31) / 32 * 32;
    }
    return mail;
}

/* Whether there are boxes for the list when a job follows, which hears the last one. */
static bool has_boxes(const em__march *march)
{
    int64_t mail = 0;
    for (int i = 0; i < march->n; i++)
        mail += (int64_t)em_march_results(&march->jobs[i]) + 31;
    return mail <= EM_MARCH_MAIL;
}

bool em__march_follows(const em__cuda *cuda, const em__march *march, const em__march_job *job)
{
    const em__march_job *attention = attention_of(march);
    if (march->n == EM_MARCH_JOBS || (march->n > 0 && job->x_from != 1) || !has_boxes(march))
        return false;
    if (job->attends)
        return march->n > 0 && !march->jobs[march->n - 1].attends &&
               (!attention || same_attention(&attention->attend, &job->attend)) &&
               fits(cuda, find_kind(product_of(march)), march, job);
    const em__gemv *g = &job->gemv;
    const kind *k = find_kind(g);
    return k && k->takes(g) && (march->n == 0 || product_of(march)->weights == g->weights) && g->m == 1 &&
           g->out_dtype == EM_F32 && g->x_dtype == EM_F32 && fits(cuda, k, march, job);
}

/* Rows to blocks, in as many tiles as the table of sums asks for. */
static void divide(em__gemv *g, const em__cuda *cuda, int step)
{
    int tiles = 1;
    do
        g->per_block = em_gemv_cuts(em_gemv_cuts(em_gemv_rows(*g), cuda->sms * tiles++), step) * step;
    while (g->per_block > EM_MARCH_MOST);
}

/* The kernel of the list, which may take all shared memory from now on. */
static const march_kernel *kernel_of(const em__cuda *cuda, const em__march *march, cudaError_t *error)
{
    const em__step_attend *a = &attention_of(march)->attend;
    const march_kernel *k = find_kind(product_of(march))->find(a->size, a->heads / a->kv_heads);
    *error = cudaFuncSetAttribute(k->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes);
    return k;
}

bool em__march_fits(const em__cuda *cuda, const em__march *march)
{
    int blocks = 0, sms = 0;
    cudaError_t error;
    const march_kernel *k = kernel_of(cuda, march, &error);
    if (!error)
        error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, k->kernel, EM_MARCH_ALL, cuda->shared_bytes);
    if (!error)
        error = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, cuda->ordinal);
    if (error)
        cudaGetLastError();
    return !error && blocks * sms >= cuda->sms;
}

em_status em__march_run(em__cuda *cuda, em__march *march)
{
    const em__march_job *attention = attention_of(march);
    const kind *its = find_kind(product_of(march));
    cudaError_t error;
    const march_kernel *k = kernel_of(cuda, march, &error);
    EM__TRY(em__cuda_check(cuda, error, "a decoder's step"));
    size_t least;
    const size_t room = room_of(its, march, NULL, &least);
    its->set_ring(march, cuda->shared_bytes - sizeof(em_march_memory) - room);
    for (int i = 0; i < march->n; i++)
        if (!march->jobs[i].attends) {
            divide(&march->jobs[i].gemv, cuda, its->unit(&march->jobs[i].gemv));
            its->cut(&march->jobs[i].gemv);
        }
    march->mail = place_boxes(march);
    march->parts = parts_of(cuda, &attention->attend);
    march->attention = (int)(attention - march->jobs);
    cudaLaunchAttribute together = {};
    together.id = cudaLaunchAttributeCooperative;
    together.val.cooperative = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = cuda->sms;
    config.blockDim = EM_MARCH_ALL;
    config.dynamicSmemBytes = (size_t)march->ring + sizeof(em_march_memory) + room;
    config.stream = cuda->stream;
    config.attrs = &together;
    config.numAttrs = 1;
    return em__cuda_check(cuda, cudaLaunchKernelEx(&config, k->kernel, *march), "a decoder's step");
}
