/*
 * Weights of bf16 in 12 bits an element, without loss: what few rows of A cost is the reading of the weight.
 *
 * A bf16 is a low byte (the exponent's last bit and the mantissa), kept, and a high byte (the sign and the upper seven
 * bits of the exponent), of which a block has few: a code of 4 bits, the sign and one of 8 exponents. They are the 8
 * that end at the block's largest; if the block has zeros or subnormals the first of the 8 stands for those instead.
 * Elements that these do not cover ("odd" ones) stand in a list at the side; a block with many stands there as it is.
 *
 * A block is 16 columns x 128 k of B, turned: 64 vectors of 16 lanes, vector i has elements 2 i and 2 i + 1 of each
 * column side by side. Four vectors make 192 bytes: 64 of codes, then 64 of low bytes for each two vectors, in the
 * order in which unpacking bytes inside 16-byte lanes restores them. Columns beyond the last repeat the first of their
 * group.
 *
 * In memory: em__bf12, a head for each block, the blocks (a group of 16 columns after the other, k ascending), the side
 * in pieces of 64 bytes. The form does not depend on the level, and all of it is read back bit for bit.
 */
#ifndef EM_DEVICE_CPU_GEMM_PACKED_H
#define EM_DEVICE_CPU_GEMM_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/cpu/gemm.h"

#define EM__BF12_COLUMNS 16
#define EM__BF12_DEPTH EM__GEMM_CHUNK
#define EM__BF12_UNIT 192 /* bytes of four vectors */
#define EM__BF12_UNITS 16
#define EM__BF12_BYTES (EM__BF12_UNIT * EM__BF12_UNITS)       /* of a block, */
#define EM__BF12_ELEMENTS (EM__BF12_COLUMNS * EM__BF12_DEPTH) /* which was twice as many bytes */
#define EM__BF12_VECTORS (EM__BF12_ELEMENTS / 32)
#define EM__BF12_STEP 512 /* elements of 16 vectors that follow each other */
#define EM__BF12_MOST_ODD 64
#define EM__BF12_RAW 0xffff /* in place of a count of odd elements */

typedef struct em__bf12_head {
    uint32_t side; /* piece at which the odd elements begin: position << 16 | bits; or the raw block */
    uint16_t odd;
    uint8_t last, first; /* high bytes without sign: codes 1..7 are last - 6..last, code 0 is `first` */
} em__bf12_head;

typedef struct em__bf12 {
    int64_t n, k, chunks;        /* chunks of k */
    int64_t heads, blocks, side; /* bytes from here */
    int64_t pieces;              /* of the side that are used */
    int64_t reserved;
} em__bf12;

static inline const em__bf12_head *em__bf12_head_at(const em__bf12 *w, int64_t index)
{
    return (const em__bf12_head *)(const void *)((const char *)w + w->heads) + index;
}

static inline const uint8_t *em__bf12_block_at(const em__bf12 *w, int64_t index)
{
    return (const uint8_t *)w + w->blocks + index * EM__BF12_BYTES;
}

static inline const void *em__bf12_side_at(const em__bf12 *w, const em__bf12_head *head)
{
    return (const char *)w + w->side + (int64_t)head->side * 64;
}

/* The high byte that each code stands for. */
static inline void em__bf12_table(const em__bf12_head *head, uint8_t table[16])
{
    for (int i = 0; i < 8; i++) {
        const uint8_t high = i ? (uint8_t)(head->last - 7 + i) : head->first;
        table[i] = high;
        table[i + 8] = high | 0x80;
    }
}

/* Puts the odd elements into a block that was unpacked without them. */
static inline void em__bf12_mend(uint16_t *dst, int64_t step, const em__bf12 *w, const em__bf12_head *head)
{
    const uint32_t *odd = em__bf12_side_at(w, head);
    for (int i = 0; i < head->odd; i++) {
        const uint32_t at = odd[i] >> 16;
        dst[at / EM__BF12_STEP * step + at % EM__BF12_STEP] = (uint16_t)odd[i];
    }
}

/* Bytes of a weight of n columns, 0 when k is not a multiple of 128, or the size of no memory. */
size_t em__bf12_bytes(int64_t n, int64_t k);

/* Packs columns of length k, `row` elements apart; false when the side is too small for all that is odd: then the
 * memory holds nothing. `pool` may be NULL. `to` is 64-byte aligned. */
bool em__bf12_pack(const em__gemm_kernels *kernels, em__pool *pool, void *to, const uint16_t *src, int64_t n, int64_t k,
                   int64_t row);

/* Block `index` (group * chunks + chunk) as it was, 16 vectors a `step` of elements apart. */
void em__bf12_unpack(const em__gemm_kernels *kernels, const em__bf12 *w, int64_t index, uint16_t *dst, int64_t step);

/* The f32 panel of 32 columns from `column` on, k from `from` on: multiples of 32, 128 and 128. */
void em__bf12_widen_panel(const em__gemm_kernels *kernels, const em__bf12 *w, int64_t column, int columns, int64_t from,
                          int64_t k, float *dst);

/* em__gemm_fetch of what such panels are made of. */
void em__bf12_fetch(const em__bf12 *w, int64_t column, int64_t columns, int64_t from, int64_t k, int64_t index,
                    int64_t parts);

#endif
