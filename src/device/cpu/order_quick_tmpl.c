/*
 * Template: a quicksort of unsigned keys in vectors V of LANES; N(name) names what it defines, OP(name) is an intrinsic
 * of keys of that width, OF(name) one of unsigned ones, MASK a mask of lanes.
 *
 * A part of up to 16 vectors is sorted in registers: each lane for itself (rows of a network), then pairs of lanes are
 * merged, then pairs of those. Longer ones are cut in two by a key: those on one side move together where they are,
 * the others go to a second part of memory as long, so that nothing is written which was not read, and every write but
 * the last is of a whole vector.
 */
#define SMALL (16 * LANES)
#define INLINE static inline __attribute__((always_inline))

INLINE void N(exchange)(V *x, const int i, const int j)
{
    const V low = OF(min)(x[i], x[j]);
    x[j] = OF(max)(x[i], x[j]);
    x[i] = low;
}

/* Batcher's networks: each lane of x[0], x[1], .. in order. */
INLINE void N(columns2)(V *x)
{
    N(exchange)(x, 0, 1);
}

INLINE void N(columns4)(V *x)
{
    N(columns2)(x);
    N(columns2)(x + 2);
    N(exchange)(x, 0, 2);
    N(exchange)(x, 1, 3);
    N(exchange)(x, 1, 2);
}

INLINE void N(columns8)(V *x)
{
    N(columns4)(x);
    N(columns4)(x + 4);
    N(exchange)(x, 0, 4);
    N(exchange)(x, 2, 6);
    N(exchange)(x, 2, 4);
    N(exchange)(x, 1, 5);
    N(exchange)(x, 3, 7);
    N(exchange)(x, 3, 5);
    N(exchange)(x, 1, 2);
    N(exchange)(x, 3, 4);
    N(exchange)(x, 5, 6);
}

INLINE void N(columns16)(V *x)
{
    N(columns8)(x);
    N(columns8)(x + 8);
    N(exchange)(x, 0, 8);
    N(exchange)(x, 4, 12);
    N(exchange)(x, 4, 8);
    N(exchange)(x, 2, 10);
    N(exchange)(x, 6, 14);
    N(exchange)(x, 6, 10);
    N(exchange)(x, 2, 4);
    N(exchange)(x, 6, 8);
    N(exchange)(x, 10, 12);
    N(exchange)(x, 1, 9);
    N(exchange)(x, 5, 13);
    N(exchange)(x, 5, 9);
    N(exchange)(x, 3, 11);
    N(exchange)(x, 7, 15);
    N(exchange)(x, 7, 11);
    N(exchange)(x, 3, 5);
    N(exchange)(x, 7, 9);
    N(exchange)(x, 11, 13);
    N(exchange)(x, 1, 2);
    N(exchange)(x, 3, 4);
    N(exchange)(x, 5, 6);
    N(exchange)(x, 7, 8);
    N(exchange)(x, 9, 10);
    N(exchange)(x, 11, 12);
    N(exchange)(x, 13, 14);
}

/* Lanes whose number has the bit `d`. */
#define UPPER(d) ((MASK)((d) == 1 ? 0xAAAA : (d) == 2 ? 0xCCCC : (d) == 4 ? 0xF0F0 : 0xFF00))

/* x's lanes l and y's lanes l ^ by: the smaller of both in those without the bit `d`, the greater in the others. */
INLINE V N(between)(V x, V y, const int by, const int d)
{
    const V other = OP(permutexvar)(_mm512_xor_si512(N(numbers)(), OP(set1)(by)), y);
    return OF(mask_max)(OF(min)(x, other), UPPER(d), x, other);
}

