/*
 * Template: the Fourier kernels of one real type (REAL, of BITS bits) in vectors of LANES
 * at one level; N(name) names what it defines. MULADD(a, b, c) is a * b + c, rounded as the level does.
 */
typedef REAL N(vec) __attribute__((vector_size(LANES * BITS / 8)));

#define EVEN(l) (2 * (l))
#define ODD(l) (2 * (l) + 1)
#define ZIP_LOW(l) ((l) / 2 + (l) % 2 * LANES)
#define ZIP_HIGH(l) ((l) / 2 + (l) % 2 * LANES + LANES / 2)
#define SWAPPED(l) ((l) ^ 1)
#define TAKE_EVEN(l) ((l) & ~1)
#define TAKE_ODD(l) ((l) | 1)
#define CROSS_LOW(l) ((l)&D ? (l)-D + LANES : (l))
#define CROSS_HIGH(l) ((l)&D ? (l) + LANES : (l) + D)
#if LANES == 2
#define LIST(F) F(0), F(1)
#elif LANES == 4
#define LIST(F) F(0), F(1), F(2), F(3)
#elif LANES == 8
#define LIST(F) F(0), F(1), F(2), F(3), F(4), F(5), F(6), F(7)
#else
#define LIST(F) F(0), F(1), F(2), F(3), F(4), F(5), F(6), F(7), F(8), F(9), F(10), F(11), F(12), F(13), F(14), F(15)
#endif
#define SHUFFLE(a, b, F) __builtin_shufflevector(a, b, LIST(F))
#define INLINE static inline __attribute__((always_inline))

/* (re, im) *= c + i s */
INLINE void N(turn_by)(N(vec) * re, N(vec) * im, N(vec) c, N(vec) s)
{
    N(vec) r = *re, i = *im;
    *re = MULADD(r, c, -(i * s));
    *im = MULADD(r, s, i * c);
}

INLINE void N(butterfly4)(N(vec) * re, N(vec) * im, int a, int b, int c, int d)
{
    N(vec) r0 = re[a] + re[c], r1 = re[a] - re[c], r2 = re[b] + re[d], r3 = re[b] - re[d];
    N(vec) i0 = im[a] + im[c], i1 = im[a] - im[c], i2 = im[b] + im[d], i3 = im[b] - im[d];
    re[a] = r0 + r2, im[a] = i0 + i2;
    re[b] = r1 + i3, im[b] = i1 - r3;
    re[c] = r0 - r2, im[c] = i0 - i2;
    re[d] = r1 - i3, im[d] = i1 + r3;
}

INLINE void N(butterfly8)(N(vec) * re, N(vec) * im)
{
    const REAL root = (REAL)0.70710678118654752440;
    N(vec) even[2][4], odd[2][4];
    N(butterfly4)(re, im, 0, 2, 4, 6);
    N(butterfly4)(re, im, 1, 3, 5, 7);
    for (int k = 0; k < 4; k++) {
        even[0][k] = re[2 * k], even[1][k] = im[2 * k];
        odd[0][k] = re[2 * k + 1], odd[1][k] = im[2 * k + 1];
    }
    N(vec) r1 = (odd[0][1] + odd[1][1]) * root, i1 = (odd[1][1] - odd[0][1]) * root;
    N(vec) r3 = (odd[1][3] - odd[0][3]) * root, i3 = -(odd[0][3] + odd[1][3]) * root;
    N(vec) r2 = odd[1][2], i2 = -odd[0][2];
    re[0] = even[0][0] + odd[0][0], im[0] = even[1][0] + odd[1][0];
    re[4] = even[0][0] - odd[0][0], im[4] = even[1][0] - odd[1][0];
    re[1] = even[0][1] + r1, im[1] = even[1][1] + i1;
    re[5] = even[0][1] - r1, im[5] = even[1][1] - i1;
    re[2] = even[0][2] + r2, im[2] = even[1][2] + i2;
    re[6] = even[0][2] - r2, im[6] = even[1][2] - i2;
    re[3] = even[0][3] + r3, im[3] = even[1][3] + i3;
    re[7] = even[0][3] - r3, im[7] = even[1][3] - i3;
}

