/* Streams: making, stopping, submitting, cancelling. Nothing here waits for work. */
#include "stream/stream.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "graph/program.h"

#define DEFAULT_CAPACITY 8192

em_stream *em_stream_new(const em_stream_options *options)
{
    em_stream_options o = {0};
    if (EM__OPTIONS_COPY(options, &o, em_stream_options) != EM_OK)
        return NULL;
    em_stream *stream = em__calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->capacity = o.capacity ? o.capacity : DEFAULT_CAPACITY;
    atomic_init(&stream->owners, 1);
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->wake, NULL);
    em__task_list_init(&stream->waiting);
    em__task_list_init(&stream->cancelled);
    if (em__worker_start(stream) != EM_OK) {
        em__stream_drop(stream);
        return NULL;
    }
    return stream;
}

void em_stream_stop(em_stream *stream)
{
    if (!stream)
        return;
    pthread_mutex_lock(&stream->lock);
    stream->stopped = true;
    pthread_cond_signal(&stream->wake);
    pthread_mutex_unlock(&stream->lock);
}

void em_stream_free(em_stream *stream)
{
    if (!stream)
        return;
    em_stream_stop(stream);
    em__stream_drop(stream);
}

size_t em_stream_depth(em_stream *stream)
{
    if (!stream)
        return 0;
    pthread_mutex_lock(&stream->lock);
    size_t depth = stream->depth;
    pthread_mutex_unlock(&stream->lock);
    return depth;
}

em_status em_stream_cancel(em_stream *stream, em_ticket ticket)
{
    EM__FAIL_IF(!stream, EM_ERROR_INVALID_ARGUMENT, "stream_cancel: the stream is NULL");
    pthread_mutex_lock(&stream->lock);
    em__task *task = em__task_take(&stream->waiting, ticket);
    if (task) {
        em__task_append(&stream->cancelled, task);
        stream->depth--;
        pthread_cond_signal(&stream->wake);
    }
    pthread_mutex_unlock(&stream->lock);
    EM__FAIL_IF(!task, EM_ERROR_NOT_FOUND,
                "stream_cancel: task %llu does not wait: it runs, has completed, or never was",
                (unsigned long long)ticket);
    return EM_OK;
}

/* Queues the task, or frees it. */
static em_status submit(em_stream *stream, em__task *task, em_ticket *ticket)
{
    pthread_mutex_lock(&stream->lock);
    bool stopped = stream->stopped, full = stream->depth >= stream->capacity;
    if (!stopped && !full) {
        task->ticket = ++stream->last_ticket;
        if (ticket)
            *ticket = task->ticket;
        em__task_append(&stream->waiting, task);
        stream->depth++;
        pthread_cond_signal(&stream->wake);
    }
    pthread_mutex_unlock(&stream->lock);
    if (!stopped && !full)
        return EM_OK;
    em__task_free(task);
    EM__FAIL_IF(stopped, EM_ERROR_STOPPED, "stream: it was stopped and takes no tasks; make a new one");
    return em__fail(EM_ERROR_BUSY,
                    "stream: %zu tasks wait already, as many as may; submit again when one has completed",
                    stream->capacity);
}

/* A task that holds n arrays; NULL, with the error set, when one of them is NULL or there is no memory. */
static em__task *task_new(const char *what, em_array *const *arrays, size_t n, em_done_fn done, void *user)
{
    size_t bytes;
    for (size_t i = 0; i < n; i++)
        if (!arrays[i]) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: array %zu is NULL", what, i);
            return NULL;
        }
    if (em__mul_overflows(n, sizeof *arrays, &bytes) || em__add_overflows(bytes, sizeof(em__task), &bytes))
        bytes = SIZE_MAX; /* fails below */
    em__task *task = em__alloc(bytes);
    if (!task)
        return NULL;
    *task = (em__task){.done = done, .user = user, .n = n};
    for (size_t i = 0; i < n; i++)
        task->arrays[i] = em_array_retain(arrays[i]);
    return task;
}

em_status em_stream_eval(em_stream *stream, em_array *const *arrays, size_t n, em_done_fn done, void *user,
                         em_ticket *ticket)
{
    EM__FAIL_IF(!stream || (!arrays && n), EM_ERROR_INVALID_ARGUMENT, "stream_eval: %s NULL",
                stream ? "the list of arrays is" : "the stream is");
    em__task *task = task_new("stream_eval", arrays, n, done, user);
    return task ? submit(stream, task, ticket) : em_last_status();
}

em_status em_stream_run(em_stream *stream, em_program *program, em_array *const *inputs, em_array **outputs,
                        em_done_fn done, void *user, em_ticket *ticket)
{
    EM__FAIL_IF(!stream || !program || !outputs, EM_ERROR_INVALID_ARGUMENT, "stream_run: %s NULL",
                !stream    ? "the stream is"
                : !program ? "the program is"
                           : "outputs is");
    EM__FAIL_IF(!inputs && program->n_inputs, EM_ERROR_INVALID_ARGUMENT, "stream_run: inputs is NULL");
    em__task *task = task_new("stream_run", inputs, program->n_inputs, done, user);
    if (!task)
        return em_last_status();
    task->program = em__program_retain(program);
    task->outputs = outputs;
    return submit(stream, task, ticket);
}

em_status em_stream_call(em_stream *stream, em_status (*fn)(void *user), em_done_fn done, void *user, em_ticket *ticket)
{
    EM__FAIL_IF(!stream || !fn, EM_ERROR_INVALID_ARGUMENT, "stream_call: the %s is NULL",
                stream ? "function" : "stream");
    em__task *task = task_new("stream_call", NULL, 0, done, user);
    if (!task)
        return em_last_status();
    task->fn = fn;
    return submit(stream, task, ticket);
}
