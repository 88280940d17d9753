/* The table of offset kernels. */
#include "device/cpu/offsets.h"

#include <pthread.h>
#include <string.h>

static em__offsets best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__offsets_init(em__offsets *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__offsets_fill_portable(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__offsets_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
    if (level >= EM__CPU_AVX512) {
        em__offsets_fill_avx512(kernels);
        kernels->level = EM__CPU_AVX512;
    }
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__offsets_init(&best, em__cpu_get()->level);
}

const em__offsets *em__offsets_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}
