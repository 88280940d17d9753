/*
 * Products with quantized weights on the cpu, and their coding: kernels a level, and the drivers over the pool.
 *
 * Codes are met 16 at a time (a step: 2 * bits bytes). A step becomes 16 weights in f32, one a lane. In 4-bit kinds
 * lane l holds element (l % 2) * 8 + l / 2, because two words broadcast over the lanes then need one shift; in all
 * others lanes are in order. x is laid out alike beforehand.
 *
 * The bits of y[i, j] are a function of row i of x and row j of w alone. The depth is cut into chunks of
 * EM__QUANT_CHUNK; in a chunk each of 16 lanes is one chain of fused multiply-adds from +0 over ascending steps; lanes
 * fold l with l + 8, then (0 + 2) + (1 + 3) in each four, then the two fours; chunks are added in ascending order. A
 * weight is one fused multiply-add of code, scale and bias, or the exact product of element and scale. Threads, the
 * other rows, and AVX2 or AVX-512 change nothing.
 *
 * Four-bit codes with w [n, k] are met in whole numbers instead where the processor has the instructions; see
 * quant_planes.h, and on matrix units, with the same bits, quant_tiles.h.
 *
 * Many rows of x that may be rounded meet w [n, k] as bf16: a weight of f32 as above is rounded once for all of them
 * (quant_round.c), and the product is that of gemm_round.h.
 *
 * With w [k, n] (groups along n) the order is that of the dense product (gemm.h): chains of EM__GEMM_CHUNK in ascending
 * k, a lane for each column.
 */
#ifndef EM_DEVICE_CPU_QUANT_H
#define EM_DEVICE_CPU_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>

#include "core/cpu.h"
#include "core/pool.h"
#include "device/cpu/cast.h"
#include "ops/quant.h"

#define EM__QUANT_STEP 16
#define EM__QUANT_CHUNK 1024
#define EM__QUANT_ROWS 4 /* rows of w that a kernel takes side by side */

/* How an element is coded; its bits in em__quant_bits. */
typedef enum em__quant_kind {
    EM__QUANT_U2,
    EM__QUANT_U3,
    EM__QUANT_U4,
    EM__QUANT_U5,
    EM__QUANT_U6,
    EM__QUANT_U8,
    EM__QUANT_E2M1,
    EM__QUANT_E4M3,
    EM__QUANT_KINDS
} em__quant_kind;

em__quant_kind em__quant_kind_of(const em__quant *q);

/* A chunk of up to EM__QUANT_ROWS rows of w against m rows of x. */
typedef struct em__quant_dot {
    const uint8_t *codes[EM__QUANT_ROWS]; /* of the chunk's first step; a row that is not there repeats another */
    const float *scales[EM__QUANT_ROWS];  /* of the chunk's first group */
    const float *biases[EM__QUANT_ROWS];  /* NULL where the kind has none */
    int64_t groups, group_steps;          /* of the chunk; steps of a group */
    const uint8_t *prefetch; /* what comes later: four groups' bytes are fetched from here for each group */
    const float *x;          /* laid out in lanes, rows ldx apart */
    int64_t ldx;
    float *sum; /* [m], rows ldsum apart, EM__QUANT_ROWS each */
    int64_t ldsum;
    bool first; /* sums are overwritten, otherwise added to */
} em__quant_dot;

/* Weights of a chunk as f32 in lanes, EM__QUANT_ROWS rows of them, against up to tile_m rows of x. */
typedef struct em__quant_tile {
    const float *w, *x; /* rows ldw and ldx apart */
    int64_t ldw, ldx, steps;
    int m;
    float *c; /* [m][EM__QUANT_ROWS], rows ldc apart */
    int64_t ldc;
    bool first; /* c is overwritten, otherwise added to */
} em__quant_tile;

