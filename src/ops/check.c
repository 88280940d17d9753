/*
 * Whether an op may be applied at all: the numbers of its operands and attributes, and the dtypes. Builders give what
 * holds here by themselves; a decoded program must be asked before its rules look at the lists.
 */
#include "core/error.h"
#include "ops/op.h"

/*
 * n ints = fixed + by_rank * rank of operand 0, or at least that many with `more`. alike: the first operands, which
 * must have one dtype that the op takes. mask: 1 + the integer attribute whose bits say which optional operands follow
 * the n_min that are always there; 0: none. An op without a row is made by passes only.
 */
typedef struct lists {
    int n_min, n_max, alike, fixed, by_rank, floats;
    bool more;
    int mask;
} lists;

#define MANY INT32_MAX

/* clang-format off: a row a line */
#define LISTS_UNARY                                                                                                    \
    {                                                                                                                  \
        1, 1, 1, 0, 0, 0, false, 0                                                                                     \
    }
#define LISTS_BINARY                                                                                                   \
    {                                                                                                                  \
        2, 2, 2, 0, 0, 0, false, 0                                                                                     \
    }
#define LISTS_REDUCE                                                                                                   \
    {                                                                                                                  \
        1, 1, 1, 2, 0, 0, false, 0                                                                                     \
    }
#define LISTS_AXIS                                                                                                     \
    {                                                                                                                  \
        1, 1, 1, 1, 0, 0, false, 0                                                                                     \
    }
#define LISTS_SPECIAL                                                                                                  \
    {                                                                                                                  \
        0                                                                                                              \
    }
#define LISTS_INTERNAL                                                                                                 \
    {                                                                                                                  \
        0                                                                                                              \
    }
/* clang-format on */

static const lists by_signature[EM__OP_COUNT] = {
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS) [EM__OP_##ENUM] = LISTS_##SIGNATURE,
#include <emily/ops.def>
#undef EM_OP
};

/* clang-format off: a row a line */
static const lists special[EM__OP_COUNT] = {
    [EM__OP_INPUT] = {0, 0, 0, 2, 0, 0, true, 0},
    [EM__OP_ELEMENT] = {1, 1, 1, 2, 0, 0, true, 0},
    [EM__OP_WHILE] = {1, MANY, 0, 2, 0, 0, false, 0},
    [EM__OP_COND] = {1, MANY, 0, 1, 0, 0, true, 0},
    [EM__OP_ARGMAX] = {1, 1, 1, 3, 0, 0, false, 0},
    [EM__OP_ARGMIN] = {1, 1, 1, 3, 0, 0, false, 0},
    [EM__OP_SELECT] = {3, 3, 0, 0, 0, 0, false, 0},
    [EM__OP_CAST] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_RESHAPE] = {1, 1, 1, 0, 0, 0, true, 0},
    [EM__OP_TRANSPOSE] = {1, 1, 1, 0, 1, 0, false, 0},
    [EM__OP_BROADCAST_TO] = {1, 1, 1, 0, 0, 0, true, 0},
    [EM__OP_SLICE] = {1, 1, 1, 0, 3, 0, false, 0},
    [EM__OP_REVERSE] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_CONCATENATE] = {1, MANY, 0, 1, 0, 0, false, 0},
    [EM__OP_PAD] = {2, 2, 2, 0, 3, 0, false, 0},
    [EM__OP_IOTA] = {0, 0, 0, 2, 0, 0, true, 0},
    [EM__OP_TAKE] = {2, 2, 0, 1, 0, 0, false, 0},
    [EM__OP_DOT_GENERAL] = {2, 2, 1, 2, 0, 0, true, 0},
    [EM__OP_LAYER_NORM] = {1, 3, 3, 1, 0, 1, false, 1},
    [EM__OP_RMS_NORM] = {1, 2, 2, 1, 0, 1, false, 1},
    [EM__OP_ROPE] = {1, 3, 1, 4, 0, 2, false, 3},
    [EM__OP_SDPA] = {3, 8, 1, 3, 0, 2, false, 2},
    [EM__OP_SDPA_SEGMENTS] = {4, 5, 3, 3, 0, 1, false, 1},
    [EM__OP_SEGMENT_POOL] = {2, 2, 0, 1, 0, 0, false, 0},
    [EM__OP_SORT] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_ARGSORT] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_TOP_K] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_FFT] = {1, 1, 1, 3, 0, 0, false, 0},
    [EM__OP_RFFT] = {1, 1, 1, 3, 0, 0, false, 0},
    [EM__OP_IRFFT] = {1, 1, 1, 3, 0, 0, false, 0},
    [EM__OP_THREEFRY2X32] = {1, 2, 1, 1, 0, 0, true, 0},
    [EM__OP_RANDINT] = {1, 1, 1, 3, 0, 0, true, 0},
    [EM__OP_CONV] = {2, 2, 2, -8, 5, 0, false, 0},
    [EM__OP_BITCAST] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_MAKE_COMPLEX] = {2, 2, 2, 0, 0, 0, false, 0},
    [EM__OP_TAKE_ALONG_AXIS] = {2, 2, 0, 1, 0, 0, false, 0},
    [EM__OP_GATHER] = {2, 2, 0, 0, 0, 0, true, 0},
    [EM__OP_INDEXED_ADD] = {3, 3, 0, 0, 0, 0, true, 0},
    [EM__OP_INDEXED_PUT] = {3, 3, 0, 0, 0, 0, true, 0},
    [EM__OP_DYNAMIC_SLICE] = {1, MANY, 1, 0, 2, 0, false, 0},
    [EM__OP_PUT_SLICE] = {2, MANY, 2, 0, 0, 0, false, 0},
    [EM__OP_LU] = {1, 1, 1, 0, 0, 0, false, 0},
    [EM__OP_QR] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_CHOLESKY] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_EIGH] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_SVD] = {1, 1, 1, 1, 0, 0, false, 0},
    [EM__OP_SOLVE] = {2, 2, 2, 0, 0, 0, false, 0},
    [EM__OP_TRIANGULAR_SOLVE] = {2, 2, 2, 1, 0, 0, false, 0},
    [EM__OP_DETERMINANT] = {1, 1, 1, 0, 0, 0, false, 0},
    [EM__OP_ROTARY] = {3, 3, 1, 2, 0, 0, false, 0},
    [EM__OP_KV_UPDATE] = {3, 3, 1, 0, 0, 0, false, 0},
    [EM__OP_KV_CODES] = {3, 3, 1, 0, 0, 0, false, 0},
    [EM__OP_KV_SCALES] = {3, 3, 1, 0, 0, 0, false, 0},
    [EM__OP_QUANTIZE] = {1, 1, 1, 3, 0, 0, false, 0},
    [EM__OP_DEQUANTIZE] = {2, 3, 0, 3, 0, 0, false, 0},
    [EM__OP_QUANTIZED_MATMUL] = {3, 4, 0, 4, 0, 0, false, 0},
    [EM__OP_CUMULATIVE_SUM] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_WINDOW_SUM] = {1, 1, 1, 0, 5, 0, false, 0},
    [EM__OP_CUMULATIVE_PRODUCT] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_WINDOW_PRODUCT] = {1, 1, 1, 0, 5, 0, false, 0},
    [EM__OP_CUMULATIVE_MAX] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_WINDOW_MAX] = {1, 1, 1, 0, 5, 0, false, 0},
    [EM__OP_CUMULATIVE_MIN] = {1, 1, 1, 2, 0, 0, false, 0},
    [EM__OP_WINDOW_MIN] = {1, 1, 1, 0, 5, 0, false, 0},
    [EM__OP_WINDOW_SCATTER_MAX] = {3, 3, 3, 0, 4, 0, false, 0},
    [EM__OP_WINDOW_SCATTER_MIN] = {3, 3, 3, 0, 4, 0, false, 0},
};
/* clang-format on */

