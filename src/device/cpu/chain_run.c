/* The tile interpreter of FUSED_CHAIN. See chain.h. */
#include "device/cpu/chain.h"

#include <string.h>

#define STREAM_BLOCK 1024 /* bytes of results computed before they are copied past the caches */

/* Where a worker stands. */
typedef struct place {
    const em__chain_job *job;
    uint8_t *scratch;
    int64_t row, rows;                   /* the unit's */
    int64_t column, columns;             /* the tile's */
    int64_t at[EM_MAX_RANK];             /* the unit's first row, axis by axis */
    int64_t offsets[EM__CHAIN_OPERANDS]; /* of the unit's first row */
} place;

/* n copies of the element at `from`. */
static void fill(uint8_t *to, const uint8_t *from, int size, int64_t n)
{
    switch (size) {
    case 1: memset(to, *from, (size_t)n); break;
    case 2: {
        uint16_t v, *p = (uint16_t *)(void *)to;
        memcpy(&v, from, 2);
        for (int64_t i = 0; i < n; i++)
            p[i] = v;
        break;
    }
    case 4: {
        uint32_t v, *p = (uint32_t *)(void *)to;
        memcpy(&v, from, 4);
        for (int64_t i = 0; i < n; i++)
            p[i] = v;
        break;
    }
    case 8: {
        uint64_t v, *p = (uint64_t *)(void *)to;
        memcpy(&v, from, 8);
        for (int64_t i = 0; i < n; i++)
            p[i] = v;
        break;
    }
    default: {
        uint64_t v[2], *p = (uint64_t *)(void *)to;
        memcpy(v, from, sizeof v);
        for (int64_t i = 0; i < 2 * n; i++)
            p[i] = v[i % 2];
        break;
    }
    }
}

/* The operand's next row in the odometer `at`; the offset that belongs to it. */
static int64_t next_row(const em__chain_job *j, const em__chain_operand *o, int64_t *at, int64_t offset)
{
    for (int d = 0; d < j->rank; d++) {
        offset += o->strides[d];
        if (++at[d] < j->dims[d])
            break;
        offset -= o->strides[d] * j->dims[d];
        at[d] = 0;
    }
    return offset;
}

/* The operand's rows of this unit, `n` elements each (0: one element, a thin value), one behind the other in `to`. */
static void gather(const place *p, int operand, uint8_t *to, int64_t n)
{
    const em__chain_operand *o = &p->job->operands[operand];
    int64_t at[EM_MAX_RANK], offset = p->offsets[operand];
    memcpy(at, p->at, sizeof at);
    for (int64_t r = 0; r < p->rows; r++) {
        const uint8_t *from = o->data + offset;
        if (n && o->layout >= EM__CHAIN_BY_COLUMN)
            fill(to, from, o->size, n);
        else
            memcpy(to, from, (size_t)((n ? n : 1) * o->size));
        to += (n ? n : 1) * o->size;
        offset = next_row(p->job, o, at, offset);
    }
}

static uint8_t *register_at(const place *p, int value, int size)
{
    const em__chain_job *j = p->job;
    if (value == EM__CHAIN_OUT)
        return j->out + (p->row * j->columns + p->column) * size;
    if (value == EM__CHAIN_OUT_THIN)
        return j->out + p->row * size;
    if (value >= EM__CHAIN_THIN)
        return p->scratch + j->thin + (size_t)(value - EM__CHAIN_THIN) * j->thin_step;
    if (value >= EM__CHAIN_WIDE)
        return p->scratch + j->wide + (size_t)(value - EM__CHAIN_WIDE) * j->wide_step + p->column * size;
    return p->scratch + (size_t)(value - EM__CHAIN_LOCAL) * j->local_step;
}

static uint8_t *spare(const place *p, int i)
{
    return p->scratch + p->job->spare + (size_t)i * p->job->local_step;
}