/* Whole groups of EM__QUANT_ROWS rows of w [k, n] times as many elements of m rows of x, added to sums. */
typedef struct em__quant_axpy {
    const uint8_t *codes[EM__QUANT_ROWS];
    const float *scales[EM__QUANT_ROWS], *biases[EM__QUANT_ROWS]; /* biases NULL where the kind has none */
    int64_t groups, group_steps;
    int64_t ahead;  /* bytes from the codes to what is fetched meanwhile */
    const float *x; /* [m], rows ldx apart */
    int64_t ldx;
    float *sum; /* [m] in lanes, rows ldsum apart */
    int64_t ldsum;
    bool first; /* sums begin with +0 */
} em__quant_axpy;

typedef struct em__planes_kernels em__planes_kernels;
typedef struct em__tiles_kernels em__tiles_kernels;

typedef struct em__quant_kernels {
    em__cpu_level level;
    const em__planes_kernels *planes; /* quant_planes.h; NULL where the level has none */
    const em__tiles_kernels *tiles;   /* quant_tiles.h; the same, and only where there are planes */
    int direct_m;                     /* up to so many rows of x meet the codes directly */
    int tile_m;
    void (*dot[EM__QUANT_KINDS][4])(const em__quant_dot *dot); /* [kind][m - 1] */
    void (*tile)(const em__quant_tile *tile);
    void (*axpy[EM__QUANT_KINDS][4])(const em__quant_axpy *axpy); /* [kind][m - 1] */

    /* `groups` whole groups of a row as f32 in lanes, and the same in order. */
    void (*decode[EM__QUANT_KINDS])(float *to, const uint8_t *codes, const float *scales, const float *biases,
                                    int64_t groups, int64_t group_steps);
    void (*expand[EM__QUANT_KINDS])(float *to, const uint8_t *codes, const float *scales, const float *biases,
                                    int64_t groups, int64_t group_steps);

    /* Affine codes of 4 bits as half a panel of gemm_round.h: `depth` elements of 16 rows, whole groups of 32, 64 or
     * 128; scales and biases are [groups][16]. NULL where the level has none. */
    void (*panel_bf16)(uint16_t *to, const uint8_t *const *rows, const float *scales, const float *biases,
                       int64_t depth, int64_t group);

    /* The same of half a packed panel (quant_planes.h), groups `stride` bytes apart. */
    void (*packed_bf16)(uint16_t *to, const uint8_t *packed, int64_t stride, const float *scales, const float *biases,
                        int64_t depth, int64_t group);

    /* Scales of one byte. */
    void (*scale_e8m0)(float *to, const uint8_t *from, int64_t count);
    void (*scale_e4m3)(float *to, const uint8_t *from, int64_t count);

    /* Elements in order to lanes of the 4-bit kinds, and back; count is a multiple of 16. */
    void (*to_lanes)(float *to, const float *from, int64_t count);
    void (*from_lanes)(float *to, const float *from, int64_t count);
    void (*add)(float *x, const float *y, int64_t count); /* x += y; count as above */

    /* Codes and scales of whole groups of f32; `dtype` is what w was, to which a scale of microscaling is rounded
     * before it is coded. Groups of 16 to 128. */
    void (*encode_affine)(uint8_t *to, float *scales, float *biases, const float *w, const em__quant *q,
                          int64_t groups);
    void (*encode_micro)(uint8_t *to, uint8_t *scales, const float *w, const em__quant *q, em_dtype dtype,
                         int64_t groups);

    /* x times its group's scale; plus its group's bias. */
    void (*scale_groups)(float *x, const float *scales, int64_t groups, int64_t group_steps);
    void (*shift_groups)(float *x, const float *biases, int64_t groups, int64_t group_steps);
} em__quant_kernels;

/* The kernels of a level, or of the best one this machine has below it. Any thread. */
const em__quant_kernels *em__quant_kernels_get(em__cpu_level level);

