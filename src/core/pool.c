/*
 * The pool. One loop is published at a time as a generation number; workers that see a new generation claim chunks
 * until none is left, then count themselves out. The caller claims chunks too and waits for the others.
 *
 * Waiting is a spin of about SPIN_PAUSES pauses, then a futex-style wait on a condition variable. The last worker out
 * needs no lock: the caller spins on `busy`, which falls to zero at most one chunk's time after the claims ran out.
 */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/str.h"

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() sched_yield()
#endif

#define SPIN_PAUSES 2000
#define MAX_THREADS 256
#define CACHE_LINE 64

typedef struct worker {
    em__pool *pool;
    pthread_t thread;
    int index;
    void *scratch;
} worker;

struct em__pool {
    /* Written by the caller before it publishes a generation. */
    em__pool_fn fn;
    void *context;
    int64_t n_chunks;
    int size;
    size_t scratch_size;
    worker *workers;       /* [size]; workers[0] is whoever calls */
    pthread_mutex_t owner; /* one loop at a time */
    pthread_mutex_t lock;  /* guards parked and the condition */
    pthread_cond_t wake;
    int parked;
    _Alignas(CACHE_LINE) atomic_uint generation;
    atomic_bool stop;
    _Alignas(CACHE_LINE) atomic_int_fast64_t next;
    _Alignas(CACHE_LINE) atomic_int busy;
};

static _Thread_local const em__pool *inside; /* the pool whose loop this thread is running */
static _Thread_local int inside_worker;

static void claim_chunks(em__pool *pool, int index)
{
    const em__pool *outer = inside;
    int outer_worker = inside_worker;
    inside = pool;
    inside_worker = index;
    for (;;) {
        int64_t chunk = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (chunk >= pool->n_chunks)
            break;
        pool->fn(pool->context, chunk, index);
    }
    inside = outer;
    inside_worker = outer_worker;
}

static void park(em__pool *pool, unsigned seen)
{
    pthread_mutex_lock(&pool->lock);
    pool->parked++;
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->lock);
    pool->parked--;
    pthread_mutex_unlock(&pool->lock);
}

static unsigned wait_generation(em__pool *pool, unsigned seen)
{
    for (int spin = 0; spin < SPIN_PAUSES; spin++) {
        unsigned now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        cpu_relax();
    }
    park(pool, seen);
    return atomic_load_explicit(&pool->generation, memory_order_acquire);
}

static void *worker_main(void *arg)
{
    worker *self = arg;
    em__pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_generation(pool, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        claim_chunks(pool, self->index);
        atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_release);
    }
}

/* Ends the current generation for the workers: they all wake, spinning or parked. */
static void publish(em__pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    pthread_mutex_lock(&pool->lock);
    if (pool->parked)
        pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void run_inline(em__pool *pool, em__pool_fn fn, void *context, int64_t n_chunks, int index)
{
    const em__pool *outer = inside;
    int outer_worker = inside_worker;
    inside = pool;
    inside_worker = index;
    for (int64_t i = 0; i < n_chunks; i++)
        fn(context, i, index);
    inside = outer;
    inside_worker = outer_worker;
}

void em__pool_run(em__pool *pool, em__pool_fn fn, void *context, int64_t n_chunks)
{
    if (inside == pool) {
        run_inline(pool, fn, context, n_chunks, inside_worker);
        return;
    }
    pthread_mutex_lock(&pool->owner);
    if (pool->size == 1 || n_chunks <= 1) {
        run_inline(pool, fn, context, n_chunks, 0);
    } else {
        pool->fn = fn;
        pool->context = context;
        pool->n_chunks = n_chunks;
        atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->busy, pool->size - 1, memory_order_relaxed);
        publish(pool);
        claim_chunks(pool, 0);
        for (int spin = 0; atomic_load_explicit(&pool->busy, memory_order_acquire) > 0; spin++) {
            if (spin < SPIN_PAUSES)
                cpu_relax();
            else
                sched_yield();
        }
    }
    pthread_mutex_unlock(&pool->owner);
}

/* The cgroup's cpu quota in whole CPUs, rounded up; a large number when there is none. v2 first, then v1. */
static int quota_cpus(void)
{
    long long quota = -1, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2)
            quota = -1;
        fclose(file);
    } else {
        FILE *q = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        FILE *p = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (!q || !p || fscanf(q, "%lld", &quota) != 1 || fscanf(p, "%lld", &period) != 1)
            quota = -1;
        if (q)
            fclose(q);
        if (p)
            fclose(p);
    }
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : MAX_THREADS;
}

int em__pool_default_size(void)
{
    const char *text = getenv("EMILY_THREADS");
    long long asked;
    if (text && em__parse_i64(text, &asked) && asked >= 1)
        return asked < MAX_THREADS ? (int)asked : MAX_THREADS;
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = quota_cpus();
    cpus = cpus < quota ? cpus : quota;
    return cpus < 1 ? 1 : cpus < MAX_THREADS ? cpus : MAX_THREADS;
}

em_status em__pool_new(int threads, em__pool **out)
{
    EM__FAIL_IF(threads < 0, EM_ERROR_INVALID_ARGUMENT, "threads: %d were asked for; give 1 or more, or 0 for all",
                threads);
    int size = threads ? (threads < MAX_THREADS ? threads : MAX_THREADS) : em__pool_default_size();
    em__pool *pool = em__block_alloc(sizeof *pool);
    if (!pool)
        return EM_ERROR_OUT_OF_MEMORY;
    memset(pool, 0, sizeof *pool);
    pool->workers = em__calloc((size_t)size, sizeof *pool->workers);
    if (!pool->workers) {
        em__block_free(pool, sizeof *pool);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_init(&pool->owner, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->size = 1;
    for (int i = 1; i < size; i++) {
        worker *w = &pool->workers[i];
        *w = (worker){.pool = pool, .index = i};
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            break;
        pool->size = i + 1;
    }
    *out = pool;
    return EM_OK;
}

void em__pool_free(em__pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    publish(pool);
    for (int i = 1; i < pool->size; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (int i = 0; i < pool->size; i++)
        em__block_free(pool->workers[i].scratch, pool->scratch_size);
    pthread_mutex_destroy(&pool->owner);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    em__free(pool->workers);
    em__block_free(pool, sizeof *pool);
}

int em__pool_size(const em__pool *pool)
{
    return pool->size;
}

static em_status grow_scratch(em__pool *pool, size_t bytes)
{
    void *fresh[MAX_THREADS];
    for (int i = 0; i < pool->size; i++) {
        fresh[i] = em__block_alloc(bytes);
        if (!fresh[i]) {
            while (i-- > 0)
                em__block_free(fresh[i], bytes);
            return EM_ERROR_OUT_OF_MEMORY;
        }
    }
    for (int i = 0; i < pool->size; i++) {
        em__block_free(pool->workers[i].scratch, pool->scratch_size);
        pool->workers[i].scratch = fresh[i];
    }
    pool->scratch_size = bytes;
    return EM_OK;
}

em_status em__pool_reserve(em__pool *pool, size_t bytes)
{
    pthread_mutex_lock(&pool->owner);
    em_status status = bytes <= pool->scratch_size ? EM_OK : grow_scratch(pool, bytes);
    pthread_mutex_unlock(&pool->owner);
    return status;
}

void *em__pool_scratch(em__pool *pool, int index)
{
    return pool->workers[index].scratch;
}
