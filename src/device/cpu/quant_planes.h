/*
 * Products of f32 with 4-bit codes in whole numbers. x is cut into groups as w is; a group of x becomes whole numbers
 * of up to 24 bits times a power of two, and each of these three signed bytes: planes. Codes times planes are sums of
 * bytes, exact in s32, so neither their order nor the width of vectors shows in the result.
 *
 *     y = sum over groups g, ascending, of  (q . x)_g * (s_g * 2^e_g)  and then, in affine, (b_g + 8 s_g) * sum(x)_g
 *
 * where q is the code less its middle (e2m1: twice the element), each term one fused multiply-add in f32. A group's
 * numbers are rounded to 2^-22 of its largest power of two at worst (x_bits), which for groups of 64 is 4 times the
 * rounding of f32 and 1/16000 of that of bf16. A group of x with an infinity or NaN makes its row of y NaN.
 *
 * Order of elements: a block is EM__PLANES_BLOCK elements of k, EM__PLANES_WORDS words of codes. One or two rows of x
 * lie by themselves: of a block, for each plane from the high one, the elements of even index and then those of odd
 * index. More are cut into tiles of up to EM__PLANES_TILE: of a word, for each row and plane of it, the four elements
 * of even index and the four of odd index, so that a tile is read from end to end. Codes are met as they lie, a panel
 * of EM__PLANES_ROWS rows at a time; a tile turns them in registers.
 *
 * Affine codes that stay may be packed: into panels of EM__PLANES_PANEL rows, the last of them repeated where there are
 * fewer, and in a panel group by group: all rows' first word, all their second, ...; then their scales and biases, as
 * they were. So a product reads memory from end to end, and turns nothing. All rows of x are in tiles then. Bits are
 * the same.
 */
#ifndef EM_DEVICE_CPU_QUANT_PLANES_H
#define EM_DEVICE_CPU_QUANT_PLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/cpu/quant.h"

#define EM__PLANES_BLOCK 128
#define EM__PLANES_WORDS (EM__PLANES_BLOCK / 8)
#define EM__PLANES 3
#define EM__PLANES_X_BYTES (EM__PLANES * EM__PLANES_BLOCK)
#define EM__PLANES_ROWS 16
#define EM__PLANES_PANEL (2 * EM__PLANES_ROWS) /* rows of packed codes side by side */
#define EM__PLANES_DOT 2                       /* rows of x that lie by themselves */
#define EM__PLANES_TILE 8                      /* rows of x that a tile takes at most; at least 3 */
#define EM__PLANES_UNITS 4                     /* rows of x from which packed panels meet them on matrix units */
#define EM__PLANES_CELL (EM__PLANES * 8)       /* bytes of a row in a word of a tile */

/* How scales are stored. */
typedef enum em__planes_scale { EM__PLANES_F32, EM__PLANES_BF16, EM__PLANES_F16, EM__PLANES_E8M0 } em__planes_scale;

/* A row of x, or the first of several. */
typedef struct em__planes_x {
    int8_t *planes;
    /* Of each group: 2^e, of e2m1 half of it, NaN where the group is not finite; the sum of x; and less the sum of the
     * whole numbers times the codes' middle. */
    float *scale, *sum;
    int32_t *middle;
    int64_t ld, ld_bytes; /* from a row's groups and planes to the next row's */
    int64_t step;         /* between groups */
    int64_t word;         /* bytes between words of a tile; 0: the row lies by itself, whole blocks, zeros at the end */
    int64_t plane;        /* bytes between planes of a block of quant_tiles.h; 0: there are none */
} em__planes_x;

/* What of a scheme the kernels need. */
typedef struct em__planes_scheme {
    int group;  /* elements: 32, 64 or 128 */
    int x_bits; /* whole numbers of x are below 2^x_bits */
    int middle; /* of the codes */
    bool e2m1;
} em__planes_scheme;

/* EM__PLANES_ROWS rows of codes against m rows of x, all groups of them. */
typedef struct em__planes_dot {
    const uint8_t *codes;
    int64_t row[EM__PLANES_ROWS]; /* where the rows begin */
    /* As many bytes as the rows have are fetched from here meanwhile, unless it is NULL; of scales and biases
     * `ahead_step` a block. */
    const uint8_t *ahead, *ahead_scales[2];
    int64_t ahead_step;
    const float *scales, *biases; /* [groups][EM__PLANES_ROWS]; without biases the codes are e2m1 */
    em__planes_x x;
    int64_t groups;
    int group, m;
    float *c; /* [m][EM__PLANES_ROWS], rows ldc apart */
    int64_t ldc;
} em__planes_dot;

/* Packed panels, one behind the other, against a tile of m rows of x; and as many that lie elsewhere, or fewer, in
 * turns with them: memory gives two streams more than one. */
typedef struct em__planes_panels {
    const uint8_t *packed;
    em__planes_scale as;
    em__planes_x x;
    int64_t panels, groups, bytes; /* of a panel */
    int64_t both, apart;           /* the first `both` panels have another one `apart` bytes behind */
    int group, m;
    float *c;             /* [m][panels * EM__PLANES_PANEL], rows ldc apart */
    int64_t ldc, apart_c; /* the others' sums lie `apart_c` behind */
} em__planes_panels;

struct em__planes_kernels {
    /* One row of x, `groups` whole groups. */
    void (*split)(const em__planes_x *to, const float *x, int64_t groups, const em__planes_scheme *scheme);
    /* EM__PLANES_ROWS rows of scales or biases as columns of f32. */
    void (*columns)(float *to, const uint8_t *const *rows, int64_t count, em__planes_scale as);
    /* Up to EM__PLANES_DOT rows by themselves, and a tile of them. */
    void (*dot)(const em__planes_dot *dot);
    void (*tile)(const em__planes_dot *dot);
    void (*panels)(const em__planes_panels *panels);
};

em__planes_scale em__planes_scale_of(em_dtype dtype);
em__planes_scheme em__planes_scheme_of(const em__quant_product *product);

/* Whether the product is made here, and what it needs; see em__quant_needs. */
bool em__quant_planes_takes(const em__quant_product *product);
bool em__quant_planes_needs(const em__quant_product *product, size_t *memory, size_t *scratch);
void em__quant_planes_run(const em__quant_product *product);

/* Bytes of a group of a packed panel. */
static inline int64_t em__planes_group_bytes(const em__quant_product *product)
{
    return EM__PLANES_PANEL * (product->scheme.group / 2 + 2 * (int64_t)em_dtype_size(product->scale_dtype));
}

/* The kernels with AVX-512 VNNI. */
const em__planes_kernels *em__quant_planes_vnni(void);
void em__planes_panels_vnni(const em__planes_panels *panels);

/* Of these the one with AMX, for EM__PLANES_UNITS to EM__PLANES_TILE rows that lie as a block of quant_tiles.h. */
void em__planes_panels_amx(const em__planes_panels *panels);

#endif
