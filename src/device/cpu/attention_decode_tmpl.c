/*
 * Few queries against many keys, for one element type of keys and values. Included once each for f32, f16, bf16 and s8
 * with E, FN(name), LOAD, LOAD_N, STORE_N (without: nothing is narrowed to it), DTYPE. Sums run in LANES lanes at every
 * level, so that they round alike; how many keys are taken at a time, and which part of a value, changes no bit.
 *
 * Keys are taken DECODE_KEYS at a time for all rows, values a tile of features at a time over a run of keys that stays
 * in the first cache. Each asks for what is read after it, the values
 * or the next keys, while it computes. The plain level takes a row at a time.
 */

/* Elements i .. i + LANES - 1 of `from`; with `n`, those from n on are 0. */
static inline __attribute__((always_inline)) void FN(lanes)(vf *x, const E *from, int64_t i, int64_t n)
{
    EACH_PART
    {
        int64_t rest = n - i - p * VF_LANES;
        if (n == 0 || rest >= VF_LANES)
            x[p] = LOAD(from + i + p * VF_LANES);
        else
            x[p] = rest > 0 ? LOAD_N(from + i + p * VF_LANES, (int)rest) : vf_set1(0);
    }
}

/* Products of elements i .. i + LANES - 1 of `count` keys and `rows` queries; n as above. */
static inline __attribute__((always_inline)) void FN(score_step)(vf (*sum)[DECODE_KEYS][PARTS], const float *q,
                                                                 int64_t q_stride, int rows, const E *k, int64_t token,
                                                                 int count, int64_t i, int64_t n)
{
    DECODE_UNROLL for (int j = 0; j < count; j++)
    {
        vf x[PARTS];
        FN(lanes)(x, k + j * token, i, n);
        DECODE_UNROLL for (int r = 0; r < rows; r++) EACH_PART sum[r][j][p] =
            vf_fma(x[p], vf_load(q + r * q_stride + i + p * VF_LANES), sum[r][j][p]);
    }
}

/* scores of `count` keys, up to DECODE_KEYS, and `rows` queries */
static inline __attribute__((always_inline)) void FN(score_some)(float *scores, int64_t stride, const float *q,
                                                                 int64_t q_stride, int rows, const E *k, int64_t token,
                                                                 int count, int64_t dim)
{
    vf sum[DECODE_ROWS][DECODE_KEYS][PARTS];
    int64_t i = 0;
    DECODE_UNROLL for (int r = 0; r < rows; r++) DECODE_UNROLL for (int j = 0; j < count; j++) EACH_PART sum[r][j][p] =
        vf_set1(0);
    for (; i + LANES <= dim; i += LANES)
        FN(score_step)(sum, q, q_stride, rows, k, token, count, i, 0);
    if (i < dim)
        FN(score_step)(sum, q, q_stride, rows, k, token, count, i, dim);
    DECODE_UNROLL for (int r = 0; r < rows; r++)
    {
        if (count == 4)
            lanes_sum4(scores + r * stride, sum[r][0]);
        else
            DECODE_UNROLL for (int j = 0; j < count; j++) scores[r * stride + j] = lanes_sum(sum[r][j]);
    }
}

static inline __attribute__((always_inline)) void FN(score_rows)(float *scores, int64_t stride, const float *q,
                                                                 int64_t q_stride, int rows, const E *k, int64_t token,
                                                                 int64_t keys, int64_t dim, em__decode_ahead ahead)
{
    int64_t j = 0;
    for (; j + DECODE_KEYS <= keys; j += DECODE_KEYS) {
        ask_ahead(&ahead, j, DECODE_KEYS);
        FN(score_some)(scores + j, stride, q, q_stride, rows, k + j * token, token, DECODE_KEYS, dim);
    }
    for (; j < keys; j++)
        FN(score_some)(scores + j, stride, q, q_stride, rows, k + j * token, token, 1, dim);
}

static void FN(decode_scores)(float *scores, int64_t stride, const float *q, int64_t q_stride, int rows, const void *k,
                              int64_t token, int64_t keys, int64_t dim, em__decode_ahead ahead)
{
    for (int r = 0; r < rows && VF_LANES == 1; r++)
        FN(score_rows)(scores + r * stride, stride, q + r * q_stride, q_stride, 1, k, token, keys, dim, ahead);
    switch (VF_LANES == 1 ? 0 : rows) {
    case 0: break;
    case 1: FN(score_rows)(scores, stride, q, q_stride, 1, k, token, keys, dim, ahead); break;
    case 2: FN(score_rows)(scores, stride, q, q_stride, 2, k, token, keys, dim, ahead); break;
    case 3: FN(score_rows)(scores, stride, q, q_stride, 3, k, token, keys, dim, ahead); break;
    default: FN(score_rows)(scores, stride, q, q_stride, 4, k, token, keys, dim, ahead); break;
    }
}

