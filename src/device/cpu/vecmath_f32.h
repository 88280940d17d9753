/*
 * Elementary functions of a vector of f32, written once over the primitives of vecmath_{portable,avx2,avx512}.h.
 *
 * Contract: the formula and the order of its operations are the same at every level, so AVX2 and AVX-512 give the
 * same bits, and a lane's result depends on that lane's input alone. exp, expm1, log, log1p, tanh, erf and rsqrt are
 * within 2 ulp over all of f32, denormals included; sigmoid, sin and cos within 2.5, tan within 4. silu and the gelus
 * are products of those: where x is negative their error is within 3 ulp of |x| / 2. Polynomials are minimax fits with
 * coefficients rounded to f32 one after the other.
 *
 * Limits instead of NaN where a formula would multiply 0 by infinity: silu and gelu of -inf are -0.
 */
#ifndef EM_DEVICE_CPU_VECMATH_F32_H
#define EM_DEVICE_CPU_VECMATH_F32_H

#include <math.h>

/* The loops below have constant bounds and hold whole polynomials in registers: they must vanish at every -O level. */
#if defined(__GNUC__) && !defined(__clang__)
#define VF_UNROLL _Pragma("GCC unroll 16")
#else
#define VF_UNROLL
#endif

#define VF_INFINITY ((float)INFINITY)
#define VF_LN2_HIGH 0x1.62e4p-1f /* 16 bits: times an exponent it is exact */
#define VF_LN2_LOW 0x1.7f7d1cp-20f
#define VF_LOG2_E 0x1.715476p+0f

/* f lane by lane: for what is rare, or has no vector form here. */
static inline vf vf_map(vf x, float (*f)(float))
{
    float lanes[VF_LANES];
    vf_store(lanes, x);
    for (int i = 0; i < VF_LANES; i++)
        lanes[i] = f(lanes[i]);
    return vf_load(lanes);
}

static inline vf vf_map2(vf x, vf y, float (*f)(float, float))
{
    float a[VF_LANES], b[VF_LANES];
    vf_store(a, x);
    vf_store(b, y);
    for (int i = 0; i < VF_LANES; i++)
        a[i] = f(a[i], b[i]);
    return vf_load(a);
}

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) by Horner's rule. */
static inline __attribute__((always_inline)) vf vf_poly(vf x, const float *c, int n)
{
    vf p = vf_set1(c[n - 1]);
    VF_UNROLL
    for (int i = n - 2; i >= 0; i--)
        p = vf_fma(p, x, vf_set1(c[i]));
    return p;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2. */
static inline vf vf__exp_reduce(vf x, vf *n)
{
    *n = vf_round_even(vf_mul(x, vf_set1(VF_LOG2_E)));
    return vf_fnma(*n, vf_set1(VF_LN2_LOW), vf_fnma(*n, vf_set1(VF_LN2_HIGH), x));
}

/* exp for -150 <= x <= 100, or NaN: no clamping. */
static inline vf vf_exp_bounded(vf x)
{
    static const float c[7] = {1.0f,           1.0f, 4.999999404e-1f, 1.666652113e-1f, 4.166828841e-2f, 8.368703537e-3f,
                               1.381893875e-3f};
    vf n, r = vf__exp_reduce(x, &n);
    return vf_scale(vf_poly(r, c, 7), n);
}

static inline vf vf_exp(vf x)
{
    return vf_exp_bounded(vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x)));
}

/* 2^n (exp(r) - 1) + (2^n - 1); the halved exponent keeps 2^128 finite until the end. */
static inline vf vf_expm1(vf x)
{
    static const float c[7] = {1.0f,           0.5f, 1.666666567e-1f, 4.166649282e-2f, 8.333543316e-3f, 1.393236453e-3f,
                               1.976433123e-4f};
    vf bounded = vf_min(vf_set1(89.0f), vf_max(vf_set1(-18.0f), x));
    vf n, r = vf__exp_reduce(bounded, &n);
    vf q = vf_mul(r, vf_poly(r, c, 7));
    vm plain = vf_eq(n, vf_set1(0.0f));
    vf half = vf_scale(vf_set1(0.5f), n);
    vf y = vf_fma(half, q, vf_sub(half, vf_set1(0.5f)));
    y = vf_select(plain, q, vf_add(y, y));
    return vf_select(vf_eq(x, vf_set1(0.0f)), x, y);
}

