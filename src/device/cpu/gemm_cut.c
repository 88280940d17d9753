/* The choice of tasks. It runs before every product, so it tries few cuts. */
#include "device/cpu/gemm_cut.h"

#include "core/whole.h"

#define TASK_CYCLES 500
#define LONG_TASK 400000 /* work of FINER of these per thread is cut FINER */
#define FINER 4
#define ROW_TRIES 16
#define COLUMN_TRIES 4

static int64_t task_cost(const em__gemm_costs *costs, int64_t rows, int64_t panels)
{
    const int64_t tiles = em__div_up(rows, costs->tile_rows);
    return panels * (rows * costs->per_row + tiles * costs->per_tile + costs->per_panel) + rows * costs->per_row_once +
           TASK_CYCLES;
}

/* When the last of `threads` is done with tasks that are taken in turn: `large` ones, then `small` ones. */
static int64_t time_of(int64_t large, int64_t large_cost, int64_t small, int64_t small_cost, int64_t threads)
{
    const int64_t ahead = large % threads, behind = threads - ahead, common = large / threads * large_cost;
    if (ahead == 0)
        return common + em__div_up(small, threads) * small_cost;
    const int64_t lead = common + large_cost, left = small - behind; /* when those behind have taken one each */
    if (left <= 0)
        return lead;
    const int64_t rounds = left / threads * small_cost, more = left % threads;
    if (more == 0)
        return lead + rounds;
    const int64_t caught_up = common + 2 * small_cost;
    return rounds + (more > behind ? lead + small_cost : caught_up > lead ? caught_up : lead);
}

em__gemm_cut em__gemm_choose_cut(const em__gemm_costs *costs, int64_t m, int64_t panels, int64_t threads)
{
    const int64_t least_rows = em__div_up(m, costs->most_rows);
    const int64_t tries = m >= 4 * costs->tile_rows ? em__min(threads, ROW_TRIES) : 0;
    const int64_t many = threads * FINER * (costs->long_task ? costs->long_task : LONG_TASK);
    const int64_t finer = threads > 1 && task_cost(costs, m, panels) > many ? FINER : 1;
    em__gemm_cut best = {least_rows, 1};
    int64_t least = INT64_MAX;
    for (int64_t r = least_rows; r <= least_rows + tries; r++) {
        const int64_t rows = em__div_up(m, r);
        for (int64_t i = finer; i < finer + COLUMN_TRIES; i++) {
            const int64_t c = em__min(panels, em__div_up(i * threads, r));
            const int64_t each = panels / c, larger = r * (panels % c);
            const int64_t cost = time_of(larger, task_cost(costs, rows, each + 1), r * c - larger,
                                         task_cost(costs, rows, each), threads);
            if (cost < least) {
                least = cost;
                best = (em__gemm_cut){r, c};
            }
        }
    }
    return best;
}
