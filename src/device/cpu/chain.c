/* FUSED_CHAIN: which ops may be in one, how the work is cut, where registers stand. Tiles run in chain_run.c. */
#include "device/cpu/chain.h"

#include <string.h>

#include "core/whole.h"
#include "device/chain.h"

#define TILE_BYTES 6144   /* of a register of the widest dtype */
#define LONG_ROW 512      /* columns from which a row is a unit of its own */
#define SERIAL 16384      /* steps x elements up to which the caller does it alone */
#define CHUNK_STEPS 65536 /* steps x elements that one worker takes at a time, about */
#define STREAM_WORK 12    /* heavier chains compute more than they move: plain stores do */
#define WAITING_WORK 8    /* from which memory would wait for arithmetic, tile by tile: */
#define AHEAD 4096        /* so operands are asked for this far ahead, */
#define AHEAD_TILE 256    /* by short tiles, or what is on its way fills the line buffers */

bool em__cpu_chains(em_device *device, em__op op, em_dtype from, em_dtype to)
{
    const em__cpu *cpu = em__cpu_of(device);
    em__reduce_op reduce;
    if (em_dtype_get_kind(from) == EM_KIND_COMPLEX || em_dtype_get_kind(to) == EM_KIND_COMPLEX)
        return false; /* elements are spread by 1, 2, 4 or 8 bytes */
    if (op == EM__OP_CAST)
        return cpu->cast->fn[from][to] != NULL;
    if (op == EM__OP_SELECT)
        return cpu->elementwise->select[from] != NULL;
    if (em__cpu_reduce_op(op, &reduce))
        return (from == to || reduce >= EM__REDUCE_ALL) && cpu->reduce->row[reduce][from] != NULL;
    return em__cpu_unary(cpu, op, from) || em__cpu_binary(cpu, op, from);
}

/* The shape folded: axes over which all operands step evenly are one. Innermost first, strides in elements. */
typedef struct folded {
    int rank;
    int64_t dims[EM_MAX_RANK];
    int64_t strides[EM__CHAIN_OPERANDS][EM_MAX_RANK];
} folded;

/* Folds axes [from, to) behind what is there; only they join each other. */
static void fold_axes(folded *f, const em__tensor *in, int n_in, const em__spec *full, int from, int to)
{
    int floor = f->rank;
    for (int d = to - 1; d >= from; d--) {
        int64_t dim = full->dims[d];
        bool joins = f->rank > floor;
        if (dim == 1)
            continue;
        for (int i = 0; i < n_in && joins; i++)
            joins = in[i].strides[d] == f->strides[i][f->rank - 1] * f->dims[f->rank - 1];
        if (joins) {
            f->dims[f->rank - 1] *= dim;
            continue;
        }
        f->dims[f->rank] = dim;
        for (int i = 0; i < n_in; i++)
            f->strides[i][f->rank] = in[i].strides[d];
        f->rank++;
    }
}

/* Axis 0 is the columns. With reductions these are what they reduce, one axis: *even is false when they will not fold
 * into one as the operands lie. */
static folded fold(const em__call *call, const em__chain *chain, bool *even)
{
    folded f = {.rank = 0};
    em__tensor in[EM__CHAIN_OPERANDS];
    int split = chain->n_axes ? chain->full.rank - chain->n_axes : 0;
    for (int i = 0; i < call->n_in; i++)
        in[i] = em__tensor_broadcast(&call->in[i], &chain->full);
    fold_axes(&f, in, call->n_in, &chain->full, split, chain->full.rank);
    *even = !chain->n_axes || f.rank <= 1;
    if (f.rank == 0)
        f.dims[f.rank++] = 1;
    fold_axes(&f, in, call->n_in, &chain->full, 0, split);
    return f;
}

static em__chain_operand describe(const em__tensor *in, const folded *f, int i)
{
    em__chain_operand o = {.data = in->data, .size = (int)em_dtype_size(in->spec.dtype)};
    bool even = true, constant = true;
    int64_t step = f->dims[0];
    for (int d = 1; d < f->rank; d++) {
        o.strides[d - 1] = f->strides[i][d] * o.size;
        even &= f->strides[i][d] == step;
        constant &= f->strides[i][d] == 0;
        step *= f->dims[d];
    }
    if (f->strides[i][0] == 0 && f->dims[0] > 1)
        o.layout = constant ? EM__CHAIN_SCALAR : EM__CHAIN_BY_COLUMN;
    else
        o.layout = even ? EM__CHAIN_EVEN : EM__CHAIN_BY_ROW;
    return o;
}

/* n columns in equal parts of at most `most`, whole vectors each. */
static int64_t part_of(int64_t n, int64_t most)
{
    int64_t parts = (n + most - 1) / most;
    return parts <= 1 ? n : em__round_up(em__div_up(n, parts), 64);
}

