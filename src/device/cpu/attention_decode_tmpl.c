/*
 * Few queries against many keys, for one element type of keys and values. Included once each for f32, f16 and bf16
 * with E, FN(name), LOAD, LOAD_N, STORE_N, DTYPE. Sums run in LANES lanes at every level, so that they round
 * alike.
 */

/* Elements i .. i + LANES - 1 of `from`, of which those from n on are 0. */
static inline __attribute__((always_inline)) void FN(lanes)(vf *x, const E *from, int64_t i, int64_t n)
{
    if (i + LANES <= n) {
        EACH_PART x[p] = LOAD(from + i + p * VF_LANES);
        return;
    }
    EACH_PART
    {
        int64_t rest = n - i - p * VF_LANES;
        x[p] = vf_set1(0);
        if (rest > 0)
            x[p] = LOAD_N(from + i + p * VF_LANES, rest < VF_LANES ? (int)rest : VF_LANES);
    }
}

static inline __attribute__((always_inline)) void FN(score_rows)(float *scores, int64_t stride, const float *q,
                                                                 int64_t q_stride, int rows, const E *k, int64_t token,
                                                                 int64_t keys, int64_t dim)
{
    for (int64_t j = 0; j < keys; j++) {
        const E *key = k + j * token;
        vf sum[DECODE_ROWS][PARTS];
        for (int r = 0; r < rows; r++)
            EACH_PART sum[r][p] = vf_set1(0);
        for (int64_t i = 0; i < dim; i += LANES) {
            vf x[PARTS];
            FN(lanes)(x, key, i, dim);
            for (int r = 0; r < rows; r++)
                EACH_PART sum[r][p] = vf_fma(x[p], vf_load(q + r * q_stride + i + p * VF_LANES), sum[r][p]);
        }
        for (int r = 0; r < rows; r++)
            scores[r * stride + j] = lanes_sum(sum[r]);
    }
}

static void FN(decode_scores)(float *scores, int64_t stride, const float *q, int64_t q_stride, int rows, const void *k,
                              int64_t token, int64_t keys, int64_t dim)
{
    if (rows == 4)
        FN(score_rows)(scores, stride, q, q_stride, 4, k, token, keys, dim);
    else if (rows == 1)
        FN(score_rows)(scores, stride, q, q_stride, 1, k, token, keys, dim);
    else
        FN(score_rows)(scores, stride, q, q_stride, rows, k, token, keys, dim);
}

static inline __attribute__((always_inline)) void FN(value_rows)(float *out, int64_t out_stride, const float *weights,
                                                                 int64_t stride, int rows, const E *v, int64_t token,
                                                                 int64_t keys, int64_t dim)
{
    for (int64_t i = 0; i < dim; i += LANES * DECODE_TILE) {
        vf sum[DECODE_ROWS][DECODE_TILE][PARTS];
        for (int r = 0; r < rows; r++)
            DECODE_EACH_TILE EACH_PART sum[r][t][p] = vf_set1(0);
        for (int64_t j = 0; j < keys; j++) {
            vf x[DECODE_TILE][PARTS];
            DECODE_EACH_TILE FN(lanes)(x[t], v + j * token, i + t * LANES, dim);
            for (int r = 0; r < rows; r++) {
                const vf weight = vf_set1(weights[r * stride + j]);
                DECODE_EACH_TILE EACH_PART sum[r][t][p] = vf_fma(weight, x[t][p], sum[r][t][p]);
            }
        }
        for (int r = 0; r < rows; r++)
            DECODE_EACH_TILE EACH_PART vf_store(out + r * out_stride + i + t * LANES + p * VF_LANES, sum[r][t][p]);
    }
}

static void FN(decode_values)(float *out, int64_t out_stride, const float *weights, int64_t stride, int rows,
                              const void *v, int64_t token, int64_t keys, int64_t dim)
{
    if (rows == 4)
        FN(value_rows)(out, out_stride, weights, stride, 4, v, token, keys, dim);
    else if (rows == 1)
        FN(value_rows)(out, out_stride, weights, stride, 1, v, token, keys, dim);
    else
        FN(value_rows)(out, out_stride, weights, stride, rows, v, token, keys, dim);
}

static void FN(widen)(float *out, const void *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf_store_n(out + i, LOAD_N((const E *)x + i, count), count);
    }
}

static void FN(narrow)(void *out, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        STORE_N((E *)out + i, vf_load_n(x + i, count), count);
    }
}

static void FN(fill_decode)(em__attention_kernels *kernels)
{
    kernels->decode[DTYPE] = (em__decode_kernels){FN(decode_scores), FN(decode_values), FN(widen), FN(narrow)};
}

#undef E
#undef FN
#undef LOAD
#undef LOAD_N
#undef STORE_N
#undef DTYPE
