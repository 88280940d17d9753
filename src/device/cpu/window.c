/*
 * WINDOW_SUM, _PRODUCT, _MAX, _MIN, an axis at a time, outermost first. For each place on the first axis that has a
 * window, the rows under it are joined by the elementwise kernels into one slab in the worker's scratch, whose axes are
 * treated likewise, until the last one writes to the result. Along a line, the line is joined with itself, shifted. So
 * the elements of a window meet in an order that depends on the shape alone. Half types are computed in f32.
 */
#include <string.h>

#include "core/whole.h"
#include "device/cpu/families.h"
#include "device/cpu/scan.h"

#define PIECE 1024      /* places of a line, or elements of a row, joined at a time */
#define UNIT_WORK 16384 /* elements joined that make a chunk, about */
#define MAX_LEVELS EM_MAX_RANK

/* An axis with a window: shapes are [kept, n, rest] before it and [kept, places, ..] behind it. */
typedef struct level {
    int64_t kept, n, places, window, stride, low, dilation;
    int64_t rest;     /* elements of a row that enter */
    int64_t rest_out; /* and that leave, when the later axes are done */
    bool line;        /* the last axis, with nothing behind it: joined with itself */
    size_t scratch;   /* where its slab begins in the worker's scratch, in bytes */
} level;

typedef struct job {
    em__cpu *cpu;
    em__binary_fn join;
    em_dtype dtype, wide; /* of the elements, and of the sums */
    size_t size;          /* of an element of `wide` */
    int log_size;
    uint64_t nothing;
    int levels;
    level level[MAX_LEVELS];
    size_t scratch; /* bytes a worker */
    const uint8_t *in;
    uint8_t *out;
    int64_t units, per_chunk; /* places, or pieces of a line, of the first axis; how many make a chunk */
} job;

static void fill(const job *j, uint8_t *out, int64_t n)
{
    j->cpu->copy->line[j->log_size](out, 1, &j->nothing, 0, (size_t)n);
}

/* out[0..n) = the rows under place p of the window joined, `in` being row 0 of [n, rest], elements from `from` on. */
static void join_rows(const job *j, const level *l, int64_t p, uint8_t *out, const uint8_t *in, int64_t from, int64_t n)
{
    int64_t size = (int64_t)j->size, start = p * l->stride - l->low;
    int64_t t = em__max(0, em__div_up(-start, l->dilation)),
            end = em__min(l->window, em__div_down(l->n - 1 - start, l->dilation) + 1);
    if (t >= end) {
        fill(j, out, n);
        return;
    }
    const uint8_t *row = in + ((start + t * l->dilation) * l->rest + from) * size;
    if (end - t == 1) {
        memcpy(out, row, (size_t)(n * size));
        return;
    }
    const int64_t step = l->dilation * l->rest * size; /* two rows are there: it is within the operand */
    j->join(out, row, row + step, (size_t)n, EM__VV);
    for (row += 2 * step, t += 2; t < end; t++, row += step)
        j->join(out, out, row, (size_t)n, EM__VV);
}

/* Places [from, from + n) of a line, n <= PIECE, into out[0..n). */
static void join_line(const job *j, const level *l, int64_t from, int64_t n, uint8_t *out, const uint8_t *in)
{
    uint64_t gathered[PIECE];
    int64_t size = (int64_t)j->size, first = from * l->stride - l->low, last = first + (n - 1) * l->stride;
    int64_t t = em__max(0, em__div_up(-last, l->dilation));
    int64_t end = em__min(l->window, em__div_down(l->n - 1 - first, l->dilation) + 1);
    bool begun = false;
    for (; t < end; t++) {
        int64_t at = first + t * l->dilation; /* of the first place; low and high are the places inside the line */
        int64_t low = em__max(0, em__div_up(-at, l->stride)),
                high = em__min(n, em__div_down(l->n - 1 - at, l->stride) + 1);
        bool all = low == 0 && high == n;
        if (low >= high) { /* between the elements of two places: on to the next one's first */
            t = em__div_up(-(low - 1) * l->stride - first, l->dilation) - 1;
            continue;
        }
        const uint8_t *x = in + (at + low * l->stride) * size;
        if (!begun && !all)
            fill(j, out, n);
        if (!begun && all) {
            j->cpu->copy->line[j->log_size](out, 1, x, l->stride, (size_t)n);
        } else {
            if (l->stride > 1) {
                j->cpu->copy->line[j->log_size](gathered, 1, x, l->stride, (size_t)(high - low));
                x = (const uint8_t *)gathered;
            }
            j->join(out + low * size, out + low * size, x, (size_t)(high - low), EM__VV);
        }
        begun = true;
    }
    if (!begun)
        fill(j, out, n);
}