/* The chain's arithmetic in plain steps; what goes through a polynomial counts as eight. */
static int work_of(const em__chain *c)
{
    int work = 0;
    for (int i = 0; i < c->n_steps; i++) {
        em__op op = c->steps[i].op;
        bool plain = c->steps[i].n_in > 1 || op == EM__OP_CAST || op == EM__OP_NEG || op == EM__OP_ABS;
        work += plain && op != EM__OP_POW && op != EM__OP_REMAINDER && op != EM__OP_ATAN2 ? 1 : 8;
    }
    return work;
}

/* Rows and columns become units, tiles and chunks; the registers get their places. The bytes of scratch. */
static size_t lay_out(em__chain_job *j)
{
    const em__chain *c = &j->chain;
    int64_t most = TILE_BYTES / c->width < 2048 ? TILE_BYTES / c->width : 2048;
    most = j->ahead ? AHEAD_TILE : most;
    bool wide = j->columns > most || j->rows == 1 || j->columns >= LONG_ROW;
    j->block = wide ? 1 : most / (j->columns ? j->columns : 1);
    j->block = j->block < j->rows ? j->block : j->rows;
    j->tile = wide ? part_of(j->columns, most) : j->columns;
    j->piece = wide && !c->n_axes ? j->tile : j->columns;
    j->pieces = (j->columns + j->piece - 1) / j->piece;
    j->units = (j->rows + j->block - 1) / j->block * j->pieces;
    int64_t elements = j->block * j->piece * c->n_steps;
    j->chunk = CHUNK_STEPS / (elements ? elements : 1);
    j->chunk = j->chunk < 1 ? 1 : j->chunk;
    if (j->rows * j->columns * c->n_steps <= SERIAL)
        j->chunk = j->units;
    /* Registers must not all fall into the same sets of L1. */
    j->local_step = em__align64((size_t)(j->block * j->tile * c->width)) + 1088;
    j->wide_step = em__align64((size_t)(j->block * j->columns * c->width)) + 1088;
    j->thin_step = em__align64((size_t)(j->block * c->width));
    j->wide = (size_t)c->n_local * j->local_step;
    j->thin = j->wide + (size_t)c->n_wide * j->wide_step;
    j->spare = j->thin + (size_t)c->n_thin * j->thin_step;
    return j->spare + 3 * j->local_step;
}

static size_t set_up(em__chain_job *j, em__cpu *cpu, const em__call *call, const folded *f)
{
    j->cpu = cpu;
    j->n_in = call->n_in;
    j->rank = f->rank - 1;
    j->columns = f->dims[0];
    j->rows = 1;
    for (int d = 1; d < f->rank; d++) {
        j->dims[d - 1] = f->dims[d];
        j->rows *= f->dims[d];
    }
    for (int i = 0; i < call->n_in; i++)
        j->operands[i] = describe(&call->in[i], f, i);
    const int work = work_of(&j->chain);
    j->stream =
        em__spec_bytes(&call->out.spec) * 2 >= cpu->elementwise->stream_from && !j->chain.n_axes && work <= STREAM_WORK;
    j->ahead = j->stream && work >= WAITING_WORK ? AHEAD : 0;
    return lay_out(j);
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    const em__chain_job *j = context;
    int64_t from = chunk * j->chunk, to = from + j->chunk;
    em__chain_run(j, from, to < j->units ? to : j->units, em__pool_scratch(j->cpu->pool, worker));
}

static em_status run_chain(em_device *device, const em__call *call)
{
    em__chain_job j;
    bool even;
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    em__chain_of(call, &j.chain);
    folded f = fold(call, &j.chain, &even);
    set_up(&j, em__cpu_of(device), call, &f);
    em__chain_bind(&j);
    j.out = call->out.data;
    em__pool_run(j.cpu->pool, run_chunk, &j, (j.units + j.chunk - 1) / j.chunk);
    return EM_OK;
}

/* Whether a reduction reads the operand itself. */
static bool reduced(const em__chain *chain, int operand)
{
    for (int i = 0; i < chain->n_steps; i++)
        if (chain->steps[i].reduces && chain->steps[i].in[0] == operand)
            return true;
    return false;
}

bool em__cpu_prepare_chain(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em__chain_job j;
    bool even;
    if (call->op != EM__OP_FUSED_CHAIN)
        return false;
    em__chain_of(call, &j.chain);
    for (int i = 0; i < j.chain.n_steps; i++)
        if (!em__cpu_chains(&cpu->device, j.chain.steps[i].op, j.chain.steps[i].from, j.chain.steps[i].to))
            return false;
    folded f = fold(call, &j.chain, &even);
    *plan = (em__plan){.kernel = run_chain};
    for (int i = 0; i < call->n_in && even; i++) {
        int64_t step = f.strides[i][0];
        if (f.dims[0] == 1 || step == 1 || (step == 0 && !reduced(&j.chain, i)))
            plan->strided |= (uint64_t)1 << i;
    }
    plan->workers = set_up(&j, cpu, call, &f);
    return true;
}
