/*
 * The operations of one integer type, then its loops. Included once a type with T the type, U the unsigned one of its
 * width, W an unsigned type at least as wide as int (so that nothing is promoted to a signed product), SIGNED 0 or 1,
 * and FN, OP, DTYPE as elementwise_scalar_tmpl.c wants them. Everything wraps; nothing traps.
 */
#define BITS ((int)(8 * sizeof(T)))

static inline T OP(neg)(T x)
{
    return (T)(U)(0 - (W)x);
}

static inline T OP(abs)(T x)
{
    return x < (T)1 ? (T)(U)(0 - (W)x) : x;
}

static inline T OP(sign)(T x)
{
    return (T)((x > 0) - (x < (T)1) + (x == 0));
}

static inline T OP(square)(T x)
{
    return (T)(U)((W)x * (W)x);
}

static inline T OP(floor)(T x)
{
    return x;
}

static inline T OP(ceil)(T x)
{
    return x;
}

static inline T OP(round)(T x)
{
    return x;
}

static inline T OP(rint)(T x)
{
    return x;
}

static inline T OP(trunc)(T x)
{
    return x;
}

static inline T OP(population_count)(T x)
{
    return (T)__builtin_popcountll((unsigned long long)(U)x);
}

static inline T OP(count_leading_zeros)(T x)
{
    return (T)((U)x ? __builtin_clzll((unsigned long long)(U)x) - (64 - BITS) : BITS);
}

static inline uint8_t OP(is_finite)(T x)
{
    (void)x;
    return 1;
}

static inline T OP(relu)(T x)
{
    return x > 0 ? x : 0;
}

static inline T OP(bitwise_not)(T x)
{
    return (T)(U) ~(W)x;
}

static inline uint8_t OP(logical_not)(T x)
{
    return x == 0;
}

static inline uint8_t OP(is_nan)(T x)
{
    (void)x;
    return 0;
}

static inline uint8_t OP(is_inf)(T x)
{
    (void)x;
    return 0;
}

static inline T OP(add)(T a, T b)
{
    return (T)(U)((W)a + (W)b);
}

static inline T OP(sub)(T a, T b)
{
    return (T)(U)((W)a - (W)b);
}

static inline T OP(mul)(T a, T b)
{
    return (T)(U)((W)a * (W)b);
}

static inline T OP(quotient)(T a, T b)
{
    if (b == 0)
        return 0;
#if SIGNED
    if (b == -1)
        return OP(neg)(a);
#endif
    return (T)(a / b);
}

static inline T OP(remainder)(T a, T b)
{
    if (b == 0)
        return 0;
#if SIGNED
    if (b == -1)
        return 0;
#endif
    return (T)(a % b);
}

static inline T OP(pow)(T a, T b)
{
#if SIGNED
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
#endif
    W result = 1, power = (W)a;
    for (U rest = (U)b; rest; rest = (U)(rest >> 1)) {
        if (rest & 1)
            result *= power;
        power *= power;
    }
    return (T)(U)result;
}

static inline T OP(maximum)(T a, T b)
{
    return a > b ? a : b;
}

static inline T OP(minimum)(T a, T b)
{
    return a < b ? a : b;
}

static inline T OP(bitwise_and)(T a, T b)
{
    return (T)(a & b);
}

static inline T OP(bitwise_or)(T a, T b)
{
    return (T)(a | b);
}

static inline T OP(bitwise_xor)(T a, T b)
{
    return (T)(a ^ b);
}

static inline T OP(left_shift)(T a, T b)
{
    return (U)b < (U)BITS ? (T)(U)((W)a << (b & (BITS - 1))) : 0;
}

static inline T OP(right_shift)(T a, T b)
{
    int by = (U)b < (U)BITS ? (int)b : BITS - 1;
#if SIGNED
    return (T)(a >> by);
#else
    return (U)b < (U)BITS ? (T)(a >> by) : 0;
#endif
}

static inline uint8_t OP(logical_and)(T a, T b)
{
    return (a != 0) & (b != 0);
}

static inline uint8_t OP(logical_or)(T a, T b)
{
    return (a != 0) | (b != 0);
}

static inline uint8_t OP(logical_xor)(T a, T b)
{
    return (a != 0) ^ (b != 0);
}

static inline uint8_t OP(equal)(T a, T b)
{
    return a == b;
}

static inline uint8_t OP(not_equal)(T a, T b)
{
    return a != b;
}

static inline uint8_t OP(less)(T a, T b)
{
    return a < b;
}

static inline uint8_t OP(less_equal)(T a, T b)
{
    return a <= b;
}

static inline uint8_t OP(greater)(T a, T b)
{
    return a > b;
}

static inline uint8_t OP(greater_equal)(T a, T b)
{
    return a >= b;
}

#define INTEGER 1
#include "device/cpu/elementwise_scalar_tmpl.c"
#undef BITS
#undef U
#undef W
#undef SIGNED
