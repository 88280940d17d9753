/*
 * The ops. Each takes a scope and arrays and returns an array that the scope owns, or NULL once the scope has an
 * error. Operands are borrowed. Shapes broadcast as in NumPy; mixed dtypes are promoted as in Nx: complex beats float
 * beats bf16 beats signed beats unsigned beats pred, of one kind the wider wins, signed with unsigned is the next
 * wider signed (u64: s64), f64 with c64 is c128, f8_e4m3fn with f8_e5m2 is f16. Statuses, in the scope:
 * EM_ERROR_INVALID_ARGUMENT for a wrong shape, axis or dtype, EM_ERROR_OUT_OF_MEMORY.
 *
 * Integers are exact and wrap, 64 bits too; no op takes them through a float but those that are said to give floats
 * (exp, div...: f32). f16, bf16 and f8 are computed in f32 and rounded once, to nearest even. What is too large for
 * f16, bf16 and f8_e5m2 becomes infinite; f8_e4m3fn, which has no infinity, makes NaN of it. Complex maths takes the
 * principal branch, as C and NumPy do.
 *
 * Generated from emily/ops.def:
 *   one operand     em_exp(s, a): result has a's shape and (but for logical_not, is_nan, is_inf, is_finite: pred)
 *                   dtype. abs, real, imag and phase of a complex give its parts' dtype; conjugate of a real is
 *                   complex; sign of a complex is z / |z|. round goes half away from zero, rint to even
 *   two operands    em_add(s, a, b): comparisons and logical ops give pred. quotient truncates, x / 0 is 0, the
 *                   lowest number / -1 wraps to itself; remainder takes the dividend's sign, of integers by 0 it is
 *                   0; integers to a negative power are 0 unless the base is 1 or -1; shifts by less than 0 or by all
 *                   the bits and more leave 0, or the sign where a signed number goes right; maximum keeps NaN;
 *                   swiglu is silu(a) b, geglu gelu(a) b
 *   reductions      em_sum(s, a, EM_AXES(-1), keep): the axes vanish, or become 1 with keep. sum and product of
 *                   integers under 32 bits are 32 bits wide. An empty sum is 0, an empty max the lowest value
 *   along an axis   em_softmax(s, a, axis); em_argmax gives s64 indices, the first of equals, NaN first of all; the
 *                   axis vanishes (em_argmax_with has more to choose)
 */
#ifndef EMILY_OPS_H
#define EMILY_OPS_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EM_SIG_UNARY(name) EM_API em_array *em_##name(em_scope *scope, em_array *a);
#define EM_SIG_BINARY(name) EM_API em_array *em_##name(em_scope *scope, em_array *a, em_array *b);
#define EM_SIG_REDUCE(name) EM_API em_array *em_##name(em_scope *scope, em_array *a, em_axes axes, bool keep);
#define EM_SIG_AXIS(name) EM_API em_array *em_##name(em_scope *scope, em_array *a, int axis);
#define EM_SIG_SPECIAL(name)
#define EM_SIG_INTERNAL(name)
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS) EM_SIG_##SIGNATURE(name)
#include <emily/ops.def>
#undef EM_OP
#undef EM_SIG_UNARY
#undef EM_SIG_BINARY
#undef EM_SIG_REDUCE
#undef EM_SIG_AXIS
#undef EM_SIG_SPECIAL
#undef EM_SIG_INTERNAL

/* where `condition` (pred, broadcast) is true x, elsewhere y; x and y are promoted and broadcast. */
EM_API em_array *em_select(em_scope *scope, em_array *condition, em_array *x, em_array *y);

/* Float to integer truncates and saturates, NaN is 0; integer to a narrower one keeps the low bits; to pred is x != 0;
 * to a float rounds once, to nearest even; complex to another kind leaves out the imaginary part. */
EM_API em_array *em_cast(em_scope *scope, em_array *a, em_dtype dtype);

/* The same bits seen as a dtype of the same width; to pred only from pred. */
EM_API em_array *em_bitcast(em_scope *scope, em_array *a, em_dtype dtype);

/* real + i imag, of broadcast real operands: c128 if one is f64, else c64. */
EM_API em_array *em_make_complex(em_scope *scope, em_array *real, em_array *imag);

/* max(low, min(high, a)). */
EM_API em_array *em_clip(em_scope *scope, em_array *a, em_array *low, em_array *high);

/* sum / count; integers become f32, and half types are summed in f32. The mean of nothing is NaN. */
EM_API em_array *em_mean(em_scope *scope, em_array *a, em_axes axes, bool keep);

