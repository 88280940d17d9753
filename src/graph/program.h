/*
 * A compiled program: calls in order, each with its operands placed in storage.
 *
 * Storage is where bytes live: a constant's memory, a caller's input or output, or a range of the program's one arena.
 * Views share their source's storage at another offset. Pointers into constants and the arena are set once; those into
 * inputs and outputs are patched at each run.
 */
#ifndef EM_GRAPH_PROGRAM_H
#define EM_GRAPH_PROGRAM_H

#include <pthread.h>
#include <stdatomic.h>

#include <emily/program.h>

#include "graph/ir.h"
#include "graph/packed.h"

typedef enum em__storage_kind { EM__AT_CONSTANT, EM__AT_INPUT, EM__AT_OUTPUT, EM__AT_ARENA } em__storage_kind;

typedef struct em__storage {
    em__storage_kind kind;
    int index;       /* of the input or output */
    char *data;      /* constants */
    size_t size;     /* arena */
    size_t offset;   /* arena: filled by the plan */
    int first, last; /* calls between which the bytes matter */
} em__storage;

/* A tensor of a call: which storage, how far in. */
typedef struct em__place {
    int storage;
    int64_t offset;
} em__place;

typedef struct em__recordings em__recordings;
typedef struct em__stage em__stage;

typedef struct em__step {
    em__call call;
    em__place *places; /* n_in operands, then the result, then scratch (storage -1: none) */
    em__packed *packed;
    bool fallback, host;
    bool merged;                 /* a step before it runs it as well */
    uint64_t count, nanoseconds; /* with profile */
} em__step;

typedef struct em__patch {
    int step, place; /* which pointer */
    int64_t offset;
    bool output;
    int index;
} em__patch;

struct em_program {
    atomic_int refs;  /* the caller's, and those of tasks that wait to run it */
    em__graph graph;  /* after the passes; owns constants and attribute lists */
    em__graph source; /* as traced, with keep_ir; else empty */
    em_device *device;
    em__spec *inputs, *outputs;
    size_t n_inputs, n_outputs;
    size_t n_donated; /* inputs 0 .. n_donated - 1 may be overwritten */
    bool *updated;    /* per output: it is the input of the same index, overwritten */
    bool *written;    /* per input: steps write to it */
    EM__VEC(em__storage) storages;
    EM__VEC(em__step) steps;
    EM__VEC(em__patch) patches;
    char *arena;
    size_t arena_bytes;
    bool profile, raw_weights, half_products;
    em__recordings *recordings; /* record.c; NULL: none yet */
    em__stage *stage;           /* stage.c; NULL: not needed, or not yet */
    pthread_mutex_t lock;       /* one run at a time */
};

typedef struct em__program_options {
    em_lane lane;
    bool profile, raw_weights, half_products;
    size_t n_donated;
    bool keep_ir;
} em__program_options;

/* The public options checked, and the device; `given` may be NULL. */
em_status em__compile_options(const em_compile_options *given, em__program_options *options, em_device **device);

/* Compiles the graph, whose contents it takes over whatever happens. */
em_status em__program_new(em__graph *graph, const em__program_options *options, em_program **out);

/* Runs on row-major memory of the device without checks, locks or telemetry: the caller has the program to itself and
 * holds the device. Output i is input i where `updated` says so; otherwise outputs overlap no inputs. */
em_status em__program_execute(em_program *program, const void *const *inputs, void *const *outputs);

/* The same while the device records: the steps become part of what is recorded. */
em_status em__program_inline(em_program *program, const void *const *inputs, void *const *outputs);

/* Whether its steps can be recorded: none has to stop for the host. */
bool em__program_recordable(const em_program *program);

/* One more owner: em_program_free takes one away. */
em_program *em__program_retain(em_program *program);

/* Fills storages and steps from the graph. */
em_status em__program_schedule(em_program *program);

/* Places arena storages, allocates the arena, sets all fixed pointers and lists the patches. */
em_status em__program_place(em_program *program);

/* Where a call has the pointer of a place: its operands, result, scratch. */
void **em__step_pointer(em__step *step, int place);

/* Steps that one kernel of the device can run in the stead of several; before they are placed (merge.c). */
em_status em__program_merge(em_program *program);

/* Calls the kernels from `first` on, up to `end`, or asks the device to (record.c). */
em_status em__program_steps(em_program *program, size_t first, size_t end);

/* Runs the steps, from a recording where one was made for these very pointers (record.c). */
em_status em__program_replay(em_program *program, const void *const *inputs, void *const *outputs);
void em__recordings_free(em_program *program);

/* em_run_raw with the first `resident` inputs, and the outputs of the same indices, in the device's memory, and the
 * rest in the host's (stage.c). */
em_status em__run_resident(em_program *program, const void *const *inputs, void *const *outputs, size_t resident);
em_status em__stage_run(em_program *program, const void *const *inputs, void *const *outputs, size_t resident);
void em__stage_free(em_program *program);

#endif
