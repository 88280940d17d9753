/*
 * Products that round A to bf16: C[m,n] = activation(bf16(A)[m,k] B[k,n] + bias[n]) + residual[m,n] with B of bf16,
 * sums in f32. For callers that asked for it (em__call.half_products): where the processor multiplies pairs of bf16
 * (AVX512-BF16, AMX) there are twice as many multiply-adds in a cycle, or eight times.
 *
 * A is rounded to nearest, ties to even, once for all products that share it; B is read where it lies, packed
 * (gemm_packed.h) or not, and blocks of its panels are made in L2. The instructions take subnormals for zeros and
 * give zeros for them; an A beyond the largest bf16 becomes infinite.
 *
 * The bits of C[i,j] are a function of A's row i, B's column j, bias, activation and residual alone: k is cut into
 * blocks of EM__ROUND_DEPTH; each is one chain from +0 in ascending k, pair by pair; the blocks' sums are added in
 * ascending order; then bias, activation and residual round separately. AMX has its own order: a block's chain begins
 * with the sum of those before it, and goes by 16 pairs, whose first elements and second ones are summed apart.
 */
#ifndef EM_DEVICE_CPU_GEMM_ROUND_H
#define EM_DEVICE_CPU_GEMM_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/cpu/gemm.h"

#define EM__ROUND_ROWS 64    /* from which on rounding pays, as em_compile_options says */
#define EM__ROUND_DEPTH 512  /* k of a block: a tile of A of that depth stays in L1 while it meets a group of panels */
#define EM__ROUND_COLUMNS 16 /* of half a panel: what a vector of 16 pairs takes */

/* One tile: rows x EM__GEMM_PANEL elements of C, over one block of k. */
typedef struct em__round_tile {
    const uint16_t *a; /* pairs of k side by side, the last filled with a zero */
    int64_t lda;
    const uint16_t *b; /* two halves of a panel, `half` elements apart: [pairs][16 columns][2] */
    int64_t half;
    float *c;
    int64_t ldc;
    const float *next_c; /* of the tile that comes next, or NULL */
    int64_t pairs;
    int rows;              /* 1..em__round_kernels.tile_rows */
    int columns;           /* 1..EM__GEMM_PANEL are stored */
    bool first;            /* C is overwritten; otherwise the sums are added to it */
    const float *bias;     /* of this tile, or NULL: given with the end of k only, as is the residual */
    const float *residual; /* or NULL */
    int64_t ldr;
} em__round_tile;

typedef struct em__round_kernels {
    int tile_rows;
    int panels;          /* that a tile of A meets while it is in L1 or, where rows are many, A in L2 */
    int rate;            /* k of a row and a panel in a cycle, more or less */
    int64_t long_task;   /* of em__gemm_costs */
    void (*begin)(void); /* around the tiles of a thread, unless they are NULL */
    void (*end)(void);
    void (*tile)(const em__round_tile *tile);
    void (*round)(uint16_t *dst, const float *src, int64_t k); /* with the zero behind an odd k */
    /* Half a panel from up to 16 columns that are rows of their own, `row` apart; zeros where there are none. */
    void (*turn)(uint16_t *dst, const uint16_t *src, int64_t row, int columns, int64_t k);
    /* The same from k rows of that many columns, `row` apart. */
    void (*pair)(uint16_t *dst, const uint16_t *src, int64_t row, int columns, int64_t k);
} em__round_kernels;

/* Those of the level on this machine; NULL when it has none or has something better. Any thread. */
const em__round_kernels *em__round_kernels_get(em__cpu_level level);

/* A weight that is none of the halves of em__gemm_args. */
typedef struct em__round_weight {
    const void *w;
    size_t room; /* bytes that `make` may write to, 64-byte aligned */
    /* Half a panel, as `turn` lays it: columns [column, column + columns), up to 16, over `depth` of k from `from` on,
     * a multiple of EM__ROUND_DEPTH. */
    void (*make)(const void *w, uint16_t *dst, int64_t column, int columns, int64_t from, int64_t depth, void *room);
    /* em__gemm_fetch of what `columns` of them are made of. */
    void (*fetch)(const void *w, int64_t column, int64_t columns, int64_t from, int64_t depth, int64_t index,
                  int64_t parts);
} em__round_weight;

/* Elements from one row of a rounded A to the next, and bytes of m rows, a multiple of 64. */
int64_t em__round_stride(int64_t k);
size_t em__round_bytes(int64_t m, int64_t k);

/* Worker scratch that em__round_run wants; `weight` may be NULL. */
size_t em__round_scratch_bytes(const em__round_kernels *kernels, const em__round_weight *weight);

/* Rounds A of the arguments into `to`, 64-byte aligned. */
void em__round_rows(const em__round_kernels *kernels, em__pool *pool, const em__gemm_args *args, uint16_t *to);

/* The product of a rounded A with `weight` or, where that is NULL, with `half`, bf16 whose depth is 1, packed or not;
 * the arguments' a, lda and b are not looked at. Fails only with EM_ERROR_OUT_OF_MEMORY, when the scratch cannot be
 * reserved. */
em_status em__round_run(const em__round_kernels *kernels, em__pool *pool, const em__gemm_args *args,
                        const uint16_t *rounded, const em__round_weight *weight);

/* A thread's tiles lie between these. */
static inline void em__round_begin(const em__round_kernels *kernels)
{
    if (kernels && kernels->begin)
        kernels->begin();
}

static inline void em__round_end(const em__round_kernels *kernels)
{
    if (kernels && kernels->end)
        kernels->end();
}

/* Levels' own parts. */
const em__round_kernels *em__round_kernels_bf16(void);
const em__round_kernels *em__round_kernels_amx(void);
void em__round_bf16(uint16_t *dst, const float *src, int64_t k);
void em__round_turn_bf16(uint16_t *dst, const uint16_t *src, int64_t row, int columns, int64_t k);
void em__round_pair_bf16(uint16_t *dst, const uint16_t *src, int64_t row, int columns, int64_t k);

#endif
