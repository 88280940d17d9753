/*
 * Builders: random numbers, composed of one op, THREEFRY2X32, and arithmetic that rounds nowhere else than jax.random's
 * does. Where that sets the bits of a float in [1, 2) and takes 1 off, the same value is a whole number times a power
 * of two, which is exact.
 */
#include <emily/random.h>

#include <float.h>
#include <math.h>

#include <emily/ops.h>
#include <emily/order.h>

#include "array/array.h"
#include "core/error.h"

#define MOST_KEYS ((int64_t)1 << 32)

static em_array *refuse(em_scope *scope, const char *what, const char *text)
{
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: %s", what, text);
    return em__scope_fail(scope);
}

/* Bits of `dtype` for the key; counters NULL: 0, 1, 2... */
static em_array *threefry(em_scope *scope, em_array *key, em_array *counters, em_dtype dtype, em_dims dims)
{
    em_array *in[] = {key, counters};
    int64_t ints[1 + EM_MAX_RANK] = {dtype};
    if (!em__scope_ok(scope, in, counters ? 2 : 1, "random_bits"))
        return NULL;
    if (dims.rank < 0 || dims.rank > EM_MAX_RANK)
        return refuse(scope, "random_bits", "the rank is out of range");
    for (int i = 0; i < dims.rank; i++)
        ints[1 + i] = dims.dims[i];
    return em__build(
        scope,
        &(em__build_args){
            .op = EM__OP_THREEFRY2X32, .in = in, .n_in = counters ? 2 : 1, .ints = ints, .n_ints = 1 + dims.rank});
}

em_array *em_random_key(em_scope *scope, uint64_t seed)
{
    return em_constant(scope, EM_U32, (uint32_t[]){(uint32_t)(seed >> 32), (uint32_t)seed}, em_shape(2));
}

em_array *em_random_split(em_scope *scope, em_array *key, int64_t n)
{
    if (n < 0 || n > MOST_KEYS)
        return refuse(scope, "random_split", "the number of keys is out of range");
    return threefry(scope, key, NULL, EM_U32, em_shape(n, 2));
}

em_array *em_random_split_at(em_scope *scope, em_array *key, int64_t n, int64_t i)
{
    if (i < 0 || i >= n)
        return refuse(scope, "random_split", "there is no such key");
    em_array *keys = em_random_split(scope, key, n);
    keys = em_slice(scope, keys, (int64_t[]){i, 0}, (int64_t[]){i + 1, 2}, NULL);
    return em_reshape(scope, keys, em_shape(2));
}

em_array *em_random_fold_in(em_scope *scope, em_array *key, uint32_t data)
{
    em_array *counters = em_constant(scope, EM_U32, (uint32_t[]){0, data}, em_shape(2));
    return counters ? threefry(scope, key, counters, EM_U32, em_shape(2)) : NULL;
}

em_array *em_random_bits(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims)
{
    if (dtype < EM_U8 || dtype > EM_U64)
        return refuse(scope, "random_bits", "the dtype must be u8, u16, u32 or u64");
    return threefry(scope, key, NULL, dtype, dims);
}

static em_array *scalar_u64(em_scope *scope, em_dtype dtype, uint64_t value)
{
    return em_cast(scope, em_constant(scope, EM_U64, &value, EM_SCALAR_SHAPE), dtype);
}

/* Uniform in [0, 1). */
static em_array *unit(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims)
{
    int fraction, bits;
    em_dtype source;
    switch (dtype) {
    case EM_BF16: source = EM_U8, bits = 8, fraction = 7; break;
    case EM_F16: source = EM_U16, bits = 16, fraction = 10; break;
    case EM_F32:
    case EM_F64: return threefry(scope, key, NULL, dtype, dims);
    default: return refuse(scope, "random_uniform", "random floats are f16, bf16, f32 or f64");
    }
    em_array *random = threefry(scope, key, NULL, source, dims);
    random = em_right_shift(scope, random, scalar_u64(scope, source, (uint64_t)(bits - fraction)));
    return em_mul(scope, em_cast(scope, random, dtype), em_scalar(scope, dtype, ldexp(1, -fraction)));
}

