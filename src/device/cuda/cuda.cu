/* The cuda device: start, who runs a call, errors. */
#include "device/cuda/cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "device/cuda/blas.h"
#include "device/cuda/chain.h"
#include "device/cuda/common.cuh"
#include "device/cuda/linear_cut.h"

extern "C" {
#include "core/alloc.h"
}

const em__plugin_host *em__cuda_host;

static const em__cuda_prepare_fn families[] = {
#define EM__CUDA_FAMILY(NAME) em__cuda_prepare_##NAME,
#include "device/cuda/families.def"
#undef EM__CUDA_FAMILY
    em__cuda_prepare_host,
};

/* One for all devices: a launch costs microseconds, and waits are rare. */
static pthread_mutex_t lock;
static pthread_once_t lock_once = PTHREAD_ONCE_INIT;

static void make_lock(void)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
}

/* Under the lock: the devices that are entered, the innermost last. */
enum { MOST_ENTRIES = 64 };
static int entered[MOST_ENTRIES], entries;

static void enter(em_device *device)
{
    pthread_mutex_lock(&lock);
    if (entries < MOST_ENTRIES)
        entered[entries] = em__cuda_of(device)->ordinal;
    entries++;
    cudaSetDevice(em__cuda_of(device)->ordinal);
}

/* What goes on outside works on the device that it entered. */
static void leave(em_device *device)
{
    (void)device;
    entries--;
    if (entries > 0 && entries <= MOST_ENTRIES)
        cudaSetDevice(entered[entries - 1]);
    pthread_mutex_unlock(&lock);
}

/* Errors after which a CUDA context does nothing any more. */
static bool is_sticky(cudaError_t error)
{
    switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorCudartUnloading:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorUnknown: return true;
    default: return false;
    }
}

em_status em__cuda_check(em__cuda *cuda, cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return EM_OK;
    cudaGetLastError();
    if (error == cudaErrorMemoryAllocation)
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: %s: the GPU is out of memory", cuda->name, what);
    if (!is_sticky(error))
        return em__fail(EM_ERROR_INTERNAL, "%s: %s: %s", cuda->name, what, cudaGetErrorString(error));
    cuda->broken = true;
    return em__fail(EM_ERROR_INTERNAL,
                    "%s: %s: %s; this device can't be used again in this process, other devices still work", cuda->name,
                    what, cudaGetErrorString(error));
}

em_status em__cuda_whole(const em__cuda *cuda)
{
    EM__FAIL_IF(cuda->broken, EM_ERROR_INTERNAL, "%s: an earlier error stopped this device; use another", cuda->name);
    return EM_OK;
}

static em_status describe(em_device *device, char *text, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    cudaDeviceProp p;
    int driver = 0;
    EM__TRY(em__cuda_check(cuda, cudaGetDeviceProperties(&p, cuda->ordinal), "properties"));
    cudaDriverGetVersion(&driver);
    snprintf(text, size, "%s, %d multiprocessors, %.0f GiB, compute capability %d.%d, driver for CUDA %d.%d", p.name,
             p.multiProcessorCount, (double)p.totalGlobalMem / (1 << 30), p.major, p.minor, driver / 1000,
             driver % 1000 / 10);
    return EM_OK;
}

static em_status prepare(em_device *device, const em__call *call, em__plan *plan)
{
    em__cuda *cuda = em__cuda_of(device);
    EM__TRY(em__cuda_whole(cuda));
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        memset(plan, 0, sizeof *plan); /* a family that declines may have begun to fill it */
        if (families[i](cuda, call, plan))
            return EM_OK;
    }
    return em__fail(EM_ERROR_INTERNAL, "%s has no kernel", em__op_get(call->op)->name);
}

static bool fuses_linear(em_device *device, em_dtype dtype)
{
    (void)device;
    return dtype == EM_F32 || dtype == EM_BF16 || dtype == EM_F16;
}

__global__ void stand_for_all()
{
}

/*
 * The chip's generation as far as the code that the driver took for it reaches: a plugin of other architectures may
 * give a later chip what was made for 8.0, in which kernels of 9.0 are empty.
 */