static const lists *lists_of(em__op op)
{
    return special[op].n_max || special[op].more ? &special[op] : &by_signature[op];
}

bool em__op_described(em__op op)
{
    const lists *l = lists_of(op);
    return l->n_max || l->more;
}

em_status em__op_check(const em__apply *apply)
{
    const lists *l = lists_of(apply->op);
    const char *name = em__op_get(apply->op)->name;
    EM__FAIL_IF(!em__op_described(apply->op), EM_ERROR_UNSUPPORTED, "%s can't stand in an encoded program", name);
    EM__FAIL_IF(apply->n_in < l->n_min || apply->n_in > l->n_max, EM_ERROR_INVALID_ARGUMENT, "%s: %d operands", name,
                apply->n_in);
    int64_t ints = l->fixed + (apply->n_in ? (int64_t)l->by_rank * apply->in[0]->rank : 0);
    EM__FAIL_IF(apply->n_ints < ints || (apply->n_ints > ints && !l->more) || apply->n_floats != l->floats,
                EM_ERROR_INVALID_ARGUMENT, "%s: %d integer and %d float attributes", name, apply->n_ints,
                apply->n_floats);
    if (l->mask) {
        int64_t mask = apply->ints[l->mask - 1];
        bool fits = mask >= 0 && mask < (int64_t)1 << (l->n_max - l->n_min) &&
                    apply->n_in == l->n_min + __builtin_popcountll((uint64_t)mask);
        EM__FAIL_IF(!fits, EM_ERROR_INVALID_ARGUMENT, "%s: %d operands do not match the attributes", name, apply->n_in);
    }
    for (int i = 0; i < apply->n_in && i < l->alike; i++) {
        em_dtype want;
        EM__TRY(em__op_operand_dtype(apply->op, apply->in[i]->dtype, &want));
        if (want != apply->in[i]->dtype || want != apply->in[0]->dtype)
            return em__infer_fail(apply, "operand %d must be cast first", i);
    }
    return EM_OK;
}
