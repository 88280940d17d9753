/*
 * The member "quantization" of config.json, as mlx-lm writes it: group_size, bits and mode of all quantized weights,
 * and members named after a weight that say otherwise for it (an object), or that it is dense (false).
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "models/decoder/config.h"
#include "ops/quant.h"

static bool read_already(const char *key)
{
    static const char *const keys[] = {"group_size", "bits", "mode", "quant_method", "linear_class", "quantize_input"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static em_status read_how(const em__json *at, em_quantization *how)
{
    const char *mode = "affine";
    char shown[64];
    int m = 0;
    EM__TRY(em__json_opt_string(at, "mode", &mode));
    while (m < EM__QUANT_MODES && strcmp(em_quant_mode_name((em_quant_mode)m), mode) != 0)
        m++;
    if (m == EM__QUANT_MODES)
        return em__json_fail(at, EM_ERROR_UNSUPPORTED,
                             "mode %s is not supported; supported: affine, mxfp4, mxfp8, nvfp4",
                             em__printable(shown, sizeof shown, mode));
    em__quant q = {.mode = (em_quant_mode)m};
    em__quant_fill(&q);
    EM__TRY(em__json_opt_int(at, "group_size", 1, 4096, &q.group));
    EM__TRY(em__json_opt_int(at, "bits", 1, 32, &q.bits));
    if (!em__quant_group_fits(&q) || !em__quant_bits_fit(&q))
        return em__json_fail(at, EM_ERROR_UNSUPPORTED, "mode %s with group_size %lld and bits %lld is not supported",
                             mode, (long long)q.group, (long long)q.bits);
    *how = (em_quantization){sizeof *how, q.mode, (int)q.group, (int)q.bits};
    return EM_OK;
}

em_status em__decoder_quantization_read(const em__json *root, em__decoder_config *config)
{
    em__json at;
    const char *key;
    json_t *value;
    EM__TRY(em__json_opt_object(root, "quantization", &at));
    if (!at.value)
        EM__TRY(em__json_opt_object(root, "quantization_config", &at));
    if (!at.value)
        return EM_OK;
    const char *method = NULL;
    char shown[64];
    EM__TRY(em__json_opt_string(&at, "quant_method", &method));
    if (method)
        return em__json_fail(&at, EM_ERROR_UNSUPPORTED, "quant_method %s is not supported; MLX's quantization is",
                             em__printable(shown, sizeof shown, method));
    config->quantized = true;
    EM__TRY(read_how(&at, &config->how));
    config->overrides = em__calloc(json_object_size(at.value), sizeof *config->overrides);
    if (!config->overrides)
        return EM_ERROR_OUT_OF_MEMORY;
    json_object_foreach(at.value, key, value)
    {
        em__json member = em__json_member(&at, key);
        if (read_already(key) || !json_is_object(value))
            continue;
        em__quant_override *override = &config->overrides[config->n_overrides];
        EM__TRY(read_how(&member, &override->how));
        override->name = em__strdup(key);
        if (!override->name)
            return EM_ERROR_OUT_OF_MEMORY;
        config->n_overrides++;
    }
    return EM_OK;
}

const em_quantization *em__decoder_quantization(const em__decoder_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_overrides; i++)
        if (strcmp(config->overrides[i].name, name) == 0)
            return &config->overrides[i].how;
    return config->quantized ? &config->how : NULL;
}
