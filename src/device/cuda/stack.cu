/* An encoder's layers by one kernel: which calls they are, and the launch. See stack.cuh. */
#include "device/cuda/stack.cuh"

#include "device/cuda/early.h"
#include "device/cuda/encoder.h"
#include "device/cuda/finish.h"
#include "device/cuda/merge.h"
#include "device/cuda/stack_kernel.cuh"
#include "device/cuda/tensor_map.cuh"

using namespace em_stack;

enum { CALLS = 7 }; /* of a layer */

static_assert(sizeof(em__stack) <= 32764, "the parameters of a kernel");

typedef struct kernel {
    void (*run)(const em__stack);
    int rows, blocks, each; /* of a tile, a cluster; heads of a block */
    size_t bytes;           /* of shared memory, without rings */
} kernel;

template <typename F> static kernel kernel_of()
{
    return {stack_kernel<F>, F::ROWS, F::BLOCKS, F::EACH, sizeof(memory<F>) + 1024};
}

/* From that for the fewest rows on: clusters of twelve read less each, of clusters of six more are there at once. */
enum { FORMS = 2 };

template <typename T> static kernel form_of(int i)
{
    return i == 0 ? kernel_of<form<T, 32, 1>>() : kernel_of<form<T, 32, 2>>();
}

static kernel find(em_dtype dtype, int i)
{
    return dtype == EM_BF16 ? form_of<__nv_bfloat16>(i) : form_of<__half>(i);
}

static int stages_of(const em__cuda *cuda, const kernel &k)
{
    const size_t room = cuda->shared_bytes - sizeof(shared) - k.rows * sizeof(int2) - 256;
    const size_t stages = (room - k.bytes) / (2 * STAGE_BYTES);
    return stages < EM_STACK_STAGES ? (int)stages : EM_STACK_STAGES;
}

static size_t bytes_of(const em__cuda *cuda, const kernel &k)
{
    return k.bytes + (size_t)stages_of(cuda, k) * 2 * STAGE_BYTES;
}

/* Tiles that run at the same time. */
static int tiles_at_once(em__cuda *cuda, const kernel &k)
{
    int clusters = 0;
    cudaLaunchAttribute cluster = {};
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {(unsigned)k.blocks, 1, 1};
    cudaLaunchConfig_t config = {};
    config.gridDim = (unsigned)k.blocks;
    config.blockDim = THREADS;
    config.dynamicSmemBytes = bytes_of(cuda, k);
    config.attrs = &cluster;
    config.numAttrs = 1;
    if (cudaFuncSetAttribute(k.run, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)config.dynamicSmemBytes) ==
            cudaSuccess &&
        cudaFuncSetAttribute(k.run, cudaFuncAttributeNonPortableClusterSizeAllowed, 1) == cudaSuccess &&
        cudaOccupancyMaxActiveClusters(&clusters, k.run, &config) == cudaSuccess)
        return clusters;
    cudaGetLastError();
    return 0;
}

static int tiles_of(const kernel &k, int rows)
{
    return (rows + k.rows - 1) / k.rows;
}

/* The smallest tiles of which all run at the same time; `rows` of 0: there are too many. */
static kernel choose(em__cuda *cuda, em_dtype dtype, int rows)
{
    for (int i = 0; i < FORMS; i++) {
        const kernel k = find(dtype, i);
        if (tiles_of(k, rows) <= tiles_at_once(cuda, k))
            return k;
    }
    return {};
}

em_status em__stack_run(em__cuda *cuda, em__stack *stack)
{
    const kernel k = choose(cuda, stack->dtype, stack->m);
    const int tiles = k.rows ? tiles_of(k, stack->m) : 0;
    EM__FAIL_IF(!tiles, EM_ERROR_INTERNAL, "%s: %d rows are too many for an encoder's layers at once", cuda->name,
                stack->m);
    stack->stages = stages_of(cuda, k);
    stack->constant = em__cuda_early(cuda, stack->constant);
    if (tiles > 1)
        EM__TRY(em_launch(cuda, "an encoder's layers", clear_kernel, 1, 128, 0, stack->layers_done, tiles * HEADS));
    return em_launch_clusters(cuda, "an encoder's layers", k.run, (unsigned)k.blocks, (unsigned)(tiles * k.blocks),
                              THREADS, bytes_of(cuda, k), *stack);
}

/* ---- reading ---- */

static bool is_constant(const em__call *call, int operand)
{
    return call->constant >> operand & 1;
}

