/*
 * Quantized weights: a few bits an element, and a scale for each group of neighbours in the last axis.
 *
 *     em_quantization how = {sizeof how, EM_QUANT_AFFINE, 64, 4};
 *     em_quantized w = em_quantize(s, weight, &how);                       // weight [n, k]
 *     em_array *y = em_quantized_matmul(s, x, &w, &how, true);             // x [.., k]: [.., n]
 *
 * A row of codes is a little-endian stream of bits in u32 words: element i has bits [i * bits, (i + 1) * bits), low
 * bits first, across words where it must. Codes are u32 [.., k * bits / 32], scales (and biases) [.., k / group].
 *
 *   mode    group          bits              element                   scales
 *   affine  16 32 64 128   2 3 4 5 6 8       code * scale + bias       dtype of the weight, biases too
 *   mxfp4   32             4                 e2m1 * 2^(scale - 127)    u8
 *   mxfp8   32             8                 e4m3 * 2^(scale - 127)    u8
 *   nvfp4   16             4                 e2m1 * e4m3(scale)        u8
 *
 * e2m1 is 0 .5 1 1.5 2 3 4 6 with the sign in bit 3; e4m3 has no NaN: 0x7f is 480. Layouts and rounding are those of
 * MLX. From any thread, as all ops (array.h); arrays that come back are the scope's.
 */
#ifndef EMILY_QUANTIZE_H
#define EMILY_QUANTIZE_H

#include <stddef.h>

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_quantization {
    size_t struct_size;
    em_quant_mode mode;
    int group; /* elements that share a scale; 0: the mode's (affine: 64) */
    int bits;  /* of a code; 0: the mode's (affine: 4) */
} em_quantization;

/* A quantized array: two or three ordinary ones. */
typedef struct em_quantized {
    em_array *codes, *scales;
    em_array *biases; /* of affine; otherwise NULL */
} em_quantized;

/* Quantizes w (f32, f16 or bf16, rank 1 or more) in groups of its last axis. All members NULL once the scope has an
 * error: EM_ERROR_INVALID_ARGUMENT for another mode, group, bits or dtype, or a last axis that is no multiple of the
 * group. NULL for `how`: affine, groups of 64, 4 bits.
 *
 * Affine: the larger of |min| and |max| becomes exact and zero stays zero; a constant group gives it back. NaN does not
 * count for the scale, and its code is 0. A group with an infinity has scale NaN in affine; in the other modes the
 * scale is the largest there is and the codes saturate. */
EM_API em_quantized em_quantize(em_scope *scope, em_array *w, const em_quantization *how);

/* The array that the codes stand for: affine in the dtype of the scales, product and sum rounded one after the other;
 * other modes in bf16, which holds their values exactly (cast it for another dtype). Affine groups of any size that
 * divides the row are read. */
EM_API em_array *em_dequantize(em_scope *scope, const em_quantized *w, const em_quantization *how);

/* x [.., k] times the array that w stands for. transpose: w is [n, k] and its rows are contracted with x; otherwise w
 * is [k, n]. Leading axes of w, if any, broadcast with those of x before its last two. x is f32, f16 or bf16. The
 * result is x's dtype; in affine promoted with that of the scales.
 *
 * Sums are f32, over weights that are not rounded to a half type. Where the processor multiplies bytes, the elements of
 * x are first rounded to 2^-22 of the largest of their group, and a row of x with an infinity gives NaN. A row's bits
 * depend neither on other rows nor on the number of threads. */
EM_API em_array *em_quantized_matmul(em_scope *scope, em_array *x, const em_quantized *w, const em_quantization *how,
                                     bool transpose);

#ifdef __cplusplus
}
#endif
#endif
