/*
 * What elements can be taken together by: sums, products, the largest, the smallest. A fold says what it reads (In),
 * what it keeps (Acc), what it writes (Out), where it starts, and how two results are joined. Halves and f8 are taken
 * in f32, integers wrap, complex numbers go part by part. The smallest is the largest of the opposites: of -x, or of
 * the bits turned over where x is an integer. NaN stays.
 */
#ifndef EM_DEVICE_CUDA_FOLDS_CUH
#define EM_DEVICE_CUDA_FOLDS_CUH

#include "device/cuda/reals.cuh"

template <typename R> struct em_complex {
    R re, im;
};

template <typename R> __device__ __forceinline__ R em_add(R a, R b)
{
    return a + b;
}

template <typename R> __device__ __forceinline__ em_complex<R> em_add(em_complex<R> a, em_complex<R> b)
{
    return {a.re + b.re, a.im + b.im};
}

template <typename R> __device__ __forceinline__ R em_multiply(R a, R b)
{
    return a * b;
}

template <typename R> __device__ __forceinline__ em_complex<R> em_multiply(em_complex<R> a, em_complex<R> b)
{
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

template <typename R> struct em_number {
    static __device__ __forceinline__ R of(int x)
    {
        return (R)x;
    }
};
template <typename R> struct em_number<em_complex<R>> {
    static __device__ __forceinline__ em_complex<R> of(int x)
    {
        return {(R)x, 0};
    }
};

/* Rounds to nearest even; beyond the range f8_e4m3fn becomes NaN, the others infinity. */
template <typename T, typename A> __device__ __forceinline__ T em_rounded(A x, T *)
{
    return (T)x;
}

__device__ __forceinline__ __nv_fp8_e4m3 em_rounded(float x, __nv_fp8_e4m3 *)
{
    __nv_fp8_e4m3 r;
    r.__x = __nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E4M3);
    return r;
}

__device__ __forceinline__ __nv_fp8_e5m2 em_rounded(float x, __nv_fp8_e5m2 *)
{
    __nv_fp8_e5m2 r;
    r.__x = __nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E5M2);
    return r;
}

template <typename T, typename A, bool PRODUCT> struct em_sum_fold {
    typedef T In;
    typedef T Out;
    typedef A Acc;
    __device__ __forceinline__ A start() const
    {
        return em_number<A>::of(PRODUCT);
    }
    __device__ __forceinline__ A take(T x) const
    {
        return (A)x;
    }
    __device__ __forceinline__ A join(A a, A b) const
    {
        return PRODUCT ? em_multiply(a, b) : em_add(a, b);
    }
    __device__ __forceinline__ T give(A x) const
    {
        return em_rounded(x, (T *)NULL);
    }
};

__device__ __forceinline__ float em_larger(float a, float b)
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

__device__ __forceinline__ double em_larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

template <typename T> struct em_float_end {
    typedef T In;
    typedef T Out;
    typedef typename em_real<T>::type Acc;
    Acc sign;   /* -1: the smallest */
    Acc lowest; /* what there is before anything */
    __device__ __forceinline__ Acc start() const
    {
        return lowest;
    }
    __device__ __forceinline__ Acc take(T x) const
    {
        return (Acc)x * sign;
    }
    __device__ __forceinline__ Acc join(Acc a, Acc b) const
    {
        return em_larger(a, b);
    }
    __device__ __forceinline__ T give(Acc x) const
    {
        return em_rounded(x * sign, (T *)NULL);
    }
};

template <typename T> struct em_integer_end {
    typedef T In;
    typedef T Out;
    typedef T Acc;
    T flip; /* the bits to turn over so that the largest unsigned number wins */
    __device__ __forceinline__ T start() const
    {
        return 0;
    }
    __device__ __forceinline__ T take(T x) const
    {
        return x ^ flip;
    }
    __device__ __forceinline__ T join(T a, T b) const
    {
        return a > b ? a : b;
    }
    __device__ __forceinline__ T give(T x) const
    {
        return x ^ flip;
    }
};

/* The fold for the largest or smallest of floats, and of integers of the dtype. */
template <typename T> static em_float_end<T> em_float_end_of(bool smallest)
{
    typedef typename em_real<T>::type R;
    return {(R)(smallest ? -1 : 1), -(R)INFINITY};
}

template <typename T> static em_integer_end<T> em_integer_end_of(em_dtype dtype, bool smallest)
{
    uint64_t top = (uint64_t)1 << (8 * sizeof(T) - 1);
    uint64_t flip = em_dtype_get_kind(dtype) == EM_KIND_SIGNED ? top : 0;
    if (smallest)
        flip ^= dtype == EM_PRED ? 1 : top | (top - 1);
    return {(T)flip};
}

/*
 * The kernels of a family by dtype, NULL where there is none. What Family gives: functions sum<T, A, PRODUCT>,
 * float_end<T> and integer_end<T>, each an em__kernel_fn.
 */
template <typename Family, typename T, typename A> static em__kernel_fn em_fold_sum(bool product)
{
    return product ? Family::template sum<T, A, true> : Family::template sum<T, A, false>;
}

template <typename Family> static em__kernel_fn em_fold_sums(em_dtype dtype, bool product)
{
    switch (dtype) {
    case EM_U8:
    case EM_S8: return em_fold_sum<Family, uint8_t, uint32_t>(product);
    case EM_U16:
    case EM_S16: return em_fold_sum<Family, uint16_t, uint32_t>(product);
    case EM_U32:
    case EM_S32: return em_fold_sum<Family, uint32_t, uint32_t>(product);
    case EM_U64:
    case EM_S64: return em_fold_sum<Family, uint64_t, uint64_t>(product);
    case EM_F8_E4M3FN: return em_fold_sum<Family, __nv_fp8_e4m3, float>(product);
    case EM_F8_E5M2: return em_fold_sum<Family, __nv_fp8_e5m2, float>(product);
    case EM_F16: return em_fold_sum<Family, __half, float>(product);
    case EM_BF16: return em_fold_sum<Family, __nv_bfloat16, float>(product);
    case EM_F32: return em_fold_sum<Family, float, float>(product);
    case EM_F64: return em_fold_sum<Family, double, double>(product);
    case EM_C64: return em_fold_sum<Family, em_complex<float>, em_complex<float>>(product);
    case EM_C128: return em_fold_sum<Family, em_complex<double>, em_complex<double>>(product);
    default: return NULL;
    }
}

template <typename Family> static em__kernel_fn em_fold_ends(em_dtype dtype)
{
    switch (dtype) {
    case EM_U8:
    case EM_S8: return Family::template integer_end<uint8_t>;
    case EM_U16:
    case EM_S16: return Family::template integer_end<uint16_t>;
    case EM_U32:
    case EM_S32: return Family::template integer_end<uint32_t>;
    case EM_U64:
    case EM_S64: return Family::template integer_end<uint64_t>;
    case EM_F8_E4M3FN: return Family::template float_end<__nv_fp8_e4m3>;
    case EM_F8_E5M2: return Family::template float_end<__nv_fp8_e5m2>;
    case EM_F16: return Family::template float_end<__half>;
    case EM_BF16: return Family::template float_end<__nv_bfloat16>;
    case EM_F32: return Family::template float_end<float>;
    case EM_F64: return Family::template float_end<double>;
    default: return NULL;
    }
}

#endif
