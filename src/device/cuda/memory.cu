/*
 * Memory of a device: a caching allocator over cudaMalloc, accounted, with a hard limit.
 *
 * All work runs in one order on one stream, so a freed block may be handed out at once: what uses it next runs after
 * what used it last. Sizes are rounded to classes, eight to a power of two; a class's free blocks form a stack.
 */
#include <string.h>

#include <mutex>
#include <unordered_map>
#include <vector>

#include "device/cuda/common.cuh"
#include "device/cuda/transfer.h"

#define SMALLEST ((size_t)512)

struct em__cuda_heap {
    std::mutex lock;
    em_memory_stats stats;
    std::unordered_map<size_t, std::vector<void *>> cached; /* by bytes of the class */
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
    heap->stats.limit = SIZE_MAX;
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

extern "C" const em__device_memory em__cuda_memory = {
    alloc, free_block, em__cuda_upload, em__cuda_download, copy, em__cuda_wait, get_stats, set_limit, trim};
