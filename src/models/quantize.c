/*
 * em_checkpoint_quantize: tensors are read from the map some rows at a time, and what becomes of the rows is written
 * where it belongs in its file, which the plan knows beforehand.
 */
#include "models/decoder/config.h"
#include "models/model.h"
#include "models/quantize.h"

#include <math.h>
#include <string.h>

#include <emily/indexing.h>
#include <emily/ops.h>

#include "core/alloc.h"
#include "core/cause.h"
#include "core/error.h"
#include "core/options.h"
#include "core/str.h"
#include "io/safetensors.h"
#include "ops/quant.h"

#define BLOCK_BYTES ((size_t)4 << 20) /* of a tensor that are taken at a time */
#define SHARD_BYTES 5000000000u

/* Sums over elements: of errors and weights squared, and the largest error. What is not a number stays one. */
typedef struct error_sums {
    double error, weight, most;
} error_sums;

typedef struct quantize_job {
    em_quantize_options options;
    em__quantize_place place;
    em__quantize_plan plan;
    em_safetensors *file;
    em__writer writer;
    uint64_t *offsets; /* of plan.out in their files */
    size_t done;       /* bytes of the checkpoint */
    size_t quantized;
    error_sums all;
} quantize_job;

/* Bytes [at, at + bytes) of the tensor are done. */
static em_status go_on(quantize_job *job, const em_safetensors_tensor *t, size_t at, size_t bytes)
{
    const em_safetensors_tensor part = {.data = (const char *)t->data + at, .nbytes = bytes};
    em__safetensors_release_pages(job->file, &part);
    job->done += bytes;
    EM__FAIL_IF(job->options.progress && !job->options.progress(job->done, job->plan.before, job->options.user),
                EM_ERROR_CANCELLED, "%s: stopped on request", job->place.in);
    return EM_OK;
}

/* The scalar that `array` is; NaN on failure, with the scope's error. */
static double value_of(em_array *array)
{
    const float *data = array ? em_array_data(array) : NULL;
    return data ? (double)*data : (double)NAN;
}

/* The scales of the rows, and NaN for groups that hold NaN or infinity: such a group stands for no numbers either. Of
 * powers of two 0xff is none. */
static em_array *keep_no_numbers(em_scope *s, em_array *rows, em_array *scales)
{
    const em_dims dims = em_array_dims(scales);
    em_array *w = em_reshape(s, em_cast(s, rows, EM_F32), em_shape(dims.dims[0], dims.dims[1], -1));
    em_array *whole = em_all(s, em_is_finite(s, w), EM_AXES(-1), false);
    const em_dtype dtype = em_array_dtype(scales);
    return em_select(s, whole, scales, em_full(s, dtype, dtype == EM_U8 ? 0xff : (double)NAN, dims));
}

/* Rows as codes into q, evaluated, and how far what they stand for is from the rows. */
static em_status code_rows(const quantize_job *job, em_scope *s, em_array *rows, em_quantized *q, error_sums *sums)
{
    const em_quantization *how = &job->plan.how;
    *q = em_quantize(s, rows, how);
    if (job->options.allow_nan && q->scales)
        q->scales = keep_no_numbers(s, rows, q->scales);
    em_array *w = em_cast(s, rows, EM_F32);
    em_array *error = em_sub(s, em_cast(s, em_dequantize(s, q, how), EM_F32), w);
    em_array *squares = em_sum(s, em_square(s, error), EM_ALL_AXES, false);
    em_array *weights = em_sum(s, em_square(s, w), EM_ALL_AXES, false);
    em_array *most = em_max(s, em_abs(s, error), EM_ALL_AXES, false);
    em_array *wanted[] = {q->codes, q->scales, squares, weights, most};
    for (int i = 0; i < 5; i++)
        EM__TRY(em_eval(s, wanted[i]));
    sums->error += value_of(squares);
    sums->weight += value_of(weights);
    const double largest = value_of(most);
    sums->most = largest > sums->most || isnan(largest) ? largest : sums->most;
    return EM_OK;
}

/* Bytes [at, at + bytes) of the tensor: damaged weights make a checkpoint that answers nonsense, far from here. */
static em_status check_numbers(const quantize_job *job, const em__quantize_item *item, size_t at, size_t bytes)
{
    const em_safetensors_tensor *t = item->from;
    const bool can_be_kept = item->count == 1 || job->plan.how.mode != EM_QUANT_NVFP4;
    if (job->options.allow_nan && can_be_kept)
        return EM_OK;
    const int64_t first = em__first_no_number(t->dtype, (const char *)t->data + at, bytes);
    if (first < 0)
        return EM_OK;
    const int64_t element = first + (int64_t)(at / em_dtype_size(t->dtype));
    EM__FAIL_IF(job->options.allow_nan, EM_ERROR_UNSUPPORTED,
                "%s: tensor %s holds NaN or infinity, first at element %lld, and mode nvfp4 has numbers only; choose "
                "another mode",
                job->place.in, t->name, (long long)element);
    return em__fail_no_number(job->place.in, t->name, element);
}

