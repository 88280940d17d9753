/*
 * Memory of packed weights. Weights below a huge page lie in rooms together, one behind the other: read in the order in
 * which they were packed they are one stretch of huge pages, which is what a step of a decoder wants. Rooms begin small
 * and double, so that a small model has a small one. A room goes when the last weight in it goes.
 *
 * The caller locks.
 */
#ifndef EM_GRAPH_PACKED_ROOM_H
#define EM_GRAPH_PACKED_ROOM_H

#include "device/device.h"

typedef struct em__packed_room em__packed_room;

/* 64-byte aligned; NULL with the error set. *room NULL: the block is one of its own. */
void *em__packed_room_alloc(em_device *device, size_t bytes, em__packed_room **room);
void em__packed_room_free(em_device *device, void *block, size_t bytes, em__packed_room *room); /* NULL block is fine */

#endif
