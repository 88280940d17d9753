/*
 * Writing by index: INDEXED_ADD and INDEXED_PUT into a copy of the operand. Each worker owns a range of the result and
 * walks all updates in order, so that a place sees its updates in order whatever the number of threads. Rows that most
 * of the result's places see are index_rows.c's.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/index.h"

#include <string.h>

#define ALONE_BYTES 65536 /* of updates, that one worker writes by itself */
#define OFFSETS_A_CHUNK 16384
#define COLUMNS 256                   /* of each update, at least, that a worker writes */
#define MOST_RANGE ((int64_t)1 << 31) /* elements of a worker's range: places in it have 32 bits */

#define T uint8_t
#define FN(name) size1_##name
#include "device/cpu/index_put_tmpl.c"
#define T uint16_t
#define FN(name) size2_##name
#include "device/cpu/index_put_tmpl.c"
#define T uint32_t
#define FN(name) size4_##name
#include "device/cpu/index_put_tmpl.c"
typedef uint64_t eight __attribute__((aligned(4))); /* complex elements are aligned to their halves */
#define T eight
#define FN(name) size8_##name
#include "device/cpu/index_put_tmpl.c"
typedef struct pair {
    uint64_t half[2];
} pair;
#define T pair
#define FN(name) size16_##name
#include "device/cpu/index_put_tmpl.c"

#define T uint8_t
#define FN(name) u8_##name
#include "device/cpu/index_add_tmpl.c"
#define T uint16_t
#define FN(name) u16_##name
#include "device/cpu/index_add_tmpl.c"
#define T uint32_t
#define FN(name) u32_##name
#include "device/cpu/index_add_tmpl.c"
#define T uint64_t
#define FN(name) u64_##name
#include "device/cpu/index_add_tmpl.c"
#define T float
#define FN(name) f32_##name
#include "device/cpu/index_add_tmpl.c"
#define T double
#define FN(name) f64_##name
#include "device/cpu/index_add_tmpl.c"

typedef void (*spread_fn)(void *out, const void *in, const int64_t *at, int64_t n);
typedef void (*listed_fn)(void *out, const void *in, const int32_t *at, const int32_t *number, int64_t n);
static const spread_fn spreads[] = {size1_spread, size2_spread, size4_spread, size8_spread, size16_spread};
static const listed_fn puts_listed[] = {size1_put_listed, size2_put_listed, size4_put_listed, size8_put_listed,
                                        size16_put_listed};
#define BY_DTYPE(name)                                                                                                 \
    {                                                                                                                  \
        [EM_U8] = u8_##name, [EM_U16] = u16_##name, [EM_U32] = u32_##name, [EM_U64] = u64_##name, [EM_S8] = u8_##name, \
        [EM_S16] = u16_##name, [EM_S32] = u32_##name, [EM_S64] = u64_##name, [EM_F32] = f32_##name,                    \
        [EM_F64] = f64_##name                                                                                          \
    }
static const spread_fn adds_at[EM_DTYPE_COUNT] = BY_DTYPE(add_at);
static const listed_fn adds_listed[EM_DTYPE_COUNT] = BY_DTYPE(add_listed);

/* Updates written to a copy of the operand. */
typedef struct write {
    const em__call *call;
    const em__elementwise *kernels;
    em_dtype dtype;    /* of additions */
    size_t size;       /* of an element */
    int64_t n, run;    /* updates, elements in each */
    const int64_t *at; /* where each goes, in elements; -1: nowhere */
    const void *index; /* or of single elements: the same in integers of index_dtype */
    em_dtype index_dtype;
    const int64_t *places; /* of an update's elements; NULL: side by side */
    int64_t range;         /* elements of the result that one worker owns: updates that begin there */
    int64_t columns;       /* or, when not 0, elements of each update that one worker writes */
} write;

