/* Calls of quantized weights brought to the form that quant.h runs. */
#include "core/error.h"
#include "device/cpu/cpu.h"
#include "device/cpu/quant.h"

/* One product of the call's batch; without data where the call has none. */
static em__quant_product product_of(em__cpu *cpu, const em__call *call)
{
    const em__tensor *x = &call->in[0], *w = &call->in[1];
    const int rank = x->spec.rank, w_rank = w->spec.rank;
    em__quant_product p = {.kernels = em__quant_kernels_get(cpu->level),
                           .cast = cpu->cast,
                           .pool = cpu->pool,
                           .scheme = em__quant_decode(call->ints),
                           .transpose = call->ints[3] != 0,
                           .x = x->data,
                           .x_dtype = x->spec.dtype,
                           .codes = w->data,
                           .scales = call->in[2].data,
                           .scale_dtype = call->in[2].spec.dtype,
                           .y = call->out.data,
                           .y_dtype = call->out.spec.dtype,
                           .packed = call->packed,
                           .may_round = call->half_products,
                           .memory = call->scratch};
    p.biases = call->n_in > 3 ? call->in[3].data : NULL;
    p.k = x->spec.dims[rank - 1];
    p.n = call->out.spec.dims[rank - 1];
    p.m = 1;
    for (int i = w_rank > 2 ? rank - 2 : 0; i < rank - 1; i++)
        p.m *= x->spec.dims[i];
    return p;
}

static const void *moved(const void *data, int64_t elements, em_dtype dtype)
{
    return data ? (const char *)data + elements * (int64_t)em_dtype_size(dtype) : NULL;
}

static em_status run_quantized(em_device *device, const em__call *call)
{
    em__quant_product p = product_of(em__cpu_of(device), call);
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    const int64_t batch = em__spec_size(&call->out.spec) / (p.m * p.n);
    const int64_t words = em__spec_size(&call->in[1].spec) / batch, scales = em__spec_size(&call->in[2].spec) / batch;
    for (int64_t i = 0; i < batch; i++) {
        em__quant_run(&p);
        p.x = moved(p.x, p.m * p.k, p.x_dtype);
        p.codes = moved(p.codes, words, EM_U32);
        p.scales = moved(p.scales, scales, p.scale_dtype);
        p.biases = moved(p.biases, scales, p.scale_dtype);
        p.y = (char *)p.y + p.m * p.n * (int64_t)em_dtype_size(p.y_dtype);
    }
    return EM_OK;
}

size_t em__cpu_packed_bytes_quant(em_device *device, const em__call *call)
{
    if (call->in[1].spec.rank != 2)
        return 0;
    for (int i = 1; i < call->n_in; i++)
        if (!em__tensor_is_contiguous(&call->in[i]))
            return 0;
    const em__quant_product p = product_of(em__cpu_of(device), call);
    return (size_t)(p.n * p.k) * sizeof(uint16_t) >= em__cpu_least_packed() ? em__quant_packed_bytes(&p) : 0;
}

em_status em__cpu_pack_quant(em_device *device, const em__call *call, void *to)
{
    const em__quant_product p = product_of(em__cpu_of(device), call);
    em__quant_pack(&p, to);
    return EM_OK;
}

/* The array of a QUANTIZE or DEQUANTIZE; `w`, codes, scales and biases may have no data yet. */
static em__quant_coding coding_of(em__cpu *cpu, const em__call *call, const em__tensor *w, const em__tensor *coded,
                                  int n)
{
    em__quant_coding c = {.kernels = em__quant_kernels_get(cpu->level),
                          .cast = cpu->cast,
                          .pool = cpu->pool,
                          .scheme = em__quant_decode(call->ints),
                          .w = w->data,
                          .dtype = w->spec.dtype,
                          .codes = coded[0].data,
                          .scales = coded[1].data,
                          .biases = n > 2 ? coded[2].data : NULL,
                          .scale_dtype = coded[1].spec.dtype};
    c.groups = em__spec_size(&coded[1].spec);
    return c;
}

static em_status run_quantize(em_device *device, const em__call *call)
{
    em__tensor parts[3];
    const int n = call->ints[0] == EM_QUANT_AFFINE ? 3 : 2;
    EM__TRY(em__call_parts(call, parts, n));
    const em__quant_coding c = coding_of(em__cpu_of(device), call, &call->in[0], parts, n);
    em__quant_encode(&c);
    return EM_OK;
}

static em_status run_dequantize(em_device *device, const em__call *call)
{
    const em__quant_coding c = coding_of(em__cpu_of(device), call, &call->out, call->in, call->n_in);
    em__quant_decode_all(&c);
    return EM_OK;
}

bool em__cpu_prepare_quant(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if (call->op == EM__OP_QUANTIZE) {
        *plan = (em__plan){.kernel = run_quantize, .workers = em__quant_coding_scratch()};
        return true;
    }
    if (call->op == EM__OP_DEQUANTIZE) {
        const em__quant q = em__quant_decode(call->ints);
        *plan = (em__plan){.kernel = run_dequantize, .workers = em__quant_coding_scratch()};
        return q.group % EM__QUANT_STEP == 0 && q.group <= EM__QUANT_CHUNK;
    }
    if (call->op != EM__OP_QUANTIZED_MATMUL)
        return false;
    const em__quant_product p = product_of(cpu, call);
    *plan = (em__plan){.kernel = run_quantized};
    return em__quant_needs(&p, &plan->scratch, &plan->workers);
}
