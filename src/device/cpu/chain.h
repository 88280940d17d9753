/*
 * FUSED_CHAIN on the cpu (ops/chain.h): a chain's steps run over a tile that stays in L1, each by the kernel that the
 * op has alone, so with its bits.
 *
 * The full shape is folded to rows x columns (with reductions: the rows they reduce; without: as few rows as the
 * operands' strides allow). A unit of work is a block of whole rows, or for long rows of a chain without reductions a
 * piece of one row. Within a unit, full steps between two reductions run tile by tile of `tile` columns.
 */
#ifndef EM_DEVICE_CPU_CHAIN_H
#define EM_DEVICE_CPU_CHAIN_H

#include "device/cpu/chain_pairs.h"
#include "device/cpu/cpu.h"
#include "ops/chain.h"

typedef enum em__chain_kind {
    EM__CHAIN_UNARY, /* and casts, which have the same form */
    EM__CHAIN_BINARY,
    EM__CHAIN_PAIR, /* two binary steps in one pass */
    EM__CHAIN_SELECT,
    EM__CHAIN_SINGLE, /* one f32 a unit, of + - * /: not worth a kernel */
    EM__CHAIN_REDUCE,
    EM__CHAIN_REDUCE_ROWS, /* by the row kernel itself: its accumulator is the result */
} em__chain_kind;

/* How a step gets at a source. */
typedef enum em__chain_access {
    EM__CHAIN_IN_PLACE, /* contiguous elements, at `advance` bytes a column from where the unit begins */
    EM__CHAIN_ONE,      /* one element for the whole tile, and the kernel takes such */
    EM__CHAIN_SPREAD    /* must be gathered or repeated into a spare tile first */
} em__chain_access;

/* A step with its kernel looked up. */
typedef struct em__chain_fn {
    em__chain_kind kind;
    union {
        em__unary_fn unary;
        em__binary_fn binary;
        em__pair_fn pair;
        em__select_fn select;
        em__reduce_op reduce;
        em__reduce_row_fn row;
        em__pair_op single;
    } fn;
    em__chain_step step;
    int sizes[3], to_size; /* bytes of an element of each source and of the result */
    em__chain_access access[3];
    int advance[3], to_advance;
    int mode; /* em__mode of the sources that are ONE; of a PAIR, a sum of EM__PAIR_B and EM__PAIR_C */
    bool spreads;
    bool by_rows; /* better: the kernel row by row, where all that is to be spread is one element or one row then */
    int row_mode; /* the mode for that */
} em__chain_fn;

/* How an operand lies over rows x columns. */
typedef enum em__chain_layout {
    EM__CHAIN_SCALAR,   /* one element for all */
    EM__CHAIN_EVEN,     /* row after row without holes */
    EM__CHAIN_BY_ROW,   /* contiguous within a row */
    EM__CHAIN_BY_COLUMN /* one element a row */
} em__chain_layout;

typedef struct em__chain_operand {
    const uint8_t *data;
    int size; /* bytes of an element */
    em__chain_layout layout;
    int64_t strides[EM_MAX_RANK]; /* bytes, of the outer axes, innermost first */
} em__chain_operand;

typedef struct em__chain_job {
    em__cpu *cpu;
    em__chain chain;
    em__chain_fn steps[EM__CHAIN_STEPS]; /* pairs count as one */
    int n_steps;
    struct {
        int step, source, operand;
    } reads[3 * EM__CHAIN_STEPS]; /* of operands */
    int n_reads;
    em__chain_operand operands[EM__CHAIN_OPERANDS];
    int n_in;
    int rank; /* outer axes: they make the rows */
    int64_t dims[EM_MAX_RANK];
    int64_t rows, columns;
    int64_t block;                   /* rows a unit */
    int64_t piece;                   /* columns a unit, pieces of one row when less than `columns` */
    int64_t tile;                    /* columns a tile */
    int64_t pieces;                  /* of a row */
    int64_t units, chunk;            /* units in all, and a chunk */
    size_t local, wide, thin, spare; /* where the banks start in a worker's scratch, and the spare tiles */
    size_t local_step, wide_step, thin_step;
    uint8_t *out;
    bool stream;   /* results go past the caches */
    int64_t ahead; /* bytes that operands are asked for ahead of the tile; 0: no need */
} em__chain_job;

/* Looks up the steps' kernels, joins pairs, and says how each source is reached. The rest of the job is set. */
void em__chain_bind(em__chain_job *job);

/* Runs units [from, to) with the scratch. */
void em__chain_run(const em__chain_job *job, int64_t from, int64_t to, uint8_t *scratch);

#endif