static em_status find_generation(em__cuda *cuda, const cudaDeviceProp *p)
{
    cudaFuncAttributes code;
    if (cudaFuncGetAttributes(&code, stand_for_all) != cudaSuccess) {
        cudaGetLastError();
        return em__fail(
            EM_ERROR_UNSUPPORTED,
            "%s: the plugin has no code for compute capability %d.%d; build it with EMILY_CUDA_ARCHS for it",
            cuda->name, p->major, p->minor);
    }
    cuda->major = code.ptxVersion < 90 ? 8 : p->major;
    cuda->minor = p->minor;
    return EM_OK;
}

static em_device *start(em__cuda *cuda, int ordinal)
{
    cudaDeviceProp p;
    cuda->ordinal = ordinal;
    snprintf(cuda->name, sizeof cuda->name, ordinal ? "cuda:%d" : "cuda", ordinal);
    if (em__cuda_check(cuda, cudaGetDeviceProperties(&p, ordinal), "properties") != EM_OK)
        return NULL;
    if (p.major < 8) {
        em__fail(EM_ERROR_UNSUPPORTED, "%s: %s has compute capability %d.%d; 8.0 or later is needed", cuda->name,
                 p.name, p.major, p.minor);
        return NULL;
    }
    cuda->sms = p.multiProcessorCount;
    cuda->l2_bytes = (size_t)p.l2CacheSize;
    cuda->shared_bytes = p.sharedMemPerBlockOptin;
    em__cuda_blas_ahead();
    cudaSetDevice(ordinal);
    if (find_generation(cuda, &p) != EM_OK)
        return NULL;
    if (em__cuda_check(cuda,
                       cuda->stream ? cudaSuccess : cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking),
                       "stream") != EM_OK ||
        (!cuda->heap && em__cuda_heap_new(cuda) != EM_OK) ||
        (!cuda->transfers && em__cuda_transfers_new(cuda) != EM_OK) ||
        (!cuda->branches && em__cuda_branches_new(cuda) != EM_OK))
        return NULL; /* what was made serves the next try */
    static em__device_vtable vtables[16];
    em__device_vtable *vtable = &vtables[ordinal];
    vtable->version = EM__DEVICE_VERSION;
    vtable->name = cuda->name;
    vtable->describe = describe;
    vtable->prepare = prepare;
    vtable->packed_bytes = em__cuda_packed_bytes;
    vtable->pack = em__cuda_pack;
    vtable->fuses_linear = fuses_linear;
    vtable->chains = em_chain_takes;
    vtable->memory = &em__cuda_memory;
    vtable->recorder = &em__cuda_recorder;
    vtable->merge = em__cuda_merge;
    vtable->enter = enter;
    vtable->leave = leave;
    cuda->device.vtable = vtable;
    return &cuda->device;
}

/* Why there is no device, in words. */
static void fail_count(cudaError_t error)
{
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (error == cudaErrorInsufficientDriver && driver == 0)
        em__fail(EM_ERROR_NOT_FOUND,
                 "cuda: no NVIDIA driver was found; install it, or start the container with its GPUs (--gpus all)");
    else if (error == cudaErrorInsufficientDriver)
        em__fail(EM_ERROR_UNSUPPORTED,
                 "cuda: the NVIDIA driver supports CUDA %d.%d; %d.%d is needed; update the driver", driver / 1000,
                 driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    else if (error == cudaErrorNoDevice || error == cudaSuccess)
        em__fail(EM_ERROR_NOT_FOUND,
                 "cuda: the driver sees no GPU; CUDA_VISIBLE_DEVICES may hide it, nvidia-smi lists them");
    else
        em__fail(EM_ERROR_NOT_FOUND, "cuda: %s", cudaGetErrorString(error));
}

extern "C" __attribute__((visibility("default"))) em_device *em_plugin_device(const em__plugin_host *host, size_t index)
{
    static em__cuda devices[16];
    if (host->version != EM__DEVICE_VERSION) {
        host->fail(EM_ERROR_UNSUPPORTED,
                   "cuda: libemily_cuda.so is of another version than libemily; install both from one build");
        return NULL;
    }
    em__cuda_host = host;
    pthread_once(&lock_once, make_lock);
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        fail_count(error);
        return NULL;
    }
    if (index >= (size_t)count || index >= sizeof devices / sizeof devices[0]) {
        em__fail(EM_ERROR_NOT_FOUND, "the driver shows %d GPU%s, counted from 0", count, count == 1 ? "" : "s");
        return NULL;
    }
    return devices[index].device.vtable ? &devices[index].device : start(&devices[index], (int)index);
}
