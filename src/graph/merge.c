/*
 * Merging steps: a device may run several consecutive calls by one kernel. It is shown the calls with pointers that
 * tell which memory is the same: those into constants are final, every other storage stands at addresses that nothing
 * else has. Storages get their places afterwards: what calls that run together touch must live as long as all of them,
 * for a kernel may write its results before it has read all that the first call reads.
 */
#include "core/alloc.h"
#include "core/error.h"
#include "graph/program.h"

/* Beyond any address of a process; one window a storage, wide enough for its bytes. */
#define STANDS_FROM ((uintptr_t)1 << 60)
#define WINDOW ((uintptr_t)1 << 40)

static void stand_in(em_program *program)
{
    for (size_t i = 0; i < program->steps.length; i++) {
        em__step *step = &program->steps.data[i];
        for (int j = 0; j < step->call.n_in + 2; j++) {
            const em__place at = step->places[j];
            if (at.storage < 0)
                continue;
            const em__storage *storage = &program->storages.data[at.storage];
            *em__step_pointer(step, j) =
                storage->kind == EM__AT_CONSTANT
                    ? storage->data + at.offset
                    : (void *)(STANDS_FROM + (uintptr_t)at.storage * WINDOW + (uintptr_t)at.offset);
        }
    }
}

/* The last step that reads what step `index` leaves; SIZE_MAX when the caller gets it. */
static size_t last_read(const em_program *program, size_t index)
{
    const em__step *step = &program->steps.data[index];
    const int storage = step->places[step->call.n_in].storage;
    const em__storage_kind kind = program->storages.data[storage].kind;
    size_t last = index;
    for (size_t i = index + 1; i < program->steps.length; i++) {
        const em__step *later = &program->steps.data[i];
        for (int j = 0; j < later->call.n_in; j++)
            if (later->places[j].storage == storage)
                last = i;
        if (later->places[later->call.n_in].storage == storage)
            return last;
    }
    return kind == EM__AT_OUTPUT || kind == EM__AT_INPUT ? SIZE_MAX : last;
}

static void keep_alive(em_program *program, int storage, int first, int last)
{
    if (storage < 0)
        return;
    em__storage *s = &program->storages.data[storage];
    s->first = first < s->first ? first : s->first;
    s->last = last > s->last ? last : s->last;
}

/* Step `first` runs the n steps from it on: a list that ends with NULL. */
static em_status take_over(em_program *program, size_t first, size_t n, em__kernel_fn kernel)
{
    em__call **calls = em__arena_calloc(&program->graph.arena, n + 1, sizeof *calls);
    if (!calls)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        em__step *step = &program->steps.data[first + i];
        calls[i] = &step->call;
        step->merged = i > 0;
        for (int j = 0; j < step->call.n_in + 2; j++)
            keep_alive(program, step->places[j].storage, (int)first, (int)(first + n - 1));
    }
    program->steps.data[first].call.merged = calls;
    program->steps.data[first].call.kernel = kernel;
    return EM_OK;
}

static em_status merge_all(em_program *program, em__merge_call *calls)
{
    const size_t n = program->steps.length;
    em_device *device = program->device;
    for (size_t i = 0, taken; i < n; i += taken ? taken : 1) {
        em__kernel_fn kernel = NULL;
        size_t stretch = 0;
        while (i + stretch < n && !program->steps.data[i + stretch].host)
            stretch++;
        taken = stretch > 1 ? device->vtable->merge(device, calls + i, stretch, &kernel) : 0;
        EM__FAIL_IF(taken > stretch || (taken && !kernel), EM_ERROR_INTERNAL, "%s: merged %zu of %zu calls",
                    em_device_name(device), taken, stretch);
        if (taken > 1)
            EM__TRY(take_over(program, i, taken, kernel));
    }
    return EM_OK;
}

em_status em__program_merge(em_program *program)
{
    const size_t n = program->steps.length;
    em__merge_call *calls = em__calloc(n + 1, sizeof *calls);
    if (!calls)
        return EM_ERROR_OUT_OF_MEMORY;
    stand_in(program);
    for (size_t i = 0; i < n; i++)
        calls[i] = (em__merge_call){&program->steps.data[i].call, i, last_read(program, i)};
    em__device_enter(program->device);
    em_status status = merge_all(program, calls);
    em__device_leave(program->device);
    em__free(calls);
    return status;
}
