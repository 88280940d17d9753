"""1,000 sentences of 5 to 200 tokens, from text to unit vectors: emily against sentence-transformers and ONNX Runtime.

All start from a list of strings in memory with the model loaded, and end with a float array. emily is libemily in this
process; `emily embed -f FILE` is the whole command, start and output included. ONNX Runtime is fed as well as it can be:
the `tokenizers` package, texts sorted by length, batches of 32, padded to the longest of the batch.
"""
import ctypes
import os
import subprocess
import sys
import tempfile

import common

args = common.arguments(__doc__, count=(1000, "sentences"))

import numpy as np
import torch

import onnx_graph

torch.set_num_threads(args.threads)
sys.path.insert(0, os.path.join(common.ROOT, "tests/golden/models"))
import minilm_texts


def sentences(count, tokens_of):
    """Lengths as real corpora have them: most short, a long tail; 5 to 200 tokens."""
    random, made = minilm_texts.Random(7), []
    while len(made) < count:
        want = 5 + random.below(random.of([16, 16, 40, 80, 196]))
        made.append(minilm_texts.text_of(random, "english", want, tokens_of))
    return made


def emily_lane(texts):
    lib = common.library(args)
    lib.em_model_open.restype = lib.em_embed.restype = lib.em_array_data.restype = ctypes.c_void_p
    model = lib.em_model_open(args.model.encode(), None)
    if not model:
        sys.exit(lib.em_last_error().decode())
    raw = (ctypes.c_char_p * len(texts))(*[t.encode() for t in texts])

    def run():
        array = ctypes.c_void_p(lib.em_embed(ctypes.c_void_p(model), raw, ctypes.c_size_t(len(texts)), None))
        data = lib.em_array_data(array)
        if not data:
            sys.exit(lib.em_last_error().decode())
        out = np.ctypeslib.as_array(ctypes.cast(data, ctypes.POINTER(ctypes.c_float)), (len(texts), 384)).copy()
        lib.em_array_release(ctypes.byref(array))
        return out
    return run


def command_lane(texts):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False, encoding="utf-8") as f:
        f.writelines(t + "\n" for t in texts)
    command = [args.emily, "embed", args.model, "-f", f.name, "--format", "npy"]

    def run():
        out = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if out.returncode:
            sys.exit(f"emily embed: {out.stderr.strip()}")
    return run


def runtime_lane(texts):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(args.model, "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    session = onnx_graph.session(onnx_graph.exported(args.model, args.out, 12, 384)[1], args.threads)

    def run():
        encoded = [e.ids for e in tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        out = np.empty((len(texts), 384), np.float32)
        for at in range(0, len(order), 32):
            part = order[at:at + 32]
            longest = len(encoded[part[-1]])
            ids, mask = np.zeros((2, len(part), longest), np.int64)
            for row, i in enumerate(part):
                ids[row, :len(encoded[i])], mask[row, :len(encoded[i])] = encoded[i], 1
            hidden = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            mean = np.einsum("bth,bt->bh", hidden, mask.astype(np.float32)) / mask.sum(1, keepdims=True)
            out[part] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return out
    return run


def main():
    import tokenizers
    from sentence_transformers import SentenceTransformer
    whole = tokenizers.Tokenizer.from_file(os.path.join(args.model, "tokenizer.json"))
    whole.no_truncation()
    whole.no_padding()
    texts = sentences(args.count, lambda t: len(whole.encode(t).ids))
    total = sum(len(e.ids) for e in whole.encode_batch(texts))
    st = SentenceTransformer(args.model, device="cpu")
    runs = {"emily": emily_lane(texts), "emily embed (process)": command_lane(texts),
            "sentence-transformers": lambda: st.encode(texts, batch_size=32, show_progress_bar=False),
            "onnxruntime + tokenizers": runtime_lane(texts)}
    wanted = runs["sentence-transformers"]()
    for name in ("emily", "onnxruntime + tokenizers"):
        worst = np.abs(runs[name]() - wanted).max()
        if worst > 2e-5:
            sys.exit(f"{name}: differs from sentence-transformers by {worst}")
    lanes = {name: common.timed(f, budget=0.1, most=2) for name, f in runs.items()}
    got = common.interleave(lanes, args.rounds, args.gap)
    ours = got["emily"]["median"]
    rows = [[name, common.milliseconds(g["median"]), common.milliseconds(g["best"]),
             f"{total / g['median'] * 1e3:,.0f}", f"{g['median'] / ours:.2f}x"] for name, g in got.items()]
    results = [{"what": f"{len(texts)} sentences", "unit": "ms", "got": got, "tokens": total}]
    common.report(args, "text", f"{len(texts)} sentences, {total:,} tokens, from text to vectors: milliseconds",
                  ["engine", "median", "best", "tokens/s", "time against emily"], rows, {"results": results},
                  ["sentence-transformers", "transformers", "torch", "onnxruntime", "tokenizers"])


main()
