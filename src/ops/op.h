/*
 * What an op is, without its arithmetic: the enum and the table expanded from emily/ops.def, and the rules that give a
 * result's shape and dtype. Stands on core alone.
 *
 * Attributes travel as two flat lists, so that a node of any op is one small allocation and encodes as it lies:
 *
 *   op              ints                                                         floats
 *   CAST, BITCAST   dtype
 *   reductions      keep, bit mask of axes
 *   ARGMAX, ARGMIN  axis, last of equals, keep
 *   RESHAPE         dims...              BROADCAST_TO  dims...
 *   TRANSPOSE       permutation...       REVERSE       bit mask of axes
 *   SLICE           start..., stop..., stride...
 *   CONCATENATE     axis                 PAD           low..., high..., interior...
 *   IOTA            dtype, axis, dims... INPUT         dtype, index, dims...
 *   TAKE            axis                 SOFTMAX       axis
 *   TAKE_ALONG_AXIS axis                 GATHER, INDEXED_ADD, INDEXED_PUT  axes...
 *   DYNAMIC_SLICE   length..., stride...; operands a, one scalar start an axis
 *   PUT_SLICE       none; operands a, update, one scalar start an axis
 *   CUMULATIVE_*    axis, reverse
 *   WINDOW_*        window..., stride..., low..., high..., dilation... (none for scatters; operands a, source, init)
 *   DOT_GENERAL     n_contract, n_batch, contract_a..., contract_b..., batch_a..., batch_b...
 *   CONV            strides..., low..., high..., input dilation..., kernel dilation..., feature groups, batch groups;
 *                   operands [N, C, spatial...], [O, C / feature groups, spatial...]
 *   QUANTIZE, DEQUANTIZE    em_quant_mode, group, bits
 *   QUANTIZED_MATMUL        em_quant_mode, group, bits, transpose; operands x, codes, scales, biases of affine
 *   QR              complete             CHOLESKY      upper
 *   EIGH            vectors too          SVD           EM__SVD_* of ops/linalg.h
 *   TRIANGULAR_SOLVE  em_triangle
 *   LAYER_NORM, RMS_NORM                 mask of optional operands present       eps
 *   ROPE            dims, interleaved, mask: offset 1, freqs 2; axis of positions   base, scale
 *   ROTARY          dims, interleaved; operands x, cos, sin
 *   SDPA            causal, mask: mask 1, sinks 2, lengths 4, k scales 8, v scales 16; window (0: none)
 *                                                                                scale, softcap (0: none)
 *   KV_UPDATE       (none); operands cache, rows, position; KV_CODES, KV_SCALES alike
 *   SDPA_SEGMENTS   has_bias, causal, window (0: none)                           scale
 *   SEGMENT_POOL    em_pool
 *   FUSED_LINEAR    activation op (or COPY), mask: bias 1, residual 2, number of weights; operands x, weight,
 *                   bias, residual, more weights: the result's columns are the weights' rows side by side
 *   WHILE           n states, n captures of the condition; operands: states, captures of condition, of body
 *   COND            n captures of the first branch, then dtype, rank, dims... of each result; operands: pred, captures
 *                   of the first branch, of the second
 *   ELEMENT         dtype, byte offset, dims...
 *   SORT, ARGSORT   axis, descending     TOP_K         axis, k
 *   FFT, RFFT, IRFFT  axis, length, inverse (of a complex one)
 *   THREEFRY2X32    dtype, dims...; operands key, and counters that stand for 0, 1, 2... (f32, f64: their leading
 *                   bits as a fraction, in [0, 1))
 *   RANDINT         dtype, first, span (0: 2^32), dims...; operand two keys
 *   FUSED_LAYER_NORM  mask: weight 1, bias 2; operands x, residual, weight, bias   eps
 *   FUSED_CHAIN     a program, see ops/chain.h
 */
#ifndef EM_OPS_OP_H
#define EM_OPS_OP_H

#include <stdbool.h>
#include <stdint.h>

#include <emily/attributes.h>
#include <emily/dtype.h>

typedef enum em__op {
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS) EM__OP_##ENUM,
#include <emily/ops.def>
#undef EM_OP
    EM__OP_COUNT
} em__op;

