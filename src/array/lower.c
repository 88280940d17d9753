/* See lower.h. */
#include "array/lower.h"

#include "core/error.h"

em_status em__lower(em_device *device, em__call *call, em__lowered *lowered)
{
    em__tensor_contiguous(&call->out);
    if (em__op_get(call->op)->traits & EM__TRAIT_ELEMENTWISE)
        for (int i = 0; i < call->n_in; i++)
            call->in[i] = em__tensor_broadcast(&call->in[i], &call->out.spec);
    EM__TRY(device->vtable->prepare(device, call, &lowered->plan));
    call->kernel = lowered->plan.kernel;
    lowered->copies = 0;
    for (int i = 0; i < call->n_in && i < 64; i++)
        if (!(lowered->plan.strided >> i & 1) && !em__tensor_is_contiguous(&call->in[i]))
            lowered->copies |= (uint64_t)1 << i;
    return EM_OK;
}

em_status em__lower_copy(em_device *device, em__tensor *from, em__call *copy)
{
    em__plan plan;
    *copy = (em__call){.op = EM__OP_COPY, .n_in = 1, .in = from, .out = {.spec = from->spec}};
    em__tensor_contiguous(&copy->out);
    EM__TRY(device->vtable->prepare(device, copy, &plan));
    copy->kernel = plan.kernel;
    return EM_OK;
}
