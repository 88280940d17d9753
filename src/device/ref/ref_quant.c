/*
 * Quantized weights, naively. quantize is a recipe in float, each step rounded: the codes must be those of MLX bit for
 * bit. The product is taken in double over code * scale + bias.
 */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/float16.h"
#include "device/ref/ref.h"
#include "ops/quant.h"

static const float e2m1[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

static float e4m3_value(unsigned code)
{
    unsigned exponent = code >> 3 & 15, mantissa = code & 7;
    float v = exponent ? ldexpf(1 + (float)mantissa / 8, (int)exponent - 7) : ldexpf((float)mantissa, -9);
    return code & 0x80 ? -v : v;
}

/* The nearest, ties to even; 448 is the most. NaN is 0. */
static unsigned e4m3_code(float x)
{
    unsigned sign = signbit(x) ? 0x80 : 0, best = 0;
    float a = fabsf(x);
    if (isnan(x))
        return 0;
    if (a >= 448)
        return sign | 0x7e;
    while (e4m3_value(best + 1) <= a)
        best++;
    float below = a - e4m3_value(best), above = e4m3_value(best + 1) - a;
    return sign | (above < below || (above == below && best % 2) ? best + 1 : best);
}

/* The nearest, ties to the smaller; what becomes 0 is +0, NaN too. */
static unsigned e2m1_code(float x)
{
    unsigned code = 0;
    while (code < 7 && fabsf(x) > (e2m1[code] + e2m1[code + 1]) / 2)
        code++;
    return code && x < 0 ? code | 8 : code;
}

static float rounded(em_dtype dtype, float x)
{
    return dtype == EM_F16    ? em__f16_to_f32(em__f32_to_f16(x))
           : dtype == EM_BF16 ? em__bf16_to_f32(em__f32_to_bf16(x))
                              : x;
}

static void put_code(uint32_t *words, int64_t i, int64_t bits, unsigned code)
{
    for (int64_t b = 0; b < bits; b++) {
        int64_t at = i * bits + b;
        words[at / 32] &= ~((uint32_t)1 << at % 32);
        words[at / 32] |= (code >> b & 1u) << at % 32;
    }
}

/* One group: its elements, and where its results go. */
typedef struct group {
    const em__quant *q;
    const em__tensor *w;
    int64_t from, step; /* of the elements */
    uint32_t *words;    /* of the row of codes */
    int64_t first, index;
} group;

static float element(const group *g, int64_t j)
{
    return (float)em__ref_real(g->w->spec.dtype, g->w->data, g->from + j * g->step);
}

static void quantize_affine(const group *g, const em__tensor *scales, const em__tensor *biases)
{
    const float n = (float)((1 << g->q->bits) - 1);
    float lo = INFINITY, hi = -INFINITY;
    for (int64_t j = 0; j < g->q->group; j++) {
        float v = element(g, j);
        hi = v > hi ? v : hi;
        lo = v < lo ? v : lo;
    }
    bool mask = fabsf(lo) > fabsf(hi);
    float scale = (hi - lo) / n, bias = 0;
    scale = scale < 1e-7f ? 1e-7f : scale;
    scale = mask ? scale : -scale;
    float edge = mask ? lo : hi, q0 = rintf(edge / scale);
    if (q0 != 0) {
        scale = edge / q0;
        bias = edge;
    }
    for (int64_t j = 0; j < g->q->group; j++) {
        float c = rintf((element(g, j) - bias) / scale);
        put_code(g->words, g->first + j, g->q->bits, !(c > 0) ? 0 : c > n ? (unsigned)n : (unsigned)c);
    }
    em__ref_store_real(scales->spec.dtype, scales->data, g->index, (double)scale);
    em__ref_store_real(biases->spec.dtype, biases->data, g->index, (double)bias);
}

/* The least e with 2^e >= x, of those that a scale can have; 0 for 0. */
static int ceil_log2(float x)
{
    int e;
    if (x == 0)
        return 0;
    if (isinf(x))
        return 127;
    float m = frexpf(x, &e);
    e -= m == 0.5f;
    return e < -127 ? -127 : e;
}

static void quantize_micro(const group *g, const em__tensor *scales)
{
    const em_dtype dtype = g->w->spec.dtype;
    uint8_t *scale = (uint8_t *)scales->data + g->index;
    float most = 0, unit;
    for (int64_t j = 0; j < g->q->group; j++) {
        float v = fabsf(element(g, j));
        most = v > most ? v : most;
    }
    most = rounded(dtype, most / (g->q->bits == 8 ? 448.0f : 6.0f));
    if (g->q->mode == EM_QUANT_NVFP4) {
        *scale = (uint8_t)e4m3_code(most);
        unit = e4m3_value(*scale);
    } else {
        int e = ceil_log2(most);
        *scale = (uint8_t)(e + 127);
        unit = ldexpf(1, e);
    }
    for (int64_t j = 0; j < g->q->group; j++) {
        float v = unit == 0 ? 0 : element(g, j) / unit;
        put_code(g->words, g->first + j, g->q->bits, g->q->bits == 8 ? e4m3_code(v) : e2m1_code(v));
    }
}

em_status em__ref_quantize(em_device *device, const em__call *call)
{
    (void)device;
    const em__quant q = em__quant_decode(call->ints);
    const em__tensor *w = &call->in[0];
    em__tensor parts[3];
    int last = w->spec.rank - 1, n = q.mode == EM_QUANT_AFFINE ? 3 : 2;
    EM__TRY(em__call_parts(call, parts, n));
    int64_t k = w->spec.dims[last], words = parts[0].spec.dims[last], groups = k / q.group;
    em__spec outer = w->spec;
    outer.dims[last] = 1;
    em__walk walk = {.spec = &outer};
    int64_t rows = k ? em__spec_size(&outer) : 0;
    for (int64_t r = 0; r < rows; r++, em__walk_next(&walk))
        for (int64_t i = 0; i < groups; i++) {
            group g = {.q = &q, .w = w, .step = w->strides[last], .first = i * q.group, .index = r * groups + i};
            g.from = em__walk_offset(&walk, w) + g.first * g.step;
            g.words = (uint32_t *)parts[0].data + r * words;
            if (n == 3)
                quantize_affine(&g, &parts[1], &parts[2]);
            else
                quantize_micro(&g, &parts[1]);
        }
    return EM_OK;
}

/* A quantized array of any strides. */
typedef struct reader {
    em__quant q;
    const em__tensor *codes, *scales, *biases;
} reader;

static reader reader_of(const em__call *call, int first)
{
    reader r = {.q = em__quant_decode(call->ints), .codes = &call->in[first], .scales = &call->in[first + 1]};
    r.biases = r.q.mode == EM_QUANT_AFFINE ? &call->in[first + 2] : NULL;
    return r;
}

/* Where element i of a row lies; rows are counted over all axes but the last. */
static int64_t offset_of(const em__tensor *t, int64_t row, int64_t i)
{
    int axis = t->spec.rank - 1;
    int64_t offset = i * t->strides[axis];
    while (axis-- > 0) {
        offset += row % t->spec.dims[axis] * t->strides[axis];
        row /= t->spec.dims[axis];
    }
    return offset;
}

static unsigned get_code(const reader *r, int64_t row, int64_t i)
{
    unsigned code = 0;
    for (int64_t b = 0; b < r->q.bits; b++) {
        int64_t at = i * r->q.bits + b;
        uint32_t word = ((const uint32_t *)r->codes->data)[offset_of(r->codes, row, at / 32)];
        code |= (word >> at % 32 & 1u) << b;
    }
    return code;
}

/* Element i of a row: the code's value, its scale, its bias. */
static void read_element(const reader *r, int64_t row, int64_t i, double *value, double *scale, double *bias)
{
    int64_t at = offset_of(r->scales, row, i / r->q.group);
    unsigned code = get_code(r, row, i);
    *bias = 0;
    if (r->biases) {
        *value = code;
        *scale = em__ref_real(r->scales->spec.dtype, r->scales->data, at);
        *bias = em__ref_real(r->biases->spec.dtype, r->biases->data, offset_of(r->biases, row, i / r->q.group));
        return;
    }
    unsigned byte = ((const uint8_t *)r->scales->data)[at];
    float v = r->q.bits == 8 ? e4m3_value(code) : code & 8 ? -e2m1[code & 7] : e2m1[code];
    *value = (double)v;
    *scale = (double)(r->q.mode == EM_QUANT_NVFP4 ? e4m3_value(byte) : ldexpf(1, (int)byte - 127));
}

em_status em__ref_dequantize(em_device *device, const em__call *call)
{
    (void)device;
    reader r = reader_of(call, 0);
    const em_dtype dtype = call->out.spec.dtype;
    int64_t size = em__spec_size(&call->out.spec), k = size ? call->out.spec.dims[call->out.spec.rank - 1] : 1;
    for (int64_t i = 0; i < size; i++) {
        double value, scale, bias;
        read_element(&r, i / k, i % k, &value, &scale, &bias);
        float product = rounded(dtype, (float)value * (float)scale);
        em__ref_store_real(dtype, call->out.data, i, (double)(r.biases ? product + (float)bias : product));
    }
    return EM_OK;
}

static double element_of(const reader *r, int64_t row, int64_t i)
{
    double value, scale, bias;
    read_element(r, row, i, &value, &scale, &bias);
    return value * scale + bias;
}

em_status em__ref_quantized_matmul(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0];
    reader r = reader_of(call, 1);
    const int rank = x->spec.rank;
    const int64_t depth = x->spec.dims[rank - 1], n = call->out.spec.dims[rank - 1];
    const int64_t size = em__spec_size(&call->out.spec), w_rank = r.codes->spec.rank;
    const int64_t rows = r.codes->spec.dims[w_rank - 2], m = rank > 1 ? x->spec.dims[rank - 2] : 1;
    em__walk walk = {.spec = &call->out.spec};
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        const int64_t j = walk.at[rank - 1], from = em__walk_offset(&walk, x) - j * x->strides[rank - 1];
        const int64_t first = w_rank > 2 ? i / (n * m) * rows : 0; /* row of this weight of the batch */
        double sum = 0;
        for (int64_t k = 0; k < depth; k++)
            sum += em__ref_real(x->spec.dtype, x->data, from + k * x->strides[rank - 1]) *
                   (call->ints[3] ? element_of(&r, first + j, k) : element_of(&r, first + k, j));
        em__ref_store_real(call->out.spec.dtype, call->out.data, i, sum);
    }
    return EM_OK;
}