enum {
    EM__TRAIT_NONE = 0,
    EM__TRAIT_ELEMENTWISE = 1,
    EM__TRAIT_COMMUTING = 1 | 2,
    EM__TRAIT_VIEW = 4,
    EM__TRAIT_FAST = 8,
    EM__TRAIT_LEAF = 16,
    EM__TRAIT_CONTROL = 32,
    EM__TRAIT_UPDATE = 64, /* a kernel given operand 0's memory for its result leaves alone what it does not change */
    EM__TRAIT_FAST_UPDATE = 8 | 64,
    EM__TRAIT_HOOK = 128,
};

/* Classes of dtypes that an op accepts. */
typedef enum em__accepts {
    EM__ACCEPTS_ANY,
    EM__ACCEPTS_ORDERED,
    EM__ACCEPTS_NUMERIC,
    EM__ACCEPTS_REAL,
    EM__ACCEPTS_FLOAT,
    EM__ACCEPTS_INEXACT,
    EM__ACCEPTS_COMPLEX,
    EM__ACCEPTS_INTEGER,
    EM__ACCEPTS_BITS,
} em__accepts;

/* Dtype and shape of a value. */
typedef struct em__spec {
    em_dtype dtype;
    int rank;
    int64_t dims[EM_MAX_RANK];
} em__spec;

/* An op applied to operands. */
typedef struct em__apply {
    em__op op;
    int n_in;
    const em__spec *const *in;
    int n_ints;
    const int64_t *ints;
    int n_floats;
    const double *floats;
} em__apply;

typedef em_status (*em__infer_fn)(const em__apply *apply, em__spec *out);

typedef struct em__op_info {
    const char *name;
    em__infer_fn infer;
    em__accepts accepts;
    unsigned traits;
} em__op_info;

const em__op_info *em__op_get(em__op op);

/* The result of applying the op, or EM_ERROR_INVALID_ARGUMENT with the op, the operands' shapes and what was wanted;
 * EM_ERROR_UNSUPPORTED for a dtype below a byte where the op has none.
 * Operands must have been promoted and cast already. */
em_status em__op_infer(const em__apply *apply, em__spec *out);

/* EM_ERROR_INVALID_ARGUMENT unless the numbers of operands and attributes are the op's, and dtypes such as builders
 * leave: what must hold before em__op_infer may look at lists of unknown origin. EM_ERROR_UNSUPPORTED for an op that
 * only passes make. */
em_status em__op_check(const em__apply *apply);
bool em__op_described(em__op op); /* whether em__op_check knows it */

/* A dtype of which several elements share a byte; what is computed in for one: s8 or u8 (any other dtype: itself). */
static inline bool em__sub_byte(em_dtype dtype)
{
    switch ((int)dtype) {
#define EM__CASE(name, text, bits, kind, st) case EM_##name:
        EM_DTYPE_PART_MAP(EM__CASE)
#undef EM__CASE
        return true;
    default: return false;
    }
}
em_dtype em__wide_dtype(em_dtype dtype);

/* Whether the op takes such operands and results as they lie: what only moves whole arrays, and CAST. Builders put
 * casts around the others (array/sub_byte.h); em__op_infer refuses them. */
bool em__op_takes_sub_byte(em__op op);

/* The dtype that an operand must be cast to before the op runs (integers to f32 for float ops);
 * EM_ERROR_INVALID_ARGUMENT when the op can't take it. */
em_status em__op_operand_dtype(em__op op, em_dtype dtype, em_dtype *want);

/* Nx.Type.merge: complex beats float beats bf16 beats signed beats unsigned; of one kind the wider wins; unsigned with
 * signed is a signed type that holds both (at most s64); f64 with c64 is c128. So f16 with bf16 is f16, and a half or
 * f8 with an integer stays what it is. Nx lets the operands' order decide between f8_e4m3fn and another float; here the
 * wider wins, and f16, which holds both, for the two f8. pred (no dtype of Nx's) gives way to everything. */
em_dtype em__promote(em_dtype a, em_dtype b);

/* The same, but f16 with bf16 is f32, which holds both: of the fast ops and products with quantized weights. */
em_dtype em__promote_fast(em_dtype a, em_dtype b);

