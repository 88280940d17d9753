/* Portable product tiles, and the cascade that replaces them by what the machine has. */
#include <pthread.h>

#define VECTOR 16
#define ROWS 4
#define FMA_F32(sum, a, b) ((sum) + (a) * (b))
#define FMA_F64(sum, a, b) ((sum) + (a) * (b))
/* The low halves are all that survives of a wrapped product; the high ones are shifted down. */
#define MADD(sum, a, b) ((sum) + ((a)&0xffff) * ((b)&0xffff) + ((a) >> 16) * ((b) >> 16))
#define FILL em__product_fill_portable
#include "device/cpu/product_level_tmpl.c"

static em__product_kernels families[EM__CPU_LEVEL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        em__product_fill_portable(&families[level]);
#if defined(__x86_64__)
        em__cpu_level best = em__cpu_get()->hardware;
        best = best < (em__cpu_level)level ? best : (em__cpu_level)level;
        if (best >= EM__CPU_AVX2)
            em__product_fill_avx2(&families[level]);
        if (best >= EM__CPU_AVX512)
            em__product_fill_avx512(&families[level]);
#endif
    }
}

const em__product_kernel *em__product_kernel_get(em__product_kind kind, em__cpu_level level)
{
    pthread_once(&once, fill);
    return &families[level].kind[kind];
}
