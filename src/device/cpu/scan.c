/*
 * CUMULATIVE_SUM, _PRODUCT, _MAX, _MIN. Lines along the last axis, and lines with few elements behind the axis, are
 * scanned by blocks (scan.h); with many elements behind the axis, whole rows are joined to the row before by the
 * elementwise kernels. Half types are scanned in f32. Which way is taken depends on the shape alone.
 */
#include "device/cpu/scan.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "device/cpu/families.h"

#define FEW 16           /* elements behind the axis up to which lines are gathered and scanned */
#define TILE 2048        /* columns that one worker joins, at most */
#define ALONE 32768      /* elements that need no second worker */
#define LINE_CHUNK 32768 /* elements of whole lines that one worker takes at a time, about */
#define BLOCK EM__SCAN_BLOCK

static em__scan best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__scan_init(em__scan *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__scan_fill_portable(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__scan_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
    if (level >= EM__CPU_AVX512) {
        em__scan_fill_avx512(kernels);
        kernels->level = EM__CPU_AVX512;
    }
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__scan_init(&best, em__cpu_get()->level);
}

const em__scan *em__scan_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

void em__scan_nothing(em__scan_op op, em_dtype dtype, void *carry)
{
    int bits = (int)em_dtype_size(dtype) * 8;
    bool low = op == EM__SCAN_MAX, is_signed = em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
    uint64_t top = UINT64_MAX >> (64 - bits), half = top >> 1;
    uint64_t u = op == EM__SCAN_SUM       ? 0
                 : op == EM__SCAN_PRODUCT ? 1
                 : is_signed              ? (low ? half + 1 : half)
                 : low                    ? 0
                                          : top;
    double d = op == EM__SCAN_SUM ? 0 : op == EM__SCAN_PRODUCT ? 1 : low ? -(double)INFINITY : (double)INFINITY;
    float f = (float)d;
    memcpy(carry, dtype == EM_F64 ? (const void *)&d : (const void *)&u, sizeof u);
    if (dtype == EM_F32)
        memcpy(carry, &f, sizeof f);
}

/* A call as [outer, n, inner]. */
typedef struct job {
    em__cpu *cpu;
    em__scan_op op;
    em_dtype dtype, wide; /* of the elements, and of the sums */
    em__scan_fn block;
    em__binary_fn join;
    em__cast_fn widen, narrow; /* NULL: the dtypes are one */
    const uint8_t *in;
    uint8_t *out;
    size_t size, wide_size;
    int64_t outer, n, inner;
    bool reverse;
    int64_t blocks;    /* of a line */
    uint8_t *carries;  /* 8 bytes a block: what comes before it; NULL: lines are scanned whole */
    int64_t per_chunk; /* lines, or columns */
    int64_t tiles;     /* of columns, in a row */
} job;

/* Scans a block of one line, `at` elements from its first, into the result (or, with out NULL, only into *carry). */
static void scan_block(const job *j, uint8_t *out, const uint8_t *in, int64_t n, void *carry)
{
    uint64_t wide[BLOCK], narrow[BLOCK];
    int log_size = __builtin_ctzll(j->size);
    if (!j->widen && j->inner == 1) {
        j->block(out, in, (size_t)n, carry, j->reverse);
        return;
    }
    const uint8_t *line = in;
    if (j->inner > 1) {
        j->cpu->copy->line[log_size](narrow, 1, in, j->inner, (size_t)n);
        line = (const uint8_t *)narrow;
    }
    if (j->widen)
        j->widen(wide, line, (size_t)n);
    uint8_t *result = j->widen ? (uint8_t *)wide : (uint8_t *)narrow;
    j->block(out ? result : NULL, result, (size_t)n, carry, j->reverse);
    if (!out)
        return;
    if (j->narrow && j->inner == 1)
        j->narrow(out, wide, (size_t)n);
    else if (j->narrow)
        j->narrow(narrow, wide, (size_t)n);
    if (j->inner > 1)
        j->cpu->copy->line[log_size](out, j->inner, narrow, 1, (size_t)n);
}

/* Where block b of a line begins, counted in the direction of the scan, and its elements. */
static int64_t block_at(const job *j, int64_t b, int64_t *n)
{
    int64_t from = b * BLOCK;
    *n = j->n - from < BLOCK ? j->n - from : BLOCK;
    return j->reverse ? j->n - from - *n : from;
}

static int64_t line_at(const job *j, int64_t line)
{
    return line / j->inner * j->n * j->inner + line % j->inner;
}

static void scan_lines(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    int64_t line = chunk * j->per_chunk, end = line + j->per_chunk;
    end = end < j->outer * j->inner ? end : j->outer * j->inner;
    for (; line < end; line++) {
        uint64_t carry;
        em__scan_nothing(j->op, j->wide, &carry);
        for (int64_t b = 0; b < j->blocks; b++) {
            int64_t n, at = (line_at(j, line) + block_at(j, b, &n) * j->inner) * (int64_t)j->size;
            scan_block(j, j->out + at, j->in + at, n, &carry);
        }
    }
}

/* One block: its total, the first time round, or its results. */
static void scan_part(void *context, int64_t chunk, bool results)
{
    const job *j = context;
    int64_t n, at = line_at(j, chunk / j->blocks) + block_at(j, chunk % j->blocks, &n) * j->inner;
    uint64_t carry;
    if (results)
        memcpy(&carry, j->carries + chunk * 8, 8);
    else
        em__scan_nothing(j->op, j->wide, &carry);
    at *= (int64_t)j->size;
    scan_block(j, results ? j->out + at : NULL, j->in + at, n, &carry);
    if (!results)
        memcpy(j->carries + chunk * 8, &carry, 8);
}

static void total_part(void *context, int64_t chunk, int worker)
{
    (void)worker;
    scan_part(context, chunk, false);
}

static void result_part(void *context, int64_t chunk, int worker)
{
    (void)worker;
    scan_part(context, chunk, true);
}

/* Few long lines: totals of all blocks, what comes before each, then the results: the additions of scan_lines. */
static void scan_parts(job *j)
{
    em__pool_run(j->cpu->pool, total_part, j, j->outer * j->inner * j->blocks);
    for (int64_t line = 0; line < j->outer * j->inner; line++) {
        uint64_t carry, next;
        em__scan_nothing(j->op, j->wide, &carry);
        for (int64_t b = 0; b < j->blocks; b++) {
            uint8_t *total = j->carries + (line * j->blocks + b) * 8;
            next = carry;
            j->join(&next, &carry, total, 1, EM__VV);
            memcpy(total, &carry, 8);
            carry = next;
        }
    }
    em__pool_run(j->cpu->pool, result_part, j, j->outer * j->inner * j->blocks);
}

/* A tile of columns: each row joins the row before it. */
static void join_columns(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    int64_t from = chunk % j->tiles * j->per_chunk, row = j->inner * (int64_t)j->size;
    size_t width = (size_t)(j->inner - from < j->per_chunk ? j->inner - from : j->per_chunk);
    int64_t start = chunk / j->tiles * j->n * row + from * (int64_t)j->size;
    float sums[TILE], next[TILE];
    for (int64_t i = 0; i < j->n; i++) {
        int64_t at = start + (j->reverse ? j->n - 1 - i : i) * row;
        if (j->widen) {
            j->widen(i ? next : sums, j->in + at, width);
            if (i)
                j->join(sums, sums, next, width, EM__VV);
            j->narrow(j->out + at, sums, width);
        } else if (i == 0) {
            memcpy(j->out + at, j->in + at, width * j->size);
        } else {
            j->join(j->out + at, j->out + at + (j->reverse ? row : -row), j->in + at, width, EM__VV);
        }
    }
}

static em__scan_op op_of(em__op op)
{
    return op == EM__OP_CUMULATIVE_SUM       ? EM__SCAN_SUM
           : op == EM__OP_CUMULATIVE_PRODUCT ? EM__SCAN_PRODUCT
           : op == EM__OP_CUMULATIVE_MAX     ? EM__SCAN_MAX
                                             : EM__SCAN_MIN;
}

/* The call's kernels; false when one is missing. */
static bool job_of(em__cpu *cpu, const em__call *call, job *j)
{
    static const em__binary_op joins[] = {EM__BINARY_ADD, EM__BINARY_MUL, EM__BINARY_MAXIMUM, EM__BINARY_MINIMUM};
    const em__tensor *in = &call->in[0];
    int axis = (int)call->ints[0];
    *j = (job){
        .cpu = cpu, .op = op_of(call->op), .dtype = in->spec.dtype, .wide = in->spec.dtype, .outer = 1, .inner = 1};
    if (em_dtype_get_kind(j->dtype) == EM_KIND_FLOAT && em_dtype_size(j->dtype) < 4) {
        j->wide = EM_F32;
        j->widen = cpu->cast->fn[j->dtype][EM_F32];
        j->narrow = cpu->cast->fn[EM_F32][j->dtype];
        if (!j->widen || !j->narrow)
            return false;
    }
    j->block = em__scan_get()->block[j->op][j->wide];
    j->join = cpu->elementwise->binary[joins[j->op]][j->wide];
    j->in = in->data;
    j->out = call->out.data;
    j->size = em_dtype_size(j->dtype);
    j->wide_size = em_dtype_size(j->wide);
    for (int d = 0; d < in->spec.rank; d++)
        *(d < axis ? &j->outer : d == axis ? &j->n : &j->inner) *= d == axis ? 1 : in->spec.dims[d];
    j->n = in->spec.dims[axis];
    j->reverse = call->ints[1] != 0;
    j->blocks = (j->n + BLOCK - 1) / BLOCK;
    return j->block && j->join;
}

static em_status run_cumulative(em_device *device, const em__call *call)
{
    job j;
    job_of(em__cpu_of(device), call, &j);
    em__pool *pool = j.cpu->pool;
    int64_t size = em__spec_size(&call->out.spec), threads = em__pool_size(pool);
    if (size == 0)
        return EM_OK;
    if (j.inner > FEW) {
        for (j.per_chunk = TILE;
             j.per_chunk > 64 && j.outer * ((j.inner + j.per_chunk - 1) / j.per_chunk) < 2 * threads;)
            j.per_chunk /= 2;
        j.tiles = (j.inner + j.per_chunk - 1) / j.per_chunk;
        j.tiles = size <= ALONE && j.inner <= TILE ? 1 : j.tiles;
        j.per_chunk = j.tiles == 1 ? j.inner : j.per_chunk;
        em__pool_run(pool, join_columns, &j, j.outer * j.tiles);
        return EM_OK;
    }
    int64_t lines = j.outer * j.inner;
    if (call->scratch && threads > 1 && lines < 2 * threads && size > ALONE) {
        j.carries = call->scratch;
        scan_parts(&j);
        return EM_OK;
    }
    j.per_chunk = size <= ALONE ? lines : (LINE_CHUNK + j.n - 1) / j.n;
    em__pool_run(pool, scan_lines, &j, (lines + j.per_chunk - 1) / j.per_chunk);
    return EM_OK;
}

bool em__cpu_prepare_scan(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    job j;
    if (call->op != EM__OP_CUMULATIVE_SUM && call->op != EM__OP_CUMULATIVE_PRODUCT &&
        call->op != EM__OP_CUMULATIVE_MAX && call->op != EM__OP_CUMULATIVE_MIN)
        return false;
    *plan = (em__plan){.kernel = run_cumulative};
    if (!job_of(cpu, call, &j))
        return false;
    if (j.inner <= FEW && j.blocks > 1)
        plan->scratch = (size_t)(j.outer * j.inner * j.blocks) * 8;
    return true;
}
