/* FUSED_CHAIN step by step: each step is the op's own loop over whole values, which stand in scratch. */
#include "device/ref/ref.h"
#include "device/chain.h"

/* Of a register's memory: room for the widest element, since the shape of a chain has no dtype. */
static size_t register_bytes(const em__spec *shape)
{
    return (size_t)em__spec_size(shape) * sizeof(double);
}

size_t em__ref_scratch(const em__call *call)
{
    em__chain c;
    if (call->op == EM__OP_SDPA || call->op == EM__OP_SDPA_SEGMENTS) /* the weights of one query */
        return (size_t)call->in[1].spec.dims[call->op == EM__OP_SDPA ? 2 : 0] * sizeof(double);
    if (call->op != EM__OP_FUSED_CHAIN)
        return 0;
    em__chain_of(call, &c);
    return (size_t)(c.n_local + c.n_wide) * register_bytes(&c.full) + (size_t)c.n_thin * register_bytes(&c.thin);
}

/* A register, or the result, as a tensor of the dtype. */
static em__tensor value(const em__call *call, const em__chain *c, int at, em_dtype dtype)
{
    em__tensor t = {.spec = em__chain_is_thin(at) ? c->thin : c->full};
    char *scratch = call->scratch;
    size_t full = register_bytes(&c->full);
    t.spec.dtype = dtype;
    em__tensor_contiguous(&t);
    if (at >= EM__CHAIN_OUT)
        t.data = call->out.data;
    else if (at >= EM__CHAIN_THIN)
        t.data = scratch + (size_t)(c->n_local + c->n_wide) * full +
                 (size_t)(at - EM__CHAIN_THIN) * register_bytes(&c->thin);
    else if (at >= EM__CHAIN_WIDE)
        t.data = scratch + (size_t)(c->n_local + at - EM__CHAIN_WIDE) * full;
    else
        t.data = scratch + (size_t)(at - EM__CHAIN_LOCAL) * full;
    return t;
}

em_status em__ref_chain(em_device *device, const em__call *call)
{
    em__chain c;
    em__chain_of(call, &c);
    int64_t axes[2] = {1, 0};
    for (int i = c.full.rank - c.n_axes; i < c.full.rank; i++)
        axes[1] |= (int64_t)1 << i;
    for (int i = 0; i < c.n_steps; i++) {
        const em__chain_step *step = &c.steps[i];
        em__tensor in[3];
        for (int j = 0; j < step->n_in; j++) {
            em_dtype dtype = step->op == EM__OP_SELECT && j == 0 ? EM_PRED : step->from;
            em__tensor from = step->in[j] < call->n_in ? call->in[step->in[j]] : value(call, &c, step->in[j], dtype);
            in[j] = em__tensor_broadcast(&from, step->thin && !step->reduces ? &c.thin : &c.full);
        }
        int64_t to = step->to;
        em__call one = {.op = step->op, .n_in = step->n_in, .in = in, .out = value(call, &c, step->target, step->to)};
        one.ints = step->reduces ? axes : &to;
        one.n_ints = step->reduces ? 2 : 1;
        em_status status = em__ref_kernel(step->op)(device, &one);
        if (status != EM_OK)
            return status;
    }
    return EM_OK;
}