/* The sum of |a - mean|^2 over count - ddof, and its root; two passes. Dtypes as em_mean, of complex operands the real
 * dtype. */
EM_API em_array *em_variance(em_scope *scope, em_array *a, em_axes axes, int ddof, bool keep);
EM_API em_array *em_standard_deviation(em_scope *scope, em_array *a, em_axes axes, int ddof, bool keep);

/* log(sum(exp(a))) without overflow, dtypes as em_mean (no complex). Of nothing it is -inf. */
EM_API em_array *em_logsumexp(em_scope *scope, em_array *a, em_axes axes, bool keep);

/* A pred scalar: whether everywhere a == b, or |a - b| <= atol + rtol |b| with b finite, or, with equal_nan, both are
 * NaN. Integers are compared exactly, their distance is taken in f64. */
EM_API em_array *em_all_close(em_scope *scope, em_array *a, em_array *b, double rtol, double atol, bool equal_nan);

typedef struct em_arg_options {
    size_t struct_size; /* of this and all options: 0 for the fields of 0.1.0, or sizeof(em_arg_options); see emily.h */
    int axis;
    bool flat; /* over all elements in row-major order; `axis` is not looked at */
    bool last; /* the last of equals; of NaNs still the first */
    bool keep; /* reduced axes become 1 instead of vanishing */
} em_arg_options;

/* em_argmax and em_argmin with choices; options NULL: flat, first, not kept. */
EM_API em_array *em_argmax_with(em_scope *scope, em_array *a, const em_arg_options *options);
EM_API em_array *em_argmin_with(em_scope *scope, em_array *a, const em_arg_options *options);

/* Same elements, same count, row-major order. One dimension may be -1: it is inferred (0 beside another 0). */
EM_API em_array *em_reshape(em_scope *scope, em_array *a, em_dims dims);

/* Axis i of the result is axis axes[i] of a; all axes must appear. EM_ALL_AXES reverses their order. */
EM_API em_array *em_transpose(em_scope *scope, em_array *a, em_axes axes);

EM_API em_array *em_broadcast_to(em_scope *scope, em_array *a, em_dims dims);

/* Elements start[i], start[i] + stride[i], ... below stop[i], per axis; 0 <= start <= stop <= dim, stride >= 1.
 * `stride` may be NULL (all 1). All three have a's rank. */
EM_API em_array *em_slice(em_scope *scope, em_array *a, const int64_t *start, const int64_t *stop,
                          const int64_t *stride);

/* The elements of the named axes in opposite order. */
EM_API em_array *em_reverse(em_scope *scope, em_array *a, em_axes axes);

/* Removes axes of size 1 (EM_ALL_AXES: all of those); inserts one before `axis` (-1: at the end). */
EM_API em_array *em_squeeze(em_scope *scope, em_array *a, em_axes axes);
EM_API em_array *em_expand_dims(em_scope *scope, em_array *a, int axis);

/* `count` >= 1 arrays of one dtype and equal rank that differ in `axis` only. */
EM_API em_array *em_concatenate(em_scope *scope, em_array *const *arrays, size_t count, int axis);

/* low[i] copies of `value` (a scalar of a's dtype) before axis i, high[i] after, interior[i] between neighbours.
 * Negative low and high crop. `interior` may be NULL (none). */
EM_API em_array *em_pad(em_scope *scope, em_array *a, em_array *value, const int64_t *low, const int64_t *high,
                        const int64_t *interior);

/* The index along `axis`, as `dtype`. */
EM_API em_array *em_iota(em_scope *scope, em_dtype dtype, em_dims dims, int axis);

/* a's slices along `axis` at `indices` (integers of any shape, which replaces the axis). An index out of range is
 * clamped into it. */
EM_API em_array *em_take(em_scope *scope, em_array *a, em_array *indices, int axis);

/* Contraction of pairs of axes, over paired batch axes. Result: batch axes, then a's free axes, then b's. f32 is true
 * f32; half types accumulate in f32; integers are exact. Without batch axes an f32 `a` meets an f16 or bf16 `b` as it
 * lies in memory: the result is that of b cast to f32, but no such copy is made. */
EM_API em_array *em_dot_general(em_scope *scope, em_array *a, em_axes contract_a, em_axes batch_a, em_array *b,
                                em_axes contract_b, em_axes batch_b);

/* Matrix product over the last two axes, leading axes broadcast; rank 1 as in NumPy. On a processor with AMX the last
 * bits of up to seven rows may be others than the same rows have among more. */
