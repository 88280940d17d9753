/*
 * What the kernels of attention share: the operands of a call in the form that kernels read, which keys a query sees,
 * what a score becomes, and elements of any float dtype.
 *
 * Sums are f32 (f64 for f64). A row's result depends on its own query, keys and mask alone, in an order that shapes and
 * the row's own length give. Keys that a row can't see are not read into it; a row without any is zero.
 */
#ifndef EM_DEVICE_CUDA_ATTENTION_CUH
#define EM_DEVICE_CUDA_ATTENTION_CUH

#include <math.h>

#include "device/cuda/common.cuh"
#include "device/cuda/reals.cuh"

/* Strides in elements: batch, head, token. The elements of one head of one token are side by side. */
struct em_attend_operand {
    const void *data;
    int64_t batch, head, token;
    bool wide; /* a head is pieces of 8 elements, each aligned to 16 bytes, or 8 of s8 */
};

struct em_attend {
    em_attend_operand q, k, v;
    void *out; /* [batch, heads, queries, value_size] */
    const void *mask;
    int64_t mask_strides[4];
    const float *sinks; /* [heads] or NULL */
    const int32_t *lengths;
    int64_t length_stride;
    const float *k_scales, *v_scales; /* [batch, kv_heads, keys] or NULL */
    int batch, heads, kv_heads, queries, keys, size, value_size;
    em_dtype dtype, cache, mask_dtype; /* of q and out; of k and v */
    float scale, softcap;
    double scale64, softcap64;
    bool causal;
    int64_t window;
};

struct em_keys {
    int first, end; /* end may be below first: none */
};

/* The keys that exist for batch b. */
__device__ __forceinline__ int em_attend_length(const em_attend &a, int b)
{
    if (!a.lengths)
        return a.keys;
    int n = a.lengths[b * a.length_stride];
    return n < 0 ? 0 : n < a.keys ? n : a.keys;
}

/* Those of n keys that the query beside key `place` sees. */
__device__ __forceinline__ em_keys em_attend_seen_at(const em_attend &a, int n, int64_t place)
{
    int64_t first = 0, end = n;
    if (a.window && place - a.window + 1 > 0)
        first = place - a.window + 1;
    if (a.causal && place + 1 < end)
        end = place + 1;
    if (a.window && place + a.window < end)
        end = place + a.window;
    return {(int)(first < n ? first : n), (int)(end < 0 ? 0 : end)};
}

/* Those of n keys that query i of a.queries sees: the last is beside the last key. */
__device__ __forceinline__ em_keys em_attend_seen(const em_attend &a, int n, int i)
{
    return em_attend_seen_at(a, n, (int64_t)i + n - a.queries);
}

__device__ __forceinline__ float em_as_float(float x)
{
    return x;
}
__device__ __forceinline__ float em_as_float(__half x)
{
    return __half2float(x);
}
__device__ __forceinline__ float em_as_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}
__device__ __forceinline__ float em_as_float(int8_t x)
{
    return (float)x;
}

/* Element `at` of a tensor of any float dtype. */
template <typename A> __device__ __forceinline__ A em_read_any(const void *data, em_dtype dtype, int64_t at)
{
    switch (dtype) {
    case EM_F64: return (A)((const double *)data)[at];
    case EM_F32: return (A)((const float *)data)[at];
    case EM_F16: return (A)__half2float(((const __half *)data)[at]);
    case EM_BF16: return (A)__bfloat162float(((const __nv_bfloat16 *)data)[at]);
    case EM_S8: return (A)((const int8_t *)data)[at];
    case EM_F8_E4M3FN: return (A)(float)((const __nv_fp8_e4m3 *)data)[at];
    case EM_F8_E5M2: return (A)(float)((const __nv_fp8_e5m2 *)data)[at];
    default: return 0;
    }
}

/* Elements at .. at + 3, of which `left` are there; `wide`: at is a multiple of 4, and so is what `left` counts. */
__device__ __forceinline__ void em_write_four(void *data, em_dtype dtype, int64_t at, int left, bool wide, float4 x)
{
    if (wide && dtype == EM_F32) {
        if (left > 0)
            *(float4 *)((float *)data + at) = x;
        return;
    }
    const float each[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < left)
            em_store_as(dtype, data, at + i, each[i]);
}

