"""Records what Transformers answers for the tiny decoder checkpoints of variants.py.

For each checkpoint this writes the directory <name>/ as Transformers' save_pretrained leaves it. For each case it
writes expected/<case>.safetensors:

  ids s32 [T], offsets s32 [P + 1]  P prompts back to back, and where each begins
  logits f32 [T, vocabulary]        at every position of every prompt
  greedy s32 [P, 64]                what greedy decoding appends to each prompt, whatever ids mean the end
  steps f32 [64, vocabulary]        of some cases: the logits that chose greedy[P - 1]

and cases.json: {"versions", "cases": [{"name", "checkpoint", "chunks", "set", "remove", "spellings"}]}. All is
computed in f32 from the weights as stored, one prompt alone, attention as softmax of a matrix. Before writing, each
case must pass: every spelling of its config gives the same bits; a forward over prompt and answer agrees with the
steps; no step is a near tie; the answers vary; quantized ones agree with mlx-lm in f32.
Use: record.py [checkpoint...]    Needs: torch, transformers, safetensors, mlx, mlx-lm.
"""
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch
from transformers import AutoConfig, AutoModelForCausalLM

import quantized
from variants import CASES, CHECKPOINTS

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
LENGTHS = [1, 6, 21]
STEPS = 64
NOISE = 4e-5   # two orders of summation in f32 may differ by this
MARGIN = 5e-4  # the best logit leads by this at every step
DISTINCT = 12  # of the 64 ids of every answer


def weights(names_and_shapes, seed, gain):
    """Values of one stream, tensor by tensor in name order: activations near 1, attention far from uniform."""
    rng, made = np.random.Generator(np.random.PCG64(seed)), {}
    for name, shape in sorted(names_and_shapes.items()):
        x = rng.standard_normal(shape)
        if "norm" in name:
            x = 1 + 0.2 * x
        elif len(shape) == 1:
            x = 0.3 * x
        elif "embed_tokens" in name:
            x = 0.3 * x
        else:
            x = gain * x / np.sqrt(shape[1])
        made[name] = torch.from_numpy(x).float()
    return made


