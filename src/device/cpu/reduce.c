/*
 * The table of reduction kernels and the drivers. How the work is cut is a function of the shape alone: a long row into
 * at most MAX_PARTS parts whose results are reduced once more, columns into tiles.
 */
#include "device/cpu/reduce.h"

#include <pthread.h>
#include <string.h>

#include "core/float16.h"

#define MAX_PARTS 1024 /* partial results at hand at one time */
#define ARG_BLOCK 256  /* elements of a column gathered at a time */

static em__reduce best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__reduce_init(em__reduce *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__reduce_fill_portable(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__reduce_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
    if (level >= EM__CPU_AVX512) {
        em__reduce_fill_avx512(kernels);
        kernels->level = EM__CPU_AVX512;
    }
#else
    (void)level;
#endif
    kernels->chunk = 32768;
    kernels->serial = 24576;
}

static void init_best(void)
{
    em__reduce_init(&best, em__cpu_get()->level);
}

const em__reduce *em__reduce_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

em_dtype em__reduce_acc(em__reduce_op op, em_dtype dtype)
{
    if (op == EM__REDUCE_ALL || op == EM__REDUCE_ANY)
        return EM_PRED;
    return dtype == EM_F16 || dtype == EM_BF16 ? EM_F32 : dtype;
}

typedef struct job {
    em__reduce_op op; /* MEAN and SUM share kernels */
    em_dtype dtype, acc_dtype;
    em__reduce_row_fn row, join; /* join reduces accumulators */
    em__reduce_column_fn column;
    uint8_t *out;
    const uint8_t *x;
    size_t size, acc_size, out_size;
    size_t outer, reduce, inner;
    size_t chunk_rows;  /* rows a chunk, when a row is one part */
    size_t part, parts; /* elements a part, parts a row */
    size_t first_row;   /* of the rows whose parts are in `partial` */
    size_t tile, tiles; /* columns a tile, tiles a row of columns */
    uint8_t *partial;   /* [rows][parts] accumulators */
} job;

/* An accumulator becomes an element of the result. */
static void finish(const job *j, uint8_t *out, const void *acc)
{
    float f;
    double d;
    if (j->acc_dtype == EM_F32) {
        memcpy(&f, acc, sizeof f);
        f = j->op == EM__REDUCE_MEAN ? f / (float)j->reduce : f;
        uint16_t half = j->dtype == EM_F16 ? em__f32_to_f16(f) : em__f32_to_bf16(f);
        memcpy(out, j->dtype == EM_F32 ? (const void *)&f : (const void *)&half, j->out_size);
    } else if (j->acc_dtype == EM_F64) {
        memcpy(&d, acc, sizeof d);
        d = j->op == EM__REDUCE_MEAN ? d / (double)j->reduce : d;
        memcpy(out, &d, sizeof d);
    } else {
        memcpy(out, acc, j->out_size);
    }
}

static void row_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t from = (size_t)chunk * j->chunk_rows, to = from + j->chunk_rows;
    to = to < j->outer ? to : j->outer;
    for (size_t i = from; i < to; i++) {
        uint64_t acc;
        j->row(&acc, j->x + i * j->reduce * j->size, j->reduce);
        finish(j, j->out + i * j->out_size, &acc);
    }
}

static void part_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t row = j->first_row + (size_t)chunk / j->parts, from = (size_t)chunk % j->parts * j->part;
    size_t n = j->reduce - from < j->part ? j->reduce - from : j->part;
    j->row(j->partial + (size_t)chunk * j->acc_size, j->x + (row * j->reduce + from) * j->size, n);
}

static void column_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t i = (size_t)chunk / j->tiles, from = (size_t)chunk % j->tiles * j->tile;
    size_t width = j->inner - from < j->tile ? j->inner - from : j->tile;
    uint64_t acc[EM__REDUCE_TILE];
    j->column(acc, j->x + (i * j->reduce * j->inner + from) * j->size, j->reduce, j->inner, width);
    for (size_t c = 0; c < width; c++)
        finish(j, j->out + (i * j->inner + from + c) * j->out_size, (uint8_t *)acc + c * j->acc_size);
}

/* Rows too long for one part: as many of them at a time as have room for their partial results. */
static void run_parts(em__pool *pool, job *j)
{
    uint64_t partial[MAX_PARTS];
    size_t group = MAX_PARTS / j->parts;
    j->partial = (uint8_t *)partial;
    for (j->first_row = 0; j->first_row < j->outer; j->first_row += group) {
        size_t rows = j->outer - j->first_row < group ? j->outer - j->first_row : group;
        em__pool_run(pool, part_chunk, j, (int64_t)(rows * j->parts));
        for (size_t i = 0; i < rows; i++) {
            uint64_t acc;
            j->join(&acc, j->partial + i * j->parts * j->acc_size, j->parts);
            finish(j, j->out + (j->first_row + i) * j->out_size, &acc);
        }
    }
}