/* Any odd radix: conjugate pairs share their products. roots [r / 2][r / 2]: cos, sin of 2 pi (j + 1) (k + 1) / r. */
INLINE void N(butterfly_odd)(const int r, N(vec) * re, N(vec) * im, const REAL *roots)
{
    enum { HALF = EM__FFT_PRIME / 2 + 1 };
    const int h = r / 2;
    N(vec) sum[2][HALF], difference[2][HALF], r0 = re[0], i0 = im[0];
    for (int j = 0; j < h; j++) {
        sum[0][j] = re[j + 1] + re[r - 1 - j], sum[1][j] = im[j + 1] + im[r - 1 - j];
        difference[0][j] = re[j + 1] - re[r - 1 - j], difference[1][j] = im[j + 1] - im[r - 1 - j];
    }
    for (int j = 0; j < h; j++)
        re[0] += sum[0][j], im[0] += sum[1][j];
    for (int k = 0; k < h; k++) {
        N(vec) ar = r0, ai = i0, br = {0}, bi = {0};
        for (int j = 0; j < h; j++) {
            N(vec) c = roots[2 * (k * h + j)] - (N(vec)){0}, s = roots[2 * (k * h + j) + 1] - (N(vec)){0};
            ar = MULADD(sum[0][j], c, ar);
            ai = MULADD(sum[1][j], c, ai);
            br = MULADD(difference[1][j], s, br);
            bi = MULADD(difference[0][j], s, bi);
        }
        re[k + 1] = ar + br, im[k + 1] = ai - bi;
        re[r - 1 - k] = ar - br, im[r - 1 - k] = ai + bi;
    }
}

INLINE void N(butterfly)(const int r, N(vec) * re, N(vec) * im, const REAL *roots)
{
    if (r == 8) {
        N(butterfly8)(re, im);
    } else if (r == 4) {
        N(butterfly4)(re, im, 0, 1, 2, 3);
    } else if (r == 2) {
        N(vec) a = re[0], b = im[0];
        re[0] = a + re[1], im[0] = b + im[1];
        re[1] = a - re[1], im[1] = b - im[1];
    } else {
        N(butterfly_odd)(r, re, im, roots);
    }
}

/* Transform q of set p in a stage of m sets of s transforms of length r; w: its twiddles. re, im: room for r. */
INLINE void N(step)(const int r, N(vec) * re, N(vec) * im, int64_t m, int64_t s, int64_t p, int64_t q, const REAL *w,
                    const REAL *roots, const N(vec) *restrict x, N(vec) *restrict y)
{
    N(vec) *to = y + 2 * (q + s * r * p);
    for (int j = 0; j < r; j++) {
        const N(vec) *from = x + 2 * (q + s * (p + m * j));
        re[j] = from[0];
        im[j] = from[1];
    }
    N(butterfly)(r, re, im, roots);
    to[0] = re[0];
    to[1] = im[0];
    for (int k = 1; k < r; k++) {
        if (m > 1)
            N(turn_by)(&re[k], &im[k], w[2 * k - 2] - (N(vec)){0}, w[2 * k - 1] - (N(vec)){0});
        to[2 * s * k] = re[k];
        to[2 * s * k + 1] = im[k];
    }
}

/* A stage of small radix, its vectors in registers. */
INLINE void N(stage)(const int r, int64_t m, int64_t s, const REAL *twiddles, const REAL *roots,
                     const N(vec) *restrict x, N(vec) *restrict y)
{
    for (int64_t p = 0; p < m; p++) {
        for (int64_t q = 0; q < s; q++) {
            N(vec) re[8], im[8];
            N(step)(r, re, im, m, s, p, q, twiddles + p * 2 * (r - 1), roots, x, y);
        }
    }
}

static void N(stage_any)(int r, int64_t m, int64_t s, const REAL *twiddles, const REAL *roots, const N(vec) *restrict x,
                         N(vec) *restrict y)
{
    N(vec) re[EM__FFT_PRIME], im[EM__FFT_PRIME];
    for (int64_t p = 0; p < m; p++)
        for (int64_t q = 0; q < s; q++)
            N(step)(r, re, im, m, s, p, q, twiddles + p * 2 * (r - 1), roots, x, y);
}

static void *N(column)(const em__fft_column *column, void *x, void *y)
{
    int64_t m = column->n, s = 1;
    for (int i = 0; i < column->stages; i++) {
        const int r = column->radix[i];
        const REAL *w = column->twiddles[i], *roots = column->roots[i];
        m /= r;
        switch (r) {
        case 8: N(stage)(8, m, s, w, roots, x, y); break;
        case 4: N(stage)(4, m, s, w, roots, x, y); break;
        case 2: N(stage)(2, m, s, w, roots, x, y); break;
        case 3: N(stage)(3, m, s, w, roots, x, y); break;
        case 5: N(stage)(5, m, s, w, roots, x, y); break;
        case 7: N(stage)(7, m, s, w, roots, x, y); break;
        default: N(stage_any)(r, m, s, w, roots, x, y); break;
        }
        s *= r;
        void *t = x;
        x = y;
        y = t;
    }
    return x;
}

