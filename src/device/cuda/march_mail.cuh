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

/* Two neighbours at a time: the first n of N pairs, `step` letters apart; n is the same for all lanes of the warp. */
template <int N>
__device__ __forceinline__ void em_receive_pairs(const uint64_t *from, int step, int n, uint32_t number, float2 (&x)[N])
{
    for (int looks = 0;; looks++) {
        uint64_t letter[N][2];
        const uint64_t *missing = NULL;
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n)
                asm volatile("ld.relaxed.gpu.global.v2.b64 {%0, %1}, [%2];"
                             : "=l"(letter[i][0]), "=l"(letter[i][1])
                             : "l"(from + i * step)
                             : "memory");
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < n) {
                if ((uint32_t)(letter[i][1] >> 32) != number)
                    missing = from + i * step + 1;
                if ((uint32_t)(letter[i][0] >> 32) != number)
                    missing = from + i * step;
                x[i] = make_float2(__uint_as_float((uint32_t)letter[i][0]), __uint_as_float((uint32_t)letter[i][1]));
            }
        if (!__any_sync(~0u, missing != NULL))
            return;
        if (looks > EM_LOOKS)
            em_await(missing, number, missing != NULL);
    }
}

/* Where mail of job j lies, and its number. */
struct em_march_post {
    em__march_desk *desk;
    uint32_t first; /* number of job 0 */

    __device__ __forceinline__ uint64_t *box(int j) const
    {
        return desk->boxes[j % EM_MARCH_BOXES];
    }
    __device__ __forceinline__ uint32_t number(int j) const
    {
        return first + (uint32_t)j;
    }
};

#endif
