/*
 * Running a program of a device with memory of its own on the caller's: inputs go to a block of the device, results
 * come back from it. The block stays, so that its addresses, and what was recorded with them, do too.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "device/memory.h"
#include "graph/program.h"

#define GATHERED ((size_t)1 << 20) /* up to so many bytes travel together, through a block of the host's */

struct em__stage {
    size_t resident;        /* leading inputs and outputs that are in the device's memory already */
    size_t in_bytes, bytes; /* of the block: inputs, then outputs */
    size_t *at;             /* [inputs + outputs] into the block */
    char *device, *host;    /* the block; the part of it that is gathered, or NULL */
    const void **inputs;    /* [inputs] for the run */
    void **outputs;         /* [outputs] */
};

void em__stage_free(em_program *program)
{
    em__stage *s = program->stage;
    if (!s)
        return;
    em__memory_free(program->device, s->device, s->bytes);
    em__block_free(s->host, s->in_bytes);
    em__free(s->at);
    em__free(s->inputs);
    em__free(s->outputs);
    em__free(s);
    program->stage = NULL;
}

static void lay_out(const em_program *program, em__stage *s)
{
    for (size_t i = s->resident; i < program->n_inputs; i++) {
        s->at[i] = s->bytes;
        s->bytes += em__memory_aligned(em__spec_bytes(&program->inputs[i]));
    }
    s->in_bytes = s->bytes;
    for (size_t i = 0; i < program->n_outputs; i++) {
        if (i < s->resident && program->updated[i])
            continue;
        s->at[program->n_inputs + i] = program->updated[i] ? s->at[i] : s->bytes;
        s->bytes += program->updated[i] ? 0 : em__memory_aligned(em__spec_bytes(&program->outputs[i]));
    }
}

static em_status make(em_program *program, size_t resident)
{
    const size_t n_in = program->n_inputs, n_out = program->n_outputs;
    em__stage *s = em__calloc(1, sizeof *s);
    if (!s)
        return EM_ERROR_OUT_OF_MEMORY;
    program->stage = s;
    s->resident = resident < n_in ? resident : n_in;
    s->at = em__calloc(n_in + n_out, sizeof *s->at);
    s->inputs = em__calloc(n_in + 1, sizeof *s->inputs);
    s->outputs = em__calloc(n_out, sizeof *s->outputs);
    if (!s->at || !s->inputs || !s->outputs)
        return EM_ERROR_OUT_OF_MEMORY;
    lay_out(program, s);
    s->device = em__memory_alloc(program->device, s->bytes);
    if (!s->device)
        return em_last_status();
    if (s->in_bytes && s->in_bytes <= GATHERED && !(s->host = em__block_alloc(s->in_bytes)))
        return EM_ERROR_OUT_OF_MEMORY;
    if (s->host)
        memset(s->host, 0, s->in_bytes); /* what lies between inputs travels as well */
    return EM_OK;
}

static em_status send_inputs(em_program *program, const void *const *inputs)
{
    em__stage *s = program->stage;
    for (size_t i = 0; i < program->n_inputs; i++) {
        const size_t bytes = em__spec_bytes(&program->inputs[i]);
        s->inputs[i] = i < s->resident ? inputs[i] : s->device + s->at[i];
        if (i < s->resident || !bytes)
            continue;
        if (s->host)
            memcpy(s->host + s->at[i], inputs[i], bytes);
        else
            EM__TRY(em__memory_upload(program->device, s->device + s->at[i], inputs[i], bytes));
    }
    return s->host ? em__memory_upload(program->device, s->device, s->host, s->in_bytes) : EM_OK;
}

static bool is_resident(const em_program *program, size_t output)
{
    return output < program->stage->resident && program->updated[output];
}

em_status em__stage_run(em_program *program, const void *const *inputs, void *const *outputs, size_t resident)
{
    if (program->stage && program->stage->resident != (resident < program->n_inputs ? resident : program->n_inputs))
        em__stage_free(program);
    em_status status = program->stage ? EM_OK : make(program, resident);
    if (status != EM_OK) {
        em__stage_free(program);
        return status;
    }
    em__stage *s = program->stage;
    EM__TRY(send_inputs(program, inputs));
    for (size_t i = 0; i < program->n_outputs; i++)
        s->outputs[i] = is_resident(program, i) ? outputs[i] : s->device + s->at[program->n_inputs + i];
    EM__TRY(em__program_execute(program, s->inputs, s->outputs));
    for (size_t i = 0; i < program->n_outputs; i++)
        if (!is_resident(program, i))
            EM__TRY(
                em__memory_download(program->device, outputs[i], s->outputs[i], em__spec_bytes(&program->outputs[i])));
    return EM_OK;
}