em_array *em_random_uniform(em_scope *scope, em_array *key, double low, double high, em_dtype dtype, em_dims dims)
{
    em_array *u = unit(scope, key, dtype, dims);
    if (!u || (low == 0 && high == 1))
        return u;
    em_array *from = em_scalar(scope, dtype, low), *to = em_scalar(scope, dtype, high);
    u = em_add(scope, em_mul(scope, u, em_sub(scope, to, from)), from);
    return em_maximum(scope, from, u);
}

em_array *em_random_normal(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims)
{
    int fraction = dtype == EM_F64 ? 52 : dtype == EM_F32 ? 23 : dtype == EM_F16 ? 10 : 7;
    double low = -1 + ldexp(1, -fraction - 1); /* the dtype's neighbour of -1 */
    em_array *u = em_random_uniform(scope, key, low, 1, dtype, dims);
    return u ? em_mul(scope, em_scalar(scope, dtype, sqrt(2)), em_erf_inv(scope, u)) : NULL;
}

/* [low, high) in an integer dtype: how many there are (0: all of them), and the first, both modulo 2^bits. */
static void randint_range(em_dtype dtype, int64_t low, int64_t high, uint64_t *span, uint64_t *first)
{
    bool is_signed = em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
    int bits = (int)em_dtype_bits(dtype);
    int64_t top = is_signed ? INT64_MAX >> (64 - bits) : bits == 64 ? INT64_MAX : (int64_t)(UINT64_MAX >> (64 - bits));
    int64_t bottom = is_signed ? -top - 1 : 0;
    bool past = high > top;
    low = low < bottom ? bottom : low > top ? top : low;
    high = high < bottom ? bottom : high > top ? top : high;
    *first = (uint64_t)low;
    *span = high <= low ? 1 : (uint64_t)high - (uint64_t)low + past;
    if (bits >= 32 && bits < 64)
        *span &= UINT64_MAX >> (64 - bits);
}

/* Whole numbers of 32 bits by the op; 8 and 16 bits are drawn as such too: more bits, less bias. */
static em_array *randint32(em_scope *scope, em_array *key, em_dtype dtype, uint64_t first, uint64_t span, em_dims dims)
{
    em_dtype wide = dtype == EM_U32 ? EM_U32 : EM_S32;
    int64_t ints[3 + EM_MAX_RANK] = {wide, (int64_t)(uint32_t)first, (int64_t)(uint32_t)span};
    em_array *keys = em_random_split(scope, key, 2);
    if (!keys)
        return NULL;
    if (dims.rank < 0 || dims.rank > EM_MAX_RANK)
        return refuse(scope, "random_randint", "the rank is out of range");
    for (int i = 0; i < dims.rank; i++)
        ints[3 + i] = dims.dims[i];
    keys = em__build(
        scope, &(em__build_args){.op = EM__OP_RANDINT, .in = &keys, .n_in = 1, .ints = ints, .n_ints = 3 + dims.rank});
    return keys ? em_cast(scope, keys, dtype) : NULL;
}

em_array *em_random_randint(em_scope *scope, em_array *key, int64_t low, int64_t high, em_dtype dtype, em_dims dims)
{
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    if (kind != EM_KIND_SIGNED && kind != EM_KIND_UNSIGNED)
        return refuse(scope, "random_randint", "the dtype must be an integer");
    uint64_t span, first;
    randint_range(dtype, low, high, &span, &first);
    if (em_dtype_size(dtype) < 8)
        return randint32(scope, key, dtype, first, span, dims);
    em_array *offset = threefry(scope, em_random_split_at(scope, key, 2, 1), NULL, EM_U64, dims);
    if (span) {
        em_array *count = scalar_u64(scope, EM_U64, span);
        uint64_t factor = ((uint64_t)1 << 32) % span; /* 2^64 modulo span, by way of its root */
        factor = factor * factor % span;
        offset = em_remainder(scope, offset, count);
        if (factor) {
            em_array *upper = threefry(scope, em_random_split_at(scope, key, 2, 0), NULL, EM_U64, dims);
            upper = em_mul(scope, em_remainder(scope, upper, count), scalar_u64(scope, EM_U64, factor));
            offset = em_remainder(scope, em_add(scope, upper, offset), count);
        }
    }
    return em_cast(scope, em_add(scope, offset, scalar_u64(scope, EM_U64, first)), dtype);
}

