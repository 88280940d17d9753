/*
 * Memory of a device: a caching allocator over cudaMalloc, accounted, with a hard limit, and copies through pinned
 * staging.
 *
 * All work runs in one order on one stream, so a freed block may be handed out at once: what uses it next runs after
 * what used it last. Sizes are rounded to classes, eight to a power of two; a class's free blocks form a stack.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "device/cuda/common.cuh"

#define SMALLEST ((size_t)512)
#define STAGE_BYTES ((size_t)512 << 10) /* of a pinned buffer */
#define DOWN_BYTES (4 * STAGE_BYTES)    /* that come down at once, through the first buffers */

/* A lane of an upload has buffers of its own, which it takes in turn from one upload to the next. */
enum { MOST_LANES = 8, LANE_BUFFERS = 8, BUFFERS = MOST_LANES * LANE_BUFFERS };

/* A share of an upload: pieces lane, lane + lanes, .. */
struct upload_lane {
    em__cuda *cuda;
    char *to;
    const char *from;
    size_t size, lane, lanes;
    cudaError_t error;
};

/* Threads that take lanes; started by the first large upload, they live as long as the process. */
struct upload_crew {
    std::mutex lock;
    std::condition_variable called, finished;
    upload_lane *next, *end; /* lanes that nobody has begun */
    long threads, working;
};

struct em__cuda_heap {
    std::mutex lock;
    upload_crew crew;
    em_memory_stats stats;
    std::unordered_map<size_t, std::vector<void *>> cached; /* by bytes of the class */
    char *stage[BUFFERS];
    cudaEvent_t staged[BUFFERS]; /* the copy out of the buffer is done */
    size_t turns[MOST_LANES];    /* which of its buffers a lane takes next */
    size_t turn;                 /* small uploads take all in turn, so that they seldom wait for one */
};

static size_t class_of(size_t size)
{
    if (size <= SMALLEST)
        return SMALLEST;
    int top = 63 - __builtin_clzll((unsigned long long)size - 1);
    size_t step = (size_t)1 << (top - 3);
    return (size + step - 1) / step * step;
}

extern "C" em_status em__cuda_heap_new(em__cuda *cuda)
{
    em__cuda_heap *heap = new (std::nothrow) em__cuda_heap();
    if (!heap)
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", cuda->name);
    heap->stats = {};
    heap->stats.limit = SIZE_MAX;
    char *pinned;
    EM__TRY(em__cuda_check(cuda, cudaMallocHost((void **)&pinned, BUFFERS * STAGE_BYTES), "pinned memory"));
    for (int i = 0; i < BUFFERS; i++) {
        heap->stage[i] = pinned + (size_t)i * STAGE_BYTES;
        em_status status = em__cuda_check(
            cuda, cudaEventCreateWithFlags(&heap->staged[i], cudaEventDisableTiming | cudaEventBlockingSync), "event");
        if (status != EM_OK)
            return status; /* the device does not start: its few bytes stay */
    }
    cuda->heap = heap;
    return EM_OK;
}

static size_t trim_locked(em__cuda_heap *heap)
{
    size_t given = heap->stats.cached;
    for (auto &entry : heap->cached)
        for (void *block : entry.second)
            cudaFree(block); /* waits for the work that uses it */
    heap->cached.clear();
    heap->stats.cached = 0;
    return given;
}

static bool fits(const em_memory_stats *s, size_t bytes)
{
    return bytes <= s->limit && s->active + s->cached <= s->limit - bytes;
}

static void *fresh_block(em__cuda_heap *heap, size_t bytes)
{
    void *block = NULL;
    if (!fits(&heap->stats, bytes))
        trim_locked(heap);
    if (!fits(&heap->stats, bytes))
        return NULL;
    if (cudaMalloc(&block, bytes) == cudaSuccess)
        return block;
    cudaGetLastError();
    if (trim_locked(heap) > 0 && cudaMalloc(&block, bytes) == cudaSuccess)
        return block;
    cudaGetLastError();
    return NULL;
}

static void *alloc(em_device *device, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    em__cuda_heap *heap = cuda->heap;
    if (em__cuda_whole(cuda) != EM_OK)
        return NULL;
    std::lock_guard<std::mutex> guard(heap->lock);
    size_t bytes = size <= SIZE_MAX / 4 ? class_of(size) : 0;
    void *block = NULL;
    auto found = heap->cached.find(bytes);
    if (found != heap->cached.end() && !found->second.empty()) {
        block = found->second.back();
        found->second.pop_back();
        heap->stats.cached -= bytes;
    } else if (bytes) {
        cudaSetDevice(cuda->ordinal);
        block = fresh_block(heap, bytes);
    }
    if (!block) {
        size_t free_bytes = 0, total = 0;
        cudaMemGetInfo(&free_bytes, &total);
        em__fail(EM_ERROR_OUT_OF_MEMORY,
                 "%s: out of memory: %zu bytes were asked for; %zu are active, %zu cached, %zu free on the GPU%s",
                 cuda->name, size, heap->stats.active, heap->stats.cached, free_bytes,
                 heap->stats.limit == SIZE_MAX ? "" : ", and there is a limit");
        return NULL;
    }
    heap->stats.active += bytes;
    heap->stats.allocations++;
    if (heap->stats.active > heap->stats.peak)
        heap->stats.peak = heap->stats.active;
    return block;
}

static void free_block(em_device *device, void *block, size_t size)
{
    em__cuda_heap *heap = em__cuda_of(device)->heap;
    if (!block)
        return;
    std::lock_guard<std::mutex> guard(heap->lock);
    size_t bytes = class_of(size);
    heap->stats.active -= bytes;
    try {
        heap->cached[bytes].push_back(block);
        heap->stats.cached += bytes;
    } catch (const std::bad_alloc &) {
        cudaFree(block); /* no room to remember it */
    }
}

