/*
 * The decoder families. Llama: Touvron et al., arXiv 2302.13971, and the Llama 3 report, arXiv 2407.21783; Mistral:
 * arXiv 2310.06825; Qwen2: arXiv 2407.10671; Qwen3: arXiv 2505.09388; NoPE layers of SmolLM3: arXiv 2501.18795.
 */
#include <string.h>

#include "models/decoder/config.h"

static const em__decoder_family families[] = {
    {.name = "qwen3", .architecture = "Qwen3ForCausalLM", .qk_norm = true, .theta = 1e4},
    {.name = "qwen2", .architecture = "Qwen2ForCausalLM", .qkv_bias = true, .theta = 1e4},
    {.name = "llama", .architecture = "LlamaForCausalLM", .theta = 1e4},
    {.name = "mistral", .architecture = "MistralForCausalLM", .always_window = true, .theta = 1e4},
    {.name = "smollm3", .architecture = "SmolLM3ForCausalLM", .some_without_rope = true, .tied = true, .theta = 2e6},
};

const em__decoder_family *em__decoder_family_at(size_t index)
{
    return index < sizeof families / sizeof *families ? &families[index] : NULL;
}

const em__decoder_family *em__decoder_family_find(const char *name)
{
    const em__decoder_family *family;
    for (size_t i = 0; (family = em__decoder_family_at(i)); i++)
        if (strcmp(family->name, name) == 0)
            return family;
    return NULL;
}
