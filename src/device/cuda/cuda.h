/*
 * The cuda device inside: one stream, on which all work is asked for in order; families of kernels, each of which may
 * take a call. Everything is reached through the vtable, under the device's lock (cuda.cu: enter).
 *
 * A kernel function (em__kernel_fn) asks for its launches on `stream` and returns: it never waits, allocates or frees,
 * so that a program can be recorded as a graph. What it needs beside its operands is scratch, asked for by the plan.
 */
#ifndef EM_DEVICE_CUDA_CUDA_H
#define EM_DEVICE_CUDA_CUDA_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "core/error.h"
#include "device/device.h"
#include "device/plugin.h"

typedef struct em__cuda {
    em_device device; /* first: device.h */
    char name[16];    /* "cuda", "cuda:1" */
    int ordinal, sms, major, minor;
    size_t l2_bytes, shared_bytes; /* of the chip; of a block at most */
    cudaStream_t stream;
    struct em__cuda_heap *heap;           /* memory.cu */
    struct em__cuda_transfers *transfers; /* transfer.cu */
    struct em__cuda_blas *blas;           /* cuBLASLt, opened at first use (blas.cu) */
    struct em__branches *branches;        /* of a recording (record.cu) */
    struct em__march_desk *desk;          /* of steps of a decoder (march.cuh) */
    bool recording;                       /* a graph is being captured on `stream` */
    bool broken;                          /* a sticky error was reported: nothing runs any more */
} em__cuda;

static inline em__cuda *em__cuda_of(em_device *device)
{
    return (em__cuda *)device;
}

extern const em__plugin_host *em__cuda_host;

/* EM_OK for cudaSuccess; else the status, with "cuda: WHAT: why" as the error. A sticky error breaks the device. */
em_status em__cuda_check(em__cuda *cuda, cudaError_t error, const char *what);

/* EM_OK unless a sticky error has stopped the device: then that is the error. */
em_status em__cuda_whole(const em__cuda *cuda);

/* Each family's say on a call: true when it takes it, with the plan filled. Looks at ops, dtypes, shapes, strides and
 * attributes, never at data. */
typedef bool (*em__cuda_prepare_fn)(em__cuda *cuda, const em__call *call, em__plan *plan);

/* See device.h. */
size_t em__cuda_merge(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

/* Runs the call on the cpu device: operands come down, the result goes up. Takes every call. */
bool em__cuda_prepare_host(em__cuda *cuda, const em__call *call, em__plan *plan);

#define EM__CUDA_FAMILY(NAME) bool em__cuda_prepare_##NAME(em__cuda *cuda, const em__call *call, em__plan *plan);
#include "device/cuda/families.def"
#undef EM__CUDA_FAMILY

/* Memory (memory.cu, transfer.cu): the heap of a device, its way to the host's, and its slots. */
em_status em__cuda_heap_new(em__cuda *cuda);
em_status em__cuda_transfers_new(em__cuda *cuda);
extern const em__device_memory em__cuda_memory;
extern const em__device_recorder em__cuda_recorder;
em_status em__cuda_branches_new(em__cuda *cuda);

#ifdef __cplusplus
}
#endif
#endif
