/*
 * Scatters of windows that most networks pool by, a vector of windows at a time and all in registers: 2 x 2 that do not
 * meet, 3 x 3 in steps of 2, and 3 x 3 around every element. Included before window_scatter_rows_tmpl.c, which says
 * what must be there.
 */
#include <string.h>

#include "core/whole.h"
#include "device/cpu/window_scatter.h"

#define INLINE static inline __attribute__((always_inline))

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
    const int64_t at = 2 * j + 1 - p->low[1], n = p->dims[1] - at;
    const float *from = x + y * p->dims[1] + at;
    three t = {init, init, init};
    if (y < 0 || y >= p->dims[0])
        return t;
    load_pairs(from, whole ? 2 * VF_LANES : n, &t.middle, &t.right);
    if (!whole) {
        t.middle = vf_pad(t.middle, bounded((n + 1) / 2), init);
        t.right = vf_pad(t.right, bounded(n / 2), init);
    }
    t.left = vf_before(t.right, at > 0 && n >= 0 ? vf_set1(from[-1]) : init); /* padding may go on far behind x */
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
    const int64_t at = 2 * j + 1 - p->low[1];
    if (y >= 0 && y < p->dims[0])
        store_pairs(out + y * p->dims[1] + at, whole ? 2 * VF_LANES : p->dims[1] - at, row.even, row.odd);
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

/* Without padding before them, rows begin with an element under the left of window 0 alone: lane 0. */
INLINE void store_first(const em__scatter_plane *p, float *out, int64_t y, vf row)
{
    if (y >= 0 && y < p->dims[0])
        vf_store_n(out + y * p->dims[1], row, 1);
}

/* Windows j to j + VF_LANES of all rows; `begins`: and the element before them. The last window may share an element
 * with one that is not here: the next vector begins before it, and writes its elements again. */
INLINE void three_columns(const em__scatter_plane *p, const float *x, const float *source, const float init, float *out,
                          int64_t j, const bool whole, const bool begins, const bool max)
{
    const int there = bounded(p->places[1] - j);
    const vf all = vf_set1(init);
    const pair none = {all, all};
    int64_t y = 1 - p->low[0]; /* of the windows' middle */
    three row[3] = {load_three(p, x, y - 1, j, all, whole)};
    pair above = none;
    vf first = all;
    for (int64_t i = 0; i < p->places[0]; i++, y += 2) {
        const float *from = source + i * p->places[1] + j;
        const vf given = whole ? vf_load(from) : vf_load_n(from, there), next = vf_after(given);
        vm won[9];
        row[1] = load_three(p, x, y, j, all, whole);
        row[2] = load_three(p, x, y + 1, j, all, whole);
        find_winners(row, vm_first(whole ? VF_LANES : there), max, won);
        store_pair(p, out, y - 1, j, add_three(above, won, given, next), whole);
        store_pair(p, out, y, j, add_three(none, won + 3, given, next), whole);
        above = add_three(none, won + 6, given, next);
        row[0] = row[2];
        if (begins) {
            store_first(p, out, y - 1, vf_add_where(won[0], first, given));
            store_first(p, out, y, vf_add_where(won[3], all, given));
            first = vf_add_where(won[6], all, given);
        }
    }
    store_pair(p, out, y - 1, j, above, whole);
    if (begins)
        store_first(p, out, y - 1, first);
}

static bool is_threes(const em__scatter_plane *p)
{
    return p->window[0] == 3 && p->window[1] == 3 && p->step[0] == 2 && p->step[1] == 2 && p->low[0] >= 0 &&
           p->low[0] <= 1 && p->low[1] >= 0 && p->low[1] <= 1;
}

static void three_plane(const em__scatter_plane *p, const float *x, const float *source, float init, float *out)
{
    const int64_t high = p->dims[0], width = p->dims[1], line = p->places[1];
    const int64_t right = 2 * line + 1 - p->low[1], below = 2 * p->places[0] + 1 - p->low[0]; /* beyond the windows */
    for (int64_t j = 0, last; j < line; j = last ? line : j + VF_LANES - 1) {
        last = j + VF_LANES >= line;
        j = last ? em__max(line - VF_LANES, 0) : j;
        const bool whole = j + VF_LANES <= line && 2 * (j + VF_LANES) + 1 - p->low[1] <= width;
        const bool begins = j == 0 && p->low[1] == 0;
        if (whole && p->max && !begins)
            three_columns(p, x, source, init, out, j, true, false, true);
        else if (whole && p->max)
            three_columns(p, x, source, init, out, j, true, true, true);
        else if (p->max)
            three_columns(p, x, source, init, out, j, false, begins, true);
        else
            three_columns(p, x, source, init, out, j, false, begins, false);
    }
    for (int64_t y = 0; y < high && right < width; y++)
        fill(out + y * width + right, init, width - right);
    if (below < high)
        fill(out + below * width, init, (high - below) * width);
}

