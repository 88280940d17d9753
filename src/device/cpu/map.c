/*
 * Elementwise ops on the cpu. Axes over which all operands step evenly are folded together; the innermost run goes to a
 * kernel of elementwise.h, the outer axes are walked here. One run covering everything (the common case) goes to its
 * parallel driver.
 */
#include "core/error.h"
#include "device/cpu/cpu.h"

#define MOST_OPERANDS 3
#define CHUNK 16384 /* elements that one worker takes at a time */

/* The op's row in elementwise_ops.def plus 1; 0 for none. */
static const signed char unary_row[EM__OP_COUNT] = {
#define EM__UNARY_ANY(NAME, name) [EM__OP_##NAME] = EM__UNARY_##NAME + 1,
#define EM__UNARY_FLOAT(NAME, name) [EM__OP_##NAME] = EM__UNARY_##NAME + 1,
#define EM__UNARY_INT(NAME, name) [EM__OP_##NAME] = EM__UNARY_##NAME + 1,
#define EM__UNARY_TEST(NAME, name) [EM__OP_##NAME] = EM__UNARY_##NAME + 1,
#define EM__UNARY_COMPLEX(NAME, name) [EM__OP_##NAME] = EM__UNARY_##NAME + 1,
#include "device/cpu/elementwise_ops.def"
};

static const signed char binary_row[EM__OP_COUNT] = {
#define EM__BINARY_ANY(NAME, name) [EM__OP_##NAME] = EM__BINARY_##NAME + 1,
#define EM__BINARY_FLOAT(NAME, name) [EM__OP_##NAME] = EM__BINARY_##NAME + 1,
#define EM__BINARY_INT(NAME, name) [EM__OP_##NAME] = EM__BINARY_##NAME + 1,
#define EM__BINARY_TEST(NAME, name) [EM__OP_##NAME] = EM__BINARY_##NAME + 1,
#define EM__BINARY_PARTS(NAME, name) [EM__OP_##NAME] = EM__BINARY_##NAME + 1,
#include "device/cpu/elementwise_ops.def"
};

/* Shape and strides after folding, innermost axis first. Strides in elements. */
typedef struct folded {
    int rank;
    int64_t dims[EM_MAX_RANK];
    int64_t strides[MOST_OPERANDS][EM_MAX_RANK];
} folded;

/* All operands as the result is: one run, whatever the shape. What most calls are, and the cheapest to see. */
static bool is_flat(const em__call *call)
{
    bool flat = true;
    for (int i = 0; i < call->n_in && flat; i++)
        flat = em__tensor_is_contiguous(&call->in[i]);
    return flat;
}

static folded fold(const em__call *call)
{
    folded f; /* large: only what is used is written */
    f.rank = 0;
    for (int i = 0; i < MOST_OPERANDS; i++)
        f.strides[i][0] = 0;
    for (int d = call->out.spec.rank - 1; d >= 0; d--) {
        int64_t dim = call->out.spec.dims[d];
        bool joins = f.rank > 0;
        if (dim == 1)
            continue;
        for (int i = 0; i < call->n_in && joins; i++)
            joins = call->in[i].strides[d] == f.strides[i][f.rank - 1] * f.dims[f.rank - 1];
        if (joins) {
            f.dims[f.rank - 1] *= dim;
            continue;
        }
        f.dims[f.rank] = dim;
        for (int i = 0; i < call->n_in; i++)
            f.strides[i][f.rank] = call->in[i].strides[d];
        f.rank++;
    }
    if (f.rank == 0)
        f.dims[f.rank++] = 1;
    return f;
}

/* Which operands are one scalar over the innermost run. */
static em__mode mode_of(const folded *f, int first)
{
    int mode = f->strides[first][0] == 0 ? EM__SCALAR_A : 0;
    return (em__mode)(mode | (f->strides[first + 1][0] == 0 ? EM__SCALAR_B : 0));
}

typedef struct map {
    em__cpu *cpu;
    const em__call *call;
    folded f;
    int64_t rows, rows_per_chunk;
} map;

/* The drivers know what to do with f8. */
static void run_driver(const map *m, em__pool *pool, void *out, const void *const *in, size_t n)
{
    const em__call *call = m->call;
    const em__elementwise *k = m->cpu->elementwise;
    em_dtype dtype = call->in[call->n_in - 1].spec.dtype;
    if (call->op == EM__OP_SELECT)
        em__elementwise_select(k, pool, dtype, out, in[0], in[1], in[2], n, mode_of(&m->f, 1));
    else if (call->n_in == 1)
        em__elementwise_unary(k, pool, (em__unary_op)(unary_row[call->op] - 1), dtype, out, in[0], n);
    else
        em__elementwise_binary(k, pool, (em__binary_op)(binary_row[call->op] - 1), dtype, out, in[0], in[1], n,
                               mode_of(&m->f, 0));
}

