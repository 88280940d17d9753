/*
 * Running a task: eager builds and evaluates; the other lanes keep a program a shape. A program's inputs are the arrays
 * of em__batch in their order; all of it is one replay.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/log.h"
#include "device/cpu/cpu.h"
#include "device/cpu/gemm_round.h"
#include "models/decoder/decoder.h"
#include "models/model.h"
#include "models/weights.h"

enum { N_INPUTS = EM__TASK_INPUTS };

typedef struct tracing {
    const em_model *model;
    const em__task *task;
} tracing;

static em_status trace(em_scope *s, em_array *const *inputs, em_array **outputs, void *user)
{
    const tracing *t = user;
    const em__tokens tokens = {inputs[0], inputs[1], inputs[2], inputs[3]};
    outputs[0] = em__task_build(s, t->model, t->task, &tokens, inputs[4]);
    return em_scope_status(s);
}

static void input_specs(const em__task *task, em_spec *specs)
{
    const int64_t tokens = (int64_t)task->tokens, segments = (int64_t)task->segments;
    const int64_t lengths[N_INPUTS] = {tokens, tokens, tokens, segments + 1, 2 * segments + 1};
    for (int i = 0; i < N_INPUTS; i++)
        specs[i] = (em_spec){EM_S32, em_shape(lengths[i])};
}

static void input_data(const em__batch *batch, const void **data)
{
    const void *const inputs[N_INPUTS] = {batch->ids, batch->types, batch->positions, batch->offsets, batch->cuts};
    memcpy(data, inputs, sizeof inputs);
}

static bool same_task(const em__task *a, const em__task *b)
{
    return a->tokens == b->tokens && a->segments == b->segments && a->pooling == b->pooling &&
           a->normalize == b->normalize && a->skip_prompt == b->skip_prompt && a->dimensions == b->dimensions;
}

/* Drops the least recently used programs until one more of `bytes` fits. */
static void make_room(em__programs *programs, size_t bytes)
{
    size_t total = bytes, keep = 0;
    for (; keep < programs->count && keep < EM__MAX_PROGRAMS - 1; keep++) {
        em_program_stats stats = {.struct_size = sizeof stats};
        em_program_get_stats(programs->entries[keep].program, &stats);
        total += stats.arena_bytes;
        if (total > EM__MAX_PROGRAM_BYTES)
            break;
    }
    while (programs->count > keep)
        em_program_free(programs->entries[--programs->count].program);
}

/* Whether a decoder's activations are rounded to bf16 where they meet its weights. (Those of encoders are of one dtype
 * with them.) */
static bool may_round(const em_model *model)
{
    const em_model_info *info = &model->info;
    return model->decoder && !model->exact && model->lane == EM_LANE_FUSE &&
           (info->dtype == EM_BF16 || info->quantized_bits > 0);
}

/* A processor rounds many rows and not few; and with AMX up to 8 rows meet bf16 in another order of summation. */
size_t em__model_least_tokens(const em_model *model)
{
    if (!model->decoder || model->device != em__cpu_device())
        return 1;
    if (may_round(model) && em__round_kernels_get(em__cpu_of(model->device)->level))
        return EM__ROUND_ROWS;
    return 9;
}

static bool reads_raw(const em_model *model)
{
    return model->decoder ? model->decoder->raw_weights : model->raw_weights;
}

static em_program *compile(em_model *model, const em__task *task)
{
    em_spec specs[N_INPUTS];
    tracing t = {model, task};
    const em_compile_options options = {.struct_size = sizeof options,
                                        .lane = model->lane == EM_LANE_FUSE ? EM_FUSE : EM_NATIVE,
                                        .device = model->device,
                                        .profile = model->profile,
                                        .raw_weights = reads_raw(model),
                                        .half_products = may_round(model)};
    input_specs(task, specs);
    em_program *program = em_compile(trace, &t, specs, N_INPUTS, 1, &options);
    /* The products' weights live on as packed copies: their pages in the file may go. */
    if (program && !reads_raw(model) && model->programs.compiled++ == 0)
        em__weights_release_pages(model->file);
    return program;
}

