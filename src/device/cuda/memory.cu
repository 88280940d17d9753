/*
 * Memory of a device: a caching allocator over cudaMalloc, accounted, with a hard limit, and copies through pinned
 * staging.
 *
 * All work runs in one order on one stream, so a freed block may be handed out at once: what uses it next runs after
 * what used it last. Sizes are rounded to classes, eight to a power of two; a class's free blocks form a stack.
 */
#include <stdlib.h>
#include <string.h>

#include <mutex>
#include <unordered_map>
#include <vector>

#include "device/cuda/common.cuh"

#define SMALLEST ((size_t)512)
#define STAGE_BYTES ((size_t)8 << 20) /* of one of the two pinned buffers */

struct em__cuda_heap {
    std::mutex lock;
    em_memory_stats stats;
    std::unordered_map<size_t, std::vector<void *>> cached; /* by bytes of the class */
    char *stage[2];
    cudaEvent_t staged[2]; /* the copy out of the buffer is done */
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
    for (int i = 0; i < 2; i++) {
        em_status status = em__cuda_check(cuda, cudaMallocHost((void **)&heap->stage[i], STAGE_BYTES), "pinned memory");
        if (status == EM_OK)
            status = em__cuda_check(
                cuda, cudaEventCreateWithFlags(&heap->staged[i], cudaEventDisableTiming | cudaEventBlockingSync),
                "event");
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
    heap->stats.cached += bytes;
    heap->cached[bytes].push_back(block);
}

static em_status wait(em_device *device)
{
    em__cuda *cuda = em__cuda_of(device);
    return em__cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "work before this");
}

/* Through the two pinned buffers in turn: one is filled while the other is on its way. */
static em_status upload(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    em__cuda_heap *heap = cuda->heap;
    for (size_t at = 0, turn = 0; at < size; at += STAGE_BYTES, turn ^= 1) {
        size_t part = size - at < STAGE_BYTES ? size - at : STAGE_BYTES;
        EM__TRY(em__cuda_check(cuda, cudaEventSynchronize(heap->staged[turn]), "upload"));
        memcpy(heap->stage[turn], (const char *)from + at, part);
        EM__TRY(em__cuda_check(
            cuda, cudaMemcpyAsync((char *)to + at, heap->stage[turn], part, cudaMemcpyHostToDevice, cuda->stream),
            "upload"));
        EM__TRY(em__cuda_check(cuda, cudaEventRecord(heap->staged[turn], cuda->stream), "upload"));
    }
    return EM_OK;
}

static em_status download(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    em__cuda_heap *heap = cuda->heap;
    for (size_t at = 0; at < size; at += STAGE_BYTES) {
        size_t part = size - at < STAGE_BYTES ? size - at : STAGE_BYTES;
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
