/*
 * The transpose of 4-byte elements in squares of 8 x 8, held in eight registers: pairs are interleaved three times, by
 * 4, 8 and 16 bytes.
 */
#include <immintrin.h>
#include <string.h>

#include "device/cpu/copy.h"
#include "device/cpu/elementwise.h"

#define TILE 64 /* 16 KB: half of the smallest L1 */

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

/* One tile of at most TILE x TILE into a buffer in L1, then line by line to its place: with a stride that is a power of
 * two, the tile's rows fall on few sets of the cache, so each line is read and written whole, at once. */
static void transpose_tile(float *out, int64_t out_stride, const float *in, int64_t in_stride, size_t rows, size_t cols,
                           bool stream)
{
    _Alignas(64) float tile[TILE * TILE];
    size_t whole_rows = rows & ~(size_t)7, whole_cols = cols & ~(size_t)7;
    for (size_t c = 0; c < whole_cols; c += 8)
        for (size_t r = 0; r < whole_rows; r += 8)
            transpose_8x8(tile + r * TILE + c, TILE, in + (int64_t)c * in_stride + (int64_t)r, in_stride);
    transpose_edge(tile + whole_cols, TILE, in + (int64_t)whole_cols * in_stride, in_stride, rows, cols - whole_cols);
    transpose_edge(tile + whole_rows * TILE, TILE, in + whole_rows, in_stride, rows - whole_rows, whole_cols);
    for (size_t r = 0; r < rows; r++) {
        if (stream)
            em__stream_copy(out + (int64_t)r * out_stride, tile + r * TILE, cols * sizeof *tile);
        else
            memcpy(out + (int64_t)r * out_stride, tile + r * TILE, cols * sizeof *tile);
    }
}

static void transpose_4(void *out, int64_t out_stride, const void *in, int64_t in_stride, size_t rows, size_t cols,
                        bool stream)
{
    for (size_t r = 0; r < rows; r += TILE)
        for (size_t c = 0; c < cols; c += TILE)
            transpose_tile((float *)out + (int64_t)r * out_stride + (int64_t)c, out_stride,
                           (const float *)in + (int64_t)c * in_stride + (int64_t)r, in_stride,
                           rows - r < TILE ? rows - r : TILE, cols - c < TILE ? cols - c : TILE, stream);
    if (stream)
        em__stream_end();
}

void em__copy_fill_avx2(em__copy *k)
{
    k->transpose[2] = transpose_4;
}
