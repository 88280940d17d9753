/*
 * Row kernels in vectors of f32. Included once for each of f32, f16 and bf16, with
 *   E, FN(name), DTYPE                         the element as stored, function names, the enumerator
 *   LOAD, LOAD_N, STORE, STORE_N               between memory and vf
 *   EXACT                                      1 if storing a vf loses nothing (f32)
 * A softmax of f32 keeps the exponentials in the output row between its passes; the narrow types compute them twice.
 */

/* h = x + residual; `n` lanes of it, the rest zero. */
static inline __attribute__((always_inline)) vf FN(load_h)(const E *x, const E *residual, size_t i, int n)
{
    vf h = n == VF_LANES ? LOAD(x + i) : LOAD_N(x + i, n);
    if (residual)
        h = vf_add(h, n == VF_LANES ? LOAD(residual + i) : LOAD_N(residual + i, n));
    return h;
}

/* The sum of term(h, shift) over the row, in the fixed tree. */
static inline __attribute__((always_inline)) float FN(sum_terms)(const E *x, const E *residual, size_t n, vf shift,
                                                                 vf (*term)(vf, vf))
{
    vf acc[VF_TREE];
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++)
        acc[j] = vf_set1(0.0f);
    size_t i = 0;
    for (; i + VF_TREE_LANES <= n; i += VF_TREE_LANES) {
        VF_TREE_UNROLL
        for (int j = 0; j < VF_TREE; j++)
            acc[j] = vf_add(acc[j], term(FN(load_h)(x, residual, i + (size_t)j * VF_LANES, VF_LANES), shift));
    }
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++, i += VF_LANES) {
        if (i >= n)
            break;
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf t = term(FN(load_h)(x, residual, i, count), shift);
        acc[j] = vf_add(acc[j], count < VF_LANES ? vf_pad(t, count, vf_set1(0.0f)) : t);
    }
    return vf_tree_add(acc);
}

/* NaN does not count: it comes back through the sum of exponentials. */
static inline float FN(row_max)(const E *x, size_t n)
{
    vf lowest = vf_set1(-VF_INFINITY), acc[VF_TREE];
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++)
        acc[j] = lowest;
    size_t i = 0;
    for (; i + VF_TREE_LANES <= n; i += VF_TREE_LANES) {
        VF_TREE_UNROLL
        for (int j = 0; j < VF_TREE; j++)
            acc[j] = vf_max(LOAD(x + i + (size_t)j * VF_LANES), acc[j]);
    }
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++, i += VF_LANES) {
        if (i >= n)
            break;
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        acc[j] = vf_max(vf_pad(LOAD_N(x + i, count), count, lowest), acc[j]);
    }
    return vf_tree_max(acc);
}

#if EXACT
/* out = exp(x - largest); returns the sum in the fixed tree. */
static inline float FN(store_exps)(E *out, const E *x, size_t n, float largest)
{
    vf shift = vf_set1(largest), acc[VF_TREE];
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++)
        acc[j] = vf_set1(0.0f);
    size_t i = 0;
    for (; i + VF_TREE_LANES <= n; i += VF_TREE_LANES) {
        VF_TREE_UNROLL
        for (int j = 0; j < VF_TREE; j++) {
            size_t at = i + (size_t)j * VF_LANES;
            vf e = vf_exp_term(LOAD(x + at), shift);
            STORE(out + at, e);
            acc[j] = vf_add(acc[j], e);
        }
    }
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++, i += VF_LANES) {
        if (i >= n)
            break;
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf e = vf_exp_term(LOAD_N(x + i, count), shift);
        STORE_N(out + i, e, count);
        acc[j] = vf_add(acc[j], vf_pad(e, count, vf_set1(0.0f)));
    }
    return vf_tree_add(acc);
}
#endif

/* out = f(x, a, b), elementwise with two constants of the row. */
static inline __attribute__((always_inline)) void FN(map_row)(E *out, const E *x, size_t n, vf a, vf b,
                                                              vf (*f)(vf, vf, vf))
{
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        STORE(out + i, f(LOAD(x + i), a, b));
    if (i < n)
        STORE_N(out + i, f(LOAD_N(x + i, (int)(n - i)), a, b), (int)(n - i));
}

