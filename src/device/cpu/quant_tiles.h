/*
 * The products of quant_planes.h on matrix units that multiply signed bytes, for more than a few rows of x. A group's
 * whole sums are the same whole numbers, and what is made of them in f32 is the same too: so are the bits.
 *
 * The codes less their middle are bytes (e2m1: twice the element). A step is up to 64 elements of k: groups of 128 are
 * two steps. x is cut into blocks of EM__TILES_ROWS rows, and lies as [block][step][plane][row][element of the step];
 * its scales and sums as [block][group][row]. Codes are laid out for a column block, 16 rows of w, and some groups of k
 * at a time, as [step][4 elements][column][4]. In both, 16 elements of k go in the order 0 2 4 6, 8 10 12 14, 1 3 5 7,
 * 9 11 13 15, as nibbles come apart.
 */
#ifndef EM_DEVICE_CPU_QUANT_TILES_H
#define EM_DEVICE_CPU_QUANT_TILES_H

#include "device/cpu/quant_planes.h"

#define EM__TILES_ROWS 16
#define EM__TILES_STEP 64 /* elements at most */

/* A column block as laid out: whole groups of it. */
typedef struct em__tiles_columns {
    int8_t *codes;
    const float *scales, *biases; /* [groups][16]; without biases the codes are e2m1 */
} em__tiles_columns;

/* A block of rows against a column block, over some groups. */
typedef struct em__tiles_product {
    const em__tiles_columns *w;
    em__planes_x x; /* of the first of the groups */
    int64_t groups;
    int group;
    const float *from; /* what the products are added to, [rows][16] as c is; NULL: zeros */
    float *c;          /* rows ldc apart */
    int64_t ldc;
} em__tiles_product;

struct em__tiles_kernels {
    /* Around the products of a thread. */
    void (*begin)(int group);
    void (*end)(void);
    void (*multiply)(const em__tiles_product *product);

    /* Groups of 16 rows of codes as they lie; of half a packed panel, groups `stride` bytes apart. */
    void (*lay)(int8_t *to, const uint8_t *const *rows, int64_t groups, int group, bool e2m1);
    void (*lay_packed)(int8_t *to, const uint8_t *packed, int64_t stride, int64_t groups, int group);

    /* Fewer rows by packed panels, for the driver of quant_planes.h: a block of the tile's rows alone. */
    void (*panels)(const em__planes_panels *panels);
};

/* Whether the product is made here, and what it needs; see em__quant_needs. */
bool em__quant_tiles_takes(const em__quant_product *product);
bool em__quant_tiles_needs(const em__quant_product *product, size_t *memory, size_t *scratch);
void em__quant_tiles_run(const em__quant_product *product);

/* The kernels with AMX. */
const em__tiles_kernels *em__quant_tiles_amx(void);

#endif
