/*
 * Merged calls: products by packed weights and norms treat each row alone. So a thread carries a block of rows through
 * several such calls while it is in its cache, and the threads meet behind the last call, not behind each.
 *
 * Kernels are called as always, on fewer rows: a row's bits depend on nothing but the row and the weights. What an
 * activation leaves for the next product alone has no use outside the block: each thread keeps it in one place, in the
 * rows of the call's own memory that its first block would take; on matrix units such products run as a pair, which
 * leaves nothing, on larger blocks. Of rows that are too few to give every thread a block, the calls run one after
 * another.
 */
#include <stdatomic.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/checked.h"
#include "device/cpu/cpu.h"
#include "device/cpu/dot.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_pair.h"

#define MOST_CALLS 64
#define MOST_OPERANDS 8
#define LEAST_ROWS 64  /* of a thread, from which blocks are worth it */
#define BLOCK_ROWS 112 /* most of a block: with four times as many columns between two products they stay in L2, */
#define SPLIT_ROWS 64  /* and where products cut them into thirds */
#define UNIT 16        /* rows; blocks are multiples of it, but for the last one */

/* Of the weights of all calls, which each block reads anew: they come from the third cache. */
#define WEIGHT_BYTES ((int64_t)16 << 20)

typedef struct carry {
    em_device *device;
    em__cpu *cpu;
    em__call *const *calls; /* ends with NULL */
    em__kernel_fn first;    /* the kernel of the first call alone */
    int64_t rows, blocks, slot;
    bool keep; /* what stays within a block lies in the thread's slot */
    atomic_int status;
} carry;

static int64_t columns_of(const em__tensor *t)
{
    return t->spec.rank > 0 ? t->spec.dims[t->spec.rank - 1] : 0;
}

static int64_t rows_of(const em__tensor *t)
{
    const int64_t columns = columns_of(t);
    return columns > 0 ? em__spec_size(&t->spec) / columns : 0;
}

static bool is_product(const em__call *call)
{
    return call->op == EM__OP_FUSED_LINEAR;
}

/* Whether operand i has a row for each row of the result. */
static bool has_rows(const em__call *call, int i)
{
    if (i == 0)
        return true;
    if (is_product(call))
        return call->ints[1] & 2 && i == 2 + (int)(call->ints[1] & 1);
    return call->op == EM__OP_FUSED_LAYER_NORM && i == 1;
}

static bool takes_rows(const em__call *call)
{
    const bool norm =
        call->op == EM__OP_LAYER_NORM || call->op == EM__OP_RMS_NORM || call->op == EM__OP_FUSED_LAYER_NORM;
    if ((!norm && !(is_product(call) && call->packed)) || call->n_in > MOST_OPERANDS || call->out.spec.rank < 2)
        return false;
    for (int i = 0; i < call->n_in; i++) {
        const em__tensor *t = &call->in[i];
        if (t->spec.dtype != EM_F32)
            return false;
        if (has_rows(call, i) ? rows_of(t) != rows_of(&call->out) || !em__tensor_is_contiguous(t)
                              : !(call->constant >> i & 1))
            return false;
    }
    return call->out.spec.dtype == EM_F32;
}

/* What this product's activation leaves is read by the next call, a product, as its rows, and by nothing else there; it
 * is not written over an operand, whose rows other threads may still want. */
static bool hands_over(const em__call *call, const em__call *next)
{
    if (!next || !is_product(call) || call->ints[0] == EM__OP_COPY || !is_product(next) ||
        next->in[0].data != call->out.data || columns_of(&next->in[0]) != columns_of(&call->out))
        return false;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i].data == call->out.data)
            return false;
    for (int i = 1; i < next->n_in; i++)
        if (next->in[i].data == call->out.data)
            return false;
    return true;
}