EM_API em_array *em_matmul(em_scope *scope, em_array *a, em_array *b);

/* Einstein summation as numpy.einsum writes it: "ij,jk->ik", with `count` operands, 1 to 8, promoted to one dtype. A
 * letter names an axis; "..." stands for the leading axes left over, which broadcast; a letter twice in one operand is
 * its diagonal; without "->" the result has the letters that appear once, sorted. Axes of size 1 broadcast. Errors name
 * the position in `subscripts`. */
EM_API em_array *em_einsum(em_scope *scope, const char *subscripts, em_array *const *operands, size_t count);

/* How em_conv slides. Lists have an entry for each of the n spatial axes. */
typedef struct em_conv_options {
    size_t struct_size;
    bool same;                         /* pads so that the result has ceil(size / stride) elements, the odd one high */
    const int64_t *strides;            /* >= 1; NULL: all 1 */
    const int64_t *pad_low, *pad_high; /* zeros around the (dilated) input, negative crops; NULL: none */
    const int64_t *input_dilation;     /* >= 1, 1 puts nothing between neighbours; NULL: all 1 */
    const int64_t *kernel_dilation;
    int64_t feature_groups, batch_groups; /* >= 1, one of them 1; 0: 1 */
    /* [n + 2]: which axis of the operand (or of the result) is batch, channels (of the kernel: outputs, inputs),
     * spatial...; NULL: in that order */
    const int *input_axes, *kernel_axes, *output_axes;
} em_conv_options;

/* Cross-correlation (a neural network's convolution) of input [N, C, spatial...] with kernel [O, C / feature_groups,
 * spatial...]: [N / batch_groups, O, spatial...], 1 to 6 spatial axes. Integers and pred become f32; f16 and bf16
 * accumulate in f32. feature_groups: output channels o * g / O see input group g only; batch_groups: those see batch
 * group g. `options` may be NULL. Three taps of f32 may go by Winograd's algorithm: its rounding errors are up to twice
 * those of a sum over the largest pixel that two neighbouring outputs see. */
EM_API em_array *em_conv(em_scope *scope, em_array *input, em_array *kernel, const em_conv_options *options);

/* x [.., k] times weight [n, k] transposed, plus bias [n] (NULL: none): [.., n]. Another shape of weight or bias is an
 * error. The weight of an f32 x may be f16 or bf16: see em_dot_general. */
EM_API em_array *em_linear(em_scope *scope, em_array *x, em_array *weight, em_array *bias);

/* (x - mean) / sqrt(variance + eps) over the last axis, times weight, plus bias ([n] each, NULL: none). The result has
 * the dtype that x and the vectors promote to; half types are computed in f32 and rounded once. */
EM_API em_array *em_layer_norm(em_scope *scope, em_array *x, em_array *weight, em_array *bias, double eps);

/* x / sqrt(mean(x^2) + eps) over the last axis, times weight ([n], NULL: none). Dtypes as for em_layer_norm. */
EM_API em_array *em_rms_norm(em_scope *scope, em_array *x, em_array *weight, double eps);

typedef struct em_rope_options {
    size_t struct_size;
    int dims;         /* features rotated, even, <= the last axis; 0 means all. The others pass through */
    bool interleaved; /* pairs (2i, 2i + 1); otherwise (i, i + dims / 2) */
    double base;      /* 0 means 10000 */
    double scale;     /* multiplies positions; 0 means 1 */
    em_array *freqs;  /* NULL, or [dims / 2] in place of base^(2i / dims): pair i turns by position / freqs[i] */
    int axis;         /* of the positions; 0 means -2 */
} em_rope_options;

/* Rotary embedding of x [.., T, D] at positions (offset + 0, offset + 1, ...) * scale; `offset` is an integer scalar
 * array, one integer for each x[b] of rank 3 or more, or NULL for 0. base and freqs together are an error. Su et al.,
 * RoFormer, arXiv 2104.09864. */
EM_API em_array *em_rope(em_scope *scope, em_array *x, em_array *offset, const em_rope_options *options);

/* The same with tables: x [.., D] turned by cosine and sine, both [.., dims] or both [.., dims / 2], broadcast against
 * x's leading axes. (x1, x2) becomes (x1 cos1 - x2 sin1, x2 cos2 + x1 sin2). dims 0 means D; features past it pass
 * through. */
EM_API em_array *em_rotary(em_scope *scope, em_array *x, em_array *cosine, em_array *sine, int dims, bool interleaved);

