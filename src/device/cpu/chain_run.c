/* The tile interpreter of FUSED_CHAIN. See chain.h. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3") /* the fills below are written for the vectoriser */
#endif

#include "device/cpu/chain.h"

#include <string.h>

#define STREAM_BLOCK 1024 /* bytes of results computed before they are copied past the caches */

/* Where a worker stands. */
typedef struct place {
    const em__chain_job *job;
    uint8_t *scratch;
    int64_t row, rows;                     /* the unit's */
    int64_t column, columns;               /* the tile's */
    int64_t at[EM_MAX_RANK];               /* the unit's first row, axis by axis */
    int64_t offsets[EM__CHAIN_OPERANDS];   /* of the unit's first row */
    const uint8_t *in[EM__CHAIN_STEPS][3]; /* where the steps' sources and results begin in the unit */
    uint8_t *out[EM__CHAIN_STEPS];
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

/* Where the register, or the result, begins for the unit. */
static uint8_t *register_at(const place *p, int value, int size)
{
    const em__chain_job *j = p->job;
    if (value == EM__CHAIN_OUT)
        return j->out + p->row * j->columns * size;
    if (value == EM__CHAIN_OUT_THIN)
        return j->out + p->row * size;
    if (value >= EM__CHAIN_THIN)
        return p->scratch + j->thin + (size_t)(value - EM__CHAIN_THIN) * j->thin_step;
    if (value >= EM__CHAIN_WIDE)
        return p->scratch + j->wide + (size_t)(value - EM__CHAIN_WIDE) * j->wide_step;
    return p->scratch + (size_t)(value - EM__CHAIN_LOCAL) * j->local_step;
}

/* The source that must be spread, over the tile (or a thin one over the unit's rows), in a spare tile. */
static const uint8_t *spread(const place *p, const em__chain_fn *f, int i)
{
    uint8_t *to = p->scratch + p->job->spare + (size_t)i * p->job->local_step;
    int value = f->step.in[i], size = f->sizes[i];
    bool by_row = true, contiguous = false;
    if (value < EM__CHAIN_THIN) {
        by_row = p->job->operands[value].layout != EM__CHAIN_SCALAR;
        contiguous = !by_row;
    }
    if (value >= EM__CHAIN_THIN)
        for (int64_t r = 0; r < p->rows; r++)
            fill(to + r * p->columns * size, register_at(p, value, size) + r * size, size, p->columns);
    else if (contiguous)
        fill(to, p->job->operands[value].data, size, f->step.thin ? p->rows : p->rows * p->columns);
    else
        gather(p, value, to, f->step.thin ? 0 : p->columns);
    return to;
}

static float single(em__pair_op op, float a, float b)
{
    switch (op) {
    case EM__PAIR_ADD: return a + b;
    case EM__PAIR_SUB: return a - b;
    case EM__PAIR_MUL: return a * b;
    default: return a / b;
    }
}

/* Applies the kernel to n elements. */
static void apply(const em__chain_fn *f, void *out, const uint8_t *const in[3], size_t n, int mode)
{
    switch (f->kind) {
    case EM__CHAIN_UNARY: f->fn.unary(out, in[0], n); break;
    case EM__CHAIN_BINARY: f->fn.binary(out, in[0], in[1], n, (em__mode)mode); break;
    case EM__CHAIN_PAIR:
        f->fn.pair(out, (const float *)(const void *)in[0], (const float *)(const void *)in[1],
                   (const float *)(const void *)in[2], n, mode);
        break;
    default: f->fn.select(out, in[0], in[1], in[2], n, (em__mode)mode); break;
    }
}

/* The last step of a big chain: block by block into L1, from there past the caches. */
static void apply_streaming(const em__chain_fn *f, uint8_t *out, const uint8_t *in[3], size_t n)
{
    _Alignas(64) uint8_t block[STREAM_BLOCK];
    size_t most = (size_t)(STREAM_BLOCK / f->to_size), done = 0;
    while (done < n) {
        size_t count = n - done < most ? n - done : most;
        apply(f, block, in, count, f->mode);
        em__stream_copy(out + done * (size_t)f->to_size, block, count * (size_t)f->to_size);
        for (int i = 0; i < f->step.n_in; i++)
            in[i] += f->access[i] == EM__CHAIN_ONE ? 0 : count * (size_t)f->sizes[i];
        done += count;
    }
}

/* A full step over whole rows, each by a call of its own. */
static void run_rows(const place *p, int index)
{
    const em__chain_job *j = p->job;
    const em__chain_fn *f = &j->steps[index];
    const uint8_t *in[3];
    int64_t at[3][EM_MAX_RANK], advance[3];
    for (int i = 0; i < f->step.n_in; i++) {
        bool spreads = f->access[i] == EM__CHAIN_SPREAD;
        in[i] = p->in[index][i];
        advance[i] = f->access[i] == EM__CHAIN_ONE ? 0 : spreads ? f->sizes[i] : p->columns * f->sizes[i];
        memcpy(at[i], p->at, sizeof at[i]);
    }
    for (int64_t r = 0; r < p->rows; r++) {
        apply(f, p->out[index] + r * p->columns * f->to_size, in, (size_t)p->columns, f->row_mode);
        for (int i = 0; i < f->step.n_in; i++)
            if (f->access[i] == EM__CHAIN_SPREAD && f->step.in[i] < EM__CHAIN_LOCAL)
                in[i] += next_row(j, &j->operands[f->step.in[i]], at[i], 0);
            else
                in[i] += advance[i];
    }
}

static void run_step(const place *p, int index)
{
    const em__chain_fn *f = &p->job->steps[index];
    if (f->by_rows && p->rows > 1) {
        run_rows(p, index);
        return;
    }
    const uint8_t *in[3];
    for (int i = 0; i < f->step.n_in; i++) {
        bool spreads = f->access[i] == EM__CHAIN_SPREAD;
        in[i] = spreads ? spread(p, f, i) : p->in[index][i] + p->column * f->advance[i];
    }
    uint8_t *out = p->out[index] + p->column * f->to_advance;
    if (f->kind == EM__CHAIN_SINGLE) {
        *(float *)(void *)out =
            single(f->fn.single, *(const float *)(const void *)in[0], *(const float *)(const void *)in[1]);
        return;
    }
    size_t n = (size_t)(f->step.thin ? p->rows : p->rows * p->columns);
    if (p->job->stream && f->step.target == EM__CHAIN_OUT)
        apply_streaming(f, out, in, n);
    else
        apply(f, out, in, n, f->mode);
}

static void reduce_rows(const em__chain_job *j, const em__chain_fn *f, uint8_t *out, const uint8_t *from, int64_t rows)
{
    if (f->kind == EM__CHAIN_REDUCE)
        em__reduce_run(j->cpu->reduce, NULL, f->fn.reduce, f->step.from, out, from, (size_t)rows, (size_t)j->columns,
                       1);
    else
        for (int64_t r = 0; r < rows; r++)
            f->fn.row(out + r * f->to_size, from + r * j->columns * f->sizes[0], (size_t)j->columns);
}

/* Whole rows; an operand's rows may stand apart. */
static void run_reduce(const place *p, int index)
{
    const em__chain_job *j = p->job;
    const em__chain_fn *f = &j->steps[index];
    int value = f->step.in[0];
    if (value >= EM__CHAIN_LOCAL || j->operands[value].layout == EM__CHAIN_EVEN) {
        reduce_rows(j, f, p->out[index], p->in[index][0], p->rows);
        return;
    }
    int64_t at[EM_MAX_RANK], offset = p->offsets[value];
    memcpy(at, p->at, sizeof at);
    for (int64_t r = 0; r < p->rows; r++) {
        reduce_rows(j, f, p->out[index] + r * f->to_size, j->operands[value].data + offset, 1);
        offset = next_row(j, &j->operands[value], at, offset);
    }
}

/* Asks for share `part` of `parts` of what lies `ahead` of the tile. Inlined by force: what only fetches passes for a
 * function without effect, a call of which may go. */
static inline __attribute__((always_inline)) void fetch(const place *p, int part, int parts)
{
    const em__chain_job *j = p->job;
    for (int i = 0; i < j->n_in; i++) {
        const em__chain_operand *o = &j->operands[i];
        const int64_t lines = o->layout == EM__CHAIN_EVEN ? p->rows * p->columns * o->size / 64 : 0;
        const uint8_t *at = o->data + p->offsets[i] + p->column * o->size + j->ahead;
        for (int64_t line = lines * part / parts; line < lines * (part + 1) / parts; line++)
            __builtin_prefetch(at + line * 64, 0, 3);
    }
}

/* The full steps from `first` on, tile by tile to column `end`. The step after them. */
static int run_group(place *p, int first, int64_t end)
{
    const em__chain_job *j = p->job;
    int after = first;
    int64_t start = p->column;
    while (after < j->n_steps && !j->steps[after].step.thin)
        after++;
    for (; p->column < end; p->column += j->tile) {
        p->columns = end - p->column < j->tile ? end - p->column : j->tile;
        for (int i = first; i < after; i++) {
            if (j->ahead)
                fetch(p, i - first, after - first);
            run_step(p, i);
        }
    }
    p->column = start;
    return after;
}

/* Where registers stand, which is the same for all units. */
static void bind_registers(place *p)
{
    const em__chain_job *j = p->job;
    for (int s = 0; s < j->n_steps; s++) {
        const em__chain_fn *f = &j->steps[s];
        for (int i = 0; i < f->step.n_in; i++)
            if (f->step.in[i] >= EM__CHAIN_LOCAL)
                p->in[s][i] = register_at(p, f->step.in[i], f->sizes[i]);
        p->out[s] = register_at(p, f->step.target, f->to_size);
    }
}

/* Where operands and the result begin in the unit. */
static void bind_unit(place *p)
{
    const em__chain_job *j = p->job;
    int last = j->n_steps - 1;
    for (int i = 0; i < j->n_reads; i++) {
        int operand = j->reads[i].operand;
        p->in[j->reads[i].step][j->reads[i].source] = j->operands[operand].data + p->offsets[operand];
    }
    p->out[last] = register_at(p, j->steps[last].step.target, j->steps[last].to_size);
}

static void run_unit(place *p, int64_t unit)
{
    const em__chain_job *j = p->job;
    int64_t pieces = j->pieces, row = (pieces == 1 ? unit : unit / pieces) * j->block, rest = row;
    int64_t piece = pieces == 1 ? 0 : unit % pieces, end = (piece + 1) * j->piece;
    end = end < j->columns ? end : j->columns;
    memset(p->offsets, 0, (size_t)j->n_in * sizeof p->offsets[0]);
    for (int d = 0; d < j->rank; d++) {
        p->at[d] = d == j->rank - 1 ? rest : rest % j->dims[d];
        rest = d == j->rank - 1 ? 0 : rest / j->dims[d];
        for (int i = 0; i < j->n_in; i++)
            p->offsets[i] += p->at[d] * j->operands[i].strides[d];
    }
    p->row = row;
    p->rows = j->rows - row < j->block ? j->rows - row : j->block;
    p->column = piece * j->piece;
    bind_unit(p);
    for (int i = 0; i < j->n_steps;) {
        const em__chain_step *step = &j->steps[i].step;
        if (!step->thin)
            i = run_group(p, i, end);
        else if (step->reduces)
            run_reduce(p, i++);
        else
            run_step(p, i++);
    }
}

void em__chain_run(const em__chain_job *job, int64_t from, int64_t to, uint8_t *scratch)
{
    place p;
    p.job = job;
    p.scratch = scratch;
    p.row = 0;
    bind_registers(&p);
    for (int64_t unit = from; unit < to; unit++)
        run_unit(&p, unit);
    if (job->stream)
        em__stream_end();
}