static void do_level(const job *j, int i, uint8_t *out, const uint8_t *in, uint8_t *scratch);

/* One place of axis i, or one piece of places when it is a line, of the part that begins at `in`. */
static void do_place(const job *j, int i, int64_t place, uint8_t *out, const uint8_t *in, uint8_t *scratch)
{
    const level *l = &j->level[i];
    int64_t size = (int64_t)j->size;
    if (l->line) {
        int64_t from = place * PIECE;
        join_line(j, l, from, em__min(PIECE, l->places - from), out + from * size, in);
        return;
    }
    out += place * l->rest_out * size;
    uint8_t *slab = i + 1 < j->levels ? scratch + l->scratch : out;
    for (int64_t from = 0; from < l->rest; from += PIECE)
        join_rows(j, l, place, slab + from * size, in, from, em__min(PIECE, l->rest - from));
    if (i + 1 < j->levels)
        do_level(j, i + 1, out, slab, scratch);
}

static int64_t places_of(const level *l)
{
    return l->line ? (l->places + PIECE - 1) / PIECE : l->places;
}

static void do_level(const job *j, int i, uint8_t *out, const uint8_t *in, uint8_t *scratch)
{
    const level *l = &j->level[i];
    int64_t places = places_of(l), size = (int64_t)j->size;
    for (int64_t k = 0; k < l->kept; k++)
        for (int64_t p = 0; p < places; p++)
            do_place(j, i, p, out + k * l->places * l->rest_out * size, in + k * l->n * l->rest * size, scratch);
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    const job *j = context;
    const level *l = &j->level[0];
    int64_t end = em__min(j->units, (chunk + 1) * j->per_chunk), places = places_of(l), size = (int64_t)j->size;
    uint8_t *scratch = j->scratch ? em__pool_scratch(j->cpu->pool, worker) : NULL;
    for (int64_t unit = chunk * j->per_chunk; unit < end; unit++) {
        int64_t k = unit / places;
        do_place(j, 0, unit % places, j->out + k * l->places * l->rest_out * size, j->in + k * l->n * l->rest * size,
                 scratch);
    }
}

/* The axes that have a window, with what lies between them. */
static void find_levels(job *j, const em__call *call)
{
    const em__spec *in = &call->in[0].spec, *out = &call->out.spec;
    int rank = in->rank;
    int64_t kept = 1, rest = 1, rest_out = 1;
    for (int d = 0; d < rank; d++) {
        const int64_t *ints = call->ints + d;
        bool plain = ints[0] == 1 && ints[rank] == 1 && ints[2 * rank] == 0 && ints[3 * rank] == 0;
        if (plain) {
            kept *= in->dims[d];
            continue;
        }
        j->level[j->levels++] = (level){.kept = kept,
                                        .n = in->dims[d],
                                        .places = out->dims[d],
                                        .window = ints[0],
                                        .stride = ints[rank],
                                        .low = ints[2 * rank],
                                        .dilation = ints[4 * rank]};
        kept = 1;
    }
    rest = rest_out = kept;
    for (int i = j->levels - 1; i >= 0; i--) {
        level *l = &j->level[i];
        l->rest = rest;
        l->rest_out = rest_out;
        l->line = rest == 1 && i == j->levels - 1;
        rest *= l->n * l->kept;
        rest_out *= l->places * l->kept;
    }
    for (int i = 0; i + 1 < j->levels; i++) {
        j->level[i].scratch = j->scratch;
        j->scratch += em__align64((size_t)j->level[i].rest * j->size);
    }
}

