/* The forward alone: on ids that the caller has, timed, and described. */
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/log.h"
#include "models/decoder/decoder.h"
#include "models/model.h"

enum { WARM_UP = 2, MAX_TOKENS = 1 << 24 };

static em_status check_offsets(const em_model *model, const int32_t *offsets, size_t n)
{
    EM__FAIL_IF(offsets[0] != 0, EM_ERROR_INVALID_ARGUMENT, "hidden: offsets[0] is %d, expected 0", offsets[0]);
    for (size_t i = 0; i < n; i++) {
        int64_t length = (int64_t)offsets[i + 1] - offsets[i];
        EM__FAIL_IF(length < 0, EM_ERROR_INVALID_ARGUMENT,
                    "hidden: offsets[%zu] is %d, below offsets[%zu], which is %d", i + 1, offsets[i + 1], i,
                    offsets[i]);
        EM__FAIL_IF((size_t)length > model->positions, EM_ERROR_INVALID_ARGUMENT,
                    "hidden: sequence %zu has %lld tokens, the model has positions for %zu", i, (long long)length,
                    model->positions);
    }
    return EM_OK;
}

static em_status check_tokens(const em_model *model, const int32_t *ids, const int32_t *types, size_t count)
{
    const int64_t *sizes = model->config.sizes;
    for (size_t i = 0; i < count; i++) {
        EM__FAIL_IF(ids[i] < 0 || ids[i] >= sizes[EM__VOCABULARY], EM_ERROR_INVALID_ARGUMENT,
                    "hidden: ids[%zu] is %d, expected 0 .. %lld", i, ids[i], (long long)sizes[EM__VOCABULARY] - 1);
        EM__FAIL_IF(types && sizes[EM__TYPES] > 0 && (types[i] < 0 || types[i] >= sizes[EM__TYPES]),
                    EM_ERROR_INVALID_ARGUMENT, "hidden: type_ids[%zu] is %d, expected 0 .. %lld", i, types[i],
                    (long long)sizes[EM__TYPES] - 1);
    }
    return EM_OK;
}

static em_status fill(const em_model *model, const int32_t *ids, const int32_t *types, const int32_t *offsets, size_t n,
                      em__batch *batch)
{
    size_t count = (size_t)offsets[n];
    const size_t least = em__model_least_tokens(model);
    EM__TRY(check_tokens(model, ids, types, count));
    EM__TRY(em__batch_reserve(batch, count < least ? least : count, n));
    for (size_t i = 0; i < n; i++) {
        int32_t from = offsets[i];
        em__batch_add(batch, &model->config, ids + from, types ? types + from : NULL, (size_t)(offsets[i + 1] - from),
                      0);
    }
    return EM_OK;
}

/* Rows of the batch's tokens alone, though more may be computed. */
static em_status run_hidden(em_model *model, em__batch *batch, float *out)
{
    const size_t hidden = (size_t)model->config.sizes[EM__HIDDEN], tokens = batch->tokens;
    const size_t least = em__model_least_tokens(model), size = least * hidden * sizeof *out;
    em__task task = {tokens, batch->segments, EM__NO_POOLING, 0, false};
    if (tokens >= least)
        return em__model_run(model, &task, batch, out);
    float *rows = em__block_alloc(size);
    if (!rows)
        return EM_ERROR_OUT_OF_MEMORY;
    em__batch_round(batch, task.tokens = least, batch->segments);
    const em_status status = em__model_run(model, &task, batch, rows);
    if (status == EM_OK)
        memcpy(out, rows, tokens * hidden * sizeof *out);
    em__block_free(rows, size);
    return status;
}

em_array *em_model_hidden(em_model *model, const int32_t *ids, const int32_t *type_ids, const int32_t *offsets,
                          size_t n)
{
    em__batch batch = {0};
    em_array *result = NULL;
    float *out;
    if (!model) {
        em__no_model();
        return NULL;
    }
    if (n == 0 || !ids || !offsets) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "hidden: ids, offsets and at least one sequence are needed");
        return NULL;
    }
    em_status status = check_offsets(model, offsets, n);
    if (status == EM_OK && offsets[n] == 0)
        return em__result_new(0, (size_t)model->config.sizes[EM__HIDDEN], &out);
    if (status == EM_OK)
        status = fill(model, ids, type_ids, offsets, n, &batch);
    if (status == EM_OK) {
        result = em__result_new((size_t)offsets[n], (size_t)model->config.sizes[EM__HIDDEN], &out);
        status = result ? run_hidden(model, &batch, out) : em_last_status();
        if (status == EM_OK && em__has_nan(out, (size_t)offsets[n] * (size_t)model->config.sizes[EM__HIDDEN]))
            status = em__model_fail_nan(model, "hidden: the result is");
    }
    em__batch_free(&batch);
    if (status != EM_OK)
        em_array_release(&result);
    return result;
}