static em_status wait(em_device *device)
{
    em__cuda *cuda = em__cuda_of(device);
    EM__TRY(em__cuda_whole(cuda));
    return em__cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "work before this");
}

/* By way of a pinned buffer: the bytes are free when it returns, pinned themselves or not. */
static cudaError_t upload_piece(em__cuda *cuda, size_t buffer, char *to, const char *from, size_t size)
{
    em__cuda_heap *heap = cuda->heap;
    cudaError_t error = cudaEventSynchronize(heap->staged[buffer]);
    if (error != cudaSuccess)
        return error;
    memcpy(heap->stage[buffer], from, size);
    error = cudaMemcpyAsync(to, heap->stage[buffer], size, cudaMemcpyHostToDevice, cuda->stream);
    return error == cudaSuccess ? cudaEventRecord(heap->staged[buffer], cuda->stream) : error;
}

static void run_lane(upload_lane *l)
{
    size_t *turn = &l->cuda->heap->turns[l->lane];
    l->error = cudaSetDevice(l->cuda->ordinal);
    for (size_t at = l->lane * STAGE_BYTES; at < l->size && l->error == cudaSuccess; at += l->lanes * STAGE_BYTES) {
        const size_t part = l->size - at < STAGE_BYTES ? l->size - at : STAGE_BYTES;
        l->error =
            upload_piece(l->cuda, l->lane * LANE_BUFFERS + (*turn)++ % LANE_BUFFERS, l->to + at, l->from + at, part);
    }
}

/* Runs lanes until none is left. */
static void help(upload_crew *crew, std::unique_lock<std::mutex> &guard)
{
    while (crew->next != crew->end) {
        upload_lane *lane = crew->next++;
        crew->working++;
        guard.unlock();
        run_lane(lane);
        guard.lock();
        if (--crew->working == 0 && crew->next == crew->end)
            crew->finished.notify_all();
    }
}

static void *serve(void *user)
{
    upload_crew *crew = (upload_crew *)user;
    std::unique_lock<std::mutex> guard(crew->lock);
    for (;;) {
        crew->called.wait(guard, [crew] { return crew->next != crew->end; });
        help(crew, guard);
    }
    return NULL;
}

/* By up to n threads; fewer do where no more could be started. */
static void run_lanes(upload_crew *crew, upload_lane *lanes, long n)
{
    std::unique_lock<std::mutex> guard(crew->lock);
    for (pthread_t thread; crew->threads < n - 1 && pthread_create(&thread, NULL, serve, crew) == 0; crew->threads++)
        pthread_detach(thread);
    crew->next = lanes;
    crew->end = lanes + n;
    if (n > 1)
        crew->called.notify_all();
    help(crew, guard);
    crew->finished.wait(guard, [crew] { return crew->working == 0; });
}

/* Large ones by several threads: one can't read memory, or a mapped file, as fast as the link takes it. */
static em_status upload(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    EM__TRY(em__cuda_whole(cuda));
    if (size <= STAGE_BYTES)
        return em__cuda_check(
            cuda, upload_piece(cuda, cuda->heap->turn++ % BUFFERS, (char *)to, (const char *)from, size), "upload");
    upload_lane lanes[MOST_LANES];
    static const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long n = processors / 2 > MOST_LANES ? (long)MOST_LANES : processors < 2 ? 1 : processors / 2;
    for (long i = 0; i < n; i++)
        lanes[i] = {cuda, (char *)to, (const char *)from, size, (size_t)i, (size_t)n, cudaSuccess};
    run_lanes(&cuda->heap->crew, lanes, n);
    cudaError_t error = cudaSuccess;
    for (long i = 0; i < n; i++)
        error = error == cudaSuccess ? lanes[i].error : error;
    return em__cuda_check(cuda, error, "upload");
}

static em_status download(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    em__cuda_heap *heap = cuda->heap;
    EM__TRY(em__cuda_whole(cuda));
    for (size_t at = 0; at < size; at += DOWN_BYTES) {
        size_t part = size - at < DOWN_BYTES ? size - at : DOWN_BYTES;
        EM__TRY(em__cuda_check(cuda, cudaEventSynchronize(heap->staged[0]), "download"));
        EM__TRY(em__cuda_check(
            cuda, cudaMemcpyAsync(heap->stage[0], (const char *)from + at, part, cudaMemcpyDeviceToHost, cuda->stream),
            "download"));
        EM__TRY(wait(device));
        memcpy((char *)to + at, heap->stage[0], part);
    }
    return size ? EM_OK : wait(device);
}

static em_status copy(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    if (size == 0)
        return EM_OK;
    return em__cuda_check(cuda, cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToDevice, cuda->stream), "copy");
}

static void get_stats(em_device *device, em_memory_stats *stats)
{
    em__cuda_heap *heap = em__cuda_of(device)->heap;
    std::lock_guard<std::mutex> guard(heap->lock);
    *stats = heap->stats;
}

static void set_limit(em_device *device, size_t bytes)
{
    em__cuda_heap *heap = em__cuda_of(device)->heap;
    std::lock_guard<std::mutex> guard(heap->lock);
    heap->stats.limit = bytes;
    if (!fits(&heap->stats, 0))
        trim_locked(heap);
}

static size_t trim(em_device *device)
{
    em__cuda_heap *heap = em__cuda_of(device)->heap;
    std::lock_guard<std::mutex> guard(heap->lock);
    return trim_locked(heap);
}

extern "C" const em__device_memory em__cuda_memory = {alloc, free_block, upload,    download, copy,
                                                      wait,  get_stats,  set_limit, trim};
