/*
 * Products on the cpu: DOT_GENERAL and FUSED_LINEAR brought to the form that gemm.h runs.
 *
 * Axes of an operand fall into batch, rows (free) and depth (contracted). When rows and depth each step by one stride
 * and depth steps by 1 in A, the kernel reads A in place; otherwise A is first copied to [batch][m][k]. B is packed
 * into scratch, or was packed beforehand (a constant weight of a program).
 */
#include <string.h>

#include "core/block.h"
#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/cpu.h"
#include "device/cpu/dot.h"
#include "device/cpu/gemm_small.h"

typedef struct product {
    em__dot_operand a, b;
    int64_t batch;
    em__dot dot;
    bool copy_a, copy_b;
    int64_t columns;                                 /* of the result: B's rows, of all weights of a FUSED_LINEAR */
    size_t copy_a_bytes, copy_b_bytes, packed_bytes; /* of one batch element */
} product;

/* Folds axis `d` into a running (size, stride) from the outside in; false if the stride breaks. */
static bool fold(const em__tensor *t, int d, int64_t *size, int64_t *stride)
{
    if (t->spec.dims[d] == 1)
        return true;
    bool fits = *size == 1 || *stride == t->strides[d] * t->spec.dims[d];
    *size *= t->spec.dims[d];
    *stride = t->strides[d];
    return fits;
}

em__dot_operand em__dot_describe(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch,
                                 int n_batch)
{
    em__dot_operand o = {.rows = 1, .depth = 1, .row_stride = 1, .depth_stride = 1, .even = true};
    for (int i = 0; i < n_contract; i++)
        o.even &= fold(t, (int)contract[i], &o.depth, &o.depth_stride);
    for (int d = 0; d < t->spec.rank; d++)
        if (!em__axis_listed(contract, n_contract, d) && !em__axis_listed(batch, n_batch, d))
            o.even &= fold(t, d, &o.rows, &o.row_stride);
    return o;
}

/* Rows of the largest operand that might have to be copied before it is packed. */
static int64_t widest(const em__call *call, const product *p)
{
    int64_t rows = p->b.rows;
    for (int i = 1; call->op == EM__OP_FUSED_LINEAR && i < (int)call->ints[2]; i++) {
        int64_t other = call->in[em__linear_weight(call->ints, i)].spec.dims[0];
        rows = other > rows ? other : rows;
    }
    return rows;
}

/* On short depths cutting f32 into bf16 costs more than the tiles give back. The depth alone decides: a product's bits
 * may not depend on its rows, nor on the columns that it was merged with. (Few rows by a matrix that is read in its own
 * rows are the one exception, below.) */
#define SHALLOW 128

static const em__gemm_kernels *kernels_for(int64_t depth)
{
    em__cpu_level level = em__cpu_get()->level;
    return em__gemm_kernels_get(depth <= SHALLOW && level > EM__CPU_AVX512 ? EM__CPU_AVX512 : level);
}

