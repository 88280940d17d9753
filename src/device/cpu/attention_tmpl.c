/*
 * Row operations of attention over any vector width. The including file has chosen a vecmath header and defines
 *     static float lanes_max(const vf *x), lanes_sum(const vf *x)
 *     static void lanes_sum4(float *sums, const vf *x)             the sums of four
 *     static vf load_s8(const int8_t *p), load_s8_n(const int8_t *p, int n)
 *     static void store_s8_n(int8_t *p, vf x, int n)               x integers in [-128, 127]
 * over EM__ATTENTION_LANES lanes, whose sum adds lane i + 8 to lane i, then i + 4, i + 2, i + 1: so that every width
 * rounds alike.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/attention_kernels.h"

#define LANES EM__ATTENTION_LANES
#define PARTS (LANES / VF_LANES)
#define EACH_PART _Pragma("GCC unroll 16") for (int p = 0; p < PARTS; p++)

/* score * scale + add, each rounded, in place; the lanes after n become -inf. */
static void shift_scores(float *scores, const float *add, int64_t n, float scale)
{
    const vf factor = vf_set1(scale);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf x = vf_mul(vf_load(scores + i), factor);
        vf_store(scores + i, add ? vf_add(x, vf_load(add + i)) : x);
    }
    for (; i < n; i++)
        scores[i] = scores[i] * scale + (add ? add[i] : 0);
}

static float row_max(const float *scores, int64_t end)
{
    vf top[PARTS];
    EACH_PART top[p] = vf_set1(-INFINITY);
    for (int64_t i = 0; i < end; i += LANES)
        EACH_PART top[p] = vf_max(top[p], vf_load(scores + i + p * VF_LANES));
    return lanes_max(top);
}

/* exp(score * scale - maximum) in place, 0 below -104; returns the sum. Nothing here exceeds exp of a rounding error.
 * From n on all are -inf, and compute something else first: a result that underflows takes a processor a hundred times
 * as long. */
static float row_exp(float *scores, int64_t n, int64_t end, float scale, float maximum)
{
    const vf factor = vf_set1(scale), shift = vf_set1(-maximum), least = vf_set1(-104.0f), zero = vf_set1(0);
    vf sum[PARTS];
    EACH_PART sum[p] = vf_set1(0);
    for (int64_t i = 0; i < end; i += LANES) {
        const bool whole = i + LANES <= n;
        EACH_PART
        {
            float *at = scores + i + p * VF_LANES;
            vf x = vf_fma(vf_load(at), factor, shift), e;
            if (whole) {
                e = vf_exp_bounded(vf_max(least, x));
            } else {
                vm none = vf_lt(x, least);
                e = vf_select(none, zero, vf_exp_bounded(vf_select(none, zero, x)));
            }
            sum[p] = vf_add(sum[p], e);
            vf_store(at, e);
        }
    }
    return lanes_sum(sum);
}

/* The lanes from n to end become -inf; by a whole vector: one that is read while some of its lanes are on their way to
 * memory waits for them. */
static void hide_rest(float *scores, int64_t n, int64_t end)
{
    static const float lanes[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vf there = vf_set1((float)(n - (end - LANES)));
    EACH_PART
    {
        float *at = scores + end - LANES + p * VF_LANES;
        vm seen = vf_lt(vf_load(lanes + p * VF_LANES), there);
        vf_store(at, vf_select(seen, vf_load(at), vf_set1(-INFINITY)));
    }
}

static float softmax_row(float *scores, const float *add, int64_t n, int64_t filled, float scale,
                         em__softmax_state *state)
{
    if (n <= 0) {
        memset(scores, 0, (size_t)filled * sizeof *scores);
        return 1;
    }
    if (add || !(scale > 0)) {
        shift_scores(scores, add, n, scale);
        scale = 1;
    }
    const int64_t end = (n + LANES - 1) / LANES * LANES;
    if (n < end)
        hide_rest(scores, n, end);
    float maximum = row_max(scores, end) * scale;
    maximum = maximum > state->maximum ? maximum : state->maximum;
    const float finite = maximum == -INFINITY ? 0 : maximum;
    const float sum = row_exp(scores, n, end, scale, finite);
    for (int64_t i = end; i < filled; i++)
        scores[i] = 0;
    const float kept = state->sum == 0 ? 0 : expf(state->maximum - finite);
    state->sum = state->sum * kept + sum;
    state->maximum = maximum;
    return kept;
}

static void cap_row(float *scores, int64_t n, float by, float cap)
{
    const vf factor = vf_set1(by), top = vf_set1(cap);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf_store_n(scores + i, vf_mul(top, vf_tanh(vf_mul(vf_load_n(scores + i, count), factor))), count);
    }
}

