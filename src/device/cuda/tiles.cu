/* Products by wgmma: tensor maps, which shape of tile a product gets, and whether it pays. See tiles.h. */
#include "device/cuda/tiles.h"

#include "device/cuda/early.h"
#include "device/cuda/tensor_map.cuh"
#include "device/cuda/tiles_kernel.cuh"

/* A map of [rows][depth], for tiles of 128 bytes of depth and so many rows. */
static bool make_map(CUtensorMap *map, em_dtype dtype, const void *at, int64_t rows, int64_t depth, int64_t step,
                     int tile_rows)
{
    size_t size = em_dtype_size(dtype);
    const cuuint64_t dims[2] = {(cuuint64_t)depth, (cuuint64_t)rows}, steps[1] = {(cuuint64_t)step * size};
    const cuuint32_t box[2] = {(cuuint32_t)(128 / size), (cuuint32_t)tile_rows}, ones[2] = {1, 1};
    const CUtensorMapDataType type =
        dtype == EM_F32 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    return em_map_encoder()(map, type, 2, (void *)at, dims, steps, box, ones, CU_TENSOR_MAP_INTERLEAVE_NONE,
                            CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                            CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

static bool fill(arguments *a, const em__tiles *t, int rows, int columns)
{
    bool made = make_map(&a->x, EM_F32, t->at, t->m, t->k, t->x.ld, rows);
    uintptr_t all = (uintptr_t)t->bias | (uintptr_t)t->residual | (uintptr_t)t->out | (uintptr_t)(t->n * 4);
    for (int i = 0; i < t->weights; i++) {
        int64_t parts = t->cut ? 3 : 1;
        made = made && make_map(&a->w[i], EM_BF16, t->w[i].at, t->w[i].n * parts, t->k, t->w[i].as.ld, columns);
        a->w_at[i] = (const __nv_bfloat16 *)t->w[i].at;
        a->w_step[i] = t->w[i].as.ld;
        a->first[i + 1] = a->first[i] + (int)((t->w[i].n + columns - 1) / columns);
        a->column[i + 1] = a->column[i] + (int)t->w[i].n;
        all |= (uintptr_t)(t->w[i].n * 4);
    }
    a->x_at = t->at;
    a->x_step = t->x.ld;
    a->m = (int)t->m;
    a->n = (int)t->n;
    a->k = (int)t->k;
    a->row_tiles = (int)((t->m + rows - 1) / rows);
    a->op = (int)t->activation;
    a->by_four = all % 16 == 0;
    a->split = 1;
    a->bias = t->bias;
    a->residual = t->residual;
    a->out = t->out;
    return made;
}

/* Into how many parts the depth goes where tiles alone would leave most of the chip idle. */
static int split_of(const em__cuda *cuda, int tiles, int resident, int64_t depth)
{
    const int64_t stages = (depth + DEEP - 1) / DEEP;
    int split = 1;
    while (split < 8 && tiles * split * 2 <= cuda->sms * resident && split * 2 <= stages)
        split *= 2;
    return split;
}

/* SPLIT: blocks of a multiprocessor that may share tiles, 0: each has its own. */
template <typename SHAPE, int SPLIT> static em_status run(em__cuda *cuda, const em__tiles *t)
{
    arguments a = {};
    EM__FAIL_IF(!fill(&a, t, SHAPE::ROWS, SHAPE::WIDE), EM_ERROR_INTERNAL, "%s: no tensor map for [%lld, %lld, %lld]",
                cuda->name, (long long)t->m, (long long)t->n, (long long)t->k);
    EM__TRY(em__cuda_check(
        cuda,
        cudaFuncSetAttribute(tiles_kernel<SHAPE>, cudaFuncAttributeMaxDynamicSharedMemorySize, SHAPE::SHARED_BYTES),
        "fused_linear"));
    a.constant = em__cuda_early(cuda, t->ready);
    const int tiles = a.row_tiles * a.first[t->weights];
    a.split = SPLIT ? split_of(cuda, tiles, SPLIT, t->k) : 1;
    return em_launch_clusters(cuda, "fused_linear", tiles_kernel<SHAPE>, (unsigned)a.split, (unsigned)(tiles * a.split),
                              SHAPE::THREADS, SHAPE::SHARED_BYTES, a);
}

/* The shapes, and what each is worth. */
typedef em_status (*run_fn)(em__cuda *cuda, const em__tiles *t);
typedef struct candidate {
    int rows, columns, resident; /* blocks of a multiprocessor */
    double rate;                 /* of the matrix units, measured */
    run_fn rounded, exact, cut;  /* NULL: has none */
} candidate;

static const candidate candidates[] = {
    {128, 256, 1, 1.0, run<shape<2, 256, 3, 1, 1>, 0>, NULL, NULL},
    {128, 128, 1, 0.95, run<shape<2, 128, 4, 1, 1>, 0>, run<shape<2, 128, 4, 3, 1>, 0>, run<shape<2, 128, 2, 3, 3>, 0>},
    {64, 64, 2, 0.7, run<shape<1, 64, 4, 1, 1>, 0>, run<shape<1, 64, 4, 3, 1>, 0>, run<shape<1, 64, 2, 3, 3>, 2>},
};

static run_fn run_of(const candidate *c, const em__tiles *t)
{
    return t->cut ? c->cut : t->round ? c->rounded : c->exact;
}

/* How often all multiprocessors must be filled. */
static int64_t rounds_of(const em__cuda *cuda, const candidate *c, const em__tiles *t)
{
    int64_t tiles = 0, at_once = (int64_t)cuda->sms * c->resident;
    for (int i = 0; i < t->weights; i++)
        tiles += (t->w[i].n + c->columns - 1) / c->columns;
    return (tiles * ((t->m + c->rows - 1) / c->rows) + at_once - 1) / at_once;
}

/* Which takes least, were the multiprocessors to work in step. */
static const candidate *choose(const em__cuda *cuda, const em__tiles *t)
{
    const candidate *best = NULL;
    double least = 0;
    for (const candidate &c : candidates) {
        double cost = (double)rounds_of(cuda, &c, t) * c.resident * c.rows * c.columns / c.rate;
        if (run_of(&c, t) && (!best || cost < least)) {
            best = &c;
            least = cost;
        }
    }
    return best;
}

/*
 * As measured on an H200. Blocks do not share a sum, so that a deep product of few rows is slow. With x rounded
 * cuBLASLt needs one pass over x before, and is the better product: this wins where several weights fill the chip once.
 */
static bool pays(const em__cuda *cuda, const em__tiles *t)
{
    if (t->ready)
        return t->m > 32;
    if (t->cut)
        return t->m >= (t->k <= 1024 ? 256 : 768);
    if (!t->round)
        return t->k <= 2048;
    return t->k <= 1024 && t->weights > 1 && t->activation == EM__OP_COPY && t->m >= 1024 &&
           rounds_of(cuda, choose(cuda, t), t) == 1;
}

extern "C" em_status em__cuda_tiles_cut(em__cuda *cuda, const float *w, const em__matrix *as, int64_t rows,
                                        int64_t depth, void *to)
{
    enum { THREADS = 256, EACH = 4 };
    int64_t size = rows * depth;
    return em_launch(cuda, "fused_linear", cut_weight, em_blocks(size, THREADS * EACH), THREADS, 0, w, as->ld, depth,
                     size, (__nv_bfloat16 *)to);
}

extern "C" bool em__cuda_tiles_takes(em__cuda *cuda, const em__tiles *t)
{
    bool fits = cuda->major == 9 && cuda->shared_bytes >= 220 << 10 && t->m > 0 && t->n > 0 && t->k > 0 &&
                t->weights <= EM__TILES_WEIGHTS && t->m < 1 << 30 && t->n < 1 << 30 && t->k < 1 << 30 && !t->x.across &&
                t->x.ld % 4 == 0 && em_map_encoder();
    for (int i = 0; i < t->weights && fits; i++)
        fits = !t->w[i].as.across && t->w[i].as.ld % 8 == 0 && t->w[i].n > 0 && t->w[i].n < 1 << 28;
    return fits && pays(cuda, t);
}

extern "C" bool em__cuda_tiles_aligned(const em__tiles *t)
{
    uintptr_t all = (uintptr_t)t->at;
    for (int i = 0; i < t->weights; i++)
        all |= (uintptr_t)t->w[i].at;
    return all % 16 == 0;
}

extern "C" em_status em__cuda_tiles(em__cuda *cuda, const em__tiles *tiles)
{
    return run_of(choose(cuda, tiles), tiles)(cuda, tiles);
}
