/*
 * Running control ops. A WHILE keeps its state twice, in its result and in scratch: the body reads one and writes the
 * other, so a loop of any length uses fixed memory; a state that the body updates in place (a cache) is not moved at
 * all. A COND runs one branch, straight into its result.
 *
 * While the device records, the loop is part of the recording, and no turn waits for the host: the body's results are
 * copied back over the states, which the next turn reads where the first did.
 */
#include "core/error.h"
#include "device/memory.h"
#include "graph/function.h"

static em__body *body_of(const em__call *call, int i)
{
    return (em__body *)call->functions[i];
}

/* Copies the states into the first block. */
static em_status load(em_device *device, const em__call *call, char *block)
{
    for (int i = 0; i < call->ints[0]; i++) {
        const em__spec *spec = &call->in[i].spec;
        EM__TRY(em__memory_copy(device, block, call->in[i].data, em__spec_bytes(spec)));
        block += em__part_bytes(spec);
    }
    return EM_OK;
}

/* Where a turn from the states in `from` to those in `to` finds them; a state that the body updates in place stays in
 * the result. */
static void point(const em__call *call, char *from, char *to)
{
    em__body *condition = body_of(call, 0), *body = body_of(call, 1);
    size_t at = 0;
    for (int i = 0; i < call->ints[0]; i++) {
        bool updated = body->program->updated[i];
        condition->inputs[i] = body->inputs[i] = (updated ? (char *)call->out.data : from) + at;
        body->outputs[i] = (updated ? (char *)call->out.data : to) + at;
        at += em__part_bytes(&call->in[i].spec);
    }
}

/* One turn. */
static em_status step(em_device *device, const em__call *call, char *from, char *to, bool *go_on)
{
    em__body *condition = body_of(call, 0), *body = body_of(call, 1);
    uint8_t verdict;
    point(call, from, to);
    EM__TRY(em__program_execute(condition->program, condition->inputs, condition->outputs));
    EM__TRY(em__memory_download(device, &verdict, condition->outputs[0], 1));
    *go_on = verdict != 0;
    return *go_on ? em__program_execute(body->program, body->inputs, body->outputs) : EM_OK;
}

/* The states that did not stay in the result, copied there from `block`. */
static em_status settle(em_device *device, const em__call *call, const char *block)
{
    size_t at = 0;
    for (int i = 0; i < call->ints[0]; i++) {
        size_t bytes = em__part_bytes(&call->in[i].spec);
        if (!body_of(call, 1)->program->updated[i])
            EM__TRY(em__memory_copy(device, (char *)call->out.data + at, block + at, bytes));
        at += bytes;
    }
    return EM_OK;
}

/* The loop as part of a recording. */
static em_status record_while(em_device *device, const em__call *call)
{
    const em__device_recorder *recorder = device->vtable->recorder;
    em__body *condition = body_of(call, 0), *body = body_of(call, 1);
    point(call, call->out.data, call->scratch);
    EM__TRY(em__program_inline(condition->program, condition->inputs, condition->outputs));
    EM__TRY(recorder->open(device, condition->outputs[0], EM__REPEAT_WHILE));
    em_status status = em__program_inline(body->program, body->inputs, body->outputs);
    if (status == EM_OK)
        status = settle(device, call, call->scratch);
    if (status == EM_OK)
        status = em__program_inline(condition->program, condition->inputs, condition->outputs);
    em_status closed = recorder->close(device);
    return status != EM_OK ? status : closed;
}

static bool records(em_device *device)
{
    const em__device_recorder *recorder = device->vtable->recorder;
    return recorder && recorder->active(device);
}

static em_status run_while(em_device *device, const em__call *call)
{
    em__body *condition = body_of(call, 0), *body = body_of(call, 1);
    int states = (int)call->ints[0], captures = (int)call->ints[1];
    size_t bytes = (size_t)call->out.spec.dims[0];
    char *now = call->out.data, *next = call->scratch;
    bool go_on = true;
    for (int i = 0; i < captures; i++)
        condition->inputs[states + i] = call->in[states + i].data;
    for (int i = states + captures; i < call->n_in; i++)
        body->inputs[i - captures] = call->in[i].data;
    condition->outputs[0] = next + bytes;
    EM__TRY(load(device, call, now));
    if (records(device))
        return record_while(device, call);
    for (;;) {
        EM__TRY(step(device, call, now, next, &go_on));
        if (!go_on)
            break;
        char *swap = now;
        now = next;
        next = swap;
    }
    return now != call->out.data ? settle(device, call, now) : EM_OK;
}

/* The pointers of a branch: 0 or 1. */
static em__body *point_branch(const em__call *call, int which)
{
    int captures = (int)call->ints[0];
    em__body *branch = body_of(call, which);
    int first = which == 0 ? 1 : 1 + captures, n = which == 0 ? captures : call->n_in - 1 - captures;
    char *at = call->out.data;
    for (int i = 0; i < n; i++)
        branch->inputs[i] = call->in[first + i].data;
    for (size_t i = 0; i < branch->program->n_outputs; i++) {
        branch->outputs[i] = at;
        at += em__part_bytes(&branch->program->outputs[i]);
    }
    return branch;
}

static em_status record_cond(em_device *device, const em__call *call)
{
    const em__device_recorder *recorder = device->vtable->recorder;
    for (int i = 0; i < EM__FUNCTIONS; i++) {
        em__body *branch = point_branch(call, i);
        EM__TRY(recorder->open(device, call->in[0].data, i == 0 ? EM__IF : EM__IF_NOT));
        em_status status = em__program_inline(branch->program, branch->inputs, branch->outputs);
        em_status closed = recorder->close(device);
        EM__TRY(status);
        EM__TRY(closed);
    }
    return EM_OK;
}

static em_status run_cond(em_device *device, const em__call *call)
{
    uint8_t taken;
    if (records(device))
        return record_cond(device, call);
    EM__TRY(em__memory_download(device, &taken, call->in[0].data, 1));
    em__body *branch = point_branch(call, taken ? 0 : 1);
    return em__program_execute(branch->program, branch->inputs, branch->outputs);
}

size_t em__control_donated(em__op op, const int64_t *ints, int i)
{
    return op == EM__OP_WHILE && i == 1 ? (size_t)ints[0] : 0;
}

em_status em__control_prepare(em_device *device, const em__call *call, em__plan *plan)
{
    const em__device_recorder *recorder = device->vtable->recorder;
    *plan = (em__plan){.host = !recorder || !recorder->open};
    for (int i = 0; i < EM__FUNCTIONS; i++) {
        EM__TRY(em__body_ready(body_of(call, i), em__control_donated(call->op, call->ints, i)));
        plan->host = plan->host || !em__program_recordable(body_of(call, i)->program);
    }
    plan->kernel = call->op == EM__OP_WHILE ? run_while : run_cond;
    if (call->op == EM__OP_WHILE)
        plan->scratch = (size_t)call->out.spec.dims[0] + EM__PART_ALIGN;
    return EM_OK;
}
