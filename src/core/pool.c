/*
 * The pool. A loop is published by opening the gate: one word of a generation, an open bit, and the number of workers
 * inside. A worker joins an open gate that it has not been in by adding itself; the caller, when no chunk is left,
 * closes the gate and waits until the number inside is zero. Who comes late finds the gate closed and waits on.
 *
 * Chunks are cut into one range per worker, each claimed by an atomic counter of its own: first one's own, then those
 * of the others in turn.
 *
 * Waiting is a spin, then a spin that yields, then a condition variable. The publisher looks at `parked` after opening
 * the gate, the parker looks at the gate after raising `parked`, both sequentially consistent: no wakeup is lost.
 *
 * A fork leaves the workers behind. All pools are listed, for the child to make each of them one of its caller alone.
 */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/log.h"
#include "core/str.h"

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() sched_yield()
#endif

#define SPIN_NS 10000    /* of pauses only */
#define PARK_NS 80000    /* then of yields, up to here */
#define SPIN_PAUSES 64   /* between looks at the clock */
#define MAX_THREADS 1024 /* a larger number is a slip */
#define MOST_UNASKED 256
#define CACHE_LINE 64

#define GATE_OPEN ((uint64_t)1 << 31)
#define GATE_COUNT (GATE_OPEN - 1)
#define GATE_GENERATION_SHIFT 32

typedef struct worker {
    _Alignas(CACHE_LINE) atomic_int_fast64_t next; /* the first unclaimed chunk of its range */
    int64_t end;
    em__pool *pool;
    pthread_t thread;
    int index;
    void *scratch;
} worker;

struct em__pool {
    /* Written by the caller before it opens the gate. */
    em__pool_fn fn;
    void *context;
    int size, made;    /* workers: that there are, that were made; fewer only in the child of a fork */
    bool crowded;      /* more threads than processors: yield at once */
    int caller_cpu;    /* where the caller ran when the workers were placed; -1 before */
    cpu_set_t allowed; /* the processors of the process when the pool was made */
    size_t scratch_size, workers_bytes;
    worker *workers;       /* [size]; workers[0] is whoever calls */
    pthread_mutex_t owner; /* one loop at a time */
    pthread_mutex_t lock;  /* of the condition */
    pthread_cond_t wake;
    _Alignas(CACHE_LINE) atomic_uint_fast64_t gate;
    atomic_bool stop;
    _Alignas(CACHE_LINE) atomic_int parked;
    em__pool *next, **link; /* in the list of all pools; *link is this one */
};

static em__pool *all_pools;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static _Thread_local const em__pool *inside; /* the pool whose loop this thread is running */
static _Thread_local int inside_worker;

static void claim_chunks(em__pool *pool, int index)
{
    const em__pool *outer = inside;
    int outer_worker = inside_worker;
    inside = pool;
    inside_worker = index;
    for (int i = 0; i < pool->size; i++) {
        int other = index + i < pool->size ? index + i : index + i - pool->size;
        worker *from = &pool->workers[other];
        while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
            int64_t chunk = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (chunk >= from->end)
                break;
            pool->fn(pool->context, chunk, index);
        }
    }
    inside = outer;
    inside_worker = outer_worker;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A gate that this worker has not been in, or the end. */
static bool is_called(em__pool *pool, uint64_t seen)
{
    uint64_t gate = atomic_load(&pool->gate);
    return ((gate & GATE_OPEN) && gate >> GATE_GENERATION_SHIFT != seen) || atomic_load(&pool->stop);
}

static bool spin_until_called(em__pool *pool, uint64_t seen)
{
    int64_t start = now_ns(), waited = pool->crowded ? SPIN_NS : 0;
    while (waited < PARK_NS) {
        for (int i = 0; i < SPIN_PAUSES; i++) {
            if (is_called(pool, seen))
                return true;
            if (waited < SPIN_NS) {
                cpu_relax();
            } else {
                sched_yield();
                break;
            }
        }
        int64_t passed = now_ns() - start;
        waited = passed > waited ? passed : waited;
    }
    return false;
}

