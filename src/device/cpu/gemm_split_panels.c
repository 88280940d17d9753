/* Panels of B for products by bf16 thirds: packed, judged, found again; and what a panel of bf16 is laid out as. */
#include <string.h>

#include "core/whole.h"
#include "device/cpu/gemm_split.h"

#define PANEL EM__GEMM_PANEL
#define HEADER (EM__SPLIT_GAP * (int64_t)sizeof(float))

enum { PANEL_CUT, PANEL_PLAIN };

size_t em__gemm_split_panel_bytes(int64_t k)
{
    return HEADER + (size_t)(em__gemm_split_steps(k) * EM__SPLIT_DEPTH * PANEL) * sizeof(float);
}

static bool panel_is_safe(const uint32_t *largest)
{
    for (int j = 0; j < PANEL; j++)
        if (largest[j] > EM__SPLIT_B_MOST || (largest[j] > 0 && largest[j] < EM__SPLIT_B_LEAST))
            return false;
    return true;
}

void em__gemm_split_pack_panel(const em__gemm_kernels *kernels, const em__gemm_columns *from, void *dst)
{
    uint32_t largest[PANEL] = {0};
    float *to = (float *)dst + HEADER / sizeof(float);
    em__gemm_pack_panel(kernels, from, to, false);
    for (int64_t k = 0; k < from->k; k++)
        for (int j = 0; j < PANEL; j++) {
            uint32_t bits;
            memcpy(&bits, to + k * PANEL + j, sizeof bits);
            bits &= 0x7fffffff;
            largest[j] = bits > largest[j] ? bits : largest[j];
        }
    memset(to + from->k * PANEL, 0,
           (size_t)((em__gemm_split_steps(from->k) * EM__SPLIT_DEPTH - from->k) * PANEL) * sizeof *to);
    const int32_t kind = panel_is_safe(largest) ? PANEL_CUT : PANEL_PLAIN;
    memset(dst, 0, HEADER);
    memcpy(dst, &kind, sizeof kind);
}

bool em__gemm_split_are_safe(const uint32_t *largest, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        if (largest[r] > EM__SPLIT_A_MOST || (largest[r] > 0 && largest[r] < EM__SPLIT_A_LEAST))
            return false;
    return true;
}

const float *em__gemm_split_panel(const em__gemm_args *args, int64_t panel)
{
    const char *b = (const char *)args->b + (size_t)panel * em__gemm_split_panel_bytes(args->k);
    return (const float *)(const void *)(b + HEADER);
}

bool em__gemm_split_may_cut(const em__gemm_args *args, int64_t panel)
{
    int32_t kind;
    memcpy(&kind, em__gemm_split_panel(args, panel) - HEADER / sizeof(float), sizeof kind);
    return kind == PANEL_CUT;
}

void em__gemm_split_cut_ahead(em__split_block *block, const float *next, int64_t steps, uint16_t *cut, int64_t behind,
                              int64_t index, int64_t shares)
{
    const int64_t pairs = steps * EM__SPLIT_STEP_PAIRS, each = pairs ? em__div_up(pairs, shares * block->steps) : 0;
    block->ring = -1;
    block->lead = 0;
    block->next = next;
    block->cut = cut;
    block->behind = behind;
    block->cut_each = each;
    block->cut_from = index * block->steps * each;
    block->cut_end = block->cut_gap = pairs;
}

/* lay_half of a packed B. */
static void lay_packed(const em__gemm_kernels *kernels, const em__gemm_args *args, uint16_t *dst, int64_t column,
                       int columns, uint32_t *largest)
{
    const em__bf12 *w = (const void *)args->half.data;
    const int64_t steps = em__gemm_split_steps(args->k);
    for (int half = 0; half < PANEL; half += EM__BF12_COLUMNS) {
        const int64_t first = (column + (half < columns ? half : 0)) / EM__BF12_COLUMNS * w->chunks;
        uint16_t *to = dst + half / EM__BF12_COLUMNS * EM__SPLIT_TILE;
        int16_t top[EM__SPLIT_DEPTH] = {0}; /* of pairs of elements, without signs */
        for (int64_t i = 0; i < w->chunks; i++)
            em__bf12_unpack(kernels, w, first + i, to + i * EM__BF12_DEPTH / EM__SPLIT_DEPTH * EM__SPLIT_HALF_STEP,
                            EM__SPLIT_HALF_STEP);
        for (int64_t i = 0; i < steps * 16; i++)
            for (int j = 0; j < EM__SPLIT_DEPTH; j++) {
                const uint16_t *pairs = to + i / 16 * EM__SPLIT_HALF_STEP + i % 16 * EM__SPLIT_DEPTH;
                const int16_t bits = (int16_t)(pairs[j] & 0x7fff);
                top[j] = bits > top[j] ? bits : top[j];
            }
        for (int j = 0; j < EM__BF12_COLUMNS; j++)
            largest[half + j] = (uint32_t)(top[2 * j] > top[2 * j + 1] ? top[2 * j] : top[2 * j + 1]) << 16;
    }
}

bool em__gemm_split_lay_half(const em__gemm_kernels *kernels, const em__gemm_args *args, int64_t panel, uint16_t *dst)
{
    const int64_t column = panel * PANEL;
    const int columns = (int)em__min(args->n - column, PANEL);
    uint32_t largest[PANEL];
    if (args->half.packed)
        lay_packed(kernels, args, dst, column, columns, largest);
    else
        kernels->split->lay_half(dst, args->half.data + column * args->half.row, args->half.row, columns, args->k,
                                 largest);
    return panel_is_safe(largest);
}
