/*
 * A plugin for tests of the library around devices: a device with memory of its own and recordings, on the host. It
 * calls itself cuda and computes as cpu does. Addresses of its memory can't be read or written: the bytes lie at a
 * distance that its kernels and copies alone know. Fresh and freed blocks are poisoned, and what the interface forbids
 * ends the test: a free of another size, an allocation or an upload between begin and end.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "device/plugin.h"

#define REGION ((size_t)8 << 30) /* of addresses: pages come when they are touched */
#define POISON 0xA5

typedef struct block {
    char *at;
    size_t size; /* as asked for */
    bool used;
} block;

typedef struct step {
    enum { CALL, COPY, OPEN, CLOSE } kind;
    em__call call; /* its operands are the step's own */
    void *to;
    const void *from; /* of a copy; the flag of a branch */
    size_t size;
    em__branch branch;
    size_t other; /* the step that closes, or opened */
} step;

struct em__recording {
    step *steps;
    size_t n;
};

static const em__plugin_host *host;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char *region; /* of addresses */
static char *store;  /* of their bytes */
static size_t taken; /* of the region, by blocks that were ever made */
static bool running; /* a kernel */
static block *blocks;
static size_t n_blocks;
static em_memory_stats stats = {.limit = SIZE_MAX};
static em__recording *recording;

static void die(const char *what)
{
    fprintf(stderr, "guarded device: %s\n", what);
    abort();
}

static void *grown(void *list, size_t n, size_t size)
{
    if (n & (n - 1)) /* room was made up to the next power of two */
        return list;
    list = realloc(list, (n ? 2 * n : 1) * size);
    if (!list)
        die("out of host memory");
    return list;
}

static bool is_own(const void *at, size_t size)
{
    return (const char *)at >= region && (const char *)at + size <= region + REGION;
}

/* Where the bytes are of an address that may be the device's. */
static void *bytes_of(const void *at)
{
    return is_own(at, 0) ? store + ((const char *)at - region) : (void *)(uintptr_t)at;
}

static size_t room_of(size_t size)
{
    return (size / 4096 + 1) * 4096; /* never 0 */
}

static block *take_block(size_t size)
{
    for (size_t i = 0; i < n_blocks; i++)
        if (!blocks[i].used && room_of(blocks[i].size) == room_of(size))
            return &blocks[i];
    if (taken + room_of(size) > REGION)
        return NULL;
    blocks = grown(blocks, n_blocks, sizeof *blocks);
    blocks[n_blocks] = (block){region + taken, size, false};
    taken += room_of(size);
    return &blocks[n_blocks++];
}

static void *alloc(em_device *device, size_t size)
{
    (void)device;
    pthread_mutex_lock(&lock);
    if (recording)
        die("an allocation within a recording");
    if (running)
        die("an allocation while kernels run");
    block *b = stats.active + size <= stats.limit && size < REGION ? take_block(size) : NULL;
    if (b) {
        *b = (block){b->at, size, true};
        stats.active += size;
        stats.allocations++;
        stats.peak = stats.active > stats.peak ? stats.active : stats.peak;
        memset(bytes_of(b->at), POISON, size);
    } else {
        host->fail(EM_ERROR_OUT_OF_MEMORY, "cuda: out of memory");
    }
    void *at = b ? b->at : NULL;
    pthread_mutex_unlock(&lock);
    return at;
}

static void free_block(em_device *device, void *at, size_t size)
{
    (void)device;
    if (!at)
        return;
    pthread_mutex_lock(&lock);
    if (recording)
        die("a free within a recording");
    size_t i = 0;
    while (i < n_blocks && blocks[i].at != at)
        i++;
    if (i == n_blocks || !blocks[i].used)
        die("a free of what is no block");
    if (blocks[i].size != size)
        die("a free of another size");
    blocks[i].used = false;
    stats.active -= size;
    memset(bytes_of(at), POISON, size);
    pthread_mutex_unlock(&lock);
}