/* log(1 + f) + e ln 2 for sqrt(1/2) - 1 <= f <= sqrt(2) - 1. */
static inline vf vf__log_sum(vf f, vf e)
{
    static const float c[8] = {3.333333135e-1f, -2.500081956e-1f, 2.000124007e-1f, -1.662340760e-1f,
                               1.420162767e-1f, -1.315968335e-1f, 1.276186109e-1f, -7.635750622e-2f};
    vf square = vf_mul(f, f);
    vf y = vf_mul(vf_mul(f, square), vf_poly(f, c, 8));
    y = vf_fma(e, vf_set1(VF_LN2_LOW), y);
    y = vf_add(vf_fnma(vf_set1(0.5f), square, y), f);
    return vf_fma(e, vf_set1(VF_LN2_HIGH), y);
}

/* x = m 2^e with sqrt(1/2) <= m < sqrt(2), for a positive normal x. */
static inline vf vf__log_split(vf x, vf *e)
{
    vi offset = vi_sub(vf_bits(x), vi_set1(0x3f3504f3));
    vi exponent = vi_sar(offset, 23);
    *e = vi_to_f32(exponent);
    return vi_bits(vi_sub(vf_bits(x), vi_shl(exponent, 23)));
}

/* What log does at its edges, where the formula does not hold; x is log's argument. */
static inline vf vf__log_edges(vf x, vf y)
{
    vf zero = vf_set1(0.0f), infinity = vf_set1(VF_INFINITY);
    y = vf_select(vf_lt(x, infinity), y, x);
    y = vf_select(vf_eq(x, zero), vf_neg(infinity), y);
    return vf_select(vf_lt(x, zero), vf_set1((float)NAN), y);
}

static inline vf vf_log(vf x)
{
    vm small = vf_lt(x, vf_set1(0x1p-126f));
    vf e, m = vf__log_split(vf_select(small, vf_mul(x, vf_set1(0x1p23f)), x), &e);
    e = vf_select(small, vf_sub(e, vf_set1(23.0f)), e);
    return vf__log_edges(x, vf__log_sum(vf_sub(m, vf_set1(1.0f)), e));
}

/* With u = 1 + x rounded and its exponent e, f = x 2^-e + (2^-e - 1) is rounded once: no digit of a small x is lost. */
static inline vf vf_log1p(vf x)
{
    vf one = vf_set1(1.0f), u = vf_add(x, one), e;
    vf__log_split(u, &e);
    vf scale = vf_scale(one, vf_neg(e));
    vf f = vf_fma(x, scale, vf_sub(scale, one));
    vf y = vf__log_edges(u, vf__log_sum(f, e));
    return vf_select(vf_eq(x, vf_set1(0.0f)), x, y);
}

/* Below 0.625 an odd polynomial, above it 1 - 2 / (exp(2|x|) + 1). */
static inline vf vf_tanh(vf x)
{
    static const float c[5] = {-3.333328068e-1f, 1.333141029e-1f, -5.373726785e-2f, 2.063172311e-2f, -5.697345827e-3f};
    vf a = vf_abs(x), bounded = vf_min(vf_set1(10.0f), a);
    vf e = vf_exp_bounded(vf_add(bounded, bounded));
    vf large = vf_sub(vf_set1(1.0f), vf_div(vf_set1(2.0f), vf_add(e, vf_set1(1.0f))));
    vf z = vf_mul(a, a);
    vf small = vf_fma(vf_mul(a, z), vf_poly(z, c, 5), a);
    return vf_copysign(vf_select(vf_lt(a, vf_set1(0.625f)), small, large), x);
}

/* Sixteen polynomials around j * 33/128, |h| <= 33/256; the last one reaches 1. The first is of erf(h) - h, whose slope
 * keeps more digits: its constant term is h, which the maximum puts there because all other constants exceed h. */
