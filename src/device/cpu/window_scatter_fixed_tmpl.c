/*
 * Scatters of windows that most networks pool by, a vector of windows at a time and all in registers: 2 x 2 that do not
 * meet, and 3 x 3 in steps of 2 with a row and a column of padding before. Included before window_scatter_rows_tmpl.c,
 * which says what must be there.
 */
#include <string.h>

#include "device/cpu/window_scatter.h"

#define INLINE static inline __attribute__((always_inline))

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int bounded(int64_t n)
{
    return n < 0 ? 0 : n < VF_LANES ? (int)n : VF_LANES;
}

static void fill(float *to, float value, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = value;
}

/* 2 x VF_LANES floats, of which n are there. */
INLINE void load_pairs(const float *from, int64_t n, vf *even, vf *odd)
{
    const bool all = n >= 2 * VF_LANES;
    const vf a = all ? vf_load(from) : vf_load_n(from, bounded(n));
    const vf b = all ? vf_load(from + VF_LANES) : vf_load_n(from + VF_LANES, bounded(n - VF_LANES));
    *even = vf_even(a, b);
    *odd = vf_odd(a, b);
}

INLINE void store_pairs(float *to, int64_t n, vf even, vf odd)
{
    const vf a = vf_zip_low(even, odd), b = vf_zip_high(even, odd);
    if (n >= 2 * VF_LANES) {
        vf_store(to, a);
        vf_store(to + VF_LANES, b);
        return;
    }
    vf_store_n(to, a, bounded(n));
    vf_store_n(to + VF_LANES, b, bounded(n - VF_LANES));
}

/* Element v, coming later, takes the place of `best`. */
INLINE vm takes(vf v, vf best, bool max)
{
    return max ? vf_le(best, v) : vf_le(v, best);
}

/* Windows of 2 x 2 that do not meet, without padding: what most networks pool by. */
INLINE void squares(const em__scatter_plane *p, const float *x, const float *source, float *out, const vf init,
                    bool max)
{
    const int64_t width = p->dims[1], line = p->places[1];
    for (int64_t j = 0; j < line; j += VF_LANES) {
        const int64_t n = 2 * (line - j);
        vf a, b, c, d;
        load_pairs(x + 2 * j, n, &a, &b);
        load_pairs(x + width + 2 * j, n, &c, &d);
        const vf given = line - j >= VF_LANES ? vf_load(source + j) : vf_load_n(source + j, (int)(line - j));
        const vf sum = vf_add(init, given);
        const vm second = takes(b, a, max);
        const vf two = vf_select(second, b, a);
        const vm third = takes(c, two, max);
        const vm fourth = takes(d, vf_select(third, c, two), max);
        const vf c_out = vf_select(fourth, init, vf_select(third, sum, init));
        const vf a_out = vf_select(vm_or(third, fourth), init, vf_select(second, init, sum));
        const vf b_out = vf_select(vm_or(third, fourth), init, vf_select(second, sum, init));
        store_pairs(out + 2 * j, n, a_out, b_out);
        store_pairs(out + width + 2 * j, n, c_out, vf_select(fourth, sum, init));
    }
}

static bool is_squares(const em__scatter_plane *p)
{
    return p->window[0] == 2 && p->window[1] == 2 && p->step[0] == 2 && p->step[1] == 2 && p->low[0] == 0 &&
           p->low[1] == 0 && 2 * p->places[0] <= p->dims[0] && 2 * p->places[1] <= p->dims[1];
}

static void square_plane(const em__scatter_plane *p, const float *x, const float *source, float init, float *out)
{
    const int64_t width = p->dims[1], covered = 2 * p->places[1];
    for (int64_t i = 0; i < p->places[0]; i++) {
        const int64_t at = 2 * i * width;
        if (p->max)
            squares(p, x + at, source + i * p->places[1], out + at, vf_set1(init), true);
        else
            squares(p, x + at, source + i * p->places[1], out + at, vf_set1(init), false);
        fill(out + at + covered, init, width - covered);
        fill(out + at + width + covered, init, width - covered);
    }
    fill(out + 2 * p->places[0] * width, init, (p->dims[0] - 2 * p->places[0]) * width);
}

/* A row's elements under the windows of a vector, by column. */
typedef struct three {
    vf left, middle, right;
} three;

