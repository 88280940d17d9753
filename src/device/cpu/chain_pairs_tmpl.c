/* The pairs of one level. Included after its vecmath header, with PAIRS the name of the table. */
#include "device/cpu/chain_pairs.h"

typedef vf (*binary)(vf, vf);

static inline vf vf_rsub(vf x, vf c)
{
    return vf_sub(c, x);
}

static inline vf vf_rdiv(vf x, vf c)
{
    return vf_div(c, x);
}

static inline __attribute__((always_inline)) void loop(float *out, const float *a, const float *b, const float *c,
                                                       size_t n, int sb, int sc, binary first, binary second)
{
    vf vb = vf_set1(sb && n ? *b : 0.0f), vc = vf_set1(sc && n ? *c : 0.0f);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(out + i, second(first(vf_load(a + i), sb ? vb : vf_load(b + i)), sc ? vc : vf_load(c + i)));
    int rest = (int)(n - i);
    if (rest)
        vf_store_n(
            out + i,
            second(first(vf_load_n(a + i, rest), sb ? vb : vf_load_n(b + i, rest)), sc ? vc : vf_load_n(c + i, rest)),
            rest);
}

static inline __attribute__((always_inline)) void modes(float *out, const float *a, const float *b, const float *c,
                                                        size_t n, int scalars, binary first, binary second)
{
    if (scalars == 0)
        loop(out, a, b, c, n, 0, 0, first, second);
    else if (scalars == EM__PAIR_B)
        loop(out, a, b, c, n, 1, 0, first, second);
    else if (scalars == EM__PAIR_C)
        loop(out, a, b, c, n, 0, 1, first, second);
    else
        loop(out, a, b, c, n, 1, 1, first, second);
}

#define PAIR(first, second)                                                                                            \
    static void first##_##second(float *out, const float *a, const float *b, const float *c, size_t n, int scalars)    \
    {                                                                                                                  \
        modes(out, a, b, c, n, scalars, vf_##first, vf_##second);                                                      \
    }
#define ROW(first)                                                                                                     \
    PAIR(first, add)                                                                                                   \
    PAIR(first, sub)                                                                                                   \
    PAIR(first, mul)                                                                                                   \
    PAIR(first, div)                                                                                                   \
    PAIR(first, rsub)                                                                                                  \
    PAIR(first, rdiv)
ROW(add)
ROW(sub)
ROW(mul)
ROW(div)

#define NAMES(first)                                                                                                   \
    {                                                                                                                  \
        first##_add, first##_sub, first##_mul, first##_div, first##_rsub, first##_rdiv                                 \
    }
const em__pairs PAIRS = {NAMES(add), NAMES(sub), NAMES(mul), NAMES(div)};
