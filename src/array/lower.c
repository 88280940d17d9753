/* See lower.h. */
#include "array/lower.h"

#include "array/array.h"

#include "core/error.h"

em_status em__lower(em_device *device, em__call *call, em__lowered *lowered)
{
    em__tensor_contiguous(&call->out);
    if (em__op_get(call->op)->traits & EM__TRAIT_ELEMENTWISE)
        for (int i = 0; i < call->n_in; i++)
            if (!em__same_shape(&call->in[i].spec, &call->out.spec))
                call->in[i] = em__tensor_broadcast(&call->in[i], &call->out.spec);
    if (call->functions)
        EM__TRY(call->functions[0]->prepare(device, call, &lowered->plan));
    else
        EM__TRY(device->vtable->prepare(device, call, &lowered->plan));
    call->kernel = lowered->plan.kernel;
    return EM_OK;
}

bool em__lowered_copies(const em__lowered *lowered, const em__call *call, int i)
{
    bool strided = i < 64 && lowered->plan.strided >> i & 1;
    return !strided && !em__tensor_is_contiguous(&call->in[i]);
}

em_status em__lower_copy(em_device *device, em__tensor *from, em__call *copy, em__plan *plan)
{
    if (em__sub_byte(from->spec.dtype)) /* never strided: its bytes are copied */
        *from = (em__tensor){from->data, {EM_U8, 1, {(int64_t)em__spec_bytes(&from->spec)}}, {1}};
    *copy = (em__call){.op = EM__OP_COPY, .n_in = 1, .in = from, .out = {.spec = from->spec}};
    em__tensor_contiguous(&copy->out);
    EM__TRY(device->vtable->prepare(device, copy, plan));
    copy->kernel = plan->kernel;
    return EM_OK;
}