/* Of row y; window j is lane 0. */
INLINE three load_three(const em__scatter_plane *p, const float *x, int64_t y, int64_t j, const vf init,
                        const bool whole)
{
    const int64_t n = p->dims[1] - 2 * j;
    const float *from = x + y * p->dims[1] + 2 * j;
    three t = {init, init, init};
    if (y < 0 || y >= p->dims[0])
        return t;
    load_pairs(from, whole ? 2 * VF_LANES : n, &t.middle, &t.right);
    if (!whole) {
        t.middle = vf_pad(t.middle, bounded((n + 1) / 2), init);
        t.right = vf_pad(t.right, bounded(n / 2), init);
    }
    t.left = vf_before(t.right, j > 0 ? vf_set1(from[-1]) : init);
    return t;
}

/* A row of the result: the element under a window's middle, and the one behind it. */
typedef struct pair {
    vf even, odd;
} pair;

/* What windows give the elements of one of their rows, in their order; won: by column; next: `given`, a lane on. */
INLINE pair add_three(pair to, const vm won[3], vf given, vf next)
{
    to.even = vf_add_where(won[1], to.even, given);
    to.odd = vf_add_where(vm_after(won[0]), vf_add_where(won[2], to.odd, given), next);
    return to;
}

INLINE void store_pair(const em__scatter_plane *p, float *out, int64_t y, int64_t j, pair row, const bool whole)
{
    if (y >= 0 && y < p->dims[0])
        store_pairs(out + y * p->dims[1] + 2 * j, whole ? 2 * VF_LANES : p->dims[1] - 2 * j, row.even, row.odd);
}

/* Which of its elements wins each window that is `there`. */
INLINE void find_winners(const three row[3], vm there, const bool max, vm won[9])
{
    const vf v[9] = {row[0].left,  row[0].middle, row[0].right,  row[1].left, row[1].middle,
                     row[1].right, row[2].left,   row[2].middle, row[2].right};
    vf best[9]; /* up to each element; a NaN that comes first stays, and one that comes later does not count */
    best[0] = v[0];
    for (int e = 1; e < 8; e++)
        best[e] = max ? vf_max(v[e], best[e - 1]) : vf_min(v[e], best[e - 1]);
    for (int e = 8; e > 0; e--) {
        won[e] = max ? vf_le_among(there, best[e - 1], v[e]) : vf_le_among(there, v[e], best[e - 1]);
        there = vm_without(there, won[e]);
    }
    won[0] = there;
}

/* Windows j to j + VF_LANES of all rows. The last of them may share an element with one that is not here: the next
 * vector begins before it, and writes its elements again. */
INLINE void three_columns(const em__scatter_plane *p, const float *x, const float *source, const vf init, float *out,
                          int64_t j, const bool whole, const bool max)
{
    const int there = bounded(p->places[1] - j);
    const pair none = {init, init};
    three row[3] = {{init, init, init}};
    pair above = none;
    for (int64_t i = 0; i < p->places[0]; i++) {
        const float *from = source + i * p->places[1] + j;
        const vf given = whole ? vf_load(from) : vf_load_n(from, there), next = vf_after(given);
        vm won[9];
        row[1] = load_three(p, x, 2 * i, j, init, whole);
        row[2] = load_three(p, x, 2 * i + 1, j, init, whole);
        find_winners(row, vm_first(whole ? VF_LANES : there), max, won);
        store_pair(p, out, 2 * i - 1, j, add_three(above, won, given, next), whole);
        store_pair(p, out, 2 * i, j, add_three(none, won + 3, given, next), whole);
        above = add_three(none, won + 6, given, next);
        row[0] = row[2];
    }
    store_pair(p, out, 2 * p->places[0] - 1, j, above, whole);
}

static bool is_threes(const em__scatter_plane *p)
{
    return p->window[0] == 3 && p->window[1] == 3 && p->step[0] == 2 && p->step[1] == 2 && p->low[0] == 1 &&
           p->low[1] == 1;
}

static void three_plane(const em__scatter_plane *p, const float *x, const float *source, float init, float *out)
{
    const int64_t high = p->dims[0], width = p->dims[1], line = p->places[1], covered = 2 * line;
    for (int64_t j = 0, last; j < line; j = last ? line : j + VF_LANES - 1) {
        last = j + VF_LANES >= line;
        j = last ? most(line - VF_LANES, 0) : j;
        const bool whole = j + VF_LANES <= line && 2 * (j + VF_LANES) <= width;
        if (whole && p->max)
            three_columns(p, x, source, vf_set1(init), out, j, true, true);
        else if (p->max)
            three_columns(p, x, source, vf_set1(init), out, j, false, true);
        else
            three_columns(p, x, source, vf_set1(init), out, j, false, false);
    }
    for (int64_t y = 0; y < high && covered < width; y++)
        fill(out + y * width + covered, init, width - covered);
    if (2 * p->places[0] < high)
        fill(out + 2 * p->places[0] * width, init, (high - 2 * p->places[0]) * width);
}
