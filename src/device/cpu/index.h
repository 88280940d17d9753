/* What reading (index.c) and writing by index (index_write.c, index_rows.c) share. */
#ifndef EM_DEVICE_CPU_INDEX_H
#define EM_DEVICE_CPU_INDEX_H

#include "device/cpu/cpu.h"
#include "device/cpu/offsets.h"

#define EM__INDEX_AHEAD 8             /* rows whose memory is asked for before their turn */
#define EM__INDEX_LISTED 1024         /* indices that are looked at before those that are a worker's are done */
#define EM__INDEX_SPARE 16            /* entries behind a list of them: the kernels of offsets.h write whole vectors */
#define EM__INDEX_MOST_INNER 0x400000 /* places of a scattered inner part that are listed */

/* The indices of a call from number `from` on, k apart, on an axis of `count` with that stride. */
em__index_list em__index_list_of(const em__call *call, int64_t from, int64_t k, int64_t n, int64_t count,
                                 int64_t scale);

/* The axes that a GATHER or INDEXED_* does not name, innermost part first: whether they lie side by side in a row-major
 * tensor, and how many elements they have. */
bool em__index_inner(const em__call *call, const em__tensor *of, int64_t *run);

/* Offsets of the elements of these axes, in their order. */
void em__index_places(const em__call *call, const em__tensor *of, int64_t run, int64_t *places);

/* One tensor into another of its shape, whatever their strides. */
void em__index_copy(em__cpu *cpu, const em__tensor *in, const em__tensor *out);

/* Of an INDEXED_*: whether its only index is, as it lies, the number of a row of the result; of integers of 32 or 64
 * bits. */
bool em__index_is_row(const em__call *call);

/* Updates of rows side by side, so many that each row of the result is written once: see index_rows.c. */
bool em__index_rows_takes(const em__call *call);
size_t em__index_rows_scratch(const em__call *call);
em_status em__index_rows_run(em_device *device, const em__call *call);

/* Where all updates go, on the pool: elements of the result in units of `unit`; -1: nowhere. */
void em__index_offsets(em__cpu *cpu, const em__call *call, int64_t unit, int64_t *at);

/* INDEXED_ADD and INDEXED_PUT. */
bool em__index_prepare_write(em__cpu *cpu, const em__call *call, em__plan *plan);

#endif