static void FN(softmax)(void *out, const void *x, size_t cols)
{
    float largest = FN(row_max)(x, cols);
#if EXACT
    float sum = FN(store_exps)(out, x, cols, largest);
    FN(map_row)(out, out, cols, vf_set1(1.0f / sum), vf_set1(0.0f), vf_scale_row);
#else
    float sum = FN(sum_terms)(x, NULL, cols, vf_set1(largest), vf_exp_term);
    FN(map_row)(out, x, cols, vf_set1(largest), vf_set1(1.0f / sum), vf_exp_scale);
#endif
}

static void FN(log_softmax)(void *out, const void *x, size_t cols)
{
    float largest = FN(row_max)(x, cols);
    float sum = FN(sum_terms)(x, NULL, cols, vf_set1(largest), vf_exp_term);
    FN(map_row)(out, x, cols, vf_set1(largest), vf_set1(logf(sum)), vf_sub_both);
}

/* A row of -inf alone is -inf, one with +inf in it is +inf: here the limit is plain. */
static void FN(logsumexp)(void *out, const void *x, size_t cols)
{
    float largest = FN(row_max)(x, cols), result = largest;
    if (largest - largest == 0.0f)
        result += logf(FN(sum_terms)(x, NULL, cols, vf_set1(largest), vf_exp_term));
    else
        result += FN(sum_terms)(x, NULL, cols, vf_set1(0.0f), vf_nan_or_0);
    STORE_N((E *)out, vf_set1(result), 1);
}

/* out = ((h - center) * scale) * weight + bias. */
static inline __attribute__((always_inline)) void FN(affine)(E *out, const E *x, const E *residual, const E *weight,
                                                             const E *bias, size_t n, vf center, vf scale)
{
    for (size_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf y = vf_mul(vf_sub(FN(load_h)(x, residual, i, count), center), scale);
        if (weight && bias)
            y = vf_fma(y, FN(load_h)(weight, NULL, i, count), FN(load_h)(bias, NULL, i, count));
        else if (weight)
            y = vf_mul(y, FN(load_h)(weight, NULL, i, count));
        else if (bias)
            y = vf_add(y, FN(load_h)(bias, NULL, i, count));
        if (count == VF_LANES)
            STORE(out + i, y);
        else
            STORE_N(out + i, y, count);
    }
}

static void FN(layer_norm)(void *out, const void *x, const void *residual, const void *weight, const void *bias,
                           double eps, size_t cols)
{
    float mean = FN(sum_terms)(x, residual, cols, vf_set1(0.0f), vf_first_of) / (float)cols;
    float variance = FN(sum_terms)(x, residual, cols, vf_set1(mean), vf_centred_square) / (float)cols;
    float scale = 1.0f / sqrtf(variance + (float)eps);
    FN(affine)(out, x, residual, weight, bias, cols, vf_set1(mean), vf_set1(scale));
}

static void FN(rms_norm)(void *out, const void *x, const void *residual, const void *weight, const void *bias,
                         double eps, size_t cols)
{
    float square = FN(sum_terms)(x, residual, cols, vf_set1(0.0f), vf_centred_square) / (float)cols;
    float scale = 1.0f / sqrtf(square + (float)eps);
    FN(affine)(out, x, residual, weight, bias, cols, vf_set1(0.0f), vf_set1(scale));
}

static void FN(l2_norm)(void *out, const void *x, const void *residual, const void *weight, const void *bias,
                        double eps, size_t cols)
{
    float length = sqrtf(FN(sum_terms)(x, residual, cols, vf_set1(0.0f), vf_centred_square));
    float scale = 1.0f / (length < (float)eps ? (float)eps : length);
    FN(affine)(out, x, residual, weight, bias, cols, vf_set1(0.0f), vf_set1(scale));
}

static void FN(fill)(em__rows *k)
{
    k->softmax[EM__SOFTMAX][DTYPE] = FN(softmax);
    k->softmax[EM__LOG_SOFTMAX][DTYPE] = FN(log_softmax);
    k->softmax[EM__LOGSUMEXP][DTYPE] = FN(logsumexp);
    k->norm[EM__LAYER_NORM][DTYPE] = FN(layer_norm);
    k->norm[EM__RMS_NORM][DTYPE] = FN(rms_norm);
    k->norm[EM__L2_NORM][DTYPE] = FN(l2_norm);
}

#undef E
#undef FN
#undef LOAD
#undef LOAD_N
#undef STORE
#undef STORE_N
#undef DTYPE
#undef EXACT
