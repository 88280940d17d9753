/* Ops that only look at memory another way: shapes and strides change, elements stay. */
#include <string.h>

#include "array/array.h"

/* Reshape of a strided tensor: groups of input axes that are contiguous among themselves map onto groups of output
 * axes with the same product. False when an output axis would have to step unevenly. */
static bool view_reshape(const em__tensor *in, em__tensor *out)
{
    int i = 0, o = 0, in_rank = in->spec.rank, out_rank = out->spec.rank;
    if (em__spec_size(&in->spec) == 0)
        return true;
    while (i < in_rank || o < out_rank) {
        int i0 = i, o0 = o;
        int64_t pi = i < in_rank ? in->spec.dims[i++] : 1, po = o < out_rank ? out->spec.dims[o++] : 1;
        while (pi != po) {
            if (pi < po)
                pi *= in->spec.dims[i++];
            else
                po *= out->spec.dims[o++];
        }
        int last = -1; /* the group's innermost axis that is not 1 wide */
        for (int d = i0; d < i; d++) {
            if (in->spec.dims[d] == 1)
                continue;
            if (last >= 0 && in->strides[last] != in->strides[d] * in->spec.dims[d])
                return false;
            last = d;
        }
        int64_t stride = last >= 0 ? in->strides[last] : 1;
        for (int d = o - 1; d >= o0; d--) {
            out->strides[d] = stride;
            stride *= out->spec.dims[d];
        }
    }
    return true;
}

bool em__view(em__op op, const em__tensor *in, const int64_t *ints, const em__spec *out_spec, em__tensor *out,
              int64_t *element_offset)
{
    int rank = in->spec.rank;
    *out = (em__tensor){.data = in->data, .spec = *out_spec};
    *element_offset = 0;
    switch (op) {
    case EM__OP_RESHAPE: em__tensor_contiguous(out); return em__tensor_is_contiguous(in) || view_reshape(in, out);
    case EM__OP_TRANSPOSE:
        for (int i = 0; i < rank; i++)
            out->strides[i] = in->strides[ints[i]];
        break;
    case EM__OP_BROADCAST_TO: *out = em__tensor_broadcast(in, out_spec); break;
    case EM__OP_SLICE:
        for (int i = 0; i < rank; i++) {
            *element_offset += ints[i] * in->strides[i];
            /* where nothing is stepped over, the stride may be any number */
            out->strides[i] = out_spec->dims[i] > 1 ? in->strides[i] * ints[2 * rank + i] : in->strides[i];
        }
        break;
    case EM__OP_REVERSE:
        for (int i = 0; i < rank; i++) {
            bool turned = ints[0] >> i & 1 && in->spec.dims[i] > 0;
            *element_offset += turned ? (in->spec.dims[i] - 1) * in->strides[i] : 0;
            out->strides[i] = turned ? -in->strides[i] : in->strides[i];
        }
        break;
    case EM__OP_ELEMENT:
        *element_offset = ints[1];
        em__tensor_contiguous(out);
        return em__tensor_is_contiguous(in);
    default: return false;
    }
    if (em__spec_size(out_spec) == 0)
        *element_offset = 0;
    return true;
}