/* The program for the task, moved to the front; NULL on failure. */
static em_program *program_for(em_model *model, const em__task *task)
{
    em__programs *p = &model->programs;
    em__program_entry found = {*task, NULL};
    size_t i = 0;
    while (i < p->count && !same_task(&p->entries[i].task, task))
        i++;
    if (i < p->count) {
        found = p->entries[i];
    } else {
        em_program_stats stats = {.struct_size = sizeof stats};
        found.program = compile(model, task);
        if (!found.program)
            return NULL;
        em_program_get_stats(found.program, &stats);
        make_room(p, stats.arena_bytes);
        i = p->count++;
    }
    memmove(p->entries + 1, p->entries, i * sizeof *p->entries);
    p->entries[0] = found;
    return found.program;
}

static em_status run_eager(const em_model *model, const em__task *task, const em__batch *batch, float *out)
{
    em_array *inputs[N_INPUTS], *result = NULL;
    tracing t = {model, task};
    em_scope *s = em_scope_new(model->device);
    if (!s)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = em__task_inputs(s, task, batch, inputs);
    if (status == EM_OK)
        status = trace(s, inputs, &result, &t);
    if (status == EM_OK)
        status = em_eval(s, result);
    const void *values = status == EM_OK ? em_array_data(result) : NULL;
    if (values)
        memcpy(out, values, em_array_bytes(result));
    else if (status == EM_OK)
        status = em_last_status();
    em_scope_free(s);
    return status;
}

em_status em__task_inputs(em_scope *s, const em__task *task, const em__batch *batch, em_array **inputs)
{
    em_spec specs[N_INPUTS];
    const void *data[N_INPUTS];
    input_specs(task, specs);
    input_data(batch, data);
    for (int i = 0; i < N_INPUTS; i++)
        inputs[i] = em_constant(s, specs[i].dtype, data[i], specs[i].dims);
    return em_scope_status(s);
}

em_status em__model_run_arrays(em_model *model, const em__task *task, em_array *const *inputs, em_array **out)
{
    pthread_mutex_lock(&model->lock);
    em_program *program = program_for(model, task);
    em_status status = program ? em_run(program, inputs, out) : em_last_status();
    pthread_mutex_unlock(&model->lock);
    return status;
}

em_status em__model_run(em_model *model, const em__task *task, const em__batch *batch, float *out)
{
    const void *data[N_INPUTS];
    em_status status;
    input_data(batch, data);
    pthread_mutex_lock(&model->lock);
    if (model->lane == EM_LANE_EAGER) {
        status = run_eager(model, task, batch, out);
    } else {
        em_program *program = program_for(model, task);
        status = program ? em_run_raw(program, data, (void *const[]){out}) : em_last_status();
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}

void em__programs_clear(em__programs *programs)
{
    while (programs->count > 0)
        em_program_free(programs->entries[--programs->count].program);
}

/* The block's size stands before the elements, for the free function. */
enum { HEAD = 64 };

static void free_result(void *user)
{
    size_t size;
    memcpy(&size, user, sizeof size);
    em__block_free(user, size);
}

em_array *em__result_new(size_t rows, size_t width, float **data)
{
    size_t size;
    if (em__mul_overflows(rows, width, &size) || em__mul_overflows(size, sizeof(float), &size) ||
        em__add_overflows(size, HEAD, &size)) {
        em__fail(EM_ERROR_OUT_OF_MEMORY, "%zu vectors of %zu elements do not fit in memory", rows, width);
        return NULL;
    }
    char *block = em__block_alloc(size);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    *data = (float *)(block + HEAD);
    em_array *array = em_array_wrap(EM_F32, *data, em_shape((int64_t)rows, (int64_t)width), free_result, block);
    if (!array)
        em__block_free(block, size);
    return array;
}
