/* Workers, and the list of all streams: who runs, who ends, who joins whom. */
#include "core/alloc.h"
#include "core/error.h"
#include "stream/stream.h"

static struct {
    pthread_mutex_t lock; /* taken before a stream's own */
    pthread_cond_t changed;
    em_stream *first;
    int live; /* workers that have not ended */
    bool ended;
    pthread_t last; /* ended, not joined; when `ended` */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static _Thread_local bool on_worker;

void em__stream_drop(em_stream *stream)
{
    if (atomic_fetch_sub(&stream->owners, 1) != 1)
        return;
    pthread_mutex_destroy(&stream->lock);
    pthread_cond_destroy(&stream->wake);
    em__free(stream);
}

/* The next task and how it ends (EM_OK: it is to be run). NULL: the stream has stopped, nothing is left. */
static em__task *next_task(em_stream *stream, em_status *ends)
{
    pthread_mutex_lock(&stream->lock);
    while (!stream->cancelled.first && !stream->waiting.first && !stream->stopped)
        pthread_cond_wait(&stream->wake, &stream->lock);
    *ends = EM_ERROR_CANCELLED;
    em__task *task = em__task_pop(&stream->cancelled);
    if (!task) {
        *ends = stream->stopped ? EM_ERROR_STOPPED : EM_OK;
        task = em__task_pop(&stream->waiting);
        stream->depth -= task != NULL;
    }
    pthread_mutex_unlock(&stream->lock);
    return task;
}

static void leave_list(em_stream *stream)
{
    if (stream->next)
        stream->next->before = stream->before;
    if (stream->before)
        stream->before->next = stream->next;
    else
        all.first = stream->next;
}

/* Puts this thread in the place of the last that ended, and joins that one. */
static void end_worker(em_stream *stream)
{
    pthread_mutex_lock(&all.lock);
    leave_list(stream);
    bool join = all.ended;
    pthread_t before = all.last;
    all.last = pthread_self();
    all.ended = true;
    pthread_mutex_unlock(&all.lock);
    if (join)
        pthread_join(before, NULL);
    em__stream_drop(stream);
    pthread_mutex_lock(&all.lock);
    all.live--;
    pthread_cond_broadcast(&all.changed);
    pthread_mutex_unlock(&all.lock);
}

static void *worker_main(void *arg)
{
    em_stream *stream = arg;
    em_status ends;
    on_worker = true;
    for (em__task *task; (task = next_task(stream, &ends));)
        em__task_complete(task, ends);
    end_worker(stream);
    return NULL;
}

em_status em__worker_start(em_stream *stream)
{
    pthread_t thread;
    pthread_mutex_lock(&all.lock);
    atomic_fetch_add(&stream->owners, 1);
    bool started = pthread_create(&thread, NULL, worker_main, stream) == 0; /* it can't end before the lock is free */
    if (started) {
        stream->before = NULL;
        stream->next = all.first;
        if (stream->next)
            stream->next->before = stream;
        all.first = stream;
        all.live++;
        pthread_cond_broadcast(&all.changed);
    } else {
        atomic_fetch_sub(&stream->owners, 1);
    }
    pthread_mutex_unlock(&all.lock);
    EM__FAIL_IF(!started, EM_ERROR_OUT_OF_MEMORY, "stream: no thread can be started for it");
    return EM_OK;
}

static void join_last(void)
{
    pthread_mutex_lock(&all.lock);
    bool join = all.ended;
    pthread_t last = all.last;
    all.ended = false;
    pthread_mutex_unlock(&all.lock);
    if (join)
        pthread_join(last, NULL);
}

em_status em_streams_shutdown(void)
{
    EM__FAIL_IF(on_worker, EM_ERROR_INVALID_ARGUMENT,
                "streams_shutdown: called on a stream's worker, which can't wait for its own end; call it elsewhere");
    pthread_mutex_lock(&all.lock);
    while (all.live) {
        for (em_stream *stream = all.first; stream; stream = stream->next)
            em_stream_stop(stream);
        pthread_cond_wait(&all.changed, &all.lock);
    }
    pthread_mutex_unlock(&all.lock);
    join_last();
    return EM_OK;
}

/* The end of the process, or of the library in it: a worker that has ended is joined. One that runs is left alone: it
 * ends with the process, and a host that goes on has called em_streams_shutdown. */
__attribute__((destructor)) static void at_unload(void)
{
    join_last();
}
