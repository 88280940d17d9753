/* Row operations of attention in plain C, and the cascade that replaces them by what the machine has. */
#include <pthread.h>

#include "device/cpu/vecmath_portable.h"

static inline float lanes_max(const vf *x)
{
    float top = x[0];
    for (int i = 1; i < 16; i++)
        top = top > x[i] ? top : x[i];
    return top;
}

static inline float lanes_sum(const vf *x)
{
    float lanes[16];
    memcpy(lanes, x, sizeof lanes);
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

static inline void lanes_sum4(float *sums, const vf *x)
{
    for (int i = 0; i < 4; i++)
        sums[i] = lanes_sum(x + 16 * i);
}

static inline vf load_s8(const int8_t *p)
{
    return *p;
}

static inline vf load_s8_n(const int8_t *p, int n)
{
    return n ? *p : 0;
}

static inline void store_s8_n(int8_t *p, vf x, int n)
{
    if (n)
        *p = (int8_t)x;
}

#include "device/cpu/attention_tmpl.c"

void em__attention_kernels_portable(em__attention_kernels *kernels)
{
    fill_kernels(kernels);
}

static em__attention_kernels families[EM__CPU_LEVEL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        families[level].gemm = em__gemm_kernels_get(level);
        em__attention_kernels_portable(&families[level]);
#if defined(__x86_64__)
        em__cpu_level best = em__gemm_kernels_level(families[level].gemm);
        if (best >= EM__CPU_AVX2)
            em__attention_kernels_avx2(&families[level]);
        if (best >= EM__CPU_AVX512)
            em__attention_kernels_avx512(&families[level]);
#endif
    }
}

const em__attention_kernels *em__attention_kernels_get(em__cpu_level level)
{
    pthread_once(&once, fill);
    return &families[level];
}