/* The source over the tile, rows x columns without holes; *scalar: it is one element, if the step can use that. */
static const uint8_t *full_source(const place *p, int value, int size, int slot, bool *scalar)
{
    uint8_t *to = spare(p, slot);
    const uint8_t *from;
    bool wants = *scalar;
    *scalar = false;
    if (value >= EM__CHAIN_THIN) {
        from = register_at(p, value, size);
        for (int64_t r = 0; r < p->rows && p->rows > 1; r++)
            fill(to + r * p->columns * size, from + r * size, size, p->columns);
        if (p->rows > 1)
            return to;
    } else if (value >= EM__CHAIN_LOCAL) {
        return register_at(p, value, size);
    } else {
        const em__chain_operand *o = &p->job->operands[value];
        from = o->data + p->offsets[value];
        if (o->layout == EM__CHAIN_EVEN || (o->layout == EM__CHAIN_BY_ROW && p->rows == 1))
            return from + p->column * size;
        if (o->layout != EM__CHAIN_SCALAR && p->rows > 1) {
            gather(p, value, to, p->columns);
            return to;
        }
    }
    *scalar = wants;
    if (!wants)
        fill(to, from, size, p->rows * p->columns);
    return wants ? from : to;
}

/* The source over the unit's rows, one element a row. */
static const uint8_t *thin_source(const place *p, int value, int size, int slot, bool *scalar)
{
    bool wants = *scalar;
    *scalar = false;
    if (value >= EM__CHAIN_LOCAL)
        return register_at(p, value, size);
    const em__chain_operand *o = &p->job->operands[value];
    const uint8_t *from = o->data + p->offsets[value];
    if (p->rows == 1)
        return from;
    if (o->layout == EM__CHAIN_SCALAR && wants) {
        *scalar = true;
        return from;
    }
    gather(p, value, spare(p, slot), 0);
    return spare(p, slot);
}

/* Applies the kernel to n elements. `in` are its sources, `mode` says which of the last two are scalars. */
static void apply(const em__chain_fn *f, void *out, const uint8_t *const in[3], size_t n, em__mode mode)
{
    if (f->kind == EM__CHAIN_UNARY)
        f->fn.unary(out, in[0], n);
    else if (f->kind == EM__CHAIN_BINARY)
        f->fn.binary(out, in[0], in[1], n, mode);
    else
        f->fn.select(out, in[0], in[1], in[2], n, mode);
}

/* The last step of a big chain: block by block into L1, from there past the caches. */
static void apply_streaming(const em__chain_fn *f, uint8_t *out, const uint8_t *in[3], int n_in, size_t n,
                            em__mode mode)
{
    _Alignas(64) uint8_t block[STREAM_BLOCK];
    size_t most = (size_t)(STREAM_BLOCK / f->to_size), done = 0;
    while (done < n) {
        size_t count = n - done < most ? n - done : most;
        apply(f, block, in, count, mode);
        em__stream_copy(out + done * (size_t)f->to_size, block, count * (size_t)f->to_size);
        for (int i = 0; i < n_in; i++) {
            bool scalar = i >= n_in - 2 && n_in > 1 && mode & (i == n_in - 1 ? EM__SCALAR_B : EM__SCALAR_A);
            bool truth = f->kind == EM__CHAIN_SELECT && i == 0;
            in[i] += scalar ? 0 : count * (truth ? 1 : (size_t)f->from_size);
        }
        done += count;
    }
}