static void park_until_called(em__pool *pool, uint64_t seen)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->parked, 1);
    while (!is_called(pool, seen))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->parked, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wake_parked(em__pool *pool)
{
    if (atomic_load(&pool->parked) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
    worker *self = arg;
    em__pool *pool = self->pool;
    uint64_t seen = 0;
    for (;;) {
        if (!spin_until_called(pool, seen))
            park_until_called(pool, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        uint_fast64_t gate = atomic_load(&pool->gate);
        if (!(gate & GATE_OPEN) || gate >> GATE_GENERATION_SHIFT == seen ||
            !atomic_compare_exchange_strong(&pool->gate, &gate, gate + 1))
            continue;
        seen = gate >> GATE_GENERATION_SHIFT;
        claim_chunks(pool, self->index);
        atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_release);
    }
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

static void wait_for_workers(em__pool *pool)
{
    for (int spin = 0; atomic_load_explicit(&pool->gate, memory_order_acquire) & GATE_COUNT; spin++) {
        if (spin < SPIN_PAUSES && !pool->crowded)
            cpu_relax();
        else
            sched_yield();
    }
}

static int next_allowed(const em__pool *pool, int cpu)
{
    do
        cpu = (cpu + 1) % CPU_SETSIZE;
    while (!CPU_ISSET(cpu, &pool->allowed));
    return cpu;
}

/* Kernels have been seen to leave caller and worker on one processor while another idles: half the speed, for seconds.
 * So workers are kept off the caller's processor, and when the pool has one thread a processor, each has its own. The
 * caller itself is never pinned; when it moves, they are placed anew. */
static void keep_apart(em__pool *pool)
{
    int here = sched_getcpu(), cpu = here;
    if (here == pool->caller_cpu || here < 0 || pool->crowded || !CPU_ISSET(here, &pool->allowed))
        return;
    pool->caller_cpu = here;
    for (int i = 1; i < pool->size; i++) {
        cpu_set_t set = pool->allowed;
        cpu = next_allowed(pool, cpu);
        CPU_CLR(here, &set);
        if (pool->size == CPU_COUNT(&pool->allowed)) {
            CPU_ZERO(&set);
            CPU_SET(cpu, &set);
        }
        pthread_setaffinity_np(pool->workers[i].thread, sizeof set, &set);
    }
}

static void run_shared(em__pool *pool, em__pool_fn fn, void *context, int64_t n_chunks)
{
    int64_t share = n_chunks / pool->size, more = n_chunks % pool->size, begin = 0;
    keep_apart(pool);
    pool->fn = fn;
    pool->context = context;
    for (int i = 0; i < pool->size; i++) {
        worker *w = &pool->workers[i];
        w->end = begin + share + (i < more);
        atomic_store_explicit(&w->next, begin, memory_order_relaxed);
        begin = w->end;
    }
    uint64_t generation = (atomic_load_explicit(&pool->gate, memory_order_relaxed) >> GATE_GENERATION_SHIFT) + 1;
    atomic_store(&pool->gate, generation << GATE_GENERATION_SHIFT | GATE_OPEN);
    wake_parked(pool);
    claim_chunks(pool, 0);
    atomic_fetch_and(&pool->gate, ~GATE_OPEN);
    wait_for_workers(pool);
}

void em__pool_run(em__pool *pool, em__pool_fn fn, void *context, int64_t n_chunks)
{
    if (!pool) {
        for (int64_t i = 0; i < n_chunks; i++)
            fn(context, i, 0);
        return;
    }
    if (inside == pool) {
        run_inline(pool, fn, context, n_chunks, inside_worker);
        return;
    }
    pthread_mutex_lock(&pool->owner);
    if (pool->size == 1 || n_chunks <= 1)
        run_inline(pool, fn, context, n_chunks, 0);
    else
        run_shared(pool, fn, context, n_chunks);
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

static int usable_cpus(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = quota_cpus();
    cpus = cpus < quota ? cpus : quota;
    return cpus < 1 ? 1 : cpus;
}

int em__pool_default_size(void)
{
    const char *text = getenv("EMILY_THREADS");
    long long asked;
    if (text && em__parse_i64(text, &asked) && asked >= 1 && asked <= MAX_THREADS)
        return (int)asked;
    if (text && *text)
        em__log(EM_LOG_WARN, "EMILY_THREADS=%s is no number of threads, and ignored; 1 to %d are", text, MAX_THREADS);
    int cpus = usable_cpus();
    return cpus < MOST_UNASKED ? cpus : MOST_UNASKED;
}

/* The locks of a pool, and its gate, as before the first loop. */
static void reset(em__pool *pool)
{
    pthread_mutex_init(&pool->owner, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    atomic_store(&pool->gate, 0);
    atomic_store(&pool->parked, 0);
    pool->size = 1;
}

static void lock_all(void)
{
    pthread_mutex_lock(&all_lock);
}

static void unlock_all(void)
{
    pthread_mutex_unlock(&all_lock);
}

static void leave_workers(void)
{
    for (em__pool *pool = all_pools; pool; pool = pool->next)
        reset(pool);
    pthread_mutex_unlock(&all_lock);
}

/* No memory for that: a child has to do without the library, as it has to without threads elsewhere. */
static void watch_forks(void)
{
    pthread_atfork(lock_all, unlock_all, leave_workers);
}

static void enlist(em__pool *pool)
{
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&all_lock);
    pool->link = &all_pools;
    pool->next = all_pools;
    if (pool->next)
        pool->next->link = &pool->next;
    all_pools = pool;
    pthread_mutex_unlock(&all_lock);
}

static void delist(em__pool *pool)
{
    pthread_mutex_lock(&all_lock);
    *pool->link = pool->next;
    if (pool->next)
        pool->next->link = pool->link;
    pthread_mutex_unlock(&all_lock);
}

/* Workers take no signals: handlers run on the threads of whoever set them. */
static void start_workers(em__pool *pool, int size)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < size; i++) {
        worker *w = &pool->workers[i];
        w->pool = pool;
        w->index = i;
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            break;
        pool->size = i + 1;
    }
    pool->made = pool->size;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

em_status em__pool_new(int threads, em__pool **out)
{
    EM__FAIL_IF(threads < 0, EM_ERROR_INVALID_ARGUMENT, "threads: %d were asked for; give 1 or more, or 0 for all",
                threads);
    if (threads > MAX_THREADS)
        em__log(EM_LOG_WARN, "threads: %d were asked for; %d are the most, and used", threads, MAX_THREADS);
    int size = threads > MAX_THREADS ? MAX_THREADS : threads ? threads : em__pool_default_size();
    em__pool *pool = em__block_alloc(sizeof *pool);
    if (!pool)
        return EM_ERROR_OUT_OF_MEMORY;
    memset(pool, 0, sizeof *pool);
    pool->workers_bytes = (size_t)size * sizeof *pool->workers;
    pool->workers = em__block_alloc(pool->workers_bytes);
    if (!pool->workers) {
        em__block_free(pool, sizeof *pool);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    memset(pool->workers, 0, pool->workers_bytes);
    reset(pool);
    pool->caller_cpu = -1;
    pool->crowded = size > usable_cpus() || sched_getaffinity(0, sizeof pool->allowed, &pool->allowed) != 0;
    start_workers(pool, size);
    enlist(pool);
    *out = pool;
    return EM_OK;
}

void em__pool_free(em__pool *pool)
{
    if (!pool)
        return;
    delist(pool);
    atomic_store(&pool->stop, true);
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->size; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (int i = 0; i < pool->made; i++)
        em__block_free(pool->workers[i].scratch, pool->scratch_size);
    pthread_mutex_destroy(&pool->owner);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    em__block_free(pool->workers, pool->workers_bytes);
    em__block_free(pool, sizeof *pool);
}

int em__pool_size(const em__pool *pool)
{
    return pool->size;
}

int em__pool_width(const em__pool *pool)
{
    return pool && inside != pool ? pool->size : 1;
}

static em_status grow_scratch(em__pool *pool, size_t bytes)
{
    void *fresh[MAX_THREADS];
    for (int i = 0; i < pool->made; i++) {
        fresh[i] = em__block_alloc(bytes);
        if (!fresh[i]) {
            while (i-- > 0)
                em__block_free(fresh[i], bytes);
            return EM_ERROR_OUT_OF_MEMORY;
        }
    }
    for (int i = 0; i < pool->made; i++) {
        em__block_free(pool->workers[i].scratch, pool->scratch_size);
        pool->workers[i].scratch = fresh[i];
    }
    pool->scratch_size = bytes;
    return EM_OK;
}

em_status em__pool_reserve(em__pool *pool, size_t bytes)
{
    if (inside == pool) {
        EM__FAIL_IF(bytes > pool->scratch_size, EM_ERROR_INTERNAL,
                    "pool: %zu bytes of scratch inside a loop that has %zu", bytes, pool->scratch_size);
        return EM_OK;
    }
    pthread_mutex_lock(&pool->owner);
    em_status status = bytes <= pool->scratch_size ? EM_OK : grow_scratch(pool, bytes);
    pthread_mutex_unlock(&pool->owner);
    return status;
}

size_t em__pool_scratch_bytes(em__pool *pool)
{
    pthread_mutex_lock(&pool->owner);
    size_t bytes = pool->scratch_size;
    pthread_mutex_unlock(&pool->owner);
    return bytes;
}

void *em__pool_scratch(em__pool *pool, int index)
{
    return pool->workers[index].scratch;
}