/* 8 elements as they lie. */
template <typename T> struct em_eight {
    alignas(sizeof(T) * 8 < 16 ? sizeof(T) * 8 : 16) T x[8];
};

/* 8 elements from p on, or zeros; without a branch, so that many are under way at once. p is aligned to them. */
template <typename T> __device__ __forceinline__ em_eight<T> em_fetch_eight(const T *p, bool on)
{
    em_eight<T> v;
    if constexpr (sizeof(T) == 1) {
        uint2 x;
        asm("{.reg .pred p;\n\tsetp.ne.s32 p, %3, 0;\n\tmov.b32 %0, 0;\n\tmov.b32 %1, 0;\n\t"
            "@p ld.global.nc.v2.u32 {%0, %1}, [%2];}"
            : "=&r"(x.x), "=&r"(x.y)
            : "l"(p), "r"((int)on));
        *(uint2 *)v.x = x;
    } else {
#pragma unroll
        for (int i = 0; i < (int)sizeof(T) / 2; i++) {
            uint4 x;
            asm("{.reg .pred p;\n\tsetp.ne.s32 p, %5, 0;\n\tmov.b32 %0, 0;\n\tmov.b32 %1, 0;\n\t"
                "mov.b32 %2, 0;\n\tmov.b32 %3, 0;\n\t@p ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];}"
                : "=&r"(x.x), "=&r"(x.y), "=&r"(x.z), "=&r"(x.w)
                : "l"((const char *)p + 16 * i), "r"((int)on));
            ((uint4 *)v.x)[i] = x;
        }
    }
    return v;
}

template <typename F> __device__ __forceinline__ void em_by_dtype(em_dtype dtype, F f)
{
    if (dtype == EM_F32)
        f(0.0f);
    else if (dtype == EM_BF16)
        f(__nv_bfloat16());
    else
        f(__half());
}

template <typename A> __device__ __forceinline__ void em_write_any(void *data, em_dtype dtype, int64_t at, A x)
{
    switch (dtype) {
    case EM_F64: ((double *)data)[at] = (double)x; break;
    case EM_F32: ((float *)data)[at] = (float)x; break;
    case EM_F16: ((__half *)data)[at] = __float2half_rn((float)x); break;
    case EM_BF16: ((__nv_bfloat16 *)data)[at] = __float2bfloat16_rn((float)x); break;
    case EM_F8_E4M3FN: ((uint8_t *)data)[at] = __nv_cvt_float_to_fp8((float)x, __NV_NOSAT, __NV_E4M3); break;
    case EM_F8_E5M2: ((uint8_t *)data)[at] = __nv_cvt_float_to_fp8((float)x, __NV_NOSAT, __NV_E5M2); break;
    default: break;
    }
}

/* What softcap and the mask, at `at` in elements, make of a scaled score; -inf: not seen. Rare, and so not inlined:
 * instructions that come for the first time are fetched slowly, which short calls feel. */
static __device__ __noinline__ float em_attend_bend(const em_attend &a, int64_t at, float score)
{
    if (a.softcap != 0)
        score = a.softcap * tanhf(score / a.softcap);
    if (!a.mask)
        return score;
    if (a.mask_dtype == EM_PRED)
        return ((const uint8_t *)a.mask)[at] ? score : -INFINITY;
    return score + em_read_any<float>(a.mask, a.mask_dtype, at);
}

/* e to the x, for x <= 0: one instruction beside a product; tiny results are zero. */
__device__ __forceinline__ float em_exp_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.4426950408889634f));
    return y;
}

/* The maximum that scores are held against: any finite number does where there is no key yet. */
__device__ __forceinline__ float em_finite_top(float top)
{
    return top == -INFINITY ? 0 : top;
}

/* The call's operands; data pointers are those of the call. */
em_attend em_attend_of(const em__call *call);

/* Every SDPA but of heads that are too wide for shared memory, one query a block: also run where operands turn out not
 * to be wide. */
em_status em_attend_plain(em_device *device, const em__call *call);
em_status em_attend_rows(em_device *device, const em__call *call);

/* Families within the family (attention.cu asks them in this order). */
bool em_attend_prepare_decode(em__cuda *cuda, const em__call *call, em__plan *plan);
bool em_attend_prepare_flash(em__cuda *cuda, const em__call *call, em__plan *plan);
bool em_attend_prepare_rows(em__cuda *cuda, const em__call *call, em__plan *plan);

#endif
