/*
 * The kernels of quant.h, for one level. Included after its quant_v_*.h, with FILL the name of the function that puts
 * them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <string.h>

#define ROWS EM__QUANT_ROWS
#define UNROLL_ROWS _Pragma("GCC unroll 4") for (int j = 0; j < ROWS; j++)
#define UNROLL_M _Pragma("GCC unroll 6") for (int i = 0; i < m; i++)

/* `steps` of a group; 0 when it is known at run time only. */
ALWAYS void dot_body(const em__quant_dot *d, const em__quant_kind kind, const int m, const int steps)
{
    const int step_bytes_ = 2 * em__quant_bits(kind);
    const int64_t group_steps = steps ? steps : d->group_steps, group_bytes = group_steps * step_bytes_;
    const uint8_t *prefetch = d->prefetch;
    const uint8_t *c0 = d->codes[0], *c1 = d->codes[1], *c2 = d->codes[2], *c3 = d->codes[3];
    const float *x = d->x;
    v16 sum[4][ROWS];
    UNROLL_M
    {
        UNROLL_ROWS sum[i][j] = v16_zero();
    }
    for (int64_t group = 0; group < d->groups; group++) {
        qgroup g[ROWS];
        UNROLL_ROWS
        {
            g[j] = q_group(kind, d->scales[j][group], em__quant_has_biases(kind) ? d->biases[j][group] : 0);
        }
        for (int64_t byte = 0; byte < ROWS * group_bytes; byte += 64)
            __builtin_prefetch(prefetch + byte, 0, 2);
        _Pragma("GCC unroll 8") for (int64_t step = 0; step < group_steps; step++)
        {
            const int64_t at = step * step_bytes_;
            const v16 w[ROWS] = {q_weights(kind, c0 + at, g[0]), q_weights(kind, c1 + at, g[1]),
                                 q_weights(kind, c2 + at, g[2]), q_weights(kind, c3 + at, g[3])};
            UNROLL_M
            {
                const v16 xs = v16_load(x + i * d->ldx + step * EM__QUANT_STEP);
                UNROLL_ROWS sum[i][j] = v16_fma(xs, w[j], sum[i][j]);
            }
        }
        c0 += group_bytes;
        c1 += group_bytes;
        c2 += group_bytes;
        c3 += group_bytes;
        prefetch += ROWS * group_bytes;
        x += group_steps * EM__QUANT_STEP;
    }
    UNROLL_M put_four(d->sum + i * d->ldsum,
                      fold_four(fold_half(sum[i][0]), fold_half(sum[i][1]), fold_half(sum[i][2]), fold_half(sum[i][3])),
                      d->first);
}

/* Groups that are common get loops of known length. */
ALWAYS void dot_groups(const em__quant_dot *d, const em__quant_kind kind, const int m)
{
    if (kind == EM__QUANT_U4 && d->group_steps == 4)
        dot_body(d, kind, m, 4);
    else if ((kind == EM__QUANT_U4 || kind == EM__QUANT_E2M1 || kind == EM__QUANT_E4M3) && d->group_steps == 2)
        dot_body(d, kind, m, 2);
    else if (kind == EM__QUANT_E2M1)
        dot_body(d, kind, m, 1);
    else
        dot_body(d, kind, m, 0);
}

ALWAYS void tile_body(const em__quant_tile *t, const int m)
{
    vh sum[HALVES][TILE_M][ROWS];
    for (int h = 0; h < HALVES; h++) {
        const float *w = t->w + 8 * h, *x = t->x + 8 * h;
        vh s[TILE_M][ROWS];
        UNROLL_M
        {
            UNROLL_ROWS s[i][j] = vh_zero();
        }
        for (int64_t step = 0; step < t->steps; step++) {
            vh xs[TILE_M];
            UNROLL_M xs[i] = vh_load(x + i * t->ldx);
            UNROLL_ROWS
            {
                const vh ws = vh_load(w + j * t->ldw);
                UNROLL_M s[i][j] = vh_fma(xs[i], ws, s[i][j]);
            }
            w += EM__QUANT_STEP;
            x += EM__QUANT_STEP;
        }
        UNROLL_M
        {
            UNROLL_ROWS sum[h][i][j] = s[i][j];
        }
    }
    UNROLL_M
    {
        v8 folded[ROWS];
        UNROLL_ROWS folded[j] = fold_halves(sum[0][i][j], sum[HALVES - 1][i][j]);
        put_four(t->c + i * t->ldc, fold_four(folded[0], folded[1], folded[2], folded[3]), t->first);
    }
}

