/*
 * Recordings: CUDA graphs captured from the device's stream. A branch is a conditional node, whose body is captured
 * from a stream of its own that stands in for the device's meanwhile.
 */
#include "device/cuda/common.cuh"

extern "C" {
#include "core/alloc.h"
}

enum { MOST_BRANCHES = 16 };

struct em__branches {
    struct level {
        cudaStream_t stream, outer;
        cudaGraphConditionalHandle handle;
        const uint8_t *flag;
        bool repeats;
    } levels[MOST_BRANCHES];
    int depth;
};

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
    EM__TRY(em__cuda_whole(cuda));
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

static bool active(em_device *device)
{
    return em__cuda_of(device)->recording;
}

__global__ void set_condition(cudaGraphConditionalHandle handle, const uint8_t *flag, bool wanted)
{
    cudaGraphSetConditional(handle, (*flag != 0) == wanted);
}

/* What the recording so far ends in is followed by a conditional node; its body. */
static em_status add_node(em__cuda *cuda, cudaGraphConditionalHandle *handle, const uint8_t *flag, em__branch branch,
                          cudaGraph_t *body)
{
    cudaStreamCaptureStatus status;
    cudaGraph_t graph;
    cudaGraphNode_t node;
    const cudaGraphNode_t *after;
    const cudaGraphEdgeData *edges;
    size_t n_after;
    EM__TRY(em__cuda_check(cuda, cudaStreamGetCaptureInfo(cuda->stream, &status, NULL, &graph), "branch"));
    EM__TRY(em__cuda_check(cuda, cudaGraphConditionalHandleCreate(handle, graph), "branch"));
    set_condition<<<1, 1, 0, cuda->stream>>>(*handle, flag, branch != EM__IF_NOT);
    EM__TRY(em__cuda_check(cuda, cudaGetLastError(), "branch"));
    EM__TRY(em__cuda_check(
        cuda, cudaStreamGetCaptureInfo(cuda->stream, &status, NULL, &graph, &after, &edges, &n_after), "branch"));
    cudaGraphNodeParams parameters = {};
    parameters.type = cudaGraphNodeTypeConditional;
    parameters.conditional.handle = *handle;
    parameters.conditional.type = branch == EM__REPEAT_WHILE ? cudaGraphCondTypeWhile : cudaGraphCondTypeIf;
    parameters.conditional.size = 1;
    EM__TRY(em__cuda_check(cuda, cudaGraphAddNode(&node, graph, after, edges, n_after, &parameters), "branch"));
    *body = parameters.conditional.phGraph_out[0];
    return em__cuda_check(
        cuda, cudaStreamUpdateCaptureDependencies(cuda->stream, &node, NULL, 1, cudaStreamSetCaptureDependencies),
        "branch");
}

static em_status open_branch(em_device *device, const void *flag, em__branch branch)
{
    em__cuda *cuda = em__cuda_of(device);
    em__branches *b = cuda->branches;
    cudaGraph_t body;
    EM__FAIL_IF(b->depth == MOST_BRANCHES, EM_ERROR_UNSUPPORTED, "%s: loops are nested more than %d deep", cuda->name,
                MOST_BRANCHES);
    em__branches::level *level = &b->levels[b->depth];
    if (!level->stream)
        EM__TRY(em__cuda_check(cuda, cudaStreamCreateWithFlags(&level->stream, cudaStreamNonBlocking), "branch"));
    level->outer = cuda->stream;
    level->flag = (const uint8_t *)flag;
    level->repeats = branch == EM__REPEAT_WHILE;
    EM__TRY(add_node(cuda, &level->handle, level->flag, branch, &body));
    EM__TRY(em__cuda_check(
        cuda, cudaStreamBeginCaptureToGraph(level->stream, body, NULL, NULL, 0, cudaStreamCaptureModeRelaxed),
        "branch"));
    cuda->stream = level->stream;
    b->depth++;
    return EM_OK;
}

static em_status close_branch(em_device *device)
{
    em__cuda *cuda = em__cuda_of(device);
    em__branches::level *level = &cuda->branches->levels[--cuda->branches->depth];
    cudaGraph_t body;
    if (level->repeats)
        set_condition<<<1, 1, 0, cuda->stream>>>(level->handle, level->flag, true);
    cudaError_t launched = cudaGetLastError(), ended = cudaStreamEndCapture(level->stream, &body);
    cuda->stream = level->outer;
    EM__TRY(em__cuda_check(cuda, launched, "branch"));
    return em__cuda_check(cuda, ended, "branch");
}

extern "C" em_status em__cuda_branches_new(em__cuda *cuda)
{
    cuda->branches = (em__branches *)em__calloc(1, sizeof *cuda->branches);
    return cuda->branches ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

extern "C" const em__device_recorder em__cuda_recorder = {begin,  end,         replay,      free_recording,
                                                          active, open_branch, close_branch};
