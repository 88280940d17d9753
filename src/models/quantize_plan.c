/* Which tensors of a checkpoint become codes, what is written for each, and in which file; whether they are a model. */
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "models/decoder/decoder.h"
#include "models/quantize.h"
#include "models/weights.h"
#include "ops/quant.h"

#define HOW "quantize: "

static em_status check_how(const em_quantization *how)
{
    const em__quant q = {how->mode, how->group, how->bits};
    if (em__quant_group_fits(&q) && em__quant_bits_fit(&q))
        return EM_OK;
    EM__FAIL_IF(how->mode == EM_QUANT_AFFINE, EM_ERROR_INVALID_ARGUMENT,
                HOW "affine has groups of 16, 32, 64 or 128 and 2, 3, 4, 5, 6 or 8 bits, not a group of %d and %d bits",
                how->group, how->bits);
    return em__fail(EM_ERROR_INVALID_ARGUMENT,
                    HOW "mode %s has one group and one number of bits, not a group of %d and %d bits; leave both out",
                    em_quant_mode_name(how->mode), how->group, how->bits);
}

/* As mlx-lm chooses: the weights of linear maps and embeddings, if their rows are whole groups and whole words. */
static bool eligible(const em_safetensors_tensor *t, const em_quantization *how)
{
    return t->dims.rank == 2 && em__ends_with(t->name, ".weight") && t->nbytes > 0 &&
           (t->dtype == EM_F32 || t->dtype == EM_F16 || t->dtype == EM_BF16) && t->dims.dims[1] % how->group == 0 &&
           t->dims.dims[1] * how->bits % 32 == 0;
}

static em_status add_out(em__quantize_plan *plan, const em_safetensors_tensor *from, const char *suffix, em_dtype dtype,
                         int64_t columns)
{
    char *name;
    const size_t stem = strlen(from->name) - strlen(".weight"), length = stem + strlen(suffix);
    em_safetensors_tensor out = {.dtype = dtype, .dims = from->dims};
    name = em__arena_alloc(&plan->names, length + 1);
    if (!name)
        return EM_ERROR_OUT_OF_MEMORY;
    memcpy(name, from->name, stem);
    memcpy(name + stem, suffix, strlen(suffix) + 1);
    out.name = name;
    out.dims.dims[1] = columns;
    out.nbytes = (size_t)out.dims.dims[0] * (size_t)columns * em_dtype_size(dtype);
    return em__vec_push(&plan->out, out);
}

static em_status add_item(em__quantize_plan *plan, const em_safetensors_tensor *from)
{
    const em_quantization *how = &plan->how;
    em__quantize_item item = {from, plan->out.length, 1};
    if (eligible(from, how)) {
        const bool affine = how->mode == EM_QUANT_AFFINE;
        const int64_t k = from->dims.dims[1];
        const em_dtype scale = affine ? from->dtype : EM_U8;
        EM__TRY(add_out(plan, from, ".weight", EM_U32, k / 32 * how->bits + k % 32 * how->bits / 32));
        EM__TRY(add_out(plan, from, ".scales", scale, k / how->group));
        if (affine)
            EM__TRY(add_out(plan, from, ".biases", scale, k / how->group));
        item.count = affine ? 3 : 2;
    } else {
        em_safetensors_tensor out = *from;
        out.data = NULL;
        EM__TRY(em__vec_push(&plan->out, out));
    }
    for (size_t i = item.first; i < plan->out.length; i++)
        plan->after += plan->out.data[i].nbytes;
    plan->before += from->nbytes;
    return em__vec_push(&plan->items, item);
}

static size_t item_bytes(const em__quantize_plan *plan, const em__quantize_item *item)
{
    size_t bytes = 0;
    for (size_t i = 0; i < item->count; i++)
        bytes += plan->out.data[item->first + i].nbytes;
    return bytes;
}

/* Files of at most `most` bytes, in the order of the checkpoint; what belongs to a weight stays together. */
static em_status cut(em__quantize_plan *plan, size_t most)
{
    size_t bytes = 0;
    for (size_t i = 0; i < plan->items.length; i++) {
        const em__quantize_item *item = &plan->items.data[i];
        const size_t more = item_bytes(plan, item);
        if (i == 0 || (bytes > 0 && (more > most || bytes > most - more))) {
            EM__TRY(em__vec_push(&plan->shards, ((em__quantize_shard){.first = item->first})));
            bytes = 0;
        }
        plan->shards.data[plan->shards.length - 1].count += item->count;
        bytes += more;
    }
    for (size_t i = 0; i < plan->shards.length; i++) {
        em__quantize_shard *shard = &plan->shards.data[i];
        if (plan->shards.length == 1)
            snprintf(shard->name, sizeof shard->name, "model.safetensors");
        else
            snprintf(shard->name, sizeof shard->name, "model-%05zu-of-%05zu.safetensors", i + 1, plan->shards.length);
    }
    return EM_OK;
}

em_status em__quantize_plan_make(em__quantize_plan *plan, const em_safetensors *file, bool tied, size_t shard_bytes)
{
    const em_safetensors_tensor *t;
    const char *path = em_safetensors_file_path(file, 0);
    size_t quantized = 0;
    EM__TRY(check_how(&plan->how));
    for (size_t i = 0; (t = em_safetensors_at(file, i)); i++) {
        EM__FAIL_IF(em__ends_with(t->name, ".scales"), EM_ERROR_UNSUPPORTED,
                    "%s: tensor %s: the weights are quantized already; quantize what they were made from",
                    path ? path : "checkpoint", t->name);
        if (tied && strcmp(t->name, "lm_head.weight") == 0 &&
            em__tensors_equal(file, "model.embed_tokens.weight", "lm_head.weight"))
            continue;
        EM__TRY(add_item(plan, t));
        quantized += plan->items.data[plan->items.length - 1].count > 1;
    }
    EM__FAIL_IF(quantized == 0, EM_ERROR_UNSUPPORTED, "%s: no weight is a matrix with rows of whole groups of %d",
                path ? path : "checkpoint", plan->how.group);
    return cut(plan, shard_bytes);
}

void em__quantize_plan_free(em__quantize_plan *plan)
{
    em__vec_free(&plan->items);
    em__vec_free(&plan->out);
    em__vec_free(&plan->shards);
    em__arena_clear(&plan->names);
}

em_status em__quantize_check_model(const char *in, const em_safetensors *file, em_device *device)
{
    em__decoder_config config;
    em__decoder_weights weights;
    if (!device && !(device = em_device_default()))
        return em_last_status();
    EM__TRY(em__decoder_config_read(in, &config));
    const em_status status = em__decoder_weights_load(file, &config, device, &weights);
    if (status == EM_OK)
        em__decoder_weights_free(&config, &weights);
    em__decoder_config_free(&config);
    return status;
}