static void scale_row(float *out, const float *x, float by, int64_t n)
{
    const vf factor = vf_set1(by);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(out + i, vf_mul(vf_load(x + i), factor));
    for (; i < n; i++)
        out[i] = x[i] * by;
}

static void add_row(float *out, const float *x, float by, int64_t n)
{
    const vf factor = vf_set1(by);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf_store_n(out + i, vf_fma(vf_load_n(x + i, count), factor, vf_load_n(out + i, count)), count);
    }
}

static void multiply_row(float *x, const float *by, int64_t n)
{
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf_store_n(x + i, vf_mul(vf_load_n(x + i, count), vf_load_n(by + i, count)), count);
    }
}

static float code_scale(const float *x, int64_t n)
{
    vf top[PARTS], wrong[PARTS];
    EACH_PART top[p] = wrong[p] = vf_set1(0);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        vf v = vf_load_n(x + i, n - i < VF_LANES ? (int)(n - i) : VF_LANES);
        top[0] = vf_max(top[0], vf_abs(v));
        wrong[0] = vf_add(wrong[0], vf_mul(v, vf_set1(0)));
    }
    return lanes_sum(wrong) == 0 ? lanes_max(top) / 127 : NAN;
}

static void encode_row(int8_t *codes, const float *x, float scale, int64_t n)
{
    const vf by = vf_set1(scale), most = vf_set1(127), least = vf_set1(-127);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf code = vf_round_even(vf_div(vf_load_n(x + i, count), by));
        store_s8_n(codes + i, vf_max(least, vf_min(most, code)), count);
    }
}

#define DECODE_ROWS EM__DECODE_ROWS
#define DECODE_KEYS (VF_LANES == 16 ? 4 : VF_LANES > 1 ? 2 : 1)
#define DECODE_TILE (VF_LANES == 16 ? 8 : 4) /* vectors of LANES that are summed at a time for up to two rows */
#define DECODE_RUN 32                        /* keys whose values are read once for all tiles */
#define DECODE_UNROLL _Pragma("GCC unroll 8")

/* Brings rows j .. j + n - 1 of what comes next into the second cache. */
static inline void ask_ahead(const em__decode_ahead *ahead, int64_t j, int n)
{
    for (int64_t r = j; ahead->from && r < j + n; r++)
        for (int64_t i = 0; i < ahead->bytes; i += 64)
            __builtin_prefetch(ahead->from + r * ahead->step + i, 0, 2);
}

#define E float
#define FN(name) f32_##name
#define LOAD(at) vf_load(at)
#define LOAD_N(at, n) vf_load_n(at, n)
#define STORE_N(at, x, n) vf_store_n(at, x, n)
#define DTYPE EM_F32
#include "device/cpu/attention_decode_tmpl.c"

#define E uint16_t
#define FN(name) f16_##name
#define LOAD(at) vf_load_f16(at)
#define LOAD_N(at, n) vf_load_f16_n(at, n)
#define STORE_N(at, x, n) vf_store_f16_n(at, x, n)
#define DTYPE EM_F16
#include "device/cpu/attention_decode_tmpl.c"

#define E uint16_t
#define FN(name) bf16_##name
#define LOAD(at) vf_load_bf16(at)
#define LOAD_N(at, n) vf_load_bf16_n(at, n)
#define STORE_N(at, x, n) vf_store_bf16_n(at, x, n)
#define DTYPE EM_BF16
#include "device/cpu/attention_decode_tmpl.c"

#define E int8_t
#define FN(name) s8_##name
#define LOAD(at) load_s8(at)
#define LOAD_N(at, n) load_s8_n(at, n)
#define DTYPE EM_S8
#include "device/cpu/attention_decode_tmpl.c"

static void fill_kernels(em__attention_kernels *kernels)
{
    kernels->softmax = softmax_row;
    kernels->scale = scale_row;
    kernels->cap = cap_row;
    kernels->add = add_row;
    kernels->multiply = multiply_row;
    kernels->code_scale = code_scale;
    kernels->encode = encode_row;
    f32_fill_decode(kernels);
    f16_fill_decode(kernels);
    bf16_fill_decode(kernels);
    s8_fill_decode(kernels);
}