static void N(load)(void *x, const void *in, int64_t stride, int64_t n, int count, bool swap)
{
    N(vec) *to = x;
    for (int64_t i = 0; i < n; i++, to += 2) {
        N(vec) pair[2] = {{0}};
        const REAL *from = (const REAL *)in + 2 * i * stride;
        if (count == LANES)
            memcpy(pair, from, sizeof pair);
        else
            memcpy(pair, from, (size_t)count * 2 * sizeof *from);
        to[swap] = SHUFFLE(pair[0], pair[1], EVEN);
        to[!swap] = SHUFFLE(pair[0], pair[1], ODD);
    }
}

static void N(store)(void *out, int64_t stride, const void *x, int64_t n, int count, bool swap, double scale)
{
    const N(vec) *from = x;
    const REAL factor = (REAL)scale;
    for (int64_t i = 0; i < n; i++, from += 2) {
        N(vec) re = from[swap] * factor, im = from[!swap] * factor;
        N(vec) pair[2] = {SHUFFLE(re, im, ZIP_LOW), SHUFFLE(re, im, ZIP_HIGH)};
        REAL *to = (REAL *)out + 2 * i * stride;
        if (count == LANES)
            memcpy(to, pair, sizeof pair);
        else
            memcpy(to, pair, (size_t)count * 2 * sizeof *to);
    }
}

#define CROSS(x)                                                                                                       \
    for (int i = 0; i < LANES; i++) {                                                                                  \
        if (!(i & D)) {                                                                                                \
            N(vec) a = x[i], b = x[i + D];                                                                             \
            x[i] = SHUFFLE(a, b, CROSS_LOW);                                                                           \
            x[i + D] = SHUFFLE(a, b, CROSS_HIGH);                                                                      \
        }                                                                                                              \
    }

/* x [LANES], transposed. */
INLINE void N(transpose)(N(vec) * x)
{
#define D 1
#pragma GCC unroll 16
    CROSS(x)
#undef D
#if LANES > 2
#define D 2
#pragma GCC unroll 16
    CROSS(x)
#undef D
#endif
#if LANES > 4
#define D 4
#pragma GCC unroll 16
    CROSS(x)
#undef D
#endif
#if LANES > 8
#define D 8
#pragma GCC unroll 16
    CROSS(x)
#undef D
#endif
}

/* Lines [0, lines) of LANES, `pitch` complex numbers apart, elements [i, i + count) of LANES / 2, to lanes. */
INLINE void N(load_square)(N(vec) * to, const REAL *in, int64_t pitch, const int lines, const int count, bool swap)
{
    N(vec) row[LANES];
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) {
        row[l] = (N(vec)){0};
        if (l < lines)
            memcpy(&row[l], in + 2 * l * pitch, (size_t)count * 2 * sizeof *in);
    }
    N(transpose)(row);
#pragma GCC unroll 16
    for (int j = 0; j < LANES; j += 2)
        if (j < 2 * count) {
            to[j + swap] = row[j];
            to[j + !swap] = row[j + 1];
        }
}

INLINE void N(store_square)(REAL *out, const N(vec) * from, int64_t pitch, const int lines, const int count, bool swap,
                            REAL factor)
{
    N(vec) row[LANES];
#pragma GCC unroll 16
    for (int j = 0; j < LANES; j += 2) {
        row[j] = row[j + 1] = (N(vec)){0};
        if (j < 2 * count) {
            row[j] = from[j + swap] * factor;
            row[j + 1] = from[j + !swap] * factor;
        }
    }
    N(transpose)(row);
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++)
        if (l < lines)
            memcpy(out + 2 * l * pitch, &row[l], (size_t)count * 2 * sizeof *out);
}

static void N(load_lines)(void *x, const void *in, int64_t pitch, int64_t n, int lines, bool swap)
{
    const REAL *from = in;
    N(vec) *to = x;
    for (; n >= LANES / 2 && lines == LANES; n -= LANES / 2, to += LANES, from += LANES)
        N(load_square)(to, from, pitch, LANES, LANES / 2, swap);
    for (; n > 0; n -= LANES / 2, to += LANES, from += LANES)
        N(load_square)(to, from, pitch, lines, n < LANES / 2 ? (int)n : LANES / 2, swap);
}

static void N(store_lines)(void *out, int64_t pitch, const void *x, int64_t n, int lines, bool swap, double scale)
{
    const N(vec) *from = x;
    REAL *to = out;
    for (; n >= LANES / 2 && lines == LANES; n -= LANES / 2, to += LANES, from += LANES)
        N(store_square)(to, from, pitch, LANES, LANES / 2, swap, (REAL)scale);
    for (; n > 0; n -= LANES / 2, to += LANES, from += LANES)
        N(store_square)(to, from, pitch, lines, n < LANES / 2 ? (int)n : LANES / 2, swap, (REAL)scale);
}