static void tile_any(const em__quant_tile *tile)
{
    switch (tile->m) {
    case 1: tile_body(tile, 1); return;
    case 2: tile_body(tile, 2); return;
#if TILE_M > 2
    case 3: tile_body(tile, 3); return;
#endif
#if TILE_M > 3
    case 4: tile_body(tile, 4); return;
    case 5: tile_body(tile, 5); return;
    case 6: tile_body(tile, 6); return;
#endif
    default: return;
    }
}

ALWAYS void decode_body(float *to, const uint8_t *codes, const float *scales, const float *biases, int64_t groups,
                        int64_t group_steps, const em__quant_kind kind, const bool in_order)
{
    for (int64_t group = 0; group < groups; group++) {
        const qgroup g = q_group(kind, scales[group], em__quant_has_biases(kind) ? biases[group] : 0);
        for (int64_t step = 0; step < group_steps; step++) {
            v16 w = q_weights(kind, codes, g);
            v16_store(to, in_order && em__quant_reorders(kind) ? v16_from_lanes(w) : w);
            to += EM__QUANT_STEP;
            codes += 2 * em__quant_bits(kind);
        }
    }
}

ALWAYS void axpy_body(const em__quant_axpy *a, const em__quant_kind kind, const int m, const int steps)
{
    const int step_bytes_ = 2 * em__quant_bits(kind);
    const int64_t group_steps = steps ? steps : a->group_steps;
    float *sum = a->sum;
    int64_t at = 0;
    v16 x[4][ROWS];
    UNROLL_M
    {
        UNROLL_ROWS x[i][j] = v16_set1(a->x[i * a->ldx + j]);
    }
    for (int64_t group = 0; group < a->groups; group++) {
        qgroup g[ROWS];
        UNROLL_ROWS
        {
            g[j] = q_group(kind, a->scales[j][group], em__quant_has_biases(kind) ? a->biases[j][group] : 0);
            __builtin_prefetch(a->codes[j] + at + a->ahead);
        }
        _Pragma("GCC unroll 4") for (int64_t step = 0; step < group_steps; step++)
        {
            v16 w[ROWS];
            UNROLL_ROWS w[j] = q_weights(kind, a->codes[j] + at, g[j]);
            UNROLL_M
            {
                v16 y = a->first ? v16_zero() : v16_load(sum + i * a->ldsum);
                UNROLL_ROWS y = v16_fma(x[i][j], w[j], y);
                v16_store(sum + i * a->ldsum, y);
            }
            at += step_bytes_;
            sum += EM__QUANT_STEP;
        }
    }
}

ALWAYS void axpy_groups(const em__quant_axpy *a, const em__quant_kind kind, const int m)
{
    if (kind == EM__QUANT_U4 && a->group_steps == 4)
        axpy_body(a, kind, m, 4);
    else
        axpy_body(a, kind, m, 0);
}

static inline void scale_e8m0(float *to, const uint8_t *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = from[i] ? (uint32_t)from[i] << 23 : 0x00400000;
        memcpy(to + i, &bits, sizeof bits);
    }
}

static inline void scale_e4m3(float *to, const uint8_t *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = (uint32_t)(from[i] & 0x7f) << 20, sign = (uint32_t)(from[i] & 0x80) << 24;
        float value;
        memcpy(&value, &bits, sizeof value);
        value *= 0x1p120f;
        to[i] = sign ? -value : value;
    }
}