static inline vf vf_erf(vf x)
{
    static const float c[7][16] = {
        {0.0f, 2.845914364e-01f, 5.341230631e-01f, 7.259598374e-01f, 8.552718163e-01f, 9.316980839e-01f,
         9.713020921e-01f, 9.892958999e-01f, 9.964637756e-01f, 9.989671111e-01f, 9.997336864e-01f, 9.999394417e-01f,
         9.999878407e-01f, 9.999978542e-01f, 9.999996424e-01f, 9.999999404e-01f},
        {1.283791661e-01f, 1.055817127e+00f, 8.649471402e-01f, 6.203798652e-01f, 3.895767629e-01f, 2.141882777e-01f,
         1.031016335e-01f, 4.345129058e-02f, 1.603271440e-02f, 5.179390777e-03f, 1.464932342e-03f, 3.627636179e-04f,
         7.864974032e-05f, 1.492925549e-05f, 2.481112233e-06f, 3.610124111e-07f},
        {3.466241765e-07f, -2.722088099e-01f, -4.460167885e-01f, -4.798212051e-01f, -4.017571807e-01f,
         -2.761127651e-01f, -1.594831347e-01f, -7.840429991e-02f, -3.309395164e-02f, -1.199512370e-02f,
         -3.798593767e-03f, -1.029698178e-03f, -2.128042979e-04f, -4.282400187e-05f, 1.868500476e-05f,
         1.396394055e-05f},
        {-3.761464357e-01f, -3.051727414e-01f, -1.350275278e-01f, 4.061114788e-02f, 1.463465393e-01f, 1.658752114e-01f,
         1.301031113e-01f, 7.986105233e-02f, 4.012379050e-02f, 1.686357707e-02f, 6.002927665e-03f, 1.824024250e-03f,
         4.755886621e-04f, 1.068054335e-04f, 2.071610470e-05f, 3.477641258e-06f},
        {3.939445014e-04f, 1.308128238e-01f, 1.877034009e-01f, 1.436377615e-01f, 5.942610651e-02f, -1.319498662e-02f,
         -4.781282693e-02f, -4.778282344e-02f, -2.614578791e-02f, -1.916480251e-02f, -3.010772634e-03f,
         -2.096855780e-03f, -5.507006776e-03f, -1.309073064e-03f, -4.429205321e-03f, -2.448505722e-03f},
        {1.100000590e-01f, 7.901453972e-02f, 4.239095375e-03f, -5.624273792e-02f, -6.786608696e-02f, -4.184137657e-02f,
         -9.808844887e-03f, 9.066715837e-03f, 1.294794399e-02f, 9.378011338e-03f, 4.897107836e-03f, 2.011751523e-03f,
         6.748784217e-04f, 1.884270605e-04f, 4.432503192e-05f, 8.854627595e-06f},
        {3.010999644e-03f, -6.522326171e-02f, -2.093672603e-01f, -3.411770449e-04f, -3.073971905e-02f,
         -4.484588280e-02f, 3.146587685e-02f, 8.084846288e-02f, -1.685528457e-01f, 1.406854987e-01f, -1.407015324e-01f,
         -7.141592912e-03f, 1.928713620e-01f, 4.555987567e-02f, 1.751697809e-01f, 9.738723934e-02f}};
    const float step = 33.0f / 128, magic = 0x1.8p23f; /* adding magic leaves the nearest integer in the low bits */
    vf a = vf_min(vf_set1(3.99f), vf_abs(x));
    vf t = vf_fma(a, vf_set1(1.0f / step), vf_set1(magic));
    vf h = vf_fnma(vf_sub(t, vf_set1(magic)), vf_set1(step), a);
    vi j = vf_bits(t);
    vf p = vf_table16(c[6], j);
    VF_UNROLL
    for (int i = 5; i >= 1; i--)
        p = vf_fma(p, h, vf_table16(c[i], j));
    return vf_copysign(vf_fma(p, h, vf_max(vf_table16(c[0], j), h)), x);
}

/* exp(-|x|), and the numerator that makes numerator / (1 + e) the logistic function of x. Of NaN it is 1: a product of
 * two NaNs would have the sign of either, as the compiler turned it. */
static inline vf vf__logistic(vf x, vf *e)
{
    *e = vf_exp_bounded(vf_neg(vf_min(vf_set1(104.0f), vf_abs(x))));
    return vf_select(vf_lt(x, vf_set1(0.0f)), *e, vf_set1(1.0f));
}

static inline vf vf_sigmoid(vf x)
{
    vf e, numerator = vf__logistic(x, &e);
    return vf_div(numerator, vf_add(vf_set1(1.0f), e));
}

