/* Replay: patch the callers' pointers, call the kernels in order. Allocates nothing. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "device/checked.h"
#include "device/memory.h"
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

/* With a profile the device is waited for behind each step. */
static em_status run_profiled(em_program *program, em__step *step)
{
    uint64_t begin = em__now();
    EM__TRY(em__call_run(program->device, &step->call));
    EM__TRY(em__memory_wait(program->device));
    step->nanoseconds += em__now() - begin;
    step->count++;
    return EM_OK;
}

em_status em__program_steps(em_program *program, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        em__step *step = &program->steps.data[i];
        if (!step->merged)
            EM__TRY(program->profile ? run_profiled(program, step) : em__call_run(program->device, &step->call));
    }
    return EM_OK;
}

em_status em__program_execute(em_program *program, const void *const *inputs, void *const *outputs)
{
    patch(program, inputs, outputs);
    if (program->device->vtable->recorder && !program->profile && !em__debug_flags())
        return em__program_replay(program, inputs, outputs);
    return em__program_steps(program, 0, program->steps.length);
}

em_status em__program_inline(em_program *program, const void *const *inputs, void *const *outputs)
{
    patch(program, inputs, outputs);
    return em__program_steps(program, 0, program->steps.length);
}

static em_status check_memory(const em__spec *spec, const void *data, const char *what, size_t index)
{
    EM__FAIL_IF(!data && !em__spec_empty(spec), EM_ERROR_INVALID_ARGUMENT, "run: %s %zu is NULL", what, index);
    EM__FAIL_IF((uintptr_t)data % em__alignment(spec->dtype), EM_ERROR_INVALID_ARGUMENT,
                "run: %s %zu at %p is not aligned to %zu bytes, as %s needs", what, index, data,
                em__alignment(spec->dtype), em_dtype_name(spec->dtype));
    return EM_OK;
}

static em_status check_raw(em_program *program, const void *const *inputs, void *const *outputs)
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
    return EM_OK;
}

/* On memory of the device, or by the stage with only the first `resident` inputs there. */
static em_status run_locked(em_program *program, const void *const *inputs, void *const *outputs, size_t resident)
{
    uint64_t begin = em__telemetry_wanted() ? em__now() : 0;
    pthread_mutex_lock(&program->lock);
    em__device_enter(program->device);
    bool staged = em__memory_of(program->device) && resident < program->n_inputs + program->n_outputs;
    em_status status =
        staged ? em__stage_run(program, inputs, outputs, resident) : em__program_execute(program, inputs, outputs);
    em__device_leave(program->device);
    pthread_mutex_unlock(&program->lock);
    if (begin)
        em__telemetry("run", "", em__now() - begin);
    return status;
}

em_status em_run_raw(em_program *program, const void *const *inputs, void *const *outputs)
{
    EM__TRY(check_raw(program, inputs, outputs));
    return run_locked(program, inputs, outputs, 0);
}

em_status em__run_resident(em_program *program, const void *const *inputs, void *const *outputs, size_t resident)
{
    EM__TRY(check_raw(program, inputs, outputs));
    return run_locked(program, inputs, outputs, resident);
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
        void *data;
        EM__TRY(em__array_data_on(inputs[i], program->device, &data));
        pointers[i] = data;
    }
    return EM_OK;
}

/* A fresh array with memory, for a result. */
static em_array *fresh(em_program *program, const em__spec *spec)
{
    em__buffer *buffer = em__buffer_new(program->device, em__spec_bytes(spec));
    em_array *array = buffer ? em__array_over(program->device, spec, buffer) : NULL;
    if (!array)
        em__buffer_release(buffer);
    return array;
}

/* Memory that the program may write to and nobody else sees: the array's own when the caller alone has it. Its elements
 * are at `data`, in the device's memory. */
static em_array *own(em_program *program, em_array *const *inputs, size_t index, const void *data)
{
    em_array *input = inputs[index];
    em_device *memory = em__memory_of(program->device);
    bool alone = atomic_load(&input->refs) == 1 && atomic_load(&input->buffer->refs) == 1 && !input->buffer->foreign &&
                 input->buffer->memory == memory && !atomic_load(&input->buffer->mirrors) &&
                 input->offset % EM__PART_ALIGN == 0;       /* kernels of an update may want its memory aligned */
    for (size_t i = 0; i < program->n_inputs && alone; i++) /* another input may be the same array */
        alone = i == index || inputs[i] != input;
    if (alone)
        return em_array_retain(input);
    em_array *copy = fresh(program, &input->spec);
    if (copy && em__memory_copy(memory, copy->buffer->data, data, em_array_bytes(input)) != EM_OK)
        em_array_release(&copy);
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
        kept[i] = own(program, inputs, i, pointers[i]);
        if (!kept[i])
            return em_last_status();
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
        status = em__run_resident(program, pointers, results, SIZE_MAX);
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