static void move(void *to, const void *from, size_t size)
{
    pthread_mutex_lock(&lock);
    if (size)
        memmove(bytes_of(to), bytes_of(from), size);
    pthread_mutex_unlock(&lock);
}

static em_status upload(em_device *device, const em__transfer *parts, size_t n)
{
    (void)device;
    if (recording)
        die("an upload within a recording");
    for (size_t i = 0; i < n; i++) {
        if (parts[i].size && (!is_own(parts[i].to, parts[i].size) || is_own(parts[i].from, parts[i].size)))
            die("an upload that is none");
        move(parts[i].to, parts[i].from, parts[i].size);
    }
    return EM_OK;
}

static em_status download(em_device *device, void *to, const void *from, size_t size)
{
    (void)device;
    if (recording)
        die("a download within a recording");
    if (size && (is_own(to, size) || !is_own(from, size)))
        die("a download that is none");
    move(to, from, size);
    return EM_OK;
}

static void record(step s)
{
    recording->steps = grown(recording->steps, recording->n, sizeof s);
    recording->steps[recording->n++] = s;
}

static em_status copy(em_device *device, void *to, const void *from, size_t size)
{
    (void)device;
    if (size && (!is_own(to, size) || !is_own(from, size)))
        die("a copy to or from elsewhere");
    if (recording)
        record((step){.kind = COPY, .to = to, .from = from, .size = size});
    else
        move(to, from, size);
    return EM_OK;
}

static em_status wait(em_device *device)
{
    (void)device;
    if (recording)
        die("a wait within a recording");
    return EM_OK;
}

static void get_stats(em_device *device, em_memory_stats *out)
{
    (void)device;
    pthread_mutex_lock(&lock);
    *out = stats;
    pthread_mutex_unlock(&lock);
}

static void set_limit(em_device *device, size_t bytes)
{
    (void)device;
    stats.limit = bytes;
}

static size_t trim(em_device *device)
{
    (void)device;
    return 0;
}

static const em__device_memory memory = {alloc, free_block, upload, download, copy, wait, get_stats, set_limit, trim};

static bool is_empty(const em__spec *spec)
{
    bool empty = false;
    for (int i = 0; i < spec->rank; i++)
        empty = empty || spec->dims[i] == 0;
    return empty;
}

/* The call with operands where their bytes are; its list of operands is the caller's to free. */
static em__call with_bytes(const em__call *call)
{
    em__call there = *call;
    there.packed = NULL;
    there.in = calloc((size_t)call->n_in + 1, sizeof *call->in);
    if (!there.in)
        die("out of host memory");
    for (int i = 0; i < call->n_in; i++) {
        if (!is_empty(&call->in[i].spec) && !is_own(call->in[i].data, 1))
            die("an operand that is not on the device");
        there.in[i] = call->in[i];
        there.in[i].data = bytes_of(call->in[i].data);
    }
    there.out.data = bytes_of(call->out.data);
    there.scratch = bytes_of(call->scratch);
    return there;
}

static em_status run_now(const em__call *call)
{
    em__plan plan = {0};
    em__call there = with_bytes(call);
    em_status status = host->cpu->vtable->prepare(host->cpu, &there, &plan);
    if (status == EM_OK) {
        pthread_mutex_lock(&lock);
        running = true;
        there.kernel = plan.kernel;
        status = plan.kernel(host->cpu, &there);
        running = false;
        pthread_mutex_unlock(&lock);
    }
    free(there.in);
    return status;
}

/* A call may be gone when its recording is replayed, but not its attributes. */
static em_status run(em_device *device, const em__call *call)
{
    (void)device;
    if (!recording)
        return run_now(call);
    step s = {.call = *call};
    s.call.in = calloc((size_t)call->n_in + 1, sizeof *call->in);
    if (!s.call.in)
        die("out of host memory");
    memcpy(s.call.in, call->in, (size_t)call->n_in * sizeof *call->in);
    record(s);
    return EM_OK;
}