static bool is_around(const em__scatter_plane *p)
{
    bool is = true;
    for (int axis = 0; axis < 2; axis++)
        is = is && p->window[axis] == 3 && p->step[axis] == 1 && p->low[axis] == 1 && p->places[axis] == p->dims[axis];
    return is;
}

/* Around elements j to j + VF_LANES of row y. */
INLINE three load_around(const em__scatter_plane *p, const float *x, int64_t y, int64_t j, const vf init,
                         const bool whole)
{
    const int64_t n = p->dims[1] - j;
    const float *from = x + y * p->dims[1] + j;
    three t = {init, init, init};
    if (y < 0 || y >= p->dims[0])
        return t;
    if (whole) {
        t.left = vf_load(from - 1);
        t.middle = vf_load(from);
        t.right = vf_load(from + 1);
        return t;
    }
    t.middle = vf_pad(vf_load_n(from, bounded(n)), bounded(n), init);
    t.right = vf_pad(vf_load_n(from + 1, bounded(n - 1)), bounded(n - 1), init);
    t.left = vf_before(t.middle, j > 0 ? vf_set1(from[-1]) : init);
    return t;
}

/* What windows give the elements of one of their rows: the window before an element's own comes first. */
INLINE vf add_around(vf to, const vm won[3], const vf given[3])
{
    to = vf_add_where(vm_before(won[2]), to, given[0]);
    to = vf_add_where(won[1], to, given[1]);
    return vf_add_where(vm_after(won[0]), to, given[2]);
}

/* The last lane stays as it is unless `ends`: it may get from a window that is not here. */
INLINE void store_around(const em__scatter_plane *p, float *to, vf row, const bool ends)
{
    if (p->dims[1] < VF_LANES)
        vf_store_n(to, row, (int)p->dims[1]);
    else
        vf_store(to, ends ? row : vf_select(vm_first(VF_LANES - 1), row, vf_load(to)));
}

/* Around elements j to j + VF_LANES of all rows, which `ends` them or not. */
INLINE void around_columns(const em__scatter_plane *p, const float *x, const float *source, const vf init, float *out,
                           int64_t j, const bool ends, const bool whole, const bool max)
{
    const int64_t high = p->dims[0], width = p->dims[1];
    const int there = bounded(width - j);
    vf above = init, here = init;
    three row[3] = {{init, init, init}, load_around(p, x, 0, j, init, whole)};
    for (int64_t y = 0; y < high; y++) {
        const float *from = source + y * width + j;
        const vf own = whole ? vf_load(from) : vf_load_n(from, there);
        const vf given[3] = {vf_before(own, init), own, vf_after(own)};
        vm won[9];
        row[2] = load_around(p, x, y + 1, j, init, whole);
        find_winners(row, vm_first(whole ? VF_LANES : there), max, won);
        if (y > 0)
            store_around(p, out + (y - 1) * width + j, add_around(above, won, given), ends);
        above = add_around(here, won + 3, given);
        here = add_around(init, won + 6, given);
        row[0] = row[1];
        row[1] = row[2];
    }
    store_around(p, out + (high - 1) * width + j, above, ends);
}

/* From the right to the left: the first element of a vector is written again by the next one, from its windows all. */
static void around_plane(const em__scatter_plane *p, const float *x, const float *source, float init, float *out)
{
    const int64_t width = p->dims[1], first = em__max(width - VF_LANES, 0);
    for (int64_t j = first, end = 0; !end; j = em__max(j - VF_LANES + 2, 0)) {
        end = j == 0;
        if (j > 0 && j + VF_LANES < width && p->max)
            around_columns(p, x, source, vf_set1(init), out, j, false, true, true);
        else if (p->max)
            around_columns(p, x, source, vf_set1(init), out, j, j == first, false, true);
        else
            around_columns(p, x, source, vf_set1(init), out, j, j == first, false, false);
    }
}