static bool is_matrix(const em__tensor *t, em_dtype dtype, int64_t rows, int64_t columns)
{
    return t->spec.dtype == dtype && t->spec.rank > 0 && t->spec.dims[t->spec.rank - 1] == columns &&
           em__spec_size(&t->spec) == rows * columns && em__tensor_is_contiguous(t);
}

static bool is_row(const em__tensor *t, em_dtype dtype, int64_t columns)
{
    return is_matrix(t, dtype, 1, columns) && (uintptr_t)t->data % 16 == 0;
}

/* A product of x with `count` weights of n rows: its bias, its maps. */
static bool read_product(const em__call *call, const void *x, int count, int64_t n, int64_t k, const void *residual,
                         em__stack *a, CUtensorMap *maps, const void **bias)
{
    if (call->op != EM__OP_FUSED_LINEAR || call->ints[2] != count || (call->ints[1] & 2) != (residual ? 2 : 0) ||
        call->in[0].data != x || !is_matrix(&call->in[0], a->dtype, a->m, k) ||
        !is_matrix(&call->out, a->dtype, a->m, count * n))
        return false;
    if (!(call->ints[1] & 1) || !is_row(&call->in[2], a->dtype, count * n) ||
        (residual && (call->in[3].data != residual || !is_matrix(&call->in[3], a->dtype, a->m, n))))
        return false;
    *bias = call->in[2].data;
    a->constant = a->constant && is_constant(call, 2);
    for (int i = 0; i < count; i++) {
        const int at = em__linear_weight(call->ints, i);
        const em__tensor *w = &call->in[at];
        a->constant = a->constant && is_constant(call, at);
        if (w->spec.dtype != a->dtype || w->spec.dims[0] != n || w->spec.dims[1] != k || w->strides[1] != 1 ||
            w->strides[0] % 8 != 0 || w->strides[0] < k || (uintptr_t)w->data % 16 != 0 ||
            !em_map_halves(&maps[i], a->dtype, w->data, n, k, w->strides[0],
                           n == WIDTH && k == WIDTH ? a->each * HEAD : 64))
            return false;
    }
    return true;
}

static bool read_norm(const em__call *call, const void *x, em__stack *a, em__stack_layer *layer, int which)
{
    if (call->op != EM__OP_LAYER_NORM || (call->ints[0] & 3) != 3 || call->in[0].data != x ||
        !is_matrix(&call->in[0], a->dtype, a->m, WIDTH) || !is_matrix(&call->out, a->dtype, a->m, WIDTH))
        return false;
    for (int i = 1; i < call->n_in; i++) {
        if (!is_row(&call->in[i], a->dtype, WIDTH))
            return false;
        a->constant = a->constant && is_constant(call, i);
    }
    layer->gain[which] = call->in[1].data;
    layer->bias[which] = call->in[2].data;
    a->eps[a->n][which] = (float)call->floats[0];
    return true;
}

/* Attention over the parts of what the product before it made; the same texts in all layers. */
static bool read_attention(const em__call *call, const em__call *product, em__stack *a)
{
    const em__tensor *offsets = &call->in[3];
    if (call->op != EM__OP_SDPA_SEGMENTS || call->ints[0] || call->ints[1] || call->ints[2] ||
        !is_matrix(&call->out, a->dtype, (int64_t)a->m * HEADS, HEAD))
        return false;
    for (int i = 0; i < 3; i++) {
        const em__tensor *in = &call->in[i];
        if (in->data != (const char *)product->out.data + i * WIDTH * 2 || in->spec.dtype != a->dtype ||
            in->spec.dims[0] != a->m || in->spec.dims[1] != HEADS || in->spec.dims[2] != HEAD || in->strides[2] != 1 ||
            in->strides[1] != HEAD || (a->m > 1 && in->strides[0] != 3 * WIDTH))
            return false;
    }
    const bool first = a->n == 0;
    if (first) {
        a->offsets = (const int32_t *)offsets->data;
        a->offset_step = offsets->strides[0];
        a->segments = (int)offsets->spec.dims[0] - 1;
        a->scale = (float)call->floats[0];
    }
    return a->segments >= 0 && offsets->data == a->offsets && offsets->spec.dims[0] == a->segments + 1 &&
           offsets->strides[0] == a->offset_step && (float)call->floats[0] == a->scale;
}