def write_checkpoint(c):
    directory = os.path.join(HERE, c["name"])
    shutil.rmtree(directory, ignore_errors=True)
    config = AutoConfig.for_model(c["family"], **c["config"])
    model = AutoModelForCausalLM.from_config(config)
    names = {name: tuple(p.shape) for name, p in model.named_parameters()}
    # Scores that no norm holds grow with the square of this, and the noise of f32 with them.
    gain = 2 if c["family"] == "qwen3" else 1.6
    model.load_state_dict(weights(names, c["seed"], gain), strict=False)
    model = model.to(DTYPES[c["stored"]])
    state = {name: p.detach().clone() for name, p in model.named_parameters()}
    if "lm_head" in c["extra"]:
        state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    if "own_head" in c["extra"]:
        state.update(weights({"lm_head.weight": names["model.embed_tokens.weight"]}, c["seed"] + 1, gain))
    if "inv_freq" in c["extra"]:
        for i in range(config.num_hidden_layers):
            state[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = model.model.rotary_emb.inv_freq.clone().float()
    total = sum(p.numel() * p.element_size() for p in model.parameters())
    model.save_pretrained(directory, max_shard_size=total // c["shards"] + 20000 if c["shards"] > 1 else "1GB")
    if c["quantization"]:
        quantized.write(directory, {k: v.float().numpy() for k, v in state.items()}, c["quantization"], c["stored"])
    elif c["extra"]:
        save_torch(state, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
    os.unlink(os.path.join(directory, "generation_config.json"))
    files = [f for f in os.listdir(directory) if f.endswith(".safetensors")]
    if len(files) != c["shards"]:
        raise SystemExit(f"{c['name']}: {len(files)} files, {c['shards']} were meant")


def opened(directory, change):
    """The model that Transformers makes of the directory with its config.json changed; quantized weights unpacked."""
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    quantization = config.pop("quantization", None)
    config.pop("quantization_config", None)
    for name in change["remove"]:
        config.pop(name, None)
    config.update(change["set"])
    with tempfile.TemporaryDirectory() as place:
        for name in os.listdir(directory):
            if quantization and name == "model.safetensors":
                save_file(quantized.unpacked(os.path.join(directory, name), quantization), os.path.join(place, name),
                          metadata={"format": "pt"})
            elif name != "config.json":
                os.symlink(os.path.join(directory, name), os.path.join(place, name))
        with open(os.path.join(place, "config.json"), "w", encoding="utf-8") as out:
            json.dump(config, out)
        model, info = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, attn_implementation="eager",
                                                           output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"{directory}: not read as meant: {info}")
    return model.eval()


@torch.inference_mode()
def answer(model, prompt):
    """(logits at the prompt's positions, greedy ids, logits of each step): the prompt at once, then id by id."""
    # A short call brings "dynamic" frequencies back to where they start.
    model(torch.tensor([[0]]))
    out = model(torch.tensor([prompt]), use_cache=True)
    logits, ids, steps = out.logits[0], [], [out.logits[0, -1]]
    for _ in range(STEPS):
        ids.append(int(steps[-1].argmax()))
        out = model(torch.tensor([ids[-1:]]), past_key_values=out.past_key_values, use_cache=True)
        steps.append(out.logits[0, -1])
    return logits.numpy(), ids, torch.stack(steps[:STEPS]).numpy()


@torch.inference_mode()
def at_once(model, ids):
    model(torch.tensor([[0]]))
    return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


def check(c, model, prompt, ids, steps):
    """What makes a recording fit to test with: (noise, least margin, distinct ids)."""
    noise = 0.0
    if c["chunks"]:
        noise = np.abs(at_once(model, prompt + ids[:-1])[len(prompt) - 1:] - steps).max()
    top = np.sort(steps, axis=1)
    margin, distinct = (top[:, -1] - top[:, -2]).min(), len(set(ids))
    if noise > NOISE or margin < MARGIN or distinct < DISTINCT:
        raise SystemExit(f"{c['name']}: another seed is needed: f32 noise {noise:.1e}, margin {margin:.1e}, "
                         f"{distinct} distinct ids")
    return noise, margin, distinct


def check_quantized(directory, prompt, logits):
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
        if "quantization" not in json.load(f):
            return
    apart = np.abs(quantized.logits(directory, prompt) - logits).max()
    if apart > 1e-4:
        raise SystemExit(f"{directory}: mlx-lm differs by {apart}")


def combined(base, spelling):
    """The case's own change, then the spelling's; what the spelling says of rope replaces what the case says."""
    kept = {k: v for k, v in base["set"].items() if k not in spelling["remove"]}
    return {"set": {**kept, **spelling["set"]}, "remove": base["remove"] + spelling["remove"]}


def record(c, seed):
    directory = os.path.join(HERE, c["checkpoint"])
    model = opened(directory, c)
    rng = np.random.Generator(np.random.PCG64(1000 + seed))
    prompts = [rng.integers(3, model.config.vocab_size, n).tolist() for n in LENGTHS]
    answers = [answer(model, p) for p in prompts]
    checks = [check(c, model, p, ids, steps) for p, (_, ids, steps) in zip(prompts, answers)]
    check_quantized(directory, prompts[-1], answers[-1][0])
    for spelling in c["spellings"]:
        other = answer(opened(directory, combined(c, spelling)), prompts[-1])
        if not all(np.array_equal(a, b) for a, b in zip(other, answers[-1])):
            raise SystemExit(f"{c['name']}: {spelling} means something else")
    tensors = {"ids": np.concatenate(prompts).astype(np.int32), "offsets": np.cumsum([0] + LENGTHS).astype(np.int32),
               "logits": np.concatenate([a[0] for a in answers]), "greedy": np.array([a[1] for a in answers], np.int32)}
    if c["steps"]:
        tensors["steps"] = answers[-1][2]
    os.makedirs(os.path.join(HERE, "expected"), exist_ok=True)
    save_file(tensors, os.path.join(HERE, "expected", c["name"] + ".safetensors"))
    print(f"{c['name']}: f32 noise {max(x[0] for x in checks):.1e}, least margin {min(x[1] for x in checks):.1e}, "
          f"distinct ids {[x[2] for x in checks]}, logits to {np.abs(tensors['logits']).max():.1f}", flush=True)


def main(names):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for c in CHECKPOINTS:
        if names and c["name"] not in names:
            continue
        write_checkpoint(c)
        for each in CASES:
            if each["checkpoint"] == c["name"]:
                record(each, c["seed"])
    versions = {m.__name__: m.__version__ for m in (transformers, torch, np)}
    versions.update({name: importlib.metadata.version(name) for name in ("mlx", "mlx-lm")})
    keys = ("name", "checkpoint", "chunks", "set", "remove")
    cases = [{**{k: c[k] for k in keys}, "spellings": [combined(c, s) for s in c["spellings"]]} for c in CASES]
    with open(os.path.join(HERE, "cases.json"), "w", encoding="utf-8") as f:
        json.dump({"versions": versions, "cases": cases}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