/* out += weights v, of `tile` vectors of features from i on; n as above */
static inline __attribute__((always_inline)) void FN(value_tile)(float *out, int64_t out_stride, const float *weights,
                                                                 int64_t stride, int rows, int tile, const E *v,
                                                                 int64_t token, int64_t keys, int64_t i, int64_t n,
                                                                 em__decode_ahead ahead)
{
    vf sum[DECODE_ROWS][DECODE_TILE][PARTS];
    DECODE_UNROLL for (int r = 0; r < rows; r++) DECODE_UNROLL for (int t = 0; t < tile; t++) EACH_PART sum[r][t][p] =
        vf_load(out + r * out_stride + i + t * LANES + p * VF_LANES);
    for (int64_t j = 0; j < keys; j++) {
        vf weight[DECODE_ROWS];
        ask_ahead(&ahead, j, 1);
        DECODE_UNROLL for (int r = 0; r < rows; r++) weight[r] = vf_set1(weights[r * stride + j]);
        DECODE_UNROLL for (int t = 0; t < tile; t++)
        {
            vf x[PARTS];
            FN(lanes)(x, v + j * token, i + t * LANES, n);
            DECODE_UNROLL for (int r = 0; r < rows; r++) EACH_PART sum[r][t][p] = vf_fma(weight[r], x[p], sum[r][t][p]);
        }
    }
    DECODE_UNROLL for (int r = 0; r < rows; r++) DECODE_UNROLL for (int t = 0; t < tile; t++)
        EACH_PART vf_store(out + r * out_stride + i + t * LANES + p * VF_LANES, sum[r][t][p]);
}

static inline __attribute__((always_inline)) void FN(value_rows)(float *out, int64_t out_stride, const float *weights,
                                                                 int64_t stride, int rows, int tile, const E *v,
                                                                 int64_t token, int64_t keys, int64_t dim,
                                                                 em__decode_ahead ahead)
{
    for (int r = 0; r < rows; r++)
        for (int64_t i = 0; i < dim; i += LANES)
            EACH_PART vf_store(out + r * out_stride + i + p * VF_LANES, vf_set1(0));
    for (int64_t j = 0; j < keys; j += DECODE_RUN) {
        int64_t i = 0, n = keys - j < DECODE_RUN ? keys - j : DECODE_RUN;
        em__decode_ahead next = ahead;
        if (next.from)
            next.from += j * next.step;
        for (; i + tile * LANES <= dim; i += tile * LANES) {
            FN(value_tile)(out, out_stride, weights + j, stride, rows, tile, v + j * token, token, n, i, 0, next);
            next.from = NULL;
        }
        for (; i < dim; i += LANES) {
            FN(value_tile)(out, out_stride, weights + j, stride, rows, 1, v + j * token, token, n, i, dim, next);
            next.from = NULL;
        }
    }
}

static void FN(decode_values)(float *out, int64_t out_stride, const float *weights, int64_t stride, int rows,
                              const void *v, int64_t token, int64_t keys, int64_t dim, em__decode_ahead ahead)
{
    for (int r = 0; r < rows && VF_LANES == 1; r++)
        FN(value_rows)
    (out + r * out_stride, out_stride, weights + r * stride, stride, 1, 1, v, token, keys, dim, ahead);
    switch (VF_LANES == 1 ? 0 : rows) {
    case 0: break;
    case 1: FN(value_rows)(out, out_stride, weights, stride, 1, DECODE_TILE, v, token, keys, dim, ahead); break;
    case 2: FN(value_rows)(out, out_stride, weights, stride, 2, DECODE_TILE, v, token, keys, dim, ahead); break;
    case 3: FN(value_rows)(out, out_stride, weights, stride, 3, DECODE_TILE / 2, v, token, keys, dim, ahead); break;
    default: FN(value_rows)(out, out_stride, weights, stride, 4, DECODE_TILE / 2, v, token, keys, dim, ahead); break;
    }
}

static void FN(widen)(float *out, const void *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf_store_n(out + i, LOAD_N((const E *)x + i, count), count);
    }
}

#ifdef STORE_N
static void FN(narrow)(void *out, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        STORE_N((E *)out + i, vf_load_n(x + i, count), count);
    }
}
#endif

static void FN(fill_decode)(em__attention_kernels *kernels)
{
    em__decode_kernels *k = &kernels->decode[DTYPE];
    *k = (em__decode_kernels){.scores = FN(decode_scores), .values = FN(decode_values), .widen = FN(widen)};
#ifdef STORE_N
    k->narrow = FN(narrow);
#endif
}

#undef E
#undef FN
#undef LOAD
#undef LOAD_N
#undef STORE_N
#undef DTYPE
