"""Writes one tiny checkpoint: random weights in the layout that Transformers and sentence-transformers leave on disk.

Weights come from numpy's PCG64 with the variant's seed, tensor by tensor in name order, so that a second run gives the
same bytes. Matrices have deviation 1.5 / sqrt(columns): activations stay near 1 and attention is far from uniform.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import tiny_tokenizer

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
LEGACY_MODES = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]


def dump(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


CLASSES = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert",
           "distilbert": "DistilBert", "mpnet": "MPNet"}
DISTILBERT = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
              "intermediate_size": "hidden_dim", "hidden_act": "activation", "hidden_dropout_prob": "dropout",
              "attention_probs_dropout_prob": "attention_dropout"}


def config_of(v, vocab_size):
    """With BERT's names; written_config has the family's."""
    c = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
         "vocab_size": vocab_size, **v["config"]}
    family = v["family"]
    if family in ("mpnet", "distilbert"):
        c.pop("type_vocab_size")
    if family == "mpnet":
        c.setdefault("relative_attention_num_buckets", 32)
    if family == "distilbert":
        c.pop("layer_norm_eps")
    if family in ("bert", "distilbert"):
        special = {"pad_token_id": 0}
    else:
        special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    if family not in ("mpnet", "distilbert"):
        special["position_embedding_type"] = "absolute"
    suffix = "ForMaskedLM" if v["weights"]["prefix"] else "Model"
    return {"architectures": [CLASSES[family] + suffix], "model_type": family, **special, **c}


def written_config(v, c):
    names = DISTILBERT if v["family"] == "distilbert" else {}
    return {names.get(key, key): value for key, value in c.items()}


def layer_of(family, i):
    """Names of a layer's attention matrices, of its two others, of its norms."""
    if family == "distilbert":
        at = f"transformer.layer.{i}."
        return ([at + f"attention.{n}_lin" for n in ("q", "k", "v", "out")], [at + "ffn.lin1", at + "ffn.lin2"],
                [at + "sa_layer_norm", at + "output_layer_norm"])
    at = f"encoder.layer.{i}."
    mlp = [at + "intermediate.dense", at + "output.dense"]
    if family == "mpnet":
        return [at + "attention.attn." + n for n in "qkvo"], mlp, [at + "attention.LayerNorm", at + "output.LayerNorm"]
    return ([at + "attention.self." + n for n in ("query", "key", "value")] + [at + "attention.output.dense"], mlp,
            [at + "attention.output.LayerNorm", at + "output.LayerNorm"])


def shapes_of(v, c):
    """Tensor name -> shape, as the family's state dictionary has them."""
    h, f = c["hidden_size"], c["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": (c["vocab_size"], h),
              "embeddings.position_embeddings.weight": (c["max_position_embeddings"], h)}
    if "type_vocab_size" in c:
        shapes["embeddings.token_type_embeddings.weight"] = (c["type_vocab_size"], h)
    if v["family"] == "mpnet":
        shapes["encoder.relative_attention_bias.weight"] = (c["relative_attention_num_buckets"],
                                                            c["num_attention_heads"])
    norms, linears = ["embeddings.LayerNorm"], {}
    for i in range(c["num_hidden_layers"]):
        attention, mlp, layer_norms = layer_of(v["family"], i)
        norms += layer_norms
        linears.update({n: (h, h) for n in attention})
        linears.update(zip(mlp, [(f, h), (h, f)]))
    if v["weights"]["pooler"]:
        linears["pooler.dense"] = (h, h)
    for n, shape in linears.items():
        shapes[n + ".weight"], shapes[n + ".bias"] = shape, (shape[0],)
    for n in norms:
        shapes[n + ".weight"], shapes[n + ".bias"] = (h,), (h,)
    return shapes


def weights_of(v, c):
    rng = np.random.Generator(np.random.PCG64(v["seed"]))
    w, out = v["weights"], {}
    shapes = {w["prefix"] + name: shape for name, shape in shapes_of(v, c).items()}
    shapes.update({name: (c["vocab_size"],) for name in w["extra"]})
    for name, shape in sorted(shapes.items()):
        x = rng.standard_normal(shape)
        if "LayerNorm.weight" in name or "layer_norm.weight" in name:
            x = 1 + 0.2 * x
        elif len(shape) == 1:
            x = 0.2 * x
        elif "embeddings." not in name and "relative_attention_bias" not in name:
            x = x * 1.5 / np.sqrt(shape[1])
        if w["gamma_beta"]:
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        out[name] = torch.from_numpy(x).to(torch.float32).to(DTYPES[w["dtype"]])
    if w["buffers"]:
        out[w["prefix"] + "embeddings.position_ids"] = torch.arange(c["max_position_embeddings"]).unsqueeze(0)
    return out


