"""Checkpoints with few bits a weight, as mlx-lm leaves them, written with MLX itself.

config.json says {"quantization": {"group_size", "bits", "mode"}} (and the same as quantization_config), with a member a
layer that differs. A quantized X.weight is u32 codes, with X.scales and, in affine mode, X.biases; a layer without
scales is dense. Embedding and head are quantized like the rest.
"""
import json
import os
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_lm.utils import load_model

mx.set_default_device(mx.cpu)
SCALES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


def scheme(quantization, layer):
    """How the layer is quantized: {"group_size", "bits", "mode"}, or None for a dense one."""
    own = quantization.get(layer, quantization)
    if own is False:
        return None
    return {"group_size": own["group_size"], "bits": own["bits"], "mode": own.get("mode", "affine")}


def write(directory, state, quantization, stored):
    """model.safetensors of the directory from f32 tensors (numpy); config.json gets the quantization."""
    tensors = {}
    for name, value in sorted(state.items()):
        w, layer = mx.array(value).astype(SCALES[stored]), name.removesuffix(".weight")
        how = scheme(quantization, layer) if value.ndim == 2 else None
        if how is None:
            tensors[name] = w
            continue
        parts = mx.quantize(w, **how)
        tensors.update({layer + part: x for part, x in zip((".weight", ".scales", ".biases"), parts)})
    mx.eval(tensors)
    mx.save_safetensors(os.path.join(directory, "model.safetensors"), tensors, metadata={"format": "mlx"})
    path = os.path.join(directory, "config.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    # mlx-lm says nothing of layers that are dense: they have no scales.
    said = {k: v for k, v in quantization.items() if v is not False}
    config.update(quantization=said, quantization_config=said)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f, indent=4, sort_keys=True)
        f.write("\n")


def unpacked(path, quantization):
    """The tensors that the file stands for, in f32: code * scale + bias is not rounded to the scales' dtype."""
    tensors, made = mx.load(path), {}
    for name, value in tensors.items():
        layer, _, part = name.rpartition(".")
        if part in ("scales", "biases"):
            continue
        if part != "weight" or layer + ".scales" not in tensors:
            made[name] = np.array(value.astype(mx.float32))
            continue
        scales, biases = tensors[layer + ".scales"], tensors.get(layer + ".biases")
        if biases is not None:
            scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
        w = mx.dequantize(value, scales, biases, **scheme(quantization, layer))
        made[name] = np.array(w.astype(mx.float32))
    return made


def logits(directory, ids):
    """What mlx-lm answers, its arithmetic in f32."""
    model, _ = load_model(Path(directory))
    model.set_dtype(mx.float32)
    return np.array(model(mx.array([ids]))[0])
