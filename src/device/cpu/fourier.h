/*
 * Fourier transforms. Everything is built from one kernel: a Stockham transform of LANES columns side by side, a column
 * a lane, in vectors of real and of imaginary parts. A short transform is a column of many; a long one, n = n1 n2, is
 * n2 columns of n1, a multiplication by roots of unity, and n1 columns of n2. A length with a prime factor above
 * EM__FFT_PRIME is a convolution of a smooth length (Bluestein). Roots of unity are computed in double and rounded
 * once.
 *
 * Plans hold the factors and the roots of one length; they are kept, within bounds, for the next call.
 */
#ifndef EM_DEVICE_CPU_FOURIER_H
#define EM_DEVICE_CPU_FOURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

#include "core/cpu.h"
#include "core/pool.h"

#define EM__FFT_PRIME 61   /* the greatest prime that a column is divided by */
#define EM__FFT_STAGES 40  /* at most */
#define EM__FFT_LANES 16   /* at most */
#define EM__FFT_DIVIDED 64 /* lengths below it are never divided in two */

/* A transform of length n in a column: factor by factor, first the largest stride in the operand. */
typedef struct em__fft_column {
    int64_t n;
    int stages;
    int radix[EM__FFT_STAGES];
    const void *twiddles[EM__FFT_STAGES]; /* of n / (product of factors so far) steps, radix - 1 complex each */
    const void *roots[EM__FFT_STAGES];    /* cos, sin of 2 pi j k / radix for odd radices: [radix / 2][radix / 2] */
} em__fft_column;

/* How a length is done. */
typedef struct em__fft_shape {
    int64_t n, n1, n2; /* n2 1: a column of n1 */
    int64_t smooth;    /* not 0: by a convolution of this length */
} em__fft_shape;

/* What a plan is for: a complex line; a real line of even length; many columns, never divided; many real ones. */
typedef enum em__fft_kind { EM__FFT_LINE, EM__FFT_REAL, EM__FFT_COLUMN, EM__FFT_REAL_COLUMN } em__fft_kind;

typedef struct em__fft_plan em__fft_plan;
struct em__fft_plan {
    em__fft_shape shape;
    em__fft_kind kind;
    bool wide;
    em__fft_column first, second;
    const void *twiddles;     /* [n2 / lanes][n1][2][lanes]: between the columns */
    const void *chirp;        /* complex [n] */
    const void *kernel;       /* complex [smooth]: the transform of the other chirp, divided by smooth */
    const void *half;         /* real: complex [n / 2 + 1], exp(-2 pi i k / n) */
    const em__fft_plan *part; /* of length smooth; of length n / 2 of an even real one */
    void *block;
    size_t bytes;
    int refs;
    bool kept;
    uint64_t used;
};

typedef struct em__fft_kernels {
    int lanes;
    /* Column transforms in place: x and y [n][2][lanes]; returns the one that holds the result. */
    void *(*column)(const em__fft_column *column, void *x, void *y);
    /* x [n][2][lanes] of `count` <= lanes neighbouring complex numbers in each of n rows, `stride` apart; lanes beyond
     * are 0. `swap`: real and imaginary parts change places. And back, times `scale`. */
    void (*load)(void *x, const void *in, int64_t stride, int64_t n, int count, bool swap);
    void (*store)(void *out, int64_t stride, const void *x, int64_t n, int count, bool swap, double scale);
    /* The same of `lines` <= lanes lines of n neighbouring numbers, `pitch` apart. */
    void (*load_lines)(void *x, const void *in, int64_t pitch, int64_t n, int lines, bool swap);
    void (*store_lines)(void *out, int64_t pitch, const void *x, int64_t n, int lines, bool swap, double scale);
    /* Rows of x [n1][2][lanes] times twiddles, turned: column j of them becomes a row of lanes, to[block][j] for blocks
     * of lanes rows, `block` values apart. */
    void (*turn)(void *to, int64_t block, const void *x, const void *twiddles, int64_t n1, int count);
    /* Rows of x [n][2][lanes] times w [n]; `swap` and `swap_out` as below. */
    void (*multiply_rows)(void *x, const void *w, int64_t n, bool swap, bool swap_out);
    /* out [h + 1][2][lanes]: real lines' transforms from those of half the length, z [h][2][lanes]; w [h + 1]. */
    void (*split_rows)(void *out, const void *z, const void *w, int64_t h);
    /* out[i] = a[i] b[i] scale, complex; `swap` first changes a's parts, `swap_out` then the result's. */
    void (*multiply)(void *out, const void *a, const void *b, int64_t n, bool swap, bool swap_out, double scale);
} em__fft_kernels;

/* For f32 and f64 (wide), of em__cpu_get()->level; any level that the machine runs. Any thread. */
const em__fft_kernels *em__fft_kernels_get(bool wide);
void em__fft_kernels_init(em__fft_kernels kernels[2], em__cpu_level level);
void em__fft_fill_portable(em__fft_kernels kernels[2]);
void em__fft_fill_avx2(em__fft_kernels kernels[2]);
void em__fft_fill_avx512(em__fft_kernels kernels[2]);

typedef struct em__fft_place {
    em__pool *pool;
    void *workspace;
    char *scratch;
} em__fft_place;

/* The transform of in [n] (complex) to out [n], by this plan, not a real one. `inverse` is not divided by n but times
 * `scale`. On the pool, or (NULL) alone; in and out may not overlap. scratch: em__fft_scratch bytes; em__fft_workspace
 * bytes of each worker's own, or at `workspace` when alone. */
void em__fft_run(const em__fft_plan *plan, const void *in, void *out, bool inverse, double scale,
                 const em__fft_place *place);
size_t em__fft_scratch(const em__fft_plan *plan);
size_t em__fft_workspace(const em__fft_plan *plan);

int64_t em__fft_greatest_prime(int64_t n); /* 1 of 1 */

/* data [n], complex, becomes its transform; takes the memory it needs by itself. */
em_status em__fft_alone(const em__fft_plan *plan, void *data);

/* The plan, with a reference that em__fft_plan_release takes back; *plan NULL on failure. Any thread. */
em_status em__fft_plan_get(int64_t n, bool wide, em__fft_kind kind, const em__fft_plan **plan);
void em__fft_plan_release(const em__fft_plan *plan);

#endif
