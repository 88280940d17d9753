/*
 * A stream inside: a queue under one lock, a worker, and the list of all streams of the process.
 *
 * Two own a stream: the handle and the worker. The last to let go frees it, so neither waits for the other. A worker
 * that ends joins the one that ended before it, which has only instructions left to run: no thread is ever detached,
 * one at most is unjoined, and em_streams_shutdown, or the end of the process, joins that one.
 */
#ifndef EM_STREAM_STREAM_H
#define EM_STREAM_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <emily/stream.h>

/* What is run, and what is held for it. */
typedef struct em__task {
    struct em__task *next;
    em_ticket ticket;
    em_done_fn done;
    void *user;
    em_status (*fn)(void *user); /* a call */
    em_program *program;         /* a run; without both, an evaluation */
    em_array **outputs;
    size_t n;
    em_array *arrays[];
} em__task;

typedef struct em__task_list {
    em__task *first, **end; /* `end` is where the next one goes; set by em__task_list_init */
} em__task_list;

struct em_stream {
    atomic_int owners;
    size_t capacity;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    em__task_list waiting, cancelled;
    size_t depth;
    em_ticket last_ticket;
    bool stopped;
    em_stream *next, *before; /* in the list of all; under its lock */
};

void em__task_list_init(em__task_list *list);
void em__task_append(em__task_list *list, em__task *task);
em__task *em__task_pop(em__task_list *list);                    /* NULL when empty */
em__task *em__task_take(em__task_list *list, em_ticket ticket); /* NULL when it is not there */

/* Runs the task, unless `status` says already how it ended; lets go of all it held; calls back. */
void em__task_complete(em__task *task, em_status status);

/* Lets go of what a task holds. */
void em__task_free(em__task *task);

/* Starts a worker that owns the stream too, and enters it into the list of all. EM_ERROR_OUT_OF_MEMORY. */
em_status em__worker_start(em_stream *stream);

/* One owner fewer. */
void em__stream_drop(em_stream *stream);

#endif