em_array *em_random_bernoulli(em_scope *scope, em_array *key, em_array *p, em_dims dims)
{
    if (!em__scope_ok(scope, &p, 1, "random_bernoulli"))
        return NULL;
    if (em_dtype_get_kind(p->spec.dtype) != EM_KIND_FLOAT)
        p = em_cast(scope, p, EM_F32);
    if (!p)
        return NULL;
    em_array *u = em_random_uniform(scope, key, 0, 1, p->spec.dtype, dims);
    return u ? em_less(scope, u, em_broadcast_to(scope, p, dims)) : NULL;
}

em_array *em_random_gumbel(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims)
{
    double tiny = dtype == EM_F64 ? DBL_MIN : dtype == EM_F16 ? ldexp(1, -14) : (double)FLT_MIN;
    em_array *u = em_random_uniform(scope, key, tiny, 1, dtype, dims);
    return u ? em_neg(scope, em_log(scope, em_neg(scope, em_log(scope, u)))) : NULL;
}

em_array *em_random_categorical(em_scope *scope, em_array *key, em_array *logits, int axis, int64_t count)
{
    em_dims dims = {0};
    int at;
    if (!em__scope_ok(scope, &logits, 1, "random_categorical"))
        return NULL;
    if (!em__axis(axis, logits->spec.rank, &at) || (count && logits->spec.rank == EM_MAX_RANK) || count < 0)
        return refuse(scope, "random_categorical", "the axis or the count is out of range");
    if (em_dtype_get_kind(logits->spec.dtype) != EM_KIND_FLOAT)
        logits = em_cast(scope, logits, EM_F32);
    if (!logits)
        return NULL;
    if (count)
        dims.dims[dims.rank++] = count;
    for (int i = 0; i < logits->spec.rank; i++)
        dims.dims[dims.rank++] = logits->spec.dims[i];
    em_array *noise = em_random_gumbel(scope, key, logits->spec.dtype, dims);
    return noise ? em_argmax(scope, em_add(scope, noise, logits), at + (count > 0)) : NULL;
}

em_array *em_random_permutation_of(em_scope *scope, em_array *key, int64_t n)
{
    if (n < 0)
        return refuse(scope, "random_permutation", "the size is below 0");
    em_array *order = em_iota(scope, EM_S64, em_shape(n), 0);
    /* Sorting by random keys, as often as it takes to tell all elements apart. */
    int rounds = (int)ceil(3 * log(n > 1 ? (double)n : 1) / log(UINT32_MAX));
    for (int i = 0; i < rounds && order; i++) {
        em_array *bits = threefry(scope, em_random_split_at(scope, key, 2, 1), NULL, EM_U32, em_shape(n));
        key = em_random_split_at(scope, key, 2, 0);
        em_array *by = em_argsort(scope, bits, 0, false);
        order = i == 0 ? by : em_take(scope, order, by, 0);
    }
    return order;
}

em_array *em_random_permutation(em_scope *scope, em_array *key, em_array *a, int axis)
{
    int at;
    if (!em__scope_ok(scope, &a, 1, "random_permutation") || !em__axis_of(scope, a, axis, "random_permutation", &at))
        return NULL;
    em_array *order = em_random_permutation_of(scope, key, a->spec.dims[at]);
    return order ? em_take(scope, a, order, at) : NULL;
}

em_array *em_random_choice(em_scope *scope, em_array *key, em_array *a, int axis, int64_t count, bool replace)
{
    int at;
    if (!em__scope_ok(scope, &a, 1, "random_choice") || !em__axis_of(scope, a, axis, "random_choice", &at))
        return NULL;
    int64_t n = a->spec.dims[at];
    if (count < 0 || (!replace && count > n) || (count && n == 0))
        return refuse(scope, "random_choice", "more slices are asked for than there are");
    em_array *picks;
    if (replace)
        picks = em_random_randint(scope, key, 0, n, n > INT32_MAX ? EM_S64 : EM_S32, em_shape(count));
    else
        picks = em_slice(scope, em_random_permutation_of(scope, key, n), (int64_t[]){0}, &count, NULL);
    return picks ? em_take(scope, a, picks, at) : NULL;
}
