/* Mail between the blocks of a march: see march.cuh. */
#ifndef EM_DEVICE_CUDA_MARCH_MAIL_CUH
#define EM_DEVICE_CUDA_MARCH_MAIL_CUH

#include "device/cuda/march.cuh"

/* A letter: the float, and above it the number. */
__device__ __forceinline__ void em_send(uint64_t *to, float v, uint32_t number)
{
    const uint64_t letter = (uint64_t)number << 32 | __float_as_uint(v);
    asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(to), "l"(letter) : "memory");
}

__device__ __forceinline__ uint64_t em_peek(const uint64_t *from)
{
    uint64_t letter;
    asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(letter) : "l"(from) : "memory");
    return letter;
}

/* Waits for one letter, by one lane of a warp: what all lanes of all blocks ask for again and again is in the way of
 * the letter itself. Mail that never comes ends as an error, not as a hung GPU. */
__device__ __forceinline__ void em_await(const uint64_t *from, uint32_t number, bool missing)
{
    const unsigned lanes = __ballot_sync(__activemask(), missing);
    if (missing && (int)(threadIdx.x & 31) == __ffs((int)lanes) - 1) {
        unsigned looks = 0;
        while ((uint32_t)(em_peek(from) >> 32) != number) {
            __nanosleep(32);
            if (++looks == 1u << 26)
                __trap();
        }
    }
    __syncwarp(__activemask());
}

static constexpr int EM_LOOKS = 1000; /* of all lanes, before one waits for them */

/* N letters; all lanes of a warp that are here call it together. */
template <int N>
__device__ __forceinline__ void em_receive(const uint64_t *const (&from)[N], uint32_t number, float (&x)[N])
{
    for (int looks = 0;; looks++) {
        uint64_t letter[N];
        const uint64_t *missing = NULL;
#pragma unroll
        for (int i = 0; i < N; i++)
            letter[i] = em_peek(from[i]);
#pragma unroll
        for (int i = 0; i < N; i++) {
            if ((uint32_t)(letter[i] >> 32) != number)
                missing = from[i];
            x[i] = __uint_as_float((uint32_t)letter[i]);
        }
        if (!__any_sync(__activemask(), missing != NULL))
            return;
        if (looks > EM_LOOKS)
            em_await(missing, number, missing != NULL);
    }
}

/* Floats of a box. What is EM_MARCH_NONE by chance is sent as another NaN. */
__device__ __forceinline__ void em_mail(float *to, float v)
{
    const uint32_t bits = __float_as_uint(v);
    asm volatile("st.relaxed.gpu.global.b32 [%0], %1;" ::"l"(to), "r"(bits == EM_MARCH_NONE ? 0x7fffffffu : bits)
                 : "memory");
}

__device__ __forceinline__ uint32_t em_mail_peek(const float *from)
{
    uint32_t bits;
    asm volatile("ld.relaxed.gpu.global.b32 %0, [%1];" : "=r"(bits) : "l"(from) : "memory");
    return bits;
}

/* em_await for a float of a box. */
__device__ __forceinline__ void em_mail_await(const float *from)
{
    const unsigned lanes = __ballot_sync(~0u, from != NULL);
    if (from && (int)(threadIdx.x & 31) == __ffs((int)lanes) - 1) {
        unsigned looks = 0;
        while (em_mail_peek(from) == EM_MARCH_NONE) {
            __nanosleep(32);
            if (++looks == 1u << 26)
                __trap();
        }
    }
    __syncwarp();
}

/* N floats, `step` apart; all lanes of a warp call it together, as the next. */
template <int N> __device__ __forceinline__ void em_mail_receive(const float *from, int step, float (&x)[N])
{
    for (int looks = 0;; looks++) {
        const float *late = NULL;
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = __uint_as_float(em_mail_peek(from + i * step));
#pragma unroll
        for (int i = 0; i < N; i++)
            if (__float_as_uint(x[i]) == EM_MARCH_NONE)
                late = from + i * step;
        if (!__any_sync(~0u, late != NULL))
            return;
        if (looks > EM_LOOKS)
            em_mail_await(late);
    }
}

/* Two neighbours. */
__device__ __forceinline__ float2 em_mail_peek_pair(const float *from)
{
    float2 x;
    asm volatile("ld.relaxed.gpu.global.v2.b32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "l"(from) : "memory");
    return x;
}

/* The first n of N pairs have been asked for, pair i at at(i): those that have not come are asked for again. */
template <int N, typename At> __device__ __forceinline__ void em_mail_hear_pairs(int n, const At &at, float2 (&x)[N])
{
    for (int looks = 0;; looks++) {
        const float *late = NULL;
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n && (__float_as_uint(x[i].x) == EM_MARCH_NONE || __float_as_uint(x[i].y) == EM_MARCH_NONE))
                late = at(i) + (__float_as_uint(x[i].x) != EM_MARCH_NONE);
        if (!__any_sync(~0u, late != NULL))
            return;
        if (looks > EM_LOOKS)
            em_mail_await(late);
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n && (__float_as_uint(x[i].x) == EM_MARCH_NONE || __float_as_uint(x[i].y) == EM_MARCH_NONE))
                x[i] = em_mail_peek_pair(at(i));
    }
}

/* The first n of N quads of neighbours, which begin at `at`. */
template <int N>
__device__ __forceinline__ void em_mail_receive_quads(const float *from, const int (&at)[N], int n, float4 (&x)[N])
{
    for (int looks = 0;; looks++) {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n)
                asm volatile("ld.relaxed.gpu.global.v4.b32 {%0, %1, %2, %3}, [%4];"
                             : "=f"(x[i].x), "=f"(x[i].y), "=f"(x[i].z), "=f"(x[i].w)
                             : "l"(from + at[i])
                             : "memory");
        const float *late = NULL;
#pragma unroll
        for (int i = 0; i < N; i++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (i < n && __float_as_uint((&x[i].x)[k]) == EM_MARCH_NONE)
                    late = from + at[i] + k;
        if (!__any_sync(~0u, late != NULL))
            return;
        if (looks > EM_LOOKS)
            em_mail_await(late);
    }
}

/* A launch's mail: its boxes, where blocks of a head meet, the number of job 0. */
struct em_march_post {
    float *mail;
    uint64_t *partials;
    uint32_t first;

    __device__ __forceinline__ uint32_t number(int j) const
    {
        return first + (uint32_t)j;
    }
};

#endif
