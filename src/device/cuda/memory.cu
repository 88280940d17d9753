/*
 * Memory of a device: a caching allocator over cudaMalloc, accounted, with a hard limit, and copies through pinned
 * staging.
 *
 * All work runs in one order on one stream, so a freed block may be handed out at once: what uses it next runs after
 * what used it last. Sizes are rounded to classes, eight to a power of two; a class's free blocks form a stack.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "device/cuda/common.cuh"
#include "device/cuda/thread.h"

#define SMALLEST ((size_t)512)
#define STAGE_BYTES ((size_t)512 << 10) /* of a pinned buffer */
#define PIECE_BYTES (2 * STAGE_BYTES)   /* of a large upload at most, by way of neighbours */
#define DOWN_BYTES (4 * STAGE_BYTES)    /* that come down at once, through the first buffers */
#define LINGER_US 300                   /* that a thread stays awake for the next upload: waking costs 50 */

/* A lane of an upload has buffers of its own, which it takes in turn from one upload to the next. */
enum { MOST_LANES = 12, LANE_BUFFERS = 4, BUFFERS = MOST_LANES * LANE_BUFFERS };

/* An upload in pieces, which lanes take as they come. */
struct upload_job {
    em__cuda *cuda;
    char *to;
    const char *from;
    size_t size, piece;
    long lanes;
    std::atomic<size_t> next; /* where what nobody has taken begins */
    std::atomic<cudaError_t> error;
};

struct upload_crew;

struct upload_worker {
    upload_crew *crew;
    long lane;
};

/* Threads that take lanes 1, 2, ..; started by the first large upload, they live as long as the process. */
struct upload_crew {
    std::mutex lock;
    std::condition_variable called;
    upload_job *job;            /* that may be joined; NULL: none */
    std::atomic<unsigned> jobs; /* so far */
    std::atomic<long> working;
    long threads;
    upload_worker workers[MOST_LANES];
};

