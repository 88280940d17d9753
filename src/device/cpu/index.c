/*
 * Reading by index: TAKE, TAKE_ALONG_AXIS, GATHER; DYNAMIC_SLICE and PUT_SLICE. Indices become element offsets, BLOCK
 * at a time on the worker's stack, and runs of elements are copied from there.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/index.h"

#include <string.h>

#include "device/cpu/families.h"
#include "device/index.h"

#define BLOCK 256         /* indices turned into offsets at a time */
#define CHUNK_BYTES 65536 /* that one worker moves at a time, about */
#define PART_BYTES 16384  /* of a part that is fetched while the one before is read */

em__index_list em__index_list_of(const em__call *call, int64_t from, int64_t k, int64_t n, int64_t count, int64_t scale)
{
    const em__tensor *index = &call->in[1];
    const char *at = (const char *)index->data + from * (int64_t)em_dtype_size(index->spec.dtype);
    return (em__index_list){.index = at, .step = k, .n = n, .count = count, .scale = scale};
}

/* A read of rows, `count` of them from each part of the operand; parts are the axes before TAKE's. */
typedef struct read {
    const em__call *call;
    const em__offsets *offsets;
    em__op op;
    size_t size;              /* of an element */
    int64_t rows, count, run; /* rows in all, rows a part, elements a row */
    int64_t outer_stride;     /* elements from part to part */
    int64_t inner;            /* TAKE_ALONG_AXIS, whose rows are elements: those behind the axis */
    int64_t limit;            /* the axis' size */
    const int64_t *places;    /* of a row's elements; NULL: side by side */
    int64_t rows_a_chunk;
    em__offsets_pick_fn pick; /* of rows that are elements, without offsets; or NULL */
} read;

/* Offsets of rows first .. first + n - 1, all in one part. */
static void row_offsets(const read *r, int64_t first, int64_t n, int64_t *at)
{
    const em__tensor *in = &r->call->in[0];
    em_dtype dtype = r->call->in[1].spec.dtype;
    int64_t part = first / r->count, from = first % r->count, base = part * r->outer_stride;
    bool along = r->op == EM__OP_TAKE_ALONG_AXIS;
    if (r->op == EM__OP_GATHER) {
        int64_t k = r->call->n_ints;
        for (int64_t j = 0; j < k; j++) {
            int64_t axis = r->call->ints[j];
            em__index_list list =
                em__index_list_of(r->call, from * k + j, k, n, in->spec.dims[axis], in->strides[axis]);
            if (j == 0)
                r->offsets->set[dtype](at, &list, base);
            else
                r->offsets->add[dtype](at, &list);
        }
        return;
    }
    em__index_list list = em__index_list_of(r->call, along ? first : from, 1, n, r->limit, r->inner);
    r->offsets->set[dtype](at, &list, base);
    for (int64_t i = 0, c = from % r->inner, m; along && r->inner > 1 && i < n; i += m, c = 0) {
        m = r->inner - c < n - i ? r->inner - c : n - i;
        for (int64_t x = 0; x < m; x++)
            at[i + x] += c + x;
    }
}

#define T uint8_t
#define FN(name) size1_##name
#include "device/cpu/index_tmpl.c"
#define T uint16_t
#define FN(name) size2_##name
#include "device/cpu/index_tmpl.c"
#define T uint32_t
#define FN(name) size4_##name
#include "device/cpu/index_tmpl.c"
typedef uint64_t eight __attribute__((aligned(4))); /* complex elements are aligned to their halves */
#define T eight
#define FN(name) size8_##name
#include "device/cpu/index_tmpl.c"
typedef struct pair {
    uint64_t half[2];
} pair;
#define T pair
#define FN(name) size16_##name
#include "device/cpu/index_tmpl.c"

typedef void (*pick_fn)(void *out, const void *in, const int64_t *at, int64_t n);
static const pick_fn picks[] = {size1_pick, size2_pick, size4_pick, size8_pick, size16_pick};
static void copy_rows(char *out, const char *in, const int64_t *at, int64_t n, size_t row, size_t size)
{
    for (int64_t i = 0; i < n; i++) {
        const char *next = in + at[i + EM__INDEX_AHEAD < n ? i + EM__INDEX_AHEAD : n - 1] * (int64_t)size;
        for (size_t line = 0; line < row && line < 512; line += 64)
            __builtin_prefetch(next + line);
        memcpy(out + (size_t)i * row, in + at[i] * (int64_t)size, row);
    }
}

/* Rows first to first + n - 1 are single elements, met in no order that the processor could foresee: of the part behind
 * theirs, as much is asked for as they are of theirs. (Inlined by force: what only asks ahead passes for a function
 * without effect, a call of which may go.) */
