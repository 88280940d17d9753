/*
 * Order: sort, argsort, top_k. Elements become unsigned keys whose order is the wanted one (descending: complemented);
 * NaN have the greatest key, zeros of either sign one key. Widths below 32 bits are widened to 32 first. Equal elements
 * keep their order and every kernel here is stable or sorts keys that differ, so a result is determined by its operand
 * alone: neither the number of threads nor the level changes a bit.
 */
#ifndef EM_DEVICE_CPU_ORDER_H
#define EM_DEVICE_CPU_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cpu.h"
#include "core/pool.h"

/* How bits become a key. */
typedef enum em__key_kind { EM__KEY_UNSIGNED, EM__KEY_SIGNED, EM__KEY_FLOAT } em__key_kind;

typedef struct em__order {
    /* keys[i] of bits[i] (may be the same memory), complemented by `flip` (0 or all ones). ORs the bits in which keys
     * differ from `base` into *vary. Whether there were NaN or -0, whose bits a key does not hold. */
    bool (*encode32)(uint32_t *keys, const uint32_t *bits, int64_t n, em__key_kind kind, uint32_t flip, uint32_t base,
                     uint32_t *vary);
    bool (*encode64)(uint64_t *keys, const uint64_t *bits, int64_t n, em__key_kind kind, uint64_t flip, uint64_t base,
                     uint64_t *vary);
    void (*decode32)(uint32_t *bits, const uint32_t *keys, int64_t n, em__key_kind kind, uint32_t flip);
    void (*decode64)(uint64_t *bits, const uint64_t *keys, int64_t n, em__key_kind kind, uint64_t flip);
    /* Sorts each column of keys [n][lanes], 64-byte aligned. */
    void (*network32)(uint32_t *keys, int64_t n);
    void (*network64)(uint64_t *keys, int64_t n);
    /* Indices of the keys below `limit`, ascending; how many. `at` has room for n, of which more may be written. */
    int64_t (*below32)(const uint32_t *keys, int64_t n, uint32_t limit, int32_t *at);
    int64_t (*below64)(const uint64_t *keys, int64_t n, uint64_t limit, int32_t *at);
    /* Sort keys [n]; `spare` is as long. NULL: the level leaves it to radix. */
    void (*quick32)(uint32_t *keys, uint32_t *spare, int64_t n);
    void (*quick64)(uint64_t *keys, uint64_t *spare, int64_t n);
    /* Where there is `quick`, a cut into `parts`: part j has the keys in [limits[j - 1], limits[j]). How many each has;
     * and the keys to to[j] and on, which moves to their end. */
    void (*count32)(const uint32_t *keys, int64_t n, const uint32_t *limits, int parts, int64_t *counts);
    void (*count64)(const uint64_t *keys, int64_t n, const uint64_t *limits, int parts, int64_t *counts);
    void (*deal32)(const uint32_t *keys, int64_t n, const uint32_t *limits, int parts, uint32_t **to);
    void (*deal64)(const uint64_t *keys, int64_t n, const uint64_t *limits, int parts, uint64_t **to);
    int lanes32, lanes64;
} em__order;

#define EM__QUICK_PARTS 16 /* at most */

#define EM__ORDER_LANES 16 /* at most */

/* The table of em__cpu_get()->level; of any level that the machine runs. Any thread. */
const em__order *em__order_get(void);
void em__order_init(em__order *kernels, em__cpu_level level);
void em__order_fill_portable(em__order *kernels);
void em__order_fill_avx2(em__order *kernels);
void em__order_fill_avx512(em__order *kernels);
void em__order_fill_quick(em__order *kernels);

/* Counters that a sort of n keys needs, in bytes: scratch beside its buffers. */
size_t em__radix_counters(int64_t n, int blocks);

#define EM__RADIX_MOST_BLOCKS 16

/* How many blocks a sort of n keys is cut into on this pool (NULL: 1). */
int em__radix_blocks(const em__pool *pool, int64_t n);

/* Sorts keys [n], which differ in the bits of `vary`; `spare` is as long. Returns where the result is. */
uint32_t *em__radix_sort32(em__pool *pool, uint32_t *keys, uint32_t *spare, int64_t n, uint32_t vary, void *counters);
uint64_t *em__radix_sort64(em__pool *pool, uint64_t *keys, uint64_t *spare, int64_t n, uint64_t vary, void *counters);

/* The same by quicksort where the level has one and radix has no fewer passes. */
uint32_t *em__order_sort32(const em__order *kernels, em__pool *pool, uint32_t *keys, uint32_t *spare, int64_t n,
                           uint32_t vary, void *counters);
uint64_t *em__order_sort64(const em__order *kernels, em__pool *pool, uint64_t *keys, uint64_t *spare, int64_t n,
                           uint64_t vary, void *counters);

/* order[i] = index of the i-th key in stable order; n < 2^32. `items` [2 n]. */
void em__radix_argsort32(em__pool *pool, const uint32_t *keys, uint64_t *items, int64_t *order, int64_t n,
                         uint32_t vary, void *counters);
void em__radix_argsort64(const em__order *kernels, em__pool *pool, const uint64_t *keys, uint64_t *items,
                         int64_t *order, int64_t n, uint64_t vary, void *counters);

#endif
