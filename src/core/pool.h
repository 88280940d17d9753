/*
 * The thread pool of a CPU device.
 *
 * Workload: thousands of parallel loops a second of 5 us to 50 ms each, back to back inside one program replay, then
 * silence. The caller is worker 0. Workers spin some tens of microseconds for the next loop, then park, so an idle
 * process burns nothing; a worker that sleeps, or that the system has taken off its core, holds nobody up: a loop waits
 * only for those who took a chunk. Each worker begins with its own share of neighbouring chunks, the same in every
 * loop, and then helps the others. Results must not depend on which worker runs a chunk.
 *
 * Workers are kept off the caller's processor where there are enough of them.
 *
 * In the child of a fork a pool has no workers: its caller does all. A child that was forked while another thread was
 * inside the library may only exec, as POSIX has it.
 *
 * Only one loop runs in a pool at a time; a second caller waits. A loop started inside a loop runs inline.
 */
#ifndef EM_CORE_POOL_H
#define EM_CORE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

typedef struct em__pool em__pool;

/* `chunk` in [0, n_chunks); `worker` in [0, em__pool_size()). */
typedef void (*em__pool_fn)(void *context, int64_t chunk, int worker);

/* threads 0 asks for em__pool_default_size(); of more than 1024 so many are used, with a warning. If fewer can be
 * started, the pool is smaller: no error. */
em_status em__pool_new(int threads, em__pool **pool);
void em__pool_free(em__pool *pool); /* NULL is fine; joins the workers */

int em__pool_size(const em__pool *pool);

/* How many threads a loop begun here would have: 1 inside a loop of the pool, and without a pool. */
int em__pool_width(const em__pool *pool);

/* min(CPU affinity, cgroup cpu quota rounded up), 1 to 256; EMILY_THREADS, 1 to 1024, overrides. */
int em__pool_default_size(void);

/* Runs fn for every chunk and returns when all are done. Allocates nothing. With one chunk, one worker, or no pool
 * (NULL), runs inline on the caller. */
void em__pool_run(em__pool *pool, em__pool_fn fn, void *context, int64_t n_chunks);

/* Makes sure that each worker has `bytes` of 64-byte aligned scratch. Is called outside em__pool_run, before the
 * loop that needs it; grows only. EM_ERROR_OUT_OF_MEMORY leaves the old scratch in place. Within a loop nothing can
 * grow: what it asks for must be there already. */
em_status em__pool_reserve(em__pool *pool, size_t bytes);

/* What the largest reservation asked for. */
size_t em__pool_scratch_bytes(em__pool *pool);

/* That worker's scratch: contents are lost between loops. */
void *em__pool_scratch(em__pool *pool, int worker);

#endif
