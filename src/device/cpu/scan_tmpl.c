/*
 * Scans of one element type. Included with
 *   T, I, FN(name)         the element, the signed integer of its size, function names
 *   LOWEST, HIGHEST        identities of max and min
 *   FLOATING               defined for floats: NaN stays
 *   EXTREMES_ONLY          defined for signed integers, whose sums and products are the unsigned ones'
 * LANES elements are scanned at a time, as PIECES vectors of N.
 */
#define LANES ((int)(64 / sizeof(T)))
#define N ((int)(VECTOR / sizeof(T)))

typedef T FN(piece) __attribute__((vector_size(VECTOR)));
typedef I FN(mask) __attribute__((vector_size(VECTOR)));

typedef struct FN(row) {
    FN(piece) p[PIECES];
} FN(row);

typedef FN(piece) (*FN(fold))(FN(piece) a, FN(piece) b);

/* `b` with its lanes moved up by k; the highest lanes of `a` come in below. */
#if defined(__clang__)
static inline FN(piece) FN(up)(FN(piece) a, FN(piece) b, int k)
{
    FN(piece) y;
    for (int i = 0; i < N; i++)
        y[i] = i < k ? a[N - k + i] : b[i - k];
    return y;
}
#define UP(a, b, k) FN(up)(a, b, k)
#else
#define UP(a, b, k) __builtin_shuffle(b, a, (FN(mask)){MASK_UP(k)})
#endif

/* Row j of the result is what stood k lanes below. */
#define STEP(k)                                                                                                        \
    do {                                                                                                               \
        if ((k) < LANES)                                                                                               \
            for (int j = PIECES - 1; j >= 0; j--) {                                                                    \
                FN(piece) here = j >= (k) / N ? x.p[j - (k) / N] : nothing;                                            \
                FN(piece) below = j > (k) / N ? x.p[j - (k) / N - 1] : nothing;                                        \
                x.p[j] = f((k) % N ? UP(below, here, (k) % N) : here, x.p[j]);                                         \
            }                                                                                                          \
    } while (0)

static inline __attribute__((always_inline)) FN(row) FN(load)(const T *in, int n, bool reverse, T identity)
{
    T lane[LANES];
    FN(row) x;
    for (int i = 0; i < LANES; i++)
        lane[i] = i < n ? in[reverse ? n - 1 - i : i] : identity;
    memcpy(&x, lane, sizeof x);
    return x;
}

static inline __attribute__((always_inline)) void FN(store)(T *out, const FN(row) * x, int n, bool reverse)
{
    T lane[LANES];
    memcpy(lane, x, sizeof lane);
    for (int i = 0; i < n; i++)
        out[reverse ? n - 1 - i : i] = lane[i];
}

static inline __attribute__((always_inline)) void FN(scan)(T *out, const T *in, size_t n, T *carry, bool reverse,
                                                           T identity, FN(fold) f)
{
    FN(piece) nothing = (FN(piece)){0} + identity, base = (FN(piece)){0} + *carry, run = nothing;
    for (size_t i = 0; i < n; i += (size_t)LANES) {
        int count = n - i < (size_t)LANES ? (int)(n - i) : LANES;
        size_t at = reverse ? n - i - (size_t)count : i;
        FN(row) x;
        if (count == LANES && !reverse)
            memcpy(&x, in + at, sizeof x);
        else
            x = FN(load)(in + at, count, reverse, identity);
        STEP(1);
        STEP(2);
        STEP(4);
        STEP(8);
        STEP(16);
        STEP(32);
        FN(piece) total = (FN(piece)){0} + x.p[PIECES - 1][N - 1];
        for (int j = 0; j < PIECES; j++)
            x.p[j] = f(base, f(run, x.p[j]));
        run = f(run, total);
        if (!out)
            continue;
        if (count == LANES && !reverse)
            memcpy(out + at, &x, sizeof x);
        else
            FN(store)(out + at, &x, count, reverse);
    }
    *carry = f(base, run)[0];
}

#define SCAN(name, identity, f)                                                                                        \
    static void FN(name)(void *out, const void *in, size_t n, void *carry, bool reverse)                               \
    {                                                                                                                  \
        if (reverse)                                                                                                   \
            FN(scan)(out, in, n, carry, true, identity, f);                                                            \
        else                                                                                                           \
            FN(scan)(out, in, n, carry, false, identity, f);                                                           \
    }

static inline FN(piece) FN(choose)(FN(mask) yes, FN(piece) a, FN(piece) b)
{
    return (FN(piece))(((FN(mask))a & yes) | ((FN(mask))b & ~yes));
}

#ifdef FLOATING
#define STAYS | (a != a)
#else
#define STAYS
#endif

static inline FN(piece) FN(larger)(FN(piece) a, FN(piece) b)
{
    return FN(choose)((FN(mask))(a > b) STAYS, a, b);
}

static inline FN(piece) FN(smaller)(FN(piece) a, FN(piece) b)
{
    return FN(choose)((FN(mask))(a < b) STAYS, a, b);
}

SCAN(max, LOWEST, FN(larger))
SCAN(min, HIGHEST, FN(smaller))

#ifndef EXTREMES_ONLY
static inline FN(piece) FN(plus)(FN(piece) a, FN(piece) b)
{
    return a + b;
}

static inline FN(piece) FN(times)(FN(piece) a, FN(piece) b)
{
    return a * b;
}

SCAN(sum, 0, FN(plus))
SCAN(product, 1, FN(times))
#endif

#undef SCAN
#undef STAYS
#undef STEP
#undef UP
#undef LANES
#undef N
#undef T
#undef I
#undef FN
#undef LOWEST
#undef HIGHEST
#undef FLOATING
#undef MASK_UP