/* Elements [from, from + n) of one update. */
static void write_run(const write *w, char *out, const char *in, int64_t from, int64_t n)
{
    int64_t size = (int64_t)w->size;
    int log_size = __builtin_ctzll(w->size);
    in += from * size;
    if (w->call->op == EM__OP_INDEXED_PUT && w->places) {
        spreads[log_size](out, in, w->places + from, n);
    } else if (w->call->op == EM__OP_INDEXED_PUT) {
        memcpy(out + from * size, in, (size_t)(n * size));
    } else if (w->places) {
        adds_at[w->dtype](out, in, w->places + from, n);
    } else {
        int64_t lanes = em_dtype_get_kind(w->call->out.spec.dtype) == EM_KIND_COMPLEX ? 2 * n : n;
        out += from * size;
        w->kernels->binary[EM__BINARY_ADD][w->dtype](out, out, in, (size_t)lanes, EM__VV);
    }
}

static void write_owned(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const write *w = context;
    char *out = w->call->out.data;
    const char *in = w->call->in[2].data;
    int64_t size = (int64_t)w->size, low = w->columns ? 0 : chunk * w->range;
    int64_t high = w->columns ? INT64_MAX : low + w->range, from = w->columns ? chunk * w->columns : 0;
    int64_t n = w->columns && w->columns < w->run - from ? w->columns : w->run - from;
    for (int64_t i = 0; i < w->n; i++) {
        int64_t at = w->at[i];
        if (at < low || at >= high)
            continue;
        int64_t next = w->at[i + EM__INDEX_AHEAD < w->n ? i + EM__INDEX_AHEAD : i];
        for (int64_t line = 0; line < n * size && line < 512 && next >= 0; line += 64)
            __builtin_prefetch(out + (next + from) * size + line);
        write_run(w, out + at * size, in + i * w->run * size, from, n);
    }
}

/* Updates of one element each. Which of them are the worker's is found without a branch: it would go either way. */
static void write_elements(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const write *w = context;
    const em__offsets_within_fn within = em__offsets_get()->within[w->index_dtype];
    const int64_t low = chunk * w->range, left = em__spec_size(&w->call->out.spec) - low;
    const int64_t range = w->range < left ? w->range : left, index_size = (int64_t)em_dtype_size(w->index_dtype);
    char *out = (char *)w->call->out.data + low * (int64_t)w->size;
    listed_fn fn = w->call->op == EM__OP_INDEXED_PUT ? puts_listed[__builtin_ctzll(w->size)] : adds_listed[w->dtype];
    int32_t at[EM__INDEX_LISTED + EM__INDEX_SPARE], number[EM__INDEX_LISTED + EM__INDEX_SPARE];
    for (int64_t from = 0; from < w->n; from += EM__INDEX_LISTED) {
        const int64_t n = w->n - from < EM__INDEX_LISTED ? w->n - from : EM__INDEX_LISTED;
        const int64_t mine = within(at, number, (const char *)w->index + from * index_size, n, low, range);
        fn(out, (const char *)w->call->in[2].data + from * (int64_t)w->size, at, number, mine);
    }
}

typedef struct offsets_job {
    const em__call *call;
    int64_t unit, n, *at;
} offsets_job;

static void update_offsets(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const offsets_job *job = context;
    const em__tensor *out = &job->call->out;
    int k = job->call->n_ints;
    int64_t from = chunk * OFFSETS_A_CHUNK, n = job->n - from < OFFSETS_A_CHUNK ? job->n - from : OFFSETS_A_CHUNK;
    int64_t *at = job->at + from;
    memset(at, 0, (size_t)n * sizeof *at);
    for (int j = 0; j < k; j++) {
        int axis = (int)job->call->ints[j];
        em__index_list list =
            em__index_list_of(job->call, from * k + j, k, n, out->spec.dims[axis], out->strides[axis] / job->unit);
        em__offsets_get()->strict[job->call->in[1].spec.dtype](at, &list);
    }
}

