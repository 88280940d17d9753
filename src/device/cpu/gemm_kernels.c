/* Portable kernels of the matrix product, and the cascade that replaces them by what the machine has. */
#include "device/cpu/gemm_kernels.h"

#include <pthread.h>
#include <string.h>

#include "device/cpu/multiply_add.h"

#define TILE_ROWS 4

static void row_portable(const em__gemm_tile *t, int row)
{
    float sum[EM__GEMM_PANEL], total[EM__GEMM_PANEL];
    const float *a = t->a + row * t->lda;
    float *c = t->c + row * t->ldc;
    int64_t from = 0;
    do {
        const int64_t end = t->k - from > EM__GEMM_CHUNK ? from + EM__GEMM_CHUNK : t->k;
        memset(sum, 0, sizeof sum);
        for (int64_t k = from; k < end; k++)
            for (int j = 0; j < EM__GEMM_PANEL; j++)
                sum[j] = em__multiply_add(a[k], t->b[k * t->ldb + j], sum[j]);
        for (int j = 0; j < t->columns; j++)
            total[j] = from > 0 ? total[j] + sum[j] : t->first ? sum[j] : c[j] + sum[j];
        from = end;
    } while (from < t->k);
    for (int j = 0; j < t->columns; j++) {
        float x = t->bias ? total[j] + t->bias[j] : total[j];
        c[j] = t->residual ? x + t->residual[row * t->ldr + j] : x;
    }
}

static void tile_portable(const em__gemm_tile *tile)
{
    for (int row = 0; row < tile->rows; row++)
        row_portable(tile, row);
}

static void add_portable(float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void pack_rows_portable(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past)
{
    (void)past;
    for (int64_t i = 0; i < k; i++)
        for (int j = 0; j < EM__GEMM_PANEL; j++)
            dst[i * EM__GEMM_PANEL + j] = j < columns ? src[j * stride + i] : 0;
}

static void pack_columns_portable(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past)
{
    (void)past;
    for (int64_t i = 0; i < k; i++) {
        memcpy(dst + i * EM__GEMM_PANEL, src + i * stride, (size_t)columns * sizeof *dst);
        memset(dst + i * EM__GEMM_PANEL + columns, 0, (size_t)(EM__GEMM_PANEL - columns) * sizeof *dst);
    }
}

static em__gemm_kernels families[EM__CPU_LEVEL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        em__gemm_kernels *family = &families[level];
        *family = (em__gemm_kernels){
            .level = EM__CPU_PORTABLE,
            .tile_rows = TILE_ROWS,
            .tile = tile_portable,
            .add = add_portable,
            .pack_rows = pack_rows_portable,
            .pack_columns = pack_columns_portable,
        };
        em__gemm_half_portable(family);
        em__bf12_portable(family);
#if defined(__x86_64__)
        em__cpu_level best = em__cpu_get()->hardware;
        best = best < (em__cpu_level)level ? best : (em__cpu_level)level;
        if (best >= EM__CPU_AVX2)
            em__gemm_kernels_avx2(family);
        if (best >= EM__CPU_AVX512)
            em__gemm_kernels_avx512(family);
        if (best >= EM__CPU_AMX)
            em__gemm_kernels_amx(family);
#endif
    }
}

const em__gemm_kernels *em__gemm_kernels_get(em__cpu_level level)
{
    pthread_once(&once, fill);
    return &families[level];
}

em__cpu_level em__gemm_kernels_level(const em__gemm_kernels *kernels)
{
    return kernels->level;
}