/* A product, or a batch's one, with its operands where they lie. */
typedef struct em__quant_product {
    const em__quant_kernels *kernels;
    const em__cast *cast;
    em__pool *pool;
    em__quant scheme;
    int64_t m, n, k;
    bool transpose;   /* w is [n, k]; otherwise [k, n] */
    const void *x;    /* [m, k] */
    em_dtype x_dtype; /* f32, f16 or bf16, as the others */
    const void *codes, *scales, *biases;
    const void *packed; /* what em__quant_pack made of them, or NULL */
    em_dtype scale_dtype;
    void *y; /* [m, n] */
    em_dtype y_dtype;
    bool may_round; /* x to bf16, and what codes stand for: em_compile_options.half_products */
    void *memory;   /* as em__quant_needs says, 64-byte aligned */
} em__quant_product;

/* Whether the kernels take such a scheme, and what the product needs: bytes of memory, and of each worker's scratch. */
bool em__quant_needs(const em__quant_product *product, size_t *memory, size_t *scratch);

/* Runs it; the scratch must have been reserved. Any order of threads gives the same bits. */
void em__quant_run(const em__quant_product *product);

/* A layout of w that is read faster, with the same bits: 0 bytes where there is none. `to` is 64-byte aligned. Of the
 * product, what w is, kernels and pool are looked at. */
size_t em__quant_packed_bytes(const em__quant_product *product);
void em__quant_pack(const em__quant_product *product, void *to);

/* The part of it for w [k, n]. */
void em__quant_columns_needs(const em__quant_product *product, size_t *memory, size_t *scratch);
void em__quant_columns_run(const em__quant_product *product);

/* The part of it for many rows that may be rounded; whether the product is made there. */
bool em__quant_round_takes(const em__quant_product *product);
bool em__quant_round_needs(const em__quant_product *product, size_t *memory, size_t *scratch);
void em__quant_round_run(const em__quant_product *product);

/* An array and its coded form, both row-major: a sequence of groups. */
typedef struct em__quant_coding {
    const em__quant_kernels *kernels;
    const em__cast *cast;
    em__pool *pool;
    em__quant scheme;
    int64_t groups;
    void *w;
    em_dtype dtype; /* of w: f32, f16 or bf16 */
    void *codes, *scales, *biases;
    em_dtype scale_dtype;
} em__quant_coding;

/* Codes w, or fills it with what the codes stand for. em__quant_coding_scratch bytes of worker scratch must have been
 * reserved, and groups be multiples of EM__QUANT_STEP up to EM__QUANT_CHUNK (to code: those of em_quantize). */
size_t em__quant_coding_scratch(void);
void em__quant_encode(const em__quant_coding *coding);
void em__quant_decode_all(const em__quant_coding *coding);

/* `count` scales or biases from element `from` as f32: where they lie if they are, otherwise in `room`. */
const float *em__quant_scales(const em__quant_product *product, const void *scales, int64_t from, int64_t count,
                              float *room);

/* x as f32: where it lies if it is (and is not wanted in lanes), otherwise in `room` [m, k]. */
const float *em__quant_x(const em__quant_product *product, bool lanes, float *room);

/* Writes `count` finished elements of a row. */
void em__quant_store(const em__quant_product *product, int64_t row, int64_t column, const float *from, int64_t count);

/* Levels' own parts. */
void em__quant_fill_portable(em__quant_kernels *kernels);
void em__quant_fill_avx2(em__quant_kernels *kernels);
void em__quant_fill_avx512(em__quant_kernels *kernels);
void em__quant_panel_bf16(uint16_t *to, const uint8_t *const *rows, const float *scales, const float *biases,
                          int64_t depth, int64_t group);
void em__quant_packed_bf16(uint16_t *to, const uint8_t *packed, int64_t stride, const float *scales,
                           const float *biases, int64_t depth, int64_t group);

static inline int em__quant_bits(em__quant_kind kind)
{
    static const uint8_t bits[EM__QUANT_KINDS] = {2, 3, 4, 5, 6, 8, 4, 8};
    return bits[kind];
}

static inline bool em__quant_has_biases(em__quant_kind kind)
{
    return kind != EM__QUANT_E2M1 && kind != EM__QUANT_E4M3;
}

/* Whether x must be brought into another order. */
static inline bool em__quant_reorders(em__quant_kind kind)
{
    return kind == EM__QUANT_U4 || kind == EM__QUANT_E2M1;
}

#endif
