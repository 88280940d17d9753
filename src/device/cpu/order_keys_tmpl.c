/*
 * Template: keys of BITS bits (32, 64) in vectors of LANES at one level; N(name) names what it defines. LOW and HIGH
 * give the smaller and the greater of two vectors where the level has instructions for it.
 */
#if BITS == 32
#define KEY uint32_t
#define SIGNED_KEY int32_t
#define INFINITE 0x7F800000u
#else
#define KEY uint64_t
#define SIGNED_KEY int64_t
#define INFINITE 0x7FF0000000000000u
#endif
#define TOP ((KEY)1 << (BITS - 1))

typedef KEY N(keys) __attribute__((vector_size(LANES * BITS / 8)));
typedef SIGNED_KEY N(signs) __attribute__((vector_size(LANES * BITS / 8)));

static inline bool N(any)(N(keys) x)
{
    uint64_t part[LANES * BITS / 64], all = 0;
    memcpy(part, &x, sizeof part);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        all |= part[i];
    return all != 0;
}

static inline __attribute__((always_inline)) N(keys)
    N(encode_vector)(N(keys) b, em__key_kind kind, KEY flip, N(keys) * special)
{
    if (kind == EM__KEY_FLOAT) {
        N(keys) nan = (N(keys))((b & ~TOP) > INFINITE), minus_zero = (N(keys))(b == TOP);
        *special |= nan | minus_zero;
        b &= ~minus_zero;
        b = (b ^ ((N(keys))((N(signs))b >> (BITS - 1)) | TOP)) | nan;
    } else if (kind == EM__KEY_SIGNED) {
        b ^= TOP;
    }
    return b ^ flip;
}

static inline __attribute__((always_inline)) bool N(encode_kind)(KEY *keys, const KEY *bits, int64_t n,
                                                                 em__key_kind kind, KEY flip, KEY base, KEY *vary)
{
    N(keys) x, special = {0}, differ = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        memcpy(&x, bits + i, sizeof x);
        x = N(encode_vector)(x, kind, flip, &special);
        differ |= x ^ base;
        memcpy(keys + i, &x, sizeof x);
    }
    if (i < n) {
        KEY last[LANES];
        for (int k = 0; k < LANES; k++)
            last[k] = bits[i + k < n ? i + k : n - 1];
        memcpy(&x, last, sizeof x);
        x = N(encode_vector)(x, kind, flip, &special);
        differ |= x ^ base;
        memcpy(keys + i, &x, (size_t)(n - i) * sizeof *keys);
    }
    for (int k = 0; k < LANES; k++)
        *vary |= differ[k];
    return N(any)(special);
}

static bool N(encode)(KEY *keys, const KEY *bits, int64_t n, em__key_kind kind, KEY flip, KEY base, KEY *vary)
{
    switch (kind) {
    case EM__KEY_FLOAT: return N(encode_kind)(keys, bits, n, EM__KEY_FLOAT, flip, base, vary);
    case EM__KEY_SIGNED: return N(encode_kind)(keys, bits, n, EM__KEY_SIGNED, flip, base, vary);
    default: return N(encode_kind)(keys, bits, n, EM__KEY_UNSIGNED, flip, base, vary);
    }
}

static inline __attribute__((always_inline)) void N(decode_step)(KEY *bits, const KEY *keys, size_t bytes,
                                                                 em__key_kind kind, KEY flip)
{
    N(keys) x = {0};
    memcpy(&x, keys, bytes);
    x ^= flip;
    if (kind == EM__KEY_FLOAT)
        x ^= ~(N(keys))((N(signs))x >> (BITS - 1)) | TOP;
    else if (kind == EM__KEY_SIGNED)
        x ^= TOP;
    memcpy(bits, &x, bytes);
}

static void N(decode)(KEY *bits, const KEY *keys, int64_t n, em__key_kind kind, KEY flip)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) /* of a size that is known: a copy of any would pass through memory */
        N(decode_step)(bits + i, keys + i, sizeof(N(keys)), kind, flip);
    if (i < n)
        N(decode_step)(bits + i, keys + i, (size_t)(n - i) * sizeof *keys, kind, flip);
}

/* Batcher's merge exchange (Knuth, TAOCP 3, 5.2.2, algorithm M), for any n. */
static void N(network)(KEY *keys, int64_t n)
{
    N(keys) *x = (N(keys) *)(void *)keys;
    int64_t top = 1;
    while (2 * top < n)
        top *= 2;
    for (int64_t p = n > 1 ? top : 0; p > 0; p /= 2) {
        int64_t q = top, r = 0, d = p;
        for (;;) {
            for (int64_t from = r; from < n - d; from += 2 * p) {
                int64_t end = from + p < n - d ? from + p : n - d;
                for (int64_t i = from; i < end; i++) {
                    N(keys) a = x[i], b = x[i + d];
#ifdef LOW
                    x[i] = LOW(a, b);
                    x[i + d] = HIGH(a, b);
#else
                    N(keys) less = (N(keys))(a < b), swap = (a ^ b) & ~less;
                    x[i] = a ^ swap;
                    x[i + d] = b ^ swap;
#endif
                }
            }
            if (q == p)
                break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
}

static int64_t N(below)(const KEY *keys, int64_t n, KEY limit, int32_t *at)
{
    enum { STEP = 4 * LANES };
    int64_t count = 0, i = 0;
    for (; i + STEP <= n; i += STEP) {
        N(keys) x[4];
        memcpy(x, keys + i, sizeof x);
        N(keys) hit = (N(keys))((x[0] < limit) | (x[1] < limit) | (x[2] < limit) | (x[3] < limit));
        if (!N(any)(hit))
            continue;
        for (int k = 0; k < STEP; k++) {
            at[count] = (int32_t)(i + k);
            count += keys[i + k] < limit;
        }
    }
    for (; i < n; i++)
        if (keys[i] < limit)
            at[count++] = (int32_t)i;
    return count;
}

#undef KEY
#undef SIGNED_KEY
#undef INFINITE
#undef TOP
#undef LOW
#undef HIGH
#undef LANES
#undef BITS
#undef N