/* Most rows for which this call and the next one run as a pair (gemm_pair.h); 0: they do not. */
static int64_t pair_rows(const em__call *call, const em__call *next)
{
    if (!hands_over(call, next) || call->ints[1] & 2 || next->ints[0] != EM__OP_COPY)
        return 0;
    const em__gemm_kernels *kernels = em__cpu_linear_kernels(call);
    return kernels->split && kernels == em__cpu_linear_kernels(next)
               ? em__gemm_pair_rows(columns_of(&call->in[0]), columns_of(&next->out))
               : 0;
}

/* Whether the two share memory row by row, or none: a thread that has come to a row touches no other one's. */
static bool agree(const em__tensor *a, const em__tensor *b)
{
    const uintptr_t from = (uintptr_t)a->data, at = (uintptr_t)b->data;
    return (from == at && columns_of(a) == columns_of(b)) || from + em__spec_bytes(&a->spec) <= at ||
           at + em__spec_bytes(&b->spec) <= from;
}

/* Whether the call can run on some rows while others are still behind, in the call before. */
static bool follows(const em__call *call, const em__call *before)
{
    bool fine = agree(&call->out, &before->out);
    for (int i = 0; i < call->n_in; i++)
        fine = fine && (!has_rows(call, i) || agree(&call->in[i], &before->out));
    for (int i = 0; i < before->n_in; i++)
        fine = fine && (!has_rows(before, i) || agree(&before->in[i], &call->out));
    return fine;
}

static void as_rows(em__tensor *t, int64_t row, int64_t rows)
{
    const int64_t columns = columns_of(t);
    t->data = (char *)t->data + row * columns * (int64_t)sizeof(float);
    t->spec.rank = 2;
    t->spec.dims[0] = rows;
    t->spec.dims[1] = columns;
    em__tensor_contiguous(t);
}

/* Call `index` on the rows; where it is handed over, `slot` is where the result, or operand 0, begins. */
static em__call part_of(const carry *c, int index, int64_t row, int64_t rows, int64_t slot, em__tensor in[])
{
    em__call *const *at = c->calls + index;
    em__call part = **at;
    const bool gives = c->keep && hands_over(at[0], at[1]), takes = c->keep && index > 0 && hands_over(at[-1], at[0]);
    for (int i = 0; i < part.n_in; i++) {
        in[i] = part.in[i];
        if (has_rows(&part, i))
            as_rows(&in[i], i == 0 && takes ? slot : row, rows);
    }
    part.in = in;
    as_rows(&part.out, gives ? slot : row, rows);
    part.merged = NULL;
    if (index == 0)
        part.kernel = c->first;
    return part;
}

static em_status run_part(const carry *c, int index, int64_t row, int64_t rows, int64_t slot)
{
    em__tensor in[MOST_OPERANDS];
    const em__call part = part_of(c, index, row, rows, slot, in);
    return part.kernel(c->device, &part);
}

/* Call `index` and the next one at once; false: they have to run one by one. */
static bool run_pair(const carry *c, int index, int64_t row, int64_t rows, int worker)
{
    em__call *const *at = c->calls + index;
    em__tensor in[2][MOST_OPERANDS];
    if (pair_rows(at[0], at[1]) < rows)
        return false;
    const em__call up = part_of(c, index, row, rows, row, in[0]), down = part_of(c, index + 1, row, rows, row, in[1]);
    const em__gemm_args first = em__cpu_linear_args(c->cpu, &up), second = em__cpu_linear_args(c->cpu, &down);
    return em__gemm_pair_run(em__cpu_linear_kernels(&up), em__pool_scratch(c->cpu->pool, worker), &first, &second);
}

static int64_t begin_of(const carry *c, int64_t block)
{
    return em__min(c->rows, UNIT * em__gemm_part(em__div_up(c->rows, UNIT), c->blocks, block));
}