static void N(turn)(void *to, int64_t block, const void *x, const void *twiddles, int64_t n1, int count)
{
    const N(vec) *from = x, *w = twiddles;
    for (int64_t c = 0; c < n1; c += LANES) {
        N(vec) re[LANES], im[LANES], *out = (N(vec) *)to + c / LANES * block / LANES;
        for (int l = 0; l < LANES; l++) {
            int64_t k = c + l < n1 ? c + l : n1 - 1;
            re[l] = from[2 * k];
            im[l] = from[2 * k + 1];
            N(turn_by)(&re[l], &im[l], w[2 * k], w[2 * k + 1]);
        }
        N(transpose)(re);
        N(transpose)(im);
        for (int j = 0; j < count; j++) {
            out[2 * j] = re[j];
            out[2 * j + 1] = im[j];
        }
    }
}

/* A vector of complex numbers, or the first `bytes` of one: a copy of any number of them would pass through memory. */
INLINE void N(multiply_step)(REAL *out, const REAL *a, const REAL *b, size_t bytes, bool swap, bool swap_out,
                             N(vec) scale)
{
    N(vec) x = {0}, y = {0}, sign;
    for (int l = 0; l < LANES; l++)
        sign[l] = l % 2 ? 1 : -1;
    memcpy(&x, a, bytes);
    memcpy(&y, b, bytes);
    N(vec) other = SHUFFLE(x, x, SWAPPED);
    if (swap) {
        N(vec) t = x;
        x = other;
        other = t;
    }
    N(vec) z = MULADD(x, SHUFFLE(y, y, TAKE_EVEN), other * SHUFFLE(y, y, TAKE_ODD) * sign);
    z *= scale;
    if (swap_out)
        z = SHUFFLE(z, z, SWAPPED);
    memcpy(out, &z, bytes);
}

static void N(multiply)(void *out, const void *a, const void *b, int64_t n, bool swap, bool swap_out, double scale)
{
    const N(vec) by = (REAL)scale - (N(vec)){0};
    const REAL *x = a, *y = b;
    REAL *to = out;
    int64_t left = 2 * n;
    for (; left >= LANES; left -= LANES, x += LANES, y += LANES, to += LANES)
        N(multiply_step)(to, x, y, sizeof by, swap, swap_out, by);
    if (left > 0)
        N(multiply_step)(to, x, y, (size_t)left * sizeof *x, swap, swap_out, by);
}

static void N(multiply_rows)(void *x, const void *w, int64_t n, bool swap, bool swap_out)
{
    N(vec) *at = x;
    const REAL *by = w;
    for (int64_t i = 0; i < n; i++, at += 2) {
        N(vec) re = at[swap], im = at[!swap];
        N(turn_by)(&re, &im, by[2 * i] - (N(vec)){0}, by[2 * i + 1] - (N(vec)){0});
        at[swap_out] = re;
        at[!swap_out] = im;
    }
}

/* Lines of fourier_lines_tmpl.c's split, a line a lane. */
static void N(split_rows)(void *out, const void *z, const void *w, int64_t h)
{
    const N(vec) *from = z;
    const REAL *by = w;
    N(vec) *to = out;
    for (int64_t k = 0; 2 * k <= h; k++) {
        int64_t p = h - k, q = k ? p : 0;
        N(vec) ar = from[2 * k], ai = from[2 * k + 1], br = from[2 * q], bi = -from[2 * q + 1];
        N(vec) er = (ar + br) * (REAL)0.5, ei = (ai + bi) * (REAL)0.5;
        N(vec) tr = (ai - bi) * (REAL)0.5, ti = (br - ar) * (REAL)0.5;
        N(turn_by)(&tr, &ti, by[2 * k] - (N(vec)){0}, by[2 * k + 1] - (N(vec)){0});
        to[2 * p] = er - tr;
        to[2 * p + 1] = ti - ei;
        to[2 * k] = er + tr;
        to[2 * k + 1] = ei + ti;
    }
}

static const em__fft_kernels N(kernels) = {
    .lanes = LANES,
    .column = N(column),
    .load = N(load),
    .store = N(store),
    .load_lines = N(load_lines),
    .store_lines = N(store_lines),
    .turn = N(turn),
    .multiply = N(multiply),
    .multiply_rows = N(multiply_rows),
    .split_rows = N(split_rows),
};

#undef EVEN
#undef ODD
#undef ZIP_LOW
#undef ZIP_HIGH
#undef SWAPPED
#undef TAKE_EVEN
#undef TAKE_ODD
#undef CROSS_LOW
#undef CROSS_HIGH
#undef LIST
#undef SHUFFLE
#undef INLINE
#undef CROSS
#undef REAL
#undef BITS
#undef LANES
#undef MULADD
#undef N
