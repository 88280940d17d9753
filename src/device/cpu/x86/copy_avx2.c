/*
 * The transpose of elements of 4 bytes in squares of 8 x 8, of 8 bytes in squares of 4 x 4, held in registers: pairs
 * are interleaved, by 4, 8 and 16 bytes.
 */
#include <immintrin.h>
#include <string.h>

#include "device/cpu/copy.h"
#include "device/cpu/elementwise.h"

#define TILE 64            /* 16 KB of 4-byte elements: half of the smallest L1 */
#define NEAR (TILE * TILE) /* elements that both sides may span to need no tile */
#define BLOCK 32           /* rows and columns of 8-byte elements whose cache lines are used whole */

static inline __attribute__((always_inline)) void transpose_8x8(float *out, int64_t out_stride, const float *in,
                                                                int64_t in_stride)
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

/* What lies together: squares straight to their places. */
static void transpose_near(float *out, int64_t out_stride, const float *in, int64_t in_stride, size_t rows, size_t cols)
{
    size_t whole_rows = rows & ~(size_t)7, whole_cols = cols & ~(size_t)7;
    for (size_t c = 0; c < whole_cols; c += 8)
        for (size_t r = 0; r < whole_rows; r += 8)
            transpose_8x8(out + (int64_t)r * out_stride + (int64_t)c, out_stride,
                          in + (int64_t)c * in_stride + (int64_t)r, in_stride);
    transpose_edge(out + whole_cols, out_stride, in + (int64_t)whole_cols * in_stride, in_stride, rows,
                   cols - whole_cols);
    transpose_edge(out + (int64_t)whole_rows * out_stride, out_stride, in + whole_rows, in_stride, rows - whole_rows,
                   whole_cols);
}

static void transpose_4(void *out, int64_t out_stride, const void *in, int64_t in_stride, size_t rows, size_t cols,
                        bool stream)
{
    bool near =
        out_stride >= 0 && in_stride >= 0 && (size_t)out_stride * rows <= NEAR && (size_t)in_stride * cols <= NEAR;
    bool thin = rows < 8 || cols < 8; /* few lines on one side, and no square */
    if ((near || thin) && !stream) {
        transpose_near(out, out_stride, in, in_stride, rows, cols);
        return;
    }
    for (size_t r = 0; r < rows; r += TILE)
        for (size_t c = 0; c < cols; c += TILE)
            transpose_tile((float *)out + (int64_t)r * out_stride + (int64_t)c, out_stride,
                           (const float *)in + (int64_t)c * in_stride + (int64_t)r, in_stride,
                           rows - r < TILE ? rows - r : TILE, cols - c < TILE ? cols - c : TILE, stream);
    if (stream)
        em__stream_end();
}

typedef double eight __attribute__((aligned(4))); /* complex elements are aligned to their halves */

static inline __attribute__((always_inline)) void transpose_4x4(eight *out, int64_t out_stride, const eight *in,
                                                                int64_t in_stride)
{
    __m256d x[4], y[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm256_loadu_pd((const double *)(in + i * in_stride));
    for (int i = 0; i < 4; i += 2) {
        y[i] = _mm256_unpacklo_pd(x[i], x[i + 1]);
        y[i + 1] = _mm256_unpackhi_pd(x[i], x[i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        _mm256_storeu_pd((double *)(out + i * out_stride), _mm256_permute2f128_pd(y[i], y[i + 2], 0x20));
        _mm256_storeu_pd((double *)(out + (i + 2) * out_stride), _mm256_permute2f128_pd(y[i], y[i + 2], 0x31));
    }
}

static void edge_8(eight *out, int64_t out_stride, const eight *in, int64_t in_stride, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            out[(int64_t)r * out_stride + (int64_t)c] = in[(int64_t)c * in_stride + (int64_t)r];
}

static void block_8(eight *out, int64_t out_stride, const eight *in, int64_t in_stride, size_t rows, size_t cols)
{
    size_t whole_rows = rows & ~(size_t)3, whole_cols = cols & ~(size_t)3;
    for (size_t r = 0; r < whole_rows; r += 4)
        for (size_t c = 0; c < whole_cols; c += 4)
            transpose_4x4(out + (int64_t)r * out_stride + (int64_t)c, out_stride,
                          in + (int64_t)c * in_stride + (int64_t)r, in_stride);
    edge_8(out + whole_cols, out_stride, in + (int64_t)whole_cols * in_stride, in_stride, rows, cols - whole_cols);
    edge_8(out + (int64_t)whole_rows * out_stride, out_stride, in + whole_rows, in_stride, rows - whole_rows,
           whole_cols);
}

static void transpose_8(void *out, int64_t out_stride, const void *in, int64_t in_stride, size_t rows, size_t cols,
                        bool stream)
{
    (void)stream;
    for (size_t r = 0; r < rows; r += BLOCK)
        for (size_t c = 0; c < cols; c += BLOCK)
            block_8((eight *)out + (int64_t)r * out_stride + (int64_t)c, out_stride,
                    (const eight *)in + (int64_t)c * in_stride + (int64_t)r, in_stride,
                    rows - r < BLOCK ? rows - r : BLOCK, cols - c < BLOCK ? cols - c : BLOCK);
}

void em__copy_fill_avx2(em__copy *k)
{
    k->transpose[2] = transpose_4;
    k->transpose[3] = transpose_8;
}