/* Lanes in order to all in order, lane by lane: blocks of lanes are merged, the second one turned about. */
INLINE void N(merge_lanes)(V *x, const int rows)
{
#pragma GCC unroll 4
    for (int width = 2; width <= LANES; width *= 2) {
#pragma GCC unroll 8
        for (int k = 0; k < (rows + 1) / 2; k++) {
            const V a = x[k], b = x[rows - 1 - k];
            x[k] = N(between)(a, b, width - 1, width / 2);
            x[rows - 1 - k] = N(between)(b, a, width - 1, width / 2);
        }
#pragma GCC unroll 4
        for (int d = width / 4; d > 0; d /= 2)
#pragma GCC unroll 16
            for (int k = 0; k < rows; k++)
                x[k] = N(between)(x[k], x[k], d, d);
#pragma GCC unroll 4
        for (int d = rows / 2; d > 0; d /= 2)
#pragma GCC unroll 16
            for (int k = 0; k < rows; k++)
                if (!(k & d))
                    N(exchange)(x, k, k + d);
    }
}

/* From lane by lane to vector by vector: a perfect shuffle of all elements for each bit of a row's number. */
INLINE void N(turn)(V *x, const int rows)
{
    const V first = N(halves)(), second = OP(add)(first, OP(set1)(LANES / 2));
#pragma GCC unroll 4
    for (int bit = 1; bit < rows; bit *= 2) {
        V y[16];
#pragma GCC unroll 8
        for (int k = 0; k < rows / 2; k++) {
            y[2 * k] = OP(permutex2var)(x[k], first, x[k + rows / 2]);
            y[2 * k + 1] = OP(permutex2var)(x[k], second, x[k + rows / 2]);
        }
#pragma GCC unroll 16
        for (int k = 0; k < rows; k++)
            x[k] = y[k];
    }
}

INLINE MASK N(first_lanes)(int64_t n)
{
    return (MASK)(n >= LANES ? ~0u : n <= 0 ? 0 : (1u << n) - 1);
}

/* Keys [n], n <= rows * LANES; `to` may be `from`. */
INLINE void N(sort_rows)(const KEY *from, KEY *to, int64_t n, const int rows)
{
    V x[16];
#pragma GCC unroll 16
    for (int k = 0; k < rows; k++)
        x[k] = OP(mask_loadu)(OP(set1)(-1), N(first_lanes)(n - k * LANES), from + k * LANES);
    if (rows == 16)
        N(columns16)(x);
    else if (rows == 8)
        N(columns8)(x);
    else if (rows == 4)
        N(columns4)(x);
    else if (rows == 2)
        N(columns2)(x);
    N(merge_lanes)(x, rows);
    N(turn)(x, rows);
#pragma GCC unroll 16
    for (int k = 0; k < rows; k++)
        OP(mask_storeu)(to + k * LANES, N(first_lanes)(n - k * LANES), x[k]);
}

static void N(sort_small)(const KEY *from, KEY *to, int64_t n)
{
    if (n > 8 * LANES)
        N(sort_rows)(from, to, n, 16);
    else if (n > 4 * LANES)
        N(sort_rows)(from, to, n, 8);
    else if (n > 2 * LANES)
        N(sort_rows)(from, to, n, 4);
    else if (n > LANES)
        N(sort_rows)(from, to, n, 2);
    else
        N(sort_rows)(from, to, n, 1);
}

/* The keys below `pivot`, or those that are not, to `away`, the others to the front of `keys`; both keep their order.
 * How many went away. */
INLINE int64_t N(part)(KEY *keys, KEY *away, int64_t n, KEY pivot, const bool below)
{
    const V at = OP(set1)((SIGNED_KEY)pivot);
    int64_t gone = 0, i = 0;
#pragma GCC unroll 4
    for (; i + LANES <= n; i += LANES) {
        const V x = _mm512_loadu_si512(keys + i);
        const MASK go = below ? OF_MASK(cmplt)(x, at) : OF_MASK(cmpge)(x, at);
        _mm512_storeu_si512(away + gone, OP(maskz_compress)(go, x));
        _mm512_storeu_si512(keys + i - gone, OP(maskz_compress)((MASK)~go, x));
        gone += em__lanes(go);
    }
    if (i < n) {
        const MASK there = N(first_lanes)(n - i);
        const V x = OP(maskz_loadu)(there, keys + i);
        const MASK go = there & (below ? OF_MASK(cmplt)(x, at) : OF_MASK(cmpge)(x, at)), stay = there & (MASK)~go;
        OP(mask_storeu)(away + gone, N(first_lanes)(em__lanes(go)), OP(maskz_compress)(go, x));
        OP(mask_storeu)(keys + i - gone, N(first_lanes)(em__lanes(stay)), OP(maskz_compress)(stay, x));
        gone += em__lanes(go);
    }
    return gone;
}

