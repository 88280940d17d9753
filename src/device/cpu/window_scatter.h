/*
 * Scatters of f32 windows over the last two axes, a row at a time: of max-pooling's gradients.
 *
 * Rows of the operand are split by the step of their windows: a phase holds every step-th element, so that neighbouring
 * windows find any of their elements side by side, and a vector of windows is compared at a time. What the windows of a
 * row give is then added one by one, in their order: neighbours may choose the same element.
 *
 * Rows are split a band at a time, so that what has just been stored is not yet read, elsewhere cut. The windows that
 * most networks pool by need none of this: see window_scatter_fixed_tmpl.c.
 */
#ifndef EM_DEVICE_CPU_WINDOW_SCATTER_H
#define EM_DEVICE_CPU_WINDOW_SCATTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cpu.h"

#define EM__SCATTER_SIDE 8          /* of a window, and its steps, at most */
#define EM__SCATTER_BAND 8          /* rows of windows done at a time */
#define EM__SCATTER_WIDTH (1 << 27) /* of a row, at most */
#define EM__SCATTER_LANES 16        /* windows in a vector, at most */

/* A plane of the operand and its windows; [0] is the axis of rows, [1] that along a row. */
typedef struct em__scatter_plane {
    int64_t dims[2], places[2];
    int64_t window[2], step[2], low[2];
    bool max;
    /* Found by em__scatter_describe. */
    int64_t before, span;            /* of a split row: elements of a phase before its first, and in all */
    int64_t band;                    /* rows that the windows of a band cover */
    int64_t place[EM__SCATTER_SIDE]; /* in a split row: where the windows' elements of a column begin */
    int64_t first, past;             /* windows of a row that begin and end inside it: [first, past) */
} em__scatter_plane;

/* Fills in what is found from the rest; false when the shape is not for these kernels. */
bool em__scatter_describe(em__scatter_plane *plane);
size_t em__scatter_bytes(const em__scatter_plane *plane); /* of scratch */

/* out [dims] = init, and what the windows of x [dims] give, source [places]. */
typedef void (*em__scatter_fn)(const em__scatter_plane *plane, const float *x, const float *source, float init,
                               float *out, float *scratch);

/* The kernel of the level, which the machine must run; NULL when it has none. */
em__scatter_fn em__scatter_get(em__cpu_level level);

void em__scatter_avx2(const em__scatter_plane *plane, const float *x, const float *source, float init, float *out,
                      float *scratch);
void em__scatter_avx512(const em__scatter_plane *plane, const float *x, const float *source, float init, float *out,
                        float *scratch);

#endif