static inline __attribute__((always_inline)) void fetch_part(const read *r, int64_t first, int64_t n)
{
    const int64_t part = r->outer_stride * (int64_t)r->size, from = first % r->count;
    if (part > PART_BYTES || first / r->count + 1 >= r->rows / r->count)
        return;
    const char *next = (const char *)r->call->in[0].data + (first / r->count + 1) * part;
    for (int64_t at = part * from / r->count; at < part * (from + n) / r->count; at += 64)
        __builtin_prefetch(next + at);
}

/* Elements as read_rows sees them, straight from their indices. */
static void pick_rows(const read *r, int64_t first, int64_t n, char *out)
{
    const bool along = r->op == EM__OP_TAKE_ALONG_AXIS, slides = along && r->inner > 1;
    const int64_t size = (int64_t)r->size, from = first % r->count;
    const char *in = (const char *)r->call->in[0].data + first / r->count * r->outer_stride * size;
    for (int64_t i = 0, c = slides ? from % r->inner : 0, m; i < n; i += m, c = 0) {
        m = slides && r->inner - c < n - i ? r->inner - c : n - i;
        const em__index_list list = em__index_list_of(r->call, (along ? first : from) + i, 1, m, r->limit, r->inner);
        r->pick(out + i * size, in + c * size, &list, slides);
    }
}

/* The kernel for that, where offsets have 32 bits. From a part that lies in L1, loads one by one are faster. */
static em__offsets_pick_fn pick_of(const read *r)
{
    const em_dtype dtype = r->call->in[1].spec.dtype;
    const int64_t elements = r->limit * r->inner;
    if (r->run != 1 || r->places || (r->size != 4 && r->size != 8) || elements > INT32_MAX ||
        elements * (int64_t)r->size <= PART_BYTES)
        return NULL;
    return r->offsets->pick[r->size == 8][dtype];
}

static void read_rows(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const read *r = context;
    const char *in = r->call->in[0].data;
    int64_t row = chunk * r->rows_a_chunk, end = row + r->rows_a_chunk, at[BLOCK];
    size_t bytes = (size_t)r->run * r->size;
    bool element = (bytes & (bytes - 1)) == 0 && bytes <= 16 && bytes == r->size;
    end = end < r->rows ? end : r->rows;
    while (row < end) {
        int64_t n = end - row < BLOCK ? end - row : BLOCK, left = r->count - row % r->count;
        char *out = (char *)r->call->out.data + (size_t)row * bytes;
        n = n < left ? n : left;
        if (r->pick) {
            fetch_part(r, row, n);
            pick_rows(r, row, n, out);
            row += n;
            continue;
        }
        row_offsets(r, row, n, at);
        if (r->places) {
            for (int64_t i = 0; i < n; i++)
                picks[__builtin_ctzll(r->size)](out + (size_t)i * bytes, in + at[i] * (int64_t)r->size, r->places,
                                                r->run);
        } else if (element) {
            fetch_part(r, row, n);
            picks[__builtin_ctzll(r->size)](out, in, at, n);
        } else {
            copy_rows(out, in, at, n, bytes, r->size);
        }
        row += n;
    }
}

static int64_t product(const em__spec *spec, int from, int to)
{
    int64_t size = 1;
    for (int d = from; d < to; d++)
        size *= spec->dims[d];
    return size;
}

bool em__index_inner(const em__call *call, const em__tensor *of, int64_t *run)
{
    unsigned named = 0;
    bool side_by_side = true, outside = false;
    *run = 1;
    for (int k = 0; k < call->n_ints; k++)
        named |= 1u << call->ints[k];
    for (int d = of->spec.rank - 1; d >= 0; d--) {
        bool skip = named >> d & 1;
        if (of->spec.dims[d] == 1)
            continue;
        side_by_side = side_by_side && (skip || !outside);
        outside = outside || skip;
        *run *= skip ? 1 : of->spec.dims[d];
    }
    return side_by_side;
}

void em__index_places(const em__call *call, const em__tensor *of, int64_t run, int64_t *places)
{
    unsigned named = 0;
    int64_t at[EM_MAX_RANK] = {0}, offset = 0;
    for (int k = 0; k < call->n_ints; k++)
        named |= 1u << call->ints[k];
    for (int64_t i = 0; i < run; i++) {
        places[i] = offset;
        for (int d = of->spec.rank - 1; d >= 0; d--) {
            if (named >> d & 1)
                continue;
            offset += of->strides[d];
            if (++at[d] < of->spec.dims[d])
                break;
            offset -= at[d] * of->strides[d];
            at[d] = 0;
        }
    }
}

