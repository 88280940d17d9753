/*
 * A plane of a scatter: see window_scatter.h. Included by x86/window_scatter_{avx2,avx512}.c with PLANE the function's
 * name, after the level's vecmath header and what it lacks:
 *   vf_even, vf_odd of two vectors' elements, vf_zip_low and vf_zip_high, which undo them;
 *   vf_after, vm_after: lane k is lane k + 1, the last is 0; vf_before(x, first), vm_before(m): lane k is lane k - 1,
 *   and lane 0 is first's, or 0;
 *   vm_first(n): lanes below n; vm_without(a, b): a and not b; vf_le_among(m, a, b): m and a <= b;
 *   vf_add_where(m, a, b): a + b if m, else a.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/window_scatter_fixed_tmpl.c"

#define SIDE EM__SCATTER_SIDE

typedef struct rows {
    const em__scatter_plane *p;
    const float *x, *source;
    float *out;
    vf init;
    float *split, *outside; /* the band's rows; a row of padding */
    int32_t *won;           /* of a row of windows: the elements that won, counted from where the window begins */
} rows;

static void split_row(const em__scatter_plane *p, const float *row, vf init, float *to)
{
    const int64_t width = p->dims[1], step = p->step[1];
    to += p->before;
    if (step == 1)
        memcpy(to, row, (size_t)width * sizeof *to);
    for (int64_t q = 0; step == 2 && 2 * q < width; q += VF_LANES) {
        const int64_t n = width - 2 * q;
        vf even, odd;
        load_pairs(row + 2 * q, n, &even, &odd);
        vf_store(to + q, n >= 2 * VF_LANES ? even : vf_pad(even, bounded((n + 1) / 2), init));
        vf_store(to + p->span + q, n >= 2 * VF_LANES ? odd : vf_pad(odd, bounded(n / 2), init));
    }
    for (int64_t phase = 0; step > 2 && phase < step; phase++)
        for (int64_t q = 0; q * step + phase < width; q++)
            to[phase * p->span + q] = row[q * step + phase];
}

INLINE void choose(const em__scatter_plane *p, const float *const *row, int32_t *won, const int high, const int wide,
                   bool max)
{
    for (int64_t j = 0; j < p->places[1]; j += VF_LANES) {
        vf best = vf_load(row[0] + p->place[0] + j), winner = vi_bits(vi_set1(0));
        for (int r = 0; r < high; r++)
            for (int c = r == 0; c < wide; c++) {
                const vf v = vf_load(row[r] + p->place[c] + j);
                const vm better = takes(v, best, max);
                best = vf_select(better, v, best);
                winner = vf_select(better, vi_bits(vi_set1(r * (int)p->dims[1] + c)), winner);
            }
        float *to = (float *)(void *)(won + j); /* bits */
        vf_store(to, winner);
    }
}

static void choose_any(const rows *s, const float *const *row)
{
    const em__scatter_plane *p = s->p;
    const int high = (int)p->window[0], wide = (int)p->window[1];
    if (high == 3 && wide == 3 && p->max)
        choose(p, row, s->won, 3, 3, true);
    else if (high == 2 && wide == 2 && p->max)
        choose(p, row, s->won, 2, 2, true);
    else if (p->max)
        choose(p, row, s->won, high, wide, true);
    else
        choose(p, row, s->won, high, wide, false);
}

/* Windows [j, end) of row i, some of which hold padding. */
static void give_some(const rows *s, int64_t i, int64_t j, int64_t end)
{
    const em__scatter_plane *p = s->p;
    const int64_t width = p->dims[1];
    for (; j < end; j++) {
        int64_t y = i * p->step[0] - p->low[0], x = j * p->step[1] - p->low[1], c = s->won[j];
        for (; c >= width; c -= width)
            y++;
        x += c;
        if (y >= 0 && y < p->dims[0] && x >= 0 && x < width)
            s->out[y * width + x] += s->source[i * p->places[1] + j];
    }
}

/* What the windows of row i give. */
static void give_row(const rows *s, int64_t i)
{
    const em__scatter_plane *p = s->p;
    const int64_t y = i * p->step[0] - p->low[0], line = p->places[1];
    if (y < 0 || y + p->window[0] > p->dims[0]) {
        give_some(s, i, 0, line);
        return;
    }
    give_some(s, i, 0, p->first);
    float *to = s->out + y * p->dims[1] - p->low[1];
    const float *source = s->source + i * line;
    for (int64_t j = p->first; j < p->past; j++)
        to[j * p->step[1] + s->won[j]] += source[j];
    give_some(s, i, p->past, line);
}

/* Asks for what the next band, or the next plane, will read and write while row i keeps the processor busy. */
static void fetch(const rows *s, int64_t i)
{
    const int64_t some = s->p->step[0] * s->p->dims[1], from = (i + EM__SCATTER_BAND) * some;
    for (int64_t k = 0; k < some; k += 64 / (int64_t)sizeof(float)) {
        __builtin_prefetch((const void *)((uintptr_t)s->x + (uintptr_t)(from + k) * sizeof(float)), 0);
        __builtin_prefetch((const void *)((uintptr_t)s->out + (uintptr_t)(from + k) * sizeof(float)), 1);
    }
}

/* The windows of rows [first, end): a band. */
static void do_band(const rows *s, int64_t first, int64_t end)
{
    const em__scatter_plane *p = s->p;
    const int64_t high = p->window[0], from = first * p->step[0] - p->low[0], step = p->step[1] * p->span;
    const float *row[SIDE];
    for (int64_t at = em__max(0, -from); at < em__min((end - 1 - first) * p->step[0] + high, p->dims[0] - from); at++)
        split_row(p, s->x + (at + from) * p->dims[1], s->init, s->split + at * step);
    for (int64_t i = first; i < end; i++) {
        for (int64_t r = 0; r < high; r++) {
            const int64_t at = (i - first) * p->step[0] + r;
            row[r] = at + from >= 0 && at + from < p->dims[0] ? s->split + at * step : s->outside;
        }
        fetch(s, i);
        choose_any(s, row);
        give_row(s, i);
    }
}

static void plane_by_rows(const em__scatter_plane *p, const float *x, const float *source, float init, float *out,
                          float *scratch)
{
    const int64_t down = p->step[0], high = p->dims[0], split = p->band * p->step[1] * p->span;
    rows s = {.p = p, .x = x, .source = source, .out = out, .init = vf_set1(init), .split = scratch};
    s.outside = scratch + split;
    s.won = (int32_t *)(void *)(s.outside + p->step[1] * p->span);
    fill(s.split, init, split + p->step[1] * p->span);
    int64_t filled = 0;
    for (int64_t first = 0, end; first < p->places[0]; first = end) {
        end = em__min(first + EM__SCATTER_BAND, p->places[0]);
        const int64_t reach = end == p->places[0] ? high : (end - 1) * down + p->window[0] - p->low[0];
        const int64_t upto = em__max(filled, em__min(reach, high));
        fill(out + filled * p->dims[1], init, (upto - filled) * p->dims[1]);
        do_band(&s, first, end);
        filled = upto;
    }
}

void PLANE(const em__scatter_plane *p, const float *x, const float *source, float init, float *out, float *scratch)
{
    if (is_squares(p))
        square_plane(p, x, source, init, out);
    else if (is_threes(p))
        three_plane(p, x, source, init, out);
    else if (is_around(p))
        around_plane(p, x, source, init, out);
    else
        plane_by_rows(p, x, source, init, out, scratch);
}
