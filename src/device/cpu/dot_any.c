/*
 * DOT_GENERAL of the dtypes of product.h. An operand whose rows or depth do not step evenly is first copied, row-major
 * in the order batch, free axes, contracted axes.
 */
#include <string.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/cpu.h"
#include "device/cpu/dot.h"
#include "device/cpu/product.h"

em__tensor em__dot_in_order(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch,
                            int n_batch)
{
    em__tensor view = {.data = t->data, .spec = {.dtype = t->spec.dtype}};
    int order[EM_MAX_RANK], n = 0;
    for (int i = 0; i < n_batch; i++)
        order[n++] = (int)batch[i];
    for (int d = 0; d < t->spec.rank; d++)
        if (!em__axis_listed(contract, n_contract, d) && !em__axis_listed(batch, n_batch, d))
            order[n++] = d;
    for (int i = 0; i < n_contract; i++)
        order[n++] = (int)contract[i];
    view.spec.rank = n;
    for (int i = 0; i < n; i++) {
        view.spec.dims[i] = t->spec.dims[order[i]];
        view.strides[i] = t->strides[order[i]];
    }
    return view;
}

em_status em__dot_copy(em_device *device, em__tensor *from, void *to)
{
    em__plan plan;
    em__call copy = {.op = EM__OP_COPY, .n_in = 1, .in = from, .out = {.data = to, .spec = from->spec}};
    em__tensor_contiguous(&copy.out);
    EM__TRY(device->vtable->prepare(device, &copy, &plan));
    return plan.kernel(device, &copy);
}

typedef struct sides {
    em__product product;
    em__tensor copied[2]; /* in order; rank and dims count only where bytes do */
    size_t bytes[2];      /* of the copies, 0: not needed */
} sides;

/* One operand as a side of the product, from where it lies or, at `bytes`, from its copy. */
static em__product_side describe_side(const em__tensor *t, const int64_t *contract, const int64_t *batch,
                                      const em__dot *dot, em__dot_operand *o, em__tensor *copied, size_t *bytes)
{
    *o = em__dot_describe(t, contract, dot->n_contract, batch, dot->n_batch);
    *copied = em__dot_in_order(t, contract, dot->n_contract, batch, dot->n_batch);
    em__product_side side = {.data = t->data, .row = o->row_stride, .depth = o->depth_stride};
    *bytes = 0;
    for (int i = 0; i < dot->n_batch; i++)
        side.batch[i] = copied->strides[i];
    if (o->even)
        return side;
    em__tensor row_major = *copied;
    em__tensor_contiguous(&row_major);
    *bytes = em__align64(em__spec_bytes(&t->spec));
    side = (em__product_side){.row = o->depth, .depth = 1};
    for (int i = 0; i < dot->n_batch; i++)
        side.batch[i] = row_major.strides[i];
    return side;
}

static sides describe(const em__call *call)
{
    const em__dot dot = em__dot_decode(call->ints);
    em__dot_operand a, b;
    sides s = {.product = {.dtype = call->in[0].spec.dtype, .rank = dot.n_batch, .c = call->out.data}};
    s.product.a = describe_side(&call->in[0], dot.contract_a, dot.batch_a, &dot, &a, &s.copied[0], &s.bytes[0]);
    s.product.b = describe_side(&call->in[1], dot.contract_b, dot.batch_b, &dot, &b, &s.copied[1], &s.bytes[1]);
    s.product.m = a.rows;
    s.product.n = b.rows;
    s.product.k = a.depth;
    for (int i = 0; i < dot.n_batch; i++)
        s.product.dims[i] = s.copied[0].spec.dims[i];
    return s;
}

static em_status run_any(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    sides s = describe(call);
    char *memory = call->scratch;
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    if (s.product.k == 0) {
        memset(call->out.data, 0, em__spec_bytes(&call->out.spec));
        return EM_OK;
    }
    for (int i = 0; i < 2; i++) {
        if (!s.bytes[i])
            continue;
        EM__TRY(em__dot_copy(device, &s.copied[i], memory));
        *(i ? &s.product.b.data : &s.product.a.data) = memory;
        memory += s.bytes[i];
    }
    s.product.memory = memory;
    em__product_run(&s.product, cpu->level, cpu->pool);
    return EM_OK;
}

bool em__cpu_prepare_dot_any(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    size_t bytes;
    if (call->op != EM__OP_DOT_GENERAL || !em__product_takes(call->in[0].spec.dtype))
        return false;
    const sides s = describe(call);
    if (!em__product_memory(&s.product, cpu->level, &bytes))
        return false;
    *plan = (em__plan){.kernel = run_any, .strided = 3, .scratch = bytes + s.bytes[0] + s.bytes[1]};
    return true;
}
