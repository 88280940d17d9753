/*
 * What all that quantizes shares: the scheme (mode, group, bits), as ops have it in their attributes, and the shapes
 * that it gives.
 */
#ifndef EM_OPS_QUANT_H
#define EM_OPS_QUANT_H

#include "ops/op.h"

/* The first ints of QUANTIZE, DEQUANTIZE and QUANTIZED_MATMUL. */
typedef struct em__quant {
    em_quant_mode mode;
    int64_t group, bits;
} em__quant;

static inline em__quant em__quant_decode(const int64_t *ints)
{
    return (em__quant){(em_quant_mode)ints[0], ints[1], ints[2]};
}

enum { EM__QUANT_MODES = EM_QUANT_NVFP4 + 1 };

/* Takes the mode's group and bits where they are 0. */
void em__quant_fill(em__quant *q);

/* Whether the mode has such bits, and is written in such groups; affine is read in groups of any size. */
bool em__quant_bits_fit(const em__quant *q);
bool em__quant_group_fits(const em__quant *q);

/* Parts of QUANTIZE: codes, scales and, in affine, biases. See em__op_parts. */
int em__parts_quantize(const em__apply *apply, em__spec *parts);

#endif
