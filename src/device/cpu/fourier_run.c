/*
 * One complex transform by its plan: as a column, as two passes of columns, or as a convolution. Workers take whole
 * blocks of columns, so that results do not depend on their number.
 */
#include <string.h>

#include "core/block.h"
#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/fourier.h"

#define POINTWISE ((int64_t)1 << 14) /* elements of a product that a worker does at a time */

static int64_t blocks_of(int64_t n, int lanes)
{
    return (n + lanes - 1) / lanes;
}

static size_t complex_bytes(const em__fft_plan *plan, int64_t n)
{
    return em__align64((size_t)n * (plan->wide ? 16 : 8));
}

size_t em__fft_scratch(const em__fft_plan *plan)
{
    const em__fft_shape *s = &plan->shape;
    int lanes = em__fft_kernels_get(plan->wide)->lanes;
    if (s->smooth)
        return 2 * complex_bytes(plan, s->smooth) + em__fft_scratch(plan->part);
    return s->n2 > 1 ? complex_bytes(plan, blocks_of(s->n1, lanes) * lanes * s->n2) : 0;
}

size_t em__fft_workspace(const em__fft_plan *plan)
{
    const em__fft_shape *s = &plan->shape;
    int lanes = em__fft_kernels_get(plan->wide)->lanes;
    if (s->smooth)
        return em__fft_workspace(plan->part);
    return 2 * complex_bytes(plan, (s->n1 > s->n2 ? s->n1 : s->n2) * lanes);
}

typedef struct passes {
    const em__fft_plan *plan;
    const em__fft_kernels *kernels;
    const em__fft_place *place;
    const char *in;
    char *out;
    bool swap;
    double scale;
    size_t size; /* bytes of a complex number */
} passes;

static void *workspace(const passes *p, int worker)
{
    return p->place->pool ? em__pool_scratch(p->place->pool, worker) : p->place->workspace;
}

/* Columns of n1: a block of neighbouring ones. */
static void first_pass(void *context, int64_t block, int worker)
{
    const passes *p = context;
    const em__fft_shape *s = &p->plan->shape;
    int lanes = p->kernels->lanes;
    int64_t from = block * lanes, left = s->n2 - from, row = s->n1 * lanes;
    int count = left < lanes ? (int)left : lanes;
    char *x = workspace(p, worker), *y = x + complex_bytes(p->plan, row);
    p->kernels->load(x, p->in + (size_t)from * p->size, s->n2, s->n1, count, p->swap);
    void *done = p->kernels->column(&p->plan->first, x, y);
    p->kernels->turn(p->place->scratch + (size_t)(from * lanes) * p->size, 2 * s->n2 * lanes, done,
                     (const char *)p->plan->twiddles + (size_t)(block * row) * p->size, s->n1, count);
}

/* Columns of n2, a block of lanes of the first pass's results. */
static void second_pass(void *context, int64_t block, int worker)
{
    const passes *p = context;
    const em__fft_shape *s = &p->plan->shape;
    int lanes = p->kernels->lanes;
    int64_t from = block * lanes, left = s->n1 - from;
    void *done = p->kernels->column(&p->plan->second, p->place->scratch + (size_t)(from * s->n2) * p->size,
                                    workspace(p, worker));
    p->kernels->store(p->out + (size_t)from * p->size, s->n1, done, s->n2, left < lanes ? (int)left : lanes, p->swap,
                      p->scale);
}

static void divided(passes *p)
{
    const em__fft_shape *s = &p->plan->shape;
    em__pool_run(p->place->pool, first_pass, p, blocks_of(s->n2, p->kernels->lanes));
    em__pool_run(p->place->pool, second_pass, p, blocks_of(s->n1, p->kernels->lanes));
}

static void one_column(const passes *p)
{
    int64_t n = p->plan->shape.n;
    char *x = workspace(p, 0), *y = x + complex_bytes(p->plan, n * p->kernels->lanes);
    p->kernels->load(x, p->in, 1, n, 1, p->swap);
    void *done = p->kernels->column(&p->plan->first, x, y);
    p->kernels->store(p->out, 1, done, n, 1, p->swap, p->scale);
}

typedef struct product {
    const em__fft_kernels *kernels;
    char *out;
    const char *a, *b;
    int64_t n;
    size_t size;
    bool swap, swap_out;
    double scale;
} product;

static void product_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const product *p = context;
    int64_t from = chunk * POINTWISE, left = p->n - from;
    size_t at = (size_t)from * p->size;
    p->kernels->multiply(p->out + at, p->a + at, p->b + at, left < POINTWISE ? left : POINTWISE, p->swap, p->swap_out,
                         p->scale);
}

static void multiply(em__pool *pool, product p)
{
    em__pool_run(pool, product_chunk, &p, (p.n + POINTWISE - 1) / POINTWISE);
}

/* Bluestein: j k = (j^2 + k^2 - (k - j)^2) / 2 makes a transform a convolution with a chirp. */
static void convolution(const passes *p)
{
    const em__fft_plan *plan = p->plan;
    int64_t n = plan->shape.n, m = plan->shape.smooth;
    size_t bytes = complex_bytes(plan, m);
    em__pool *pool = p->place->pool;
    em__fft_place place = *p->place;
    char *a = place.scratch, *b = a + bytes;
    place.scratch = b + bytes;
    multiply(pool, (product){p->kernels, a, p->in, plan->chirp, n, p->size, p->swap, false, 1});
    memset(a + (size_t)n * p->size, 0, (size_t)(m - n) * p->size);
    em__fft_run(plan->part, a, b, false, 1, &place);
    multiply(pool, (product){p->kernels, b, b, plan->kernel, m, p->size, false, false, 1});
    em__fft_run(plan->part, b, a, true, 1, &place);
    multiply(pool, (product){p->kernels, p->out, a, plan->chirp, n, p->size, false, p->swap, p->scale});
}

void em__fft_run(const em__fft_plan *plan, const void *in, void *out, bool inverse, double scale,
                 const em__fft_place *place)
{
    /* The inverse is the transform with real and imaginary parts exchanged, before and after. */
    passes p = {plan, em__fft_kernels_get(plan->wide), place, in, out, inverse, scale, plan->wide ? 16 : 8};
    if (plan->shape.smooth)
        convolution(&p);
    else if (plan->shape.n2 > 1)
        divided(&p);
    else
        one_column(&p);
}

em_status em__fft_alone(const em__fft_plan *plan, void *data)
{
    size_t work = em__align64(em__fft_workspace(plan)), scratch = em__align64(em__fft_scratch(plan));
    size_t size = complex_bytes(plan, plan->shape.n), bytes = work + scratch + size;
    char *memory = em__block_alloc(bytes);
    if (!memory)
        return EM_ERROR_OUT_OF_MEMORY;
    em__fft_place place = {NULL, memory, memory + work};
    char *copy = memory + work + scratch;
    memcpy(copy, data, (size_t)plan->shape.n * (plan->wide ? 16 : 8));
    em__fft_run(plan, copy, data, false, 1, &place);
    em__block_free(memory, bytes);
    return EM_OK;
}