static em_status run_read(em_device *device, const em__call *call)
{
    const em__tensor *in = &call->in[0], *index = &call->in[1];
    int axis = (int)(call->n_ints ? call->ints[0] : 0);
    read r = {.call = call, .offsets = em__offsets_get(), .op = call->op, .run = 1};
    r.size = em_dtype_size(in->spec.dtype);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    r.count = em__spec_size(&index->spec);
    if (call->op == EM__OP_GATHER) {
        r.count /= call->n_ints;
        if (!em__index_inner(call, in, &r.run)) {
            em__index_places(call, in, r.run, call->scratch);
            r.places = call->scratch;
        }
        r.rows = r.count;
        r.limit = in->spec.dims[axis];
        r.inner = in->strides[axis];
        r.pick = call->n_ints == 1 ? pick_of(&r) : NULL;
    } else {
        r.limit = in->spec.dims[axis];
        r.inner = product(&in->spec, axis + 1, in->spec.rank);
        r.outer_stride = r.limit * r.inner;
        if (call->op == EM__OP_TAKE) {
            r.run = r.inner;
            r.rows = product(&in->spec, 0, axis) * r.count;
        } else {
            r.rows = r.count;
            r.count = index->spec.dims[axis] * r.inner;
        }
        r.pick = pick_of(&r);
    }
    r.rows_a_chunk = CHUNK_BYTES / (r.run * (int64_t)r.size);
    r.rows_a_chunk = r.rows_a_chunk > 0 ? r.rows_a_chunk : 1;
    em__pool_run(em__cpu_of(device)->pool, read_rows, &r, (r.rows + r.rows_a_chunk - 1) / r.rows_a_chunk);
    return EM_OK;
}

void em__index_copy(em__cpu *cpu, const em__tensor *in, const em__tensor *out)
{
    em__copy_layout layout = {.rank = in->spec.rank, .size = em_dtype_size(in->spec.dtype)};
    memcpy(layout.dims, in->spec.dims, sizeof layout.dims);
    memcpy(layout.in_strides, in->strides, sizeof layout.in_strides);
    memcpy(layout.out_strides, out->strides, sizeof layout.out_strides);
    if (em__spec_size(&in->spec))
        em__copy_run(cpu->copy, cpu->pool, out->data, in->data, &layout);
}

/* `from` into the result, whose memory from element `at` on it covers, stepping by the result's strides. */
static void lay_over(em__cpu *cpu, const em__tensor *from, const em__tensor *out, int64_t at)
{
    em__tensor part = *out;
    part.data = (char *)out->data + at * (int64_t)em_dtype_size(out->spec.dtype);
    em__index_copy(cpu, from, &part);
}

static em_status run_dynamic_slice(em_device *device, const em__call *call)
{
    em__tensor in = call->in[0];
    int64_t start = em__slice_start(call, 1, &in, call->ints);
    for (int d = 0; d < in.spec.rank; d++) {
        in.spec.dims[d] = call->out.spec.dims[d];
        in.strides[d] *= in.spec.dims[d] > 1 ? call->ints[in.spec.rank + d] : 1;
    }
    if (em__spec_size(&in.spec) == 0)
        return EM_OK;
    in.data = (char *)in.data + start * (int64_t)em_dtype_size(in.spec.dtype);
    lay_over(em__cpu_of(device), &in, &call->out, 0);
    return EM_OK;
}

static em_status run_put_slice(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__index_copy(cpu, &call->in[0], &call->out);
    if (em__spec_size(&call->in[1].spec))
        lay_over(cpu, &call->in[1], &call->out, em__slice_start(call, 2, &call->out, call->in[1].spec.dims));
    return EM_OK;
}

static bool prepare_read(const em__call *call, em__plan *plan)
{
    const em__tensor *in = &call->in[0];
    int64_t run;
    *plan = (em__plan){.kernel = run_read};
    /* A table that would have to be copied first, for few rows of it, is left to the general path. */
    if (!em__tensor_is_contiguous(in) && em__spec_size(&in->spec) / 4 > em__spec_size(&call->out.spec))
        return false;
    if (call->op != EM__OP_GATHER)
        return true;
    if (call->n_ints > 0 && !em__index_inner(call, in, &run))
        plan->scratch = run <= EM__INDEX_MOST_INNER ? (size_t)run * sizeof(int64_t) : 0;
    return call->n_ints > 0 && (em__index_inner(call, in, &run) || run <= EM__INDEX_MOST_INNER);
}

bool em__cpu_prepare_index(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    switch (call->op) {
    case EM__OP_TAKE:
    case EM__OP_TAKE_ALONG_AXIS:
    case EM__OP_GATHER: return prepare_read(call, plan);
    case EM__OP_INDEXED_ADD:
    case EM__OP_INDEXED_PUT: return em__index_prepare_write(cpu, call, plan);
    case EM__OP_DYNAMIC_SLICE: *plan = (em__plan){.kernel = run_dynamic_slice, .strided = UINT64_MAX}; return true;
    case EM__OP_PUT_SLICE: *plan = (em__plan){.kernel = run_put_slice, .strided = UINT64_MAX}; return true;
    default: return false;
    }
}
