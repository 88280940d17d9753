/* Which small products a level has: the portable one has none. */
#include "device/cpu/gemm_small.h"

#include <pthread.h>
#include <stddef.h>

static em__gemm_small_fn f32[EM__CPU_LEVEL_COUNT], f64[EM__CPU_LEVEL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
#if defined(__x86_64__)
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        em__cpu_level best = em__cpu_get()->hardware;
        best = best < (em__cpu_level)level ? best : (em__cpu_level)level;
        if (best >= EM__CPU_AVX2)
            em__gemm_small_avx2(&f32[level], &f64[level]);
        if (best >= EM__CPU_AVX512)
            em__gemm_small_avx512(&f32[level], &f64[level]);
    }
#endif
}

em__gemm_small_fn em__gemm_small_f32(em__cpu_level level)
{
    pthread_once(&once, fill);
    return f32[level];
}

em__gemm_small_fn em__gemm_small_f64(em__cpu_level level)
{
    pthread_once(&once, fill);
    return f64[level];
}
