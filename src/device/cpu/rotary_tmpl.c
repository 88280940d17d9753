/* Rows of one element type. Included for f32, f16 and bf16 with E, FN, LOAD, LOAD_N, STORE, STORE_N, DTYPE. */

static inline __attribute__((always_inline)) void FN(turn)(E *out, const E *x, const float *c, const float *s,
                                                           int64_t half, int64_t step, int64_t i, int n)
{
    const bool whole = n == VF_LANES;
    vf a = whole ? LOAD(x + i) : LOAD_N(x + i, n), b = whole ? LOAD(x + half + i) : LOAD_N(x + half + i, n);
    vf c1 = whole ? vf_load(c + i) : vf_load_n(c + i, n), s1 = whole ? vf_load(s + i) : vf_load_n(s + i, n);
    vf c2 = c1, s2 = s1;
    if (step) {
        c2 = whole ? vf_load(c + step + i) : vf_load_n(c + step + i, n);
        s2 = whole ? vf_load(s + step + i) : vf_load_n(s + step + i, n);
    }
    vf first = vf_sub(vf_mul(a, c1), vf_mul(b, s1)), second = vf_add(vf_mul(b, c2), vf_mul(a, s2));
    if (whole) {
        STORE(out + i, first);
        STORE(out + half + i, second);
    } else {
        STORE_N(out + i, first, n);
        STORE_N(out + half + i, second, n);
    }
}

static void FN(halves)(void *out, const void *x, const float *c, const float *s, int64_t half, bool full)
{
    const int64_t step = full ? half : 0;
    int64_t i = 0;
    for (; i + VF_LANES <= half; i += VF_LANES)
        FN(turn)(out, x, c, s, half, step, i, VF_LANES);
    if (i < half)
        FN(turn)(out, x, c, s, half, step, i, (int)(half - i));
}

static void FN(pairs)(void *out, const void *x, const float *c, const float *s, int64_t half, bool full)
{
    float in[BLOCK], turned[BLOCK];
    for (int64_t i = 0; i < half; i += BLOCK / 2) {
        int64_t n = 2 * (half - i) < BLOCK ? 2 * (half - i) : BLOCK, at = full ? 2 * i : i;
        const E *from = (const E *)x + 2 * i;
        E *to = (E *)out + 2 * i;
        for (int64_t j = 0; j < n; j += VF_LANES)
            vf_store(in + j, n - j < VF_LANES ? LOAD_N(from + j, (int)(n - j)) : LOAD(from + j));
        turn_pairs(turned, in, c + at, s + at, n / 2, full);
        for (int64_t j = 0; j < n; j += VF_LANES) {
            if (n - j < VF_LANES)
                STORE_N(to + j, vf_load(turned + j), (int)(n - j));
            else
                STORE(to + j, vf_load(turned + j));
        }
    }
}

static void FN(fill)(em__rotary *k)
{
    k->halves[DTYPE] = FN(halves);
    k->pairs[DTYPE] = FN(pairs);
}

#undef E
#undef FN
#undef LOAD
#undef LOAD_N
#undef STORE
#undef STORE_N
#undef DTYPE