def write_weights(directory, tensors, shards):
    if shards == 1:
        save_file(tensors, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
        return
    names = sorted(tensors)
    index, total = {}, sum(t.numel() * t.element_size() for t in tensors.values())
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = names[i::shards]
        save_file({n: tensors[n] for n in part}, os.path.join(directory, file), metadata={"format": "pt"})
        index.update({n: file for n in part})
    dump(os.path.join(directory, "model.safetensors.index.json"),
         {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))})


def module_type(form, name):
    if form == "legacy":
        return f"sentence_transformers.models.{name}"
    room = "sentence_transformer" if name == "Pooling" else "base"
    file = name.lower()
    return f"sentence_transformers.{room}.modules.{file}.{name}"


def write_modules(directory, v, c):
    legacy, modules = v["form"] == "legacy", [("", "Transformer"), ("1_Pooling", "Pooling")]
    if legacy:
        pooling = {"word_embedding_dimension": c["hidden_size"]}
        on = {m if m == "lasttoken" or m.endswith("tokens") else
              m + ("_token" if m == "cls" else "_tokens") for m in v["pooling"]}
        pooling.update({f"pooling_mode_{m}": m in on for m in LEGACY_MODES})
        sentence = {"max_seq_length": v["max_seq_length"], "do_lower_case": v["do_lower_case"]}
        version = {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}
    else:
        pooling = {"embedding_dimension": c["hidden_size"],
                   "pooling_mode": v["pooling"][0] if len(v["pooling"]) == 1 else v["pooling"]}
        sentence = {"transformer_task": "feature-extraction",
                    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
                    "module_output_name": "token_embeddings"}
        if v["do_lower_case"] or v["name"] == "bert-cls-relu-prefix":
            sentence.update(max_seq_length=v["max_seq_length"], do_lower_case=v["do_lower_case"])
        if v["processing_kwargs"]:
            sentence["processing_kwargs"] = v["processing_kwargs"]
        version = {"sentence_transformers": "5.0.0", "transformers": "4.50.0", "pytorch": "2.7.0"}
    pooling["include_prompt"] = v["include_prompt"]
    dump(os.path.join(directory, "1_Pooling/config.json"), pooling)
    dump(os.path.join(directory, "sentence_bert_config.json"), sentence)
    if v["dense"]:
        width, activation, bias = v["dense"]
        inputs = c["hidden_size"] * len(v["pooling"])
        rng = np.random.Generator(np.random.PCG64(1000 + v["seed"]))
        tensors = {"linear.weight": rng.standard_normal((width, inputs)) / np.sqrt(inputs)}
        if bias:
            tensors["linear.bias"] = 0.2 * rng.standard_normal(width)
        place = os.path.join(directory, f"{len(modules)}_Dense")
        kind = {"Tanh": "torch.nn.modules.activation.Tanh", "Identity": "torch.nn.modules.linear.Identity"}[activation]
        dump(place + "/config.json", {"in_features": inputs, "out_features": width, "bias": bias,
                                      "activation_function": kind})
        save_file({n: torch.from_numpy(t).float() for n, t in tensors.items()}, place + "/model.safetensors",
                  metadata={"format": "pt"})
        modules.append((os.path.basename(place), "Dense"))
    if v["normalize"]:
        modules.append((f"{len(modules)}_Normalize", "Normalize"))
        if not legacy:
            dump(os.path.join(directory, modules[-1][0], "config.json"),
                 {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"})
    dump(os.path.join(directory, "modules.json"),
         [{"idx": i, "name": str(i), "path": path, "type": module_type(v["form"], name)}
          for i, (path, name) in enumerate(modules)])
    settings = {"__version__": version}
    if v["prompts"] is not None:
        settings.update(prompts=v["prompts"], default_prompt_name=v["default_prompt_name"], similarity_fn_name="cosine")
    if v["truncate_dim"] is not None:
        settings["truncate_dim"] = v["truncate_dim"]
    dump(os.path.join(directory, "config_sentence_transformers.json"), settings)


def write(directory, v):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    limit = v["max_seq_length"] if v["form"] == "new" and not v["do_lower_case"] else \
        v["config"]["max_position_embeddings"]
    tokenizer = tiny_tokenizer.write(directory, v["vocab"], limit, v["truncation_side"])
    import decoder_checkpoint
    made = decoder_checkpoint if v["family"] in decoder_checkpoint.HEADS else sys.modules[__name__]
    config = made.config_of(v, tokenizer.get_vocab_size())
    dump(os.path.join(directory, "config.json"), written_config(v, config))
    write_weights(directory, made.weights_of(v, config), v["weights"]["shards"])
    if v["pooling"] is not None:
        write_modules(directory, v, config)
    return config