static void to_lanes(float *to, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i += EM__QUANT_STEP)
        v16_store(to + i, v16_to_lanes(v16_load(from + i)));
}

static void add(float *x, const float *y, int64_t count)
{
    for (int64_t i = 0; i < count; i += EM__QUANT_STEP)
        v16_store(x + i, v16_add(v16_load(x + i), v16_load(y + i)));
}

static void from_lanes(float *to, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i += EM__QUANT_STEP)
        v16_store(to + i, v16_from_lanes(v16_load(from + i)));
}

#include "device/cpu/quant_code_tmpl.c"

#define FOR_M(KIND, M)                                                                                                 \
    static void dot_##KIND##_##M(const em__quant_dot *dot)                                                             \
    {                                                                                                                  \
        dot_groups(dot, EM__QUANT_##KIND, M);                                                                          \
    }                                                                                                                  \
    static void axpy_##KIND##_##M(const em__quant_axpy *axpy)                                                          \
    {                                                                                                                  \
        axpy_groups(axpy, EM__QUANT_##KIND, M);                                                                        \
    }
#if DIRECT_M == 4
#define FOR_EACH_M(KIND) FOR_M(KIND, 1) FOR_M(KIND, 2) FOR_M(KIND, 3) FOR_M(KIND, 4)
#define M_SLOTS(name)                                                                                                  \
    {                                                                                                                  \
        name##_1, name##_2, name##_3, name##_4                                                                         \
    }
#else
#define FOR_EACH_M(KIND) FOR_M(KIND, 1)
#define M_SLOTS(name)                                                                                                  \
    {                                                                                                                  \
        name##_1                                                                                                       \
    }
#endif
#define FOR_KIND(KIND)                                                                                                 \
    FOR_EACH_M(KIND)                                                                                                   \
    static void decode_##KIND(float *to, const uint8_t *codes, const float *scales, const float *biases,               \
                              int64_t groups, int64_t group_steps)                                                     \
    {                                                                                                                  \
        decode_body(to, codes, scales, biases, groups, group_steps, EM__QUANT_##KIND, false);                          \
    }                                                                                                                  \
    static void expand_##KIND(float *to, const uint8_t *codes, const float *scales, const float *biases,               \
                              int64_t groups, int64_t group_steps)                                                     \
    {                                                                                                                  \
        decode_body(to, codes, scales, biases, groups, group_steps, EM__QUANT_##KIND, true);                           \
    }
FOR_KIND(U2)
FOR_KIND(U3)
FOR_KIND(U4)
FOR_KIND(U5)
FOR_KIND(U6)
FOR_KIND(U8)
FOR_KIND(E2M1)
FOR_KIND(E4M3)
#define KIND_SLOTS(name) name##_U2, name##_U3, name##_U4, name##_U5, name##_U6, name##_U8, name##_E2M1, name##_E4M3
#define KIND_M_SLOTS(name)                                                                                             \
    M_SLOTS(name##_U2), M_SLOTS(name##_U3), M_SLOTS(name##_U4), M_SLOTS(name##_U5), M_SLOTS(name##_U6),                \
        M_SLOTS(name##_U8), M_SLOTS(name##_E2M1), M_SLOTS(name##_E4M3)

void FILL(em__quant_kernels *kernels)
{
    *kernels = (em__quant_kernels){.level = LEVEL,
                                   .direct_m = DIRECT_M,
                                   .tile_m = TILE_M,
                                   .dot = {KIND_M_SLOTS(dot)},
                                   .tile = tile_any,
                                   .axpy = {KIND_M_SLOTS(axpy)},
                                   .decode = {KIND_SLOTS(decode)},
                                   .expand = {KIND_SLOTS(expand)},
                                   .scale_e8m0 = scale_e8m0,
                                   .scale_e4m3 = scale_e4m3,
                                   .to_lanes = to_lanes,
                                   .from_lanes = from_lanes,
                                   .add = add,
                                   .encode_affine = encode_affine,
                                   .encode_micro = encode_micro,
                                   .scale_groups = scale_groups,
                                   .shift_groups = shift_groups};
}
