/* Replay: patch the callers' pointers, call the kernels in order. Allocates nothing. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "device/checked.h"
#include "graph/program.h"

static void patch(em_program *program, const void *const *inputs, void *const *outputs)
{
    for (size_t i = 0; i < program->patches.length; i++) {
        const em__patch *p = &program->patches.data[i];
        em__call *call = &program->steps.data[p->step].call;
        static _Alignas(64) char nothing[64]; /* stands for the memory of empty values, which may be NULL */
        char *base;
        if (p->output)
            base = outputs[p->index];
        else
            memcpy(&base, &inputs[p->index], sizeof base); /* kernels do not write to operands */
        base = base ? base : nothing;
        void **pointer = p->place < call->n_in ? &call->in[p->place].data : &call->out.data;
        *pointer = base + p->offset;
    }
}

static em_status run_steps(em_program *program)
{
    for (size_t i = 0; i < program->steps.length; i++) {
        em__step *step = &program->steps.data[i];
        uint64_t begin = program->profile ? em__now() : 0;
        EM__TRY(em__call_run(program->device, &step->call));
        if (program->profile) {
            step->nanoseconds += em__now() - begin;
            step->count++;
        }
    }
    return EM_OK;
}

em_status em__program_execute(em_program *program, const void *const *inputs, void *const *outputs)
{
    patch(program, inputs, outputs);
    return run_steps(program);
}

static em_status check_memory(const em__spec *spec, const void *data, const char *what, size_t index)
{
    EM__FAIL_IF(!data && !em__spec_empty(spec), EM_ERROR_INVALID_ARGUMENT, "run: %s %zu is NULL", what, index);
    EM__FAIL_IF((uintptr_t)data % em__alignment(spec->dtype), EM_ERROR_INVALID_ARGUMENT,
                "run: %s %zu at %p is not aligned to %zu bytes, as %s needs", what, index, data,
                em__alignment(spec->dtype), em_dtype_name(spec->dtype));
    return EM_OK;
}

em_status em_run_raw(em_program *program, const void *const *inputs, void *const *outputs)
{
    EM__FAIL_IF(!program, EM_ERROR_INVALID_ARGUMENT, "run: the program is NULL");
    EM__FAIL_IF((!inputs && program->n_inputs) || !outputs, EM_ERROR_INVALID_ARGUMENT,
                "run: inputs or outputs are NULL");
    for (size_t i = 0; i < program->n_inputs; i++)
        EM__TRY(check_memory(&program->inputs[i], inputs[i], "input", i));
    for (size_t i = 0; i < program->n_outputs; i++) {
        EM__TRY(check_memory(&program->outputs[i], outputs[i], "output", i));
        EM__FAIL_IF(program->updated[i] && outputs[i] != inputs[i], EM_ERROR_INVALID_ARGUMENT,
                    "run: output %zu is input %zu updated in place; give it the same memory", i, i);
    }
    uint64_t begin = em__telemetry_wanted() ? em__now() : 0;
    pthread_mutex_lock(&program->lock);
    em__device_enter(program->device);
    em_status status = em__program_execute(program, inputs, outputs);
    em__device_leave(program->device);
    pthread_mutex_unlock(&program->lock);
    if (begin)
        em__telemetry("run", "", em__now() - begin);
    return status;
}

static em_status input_pointers(em_program *program, em_array *const *inputs, const void **pointers)
{
    char is[EM__SPEC_TEXT], should[EM__SPEC_TEXT];
    for (size_t i = 0; i < program->n_inputs; i++) {
        EM__FAIL_IF(!inputs[i], EM_ERROR_INVALID_ARGUMENT, "run: input %zu is NULL", i);
        EM__FAIL_IF(!em__spec_equal(&inputs[i]->spec, &program->inputs[i]), EM_ERROR_INVALID_ARGUMENT,
                    "run: input %zu is %s, the program was compiled for %s", i,
                    em__spec_print(&inputs[i]->spec, is, sizeof is),
                    em__spec_print(&program->inputs[i], should, sizeof should));
        pointers[i] = em_array_data(inputs[i]);
        if (!pointers[i])
            return em_last_status(); /* an evaluated array's data is never NULL */
    }
    return EM_OK;
}

