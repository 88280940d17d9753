/*
 * The kernel family of the matrix product. Portable C fills the struct; each instruction set overwrites what it does
 * better. Block sizes are data of the level.
 */
#ifndef EM_DEVICE_CPU_GEMM_KERNELS_H
#define EM_DEVICE_CPU_GEMM_KERNELS_H

#include <stdbool.h>

#include "device/cpu/gemm.h"
#include "device/cpu/gemm_packed.h"

/* What an unpacked B is made of; the halves first. */
enum { EM__B_BF16, EM__B_F16, EM__HALF_KINDS, EM__B_F32 = EM__HALF_KINDS, EM__B_KINDS, EM__B_PACKED = EM__B_KINDS };

#define EM__THIN_COLUMNS 16

/* A few rows of A against columns of B that lie as rows of their own (a Linear weight), over all k: the products are
 * read once, straight from memory. */
typedef struct em__gemm_thin {
    const char *b; /* column j at b + j * stride, k elements */
    int64_t stride;
    int columns;    /* 1..EM__THIN_COLUMNS */
    const float *a; /* of bf12_thin laid out as [k][rows] */
    int64_t lda;
    int rows; /* 1..em__gemm_kernels.thin_rows, or packed_rows */
    int64_t k;
    float *c; /* [rows][EM__THIN_COLUMNS], all of it written */
} em__gemm_thin;

/* One tile: rows x EM__GEMM_PANEL elements of C, over any k; the chains of EM__GEMM_CHUNK begin with its own k. */
typedef struct em__gemm_tile {
    const float *a;
    int64_t lda;
    const float *b; /* element (k, j) at b[k * ldb + j], all EM__GEMM_PANEL columns readable */
    int64_t ldb;
    float *c;
    int64_t ldc;
    int64_t k;
    int rows;              /* 1..em__gemm_kernels.tile_rows */
    int columns;           /* 1..EM__GEMM_PANEL are stored */
    bool first;            /* C is overwritten; otherwise the chunk sums are added to it */
    const float *bias;     /* of this tile, or NULL: given with the end of k only, as is the residual */
    const float *residual; /* or NULL */
    int64_t ldr;
    const char *prefetch;  /* what the following tiles will read: two cache lines from here in each step of k, */
    int64_t prefetch_step; /* which then moves on by so many bytes */
} em__gemm_tile;

struct em__gemm_kernels {
    em__cpu_level level;
    int tile_rows; /* of the tallest tile */

    /* Products by bf16 thirds on matrix units; NULL where there are none. The rest of the family still is there. */
    const struct em__gemm_split_kernels *split;

    /* c = (first ? 0 : c) + a b, then + bias, then + residual */
    void (*tile)(const em__gemm_tile *tile);

    /* x += y */
    void (*add)(float *x, const float *y, int64_t n);

    /* One panel of B from `columns` contiguous rows of length k, `stride` apart (a Linear weight), ... `past` asks to
     * write past the caches, where that is faster. */
    void (*pack_rows)(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past);

    /* ... and from k pieces of `columns` contiguous elements, `stride` apart. */
    void (*pack_columns)(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past);

    /* By what B is made of. */
    int thin_rows; /* 0: there are none */
    void (*thin[EM__B_KINDS])(const em__gemm_thin *thin);

    /* pack_rows of bf16 and of f16. */
    void (*widen_rows[EM__HALF_KINDS])(float *dst, const uint16_t *src, int64_t stride, int columns, int64_t k);

    /* Blocks of gemm_packed.h. Turned ones are contiguous, but unpack's as it is told. Pack sets all of *head but the
     * side, and lists the first odd elements [EM__BF12_MOST_ODD]; unpack leaves these to em__bf12_mend. Widen fills 16
     * columns of a panel. */
    void (*bf12_turn)(uint16_t *dst, const uint16_t *src, int64_t row, int columns);
    void (*bf12_pack)(uint8_t *block, const uint16_t *turned, em__bf12_head *head, uint32_t *odd);
    void (*bf12_unpack)(uint16_t *dst, int64_t step, const uint8_t *block, const em__bf12_head *head);
    void (*bf12_widen)(float *dst, const uint16_t *turned);

    /* thin of the group's columns: of *thin, b, stride, columns and lda are not looked at. Lay turns rows into what it
     * reads; k is a multiple of EM__BF12_DEPTH, and up to 64 bytes behind the last element are written. */
    int packed_rows; /* 0: there are none of these */
    int packed_most; /* of A's rows: with more it is faster to widen the weight for all of them */
    void (*bf12_thin)(const em__gemm_thin *thin, const em__bf12 *w, int64_t group);
    void (*bf12_lay)(float *dst, const float *a, int64_t lda, int rows, int64_t k);
};

/* em__gemm_f32 inside a loop of the pool, whose scratch holds em__gemm_scratch_bytes() at least: runs inline. */
void em__gemm_f32_inline(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args);

/* `columns` columns of B, wherever they are. */
typedef struct em__gemm_columns {
    const float *data; /* element (k, j) at data[k * stride_k + j * stride_n] */
    int64_t stride_n, stride_k;
    int columns;
    int64_t k;
} em__gemm_columns;

/* One panel of plain f32, [k][EM__GEMM_PANEL]. */
void em__gemm_pack_panel(const em__gemm_kernels *kernels, const em__gemm_columns *from, float *dst, bool past);

/* One panel of a half B, of its k from `from` on. */
void em__gemm_widen_panel(const em__gemm_kernels *kernels, const em__gemm_half *half, int64_t column, int columns,
                          int64_t from, int64_t k, float *dst);

/* Whether the kernels read such a B in place, and the product with it: em__gemm_f32's bits. args->b is not looked at;
 * column j of B begins `row` elements behind column j - 1, at `b`; of kind EM__B_PACKED, b is an em__bf12. The pool may
 * be NULL. */
bool em__gemm_is_thin(const em__gemm_kernels *kernels, const em__gemm_args *args);
void em__gemm_thin_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args, int kind,
                       const void *b, int64_t row);

/* Calls part `index` of `parts` of a block of memory, `rows` that are `stride` bytes apart, into the second cache. */
void em__gemm_fetch(const char *at, int64_t stride, int64_t rows, int64_t bytes, int64_t index, int64_t parts);

/* Levels' own parts. */
void em__gemm_half_portable(em__gemm_kernels *kernels);
void em__bf12_portable(em__gemm_kernels *kernels);
void em__gemm_thin_avx2(em__gemm_kernels *kernels);
void em__gemm_thin_avx512(em__gemm_kernels *kernels);
void em__gemm_kernels_avx2(em__gemm_kernels *kernels);
void em__gemm_kernels_avx512(em__gemm_kernels *kernels);
void em__gemm_kernels_amx(em__gemm_kernels *kernels);

#endif
