/* Portable convolution kernels, and the cascade that replaces them by what the machine has. */
#include <pthread.h>
#include <string.h>

#include "device/cpu/vecmath_portable.h"

#include "device/cpu/conv.h"
#include "device/cpu/copy.h"

static void pack(float *dst, const float *base, const int64_t *reach, int64_t k, const em__conv_run_of *runs,
                 int n_runs)
{
    const bool holes = n_runs == 0 || runs[n_runs - 1].column + runs[n_runs - 1].count < EM__GEMM_PANEL;
    for (int64_t i = 0; i < k; i++, dst += EM__GEMM_PANEL) {
        if (holes)
            memset(dst, 0, EM__GEMM_PANEL * sizeof *dst);
        for (int r = 0; r < n_runs; r++)
            memcpy(dst + runs[r].column, base + reach[i] + runs[r].offset, (size_t)runs[r].count * sizeof *dst);
    }
}

static void pad_row(float *dst, int64_t length, const float *src, int64_t first, int64_t end)
{
    memset(dst, 0, (size_t)first * sizeof *dst);
    memcpy(dst + first, src, (size_t)(end - first) * sizeof *dst);
    memset(dst + end, 0, (size_t)(length - end) * sizeof *dst);
}

static void every_second(float *dst, const float *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = src[2 * i];
}

static void turn_lines(float *to, int64_t stride, const float *from, int columns, int64_t n)
{
    em__copy_get()->transpose[2](to, stride, from, EM__GEMM_PANEL, (size_t)columns, (size_t)n, false);
}

#define HAVE_PACK
#define FILL em__conv_fill_portable
#include "device/cpu/conv_level_tmpl.c"

static em__conv_kernels families[EM__CPU_LEVEL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        em__conv_fill_portable(&families[level]);
#if defined(__x86_64__)
        em__cpu_level best = em__cpu_get()->hardware;
        best = best < (em__cpu_level)level ? best : (em__cpu_level)level;
        if (best >= EM__CPU_AVX2)
            em__conv_fill_avx2(&families[level]);
        if (best >= EM__CPU_AVX512)
            em__conv_fill_avx512(&families[level]);
#endif
    }
}

const em__conv_kernels *em__conv_kernels_get(em__cpu_level level)
{
    pthread_once(&once, fill);
    return &families[level];
}