/* One more layer of those that begin with x. */
static bool read_layer(em__call *const *calls, const void *x, em__stack *a)
{
    em__stack_layer *layer = &a->layers[a->n];
    const void *middle = calls[3]->out.data;
    if (!read_product(calls[0], x, 3, WIDTH, WIDTH, NULL, a, &layer->w[EM_STACK_Q], &layer->qkv_bias) ||
        calls[0]->ints[0] != EM__OP_COPY || !read_attention(calls[1], calls[0], a) ||
        !read_product(calls[2], calls[1]->out.data, 1, WIDTH, WIDTH, x, a, &layer->w[EM_STACK_OUT], &layer->out_bias) ||
        calls[2]->ints[0] != EM__OP_COPY || !read_norm(calls[3], calls[2]->out.data, a, layer, 0) ||
        !read_product(calls[4], middle, 1, INNER, WIDTH, NULL, a, &layer->w[EM_STACK_UP], &layer->up_bias) ||
        !read_product(calls[5], calls[4]->out.data, 1, WIDTH, INNER, middle, a, &layer->w[EM_STACK_DOWN],
                      &layer->down_bias) ||
        calls[5]->ints[0] != EM__OP_COPY || !read_norm(calls[6], calls[5]->out.data, a, layer, 1))
        return false;
    if (a->n == 0) {
        a->op = (int)calls[4]->ints[0];
        a->layers_done = (uint32_t *)calls[4]->out.data;
    }
    if (a->op != (int)calls[4]->ints[0] || !em__cuda_finish_takes((em__op)a->op))
        return false;
    layer->qkv = calls[0]->out.data;
    a->out = calls[6]->out.data;
    a->n++;
    return true;
}

/* What the first call says of all: true where it may be a layer's. */
static bool begin(em__cuda *cuda, const em__call *call, em__stack *a)
{
    const em__tensor *x = &call->in[0];
    *a = {};
    if (call->op != EM__OP_FUSED_LINEAR || x->spec.rank < 1 || x->spec.dims[x->spec.rank - 1] != WIDTH ||
        (x->spec.dtype != EM_BF16 && x->spec.dtype != EM_F16) || em__spec_size(&x->spec) > INT32_MAX / 4)
        return false;
    a->dtype = x->spec.dtype;
    a->m = (int)(em__spec_size(&x->spec) / WIDTH);
    a->x = x->data;
    a->constant = true;
    a->each = a->m > 0 ? choose(cuda, a->dtype, a->m).each : 0;
    return a->each > 0 && (uintptr_t)x->data % 16 == 0;
}

/* Nobody else sees what is not written, and what is written for other clusters lies apart from all that is read. */
static bool stands_alone(const em__merge_call *calls, size_t taken)
{
    const em__tensor *x = &calls[0].call->in[0], *out = &calls[taken - 1].call->out;
    const em__tensor *done = &calls[4].call->out;
    for (size_t i = 0; i < taken; i += CALLS) {
        const em__tensor *qkv = &calls[i].call->out;
        if (em__cuda_overlap(qkv, x) || em__cuda_overlap(qkv, out) || em__cuda_overlap(qkv, done))
            return false;
        for (size_t j = 0; j < i; j += CALLS)
            if (em__cuda_overlap(qkv, &calls[j].call->out))
                return false;
    }
    return em__cuda_hides(calls, taken) && !em__cuda_overlap(done, x) && !em__cuda_overlap(done, out) &&
           (out->data == x->data || !em__cuda_overlap(out, x));
}

static em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em__stack a;
    bool read = begin(cuda, call, &a);
    for (size_t i = 0; read && call->merged[i]; i += CALLS)
        read = read_layer(call->merged + i, i ? a.out : a.x, &a);
    return read ? em__stack_run(cuda, &a) : em__cuda_run_apart(device, call);
}

size_t em__stack_merge(em__cuda *cuda, const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    em__stack a;
    size_t taken = 0;
    if (cuda->major != 9 || n < CALLS || !em_map_encoder() || !begin(cuda, calls[0].call, &a))
        return 0;
    for (size_t all = CALLS; all <= n && a.n < EM_STACK_LAYERS; all += CALLS) {
        em__call *list[CALLS];
        for (int i = 0; i < CALLS; i++)
            list[i] = calls[all - CALLS + i].call;
        if (!read_layer(list, a.n ? a.out : a.x, &a))
            break;
        if (stands_alone(calls, all))
            taken = all;
    }
    *kernel = run;
    return taken;
}