/* A fresh array with memory, for a result. */
static em_array *fresh(em_program *program, const em__spec *spec)
{
    em__buffer *buffer = em__buffer_new((size_t)em__spec_size(spec) * em_dtype_size(spec->dtype));
    em_array *array = buffer ? em__array_over(program->device, spec, buffer) : NULL;
    if (!array)
        em__buffer_release(buffer);
    return array;
}

/* Memory that the program may write to and nobody else sees: the array's own when the caller alone has it. */
static em_array *own(em_program *program, em_array *const *inputs, size_t index)
{
    em_array *input = inputs[index];
    bool alone = atomic_load(&input->refs) == 1 && atomic_load(&input->buffer->refs) == 1 && !input->buffer->foreign;
    for (size_t i = 0; i < program->n_inputs && alone; i++) /* another input may be the same array */
        alone = i == index || inputs[i] != input;
    if (alone)
        return em_array_retain(input);
    em_array *copy = fresh(program, &input->spec);
    if (copy && em_array_bytes(input))
        memcpy(copy->buffer->data, (char *)input->buffer->data + input->offset, em_array_bytes(input));
    return copy;
}

/* Pointers for a run: `kept` [n_inputs] holds the arrays whose memory the run writes to, and that outputs share. */
static em_status prepare_run(em_program *program, em_array *const *inputs, em_array **outputs, em_array **kept,
                             const void **pointers, void **results)
{
    EM__TRY(input_pointers(program, inputs, pointers));
    for (size_t i = 0; i < program->n_inputs; i++) {
        if (!program->written[i])
            continue;
        kept[i] = own(program, inputs, i);
        if (!kept[i])
            return EM_ERROR_OUT_OF_MEMORY;
        pointers[i] = (char *)kept[i]->buffer->data + kept[i]->offset;
    }
    for (size_t i = 0; i < program->n_outputs; i++) {
        outputs[i] = program->updated[i] ? em__array_share(kept[i]) : fresh(program, &program->outputs[i]);
        if (!outputs[i])
            return EM_ERROR_OUT_OF_MEMORY;
        results[i] = (char *)outputs[i]->buffer->data + outputs[i]->offset;
    }
    return EM_OK;
}

em_status em_run(em_program *program, em_array *const *inputs, em_array **outputs)
{
    EM__FAIL_IF(!program || !outputs || (const void *)outputs == (const void *)inputs, EM_ERROR_INVALID_ARGUMENT,
                "run: NULL argument, or one list for inputs and outputs");
    memset(outputs, 0, program->n_outputs * sizeof *outputs);
    EM__FAIL_IF(!inputs && program->n_inputs, EM_ERROR_INVALID_ARGUMENT, "run: the list of inputs is NULL");
    size_t n_in = program->n_inputs, n_out = program->n_outputs;
    const void **pointers = em__calloc(n_in + 1, sizeof *pointers);
    void **results = em__calloc(n_out, sizeof *results);
    em_array **kept = em__calloc(n_in + 1, sizeof *kept);
    em_status status = EM_ERROR_OUT_OF_MEMORY;
    if (pointers && results && kept)
        status = prepare_run(program, inputs, outputs, kept, pointers, results);
    if (status == EM_OK)
        status = em_run_raw(program, pointers, results);
    for (size_t i = 0; i < n_out && status != EM_OK; i++)
        em_array_release(&outputs[i]);
    for (size_t i = 0; i < n_in && kept; i++)
        em_array_release(&kept[i]);
    em__free(pointers);
    em__free(results);
    em__free(kept);
    return status;
}

bool em_program_updates(const em_program *program, size_t i)
{
    return program && i < program->n_outputs && program->updated[i];
}

em_spec em_program_output_spec(const em_program *program, size_t index)
{
    em_spec out = {.dtype = EM_F32};
    if (!program || index >= program->n_outputs)
        return out;
    const em__spec *spec = &program->outputs[index];
    out.dtype = spec->dtype;
    out.dims.rank = spec->rank;
    memcpy(out.dims.dims, spec->dims, sizeof out.dims.dims);
    return out;
}
