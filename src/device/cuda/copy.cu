/* COPY: any strides to row-major. */
#include "device/cuda/common.cuh"

enum { THREADS = 256 };

template <typename T> __global__ void copy_kernel(const T *from, T *to, em_layout<1> layout, int64_t size)
{
    em_grid_wait();
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < size; i += (int64_t)gridDim.x * THREADS) {
        int64_t at[1];
        em_offsets(layout, i, at);
        to[i] = from[at[0]];
    }
}

template <typename T> static em_status run_copy(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    int64_t size = em__spec_size(&call->out.spec);
    if (size == 0)
        return EM_OK;
    if (em__tensor_is_contiguous(&call->in[0]))
        return em__cuda_memory.copy(device, call->out.data, call->in[0].data, (size_t)size * sizeof(T));
    const em__tensor *const tensors[] = {&call->in[0]};
    return em_launch(cuda, "copy", copy_kernel<T>, em_blocks(size, THREADS), THREADS, 0, (const T *)call->in[0].data,
                     (T *)call->out.data, em_collapse<1>(&call->out.spec, tensors), size);
}

extern "C" bool em__cuda_prepare_copy(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_COPY)
        return false;
    plan->strided = 1;
    switch (em_dtype_size(call->out.spec.dtype)) {
    case 1: plan->kernel = run_copy<uint8_t>; return true;
    case 2: plan->kernel = run_copy<uint16_t>; return true;
    case 4: plan->kernel = run_copy<uint32_t>; return true;
    case 8: plan->kernel = run_copy<uint64_t>; return true;
    case 16: plan->kernel = run_copy<uint4>; return true;
    default: return false;
    }
}