static product analyse(const em__call *call)
{
    static const int64_t axes[EM_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    product p = {.batch = 1};
    if (call->op == EM__OP_FUSED_LINEAR) {
        p.dot = (em__dot){1, 0, &axes[call->in[0].spec.rank - 1], &axes[1], NULL, NULL};
    } else {
        p.dot = em__dot_decode(call->ints);
    }
    p.a = em__dot_describe(&call->in[0], p.dot.contract_a, p.dot.n_contract, p.dot.batch_a, p.dot.n_batch);
    p.b = em__dot_describe(&call->in[1], p.dot.contract_b, p.dot.n_contract, p.dot.batch_b, p.dot.n_batch);
    for (int i = 0; i < p.dot.n_batch; i++)
        p.batch *= call->in[0].spec.dims[p.dot.batch_a[i]];
    p.copy_a = !p.a.even || (p.a.depth_stride != 1 && p.a.depth > 1);
    p.copy_b = !p.b.even || (p.b.depth_stride != 1 && p.b.row_stride != 1 && p.b.depth > 1 && p.b.rows > 1);
    p.columns = call->op == EM__OP_FUSED_LINEAR ? call->out.spec.dims[call->out.spec.rank - 1] : p.b.rows;
    p.packed_bytes = em__gemm_f32_packed_bytes(kernels_for(p.b.depth), p.columns, p.b.depth);
    p.copy_a_bytes = p.copy_a ? em__align64((size_t)(p.a.rows * p.a.depth) * sizeof(float)) : 0;
    p.copy_b_bytes = p.copy_b || call->op == EM__OP_FUSED_LINEAR
                         ? em__align64((size_t)(widest(call, &p) * p.b.depth) * sizeof(float))
                         : 0;
    return p;
}

/* Copies one batch element to [rows][depth], walking the free axes and then the contracted ones in order. */
static em_status copy_operand(em_device *device, const em__tensor *t, const void *data, const int64_t *contract,
                              int n_contract, const int64_t *batch, int n_batch, void *to)
{
    em__tensor view = {.spec = {.dtype = t->spec.dtype}};
    memcpy(&view.data, &data, sizeof data);
    for (int d = 0; d < t->spec.rank; d++) {
        if (em__axis_listed(contract, n_contract, d) || em__axis_listed(batch, n_batch, d))
            continue;
        view.spec.dims[view.spec.rank] = t->spec.dims[d];
        view.strides[view.spec.rank++] = t->strides[d];
    }
    for (int i = 0; i < n_contract; i++) {
        view.spec.dims[view.spec.rank] = t->spec.dims[contract[i]];
        view.strides[view.spec.rank++] = t->strides[contract[i]];
    }
    em__plan plan;
    em__call copy = {.op = EM__OP_COPY, .n_in = 1, .in = &view, .out = {.data = to, .spec = view.spec}};
    em__tensor_contiguous(&copy.out);
    EM__TRY(device->vtable->prepare(device, &copy, &plan));
    return plan.kernel(device, &copy);
}

/* Bytes from the operand's start to its batch element `index`. */
static int64_t batch_offset(const em__tensor *t, const int64_t *batch, int n_batch, int64_t index)
{
    int64_t offset = 0;
    for (int i = n_batch - 1; i >= 0; i--) {
        int64_t dim = t->spec.dims[batch[i]];
        offset += index % dim * t->strides[batch[i]];
        index /= dim;
    }
    return offset * (int64_t)em_dtype_size(t->spec.dtype);
}

typedef struct scratch {
    char *packed, *a, *b;
} scratch;

/* Packs operand `which` from `data`; `copy` has room for a row-major copy of it when its strides need one. */
static em_status pack_operand(em__cpu *cpu, const em__call *call, const product *p, int which, const void *data,
                              void *copy, float *to)
{
    const em__tensor *b = &call->in[which];
    em__dot_operand o = em__dot_describe(b, p->dot.contract_b, p->dot.n_contract, p->dot.batch_b, p->dot.n_batch);
    if (!o.even || (o.depth_stride != 1 && o.row_stride != 1 && o.depth > 1 && o.rows > 1)) {
        EM__TRY(copy_operand(&cpu->device, b, data, p->dot.contract_b, p->dot.n_contract, p->dot.batch_b,
                             p->dot.n_batch, copy));
        data = copy;
        o.row_stride = o.depth;
        o.depth_stride = 1;
    }
    em__gemm_f32_pack(kernels_for(o.depth), cpu->pool, to, data, o.rows, o.depth, o.row_stride, o.depth_stride);
    return EM_OK;
}

/* B, or the weights of a FUSED_LINEAR one behind the other. */
static em_status pack_b(em__cpu *cpu, const em__call *call, const product *p, const void *data, scratch s)
{
    float *to = (float *)(void *)s.packed;
    if (call->op != EM__OP_FUSED_LINEAR)
        return pack_operand(cpu, call, p, 1, data, s.b, to);
    for (int i = 0; i < (int)call->ints[2]; i++) {
        const em__tensor *w = &call->in[em__linear_weight(call->ints, i)];
        EM__TRY(pack_operand(cpu, call, p, em__linear_weight(call->ints, i), w->data, s.b, to));
        to += em__gemm_f32_packed_bytes(kernels_for(w->spec.dims[1]), w->spec.dims[0], w->spec.dims[1]) / sizeof(float);
    }
    return EM_OK;
}

/* Activation, bias and residual of a FUSED_LINEAR. */
static void epilogue(em__cpu *cpu, const em__call *call, em__gemm_args *args)
{
    int next = 2;
    if (call->op != EM__OP_FUSED_LINEAR)
        return;
    if (call->ints[1] & 1)
        args->bias = call->in[next++].data;
    if (call->ints[1] & 2) {
        args->residual = call->in[next].data;
        args->ldr = args->n;
    }
    args->activation = em__cpu_activation(cpu, (em__op)call->ints[0]);
}

const em__gemm_kernels *em__cpu_linear_kernels(const em__call *call)
{
    return kernels_for(call->in[1].spec.dims[1]);
}

em__gemm_args em__cpu_linear_args(em__cpu *cpu, const em__call *call)
{
    const product p = analyse(call);
    em__gemm_args args = {.m = p.a.rows, .n = p.columns, .k = p.a.depth, .lda = p.a.depth, .ldc = p.columns};
    args.a = call->in[0].data;
    args.b = call->packed;
    args.c = call->out.data;
    epilogue(cpu, call, &args);
    return args;
}

/* Operands that step evenly go to the batched product as they lie. */
static bool as_batch(const em__call *call, const product *p, em__gemm_batch *out)
{
    if (call->op != EM__OP_DOT_GENERAL || call->packed || !p->a.even || !p->b.even)
        return false;
    const em__tensor *a = &call->in[0], *b = &call->in[1];
    *out = (em__gemm_batch){.m = p->a.rows, .n = p->b.rows, .k = p->a.depth, .rank = p->dot.n_batch};
    out->a = (em__gemm_operand){.data = a->data, .row = p->a.row_stride, .depth = p->a.depth_stride};
    out->b = (em__gemm_operand){.data = b->data, .row = p->b.row_stride, .depth = p->b.depth_stride};
    for (int i = 0; i < p->dot.n_batch; i++) {
        out->dims[i] = a->spec.dims[p->dot.batch_a[i]];
        out->a.batch[i] = a->strides[p->dot.batch_a[i]];
        out->b.batch[i] = b->strides[p->dot.batch_b[i]];
    }
    out->c = call->out.data;
    out->memory = call->scratch;
    return true;
}

/* Laying B out for matrix units takes longer than a single column, or few rows by a B that is read in its rows. These
 * have the bits of the level below: a row's bits do not depend on the others where B has one column or steps by 1 in
 * its depth, as a Linear weight does; elsewhere only among so few, and among more. */
static const em__gemm_kernels *kernels_for_batch(const em__gemm_batch *batch)
{
    const em__gemm_kernels *kernels = kernels_for(batch->k);
    const bool few = batch->m <= EM__GEMM_SMALL_ROWS && batch->b.row == 1 && batch->b.depth != 1;
    if (em__gemm_kernels_level(kernels) > EM__CPU_AVX512 && (batch->n == 1 || few))
        return em__gemm_kernels_get(EM__CPU_AVX512);
    return kernels;
}

static em_status run_batched(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    em__gemm_batch batch;
    product p = analyse(call);
    as_batch(call, &p, &batch);
    if (batch.k == 0) {
        memset(call->out.data, 0, em__spec_bytes(&call->out.spec));
        return EM_OK;
    }
    return em__gemm_f32_batched(kernels_for_batch(&batch), cpu->pool, &batch);
}

static em_status run_dot(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    product p = analyse(call);
    char nothing[1]; /* without depth there is no scratch, yet places in it are counted */
    scratch s = {.packed = call->scratch ? call->scratch : nothing};
    s.a = s.packed + (call->packed ? 0 : p.packed_bytes);
    s.b = s.a + p.copy_a_bytes;
    for (int64_t i = 0; i < p.batch; i++) {
        const char *a = (const char *)call->in[0].data + batch_offset(&call->in[0], p.dot.batch_a, p.dot.n_batch, i);
        const char *b = (const char *)call->in[1].data + batch_offset(&call->in[1], p.dot.batch_b, p.dot.n_batch, i);
        em__gemm_args args = {.m = p.a.rows, .n = p.columns, .k = p.a.depth, .ldc = p.columns, .lda = p.a.row_stride};
        args.c = (float *)call->out.data + i * args.m * args.n;
        if (p.copy_a) {
            EM__TRY(copy_operand(device, &call->in[0], a, p.dot.contract_a, p.dot.n_contract, p.dot.batch_a,
                                 p.dot.n_batch, s.a));
            a = s.a;
            args.lda = p.a.depth;
        }
        if (!call->packed)
            EM__TRY(pack_b(cpu, call, &p, b, s));
        args.a = (const float *)(const void *)a;
        args.b = call->packed ? call->packed : (const void *)s.packed;
        epilogue(cpu, call, &args);
        EM__TRY(em__gemm_f32(kernels_for(args.k), cpu->pool, &args));
    }
    return EM_OK;
}

bool em__cpu_prepare_dot(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu;
    bool mine = (call->op == EM__OP_DOT_GENERAL || call->op == EM__OP_FUSED_LINEAR) &&
                call->in[0].spec.dtype == EM_F32 && call->in[1].spec.dtype == EM_F32;
    if (!mine)
        return false;
    product p = analyse(call);
    em__gemm_batch batch;
    if (as_batch(call, &p, &batch) &&
        em__gemm_f32_batched_needs(kernels_for_batch(&batch), &batch, &plan->scratch, &plan->workers)) {
        plan->kernel = run_batched;
        plan->strided = 3;
        return true;
    }
    if (p.packed_bytes == 0 && p.columns > 0 && p.b.depth > 0)
        return false; /* larger than memory */
    plan->workers = em__gemm_scratch_bytes(kernels_for(p.a.depth), p.a.depth);
    plan->kernel = run_dot;
    plan->strided = ~(uint64_t)0; /* but bias and residual must be row-major */
    for (int i = 2; call->op == EM__OP_FUSED_LINEAR && i < em__linear_weight(call->ints, 1); i++)
        plan->strided &= ~((uint64_t)1 << i);
    plan->scratch = (call->packed ? 0 : p.packed_bytes) + p.copy_a_bytes + p.copy_b_bytes;
    return true;
}

size_t em__cpu_packed_bytes(em_device *device, const em__call *call)
{
    if (call->op == EM__OP_QUANTIZED_MATMUL)
        return em__cpu_packed_bytes_quant(device, call);
    if (call->in[1].spec.dtype != EM_F32)
        return em__cpu_packed_bytes_half(device, call);
    bool product_op = call->op == EM__OP_DOT_GENERAL || call->op == EM__OP_FUSED_LINEAR;
    if (!product_op || call->in[0].spec.dtype != EM_F32)
        return 0;
    product p = analyse(call);
    em__gemm_batch batch;
    if (p.dot.n_batch > 0 || (as_batch(call, &p, &batch) && kernels_for_batch(&batch) != kernels_for(batch.k)))
        return 0;
    return p.packed_bytes;
}

em_status em__cpu_pack(em_device *device, const em__call *call, void *to)
{
    if (call->op == EM__OP_QUANTIZED_MATMUL)
        return em__cpu_pack_quant(device, call, to);
    if (call->in[1].spec.dtype != EM_F32)
        return em__cpu_pack_half(device, call, to);
    product p = analyse(call);
    void *copy = p.copy_b_bytes ? em__block_alloc(p.copy_b_bytes) : NULL;
    if (p.copy_b_bytes && !copy)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = pack_b(em__cpu_of(device), call, &p, call->in[1].data, (scratch){.packed = to, .b = copy});
    em__block_free(copy, p.copy_b_bytes);
    return status;
}