static void run_span(const map *m, void *out, const void *const *in, size_t n)
{
    const em__call *call = m->call;
    const em__elementwise *k = m->cpu->elementwise;
    em_dtype dtype = call->in[call->n_in - 1].spec.dtype;
    if (em__elementwise_by(dtype) != dtype)
        run_driver(m, NULL, out, in, n);
    else if (call->op == EM__OP_SELECT)
        k->select[dtype](out, in[0], in[1], in[2], n, mode_of(&m->f, 1));
    else if (call->n_in == 1)
        k->unary[unary_row[call->op] - 1][dtype](out, in[0], n);
    else
        k->binary[binary_row[call->op] - 1][dtype](out, in[0], in[1], n, mode_of(&m->f, 0));
}

static void run_rows(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const map *m = context;
    const em__call *call = m->call;
    int64_t first = chunk * m->rows_per_chunk, end = first + m->rows_per_chunk;
    size_t out_size = em_dtype_size(call->out.spec.dtype);
    for (int64_t row = first; row < (end < m->rows ? end : m->rows); row++) {
        const void *in[MOST_OPERANDS];
        int64_t offsets[MOST_OPERANDS] = {0}, rest = row;
        for (int d = 1; d < m->f.rank; d++) {
            for (int i = 0; i < call->n_in; i++)
                offsets[i] += rest % m->f.dims[d] * m->f.strides[i][d];
            rest /= m->f.dims[d];
        }
        for (int i = 0; i < call->n_in; i++)
            in[i] = (const char *)call->in[i].data + offsets[i] * (int64_t)em_dtype_size(call->in[i].spec.dtype);
        run_span(m, (char *)call->out.data + row * m->f.dims[0] * (int64_t)out_size, in, (size_t)m->f.dims[0]);
    }
}

static void run_whole(const map *m, size_t n)
{
    const void *in[MOST_OPERANDS];
    for (int i = 0; i < m->call->n_in; i++)
        in[i] = m->call->in[i].data;
    run_driver(m, m->cpu->pool, m->call->out.data, in, n);
}

static em_status run_flat(em_device *device, const em__call *call)
{
    map m;
    m.cpu = em__cpu_of(device);
    m.call = call;
    for (int i = 0; i < MOST_OPERANDS; i++)
        m.f.strides[i][0] = 1;
    size_t n = (size_t)em__spec_size(&call->out.spec);
    if (n)
        run_whole(&m, n);
    return EM_OK;
}

static em_status run_map(em_device *device, const em__call *call)
{
    map m;
    m.cpu = em__cpu_of(device);
    m.call = call;
    m.f = fold(call);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    if (m.f.rank == 1) {
        run_whole(&m, (size_t)m.f.dims[0]);
        return EM_OK;
    }
    m.rows = 1;
    for (int d = 1; d < m.f.rank; d++)
        m.rows *= m.f.dims[d];
    m.rows_per_chunk = m.f.dims[0] >= CHUNK ? 1 : (CHUNK + m.f.dims[0] - 1) / m.f.dims[0];
    em__pool_run(m.cpu->pool, run_rows, &m, (m.rows + m.rows_per_chunk - 1) / m.rows_per_chunk);
    return EM_OK;
}

static bool has_kernel(const em__elementwise *k, const em__call *call)
{
    em_dtype dtype = call->n_in ? call->in[call->n_in - 1].spec.dtype : EM_PRED;
    if (call->op == EM__OP_SELECT)
        return k->select[dtype] != NULL;
    dtype = em__elementwise_by(dtype);
    if (call->n_in == 1 && unary_row[call->op])
        return k->unary[unary_row[call->op] - 1][dtype] != NULL;
    return call->n_in == 2 && binary_row[call->op] && k->binary[binary_row[call->op] - 1][dtype] != NULL;
}

bool em__cpu_prepare_map(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if (!(em__op_get(call->op)->traits & EM__TRAIT_ELEMENTWISE) || !has_kernel(cpu->elementwise, call))
        return false;
    plan->inplace = ((uint64_t)1 << call->n_in) - 1; /* each element is read before it is written */
    if (is_flat(call)) {
        plan->kernel = run_flat;
        return true;
    }
    folded f = fold(call);
    plan->kernel = run_map;
    for (int i = 0; i < call->n_in; i++) {
        int64_t step = f.strides[i][0];
        bool condition = call->op == EM__OP_SELECT && i == 0; /* has no scalar form */
        bool single = f.dims[0] == 1;
        if (single || step == 1 || (step == 0 && !condition && call->n_in > 1))
            plan->strided |= (uint64_t)1 << i;
    }
    return true;
}

em__gemm_activation em__cpu_activation(const em__cpu *cpu, em__op op)
{
    return unary_row[op] ? cpu->elementwise->unary[unary_row[op] - 1][EM_F32] : NULL;
}

em__unary_fn em__cpu_unary(const em__cpu *cpu, em__op op, em_dtype dtype)
{
    return unary_row[op] ? cpu->elementwise->unary[unary_row[op] - 1][dtype] : NULL;
}

em__binary_fn em__cpu_binary(const em__cpu *cpu, em__op op, em_dtype dtype)
{
    return binary_row[op] ? cpu->elementwise->binary[binary_row[op] - 1][dtype] : NULL;
}
