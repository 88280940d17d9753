/*
 * f32 products on matrix units that multiply bf16: x = h + m + l, three bf16 whose sum is x exactly, and
 * a b = ah bl + ah bm + am bm + am bh + al bh + ah bh; what is left out is 2^-22 of |a b| at most, and of either sign:
 * the parts of a are rounded, while those of b have their digits left off, for speed. Sums are f32, in chunks of
 * EM__SPLIT_CHUNK steps that are added in order: the units round six times a step, and without chunks the error at
 * k = 1536 would be 1.5 times that of the f32 tiles, with them it is smaller.
 *
 * A is split once for all panels that it meets. B is packed as f32, which takes two thirds of the bytes: a panel is cut
 * into thirds where it is needed, in the worker's scratch, while the one before it is multiplied.
 *
 * This holds while no part falls under or over what bf16 and the units' flushing of subnormals allow. So a panel of B
 * is cut only if all is finite, at most 2^30, and every column that is not zero reaches 2^-40; otherwise it is
 * multiplied in f32. A row of A is taken if it is finite, at most 2^96, and zero or reaching 2^-60; the others
 * are multiplied in f32. Both are decided row by row and panel by panel: a row's bits still depend on nothing but the
 * row and B.
 *
 * A B of bf16 is its own high part: three of the six products remain, am bh + al bh + ah bh, with the bits of all six.
 * Its panels are laid out in the worker's scratch as they are met, [steps][left, right 16 columns], and are judged like
 * packed ones.
 *
 * Packed panel: 64 bytes of header, then f32 [k][EM__GEMM_PANEL], k filled up with zeros to whole steps of 32. Cut: per
 * step the 12 half-tiles [h, m, l][left, right 16 columns] of [16 pairs of k][16 columns][2] bf16. Split A: per 16 rows
 * and step, [h, m, l][16][32].
 */
#ifndef EM_DEVICE_CPU_GEMM_SPLIT_H
#define EM_DEVICE_CPU_GEMM_SPLIT_H

#include "core/whole.h"
#include "device/cpu/gemm_kernels.h"

#define EM__SPLIT_DEPTH 32                         /* k of a step */
#define EM__SPLIT_CHUNK 12                         /* steps */
#define EM__SPLIT_TILE 512                         /* elements of a tile */
#define EM__SPLIT_A_STEP (3 * EM__SPLIT_TILE)      /* elements of a step of 16 rows of A */
#define EM__SPLIT_B_STEP (6 * EM__SPLIT_TILE)      /* elements of a step of a panel of B */
#define EM__SPLIT_HALF_STEP (2 * EM__SPLIT_TILE)   /* the same of bf16 */
#define EM__SPLIT_GAP 16                           /* floats of header between two panels */
#define EM__SPLIT_STEP_PAIRS (EM__SPLIT_DEPTH / 2) /* of rows of B */
#define EM__SPLIT_ROWS 32                          /* rows of A that meet a panel at a time */

/* What multiply needs: up to 32 rows of split A against a cut panel. */
typedef struct em__split_block {
    const uint16_t *a[2]; /* 16 rows each; the second is NULL when there are no more */
    const uint16_t *b;
    int64_t steps;
    float *sum; /* [32][EM__GEMM_PANEL], 64-byte aligned */
    bool add;   /* to what sum is; otherwise it is overwritten */
    /* By multiply: step i of the panel lies at b + (i & ring) steps. Meanwhile pairs of rows from `next` on, `cut_each`
     * in each step, from cut_from up to cut_end, are cut to the steps from `cut` on, pair 0 to step lead & ring; those
     * from cut_gap on lie behind a panel's header. Where ring is -1 (the panel's steps lie one behind the other), what
     * is `behind` bytes behind them is called into L2; in a ring whole steps are cut, all of them: cut_from is 0,
     * cut_each 16, and the processor sees by itself what is read next. */
    int64_t ring, lead;
    const float *next;
    uint16_t *cut;
    int64_t cut_from, cut_each, cut_gap, cut_end, behind;
    /* By multiply_half: what is read ahead into L2, and its bytes in each step, a multiple of 64 */
    const char *prefetch;
    int64_t prefetch_step;
} em__split_block;

typedef struct em__gemm_split_kernels {
    /* Around the products of a thread: the units' configuration. */
    void (*begin)(void);
    void (*end)(void);

    void (*multiply)(const em__split_block *block);
    void (*multiply_half)(const em__split_block *block); /* by a panel of bf16 */

    /* tile's C = sum, + bias, + residual; rows of sum are EM__GEMM_PANEL apart. Neither a nor b of tile are read. */
    void (*store)(const float *sum, const em__gemm_tile *tile);

    /* Up to 16 rows of A, and each row's largest magnitude so far, as bits. */
    void (*split_rows)(uint16_t *dst, const float *a, int64_t lda, int rows, int64_t k, uint32_t *largest);

    /* Steps of a panel. */
    void (*cut)(uint16_t *dst, const float *panel, int64_t steps);

    /* A whole panel of bf16 from `columns` contiguous rows of length k, `stride` apart, and each column's largest
     * magnitude as the bits of f32. Columns that are not there repeat the first one. */
    void (*lay_half)(uint16_t *dst, const uint16_t *src, int64_t stride, int columns, int64_t k, uint32_t *largest);
} em__gemm_split_kernels;

/* 2^-60, 2^96, 2^-40 and 2^30 as the bits of a magnitude. */
#define EM__SPLIT_A_LEAST 0x21800000u
#define EM__SPLIT_A_MOST 0x6f800000u
#define EM__SPLIT_B_LEAST 0x2b800000u
#define EM__SPLIT_B_MOST 0x4e800000u

static inline int64_t em__gemm_split_steps(int64_t k)
{
    return em__div_up(k, EM__SPLIT_DEPTH);
}

size_t em__gemm_split_panel_bytes(int64_t k);
size_t em__gemm_split_scratch_bytes(int64_t k);

/* em__gemm_half_run of bf16 with contiguous k, and the worker scratch that it needs. */
size_t em__gemm_split_half_scratch_bytes(int64_t k);
em_status em__gemm_split_half_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args);
void em__gemm_split_pack_panel(const em__gemm_kernels *kernels, const em__gemm_columns *from, void *dst);

/* Whether rows of A may be split, by their largest magnitudes. */
bool em__gemm_split_are_safe(const uint32_t *largest, int64_t rows);

/* A panel of a packed B, and whether it may be cut. */
const float *em__gemm_split_panel(const em__gemm_args *args, int64_t panel);
bool em__gemm_split_may_cut(const em__gemm_args *args, int64_t panel);

/* A panel of a bf16 B laid out for multiply_half; whether it may be met. */
bool em__gemm_split_lay_half(const em__gemm_kernels *kernels, const em__gemm_args *args, int64_t panel, uint16_t *dst);

/* The steps from `next` on, to be cut by multiply meanwhile: share `index` of `shares` of them. */
void em__gemm_split_cut_ahead(em__split_block *block, const float *next, int64_t steps, uint16_t *cut, int64_t behind,
                              int64_t index, int64_t shares);

em_status em__gemm_split_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args);
void em__gemm_split_inline(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args);

#endif