/* x sigmoid(x) */
static inline vf vf_silu(vf x)
{
    vf e, numerator = vf__logistic(x, &e);
    return vf_div(vf_mul(vf_max(vf_set1(-128.0f), x), numerator), vf_add(vf_set1(1.0f), e));
}

/* x (1 + erf(x / sqrt 2)) / 2; below -5.65 the bracket is 0. */
static inline vf vf_gelu(vf x)
{
    vf half = vf_mul(vf_set1(0.5f), vf_max(vf_set1(-16.0f), x));
    return vf_fma(half, vf_erf(vf_mul(x, vf_set1(0x1.6a09e6p-1f))), half);
}

/* x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
static inline vf vf_gelu_tanh(vf x)
{
    vf square = vf_mul(x, x);
    vf u = vf_mul(vf_mul(x, vf_set1(0x1.988454p+0f)), vf_fma(square, vf_set1(0.044715f), vf_set1(1.0f)));
    vf e, numerator = vf__logistic(u, &e);
    return vf_div(vf_mul(vf_max(vf_set1(-128.0f), x), numerator), vf_add(vf_set1(1.0f), e));
}

/* 1 / sqrt(x) by the correctly rounded operations, not the estimate instruction. */
static inline vf vf_rsqrt(vf x)
{
    return vf_div(vf_set1(1.0f), vf_sqrt(x));
}

#define VF__TRIG_MAX 8192.0f /* above it k pi/2 needs more digits than four pieces hold: libm then */

/* sin and cos of x, |x| <= VF__TRIG_MAX: x = k pi/2 + r with pi/2 in pieces, the first three of 11 bits. */
static inline vf vf__sin_cos(vf x, vf *cosine)
{
    static const float s[4] = {-1.666666716e-1f, 8.333379403e-3f, -1.985302515e-4f, 2.831718120e-6f};
    static const float c[3] = {4.166664556e-2f, -1.388730481e-3f, 2.443142512e-5f};
    vf k = vf_round_even(vf_mul(x, vf_set1(0x1.45f306p-1f)));
    vf r = vf_fnma(k, vf_set1(0x1.92p+0f), x);
    r = vf_fnma(k, vf_set1(0x1.fb4p-12f), r);
    r = vf_fnma(k, vf_set1(0x1.444p-24f), r);
    r = vf_fnma(k, vf_set1(0x1.68c234p-39f), r);
    vf z = vf_mul(r, r);
    vf sine = vf_fma(vf_mul(r, z), vf_poly(z, s, 4), r);
    vf even = vf_fma(vf_mul(z, z), vf_poly(z, c, 3), vf_fnma(vf_set1(0.5f), z, vf_set1(1.0f)));
    vi quadrant = vf_to_s32(k);
    vm swap = vi_test(quadrant, vi_set1(1));
    vi sin_sign = vi_and(vi_shl(quadrant, 30), vi_set1(INT32_MIN));
    vi cos_sign = vi_and(vi_shl(vi_add(quadrant, vi_set1(1)), 30), vi_set1(INT32_MIN));
    *cosine = vi_bits(vi_xor(vf_bits(vf_select(swap, sine, even)), cos_sign));
    return vi_bits(vi_xor(vf_bits(vf_select(swap, even, sine)), sin_sign));
}

/* y where the reduction held, f(x) elsewhere. */
static inline vf vf__trig_edges(vf x, vf y, float (*f)(float))
{
    vm far = vf_lt(vf_set1(VF__TRIG_MAX), vf_abs(x));
    return vm_any(far) ? vf_select(far, vf_map(x, f), y) : y;
}

static inline vf vf_sin(vf x)
{
    vf cosine, sine = vf__sin_cos(x, &cosine);
    sine = vf_select(vf_eq(x, vf_set1(0.0f)), x, sine);
    return vf__trig_edges(x, sine, sinf);
}

static inline vf vf_cos(vf x)
{
    vf cosine;
    vf__sin_cos(x, &cosine);
    return vf__trig_edges(x, cosine, cosf);
}

static inline vf vf_tan(vf x)
{
    vf cosine, sine = vf__sin_cos(x, &cosine);
    sine = vf_select(vf_eq(x, vf_set1(0.0f)), x, sine);
    return vf__trig_edges(x, vf_div(sine, cosine), tanf);
}

#endif
