/* How the drivers of the matrix product cut C into tasks, and the small arithmetic that they share. */
#ifndef EM_DEVICE_CPU_GEMM_CUT_H
#define EM_DEVICE_CPU_GEMM_CUT_H

#include <stdint.h>

#include "core/whole.h"

/* What a task of rows x panels costs, in cycles more or less. */
typedef struct em__gemm_costs {
    int64_t tile_rows; /* rows that the tallest tile takes */
    int64_t per_row;   /* for each row and panel */
    int64_t per_tile;  /* for each tile and panel */
    int64_t per_panel;
    int64_t per_row_once; /* for each row, whatever the panels */
    int64_t most_rows;    /* of a task */
    int64_t long_task;    /* cost of a task from which a thread gets several; 0: the usual one */
} em__gemm_costs;

/* C as row_blocks x column_blocks tasks; task t is row block t / column_blocks. */
typedef struct em__gemm_cut {
    int64_t row_blocks, column_blocks;
} em__gemm_cut;

/* The cut with the least time of the slowest of `threads`. Work that is long enough is cut finer than threads alone
 * ask, so that a disturbed core is helped out. */
em__gemm_cut em__gemm_choose_cut(const em__gemm_costs *costs, int64_t m, int64_t panels, int64_t threads);

/* Where part `index` of `total` cut into `parts` nearly equal ones begins. */
static inline int64_t em__gemm_part(int64_t total, int64_t parts, int64_t index)
{
    return total / parts * index + em__min(index, total % parts);
}

#endif