/* About the middle one. */
static KEY N(middle)(const KEY *keys, int64_t n)
{
    KEY some[128];
    const int64_t count = n < 4096 ? 32 : 128, step = n / count;
    for (int64_t i = 0; i < count; i++)
        some[i] = keys[i * step + step / 2];
    N(sort_small)(some, some, count);
    return some[count / 2];
}

/* Keys that are all in [low, high]; `other` is as long, and where the result is wanted if `there`. After `cuts` by
 * what is about the middle key it is the middle of the range: whatever the keys are, their bits limit how often. */
static void N(cut)(KEY *keys, KEY *other, int64_t n, bool there, KEY low, KEY high, int cuts)
{
    for (; n > SMALL && low < high; cuts--) {
        KEY pivot = cuts > 0 ? N(middle)(keys, n) : low + (high - low) / 2 + 1;
        pivot = pivot > low ? pivot : low + 1;
        if (there) { /* those below go to their place */
            const int64_t gone = N(part)(keys, other, n, pivot, true);
            N(cut)(other, keys + n - gone, gone, false, low, pivot - 1, cuts - 1);
            other += gone;
            n -= gone;
        } else {
            const int64_t gone = N(part)(keys, other, n, pivot, false), left = n - gone;
            N(cut)(keys, other + gone, left, false, low, pivot - 1, cuts - 1);
            KEY *const place = keys + left;
            keys = other;
            other = place;
            n = gone;
            there = true;
        }
        low = pivot;
    }
    if (n <= SMALL)
        N(sort_small)(keys, there ? other : keys, n);
    else if (there)
        memcpy(other, keys, (size_t)n * sizeof *keys);
}

static void N(quick)(KEY *keys, KEY *spare, int64_t n)
{
    if (n > 1)
        N(cut)(keys, spare, n, false, 0, (KEY)-1, 2 * (64 - __builtin_clzll((uint64_t)n)));
}

static void N(count)(const KEY *keys, int64_t n, const KEY *limits, int parts, int64_t *counts)
{
    int64_t below[EM__QUICK_PARTS] = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        const MASK there = N(first_lanes)(n - i);
        const V x = OP(maskz_loadu)(there, keys + i);
        for (int j = 0; j + 1 < parts; j++)
            below[j] += em__lanes(OF_MASK(mask_cmplt)(there, x, OP(set1)((SIGNED_KEY)limits[j])));
    }
    below[parts - 1] = n;
    for (int j = 0; j < parts; j++)
        counts[j] = below[j] - (j ? below[j - 1] : 0);
}

static void N(deal)(const KEY *keys, int64_t n, const KEY *limits, int parts, KEY **to)
{
    for (int64_t i = 0; i < n; i += LANES) {
        const MASK there = N(first_lanes)(n - i);
        const V x = OP(maskz_loadu)(there, keys + i);
        MASK left = there;
        for (int j = 0; j < parts; j++) {
            const MASK take = j + 1 < parts ? OF_MASK(mask_cmplt)(left, x, OP(set1)((SIGNED_KEY)limits[j])) : left;
            const int count = em__lanes(take);
            OP(mask_storeu)(to[j], N(first_lanes)(count), OP(maskz_compress)(take, x));
            to[j] += count;
            left &= (MASK)~take;
        }
    }
}

#undef SMALL
#undef INLINE
#undef UPPER
#undef N
#undef V
#undef KEY
#undef SIGNED_KEY
#undef LANES
#undef MASK
#undef OP
#undef OF
#undef OF_MASK
