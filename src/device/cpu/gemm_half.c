/* Half weights of the matrix product in portable C: panels of f32 made of them. */
#include <string.h>

#include "core/float16.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

static float widen(uint16_t half, int kind)
{
    return kind == EM__B_BF16 ? em__bf16_to_f32(half) : em__f16_to_f32(half);
}

static void widen_strided(float *dst, const uint16_t *src, int64_t row, int64_t depth, int columns, int64_t k, int kind)
{
    for (int64_t i = 0; i < k; i++)
        for (int j = 0; j < EM__GEMM_PANEL; j++)
            dst[i * EM__GEMM_PANEL + j] = j < columns ? widen(src[j * row + i * depth], kind) : 0;
}

static void widen_bf16(float *dst, const uint16_t *src, int64_t stride, int columns, int64_t k)
{
    widen_strided(dst, src, stride, 1, columns, k, EM__B_BF16);
}

static void widen_f16(float *dst, const uint16_t *src, int64_t stride, int columns, int64_t k)
{
    widen_strided(dst, src, stride, 1, columns, k, EM__B_F16);
}

void em__gemm_widen_panel(const em__gemm_kernels *kernels, const em__gemm_half *half, int64_t column, int columns,
                          int64_t from, int64_t k, float *dst)
{
    if (half->packed) {
        em__bf12_widen_panel(kernels, (const void *)half->data, column, columns, from, k, dst);
        return;
    }
    const uint16_t *src = half->data + column * half->row + from * half->depth;
    const int kind = half->dtype == EM_BF16 ? EM__B_BF16 : EM__B_F16;
    if (half->depth == 1)
        kernels->widen_rows[kind](dst, src, half->row, columns, k);
    else
        widen_strided(dst, src, half->row, half->depth, columns, k, kind);
}

void em__gemm_fetch(const char *at, int64_t stride, int64_t rows, int64_t bytes, int64_t index, int64_t parts)
{
    const int64_t lines = em__div_up(bytes, 64), end = em__gemm_part(rows * lines, parts, index + 1);
    int64_t i = em__gemm_part(rows * lines, parts, index);
    for (int64_t row = i / lines; i < end; row++)
        for (int64_t line = i - row * lines; line < lines && i < end; line++, i++)
            __builtin_prefetch(at + row * stride + line * 64, 0, 2);
}

void em__gemm_half_portable(em__gemm_kernels *kernels)
{
    kernels->widen_rows[EM__B_BF16] = widen_bf16;
    kernels->widen_rows[EM__B_F16] = widen_f16;
}
