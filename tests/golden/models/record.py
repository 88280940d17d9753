"""Records what Transformers and sentence-transformers answer for the tiny checkpoints of variants.py.

For each variant this writes the checkpoint itself into <name>/ and, into <name>/expected/:

  cases.json            {"versions", "hidden": [lengths], "texts": [{"text", "prompt_name" | "prompt", "ids"}]}
  ids.npy, type_ids.npy s32 [T]: id sequences back to back; offsets.npy s32 [S + 1]: where each begins
  hidden_f32.npy        [T, hidden] last hidden states; hidden_f64.npy is the same model in double precision
  embeddings_f32.npy    [N, width] sentence vectors of the texts; embeddings_f64.npy in double precision

The sequences run as one padded batch with an attention mask; before writing, each is also run alone and must agree.
Use: record.py [name...]    Needs: torch, transformers, sentence-transformers.
"""
import json
import os
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import sentence_transformers
import tokenizers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from tokenizers import normalizers
from transformers import AutoModel
from transformers.models.mistral import modeling_mistral
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

import checkpoint
import decoder_checkpoint
import tiny_tokenizer
from variants import TEXTS, VARIANTS

HERE = os.path.dirname(os.path.abspath(__file__))
ATTENTION = "eager"


def in_one_dtype(family):
    """Norms and softmax of decoders are in f32 whatever the model is in: for double precision they must not be."""
    global ATTENTION
    ATTENTION = "sdpa" if family in decoder_checkpoint.HEADS else "eager"
    for module in (modeling_mistral.MistralRMSNorm, modeling_qwen2.Qwen2RMSNorm, modeling_qwen3.Qwen3RMSNorm):
        module.forward = lambda self, x: self.weight * (
            x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def load(directory, dtype):
    model, info = AutoModel.from_pretrained(directory, dtype=torch.float32, attn_implementation=ATTENTION,
                                            output_loading_info=True)
    missing = [k for k in info["missing_keys"] if not k.startswith("pooler.")]
    if missing or info["mismatched_keys"]:
        raise SystemExit(f"{directory}: not read as meant: missing {missing}, mismatched {info['mismatched_keys']}")
    return model.eval().to(dtype)


def hidden(model, sequences, types, pad):
    """Last hidden states of all sequences, computed in one padded batch; real positions only, back to back."""
    n = max(map(len, sequences))
    ids, mask, kinds = (torch.full((len(sequences), n), fill) for fill in (pad, 0, 0))
    for i, (s, t) in enumerate(zip(sequences, types)):
        ids[i, :len(s)], mask[i, :len(s)], kinds[i, :len(s)] = torch.tensor(s), 1, torch.tensor(t)
    given = {"input_ids": ids, "attention_mask": mask}
    if getattr(model.config, "type_vocab_size", None):
        given["token_type_ids"] = kinds
    with torch.inference_mode():
        out = model(**given).last_hidden_state
    return np.concatenate([out[i, :len(s)].numpy() for i, s in enumerate(sequences)])


def record_hidden(directory, out, v, config):
    rng = np.random.Generator(np.random.PCG64(2000 + v["seed"]))
    pad, first = config["pad_token_id"], 2 if v["family"] == "mpnet" else 1
    sequences = [rng.integers(first, config["vocab_size"], n).tolist() for n in v["lengths"]]
    if v["pad_inside"]:
        sequences[-1][3] = sequences[-1][4] = sequences[-1][-2] = pad
    types = [np.sort(rng.integers(0, config.get("type_vocab_size", 1), n)).tolist() for n in v["lengths"]]
    for dtype, name in ((torch.float32, "f32"), (torch.float64, "f64")):
        model = load(directory, dtype)
        batch = hidden(model, sequences, types, pad)
        alone = np.concatenate([hidden(model, [s], [t], pad) for s, t in zip(sequences, types)])
        apart = np.abs(batch - alone).max()
        if apart > (1e-5 if name == "f32" else 1e-12):
            raise SystemExit(f"{directory}: batch and single runs differ by {apart}")
        np.save(os.path.join(out, f"hidden_{name}.npy"), alone)
    flat = lambda rows: np.array([x for row in rows for x in row], np.int32)
    np.save(os.path.join(out, "ids.npy"), flat(sequences))
    np.save(os.path.join(out, "type_ids.npy"), flat(types))
    np.save(os.path.join(out, "offsets.npy"), np.cumsum([0] + v["lengths"]).astype(np.int32))


def text_cases(v):
    cases = [{"text": text} for text in TEXTS]
    for name in v["prompts"] or {}:
        cases += [{"text": text, "prompt_name": name} for text in TEXTS[:2] + TEXTS[9:10]]
    if v["prompts"]:
        cases += [{"text": TEXTS[0], "prompt": ""}, {"text": TEXTS[3], "prompt": "to run: "}]
    return cases


def record_texts(directory, out, v):
    cases = text_cases(v)
    for dtype, name in ((torch.float32, "f32"), (torch.float64, "f64")):
        st = SentenceTransformer(directory, device="cpu", model_kwargs={"dtype": torch.float32})
        st.eval().to(dtype)
        rows = []
        for case in cases:
            keys = {k: case[k] for k in ("prompt", "prompt_name") if k in case}
            rows.append(st.encode([case["text"]], **keys)[0])
            prompt = st._resolve_prompt(keys.get("prompt"), keys.get("prompt_name"))
            case["ids"] = st.preprocess([case["text"]], prompt=prompt)["input_ids"][0].tolist()
        np.save(os.path.join(out, f"embeddings_{name}.npy"), np.stack(rows).astype({"f32": "f4", "f64": "f8"}[name]))
    return cases, st


def check_tokenizer(directory, v, cases, st):
    """The ids must also be what tokenizer.json says by itself: no hidden rebuilding of the tokenizer on load."""
    plain = tiny_tokenizer.build(v["vocab"])
    called = (v["processing_kwargs"] or {}).get("text", {})
    plain.enable_truncation(called.get("max_length", st.max_seq_length), direction=v["truncation_side"] or "right")
    if v["do_lower_case"]:
        plain.normalizer = normalizers.Sequence([normalizers.Lowercase(), plain.normalizer])
    for case in cases:
        prompt = st._resolve_prompt(case.get("prompt"), case.get("prompt_name")) or ""
        text = prompt + case["text"]
        ids = plain.encode(text).ids
        if ids != case["ids"]:
            raise SystemExit(f"{directory}: {text!r}: tokenizer.json gives {ids}, the model was given {case['ids']}")


def main(names):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    versions = {"transformers": transformers.__version__, "sentence_transformers": sentence_transformers.__version__,
                "tokenizers": tokenizers.__version__, "torch": torch.__version__, "numpy": np.__version__}
    for v in VARIANTS:
        if names and v["name"] not in names:
            continue
        directory = os.path.join(HERE, v["name"])
        in_one_dtype(v["family"])
        config = checkpoint.write(directory, v)
        out = os.path.join(directory, "expected")
        os.makedirs(out)
        record_hidden(directory, out, v, config)
        cases, st = record_texts(directory, out, v)
        check_tokenizer(directory, v, cases, st)
        settings = {"family": v["family"], "pooling": v["pooling"] or ["mean"], "normalize": v["normalize"],
                    "max_tokens": st.max_seq_length, "prompts": v["prompts"] or {},
                    "default_prompt_name": v["default_prompt_name"], "include_prompt": v["include_prompt"]}
        with open(os.path.join(out, "cases.json"), "w", encoding="utf-8") as f:
            json.dump({"versions": versions, "settings": settings, "lengths": v["lengths"], "texts": cases}, f)
            f.write("\n")
        error = max(np.abs(np.load(f"{out}/{k}_f32.npy") - np.load(f"{out}/{k}_f64.npy")).max()
                    for k in ("hidden", "embeddings"))
        print(f"{v['name']}: {len(cases)} texts, max tokens {st.max_seq_length}, f32 against f64 {error:.2e}")


if __name__ == "__main__":
    main(sys.argv[1:])
