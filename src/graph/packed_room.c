/* See packed_room.h. Only the newest room has space: what is left in others when it comes is lost. */
#include "graph/packed_room.h"

#include <emily/memory.h>

#include "core/alloc.h"
#include "core/sanitize.h"
#include "core/whole.h"
#include "device/memory.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define LEAST_SHARED ((size_t)64 << 10) /* smaller weights are read from a cache anyway */
#define LARGEST_ROOM ((size_t)32 << 20)

struct em__packed_room {
    em__packed_room *next;
    em_device *device;
    char *data;
    size_t bytes, used;
    int blocks;
};

static em__packed_room *rooms; /* the newest first */

/* A device with memory of its own sees to its pages; a sanitizer guards blocks. */
static bool shares(em_device *device, size_t bytes)
{
#ifdef EM__ASAN
    return false;
#endif
    return !em__memory_of(device) && bytes >= LEAST_SHARED && bytes < HUGE_PAGE;
}

static em__packed_room *newest(em_device *device)
{
    em__packed_room *room = rooms;
    while (room && room->device != device)
        room = room->next;
    return room;
}

/* Of the room behind one of `last` bytes. */
static size_t next_bytes(size_t last)
{
    return last == 0 ? HUGE_PAGE : 2 * last < LARGEST_ROOM ? 2 * last : LARGEST_ROOM;
}

/* Whether the limit of memory leaves so much. */
static bool is_left(size_t bytes)
{
    em_memory_stats now = {.struct_size = sizeof now};
    return em_memory_get_stats(&now) == EM_OK && now.active <= now.limit && bytes <= now.limit - now.active;
}

static em__packed_room *new_room(em_device *device, size_t bytes)
{
    em__packed_room *room = em__calloc(1, sizeof *room);
    if (!room)
        return NULL;
    *room = (em__packed_room){rooms, device, em__memory_alloc(device, bytes), bytes, 0, 0};
    if (!room->data) {
        em__free(room);
        return NULL;
    }
    rooms = room;
    return room;
}

void *em__packed_room_alloc(em_device *device, size_t bytes, em__packed_room **room)
{
    const size_t space = em__align64(bytes);
    *room = NULL;
    if (!shares(device, bytes))
        return em__memory_alloc(device, bytes);
    em__packed_room *at = newest(device);
    if (!at || at->bytes - at->used < space) {
        const size_t wanted = next_bytes(at ? at->bytes : 0);
        if (!is_left(wanted)) /* the block alone may fit */
            return em__memory_alloc(device, bytes);
        at = new_room(device, wanted);
    }
    if (!at)
        return NULL;
    void *block = at->data + at->used;
    at->used += space;
    at->blocks++;
    *room = at;
    return block;
}

void em__packed_room_free(em_device *device, void *block, size_t bytes, em__packed_room *room)
{
    if (!room) {
        em__memory_free(device, block, bytes);
        return;
    }
    if ((char *)block + em__align64(bytes) == room->data + room->used)
        room->used -= em__align64(bytes);
    if (--room->blocks > 0)
        return;
    for (em__packed_room **at = &rooms; *at; at = &(*at)->next)
        if (*at == room) {
            *at = room->next;
            break;
        }
    em__memory_free(device, room->data, room->bytes);
    em__free(room);
}