static void run_step(const place *p, const em__chain_step *step, const em__chain_fn *f)
{
    const uint8_t *in[3] = {NULL};
    int mode = 0;
    for (int i = 0; i < step->n_in; i++) {
        bool truth = f->kind == EM__CHAIN_SELECT && i == 0;
        bool scalar = f->kind != EM__CHAIN_UNARY && !truth;
        int size = truth ? 1 : f->from_size;
        in[i] =
            step->thin ? thin_source(p, step->in[i], size, i, &scalar) : full_source(p, step->in[i], size, i, &scalar);
        mode |= !scalar ? 0 : i == step->n_in - 1 ? EM__SCALAR_B : EM__SCALAR_A;
    }
    size_t n = (size_t)(step->thin ? p->rows : p->rows * p->columns);
    uint8_t *out = register_at(p, step->target, f->to_size);
    if (p->job->stream && step->target == EM__CHAIN_OUT)
        apply_streaming(f, out, in, step->n_in, n, (em__mode)mode);
    else
        apply(f, out, in, n, (em__mode)mode);
}

/* Whole rows; an operand's rows may stand apart. */
static void run_reduce(const place *p, const em__chain_step *step, const em__chain_fn *f)
{
    const em__chain_job *j = p->job;
    uint8_t *out = register_at(p, step->target, f->to_size);
    int value = step->in[0];
    size_t columns = (size_t)j->columns;
    if (value < EM__CHAIN_LOCAL && j->operands[value].layout != EM__CHAIN_EVEN) {
        int64_t at[EM_MAX_RANK], offset = p->offsets[value];
        memcpy(at, p->at, sizeof at);
        for (int64_t r = 0; r < p->rows; r++) {
            em__reduce_run(j->cpu->reduce, NULL, f->fn.reduce, step->from, out + r * f->to_size,
                           j->operands[value].data + offset, 1, columns, 1);
            offset = next_row(j, &j->operands[value], at, offset);
        }
        return;
    }
    const uint8_t *from =
        value < EM__CHAIN_LOCAL ? j->operands[value].data + p->offsets[value] : register_at(p, value, f->from_size);
    em__reduce_run(j->cpu->reduce, NULL, f->fn.reduce, step->from, out, from, (size_t)p->rows, columns, 1);
}

/* The steps from `first` on that are full: tile by tile. The step after them. */
static int run_group(place *p, int first, int64_t end)
{
    const em__chain_job *j = p->job;
    const em__chain_step *steps = j->chain.steps;
    int after = first;
    int64_t start = p->column;
    while (after < j->chain.n_steps && !steps[after].thin && !steps[after].reduces)
        after++;
    for (; p->column < end; p->column += j->tile) {
        p->columns = end - p->column < j->tile ? end - p->column : j->tile;
        for (int i = first; i < after; i++)
            run_step(p, &steps[i], &j->fns[i]);
    }
    p->column = start;
    return after;
}

static void run_unit(place *p, int64_t unit)
{
    const em__chain_job *j = p->job;
    int64_t pieces = (j->columns + j->piece - 1) / j->piece, row = unit / pieces * j->block, rest = row;
    int64_t end = (unit % pieces + 1) * j->piece;
    memset(p->offsets, 0, sizeof p->offsets);
    for (int d = 0; d < j->rank; d++) {
        p->at[d] = rest % j->dims[d];
        rest /= j->dims[d];
        for (int i = 0; i < j->n_in; i++)
            p->offsets[i] += p->at[d] * j->operands[i].strides[d];
    }
    p->row = row;
    p->rows = j->rows - row < j->block ? j->rows - row : j->block;
    p->column = unit % pieces * j->piece;
    for (int i = 0; i < j->chain.n_steps;) {
        const em__chain_step *step = &j->chain.steps[i];
        if (!step->thin && !step->reduces) {
            i = run_group(p, i, end < j->columns ? end : j->columns);
            continue;
        }
        if (step->reduces)
            run_reduce(p, step, &j->fns[i]);
        else
            run_step(p, step, &j->fns[i]);
        i++;
    }
}

void em__chain_run(const em__chain_job *job, int64_t from, int64_t to, uint8_t *scratch)
{
    place p = {.job = job, .scratch = scratch};
    for (int64_t unit = from; unit < to; unit++)
        run_unit(&p, unit);
    if (job->stream)
        em__stream_end();
}