void em__index_offsets(em__cpu *cpu, const em__call *call, int64_t unit, int64_t *at)
{
    offsets_job job = {call, unit, em__spec_size(&call->in[1].spec) / call->n_ints, at};
    em__pool_run(cpu->pool, update_offsets, &job, (job.n + OFFSETS_A_CHUNK - 1) / OFFSETS_A_CHUNK);
}

bool em__index_is_row(const em__call *call)
{
    const em_dtype dtype = call->in[1].spec.dtype;
    int64_t run;
    return call->n_ints == 1 && (em_dtype_size(dtype) == 4 || em_dtype_size(dtype) == 8) &&
           em__index_inner(call, &call->out, &run) &&
           run * call->out.spec.dims[call->ints[0]] == em__spec_size(&call->out.spec);
}

static bool writes_elements(const em__call *call, const write *w)
{
    return w->run == 1 && (call->op == EM__OP_INDEXED_PUT || adds_listed[call->out.spec.dtype]);
}

static em_status run_write(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    const em__tensor *out = &call->out;
    em_dtype dtype = out->spec.dtype;
    write w = {.call = call, .kernels = cpu->elementwise, .dtype = dtype, .size = em_dtype_size(dtype)};
    w.dtype = dtype == EM_C64 ? EM_F32 : dtype == EM_C128 ? EM_F64 : dtype;
    w.n = em__spec_size(&call->in[1].spec) / call->n_ints;
    em__index_copy(cpu, &call->in[0], out);
    if (em__spec_size(&out->spec) == 0 || em__spec_size(&call->in[2].spec) == 0)
        return EM_OK;
    if (!em__index_inner(call, out, &w.run)) {
        em__index_places(call, out, w.run, (int64_t *)call->scratch + w.n);
        w.places = (int64_t *)call->scratch + w.n;
    }
    bool single = writes_elements(call, &w);
    w.index = single && em__index_is_row(call) ? call->in[1].data : call->scratch;
    w.index_dtype = w.index == call->scratch ? EM_S64 : call->in[1].spec.dtype;
    w.at = call->scratch;
    if (w.index == call->scratch)
        em__index_offsets(cpu, call, 1, call->scratch);
    int64_t size = em__spec_size(&out->spec), threads = em__pool_size(cpu->pool), chunks = threads;
    if (w.n * w.run * (int64_t)w.size < ALONE_BYTES)
        chunks = 1;
    else if (w.run >= COLUMNS * threads)
        w.columns = (w.run / threads + COLUMNS - 1) / COLUMNS * COLUMNS;
    w.range = (size + chunks - 1) / chunks;
    w.range = single && w.range > MOST_RANGE ? MOST_RANGE : w.range;
    chunks = w.columns ? (w.run + w.columns - 1) / w.columns : (size + w.range - 1) / w.range;
    em__pool_run(cpu->pool, single ? write_elements : write_owned, &w, chunks);
    return EM_OK;
}

bool em__index_prepare_write(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em_dtype dtype = call->out.spec.dtype;
    bool complex = em_dtype_get_kind(dtype) == EM_KIND_COMPLEX, add = call->op == EM__OP_INDEXED_ADD;
    int64_t run;
    if (call->n_ints == 0)
        return false;
    bool listed = !em__index_inner(call, &call->out, &run);
    if (listed && (run > EM__INDEX_MOST_INNER || (add && !adds_at[dtype])))
        return false;
    if (add && !complex && !cpu->elementwise->binary[EM__BINARY_ADD][dtype])
        return false;
    if (em__index_rows_takes(call)) {
        *plan = (em__plan){.kernel = em__index_rows_run, .scratch = em__index_rows_scratch(call)};
        return true;
    }
    int64_t updates = em__spec_size(&call->in[1].spec) / call->n_ints;
    *plan = (em__plan){.kernel = run_write, .strided = 1};
    plan->scratch = (size_t)(updates + (listed ? run : 0)) * sizeof(int64_t);
    return true;
}
