/* The rows of an order op: elements as bits, keys of a row, and what keys do not hold put back. Shared by order*.c. */
#ifndef EM_DEVICE_CPU_ORDER_ROWS_H
#define EM_DEVICE_CPU_ORDER_ROWS_H

#include "device/cpu/cpu.h"
#include "device/cpu/order.h"

/* An op over rows [n] of a row-major operand, `stride` elements apart inside a row. */
typedef struct em__order_job {
    em__cpu *cpu;
    const em__order *kernels;
    em_dtype dtype;
    size_t size; /* bytes an element */
    em__key_kind kind;
    bool wide; /* 64-bit keys */
    bool descending;
    int64_t n, stride, rows;
    const char *in;
    char *out;          /* values, n or k a row; NULL: not wanted */
    int64_t *indices;   /* NULL: not wanted */
    int64_t k;          /* elements a row of the result */
    char *scratch;      /* of the call */
    size_t worker_size; /* bytes of scratch that a worker needs for one row (or one tile of rows) */
} em__order_job;

/* What a row's keys were made of. */
typedef struct em__row_keys {
    uint64_t vary; /* bits in which they differ */
    bool special;  /* there were NaN or -0 */
} em__row_keys;

em__order_job em__order_job_of(em__cpu *cpu, const em__call *call);

/* Element offset of row r's first element in the operand; in a result with `length` elements a row. */
int64_t em__order_at(const em__order_job *job, int64_t r, int64_t length);

/* Keys (4 or 8 bytes each) of `count` elements of a row, from element `from` on; `base`: see em__order. */
em__row_keys em__order_encode(const em__order_job *job, const char *row, int64_t from, int64_t count, void *keys,
                              uint64_t base);
uint64_t em__order_base(const em__order_job *job, const char *row); /* the row's first key */

/* Values of `count` keys, which are overwritten, to out[0], out[stride], ... */
void em__order_decode(const em__order_job *job, void *keys, int64_t count, char *out);

/* Writes zeros and NaN of the sorted row as the operand has them. */
void em__order_restore(const em__order_job *job, const char *row, char *out);

/* The elements at `at` [k], which lie `step` apart, to row r of the values. */
void em__order_pick(const em__order_job *job, int64_t r, const int64_t *at, int64_t step);

/* Many short rows side by side in a sorting network. Rows that it sorts at a time; 0: they are too long, or too few. */
int em__order_lanes(const em__order_job *job, bool indices);
size_t em__order_tile_bytes(const em__order_job *job, int lanes); /* of each worker's scratch */

/* Sorts the lanes' rows that are number `chunk`; for em__pool_run, with the job. Values, or indices of the first k and
 * the values there. */
void em__order_tile(void *job, int64_t chunk, int worker);

/* order[i] = index in the row of its i-th element in order, on the pool or (NULL) alone; scratch as large as asked. */
size_t em__order_argsort_bytes(const em__order_job *job, int blocks);
void em__order_argsort(const em__order_job *job, em__pool *pool, const char *row, int64_t *order, char *scratch);

#endif
