/*
 * Two binary steps of a chain in one pass over f32: (a first b) second c. The intermediate value stays in a register;
 * it is rounded as the single steps round it; only which of two NaN comes through may differ.
 */
#ifndef EM_DEVICE_CPU_CHAIN_PAIRS_H
#define EM_DEVICE_CPU_CHAIN_PAIRS_H

#include <stddef.h>

#include "core/cpu.h"

typedef enum em__pair_op {
    EM__PAIR_ADD,
    EM__PAIR_SUB,
    EM__PAIR_MUL,
    EM__PAIR_DIV,
    EM__PAIR_RSUB, /* c - x and c / x: second only */
    EM__PAIR_RDIV,
    EM__PAIR_COUNT
} em__pair_op;

/* Which of b and c are one element instead of n. */
enum { EM__PAIR_B = 1, EM__PAIR_C = 2 };

/* `out` may be a, b or c itself, but not overlap them otherwise. */
typedef void (*em__pair_fn)(float *out, const float *a, const float *b, const float *c, size_t n, int scalars);

typedef em__pair_fn em__pairs[EM__PAIR_RSUB][EM__PAIR_COUNT]; /* [first][second] */

/* The kernels of the level. Any thread. */
const em__pairs *em__pairs_get(em__cpu_level level);

extern const em__pairs em__pairs_portable, em__pairs_avx2, em__pairs_avx512;

#endif
