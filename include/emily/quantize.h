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

#include <stdbool.h>
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

/* What became of a tensor of a checkpoint. */
typedef struct em_quantize_report {
    const char *name; /* "model.layers.0.mlp.up_proj.weight" */
    em_dtype dtype;   /* as it was stored */
    em_dims dims;
    bool quantized;       /* otherwise it was copied */
    double rms_error;     /* of what the codes stand for, over the rms of the tensor; NaN if it holds NaN or infinity */
    double max_error;     /* the largest of one element, as it is; NaN or infinity likewise */
    size_t before, after; /* bytes */
    size_t index, tensors; /* which of how many */
} em_quantize_report;

typedef struct em_quantize_options {
    size_t struct_size;
    const em_quantization *how; /* NULL: affine, groups of 64, 4 bits */
    size_t shard_bytes;         /* of a file of weights at most, unless one weight is larger; 0: 5 * 10^9 */
    em_device *device;          /* NULL: the default */

    /* NULL, or called after each tensor, and with the bytes that are done while one lasts. False of the second stops
     * with EM_ERROR_CANCELLED. */
    void (*report)(const em_quantize_report *tensor, void *user);
    bool (*progress)(size_t done, size_t total, void *user);
    void *user;
    bool allow_nan; /* weights, or scales of them, that are NaN or infinite are taken, otherwise an error. No element of
                     * their group is a number then; nvfp4 has numbers only: EM_ERROR_UNSUPPORTED */
} em_quantize_options;

typedef struct em_quantize_totals {
    size_t struct_size;        /* sizeof(em_quantize_totals), set by the caller */
    size_t tensors, quantized; /* how many there are, and were quantized */
    size_t before, after;      /* bytes of all tensors */
    size_t files;              /* of weights */
    double bits_per_weight;    /* of all tensors, scales and biases included */
    double rms_error;          /* of the quantized ones together, over their rms */
} em_quantize_totals;

/* Writes to the directory `out` what the checkpoint directory `in` becomes when each weight that is a matrix of f32,
 * f16 or bf16 and has rows of whole groups is quantized: linear maps and embeddings, as mlx-lm chooses. X.weight
 * becomes codes, beside X.scales and X.biases; config.json says how ("quantization"); tokenizer and other small files
 * are copied. An lm_head that config.json ties to the embedding is left out. Some rows are in memory at a time, never
 * a whole model.
 *
 * `out` must not exist, or be empty, and not lie in `in`. It appears whole, under its name, at the end; a failure
 * leaves nothing. Meanwhile it is `out`.unfinished, which a run that was killed may leave; the next one for that name
 * takes it over, but where the file system has no locks (flock) somebody must remove it. `options` and `totals` may be
 * NULL. EM_ERROR_INVALID_ARGUMENT: `how` or `out`; EM_ERROR_UNSUPPORTED: the checkpoint is quantized already;
 * EM_ERROR_FORMAT: config.json and the tensors are not of one model, a weight is NaN or infinite, or so large that a
 * scale is (allow_nan), and the errors of em_safetensors_open; EM_ERROR_BUSY: another run is writing `out`;
 * EM_ERROR_NOT_FOUND: also the folder that `out` shall lie in; EM_ERROR_IO; EM_ERROR_CANCELLED. Any thread. */
EM_API em_status em_checkpoint_quantize(const char *in, const char *out, const em_quantize_options *options,
                                        em_quantize_totals *totals);

#ifdef __cplusplus
}
#endif
#endif
