/* ROPE and ROTARY: tables, and the walk over rows that the kernels of rotary.h turn. KV_UPDATE: rows into a cache. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/ref/ref.h"

#define CHUNK 16384 /* features that one worker takes at a time */

static em__rotary best;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void em__rotary_init(em__rotary *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__rotary_fill_portable(kernels);
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2)
        em__rotary_fill_avx2(kernels);
    if (level >= EM__CPU_AVX512)
        em__rotary_fill_avx512(kernels);
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__rotary_init(&best, em__cpu_get()->level);
}

const em__rotary *em__rotary_get(void)
{
    pthread_once(&once, init_best);
    return &best;
}

/* A call as rows. Tables are seen with x's leading axes, stride 0 where they repeat. */
typedef struct job {
    const em__tensor *x;
    const float *cosine, *sine;
    int64_t cosine_strides[EM_MAX_RANK], sine_strides[EM_MAX_RANK];
    char *out;
    em__rotary_fn turn;
    int64_t dims, size; /* features turned, features of a row */
    int64_t rows, rows_per_chunk;
    bool full;
} job;

static void run_rows(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    const em__spec *spec = &j->x->spec;
    const size_t element = em_dtype_size(spec->dtype);
    int64_t first = chunk * j->rows_per_chunk, end = first + j->rows_per_chunk, at[EM_MAX_RANK], rest = first;
    int64_t x = 0, c = 0, s = 0;
    for (int d = spec->rank - 2; d >= 0; d--) {
        at[d] = rest % spec->dims[d];
        rest /= spec->dims[d];
        x += at[d] * j->x->strides[d];
        c += at[d] * j->cosine_strides[d];
        s += at[d] * j->sine_strides[d];
    }
    for (int64_t row = first; row < (end < j->rows ? end : j->rows); row++) {
        const char *from = (const char *)j->x->data + x * (int64_t)element;
        char *to = j->out + (size_t)(row * j->size) * element;
        j->turn(to, from, j->cosine + c, j->sine + s, j->dims / 2, j->full);
        if (j->size > j->dims)
            memcpy(to + (size_t)j->dims * element, from + (size_t)j->dims * element,
                   (size_t)(j->size - j->dims) * element);
        for (int d = spec->rank - 2; d >= 0; d--) { /* the next row */
            bool wraps = ++at[d] == spec->dims[d];
            int64_t by = wraps ? 1 - spec->dims[d] : 1;
            at[d] = wraps ? 0 : at[d];
            x += by * j->x->strides[d];
            c += by * j->cosine_strides[d];
            s += by * j->sine_strides[d];
            if (!wraps)
                break;
        }
    }
}

static void turn_rows(em__cpu *cpu, const em__call *call, job *j)
{
    const em__spec *spec = &call->in[0].spec;
    j->x = &call->in[0];
    j->out = call->out.data;
    j->dims = call->ints[0];
    j->size = spec->dims[spec->rank - 1];
    j->turn = (call->ints[1] ? cpu->rotary->pairs : cpu->rotary->halves)[spec->dtype];
    j->rows = em__spec_size(spec) / (j->size ? j->size : 1);
    j->rows_per_chunk = (CHUNK + j->size - 1) / (j->size ? j->size : 1);
    if (j->rows > 0)
        em__pool_run(cpu->pool, run_rows, j, (j->rows + j->rows_per_chunk - 1) / j->rows_per_chunk);
}

static em_status run_rotary(em_device *device, const em__call *call)
{
    const em__tensor *table = &call->in[1];
    em__spec shape = call->in[0].spec;
    int64_t last = table->spec.dims[table->spec.rank - 1];
    shape.dims[shape.rank - 1] = last;
    em__tensor cosine = em__tensor_broadcast(&call->in[1], &shape), sine = em__tensor_broadcast(&call->in[2], &shape);
    job j = {.cosine = cosine.data, .sine = sine.data, .full = last == call->ints[0]};
    memcpy(j.cosine_strides, cosine.strides, sizeof cosine.strides);
    memcpy(j.sine_strides, sine.strides, sizeof sine.strides);
    turn_rows(em__cpu_of(device), call, &j);
    return EM_OK;
}

