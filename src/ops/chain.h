/*
 * The program of a FUSED_CHAIN: elementwise steps, and reductions over the last axes, that run as one kernel.
 *
 * Values are full ([rows, columns], the chain's shape; columns is the product of the reduced axes) or thin ([rows], one
 * a row). Operands broadcast to the full shape; a thin step reads operands whose reduced axes are 1. A step is an op
 * with the meaning and the rounding that it has alone, so a chain has eager's bits.
 *
 * ints: n_steps, n_axes (reduced, the last ones; 0: no reductions), n_local, n_wide, n_thin, rank, out_rank,
 *       dims[rank], out_dims[out_rank], then for each step: op, dtype of its result, where to, three sources.
 * Sources and targets are numbers: operand i is i, registers stand in three banks. Steps between two reductions may be
 * run tile by tile: a local register lives within such a group, a wide one holds whole rows. The last step alone
 * writes to EM__CHAIN_OUT. The result has the elements of a full (or thin) value in any shape.
 */
#ifndef EM_OPS_CHAIN_H
#define EM_OPS_CHAIN_H

#include "ops/op.h"

enum {
    EM__CHAIN_STEPS = 48,
    EM__CHAIN_OPERANDS = 14,
    EM__CHAIN_BANK = 64, /* registers of a bank, at most */
    EM__CHAIN_LOCAL = 64,
    EM__CHAIN_WIDE = 128,
    EM__CHAIN_THIN = 192,
    EM__CHAIN_OUT = 256,      /* a full result */
    EM__CHAIN_OUT_THIN = 257, /* a thin one */
    EM__CHAIN_NONE = -1,
    EM__CHAIN_HEAD = 7,
    EM__CHAIN_STEP = 6, /* ints a step */
};

typedef struct em__chain_step {
    em__op op;
    em_dtype from, to; /* `from` of the last source */
    int n_in, target, in[3];
    bool reduces, thin; /* thin: the result */
} em__chain_step;

typedef struct em__chain {
    int n_steps, n_axes, n_local, n_wide, n_thin;
    em__spec full, thin; /* shapes; thin keeps the reduced axes, as 1 */
    int64_t rows, columns;
    int width; /* bytes of the widest element of a register */
    em__chain_step steps[EM__CHAIN_STEPS];
} em__chain;

/* Decodes the call's ints, which an infer rule has passed. */
void em__chain_read(const int64_t *ints, const em__spec *const *in, em__chain *chain);

static inline bool em__chain_is_thin(int value)
{
    return (value >= EM__CHAIN_THIN && value < EM__CHAIN_OUT) || value == EM__CHAIN_OUT_THIN;
}

/* SUM, PRODUCT, MAX, MIN, ALL, ANY. */
bool em__chain_reduces(em__op op);

#endif
