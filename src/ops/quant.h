/*
 * What the quantized ops share: the scheme in their attributes (mode, group, bits), and the shapes it gives.
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

/* Parts of QUANTIZE: codes, scales and, in affine, biases. See em__op_parts. */
int em__parts_quantize(const em__apply *apply, em__spec *parts);

#endif