/* The tables of a ROPE: [batches, positions, half] of cosines, then as much of sines, behind the turns of the pairs. */
typedef struct tables {
    em__cpu *cpu;
    const em__call *call;
    float *cosine, *sine;
    double *turn;
    int64_t batches, positions, half, per_chunk;
} tables;

/* Without their memory. x has elements: an axis of an empty one may be of any length. */
static tables describe_tables(em__cpu *cpu, const em__call *call)
{
    const em__spec *x = &call->in[0].spec;
    tables t = {.cpu = cpu, .call = call, .half = call->ints[0] / 2, .positions = x->dims[call->ints[3]]};
    t.batches = call->ints[2] & 1 && call->in[1].spec.rank ? x->dims[0] : 1;
    t.per_chunk = 1 + CHUNK / 8 / t.half;
    return t;
}

static size_t table_floats(const tables *t)
{
    return (size_t)(t->batches * t->positions * t->half);
}

static size_t table_bytes(const em__call *call)
{
    if (em__spec_empty(&call->in[0].spec))
        return 0;
    tables t = describe_tables(NULL, call);
    return (size_t)t.half * sizeof(double) + 2 * table_floats(&t) * sizeof(float);
}

static void fill_tables(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const tables *t = context;
    const em__tensor *offset = t->call->ints[2] & 1 ? &t->call->in[1] : NULL;
    int64_t first = chunk * t->per_chunk, end = first + t->per_chunk, rows = t->batches * t->positions;
    for (int64_t row = first; row < (end < rows ? end : rows); row++) {
        double position = (double)(row % t->positions);
        if (offset) {
            int64_t at = offset->spec.rank ? row / t->positions * offset->strides[0] : 0;
            position += (double)em__ref_index(offset->spec.dtype, offset->data, at);
        }
        t->cpu->rotary->angles(t->cosine + row * t->half, t->sine + row * t->half, t->turn,
                               position * t->call->floats[1], t->half);
    }
}

static em_status run_rope(em_device *device, const em__call *call)
{
    if (em__spec_empty(&call->in[0].spec))
        return EM_OK;
    em__cpu *cpu = em__cpu_of(device);
    tables t = describe_tables(cpu, call);
    t.turn = call->scratch;
    t.cosine = (float *)(void *)(t.turn + t.half);
    t.sine = t.cosine + table_floats(&t);
    int64_t mask = call->ints[2], rows = t.batches * t.positions;
    const em__tensor *freqs = mask & 2 ? &call->in[1 + (mask & 1)] : NULL;
    for (int64_t i = 0; i < t.half; i++)
        t.turn[i] = freqs ? 1 / (double)((const float *)freqs->data)[i]
                          : pow(call->floats[0], -2.0 * (double)i / (double)call->ints[0]);
    em__pool_run(cpu->pool, fill_tables, &t, (rows + t.per_chunk - 1) / t.per_chunk);
    job j = {.cosine = t.cosine, .sine = t.sine};
    j.cosine_strides[call->ints[3]] = t.half;
    if (t.batches > 1)
        j.cosine_strides[0] = t.positions * t.half;
    memcpy(j.sine_strides, j.cosine_strides, sizeof j.sine_strides);
    turn_rows(cpu, call, &j);
    return EM_OK;
}

bool em__cpu_prepare_rotary(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if ((call->op != EM__OP_ROPE && call->op != EM__OP_ROTARY) || !cpu->rotary->halves[call->in[0].spec.dtype])
        return false;
    bool rope = call->op == EM__OP_ROPE;
    *plan = (em__plan){.kernel = rope ? run_rope : run_rotary};
    plan->inplace = 1;
    plan->scratch = rope ? table_bytes(call) : 0;
    plan->strided = rope && call->ints[2] & 1 ? 2 : 0; /* the offset */
    for (int i = 0; i < (rope ? 1 : 3); i++)           /* the features of a row must be side by side */
        if (call->in[i].strides[call->in[i].spec.rank - 1] == 1)
            plan->strided |= (uint64_t)1 << i;
    return true;
}
