/* FUSED_CHAIN: who may be a step, kernels by chain and layout, launches. See chain.h. */
#include "device/cuda/chain.h"

#include <memory>
#include <mutex>
#include <unordered_map>

#include "device/cuda/common.cuh"

typedef struct built {
    em_chain_layout layout;
    cudaKernel_t kernel; /* NULL: there can be none */
} built;

static std::mutex lock;
static std::unordered_map<std::string, std::unique_ptr<built>> chains; /* by key_of */
static std::unordered_map<std::string, cudaKernel_t> kernels;          /* by the source's hash and the device */

/* What the layout follows from: the program, the operands' dtypes, shapes and strides; the device. */
static std::string key_of(const em__cuda *cuda, const em__call *call)
{
    std::string key;
    auto add = [&key](const void *data, size_t bytes) { key.append((const char *)data, bytes); };
    add(&cuda->ordinal, sizeof cuda->ordinal);
    add(&call->n_in, sizeof call->n_in);
    add(call->ints, (size_t)call->n_ints * sizeof call->ints[0]);
    for (int i = 0; i < call->n_in; i++) {
        const em__tensor *t = &call->in[i];
        int head[2] = {(int)t->spec.dtype, t->spec.rank};
        add(head, sizeof head);
        add(t->spec.dims, (size_t)t->spec.rank * sizeof t->spec.dims[0]);
        add(t->strides, (size_t)t->spec.rank * sizeof t->strides[0]);
    }
    return key;
}

static cudaKernel_t load(const em__cuda *cuda, const std::string &source)
{
    std::string code = em_nvrtc_compile(cuda, source);
    cudaLibrary_t library = NULL;
    cudaKernel_t kernel = NULL;
    cudaFuncAttributes attributes;
    if (code.empty())
        return NULL;
    if (cudaLibraryLoadData(&library, code.data(), NULL, NULL, 0, NULL, NULL, 0) != cudaSuccess ||
        cudaLibraryGetKernel(&kernel, library, "em_chain") != cudaSuccess ||
        cudaFuncGetAttributes(&attributes, (const void *)kernel) != cudaSuccess) { /* brings it onto the device */
        cudaGetLastError();
        if (library)
            cudaLibraryUnload(library);
        return NULL;
    }
    return kernel;
}

/*
 * The chain built, from what was built before where that is; NULL when it is not for chains, or can't be loaded now:
 * that is tried again when the next program asks, since a full GPU is not one for ever.
 */
static const built *build(const em__cuda *cuda, const em__call *call)
{
    std::lock_guard<std::mutex> guard(lock);
    const std::string key = key_of(cuda, call);
    std::unique_ptr<built> &entry = chains[key];
    if (!entry) {
        entry.reset(new built());
        if (em_chain_lay_out(cuda, call, &entry->layout)) {
            std::string source = em_chain_source(&entry->layout);
            std::string name = em_nvrtc_hash(source) + cuda->name;
            cudaKernel_t &kernel = kernels[name];
            kernel = kernel ? kernel : load(cuda, source);
            entry->kernel = kernel;
            if (!kernel) {
                chains.erase(key);
                return NULL;
            }
        }
    }
    return entry->kernel ? entry.get() : NULL;
}

/* Whether packets at `data` are aligned, row by row. */
static bool is_whole(const em_chain_layout *l, const void *data, em_dtype dtype, const long long *strides)
{
    size_t bytes = em_dtype_size(dtype) * (size_t)l->packet;
    bool whole = (uintptr_t)data % bytes == 0;
    for (int d = 0; d < l->rank; d++)
        whole = whole && strides[d] % l->packet == 0;
    return whole;
}

static em_status run_chain(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    const built *b = build(cuda, call);
    EM__FAIL_IF(!b, EM_ERROR_INTERNAL, "chain: it was not prepared for these strides");
    const em_chain_layout *l = &b->layout;
    em_chain_args args = l->args;
    for (int i = 0; i < call->n_in; i++) {
        args.in[i] = call->in[i].data;
        args.whole |= (unsigned)is_whole(l, args.in[i], l->in[i], args.strides[i]) << i;
    }
    args.out = call->out.data;
    bool even = l->rank == 0 || l->columns % l->packet == 0;
    args.whole |=
        (unsigned)(even && (uintptr_t)args.out % (em_dtype_size(call->out.spec.dtype) * (size_t)l->packet) == 0) << 31;
    unsigned blocks = l->chain.n_axes ? em_blocks(args.rows * l->threads, 256) : em_blocks(args.size, 256 * l->packet);
    return em_launch(cuda, "chain", (void (*)(em_chain_args))b->kernel, blocks, 256, 0, args);
}

bool em_chain_takes(em_device *device, em__op op, em_dtype from, em_dtype to)
{
    (void)device;
    if (em_dtype_get_kind(from) == EM_KIND_COMPLEX || em_dtype_get_kind(to) == EM_KIND_COMPLEX || !em_nvrtc_there())
        return false;
    if (em__chain_reduces(op))
        return from == to || op == EM__OP_ALL || op == EM__OP_ANY;
    return (em__op_get(op)->traits & EM__TRAIT_ELEMENTWISE) && op != EM__OP_BITCAST;
}

extern "C" bool em__cuda_prepare_chain(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    em__tensor in[EM__CHAIN_OPERANDS];
    em__call plain = *call;
    em_chain_layout layout;
    if (call->op != EM__OP_FUSED_CHAIN || !em_nvrtc_there())
        return false;
    plan->kernel = run_chain;
    plan->strided = UINT64_MAX;
    if (em__spec_size(&call->out.spec) == 0)
        return true;
    if (!em_chain_lay_out(cuda, call, &layout)) { /* row-major they may fold */
        for (int i = 0; i < call->n_in; i++) {
            in[i] = call->in[i];
            em__tensor_contiguous(&in[i]);
        }
        plain.in = in;
        plan->strided = 0;
    }
    return build(cuda, &plain) != NULL;
}
