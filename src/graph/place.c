/*
 * The memory plan: arena storages get offsets such that those alive at the same step do not overlap. Largest first,
 * each at the lowest gap that holds it (greedy by size; Pisarchyk and Lee, arXiv 2001.03288).
 */
#include <stdlib.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/memory.h"
#include "graph/overlap.h"
#include "graph/program.h"

#define ALIGN ((size_t)64)

static int larger_first(const void *a, const void *b)
{
    const em__storage *x = *(em__storage *const *)a, *y = *(em__storage *const *)b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->first - y->first;
}

static int lower_first(const void *a, const void *b)
{
    const em__storage *x = *(em__storage *const *)a, *y = *(em__storage *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The lowest offset at which `storage` meets none of the n placed ones, which live at the same time. */
static size_t lowest_gap(em__storage **placed, size_t n, const em__storage *storage)
{
    size_t at = 0;
    qsort(placed, n, sizeof(em__storage *), lower_first);
    for (size_t i = 0; i < n; i++) {
        if (placed[i]->offset >= at + storage->size)
            return at;
        size_t end = placed[i]->offset + placed[i]->size;
        at = end > at ? end : at;
    }
    return at;
}

/* Gives the n storages in `order` their offsets; `rivals` has room for as many. */
static em_status place_all(em_program *program, em__storage **order, size_t n, em__storage **rivals,
                           em__overlap *overlap)
{
    for (size_t i = 0; i < n; i++) {
        em__storage *storage = order[i];
        EM__TRY(em__overlap_find(overlap, storage->first, storage->last));
        for (size_t k = 0; k < overlap->found.length; k++)
            rivals[k] = order[overlap->found.data[k]];
        storage->offset = lowest_gap(rivals, overlap->found.length, storage);
        EM__TRY(em__overlap_add(overlap, storage->first, storage->last, (int)i));
        size_t end = storage->offset + storage->size;
        program->arena_bytes = end > program->arena_bytes ? end : program->arena_bytes;
    }
    return EM_OK;
}

static em_status plan_arena(em_program *program)
{
    size_t n = 0;
    int last = 0;
    em__overlap overlap;
    em__storage **order = em__alloc((2 * program->storages.length + 1) * sizeof(em__storage *));
    if (!order)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < program->storages.length; i++)
        if (program->storages.data[i].kind == EM__AT_ARENA) {
            order[n] = &program->storages.data[i];
            order[n]->size = (order[n]->size + ALIGN - 1) / ALIGN * ALIGN;
            last = order[n]->last > last ? order[n]->last : last;
            n++;
        }
    qsort(order, n, sizeof(em__storage *), larger_first);
    em_status status = em__overlap_init(&overlap, last, (int)n);
    if (status == EM_OK)
        status = place_all(program, order, n, order + n, &overlap);
    em__overlap_free(&overlap);
    em__free(order);
    return status;
}

void **em__step_pointer(em__step *step, int place)
{
    int n = step->call.n_in;
    return place < n ? &step->call.in[place].data : place == n ? &step->call.out.data : &step->call.scratch;
}

static em_status bind(em_program *program, int index, int place)
{
    em__step *step = &program->steps.data[index];
    em__place at = step->places[place];
    if (at.storage < 0)
        return EM_OK;
    const em__storage *storage = &program->storages.data[at.storage];
    if (storage->kind == EM__AT_INPUT || storage->kind == EM__AT_OUTPUT) {
        em__patch patch = {index, place, at.offset, storage->kind == EM__AT_OUTPUT, storage->index};
        return em__vec_push(&program->patches, patch);
    }
    char *base = storage->kind == EM__AT_ARENA ? program->arena + storage->offset : storage->data;
    *em__step_pointer(step, place) = base + at.offset;
    return EM_OK;
}

em_status em__program_place(em_program *program)
{
    EM__TRY(plan_arena(program));
    program->arena = em__memory_alloc(program->device, program->arena_bytes);
    if (!program->arena)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < program->steps.length; i++)
        for (int j = 0; j < program->steps.data[i].call.n_in + 2; j++)
            EM__TRY(bind(program, (int)i, j));
    return EM_OK;
}
