/*
 * QUANTIZE: the recipe of the ref device step by step, each rounded as there, so that the codes are the same bit for
 * bit. A thread takes a group; groups whose codes end inside a word begin inside it too: whole words are made of the
 * neighbours' codes, so a thread takes as many groups as end on a word.
 */
#include "device/cuda/quant.cuh"

enum { THREADS = 128 };

typedef struct job {
    int mode, bits;
    int64_t group, rows, groups, words; /* groups and words of a row */
    int64_t each;                       /* groups of a thread */
} job;

template <typename T> __device__ __forceinline__ float rounded(float x)
{
    return (float)(T)x;
}

/* The nearest e4m3, ties to even; 448 is the most, NaN is 0. */
__device__ unsigned e4m3_code(float x)
{
    unsigned sign = signbit(x) ? 0x80 : 0, best = 0;
    float a = fabsf(x);
    if (isnan(x))
        return 0;
    if (a >= 448)
        return sign | 0x7e;
    for (unsigned step = 64; step; step >>= 1)
        if (best + step < 0x7e && em_e4m3(best + step) <= a)
            best += step;
    float below = a - em_e4m3(best), above = em_e4m3(best + 1) - a;
    return sign | (above < below || (above == below && best % 2) ? best + 1 : best);
}

/* The nearest e2m1, ties to the smaller; what becomes 0 is +0, NaN too. */
__device__ unsigned e2m1_code(float x)
{
    unsigned code = 0;
    while (code < 7 && fabsf(x) > (em_e2m1(code) + em_e2m1(code + 1)) / 2)
        code++;
    return code && x < 0 ? code | 8 : code;
}

/* The least e with 2^e >= x, of those that a scale can have; 0 for 0. */
__device__ int ceil_log2(float x)
{
    int e;
    if (x == 0)
        return 0;
    if (isinf(x))
        return 127;
    float m = frexpf(x, &e);
    e -= m == 0.5f;
    return e < -127 ? -127 : e;
}

/* What a group's codes come from: (x - bias) / scale. */
typedef struct affine {
    float scale, bias, most;
} affine;

template <typename T> __device__ affine affine_of(const T *w, const job &j)
{
    affine a = {0, 0, (float)((1 << j.bits) - 1)};
    float lo = INFINITY, hi = -INFINITY;
    for (int64_t i = 0; i < j.group; i++) {
        float v = (float)w[i];
        hi = v > hi ? v : hi;
        lo = v < lo ? v : lo;
    }
    bool mask = fabsf(lo) > fabsf(hi);
    a.scale = __fdiv_rn(__fsub_rn(hi, lo), a.most);
    a.scale = a.scale < 1e-7f ? 1e-7f : a.scale;
    a.scale = mask ? a.scale : -a.scale;
    float edge = mask ? lo : hi, q0 = rintf(__fdiv_rn(edge, a.scale));
    if (q0 != 0) {
        a.scale = __fdiv_rn(edge, q0);
        a.bias = edge;
    }
    return a;
}

__device__ __forceinline__ unsigned affine_code(const affine &a, float x)
{
    float c = rintf(__fdiv_rn(__fsub_rn(x, a.bias), a.scale));
    return !(c > 0) ? 0 : c > a.most ? (unsigned)a.most : (unsigned)c;
}

/* The scale's byte, and its value into *unit. */
template <typename T> __device__ uint8_t micro_scale(const T *w, const job &j, float *unit)
{
    float most = 0;
    for (int64_t i = 0; i < j.group; i++) {
        float v = fabsf((float)w[i]);
        most = v > most ? v : most;
    }
    most = rounded<T>(__fdiv_rn(most, j.bits == 8 ? 448.0f : 6.0f));
    if (j.mode == EM_QUANT_NVFP4) {
        uint8_t byte = (uint8_t)e4m3_code(most);
        *unit = em_e4m3(byte);
        return byte;
    }
    int e = ceil_log2(most);
    *unit = em_e8m0((unsigned)(e + 127));
    return (uint8_t)(e + 127);
}

/* Codes in order into words. */
struct writer {
    uint32_t *words;
    uint64_t held;
    int bits;
    __device__ void put(unsigned code, int n)
    {
        held |= (uint64_t)code << bits;
        bits += n;
        if (bits >= 32) {
            *words++ = (uint32_t)held;
            held >>= 32;
            bits -= 32;
        }
    }
};

template <typename T> __global__ void quantize(const T *w, job j, uint32_t *codes, void *scales, T *biases)
{
    em_grid_wait();
    int64_t parts = j.groups / j.each, total = j.rows * parts;
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < total; i += (int64_t)gridDim.x * THREADS) {
        int64_t row = i / parts, first = i % parts * j.each;
        writer out = {codes + row * j.words + first * j.group * j.bits / 32, 0, 0};
        for (int64_t g = first; g < first + j.each; g++) {
            const T *from = w + (row * j.groups + g) * j.group;
            float unit = 0;
            affine a = {};
            if (j.mode == EM_QUANT_AFFINE) {
                a = affine_of(from, j);
                ((T *)scales)[row * j.groups + g] = (T)a.scale;
                biases[row * j.groups + g] = (T)a.bias;
            } else {
                ((uint8_t *)scales)[row * j.groups + g] = micro_scale(from, j, &unit);
            }
            for (int64_t e = 0; e < j.group; e++) {
                float x = (float)from[e], v = unit == 0 ? 0 : __fdiv_rn(x, unit);
                out.put(j.mode == EM_QUANT_AFFINE ? affine_code(a, x)
                        : j.bits == 8             ? e4m3_code(v)
                                                  : e2m1_code(v),
                        j.bits);
            }
        }
    }
}

template <typename T> static em_status run(em_device *device, const em__call *call)
{
    const em__quant q = em__quant_decode(call->ints);
    const em__tensor *w = &call->in[0];
    em__tensor parts[3] = {};
    EM__TRY(em__call_parts(call, parts, q.mode == EM_QUANT_AFFINE ? 3 : 2));
    int64_t k = w->spec.dims[w->spec.rank - 1], size = em__spec_size(&w->spec);
    job j = {(int)q.mode, (int)q.bits, q.group, k ? size / k : 0, k / q.group};
    j.words = parts[0].spec.dims[w->spec.rank - 1];
    for (j.each = 1; j.each * q.group * q.bits % 32; j.each++) {
    }
    if (size == 0)
        return EM_OK;
    return em_launch(em__cuda_of(device), "quantize", quantize<T>, em_blocks(j.rows * (j.groups / j.each), THREADS),
                     THREADS, 0, (const T *)w->data, j, (uint32_t *)parts[0].data, parts[1].data, (T *)parts[2].data);
}

extern "C" bool em__cuda_prepare_quantize(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_QUANTIZE)
        return false;
    switch (call->in[0].spec.dtype) {
    case EM_F32: plan->kernel = run<float>; return true;
    case EM_F16: plan->kernel = run<__half>; return true;
    case EM_BF16: plan->kernel = run<__nv_bfloat16>; return true;
    default: return false;
    }
}
