/*
 * Streams: work that runs elsewhere, in order.
 *
 * A stream is one worker thread with a bounded queue. Submitting never waits: a full queue is EM_ERROR_BUSY at once.
 * Each task that was accepted completes exactly once: its callback is called on the worker with the task's status.
 *
 *     static void done(em_status status, const char *error, void *user) { ... }
 *     em_stream *stream = em_stream_new(NULL);
 *     em_stream_eval(stream, &y, 1, done, request, NULL);
 *     em_stream_free(stream);                               // at once; what is queued completes with EM_ERROR_STOPPED
 *
 * Streams share weights, arrays and programs freely; results do not depend on what other streams do. Tasks of one
 * stream run one after another, in the order in which they were accepted. See docs/streams.md.
 *
 * Threads: every function may be called from any thread, also from callbacks and tasks, except em_streams_shutdown. A
 * handle must not be used once em_stream_free has it.
 */
#ifndef EMILY_STREAM_H
#define EMILY_STREAM_H

#include <emily/program.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_stream em_stream;

typedef struct em_stream_options {
    size_t struct_size;
    size_t capacity; /* tasks that may wait, beside the one that runs; 0: 8192 */
} em_stream_options;

/* The end of a task: EM_OK, what it failed with, EM_ERROR_CANCELLED, or EM_ERROR_STOPPED. `error` is the text, "" for
 * EM_OK, valid during the call. It is called on the stream's worker; it must return, and may use streams. */
typedef void (*em_done_fn)(em_status status, const char *error, void *user);

/* Names a task within its stream; never 0. */
typedef uint64_t em_ticket;

/* Starts a stream. `options` may be NULL. NULL when there is no memory for it or no thread, with em_last_error(). The
 * caller frees it. */
EM_API em_stream *em_stream_new(const em_stream_options *options);

/* Stops the stream and gives up the handle. Never waits: the worker ends by itself, after the task that runs and the
 * callbacks. NULL is fine. */
EM_API void em_stream_free(em_stream *stream);

/* No task starts from now on: the one that runs finishes, those that wait complete with EM_ERROR_STOPPED, and
 * submitting fails with it. Does not wait; doing it again does nothing. NULL is fine. */
EM_API void em_stream_stop(em_stream *stream);

/*
 * Submitting. EM_OK: the task was accepted, and `done` (NULL: nobody asks) will be called once; perhaps it has been
 * already. `ticket`, where it is not NULL, gets the task's name. Any other status: nothing happened, `done` is not
 * called. EM_ERROR_BUSY: the queue is full; EM_ERROR_STOPPED: the stream was stopped; EM_ERROR_OUT_OF_MEMORY;
 * EM_ERROR_INVALID_ARGUMENT for NULL where something is needed.
 */

/* Computes arrays, in order, until one fails. They are retained until just before the callback: one that
 * reads a result holds a reference of its own. */
EM_API em_status em_stream_eval(em_stream *stream, em_array *const *arrays, size_t n, em_done_fn done, void *user,
                                em_ticket *ticket);

/* em_run: `inputs` are retained until just before the callback; the program lives as long as the task, whoever frees
 * it. Before the callback outputs[i] are set to new arrays that the caller owns, or all to NULL when it did not
 * succeed: `outputs` itself must stay until then. An input that the program updates in place is copied first, unless
 * the task is its only owner by the time it runs. */
EM_API em_status em_stream_run(em_stream *stream, em_program *program, em_array *const *inputs, em_array **outputs,
                               em_done_fn done, void *user, em_ticket *ticket);

/* Calls fn(user) on the worker. What it fails with goes to the callback, with its em_last_error(), and the stream lives
 * on. It is not called when the task is cancelled or the stream stops first; done(.., user) is called always. */
EM_API em_status em_stream_call(em_stream *stream, em_status (*fn)(void *user), em_done_fn done, void *user,
                                em_ticket *ticket);

/* Takes a waiting task out of the queue: it completes with EM_ERROR_CANCELLED, as the worker's next act.
 * EM_ERROR_NOT_FOUND when it runs (it will finish), has completed, or never was. */
EM_API em_status em_stream_cancel(em_stream *stream, em_ticket ticket);

/* Tasks that wait; the one that runs is not among them. 0 for NULL. */
EM_API size_t em_stream_depth(em_stream *stream);

/* Stops every stream, and waits until each worker has ended; for a host that unloads the library. Handles stay valid
 * until they are freed, before or after. EM_ERROR_INVALID_ARGUMENT on a stream's worker, which can't wait for itself.
 * No stream may be made meanwhile. */
EM_API em_status em_streams_shutdown(void);

#ifdef __cplusplus
}
#endif
#endif