struct em__cuda_heap {
    std::mutex lock;
    upload_crew crew;
    em_memory_stats stats;
    std::unordered_map<size_t, std::vector<void *>> cached; /* by bytes of the class */
    char *stage[BUFFERS];
    cudaEvent_t staged[BUFFERS]; /* the copy out of the buffer, and those behind it that are of one piece, is done */
    int first[BUFFERS];          /* of the piece that the buffer last was in */
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

/* Pinned buffers, and their events. Waits for these are short and on the way to all that follows: an interrupt takes
 * longer, milliseconds on some hosts. */
static em_status make_stage(em__cuda *cuda, em__cuda_heap *heap)
{
    char *pinned;
    EM__TRY(em__cuda_check(cuda, cudaMallocHost((void **)&pinned, BUFFERS * STAGE_BYTES), "pinned memory"));
    for (int i = 0; i < BUFFERS; i++) {
        heap->stage[i] = pinned + (size_t)i * STAGE_BYTES;
        heap->first[i] = i;
        EM__TRY(em__cuda_check(cuda, cudaEventCreateWithFlags(&heap->staged[i], cudaEventDisableTiming), "event"));
    }
    return EM_OK;
}

static void free_stage(em__cuda_heap *heap)
{
    for (int i = 0; i < BUFFERS && heap->staged[i]; i++)
        cudaEventDestroy(heap->staged[i]);
    cudaFreeHost(heap->stage[0]);
    cudaGetLastError(); /* what went wrong is known already */
}

extern "C" em_status em__cuda_heap_new(em__cuda *cuda)
{
    em__cuda_heap *heap = new (std::nothrow) em__cuda_heap();
    if (!heap)
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", cuda->name);
    heap->stats.limit = SIZE_MAX;
    const em_status status = make_stage(cuda, heap);
    if (status != EM_OK) {
        free_stage(heap);
        delete heap;
        return status;
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

/* Past the caches, which the bytes only pass through, and with what is read next asked for ahead: a processor's own
 * guess ends with each page. */
static void stage_bytes(char *to, const char *from, size_t size)
{
    size_t at = 0;
#ifdef __SSE2__
    constexpr size_t AHEAD = 2048;
    for (; at + 64 <= size; at += 64) {
        __m128i words[4];
        _mm_prefetch(from + at + AHEAD, _MM_HINT_T0);
        for (int i = 0; i < 4; i++)
            words[i] = _mm_loadu_si128((const __m128i *)(from + at) + i);
        for (int i = 0; i < 4; i++)
            _mm_stream_si128((__m128i *)(to + at) + i, words[i]);
    }
    _mm_sfence();
#endif
    memcpy(to + at, from + at, size - at);
}

/* By way of pinned buffers from `first` on: the bytes are free when it returns, pinned themselves or not. */
static cudaError_t upload_piece(em__cuda *cuda, size_t first, char *to, const char *from, size_t size)
{
    em__cuda_heap *heap = cuda->heap;
    const size_t end = first + (size + STAGE_BYTES - 1) / STAGE_BYTES;
    cudaError_t error = cudaSuccess;
    for (size_t i = first; i < end && error == cudaSuccess; i++) {
        error = cudaEventSynchronize(heap->staged[heap->first[i]]);
        heap->first[i] = (int)first;
    }
    if (error != cudaSuccess)
        return error;
    stage_bytes(heap->stage[first], from, size);
    error = cudaMemcpyAsync(to, heap->stage[first], size, cudaMemcpyHostToDevice, cuda->stream);
    return error == cudaSuccess ? cudaEventRecord(heap->staged[first], cuda->stream) : error;
}

/* Buffers of a lane for a piece, side by side. */
static size_t take_buffers(em__cuda_heap *heap, long lane, size_t piece)
{
    const size_t n = (piece + STAGE_BYTES - 1) / STAGE_BYTES;
    size_t turn = heap->turns[lane];
    if (turn + n > LANE_BUFFERS)
        turn = 0;
    heap->turns[lane] = turn + n;
    return (size_t)lane * LANE_BUFFERS + turn;
}

static void run_lane(upload_job *j, long lane)
{
    cudaError_t error = cudaSetDevice(j->cuda->ordinal);
    for (size_t at; error == cudaSuccess && (at = j->next.fetch_add(j->piece)) < j->size;) {
        const size_t size = j->piece < j->size - at ? j->piece : j->size - at;
        error = upload_piece(j->cuda, take_buffers(j->cuda->heap, lane, size), j->to + at, j->from + at, size);
    }
    if (error != cudaSuccess)
        j->error = error;
}

/* Until there is another job, but not long: weights come one after the other. */
static void linger(const upload_crew *crew, unsigned seen)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(LINGER_US);
    while (crew->jobs == seen && std::chrono::steady_clock::now() < end)
        sched_yield();
}

static void *serve(void *user)
{
    const upload_worker *me = (const upload_worker *)user;
    upload_crew *crew = me->crew;
    for (unsigned seen = 0;;) {
        linger(crew, seen);
        std::unique_lock<std::mutex> guard(crew->lock);
        crew->called.wait(guard, [&] { return crew->jobs != seen; });
        seen = crew->jobs;
        upload_job *job = crew->job;
        if (!job || me->lane >= job->lanes)
            continue;
        crew->working++;
        guard.unlock();
        run_lane(job, me->lane);
        crew->working--;
    }
    return NULL;
}

/* By as many threads as the job has lanes; fewer do where no more could be started. */
static void run_job(upload_crew *crew, upload_job *job)
{
    {
        std::lock_guard<std::mutex> guard(crew->lock);
        for (; crew->threads < job->lanes - 1; crew->threads++) {
            crew->workers[crew->threads] = {crew, crew->threads + 1};
            if (!em__cuda_thread(serve, &crew->workers[crew->threads]))
                break;
        }
        crew->job = job;
        crew->jobs++;
    }
    crew->called.notify_all();
    run_lane(job, 0);
    {
        std::lock_guard<std::mutex> guard(crew->lock);
        crew->job = NULL;
    }
    while (crew->working > 0) /* on what they have begun */
        sched_yield();
}

/* Bytes of a piece: two a lane, within bounds: short copies take the link longer a byte. */
static size_t piece_of(size_t size, long lanes)
{
    const size_t page = 4096, least = STAGE_BYTES / 2, share = size / 2 / (size_t)lanes / page * page;
    return share < least ? least : share > PIECE_BYTES ? PIECE_BYTES : share;
}

/* Large ones by several threads: one can't read memory, or a mapped file, as fast as the link takes it. */
static em_status upload(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    EM__TRY(em__cuda_whole(cuda));
    if (size <= STAGE_BYTES)
        return em__cuda_check(
            cuda, upload_piece(cuda, cuda->heap->turn++ % BUFFERS, (char *)to, (const char *)from, size), "upload");
    static const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    upload_job job = {cuda, (char *)to, (const char *)from, size};
    const long some = processors * 3 / 4;
    job.lanes = some > MOST_LANES ? (long)MOST_LANES : some < 1 ? 1 : some;
    job.piece = piece_of(size, job.lanes);
    run_job(&cuda->heap->crew, &job);
    return em__cuda_check(cuda, job.error, "upload");
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
