/*
 * Indices to element offsets, by index dtype: index i of a list is element i * step of `index`. Integers only.
 */
#ifndef EM_DEVICE_CPU_OFFSETS_H
#define EM_DEVICE_CPU_OFFSETS_H

#include <stdint.h>

#include <emily/dtype.h>

#include "core/cpu.h"

typedef struct em__index_list {
    const void *index;
    int64_t step, n;
    int64_t count, scale; /* the axis' size and stride, in elements */
} em__index_list;

/* With the index clamped to [0, count): `set` makes at[i] = base + index * scale, `add` at[i] += index * scale.
 * `strict` is `add` that does not clamp: an index out of range, or at[i] < 0 before, makes at[i] -1. */
typedef void (*em__offsets_set_fn)(int64_t *at, const em__index_list *list, int64_t base);
typedef void (*em__offsets_add_fn)(int64_t *at, const em__index_list *list);

/* Which of n integers are in [low, low + range), in their order: how far above low, and their numbers. Returns how
 * many. Both lists have room for n entries and 16 more; range is 2^31 at most. */
typedef int64_t (*em__offsets_within_fn)(int32_t *at, int32_t *number, const void *index, int64_t n, int64_t low,
                                         int64_t range);

/* out[i] = in[index * scale + i * step], indices clamped, side by side; count * scale is 2^31 at most, n > 0. */
typedef void (*em__offsets_pick_fn)(void *out, const void *in, const em__index_list *list, int64_t step);

typedef struct em__offsets {
    em__offsets_set_fn set[EM_DTYPE_COUNT];
    em__offsets_add_fn add[EM_DTYPE_COUNT], strict[EM_DTYPE_COUNT];
    em__offsets_within_fn within[EM_DTYPE_COUNT]; /* integers of 32 and 64 bits */
    em__offsets_pick_fn pick[2][EM_DTYPE_COUNT];  /* elements of 4 and 8 bytes; NULL where a level has none */
    em__cpu_level level;
} em__offsets;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__offsets_init(em__offsets *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__offsets *em__offsets_get(void);

/* The levels' own parts of em__offsets_init. */
void em__offsets_fill_portable(em__offsets *kernels);
void em__offsets_fill_avx2(em__offsets *kernels);
void em__offsets_fill_avx512(em__offsets *kernels);

#endif
