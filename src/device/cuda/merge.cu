/* See merge.h. */
#include "device/cuda/merge.h"

extern "C" bool em__cuda_overlap(const em__tensor *a, const em__tensor *b)
{
    const char *ends[2][2];
    const em__tensor *both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        int64_t least = 0, most = 0;
        for (int axis = 0; axis < both[i]->spec.rank; axis++) {
            const int64_t reach = both[i]->strides[axis] * (both[i]->spec.dims[axis] - 1);
            (reach < 0 ? least : most) += reach;
        }
        const int64_t size = (int64_t)em_dtype_size(both[i]->spec.dtype);
        ends[i][0] = (const char *)both[i]->data + least * size;
        ends[i][1] = (const char *)both[i]->data + (most + 1) * size;
    }
    return ends[0][0] < ends[1][1] && ends[1][0] < ends[0][1];
}

extern "C" bool em__cuda_hides(const em__merge_call *calls, size_t taken)
{
    for (size_t i = 0; i + 1 < taken; i++)
        if (calls[i].call->op != EM__OP_KV_UPDATE && calls[i].last_read >= calls[0].index + taken)
            return false;
    return true;
}

extern "C" const em__tensor *em__cuda_added(const em__call *product, const em__call *add)
{
    const void *result = product->out.data;
    const int64_t size = em__spec_size(&product->out.spec);
    if (add->op != EM__OP_ADD || product->out.spec.dtype != EM_F32 || add->out.spec.dtype != EM_F32 ||
        em__spec_size(&add->out.spec) != size)
        return NULL;
    for (int i = 0; i < 2; i++)
        if (em__spec_size(&add->in[i].spec) != size || !em__tensor_is_contiguous(&add->in[i]))
            return NULL;
    const int other = add->in[0].data == result;
    return add->in[!other].data == result && add->in[other].data != result ? &add->in[other] : NULL;
}

extern "C" size_t em__cuda_merged(const em__call *call)
{
    size_t n = 0;
    while (call->merged[n])
        n++;
    return n;
}

extern "C" em_status em__cuda_run_one(em_device *device, const em__call *call)
{
    em__plan plan;
    EM__TRY(device->vtable->prepare(device, call, &plan));
    return plan.kernel(device, call);
}

extern "C" em_status em__cuda_run_apart(em_device *device, const em__call *first)
{
    for (size_t i = 0; first->merged[i]; i++)
        EM__TRY(em__cuda_run_one(device, first->merged[i]));
    return EM_OK;
}