/* The dtype of a complex dtype's parts (any other dtype: itself); the complex dtype that holds a dtype. */
em_dtype em__real_dtype(em_dtype dtype);
em_dtype em__complex_dtype(em_dtype dtype);

/* The dtype in which sums and products are taken: integers under 32 bits are widened to 32, as Nx does. */
em_dtype em__sum_dtype(em_dtype dtype);

/* Number of elements; specs are checked to fit when they are made. */
int64_t em__spec_size(const em__spec *spec);
size_t em__spec_bytes(const em__spec *spec); /* of all elements, side by side */
bool em__spec_empty(const em__spec *spec);   /* any spec, checked or not */
bool em__spec_equal(const em__spec *a, const em__spec *b);
bool em__is_integer(const em__spec *spec);                 /* signed or unsigned, not pred */
bool em__same_shape(const em__spec *a, const em__spec *b); /* whatever their dtypes */

/* "f32[2, 3]" into `text`; returns it. */
const char *em__spec_print(const em__spec *spec, char *text, size_t size);
#define EM__SPEC_TEXT 160

/* dims >= 0 and the product of those that are not 0, times 16 bytes, fits in int64; `what` names the op in the
 * error. */
em_status em__spec_check(const em__spec *spec, const char *what);

/* Result of NumPy broadcasting into `out` (dims and rank only); false if the shapes do not broadcast. */
bool em__broadcast(const em__spec *a, const em__spec *b, em__spec *out);

/* Axis in [0, rank) from one that may be negative; false if out of range. */
bool em__axis(int axis, int rank, int *out);

/* The contraction of DOT_GENERAL, decoded. */
typedef struct em__dot {
    int n_contract, n_batch;
    const int64_t *contract_a, *contract_b, *batch_a, *batch_b;
} em__dot;
em__dot em__dot_decode(const int64_t *ints);

/* Is the axis one of the n? */
static inline bool em__axis_listed(const int64_t *axes, int n, int64_t axis)
{
    for (int i = 0; i < n; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

/* Whether a product of these two dtypes, without batch axes, reads operand 1 as it is: f32 with a half weight. Its
 * meaning is that of the weight cast to f32. */
bool em__dot_mixes(em_dtype a, em_dtype b);

/* The attributes of CONV with so many spatial axes, decoded. */
typedef struct em__conv {
    int spatial;
    const int64_t *strides, *low, *high, *input_dilation, *kernel_dilation;
    int64_t feature_groups, batch_groups;
} em__conv;
em__conv em__conv_decode(const int64_t *ints, int spatial);

/* Whether SDPA with f32 queries takes keys and values of this dtype as they are, and KV_UPDATE rows of f32: halves. */
bool em__sdpa_mixes(em_dtype queries, em_dtype cache);

/* Which operand is weight i of a FUSED_LINEAR with these attributes. */
int em__linear_weight(const int64_t *ints, int i);

/* The infer rules, one a name in the INFER column. */
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS)                                                            \
    em_status em__infer_##INFER(const em__apply *apply, em__spec *out);
#include <emily/ops.def>
#undef EM_OP

/*
 * Ops with several results (INFER is PARTS) give one u8 block that holds them all, each at a multiple of
 * EM__PART_ALIGN bytes; ELEMENT is the view that takes one out. A rule says how many parts there are and, where `parts`
 * is not NULL, their specs; -1 with the error set when the operands are wrong.
 */
#define EM__PART_ALIGN 64
int em__op_parts(const em__apply *apply, em__spec *parts);
int em__parts_top_k(const em__apply *apply, em__spec *parts);
em_status em__infer_PARTS(const em__apply *apply, em__spec *out);

/* Bytes from a part's beginning to the next one's. */
size_t em__part_bytes(const em__spec *part);

/* Byte offset of each of n parts into `offsets` (NULL: not wanted); the bytes of all, -1 when they overflow. */
int64_t em__parts_layout(const em__spec *parts, int n, int64_t *offsets);

/* For the rules: EM_ERROR_INVALID_ARGUMENT with "op: text; operands are f32[2, 3], f32[4]". */
em_status em__infer_fail(const em__apply *apply, const char *format, ...) EM_PRINTF(2, 3);

#endif
