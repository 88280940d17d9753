/*
 * INDEXED_ADD and INDEXED_PUT of whole rows, where there are about as many updates as the result has rows. The operand
 * is not copied first: a worker owns a range of rows, lists for each which updates it sees (a put: the last of them),
 * and writes each row once. A row sees its updates in order, as one by one.
 *
 * Scratch: per row the number of its first update, -1 for none; per update that of the next one of its row; and, unless
 * the index as it lies is a row's number, the numbers themselves.
 */
#include "device/cpu/index.h"

#include <string.h>

#include "core/whole.h"

#define LEAST_ROW 64      /* bytes of a row */
#define LEAST_ROWS 256    /* of the result */
#define MOST_PER_UPDATE 8 /* rows of the result an update: with more, most of the work is the copy of the others */
#define TASKS 4           /* a worker */
#define MOST_AHEAD 512    /* bytes of a row that are asked for before its turn */

typedef struct job {
    const em__call *call;
    em__binary_fn add; /* NULL: a put */
    em_dtype index_dtype;
    const void *index; /* rows of updates */
    int64_t n, rows;   /* updates, rows of the result */
    int64_t bytes;     /* of a row */
    size_t lanes;      /* of a row, in additions */
    int64_t rows_a_task;
    int32_t *first, *next;
} job;

static int64_t updates_of(const em__call *call)
{
    return em__spec_size(&call->in[1].spec) / call->n_ints;
}

bool em__index_rows_takes(const em__call *call)
{
    int64_t run;
    if (em__spec_empty(&call->out.spec) || em__spec_empty(&call->in[2].spec) ||
        !em__tensor_is_contiguous(&call->in[0]) || !em__index_inner(call, &call->out, &run))
        return false;
    int64_t rows = em__spec_size(&call->out.spec) / run, n = updates_of(call);
    return run * (int64_t)em_dtype_size(call->out.spec.dtype) >= LEAST_ROW && rows >= LEAST_ROWS && rows <= INT32_MAX &&
           n <= INT32_MAX && n >= rows / MOST_PER_UPDATE;
}

static size_t padded(int64_t bytes)
{
    return em__align64((size_t)bytes);
}

size_t em__index_rows_scratch(const em__call *call)
{
    int64_t run, n = updates_of(call);
    em__index_inner(call, &call->out, &run);
    return padded(em__spec_size(&call->out.spec) / run * (int64_t)sizeof(int32_t)) +
           padded(n * (int64_t)sizeof(int32_t)) + (em__index_is_row(call) ? 0 : padded(n * (int64_t)sizeof(int64_t)));
}

/* The updates of rows [low, low + count). The last ones come first, so that a row's list is in order. */
static void link_updates(const job *j, int64_t low, int64_t count)
{
    const em__offsets_within_fn within = em__offsets_get()->within[j->index_dtype];
    int32_t at[EM__INDEX_LISTED + EM__INDEX_SPARE], number[EM__INDEX_LISTED + EM__INDEX_SPARE];
    int32_t *first = j->first + low;
    memset(first, -1, (size_t)count * sizeof *first);
    for (int64_t block = (j->n - 1) / EM__INDEX_LISTED; block >= 0; block--) {
        const int64_t from = block * EM__INDEX_LISTED;
        const int64_t n = j->n - from < EM__INDEX_LISTED ? j->n - from : EM__INDEX_LISTED;
        const char *index = (const char *)j->index + from * (int64_t)em_dtype_size(j->index_dtype);
        for (int64_t i = within(at, number, index, n, low, count) - 1; i >= 0; i--) {
            const int32_t update = (int32_t)from + number[i];
            if (j->add)
                j->next[update] = first[at[i]];
            if (j->add || first[at[i]] < 0)
                first[at[i]] = update;
        }
    }
}

static void ask_for(const char *row, int64_t bytes)
{
    for (int64_t line = 0; line < bytes && line < MOST_AHEAD; line += 64)
        __builtin_prefetch(row + line);
}

static void write_rows(void *context, int64_t task, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t low = task * j->rows_a_task, high = low + j->rows_a_task < j->rows ? low + j->rows_a_task : j->rows;
    const char *updates = j->call->in[2].data, *in = (const char *)j->call->in[0].data + low * j->bytes;
    char *out = (char *)j->call->out.data + low * j->bytes;
    link_updates(j, low, high - low);
    for (int64_t row = low; row < high; row++, in += j->bytes, out += j->bytes) {
        const int32_t ahead = row + EM__INDEX_AHEAD < high ? j->first[row + EM__INDEX_AHEAD] : -1;
        int32_t update = j->first[row];
        if (ahead >= 0)
            ask_for(updates + ahead * j->bytes, j->bytes);
        if (update < 0 || !j->add)
            memcpy(out, update < 0 ? in : updates + update * j->bytes, (size_t)j->bytes);
        for (const char *sum = in; j->add && update >= 0; update = j->next[update], sum = out)
            j->add(out, sum, updates + update * j->bytes, j->lanes, EM__VV);
    }
}

em_status em__index_rows_run(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    const em_dtype dtype = call->out.spec.dtype;
    job j = {.call = call, .n = updates_of(call), .index_dtype = call->in[1].spec.dtype, .index = call->in[1].data};
    int64_t run;
    em__index_inner(call, &call->out, &run);
    j.rows = em__spec_size(&call->out.spec) / run;
    j.bytes = run * (int64_t)em_dtype_size(dtype);
    j.lanes = (size_t)run * (em_dtype_get_kind(dtype) == EM_KIND_COMPLEX ? 2 : 1);
    if (call->op == EM__OP_INDEXED_ADD)
        j.add = cpu->elementwise->binary[EM__BINARY_ADD][dtype == EM_C64 ? EM_F32 : dtype == EM_C128 ? EM_F64 : dtype];
    j.first = call->scratch;
    j.next = (int32_t *)(void *)((char *)call->scratch + padded(j.rows * (int64_t)sizeof *j.first));
    if (!em__index_is_row(call)) {
        int64_t *at = (int64_t *)(void *)((char *)j.next + padded(j.n * (int64_t)sizeof *j.next));
        em__index_offsets(cpu, call, run, at);
        j.index = at;
        j.index_dtype = EM_S64;
    }
    const int64_t tasks = (int64_t)em__pool_size(cpu->pool) * TASKS;
    j.rows_a_task = (j.rows + tasks - 1) / tasks;
    em__pool_run(cpu->pool, write_rows, &j, (j.rows + j.rows_a_task - 1) / j.rows_a_task);
    return EM_OK;
}
