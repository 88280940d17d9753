/* Recordings: CUDA graphs captured from the device's stream. */
#include "device/cuda/common.cuh"

extern "C" {
#include "core/alloc.h"
}

struct em__recording {
    cudaGraphExec_t graph;
};

static em_status begin(em_device *device)
{
    em__cuda *cuda = em__cuda_of(device);
    EM__TRY(em__cuda_check(cuda, cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeRelaxed), "record"));
    cuda->recording = true;
    return EM_OK;
}

static em_status end(em_device *device, em__recording **out)
{
    em__cuda *cuda = em__cuda_of(device);
    cudaGraph_t graph = NULL;
    cuda->recording = false;
    *out = NULL;
    EM__TRY(em__cuda_check(cuda, cudaStreamEndCapture(cuda->stream, &graph), "record"));
    em__recording *recording = (em__recording *)em__calloc(1, sizeof *recording);
    em_status status = recording ? em__cuda_check(cuda, cudaGraphInstantiate(&recording->graph, graph, 0), "record")
                                 : EM_ERROR_OUT_OF_MEMORY;
    cudaGraphDestroy(graph);
    if (status == EM_OK)
        *out = recording;
    else
        em__free(recording);
    return status;
}

static em_status replay(em_device *device, em__recording *recording)
{
    em__cuda *cuda = em__cuda_of(device);
    return em__cuda_check(cuda, cudaGraphLaunch(recording->graph, cuda->stream), "replay");
}

static void free_recording(em_device *device, em__recording *recording)
{
    (void)device;
    if (!recording)
        return;
    cudaGraphExecDestroy(recording->graph);
    em__free(recording);
}

extern "C" const em__device_recorder em__cuda_recorder = {begin, end, replay, free_recording};