void em__reduce_run(const em__reduce *kernels, em__pool *pool, em__reduce_op op, em_dtype dtype, void *out,
                    const void *x, size_t outer, size_t reduce, size_t inner)
{
    em__reduce_op kernel = op == EM__REDUCE_MEAN ? EM__REDUCE_SUM : op;
    job j = {.op = op, .dtype = dtype, .acc_dtype = em__reduce_acc(kernel, dtype), .out = out, .x = x};
    j.row = kernels->row[kernel][dtype];
    j.join = kernels->row[kernel][j.acc_dtype];
    j.column = kernels->column[kernel][dtype];
    j.size = em_dtype_size(dtype);
    j.acc_size = em_dtype_size(j.acc_dtype);
    j.out_size = j.acc_dtype == EM_PRED ? 1 : j.size;
    j.outer = outer;
    j.reduce = reduce;
    j.inner = inner;
    if (outer * reduce * inner <= kernels->serial)
        pool = NULL;
    if (inner != 1) {
        for (j.tile = EM__REDUCE_TILE; j.tile > 64 && outer * ((inner + j.tile - 1) / j.tile) < 8; j.tile /= 2)
            continue;
        j.tiles = (inner + j.tile - 1) / j.tile;
        em__pool_run(pool, column_chunk, &j, (int64_t)(outer * j.tiles));
        return;
    }
    j.part = (reduce + MAX_PARTS - 1) / MAX_PARTS;
    j.part = j.part < EM__REDUCE_PART ? EM__REDUCE_PART : (j.part + 63) / 64 * 64;
    j.parts = (reduce + j.part - 1) / j.part;
    if (j.parts > 1) {
        run_parts(pool, &j);
        return;
    }
    j.chunk_rows = kernels->chunk / (reduce ? reduce : 1);
    j.chunk_rows = j.chunk_rows ? j.chunk_rows : 1;
    em__pool_run(pool, row_chunk, &j, (int64_t)((outer + j.chunk_rows - 1) / j.chunk_rows));
}

typedef struct arg_job {
    em__arg_fn arg;
    int64_t *out;
    const uint8_t *x;
    size_t size, reduce, inner, lines, chunk_lines;
    bool last;
} arg_job;

/* A strided line is gathered block by block; the best so far meets each block's best in an array of two, so that ties
 * and NaN are decided by the same kernel. */
static int64_t arg_of_line(const arg_job *j, const uint8_t *x)
{
    if (j->inner == 1)
        return (int64_t)j->arg(x, j->reduce, j->last);
    uint64_t block[ARG_BLOCK], pair[2];
    size_t size = j->size, stride = j->inner * size, found = 0;
    for (size_t from = 0; from < j->reduce; from += ARG_BLOCK) {
        size_t n = j->reduce - from < ARG_BLOCK ? j->reduce - from : ARG_BLOCK;
        for (size_t i = 0; i < n; i++)
            memcpy((uint8_t *)block + i * size, x + (from + i) * stride, size);
        size_t here = j->arg(block, n, j->last);
        memcpy((uint8_t *)pair + (from ? size : 0), (uint8_t *)block + here * size, size);
        if (from == 0) {
            found = here;
        } else if (j->arg(pair, 2, j->last) == 1) {
            found = from + here;
            memcpy(pair, (uint8_t *)block + here * size, size);
        }
    }
    return (int64_t)found;
}

static void arg_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const arg_job *j = context;
    size_t from = (size_t)chunk * j->chunk_lines, to = from + j->chunk_lines;
    to = to < j->lines ? to : j->lines;
    for (size_t line = from; line < to; line++) {
        size_t outer = line / j->inner, inner = line % j->inner;
        j->out[line] = arg_of_line(j, j->x + (outer * j->reduce * j->inner + inner) * j->size);
    }
}

void em__reduce_arg(const em__reduce *kernels, em__pool *pool, em__arg_op op, em_dtype dtype, int64_t *out,
                    const void *x, size_t outer, size_t reduce, size_t inner, bool last)
{
    arg_job j = {.arg = kernels->arg[op][dtype], .out = out, .x = x, .size = em_dtype_size(dtype), .reduce = reduce};
    j.inner = inner;
    j.lines = outer * inner;
    j.last = last;
    if (!j.lines || !reduce)
        return;
    j.chunk_lines = kernels->chunk / reduce ? kernels->chunk / reduce : 1;
    size_t chunks = (j.lines + j.chunk_lines - 1) / j.chunk_lines;
    if (pool && j.lines * reduce > kernels->serial) {
        em__pool_run(pool, arg_chunk, &j, (int64_t)chunks);
        return;
    }
    j.chunk_lines = j.lines;
    arg_chunk(&j, 0, 0);
}
