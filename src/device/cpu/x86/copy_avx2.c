/*
 * The transpose of 4-byte elements in squares of 8 x 8, held in eight registers: pairs are interleaved three times, by
 * 4, 8 and 16 bytes. Two squares side by side fill a cache line of the output.
 */
#include <immintrin.h>

#include "device/cpu/copy.h"

static inline void transpose_8x8(float *out, int64_t out_stride, const float *in, int64_t in_stride)
{
    __m256 x[8], y[8];
    for (int i = 0; i < 8; i++)
        x[i] = _mm256_loadu_ps(in + i * in_stride);
    for (int i = 0; i < 8; i += 2) {
        y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; j++) {
            x[i + 2 * j] = _mm256_shuffle_ps(y[i + j], y[i + j + 2], 0x44);
            x[i + 2 * j + 1] = _mm256_shuffle_ps(y[i + j], y[i + j + 2], 0xee);
        }
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(x[i], x[i + 4], 0x20));
        _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
    }
}

static void transpose_edge(float *out, int64_t out_stride, const float *in, int64_t in_stride, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            out[(int64_t)r * out_stride + (int64_t)c] = in[(int64_t)c * in_stride + (int64_t)r];
}

static void transpose_4(void *out, int64_t out_stride, const void *in, int64_t in_stride, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r += 16) {
        for (size_t c = 0; c < cols; c += 16) {
            float *y = (float *)out + (int64_t)r * out_stride + (int64_t)c;
            const float *x = (const float *)in + (int64_t)c * in_stride + (int64_t)r;
            if (rows - r < 16 || cols - c < 16) {
                transpose_edge(y, out_stride, x, in_stride, rows - r < 16 ? rows - r : 16,
                               cols - c < 16 ? cols - c : 16);
                continue;
            }
            transpose_8x8(y, out_stride, x, in_stride);
            transpose_8x8(y + 8, out_stride, x + 8 * in_stride, in_stride);
            transpose_8x8(y + 8 * out_stride, out_stride, x + 8, in_stride);
            transpose_8x8(y + 8 * out_stride + 8, out_stride, x + 8 * in_stride + 8, in_stride);
        }
    }
}

void em__copy_fill_avx2(em__copy *k)
{
    k->transpose[2] = transpose_4;
}