/* Sequences of ids spread over the vocabulary: what they are does not matter, that they differ does. */
static em_status fill_any(const em_model *model, size_t batch_size, size_t tokens, em__batch *batch)
{
    const size_t least = em__model_least_tokens(model), count = batch_size * tokens;
    EM__TRY(em__batch_reserve(batch, count < least ? least : count, batch_size));
    int32_t *ids = em__alloc(tokens * sizeof *ids);
    if (!ids)
        return EM_ERROR_OUT_OF_MEMORY;
    uint32_t random = 1;
    for (size_t i = 0; i < batch_size; i++) {
        for (size_t k = 0; k < tokens; k++) {
            random = random * 1664525u + 1013904223u;
            ids[k] = (int32_t)(random % (uint32_t)model->config.sizes[EM__VOCABULARY]);
        }
        em__batch_add(batch, &model->config, ids, NULL, tokens, 0);
    }
    em__free(ids);
    em__batch_round(batch, count < least ? least : count, batch_size);
    return EM_OK;
}

/* On a device with memory of its own, its part alone: ids are there before, and what comes out stays there. */
static em_status time_on_device(em_model *model, const em__task *task, const em__batch *batch, size_t runs,
                                double *milliseconds)
{
    em_array *inputs[EM__TASK_INPUTS], *out = NULL;
    em_scope *s = em_scope_new(model->device);
    em_status status = s ? em__task_inputs(s, task, batch, inputs) : EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < WARM_UP + runs && status == EM_OK; i++) {
        uint64_t start = em__now();
        status = em__model_run_arrays(model, task, inputs, &out);
        if (status == EM_OK)
            status = em_device_wait(model->device);
        if (i >= WARM_UP)
            milliseconds[i - WARM_UP] = (double)(em__now() - start) / 1e6;
        em_array_release(&out);
    }
    em_scope_free(s);
    return status;
}

static em_status time_runs(em_model *model, const em__batch *batch, size_t runs, double *milliseconds)
{
    const em__task task = {batch->tokens, batch->segments, EM__NO_POOLING, 0, false};
    if (em_device_has_memory(model->device) && model->lane != EM_LANE_EAGER)
        return time_on_device(model, &task, batch, runs, milliseconds);
    size_t size = batch->tokens * (size_t)model->config.sizes[EM__HIDDEN] * sizeof(float);
    float *out = em__block_alloc(size);
    em_status status = out ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < WARM_UP + runs && status == EM_OK; i++) {
        uint64_t start = em__now();
        status = em__model_run(model, &task, batch, out);
        if (i >= WARM_UP)
            milliseconds[i - WARM_UP] = (double)(em__now() - start) / 1e6;
    }
    em__block_free(out, size);
    return status;
}

em_status em_model_bench(em_model *model, size_t batch, size_t tokens, size_t runs, double *milliseconds)
{
    em__batch packed = {0};
    size_t total;
    EM__TRY(em__need_vectors(model, "bench"));
    EM__FAIL_IF(tokens == 0 || tokens > model->positions, EM_ERROR_INVALID_ARGUMENT,
                "bench: %zu tokens a sequence, expected 1 .. %zu", tokens, model->positions);
    EM__FAIL_IF(batch == 0 || em__mul_overflows(batch, tokens, &total) || total > MAX_TOKENS, EM_ERROR_INVALID_ARGUMENT,
                "bench: %zu sequences of %zu tokens, expected 1 .. %d tokens in all", batch, tokens, MAX_TOKENS);
    EM__FAIL_IF(runs > 0 && !milliseconds, EM_ERROR_INVALID_ARGUMENT, "bench: milliseconds is NULL");
    em_status status = fill_any(model, batch, tokens, &packed);
    if (status == EM_OK)
        status = time_runs(model, &packed, runs, milliseconds);
    em__batch_free(&packed);
    return status;
}

em_status em_model_profile(em_model *model, void (*emit)(const char *line, void *user), void *user)
{
    if (!model)
        return em__no_model();
    EM__FAIL_IF(!emit, EM_ERROR_INVALID_ARGUMENT, "profile: emit is NULL");
    EM__FAIL_IF(model->lane == EM_LANE_EAGER, EM_ERROR_UNSUPPORTED,
                "profile: the eager lane has no program; open the model with the native or the fuse lane");
    bool any;
    any = model->decoder && em__decoder_describe(model->decoder, emit, user);
    if (!any) { /* of a decoder that did both, what it generated with */
        pthread_mutex_lock(&model->lock);
        any = model->programs.count > 0;
        if (any)
            em_program_describe(model->programs.entries[0].program, emit, user);
        pthread_mutex_unlock(&model->lock);
    }
    EM__FAIL_IF(!any, EM_ERROR_INVALID_ARGUMENT, "profile: nothing was run yet");
    return EM_OK;
}
