/* DEQUANTIZE, and the rows of quantized weights for products: see dequantize.h. */
#include "device/cuda/dequantize.h"

#include "device/cuda/quant.cuh"

enum { THREADS = 256 };

/* A scale or a bias of affine. */
__device__ __forceinline__ float real_at(const void *data, em_dtype dtype, int64_t at)
{
    switch (dtype) {
    case EM_F16: return __half2float(((const __half *)data)[at]);
    case EM_BF16: return __bfloat162float(((const __nv_bfloat16 *)data)[at]);
    default: return ((const float *)data)[at];
    }
}

typedef struct scaling {
    float scale, bias;
} scaling;

__device__ __forceinline__ scaling scaling_at(const em__codes &w, int64_t group)
{
    if (w.how.mode == EM_QUANT_AFFINE)
        return {real_at(w.scales, w.scale_dtype, group), real_at(w.biases, w.scale_dtype, group)};
    unsigned byte = ((const uint8_t *)w.scales)[group];
    return {w.how.mode == EM_QUANT_NVFP4 ? em_e4m3(byte) : em_e8m0(byte), 0};
}

template <typename T> __device__ __forceinline__ T element(const em__codes &w, unsigned code, scaling s, bool apart)
{
    if (w.how.mode != EM_QUANT_AFFINE)
        return (T)__fmul_rn(w.how.bits == 8 ? em_e4m3(code) : em_e2m1(code), s.scale);
    if (apart)
        return (T)__fadd_rn((float)(T)__fmul_rn((float)code, s.scale), s.bias);
    return (T)fmaf((float)code, s.scale, s.bias);
}

/* EACH elements of one row a thread. BITS 0: any. */
template <typename T, int EACH, int BITS>
__global__ void dequantize(const __grid_constant__ em__codes w, int64_t first, int64_t size, bool apart, T *to)
{
    struct alignas(EACH * sizeof(T)) vector {
        T at[EACH];
    };
    const int bits = BITS ? BITS : (int)w.how.bits;
    const int64_t words = w.k * bits / 32, groups = w.k / w.how.group;
    em_grid_wait();
    int64_t step = (int64_t)gridDim.x * THREADS * EACH;
    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * EACH; i < size; i += step) {
        int64_t row = size <= UINT32_MAX ? (uint32_t)i / (uint32_t)w.k : i / w.k;
        uint32_t at = (uint32_t)(i - row * w.k), group = (uint32_t)w.how.group;
        const uint32_t *codes = w.codes + (first + row) * words;
        scaling s = scaling_at(w, (first + row) * groups + at / group);
        vector out;
        uint32_t word = BITS == 4 && EACH == 8 ? codes[at / 8] : 0;
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            unsigned code =
                BITS == 4 && EACH == 8 ? word >> 4 * j & 15 : em_code(codes, (int64_t)(at + j) * bits, bits);
            if (j > 0 && group % EACH != 0)
                s = scaling_at(w, (first + row) * groups + (at + j) / group);
            out.at[j] = element<T>(w, code, s, apart);
        }
        *(vector *)(to + i) = out;
    }
}

template <typename T>
static em_status run(em__cuda *cuda, const em__codes *w, int64_t first, int64_t rows, bool apart, void *to)
{
    int64_t size = rows * w->k;
    if (size == 0)
        return EM_OK;
    bool eight = w->k % 8 == 0 && ((uintptr_t)to & (8 * sizeof(T) - 1)) == 0;
    auto kernel = !eight ? dequantize<T, 1, 0> : w->how.bits == 4 ? dequantize<T, 8, 4> : dequantize<T, 8, 0>;
    return em_launch(cuda, "dequantize", kernel, em_blocks(size, THREADS * (eight ? 8 : 1)), THREADS, 0, *w, first,
                     size, apart, (T *)to);
}

extern "C" em_status em__cuda_dequantize(em__cuda *cuda, const em__codes *codes, int64_t first, int64_t rows,
                                         em_dtype dtype, bool apart, void *to)
{
    switch (dtype) {
    case EM_F16: return run<__half>(cuda, codes, first, rows, apart, to);
    case EM_BF16: return run<__nv_bfloat16>(cuda, codes, first, rows, apart, to);
    default: return run<float>(cuda, codes, first, rows, apart, to);
    }
}

extern "C" em__codes em__codes_of(const em__call *call, int first)
{
    const em__tensor *codes = &call->in[first];
    em__codes w = {};
    w.how = em__quant_decode(call->ints);
    w.scale_dtype = call->in[first + 1].spec.dtype;
    w.k = codes->spec.dims[codes->spec.rank - 1] * 32 / w.how.bits;
    w.codes = (const uint32_t *)codes->data;
    w.scales = call->in[first + 1].data;
    w.biases = w.how.mode == EM_QUANT_AFFINE ? call->in[first + 2].data : NULL;
    return w;
}

static em_status run_dequantize(em_device *device, const em__call *call)
{
    em__codes w = em__codes_of(call, 0);
    int64_t size = em__spec_size(&call->out.spec);
    return size == 0 ? EM_OK
                     : em__cuda_dequantize(em__cuda_of(device), &w, 0, size / w.k, call->out.spec.dtype, true,
                                           call->out.data);
}

extern "C" bool em__cuda_prepare_dequantize(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->kernel = run_dequantize;
    return call->op == EM__OP_DEQUANTIZE && em__codes_of(call, 0).k <= INT32_MAX;
}