/* cache [.., M, D] with rows [.., L, D] in place of its rows position .. position + L - 1; `position` is an integer
 * scalar or, for a cache of rank 3 or more, one integer for each cache[b], held inside [0, M - L]. Rows become the
 * cache's dtype as they are written; a cache donated to the call, as programs can, is not copied. */
EM_API em_array *em_kv_update(em_scope *scope, em_array *cache, em_array *rows, em_array *position);

/* A cache in 8 bits is codes s8 [.., M, D] and scales f32 [.., M]: row j stands for codes[j] * scales[j]. These two
 * write rows [.., L, D] into one half each, as em_kv_update does: a row's scale is max |x| / 127, its codes are
 * x / scale rounded to even; in f32. Rows with an infinity or NaN get the scale NaN and codes of 0. */
EM_API em_array *em_kv_codes(em_scope *scope, em_array *codes, em_array *rows, em_array *position);
EM_API em_array *em_kv_scales(em_scope *scope, em_array *scales, em_array *rows, em_array *position);

/* softmax(scale * q k^T + mask) v. q [B, H, Lq, D], k [B, Hkv, Lk, D], v [B, Hkv, Lk, Dv], H a multiple of Hkv (query
 * head h reads head h / (H / Hkv)). mask: NULL, additive, or pred (true keeps), broadcast to [B, H, Lq, Lk]. causal
 * lets query i see keys j <= i + Lk - Lq. scale 0 means 1 / sqrt(D). Rows without any key give 0. q, k and v are
 * promoted to one dtype; but k and v of one half dtype (a cache) stay as they are beside q of another, and the result
 * is f32. Sums are f32; where all are bf16, Lq is 64 or more and the processor multiplies bf16, what is behind the
 * softmax is rounded to bf16, so that a row's last bits are others than among fewer queries. */
EM_API em_array *em_sdpa(em_scope *scope, em_array *q, em_array *k, em_array *v, em_array *mask, double scale,
                         bool causal);

typedef struct em_sdpa_options {
    size_t struct_size;
    em_array *mask;    /* NULL for none, as for the next two */
    em_array *sinks;   /* [H]: exp(sink) takes part in each row's sum and brings no value */
    em_array *lengths; /* integer scalar or [B]: only the first so many keys exist, and count as Lk below */
    double scale;      /* 0 means 1 / sqrt(D) */
    double softcap;    /* 0 for none; otherwise scores are softcap * tanh(scores / softcap), before the mask */
    bool causal;
    int window;                    /* 0 for none; otherwise query i sees keys j with |i + Lk - Lq - j| < window */
    em_array *k_scales, *v_scales; /* both or neither: f32 [B, Hkv, Lk]; k and v are codes s8 (em_kv_codes) */
} em_sdpa_options;

/* em_sdpa with everything that it can do; of codes it gives f32. `options` may be NULL. */
EM_API em_array *em_sdpa_with(em_scope *scope, em_array *q, em_array *k, em_array *v, const em_sdpa_options *options);

/* Attention inside segments of packed tokens: q [T, H, D], k [T, Hkv, D], v [T, Hkv, Dv], heads as in em_sdpa; offsets
 * s32 [S + 1] ascending from 0 to at most T, segment i holds tokens offsets[i] .. offsets[i + 1] - 1; tokens past the
 * last give 0. bias: NULL, or f32 [H, 2 L - 1] added to the scores at index (key - query) + L - 1, where no segment is
 * longer than L. */
EM_API em_array *em_sdpa_segments(em_scope *scope, em_array *q, em_array *k, em_array *v, em_array *offsets,
                                  em_array *bias, double scale);

typedef struct em_segments_options {
    size_t struct_size;
    em_array *bias; /* NULL for none */
    double scale;   /* 0 means 1 / sqrt(D) */
    bool causal;    /* a token sees none behind it */
    int window;     /* 0 for none; otherwise token i sees tokens j with |i - j| < window */
} em_segments_options;

/* em_sdpa_segments with everything that it can do. `options` may be NULL. */
EM_API em_array *em_sdpa_segments_with(em_scope *scope, em_array *q, em_array *k, em_array *v, em_array *offsets,
                                       const em_segments_options *options);

/* One row per segment of x [T, N]: [S, N]. Offsets as above, always held inside [0, T]; an empty segment gives 0. */
EM_API em_array *em_segment_pool(em_scope *scope, em_array *x, em_array *offsets, em_pool pool);

#ifdef __cplusplus
}
#endif
#endif