static em_status begin(em_device *device)
{
    (void)device;
    if (recording)
        die("a recording within a recording");
    recording = calloc(1, sizeof *recording);
    return recording ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status end(em_device *device, em__recording **out)
{
    (void)device;
    *out = recording;
    recording = NULL;
    return EM_OK;
}

static bool active(em_device *device)
{
    (void)device;
    return recording != NULL;
}

static em_status open_branch(em_device *device, const void *flag, em__branch branch)
{
    (void)device;
    if (!recording || !is_own(flag, 1))
        die("a branch outside of a recording, or without a flag");
    record((step){.kind = OPEN, .from = flag, .branch = branch});
    return EM_OK;
}

static em_status close_branch(em_device *device)
{
    (void)device;
    size_t at = recording ? recording->n : 0;
    while (at > 0 && (recording->steps[at - 1].kind != OPEN || recording->steps[at - 1].other))
        at--;
    if (at == 0)
        die("a branch is closed that was not opened");
    recording->steps[at - 1].other = recording->n;
    record((step){.kind = CLOSE, .branch = recording->steps[at - 1].branch, .other = at - 1});
    return EM_OK;
}

static em_status replay(em_device *device, em__recording *r)
{
    (void)device;
    for (size_t i = 0; i < r->n; i++) {
        const step *s = &r->steps[i];
        em_status status = s->kind == CALL ? run_now(&s->call) : EM_OK;
        if (status != EM_OK)
            return status;
        if (s->kind == COPY)
            move(s->to, s->from, s->size);
        else if (s->kind == OPEN && (*(const bool *)bytes_of(s->from)) == (s->branch == EM__IF_NOT))
            i = s->other;
        else if (s->kind == CLOSE && s->branch == EM__REPEAT_WHILE)
            i = s->other - 1; /* the flag is looked at again */
    }
    return EM_OK;
}

static void free_recording(em_device *device, em__recording *r)
{
    (void)device;
    for (size_t i = 0; r && i < r->n; i++)
        free(r->steps[i].call.in);
    if (r)
        free(r->steps);
    free(r);
}

static const em__device_recorder recorder = {begin, end, replay, free_recording, active, open_branch, close_branch};

static em_status describe(em_device *device, char *text, size_t size)
{
    (void)device;
    snprintf(text, size, "cpu behind memory of its own, for tests");
    return EM_OK;
}

/* As cpu does it, but nothing is packed and chains are not run. */
static em_status prepare(em_device *device, const em__call *call, em__plan *plan)
{
    (void)device;
    em__call there = *call;
    there.packed = NULL;
    em_status status = host->cpu->vtable->prepare(host->cpu, &there, plan);
    plan->kernel = run;
    return status;
}

static void enter(em_device *device)
{
    (void)device;
    pthread_mutex_lock(&lock);
}

static void leave(em_device *device)
{
    (void)device;
    pthread_mutex_unlock(&lock);
}

__attribute__((visibility("default"))) em_device *em_plugin_device(const em__plugin_host *given, size_t index);

em_device *em_plugin_device(const em__plugin_host *given, size_t index)
{
    static em__device_vtable vtable = {.version = EM__DEVICE_VERSION,
                                       .name = "cuda",
                                       .describe = describe,
                                       .prepare = prepare,
                                       .memory = &memory,
                                       .recorder = &recorder,
                                       .enter = enter,
                                       .leave = leave};
    static em_device device = {&vtable};
    if (!host) { /* others compute meanwhile, when it is asked again */
        host = given;
        region = mmap(NULL, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        store = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED || store == MAP_FAILED)
            die("mmap");
    }
    if (index > 0)
        host->fail(EM_ERROR_NOT_FOUND, "there is one");
    return index == 0 ? &device : NULL;
}
