/*
 * Running a decoder's forward. Eager builds and evaluates, and copies the new caches over the old; the other lanes keep
 * a program a shape, whose caches are donated and updated where they lie.
 */
#include <string.h>

#include "core/error.h"
#include "device/memory.h"
#include "graph/program.h"
#include "models/decoder/decoder.h"

/* New tokens of a sequence from which its activations may be rounded: of a prompt; where all have logits, more, so that
 * guesses are checked by what would have been chosen. A sequence alone decides, so that its answer does not depend on
 * what shares its batch. */
enum { ROUNDED_PROMPT = 16, ROUNDED_TOKENS = 64 };

typedef struct tracing {
    const em__decoder *decoder;
    const em__decoder_task *task;
} tracing;

static em_status trace(em_scope *s, em_array *const *inputs, em_array **outputs, void *user)
{
    const tracing *t = user;
    const size_t caches = em__decoder_caches(t->decoder, t->task);
    memcpy(outputs, inputs, caches * sizeof *outputs);
    outputs[caches] = em__decoder_forward(s, t->decoder, t->task, outputs, inputs + caches);
    return em_scope_status(s);
}

em_spec em__cache_spec(const em__decoder_config *config, em_dtype dtype, size_t index, int64_t sequences, int64_t rows)
{
    if (index % em__cache_parts(dtype) >= EM__CACHE_KEY_SCALES)
        return (em_spec){EM_F32, em_shape(sequences, config->kv_heads, rows)};
    return (em_spec){dtype, em_shape(sequences, config->kv_heads, rows, config->head_dim)};
}

static void list_specs(const em__decoder *d, const em__decoder_task *task, em_spec *specs)
{
    const em__decoder_config *c = &d->config;
    const size_t caches = em__decoder_caches(d, task);
    for (size_t i = 0; i < caches; i++)
        specs[i] = em__cache_spec(c, task->cache, i, task->batch, task->capacity);
    em_spec *feed = specs + caches;
    feed[EM__FEED_IDS] = (em_spec){EM_S32, em_shape(task->batch, task->tokens)};
    feed[EM__FEED_POSITIONS] = (em_spec){EM_S32, em_shape(task->batch)};
    feed[EM__FEED_SLOTS] = (em_spec){EM_S32, em_shape(task->batch)};
    feed[EM__FEED_LENGTHS] = (em_spec){EM_S32, em_shape(task->batch)};
    feed[EM__FEED_LAST] = (em_spec){EM_S32, em_shape(1)};
    feed[EM__FEED_PERIODS] = (em_spec){EM_F32, em_shape(c->rope.dims / 2)};
}

static void list_inputs(em__decoder *d, const em__decoder_task *task, const em__decoder_feed *feed)
{
    static const int32_t first = 0;
    const size_t caches = em__decoder_caches(d, task);
    for (size_t i = 0; i < caches; i++)
        d->inputs[i] = d->outputs[i] = feed->caches[i];
    const void *rest[EM__FEED_COUNT] = {feed->ids, feed->positions, feed->slots, feed->lengths, &first, d->periods};
    if (feed->last)
        rest[EM__FEED_LAST] = feed->last;
    memcpy(d->inputs + caches, rest, sizeof rest);
}

static bool same_task(const em__decoder_task *a, const em__decoder_task *b)
{
    return a->batch == b->batch && a->tokens == b->tokens && a->capacity == b->capacity && a->cache == b->cache &&
           a->all == b->all && a->chosen == b->chosen;
}

static size_t arena_bytes(const em_program *program)
{
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program_get_stats(program, &stats);
    return stats.arena_bytes;
}

static size_t all_bytes(const em__decoder *d)
{
    size_t bytes = 0;
    for (size_t i = 0; i < d->n_programs; i++)
        bytes += arena_bytes(d->programs[i].program);
    return bytes;
}

static void drop_oldest(em__decoder *d)
{
    em__decoder_program *oldest = d->programs;
    for (size_t i = 1; i < d->n_programs; i++)
        if (d->programs[i].used < oldest->used)
            oldest = &d->programs[i];
    em_program_free(oldest->program);
    *oldest = d->programs[--d->n_programs];
}

/* Adds a program. Old ones go that are too many, or whose working memory is too much: two may always stay, one that
 * reads and one that writes. */
static void add_program(em__decoder *d, const em__decoder_task *task, em_program *program)
{
    if (d->n_programs == EM__DECODER_PROGRAMS)
        drop_oldest(d);
    while (d->n_programs > 1 && all_bytes(d) + arena_bytes(program) > EM__DECODER_PROGRAM_BYTES)
        drop_oldest(d);
    d->programs[d->n_programs++] = (em__decoder_program){*task, program, ++d->clock};
}

static bool may_round(const em__decoder *d, const em__decoder_task *task)
{
    return !d->exact && task->tokens >= (task->all ? ROUNDED_TOKENS : ROUNDED_PROMPT);
}

