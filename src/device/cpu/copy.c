/*
 * Plans and drivers of strided copies. A plan is a list of dimensions, outermost first; the last one, or the last two
 * of a transpose, belong to a kernel, and the others are counted through like an odometer. Work is cut into chunks of
 * whole kernel calls, by the layout alone.
 */
#include "device/cpu/copy.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define CHUNK_BYTES (128 << 10) /* that one worker copies at a time, about */
#define SERIAL_BYTES (64 << 10) /* up to which the caller copies alone */
#define TRANSPOSE_ROWS 64       /* rows of the output a transpose kernel is given at a time */

static em__copy best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__copy_init(em__copy *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__copy_fill_portable(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__copy_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__copy_init(&best, em__cpu_get()->level);
}

const em__copy *em__copy_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

typedef struct axis {
    int64_t n, out, in; /* elements, and the bytes from one to the next */
} axis;

typedef struct plan {
    const em__copy *kernels;
    uint8_t *out;
    const uint8_t *in;
    size_t size;
    int log_size;
    int rank;
    axis axes[EM__COPY_RANK];
    bool transpose; /* the last two axes are a transpose's rows and columns */
    int outer;      /* axes that are counted through */
    int64_t block;  /* rows of a transpose, or elements of a line, that a kernel is given at a time */
    int64_t blocks; /* of these in one transpose or line */
    int64_t calls;  /* kernel calls: the product of the outer axes, times `blocks` */
    int64_t calls_a_chunk;
    bool stream; /* results go past the caches */
} plan;

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

/* Axes of more than one element, largest output stride first. */
static void sort_axes(plan *p, const em__copy_layout *layout)
{
    int64_t size = (int64_t)layout->size;
    for (int i = 0; i < layout->rank; i++) {
        if (layout->dims[i] == 1)
            continue;
        axis a = {layout->dims[i], layout->out_strides[i] * size, layout->in_strides[i] * size};
        int at = p->rank++;
        for (; at > 0 && magnitude(p->axes[at - 1].out) < magnitude(a.out); at--)
            p->axes[at] = p->axes[at - 1];
        p->axes[at] = a;
    }
}

/* An axis that continues where the next one ends, on both sides, becomes one with it. */
static void merge_axes(plan *p)
{
    int rank = 0;
    for (int i = 0; i < p->rank; i++) {
        axis a = p->axes[i];
        axis *above = rank ? &p->axes[rank - 1] : NULL;
        if (above && above->out == a.out * a.n && above->in == a.in * a.n) {
            above->n *= a.n;
            above->out = a.out;
            above->in = a.in;
        } else {
            p->axes[rank++] = a;
        }
    }
    p->rank = rank;
}

/* If the output's lines run along one axis and the input's along another, those two are moved to the end. */
static void find_transpose(plan *p)
{
    int64_t size = (int64_t)p->size;
    const axis last = p->rank ? p->axes[p->rank - 1] : (axis){1, size, size};
    if (last.out != size || last.in == size || last.in == 0)
        return;
    for (int i = 0; i < p->rank - 1; i++) {
        if (p->axes[i].in != size)
            continue;
        axis rows = p->axes[i];
        for (int j = i; j < p->rank - 2; j++)
            p->axes[j] = p->axes[j + 1];
        p->axes[p->rank - 2] = rows;
        p->transpose = true;
        return;
    }
}

static void cut(plan *p)
{
    const axis *cut_axis = &p->axes[p->rank - (p->transpose ? 2 : 1)];
    int64_t size = (int64_t)p->size, bytes = p->axes[p->rank - 1].n * size * TRANSPOSE_ROWS;
    p->outer = p->rank - (p->transpose ? 2 : 1);
    p->block = p->transpose ? TRANSPOSE_ROWS : CHUNK_BYTES / size;
    p->blocks = (cut_axis->n + p->block - 1) / p->block;
    p->calls = p->blocks;
    for (int i = 0; i < p->outer; i++)
        p->calls *= p->axes[i].n;
    if (!p->transpose)
        bytes = (cut_axis->n < p->block ? cut_axis->n : p->block) * size;
    p->calls_a_chunk = bytes < CHUNK_BYTES ? CHUNK_BYTES / bytes : 1;
}

static void run_call(const plan *p, uint8_t *out, const uint8_t *in, int64_t block)
{
    const axis *line = &p->axes[p->rank - 1], *along = p->transpose ? line - 1 : line;
    int64_t size = (int64_t)p->size, from = block * p->block;
    size_t count = (size_t)(along->n - from < p->block ? along->n - from : p->block);
    out += from * along->out;
    in += from * along->in;
    if (p->transpose)
        p->kernels->transpose[p->log_size](out, along->out / size, in, line->in / size, count, (size_t)line->n,
                                           p->stream);
    else if (line->out == size && line->in == size)
        memcpy(out, in, count * p->size);
    else
        p->kernels->line[p->log_size](out, line->out / size, in, line->in / size, count);
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const plan *p = context;
    int64_t call = chunk * p->calls_a_chunk, end = call + p->calls_a_chunk, index[EM__COPY_RANK] = {0};
    end = end < p->calls ? end : p->calls;
    int64_t rest = call / p->blocks, block = call % p->blocks;
    uint8_t *out = p->out;
    const uint8_t *in = p->in;
    for (int i = p->outer - 1; i >= 0; i--) {
        index[i] = rest % p->axes[i].n;
        rest /= p->axes[i].n;
        out += index[i] * p->axes[i].out;
        in += index[i] * p->axes[i].in;
    }
    for (; call < end; call++) {
        run_call(p, out, in, block);
        if (++block < p->blocks)
            continue;
        block = 0;
        for (int i = p->outer - 1; i >= 0; i--) {
            out += p->axes[i].out;
            in += p->axes[i].in;
            if (++index[i] < p->axes[i].n)
                break;
            out -= p->axes[i].n * p->axes[i].out;
            in -= p->axes[i].n * p->axes[i].in;
            index[i] = 0;
        }
    }
}

static void run_plan(em__pool *pool, plan *p)
{
    cut(p);
    int64_t bytes = (int64_t)p->size;
    for (int i = 0; i < p->rank; i++)
        bytes *= p->axes[i].n;
    p->stream = 2 * (size_t)bytes >= em__cpu_get()->l3;
    if (!pool || bytes <= SERIAL_BYTES) {
        p->calls_a_chunk = p->calls;
        run_chunk(p, 0, 0);
        return;
    }
    em__pool_run(pool, run_chunk, p, (p->calls + p->calls_a_chunk - 1) / p->calls_a_chunk);
}

void em__copy_run(const em__copy *kernels, em__pool *pool, void *out, const void *in, const em__copy_layout *layout)
{
    plan p = {.kernels = kernels, .out = out, .in = in, .size = layout->size};
    p.log_size = __builtin_ctzll(layout->size);
    for (int i = 0; i < layout->rank; i++)
        if (layout->dims[i] <= 0)
            return;
    sort_axes(&p, layout);
    merge_axes(&p);
    if (p.rank == 0)
        p.axes[p.rank++] = (axis){1, (int64_t)p.size, (int64_t)p.size};
    find_transpose(&p);
    run_plan(pool, &p);
}

void em__copy_fill(const em__copy *kernels, em__pool *pool, void *out, const void *value, size_t size, size_t n)
{
    em__copy_layout layout = {.rank = 1, .size = size, .dims = {(int64_t)n}, .out_strides = {1}, .in_strides = {0}};
    em__copy_run(kernels, pool, out, value, &layout);
}
