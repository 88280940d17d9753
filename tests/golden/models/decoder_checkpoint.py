"""Writes one tiny decoder that gives vectors: its config and its weights, as those of the head's model or of the model
without one; the rest as checkpoint.py."""
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from checkpoint import DTYPES

HEADS = {"qwen3": "Qwen3ForCausalLM", "qwen2": "Qwen2ForCausalLM", "mistral": "MistralForCausalLM"}


def config_of(v, vocab_size):
    architecture = HEADS[v["family"]]
    return {"architectures": [architecture if v["head_named"] else architecture.replace("ForCausalLM", "Model")],
            "model_type": v["family"], "vocab_size": vocab_size, "pad_token_id": 0, "bos_token_id": None,
            "eos_token_id": 0, **v["config"]}


def weights_of(v, config):
    """Activations near 1, attention far from uniform. A prefix goes with the head, if that has weights of its own."""
    given = {k: x for k, x in config.items() if k not in ("architectures", "model_type")}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(v["family"], **given))
    rng, out, prefix = np.random.Generator(np.random.PCG64(v["seed"])), {}, v["weights"]["prefix"]
    for name, shape in sorted((name, tuple(p.shape)) for name, p in model.named_parameters()):
        x = rng.standard_normal(shape)
        if "norm" in name:
            x = 1 + 0.2 * x
        elif len(shape) == 1:
            x = 0.2 * x
        elif "embed_tokens" not in name:
            x = x * 1.5 / np.sqrt(shape[1])
        if prefix or name.startswith("model."):
            name = name if prefix else name.removeprefix("model.")
            out[name] = torch.from_numpy(x).to(torch.float32).to(DTYPES[v["weights"]["dtype"]])
    return out
