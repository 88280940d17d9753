/*
 * The member "quantization" of config.json, as mlx-lm writes it: group_size, bits and mode of all quantized weights,
 * and members named after a weight that say otherwise for it (an object), or that it is dense (false).
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "models/decoder/config.h"

static const em_quant_mode modes[] = {EM_QUANT_AFFINE, EM_QUANT_MXFP4, EM_QUANT_MXFP8, EM_QUANT_NVFP4};

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
    static const struct {
        int group, bits;
    } usual[] = {{64, 4}, {32, 4}, {32, 8}, {16, 4}};
    const char *mode = "affine";
    char shown[64];
    size_t m = 0, count = sizeof modes / sizeof *modes;
    EM__TRY(em__json_opt_string(at, "mode", &mode));
    while (m < count && strcmp(em_quant_mode_name(modes[m]), mode) != 0)
        m++;
    if (m == count)
        return em__json_fail(at, EM_ERROR_UNSUPPORTED,
                             "mode %s is not supported; supported: affine, mxfp4, mxfp8, nvfp4",
                             em__printable(shown, sizeof shown, mode));
    int64_t group = usual[m].group, bits = usual[m].bits;
    EM__TRY(em__json_opt_int(at, "group_size", 1, 4096, &group));
    EM__TRY(em__json_opt_int(at, "bits", 1, 32, &bits));
    bool fits = modes[m] == EM_QUANT_AFFINE
                    ? (group == 16 || group == 32 || group == 64 || group == 128) &&
                          (bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8)
                    : group == usual[m].group && bits == usual[m].bits;
    if (!fits)
        return em__json_fail(at, EM_ERROR_UNSUPPORTED, "mode %s with group_size %lld and bits %lld is not supported",
                             mode, (long long)group, (long long)bits);
    *how = (em_quantization){sizeof *how, modes[m], (int)group, (int)bits};
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
