/*
 * What Winograd's convolutions (conv_winograd.c) do to the operands and the products, as vectors of channels. Included
 * by conv_level_tmpl.c. Sums are written out in one order, and multiplications are by powers of two alone, so that
 * every level gives the same bits.
 */

#define LINE EM__GEMM_PANEL

#define INLINE static inline __attribute__((always_inline))

/* Of the 4 (stride 1) or 5 (stride 2) pixels of a tile on one axis to as many points. */
INLINE void input_points(vf *v, const vf *d, const int stride)
{
    if (stride == 1) {
        v[0] = vf_sub(d[0], d[2]);
        v[1] = vf_add(d[1], d[2]);
        v[2] = vf_sub(d[2], d[1]);
        v[3] = vf_sub(d[1], d[3]);
    } else {
        v[0] = vf_sub(d[0], d[2]);
        v[1] = d[2];
        v[2] = vf_sub(d[2], d[4]);
        v[3] = d[1];
        v[4] = d[3];
    }
}

INLINE void input_tile(float *to, int64_t step, const float *from, int64_t row, const bool both, const int stride)
{
    const int points = stride + 3, high = both ? points : 1;
    vf t[5][5], d[5], v[5];
    for (int x = 0; x < points; x++) {
        for (int y = 0; y < high; y++)
            d[y] = vf_load(from + y * row + x * LINE);
        if (both)
            input_points(v, d, stride);
        for (int y = 0; y < high; y++)
            t[y][x] = both ? v[y] : d[y];
    }
    for (int y = 0; y < high; y++) {
        input_points(v, t[y], stride);
        for (int x = 0; x < points; x++)
            vf_store(to + (y * points + x) * step, v[x]);
    }
}

INLINE void input_row(const em__conv_tiles *t, float *to, int64_t pitch, const float *from, int n, const bool both,
                      const int stride)
{
    for (int64_t i = 0; i < t->n; i++, to += pitch, from += 2 * stride * LINE)
        for (int c = 0; c < n; c += VF_LANES)
            input_tile(to + c, t->step, from + c, t->row, both, stride);
}

static void winograd_input(const em__conv_tiles *t, float *to, int64_t pitch, const float *from, int n)
{
    if (t->stride == 1 && t->both)
        input_row(t, to, pitch, from, n, true, 1);
    else if (t->stride == 1)
        input_row(t, to, pitch, from, n, false, 1);
    else if (t->both)
        input_row(t, to, pitch, from, n, true, 2);
    else
        input_row(t, to, pitch, from, n, false, 2);
}

/* Of three taps to four values, the inner ones of stride 1 twice as large as they will be. */
INLINE void weight_points(vf *u, vf a, vf b, vf c, const int stride)
{
    const vf outer = vf_add(a, c);
    u[0] = a;
    u[1] = stride == 1 ? vf_add(outer, b) : outer;
    u[2] = stride == 1 ? vf_sub(outer, b) : c;
    u[3] = stride == 1 ? c : b;
}

INLINE void weight_lines(float *to, int64_t step, const float *from, const bool both, const int stride)
{
    static const float scale[2][4] = {{1.0f, 0.5f, 0.5f, 1.0f}, {1.0f, 1.0f, 1.0f, 1.0f}};
    for (int i = 0; i < LINE; i += VF_LANES) {
        const float *at = from + i;
        vf t[3][4], u[4];
        for (int x = 0; x < 3; x++, at += LINE)
            if (both)
                weight_points(t[x], vf_load(at), vf_load(at + 3 * LINE), vf_load(at + 6 * LINE), stride);
            else
                t[x][0] = vf_load(at);
        for (int y = 0; y < (both ? 4 : 1); y++) {
            weight_points(u, t[0][y], t[1][y], t[2][y], stride);
            for (int x = 0; x < 4; x++)
                vf_store(to + (4 * y + x) * step + i,
                         vf_mul(u[x], vf_set1(scale[stride - 1][y] * scale[stride - 1][x])));
        }
    }
}

static void winograd_weights(const em__conv_tiles *t, float *to, const float *from)
{
    for (int64_t c = 0; c < t->n; c++, to += LINE, from += (t->both ? 9 : 3) * LINE)
        if (t->stride == 1 && t->both)
            weight_lines(to, t->step, from, true, 1);
        else if (t->stride == 1)
            weight_lines(to, t->step, from, false, 1);
        else if (t->both)
            weight_lines(to, t->step, from, true, 2);
        else
            weight_lines(to, t->step, from, false, 2);
}

/* Of the points to two neighbours. */
INLINE void output_points(vf *y, const vf *m, const int stride)
{
    y[0] = vf_add(m[0], m[1]);
    y[1] = vf_sub(m[1], m[2]);
    y[0] = vf_add(y[0], stride == 1 ? m[2] : m[3]);
    y[1] = stride == 1 ? vf_sub(y[1], m[3]) : vf_add(y[1], m[4]);
}

/* Returns the sum of all that was written. */
INLINE vf output_tile(float *to, int64_t row, const float *from, int64_t step, const bool both, const int stride)
{
    const int points = stride + 3, high = both ? points : 1;
    vf t[2][5], m[5], y[2], sum = vf_set1(0.0f);
    for (int x = 0; x < points; x++) {
        for (int i = 0; i < high; i++)
            m[i] = vf_load(from + (i * points + x) * step);
        if (both)
            output_points(y, m, stride);
        t[0][x] = both ? y[0] : m[0];
        t[1][x] = both ? y[1] : m[0];
    }
    for (int i = 0; i < (both ? 2 : 1); i++) {
        output_points(y, t[i], stride);
        vf_store(to + i * row, y[0]);
        vf_store(to + i * row + LINE, y[1]);
        sum = vf_add(sum, vf_add(y[0], y[1]));
    }
    return sum;
}

/* Returns NaN in a lane where a result is NaN or infinite, or their sum is. */
INLINE vf output_row(const em__conv_tiles *t, float *to, const float *from, const bool both, const int stride)
{
    vf strange = vf_set1(0.0f);
    for (int64_t i = 0; i < t->n; i++, from += LINE, to += 2 * LINE)
        for (int c = 0; c < LINE; c += VF_LANES) {
            const vf sum = output_tile(to + c, t->row, from + c, t->step, both, stride);
            strange = vf_add(strange, vf_sub(sum, sum));
        }
    return strange;
}

static bool winograd_output(const em__conv_tiles *t, float *to, const float *from)
{
    vf strange;
    if (t->stride == 1)
        strange = t->both ? output_row(t, to, from, true, 1) : output_row(t, to, from, false, 1);
    else
        strange = t->both ? output_row(t, to, from, true, 2) : output_row(t, to, from, false, 2);
    float lanes[VF_LANES];
    bool finite = true;
    vf_store(lanes, strange);
    for (int i = 0; i < VF_LANES; i++)
        finite = finite && lanes[i] == 0.0f;
    return finite;
}
