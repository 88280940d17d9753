/*
 * Recordings of a program on a device that can record: its steps as few calls, one a stretch of steps that need not
 * stop for the host.
 *
 * A recording holds the pointers that it was made with, so there is one a set of inputs and outputs. The first run with
 * a set calls the kernels, the second records them: memory that comes once is not worth it. The kernels and their order
 * are the same, so are the bits.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "graph/program.h"

enum { MOST_ENTRIES = 16, LEAST_STEPS = 2 };

/* Steps first .. end - 1; without a recording their kernels are called. */
typedef struct stretch {
    size_t first, end;
    em__recording *recording;
} stretch;

typedef struct entry {
    const void **pointers; /* inputs, then outputs */
    uint64_t used;         /* when: the least recent goes first */
    bool recorded;
    EM__VEC(stretch) stretches;
} entry;

struct em__recordings {
    entry entries[MOST_ENTRIES];
    size_t n;
    uint64_t clock;
    bool off; /* the device failed to record: kernels are called from then on */
};

static void forget_stretches(em_program *program, entry *e)
{
    for (size_t i = 0; i < e->stretches.length; i++)
        if (e->stretches.data[i].recording)
            program->device->vtable->recorder->free(program->device, e->stretches.data[i].recording);
    em__vec_free(&e->stretches);
}

static void empty_entry(em_program *program, entry *e)
{
    forget_stretches(program, e);
    em__free(e->pointers);
    *e = (entry){0};
}

void em__recordings_free(em_program *program)
{
    if (!program->recordings)
        return;
    em__device_enter(program->device);
    for (size_t i = 0; i < program->recordings->n; i++)
        empty_entry(program, &program->recordings->entries[i]);
    em__device_leave(program->device);
    em__free(program->recordings);
    program->recordings = NULL;
}

static bool same_pointers(const em_program *program, const entry *e, const void *const *inputs, void *const *outputs)
{
    return memcmp(e->pointers, inputs, program->n_inputs * sizeof *inputs) == 0 &&
           memcmp(e->pointers + program->n_inputs, outputs, program->n_outputs * sizeof *outputs) == 0;
}

static entry *find(em_program *program, const void *const *inputs, void *const *outputs)
{
    em__recordings *r = program->recordings;
    for (size_t i = 0; i < r->n; i++)
        if (same_pointers(program, &r->entries[i], inputs, outputs))
            return &r->entries[i];
    return NULL;
}

/* Remembers a set of pointers. */
static em_status add(em_program *program, const void *const *inputs, void *const *outputs)
{
    em__recordings *r = program->recordings;
    const void **pointers = em__alloc((program->n_inputs + program->n_outputs) * sizeof *pointers);
    if (!pointers)
        return EM_ERROR_OUT_OF_MEMORY;
    memcpy(pointers, inputs, program->n_inputs * sizeof *inputs);
    memcpy(pointers + program->n_inputs, outputs, program->n_outputs * sizeof *outputs);
    entry *at = &r->entries[r->n];
    if (r->n < MOST_ENTRIES) {
        r->n++;
    } else {
        at = r->entries;
        for (size_t i = 1; i < r->n; i++)
            at = r->entries[i].used < at->used ? &r->entries[i] : at;
        empty_entry(program, at);
    }
    *at = (entry){.pointers = pointers, .used = ++r->clock};
    return EM_OK;
}

static em_status record_stretch(em_program *program, stretch *s)
{
    const em__device_recorder *recorder = program->device->vtable->recorder;
    EM__TRY(recorder->begin(program->device));
    em_status status = em__program_steps(program, s->first, s->end);
    em_status ended = recorder->end(program->device, &s->recording);
    return status != EM_OK ? status : ended;
}

/* Cuts the steps where the host has to act, and records what lies between. */
static em_status record(em_program *program, entry *e)
{
    const size_t n = program->steps.length;
    for (size_t first = 0, end; first < n; first = end) {
        const bool host = program->steps.data[first].host;
        for (end = first + 1; end < n && program->steps.data[end].host == host; end++)
            continue;
        stretch s = {.first = first, .end = end};
        em_status status = EM_OK;
        if (!host && end - first >= LEAST_STEPS)
            status = record_stretch(program, &s);
        if (status == EM_OK)
            status = em__vec_push(&e->stretches, s);
        if (status != EM_OK && s.recording)
            program->device->vtable->recorder->free(program->device, s.recording);
        EM__TRY(status);
    }
    e->recorded = true;
    return EM_OK;
}

bool em__program_recordable(const em_program *program)
{
    for (size_t i = 0; i < program->steps.length; i++)
        if (program->steps.data[i].host)
            return false;
    return program->device->vtable->recorder != NULL;
}

static em_status replay(em_program *program, const entry *e)
{
    for (size_t i = 0; i < e->stretches.length; i++) {
        const stretch *s = &e->stretches.data[i];
        EM__TRY(s->recording ? program->device->vtable->recorder->replay(program->device, s->recording)
                             : em__program_steps(program, s->first, s->end));
    }
    return EM_OK;
}

em_status em__program_replay(em_program *program, const void *const *inputs, void *const *outputs)
{
    if (!program->recordings && !(program->recordings = em__calloc(1, sizeof *program->recordings)))
        return EM_ERROR_OUT_OF_MEMORY;
    em__recordings *r = program->recordings;
    entry *e = r->off ? NULL : find(program, inputs, outputs);
    if (!e) {
        if (!r->off)
            EM__TRY(add(program, inputs, outputs));
        return em__program_steps(program, 0, program->steps.length);
    }
    e->used = ++r->clock;
    em_status recorded = e->recorded ? EM_OK : record(program, e);
    if (recorded == EM_ERROR_OUT_OF_MEMORY) { /* there may be some at the next run */
        forget_stretches(program, e);
        return em__program_steps(program, 0, program->steps.length);
    }
    if (recorded != EM_OK) {
        em__log(EM_LOG_WARN, "%s: a program can't be recorded, its kernels are called one by one: %s",
                em_device_name(program->device), em_last_error());
        r->off = true;
        return em__program_steps(program, 0, program->steps.length);
    }
    return replay(program, e);
}