static void run_block(void *context, int64_t block, int worker)
{
    carry *c = context;
    const int64_t row = begin_of(c, block), rows = begin_of(c, block + 1) - row;
    for (int i = 0; c->calls[i] && rows > 0; i++)
        if (run_pair(c, i, row, rows, worker))
            i++;
        else if (run_part(c, i, row, rows, worker * c->slot) != EM_OK)
            atomic_store(&c->status, (int)em_last_status());
}

static em_status run_whole(const carry *c)
{
    for (int i = 0; c->calls[i]; i++) {
        em__call call = *c->calls[i];
        call.merged = NULL;
        if (i == 0)
            call.kernel = c->first;
        EM__TRY(em__call_run(c->device, &call));
    }
    return EM_OK;
}

/* Most rows of a block. */
static int64_t most_rows(const carry *c)
{
    int64_t most = 0;
    for (int i = 0; c->calls[i]; i++) {
        const int64_t rows = pair_rows(c->calls[i], c->calls[i + 1]);
        most = rows && (most == 0 || rows < most) ? rows : most;
    }
    if (most >= SPLIT_ROWS)
        return most;
    return em__gemm_kernels_get(c->cpu->level)->split ? SPLIT_ROWS : BLOCK_ROWS;
}

static em_status run_carry(em_device *device, const em__call *call)
{
    em__plan plan;
    carry c = {.device = device, .cpu = em__cpu_of(device), .calls = call->merged, .rows = rows_of(&call->out)};
    const int64_t threads = em__pool_size(c.cpu->pool);
    EM__FAIL_IF(!em__cpu_prepare_any(c.cpu, call, &plan), EM_ERROR_INTERNAL, "%s has no kernel",
                em__op_get(call->op)->name);
    c.first = plan.kernel;
    if (c.rows < threads * LEAST_ROWS || em__debug_flags())
        return run_whole(&c);
    c.blocks = threads * em__div_up(c.rows, threads * most_rows(&c));
    c.slot = UNIT * em__div_up(em__div_up(c.rows, UNIT), c.blocks);
    c.keep = threads * c.slot <= c.rows;
    em__pool_run(c.cpu->pool, run_block, &c, c.blocks);
    const em_status status = (em_status)atomic_load(&c.status);
    EM__FAIL_IF(status != EM_OK, status, "%s: a block of rows failed", em__op_get(call->op)->name);
    return EM_OK;
}

/* Of a product's weights, in f32. */
static int64_t weight_bytes(const em__call *call)
{
    return is_product(call) ? columns_of(&call->in[0]) * columns_of(&call->out) * (int64_t)sizeof(float) : 0;
}

/* Scratch for pairs; false if there is no memory for it. */
static bool reserve_pairs(em__cpu *cpu, const em__merge_call *calls, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        const em__call *call = calls[i].call, *next = calls[i + 1].call;
        if (pair_rows(call, next) > 0 &&
            em__pool_reserve(cpu->pool, em__gemm_pair_bytes(columns_of(&call->in[0]), columns_of(&next->out))) != EM_OK)
            return false;
    }
    return true;
}

size_t em__cpu_merge(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    const int64_t rows = rows_of(&calls[0].call->out);
    size_t count = 0, products = 0;
    int64_t bytes = 0;
    for (; count < n && count < MOST_CALLS && takes_rows(calls[count].call); count++) {
        const em__merge_call *before = count ? &calls[count - 1] : NULL, *at = &calls[count];
        bool fine = rows_of(&at->call->out) == rows;
        for (size_t i = 0; i < count; i++)
            fine = fine && follows(at->call, calls[i].call);
        bytes += weight_bytes(at->call);
        if (!fine || bytes > WEIGHT_BYTES ||
            (before && hands_over(before->call, at->call) && before->last_read > at->index))
            break;
        products += is_product(at->call);
    }
    *kernel = run_carry;
    if (!reserve_pairs(em__cpu_of(device), calls, count))
        return 0;
    return rows >= LEAST_ROWS && count > 1 && products > 0 ? count : 0;
}
