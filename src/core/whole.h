/* Whole numbers: the smaller, the larger, divisions and sizes that round. Nothing here looks for overflow: sizes that
 * come from outside go through em__mul_overflows and em__add_overflows first. */
#ifndef EM_CORE_WHOLE_H
#define EM_CORE_WHOLE_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t em__min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t em__max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* a / b, upwards and downwards; b above 0, a of any sign. */
static inline int64_t em__div_up(int64_t a, int64_t b)
{
    return a > 0 ? (a - 1) / b + 1 : -(-a / b);
}

static inline int64_t em__div_down(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a - 1) / b + 1);
}

/* n, 0 or more, up to the next multiple. */
static inline int64_t em__round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Bytes in whole cache lines, so that what lies behind them begins on one. */
static inline size_t em__align64(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

#endif
