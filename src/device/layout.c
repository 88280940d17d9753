/* Layouts: strides, broadcasts, the parts of a result. Stateless: plugins have a copy. */
#include "core/error.h"
#include "device/device.h"

void em__tensor_contiguous(em__tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->spec.rank - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->spec.dims[i];
    }
}

bool em__tensor_is_contiguous(const em__tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->spec.rank - 1; i >= 0; i--) {
        if (tensor->spec.dims[i] != 1 && tensor->strides[i] != stride)
            return em__spec_size(&tensor->spec) == 0;
        stride *= tensor->spec.dims[i];
    }
    return true;
}

em__tensor em__tensor_broadcast(const em__tensor *tensor, const em__spec *shape)
{
    em__tensor out = {.data = tensor->data, .spec = *shape};
    out.spec.dtype = tensor->spec.dtype;
    int lead = shape->rank - tensor->spec.rank;
    for (int i = lead; i < shape->rank; i++)
        out.strides[i] = tensor->spec.dims[i - lead] == 1 ? 0 : tensor->strides[i - lead];
    return out;
}

em_status em__call_parts(const em__call *call, em__tensor *parts, int n)
{
    enum { MOST_OPERANDS = 8, MOST_PARTS = 8 };
    const em__spec *in[MOST_OPERANDS];
    em__spec specs[MOST_PARTS];
    int64_t offsets[MOST_PARTS];
    EM__FAIL_IF(call->n_in > MOST_OPERANDS || n > MOST_PARTS, EM_ERROR_INTERNAL, "%s has %d operands and %d results",
                em__op_get(call->op)->name, call->n_in, n);
    for (int i = 0; i < call->n_in; i++)
        in[i] = &call->in[i].spec;
    em__apply apply = {call->op, call->n_in, in, call->n_ints, call->ints, call->n_floats, call->floats};
    EM__FAIL_IF(em__op_parts(&apply, NULL) != n || em__op_parts(&apply, specs) != n, EM_ERROR_INTERNAL,
                "%s has not %d results", em__op_get(call->op)->name, n);
    if (em__parts_layout(specs, n, offsets) < 0)
        return em_last_status();
    for (int i = 0; i < n; i++) {
        parts[i] = (em__tensor){.spec = specs[i]};
        parts[i].data = call->out.data ? (char *)call->out.data + offsets[i] : NULL;
        em__tensor_contiguous(&parts[i]);
    }
    return EM_OK;
}