static em__scan_op op_of(em__op op)
{
    return op == EM__OP_WINDOW_SUM       ? EM__SCAN_SUM
           : op == EM__OP_WINDOW_PRODUCT ? EM__SCAN_PRODUCT
           : op == EM__OP_WINDOW_MAX     ? EM__SCAN_MAX
                                         : EM__SCAN_MIN;
}

/* False when a kernel is missing. */
static bool job_of(em__cpu *cpu, const em__call *call, job *j)
{
    static const em__binary_op joins[] = {EM__BINARY_ADD, EM__BINARY_MUL, EM__BINARY_MAXIMUM, EM__BINARY_MINIMUM};
    em_dtype dtype = call->in[0].spec.dtype;
    *j = (job){.cpu = cpu, .dtype = dtype, .wide = dtype, .in = call->in[0].data, .out = call->out.data};
    if (em_dtype_get_kind(dtype) == EM_KIND_COMPLEX) /* elements of 16 bytes have no room in a piece */
        return false;
    if (em_dtype_get_kind(dtype) == EM_KIND_FLOAT && em_dtype_size(dtype) < 4) {
        j->wide = EM_F32;
        if (!cpu->cast->fn[dtype][EM_F32] || !cpu->cast->fn[EM_F32][dtype])
            return false;
    }
    j->join = cpu->elementwise->binary[joins[op_of(call->op)]][j->wide];
    j->size = em_dtype_size(j->wide);
    j->log_size = __builtin_ctzll(j->size);
    if (!j->join)
        return false;
    em__scan_nothing(op_of(call->op), j->wide, &j->nothing);
    if (dtype == EM_F8_E4M3FN && op_of(call->op) >= EM__SCAN_MAX) { /* it has no infinity */
        float end = op_of(call->op) == EM__SCAN_MAX ? -448.0f : 448.0f;
        memcpy(&j->nothing, &end, sizeof end);
    }
    find_levels(j, call);
    return true;
}

static em_status run_window(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    job j;
    job_of(cpu, call, &j);
    int64_t in_size = em__spec_size(&call->in[0].spec), out_size = em__spec_size(&call->out.spec);
    if (out_size == 0)
        return EM_OK;
    if (j.levels == 0) {
        memcpy(j.out, j.in, (size_t)out_size * em_dtype_size(j.dtype));
        return EM_OK;
    }
    if (j.wide != j.dtype) {
        uint8_t *wide = call->scratch;
        em__cast_run(cpu->cast, cpu->pool, j.dtype, j.wide, wide, j.in, (size_t)in_size);
        j.in = wide;
        j.out = wide + (size_t)in_size * j.size;
    }
    const level *l = &j.level[0];
    int64_t work = l->line ? PIECE : l->rest * em__min(l->window, 64);
    work = em__max(work, 1);
    j.units = l->kept * places_of(l);
    j.per_chunk = work < UNIT_WORK ? UNIT_WORK / work : 1;
    em__pool_run(cpu->pool, run_chunk, &j, (j.units + j.per_chunk - 1) / j.per_chunk);
    if (j.wide != j.dtype)
        em__cast_run(cpu->cast, cpu->pool, j.wide, j.dtype, call->out.data, j.out, (size_t)out_size);
    return EM_OK;
}

bool em__cpu_prepare_window(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    job j;
    if (call->op != EM__OP_WINDOW_SUM && call->op != EM__OP_WINDOW_PRODUCT && call->op != EM__OP_WINDOW_MAX &&
        call->op != EM__OP_WINDOW_MIN)
        return false;
    *plan = (em__plan){.kernel = run_window};
    if (!job_of(cpu, call, &j))
        return false;
    plan->workers = j.scratch;
    if (j.wide != j.dtype)
        plan->scratch = (size_t)(em__spec_size(&call->in[0].spec) + em__spec_size(&call->out.spec)) * j.size;
    return true;
}
