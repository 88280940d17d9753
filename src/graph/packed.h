/*
 * Prepacked weights, shared by all programs that use the same memory the same way: a model whose programs differ in
 * shape packs each weight once. Entries are counted; the last release frees.
 */
#ifndef EM_GRAPH_PACKED_H
#define EM_GRAPH_PACKED_H

#include "array/array.h"

typedef struct em__packed em__packed;

/* The packed form of operand 1 (and the further weights, or a coded one's scales and biases) of the call, whose
 * constant operands are `values`, call->n_in long with NULL for the others. *packed NULL when the device has no better
 * layout. */
em_status em__packed_acquire(em_device *device, const em__call *call, em_array *const *values, em__packed **packed);
void em__packed_release(em__packed *packed); /* NULL is fine */

const void *em__packed_data(const em__packed *packed);
size_t em__packed_bytes(const em__packed *packed);

#endif
