/* Rows of a quantized weight as an ordinary matrix. */
#ifndef EM_DEVICE_CUDA_DEQUANTIZE_H
#define EM_DEVICE_CUDA_DEQUANTIZE_H

#include "device/cuda/cuda.h"
#include "ops/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em__codes {
    em__quant how;
    em_dtype scale_dtype; /* of scales and biases in affine */
    int64_t k;            /* elements of a row */
    const uint32_t *codes;
    const void *scales, *biases; /* NULL: there are none */
} em__codes;

/* Codes, scales and biases are operands `first` and the next ones, row-major. */
em__codes em__codes_of(const em__call *call, int first);

/* `rows` rows from row `first` on, to row-major memory of dtype f32, f16 or bf16. `apart`: product and sum are rounded
 * one after the other, as DEQUANTIZE does; otherwise once. */
em_status em__cuda_dequantize(em__cuda *cuda, const em__codes *codes, int64_t first, int64_t rows, em_dtype dtype,
                              bool apart, void *to);

#ifdef __cplusplus
}
#endif
#endif