/* Of weights near the end of their dtype the scales are past it. */
static em_status check_scales(const quantize_job *job, const em_safetensors_tensor *t,
                              const em_safetensors_tensor *part, const void *data, size_t bytes)
{
    if (job->options.allow_nan || em__first_no_number(part->dtype, data, bytes) < 0)
        return EM_OK;
    em__fail(EM_ERROR_FORMAT,
             "%s: tensor %s has scales that are NaN or infinity, so large are its weights; " EM__NO_NUMBER_ADVICE,
             job->place.in, t->name);
    return em__because(EM_ERROR_FORMAT, EM__CAUSE_NO_NUMBER);
}

/* Rows [row, row + count) of the item. */
static em_status quantize_rows(quantize_job *job, const em__quantize_item *item, int64_t row, int64_t count,
                               error_sums *sums)
{
    const em_safetensors_tensor *t = item->from, *out = &job->plan.out.data[item->first];
    const int64_t columns = t->dims.dims[1];
    const char *data = (const char *)t->data + (size_t)(row * columns) * em_dtype_size(t->dtype);
    em_scope *s = em_scope_new(job->options.device);
    em_array *rows = s ? em_array_wrap(t->dtype, data, em_shape(count, columns), NULL, NULL) : NULL;
    em_quantized q = {0};
    em_status status = rows ? code_rows(job, s, rows, &q, sums) : em_last_status();
    em_array *parts[] = {q.codes, q.scales, q.biases};
    for (size_t i = 0; i < item->count && status == EM_OK; i++) {
        const size_t line = out[i].nbytes / (size_t)t->dims.dims[0];
        const void *bytes = em_array_data(parts[i]);
        status = bytes ? check_scales(job, t, &out[i], bytes, (size_t)count * line) : em_last_status();
        if (status == EM_OK)
            status = em__writer_patch(&job->writer, job->offsets[item->first + i] + (uint64_t)row * line, bytes,
                                      (size_t)count * line);
    }
    em_array_release(&rows);
    em_scope_free(s);
    return status;
}

static em_status quantize_item(quantize_job *job, const em__quantize_item *item, error_sums *sums)
{
    const em_safetensors_tensor *t = item->from;
    const int64_t rows = t->dims.dims[0];
    const size_t line = t->nbytes / (size_t)rows;
    const int64_t most = line < BLOCK_BYTES ? (int64_t)(BLOCK_BYTES / line) : 1;
    for (int64_t row = 0; row < rows; row += most) {
        const int64_t count = rows - row < most ? rows - row : most;
        EM__TRY(check_numbers(job, item, (size_t)row * line, (size_t)count * line));
        EM__TRY(quantize_rows(job, item, row, count, sums));
        EM__TRY(go_on(job, t, (size_t)row * line, (size_t)count * line));
    }
    return EM_OK;
}

static em_status copy_item(quantize_job *job, const em__quantize_item *item)
{
    const em_safetensors_tensor *t = item->from;
    for (size_t at = 0; at < t->nbytes; at += BLOCK_BYTES) {
        const size_t bytes = t->nbytes - at < BLOCK_BYTES ? t->nbytes - at : BLOCK_BYTES;
        EM__TRY(check_numbers(job, item, at, bytes));
        EM__TRY(em__writer_patch(&job->writer, job->offsets[item->first] + at, (const char *)t->data + at, bytes));
        EM__TRY(go_on(job, t, at, bytes));
    }
    return EM_OK;
}

static double relative(const error_sums *sums)
{
    return sums->weight == 0 ? 0 : sqrt(sums->error / sums->weight);
}

static em_status write_item(quantize_job *job, size_t index)
{
    const em__quantize_item *item = &job->plan.items.data[index];
    const em_safetensors_tensor *t = item->from;
    error_sums sums = {0};
    em__safetensors_will_need(job->file, t);
    EM__TRY(item->count > 1 ? quantize_item(job, item, &sums) : copy_item(job, item));
    job->all.error += sums.error;
    job->all.weight += sums.weight;
    job->quantized += item->count > 1;
    em_quantize_report report = {.name = t->name,
                                 .dtype = t->dtype,
                                 .dims = t->dims,
                                 .quantized = item->count > 1,
                                 .rms_error = relative(&sums),
                                 .max_error = sums.most,
                                 .before = t->nbytes,
                                 .index = index,
                                 .tensors = job->plan.items.length};
    for (size_t i = 0; i < item->count; i++)
        report.after += job->plan.out.data[item->first + i].nbytes;
    if (job->options.report)
        job->options.report(&report, job->options.user);
    return EM_OK;
}

