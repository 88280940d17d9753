/*
 * Decoding ahead: a device with memory of its own runs some steps one behind the other, and the host waits once for
 * all. Each step reads the token that the one before has written.
 *
 * The block on the device: a row for each step with its positions, slots and lengths, and the tokens that it reads;
 * what a step chooses is the tokens of the next row. Rows stay where they are, so that each step's recording serves
 * every time. Behind the rows: the index and the periods that all steps share.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/memory.h"
#include "graph/program.h"
#include "models/decoder/decoder.h"

enum { IDS, POSITIONS, SLOTS, LENGTHS, PARTS };

typedef struct layout {
    size_t part, row; /* bytes: of a part of a row, of a row */
    size_t last, periods, bytes;
} layout;

static layout layout_of(const em__decoder *d, const em__decoder_task *task)
{
    layout l = {.part = em__memory_aligned((size_t)task->batch * sizeof(int32_t))};
    l.row = PARTS * l.part;
    l.last = (EM__AHEAD + 1) * l.row;
    l.periods = l.last + EM__MEMORY_ALIGN;
    l.bytes = l.periods + em__memory_aligned((size_t)d->config.rope.dims / 2 * sizeof(float));
    return l;
}

bool em__decoder_runs_ahead(const em__decoder *d)
{
    return em__memory_of(d->device) && d->lane != EM_LANE_EAGER;
}

void em__decoder_ahead_free(em__decoder *d)
{
    em__memory_free(d->device, d->ahead, d->ahead_bytes);
    d->ahead = NULL;
    d->ahead_bytes = 0;
}

static em_status reserve(em__decoder *d, size_t bytes)
{
    if (d->ahead_bytes >= bytes)
        return EM_OK;
    em__decoder_ahead_free(d);
    d->ahead = em__memory_alloc(d->device, bytes);
    d->ahead_bytes = d->ahead ? bytes : 0;
    return d->ahead ? EM_OK : em_last_status();
}

/* The block as the host has it, to or from the device. */
static em_status send(em__decoder *d, const em__decoder_task *task, const em__decoder_ahead *feed, size_t steps,
                      const layout *l, char *block)
{
    const size_t batch = (size_t)task->batch;
    memset(block, 0, l->bytes);
    memcpy(block, feed->ids, batch * sizeof *feed->ids);
    for (size_t k = 0; k < steps; k++) {
        memcpy(block + k * l->row + POSITIONS * l->part, feed->positions + k * batch, batch * sizeof(int32_t));
        memcpy(block + k * l->row + SLOTS * l->part, feed->slots + k * batch, batch * sizeof(int32_t));
        memcpy(block + k * l->row + LENGTHS * l->part, feed->lengths + k * batch, batch * sizeof(int32_t));
    }
    em__rope_periods(&d->config.rope, feed->length, (float *)(void *)(block + l->periods));
    return em__memory_upload(d->device, d->ahead, block, l->bytes);
}

static em_status run_step(em__decoder *d, em_program *program, const em__decoder_ahead *feed, size_t caches,
                          const layout *l, size_t k)
{
    char *row = d->ahead + k * l->row;
    for (size_t i = 0; i < caches; i++)
        d->inputs[i] = d->outputs[i] = feed->caches[i];
    const void **rest = d->inputs + caches;
    rest[EM__FEED_IDS] = row;
    rest[EM__FEED_POSITIONS] = row + POSITIONS * l->part;
    rest[EM__FEED_SLOTS] = row + SLOTS * l->part;
    rest[EM__FEED_LENGTHS] = row + LENGTHS * l->part;
    rest[EM__FEED_LAST] = d->ahead + l->last;
    rest[EM__FEED_PERIODS] = d->ahead + l->periods;
    d->outputs[caches] = row + l->row;
    return em__run_resident(program, d->inputs, d->outputs, SIZE_MAX);
}

static em_status run_steps(em__decoder *d, const em__decoder_task *task, const em__decoder_ahead *feed, size_t steps,
                           int32_t *ids)
{
    const layout l = layout_of(d, task);
    const size_t caches = em__decoder_caches(d, task);
    em_program *program = em__decoder_program_for(d, task);
    if (!program)
        return em_last_status();
    EM__TRY(reserve(d, l.bytes));
    char *block = em__alloc(l.bytes);
    em_status status = block ? send(d, task, feed, steps, &l, block) : EM_ERROR_OUT_OF_MEMORY;
    for (size_t k = 0; k < steps && status == EM_OK; k++)
        status = run_step(d, program, feed, caches, &l, k);
    if (status == EM_OK)
        status = em__memory_download(d->device, block, d->ahead, l.last);
    for (size_t k = 0; k < steps && status == EM_OK; k++)
        memcpy(ids + k * (size_t)task->batch, block + (k + 1) * l.row, (size_t)task->batch * sizeof *ids);
    em__free(block);
    return status;
}

em_status em__decoder_run_ahead(em__decoder *d, const em__decoder_task *task, const em__decoder_ahead *feed,
                                size_t steps, int32_t *ids)
{
    EM__FAIL_IF(steps == 0 || steps > EM__AHEAD || task->tokens != 1 || !task->chosen, EM_ERROR_INTERNAL,
                "decoder: %zu steps ahead", steps);
    pthread_mutex_lock(&d->lock);
    em_status status = run_steps(d, task, feed, steps, ids);
    pthread_mutex_unlock(&d->lock);
    return status;
}