static em_program *compile(em__decoder *d, const em__decoder_task *task)
{
    em_spec specs[EM__CACHE_PARTS * EM__DECODER_MAX_LAYERS + EM__FEED_COUNT];
    const size_t caches = em__decoder_caches(d, task);
    const em_compile_options options = {.struct_size = sizeof options,
                                        .lane = d->lane == EM_LANE_FUSE ? EM_FUSE : EM_NATIVE,
                                        .device = d->device,
                                        .profile = d->profile,
                                        .raw_weights = d->raw_weights,
                                        .half_products = may_round(d, task),
                                        .donated = caches};
    tracing t = {d, task};
    list_specs(d, task, specs);
    em_program *program = em_compile(trace, &t, specs, caches + EM__FEED_COUNT, caches + 1, &options);
    for (size_t i = 0; program && i < caches; i++)
        if (!em_program_updates(program, i)) {
            em__fail(EM_ERROR_INTERNAL, "decoder: cache %zu would be copied at every token", i);
            em_program_free(program);
            program = NULL;
        }
    return program;
}

em_program *em__decoder_program_for(em__decoder *d, const em__decoder_task *task)
{
    for (size_t i = 0; i < d->n_programs; i++)
        if (same_task(&d->programs[i].task, task)) {
            d->programs[i].used = ++d->clock;
            return d->programs[i].program;
        }
    em_program *program = compile(d, task);
    if (program)
        add_program(d, task, program);
    return program;
}

bool em__decoder_describe(em__decoder *d, void (*emit)(const char *line, void *user), void *user)
{
    const em__decoder_program *latest = NULL;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_programs; i++)
        if (!latest || d->programs[i].used > latest->used)
            latest = &d->programs[i];
    if (latest)
        em_program_describe(latest->program, emit, user);
    pthread_mutex_unlock(&d->lock);
    return latest != NULL;
}

/* The arrays of an eager run over the caller's memory, in `s`. */
static em_status wrap_inputs(em_scope *s, const em__decoder *d, const em_spec *specs, size_t n, em_array **inputs,
                             size_t caches)
{
    for (size_t i = 0; i < n; i++) {
        em__spec spec = {.dtype = specs[i].dtype, .rank = specs[i].dims.rank};
        memcpy(spec.dims, specs[i].dims.dims, sizeof spec.dims);
        void *data;
        memcpy(&data, &d->inputs[i], sizeof data); /* ops write to no operand */
        inputs[i] = em_scope_adopt(s, em__array_borrow(i < caches ? d->device : em__cpu_device(), &spec, data));
        if (!inputs[i])
            return em_last_status();
    }
    return EM_OK;
}

/* The array's elements over memory of the device. */
static em_status copy_result(em_array *array, em_device *device, void *to)
{
    void *data;
    EM__TRY(em__array_data_on(array, device, &data));
    return em__memory_copy(device, to, data, em_array_bytes(array));
}

static em_status run_eager(em__decoder *d, const em__decoder_task *task)
{
    em_spec specs[EM__CACHE_PARTS * EM__DECODER_MAX_LAYERS + EM__FEED_COUNT];
    em_array *inputs[EM__CACHE_PARTS * EM__DECODER_MAX_LAYERS + EM__FEED_COUNT];
    em_array *outputs[EM__CACHE_PARTS * EM__DECODER_MAX_LAYERS + 1];
    const size_t caches = em__decoder_caches(d, task);
    em_scope *s = em_scope_new(d->device);
    if (!s)
        return em_last_status();
    list_specs(d, task, specs);
    tracing t = {d, task};
    em_status status = wrap_inputs(s, d, specs, caches + EM__FEED_COUNT, inputs, caches);
    if (status == EM_OK)
        status = trace(s, inputs, outputs, &t);
    for (size_t i = caches + 1; i-- > 0 && status == EM_OK;) /* the logits first: they need the caches as they were */
        status = em_eval(s, outputs[i]);
    for (size_t i = 0; i <= caches && status == EM_OK; i++)
        status = copy_result(outputs[i], i < caches ? d->device : em__cpu_device(), d->outputs[i]);
    em_scope_free(s);
    return status;
}

em_status em__decoder_run(em__decoder *d, const em__decoder_task *task, const em__decoder_feed *feed, float *logits)
{
    em_status status;
    pthread_mutex_lock(&d->lock);
    em__rope_periods(&d->config.rope, feed->length, d->periods);
    list_inputs(d, task, feed);
    d->outputs[em__decoder_caches(d, task)] = logits;
    if (d->lane == EM_LANE_EAGER) {
        status = run_eager(d, task);
    } else {
        em_program *program = em__decoder_program_for(d, task);
        status =
            program ? em__run_resident(program, d->inputs, d->outputs, em__decoder_caches(d, task)) : em_last_status();
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}