/* A file of weights; its items begin with *item. */
static em_status fill_shard(quantize_job *job, const em__quantize_shard *shard, size_t *item)
{
    static const em_safetensors_entry format = {"format", "mlx"};
    const em__quantize_plan *plan = &job->plan;
    em__str header = {0};
    em_status status = em__safetensors_layout(plan->out.data + shard->first, shard->count, &format, 1, &header,
                                              job->offsets + shard->first);
    if (status == EM_OK)
        status = em__writer_patch(&job->writer, 0, header.data, header.length);
    em__str_free(&header);
    for (; status == EM_OK && *item < plan->items.length; (*item)++) {
        if (plan->items.data[*item].first >= shard->first + shard->count)
            break;
        status = write_item(job, *item);
    }
    return status;
}

static em_status write_weights(quantize_job *job)
{
    size_t item = 0;
    for (size_t i = 0; i < job->plan.shards.length; i++) {
        const em__quantize_shard *shard = &job->plan.shards.data[i];
        char *path = em__path_join(job->place.temporary, shard->name);
        em_status status = path ? em__writer_begin(&job->writer, path) : EM_ERROR_OUT_OF_MEMORY;
        em__free(path);
        EM__TRY(status);
        status = fill_shard(job, shard, &item);
        if (status == EM_OK)
            status = em__writer_commit(&job->writer);
        else
            em__writer_abort(&job->writer);
        EM__TRY(status);
    }
    return EM_OK;
}

static em_status quantize_all(quantize_job *job, const char *in, const char *out, em__json_doc *config)
{
    bool tied = false;
    EM__TRY(em__quantize_place_begin(&job->place, in, out));
    EM__TRY(em__quantize_config(in, config, &tied));
    const char *type = json_string_value(json_object_get(config->root, "model_type"));
    EM__FAIL_IF(
        !type || !em__decoder_family_find(type), EM_ERROR_UNSUPPORTED,
        "quantize: %s is no model that generates, and others are not read with quantized weights; one that gives "
        "vectors is run as it is by `emily embed`",
        in);
    EM__TRY(em_safetensors_open(in, NULL, &job->file));
    EM__TRY(em__quantize_plan_make(&job->plan, job->file, tied,
                                   job->options.shard_bytes ? job->options.shard_bytes : SHARD_BYTES));
    EM__TRY(em__quantize_check_model(in, job->file, job->options.device));
    job->offsets = em__calloc(job->plan.out.length, sizeof *job->offsets);
    if (!job->offsets)
        return EM_ERROR_OUT_OF_MEMORY;
    EM__TRY(em__quantize_side_files(&job->place, config, &job->plan));
    EM__TRY(write_weights(job));
    return em__quantize_place_commit(&job->place);
}

static em_quantize_totals totals_of(const quantize_job *job)
{
    double weights = 0;
    for (size_t i = 0; i < job->plan.items.length; i++)
        weights +=
            (double)job->plan.items.data[i].from->nbytes / (double)em_dtype_size(job->plan.items.data[i].from->dtype);
    return (em_quantize_totals){.tensors = job->plan.items.length,
                                .quantized = job->quantized,
                                .before = job->plan.before,
                                .after = job->plan.after,
                                .files = job->plan.shards.length,
                                .bits_per_weight = weights > 0 ? 8 * (double)job->plan.after / weights : 0,
                                .rms_error = relative(&job->all)};
}

em_status em_checkpoint_quantize(const char *in, const char *out, const em_quantize_options *options,
                                 em_quantize_totals *totals)
{
    quantize_job job = {.writer = {.fd = -1}, .place = {.lock = -1}};
    em__json_doc config = {0};
    em_quantization *how = &job.plan.how;
    EM__FAIL_IF(!in || !out, EM_ERROR_INVALID_ARGUMENT, "quantize: NULL argument");
    if (totals)
        EM__TRY(em__result_check(totals, sizeof *totals, "em_quantize_totals"));
    EM__TRY(EM__OPTIONS_COPY(options, &job.options, em_quantize_options));
    EM__TRY(EM__OPTIONS_COPY(job.options.how, how, em_quantization));
    how->struct_size = sizeof *how;
    em__quant filled = {how->mode, how->group, how->bits};
    em__quant_fill(&filled);
    how->group = (int)filled.group;
    how->bits = (int)filled.bits;
    em_status status = quantize_all(&job, in, out, &config);
    if (status == EM_OK && totals) {
        const em_quantize_totals made = totals_of(&job);
        status = em__result_give(&made, totals, sizeof made, "em_quantize_totals");
    }
    em__free(job.offsets);
    em__quantize_plan_free(&job.plan);
    em_safetensors_close(&job.file);
    em__json_free(&config);
    em__quantize_place_free(&job.place);
    return status;
}
