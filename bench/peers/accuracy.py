"""all-MiniLM-L6-v2 against Hugging Face in f32 and in f64, computed afresh over the 500 recorded texts.

Ours come from `emily embed --format jsonl`, all texts in one run. Asked: cosine with f32 >= 0.999999 for every text,
greatest difference <= 2e-5, and an error against f64 no greater than that of Hugging Face's own f32.
"""
import json
import os
import subprocess
import sys
import tempfile

import common

args = common.arguments(__doc__, limit=(500, "how many of the texts"))

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(args.threads)


def embed(path):
    out = subprocess.run([args.emily, "embed", args.model, "-f", path, "--format", "jsonl"], capture_output=True,
                         text=True)
    if out.returncode:
        sys.exit(f"emily embed: {out.stderr.strip()}")
    lines = [json.loads(line) for line in out.stdout.splitlines()]
    return np.array([line["embedding"] for line in sorted(lines, key=lambda line: line["index"])], np.float32)


def errors(x, truth):
    d = np.abs(x - truth)
    return {"max": d.max(), "mean": d.mean(), "rms": np.sqrt((d * d).mean())}


def main():
    with open(os.path.join(common.ROOT, "tests/golden/models/minilm/texts.txt"), encoding="utf-8", newline="\n") as f:
        texts = f.read().split("\n")[:-1]
    # The first text is empty, which a file of lines can not say everywhere alike.
    texts = [t for t in texts if t][:args.limit]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="\n") as f:
        f.writelines(t + "\n" for t in texts)
        f.flush()
        ours = embed(f.name).astype(np.float64)
    st = SentenceTransformer(args.model, device="cpu", model_kwargs={"dtype": torch.float32})
    single = np.concatenate([st.encode([t], show_progress_bar=False) for t in texts]).astype(np.float64)
    batch = st.encode(texts, batch_size=32, show_progress_bar=False).astype(np.float64)
    truth = np.concatenate([st.to(torch.float64).encode([t], show_progress_bar=False) for t in texts])
    cosine = (ours * single).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(single, axis=1)
    difference = np.abs(ours - single).max()
    got = {"emily": errors(ours, truth), "Hugging Face f32": errors(single, truth),
           "Hugging Face f32, batches of 32": errors(batch, truth)}
    rows = [[name] + [f"{e[k]:.3e}" for k in ("max", "mean", "rms")] for name, e in got.items()]
    passed = {"cosine": cosine.min() >= 0.999999, "difference": difference <= 2e-5,
              "error": got["emily"]["max"] <= got["Hugging Face f32"]["max"] and
              got["emily"]["rms"] <= got["Hugging Face f32"]["rms"]}
    results = [{"what": "accuracy", "cosine": cosine.min(), "difference": difference,
                "passed": {k: bool(v) for k, v in passed.items()}}]
    common.report(args, "accuracy", f"Error against f64 over {len(texts)} texts", ["vectors", "max", "mean", "rms"], rows,
                  {"results": results}, ["transformers", "sentence-transformers", "torch"])
    print(f"against Hugging Face f32: cosine >= {cosine.min():.9f}, greatest difference {difference:.2e}; " +
          ", ".join(f"{k} {'holds' if v else 'FAILS'}" for k, v in passed.items()))
    sys.exit(0 if all(passed.values()) else 1)


main()
