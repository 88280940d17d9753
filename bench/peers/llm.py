"""Text generation at Qwen3-0.6B's shape, random weights: emily against llama.cpp and Transformers.

Dense bf16 and 4 bits (emily: groups of 64 as mlx-lm writes them; llama.cpp: Q4_0 and Q4_K, with Q8_0 beside). Asked:
tokens a second of greedy decoding after 16, 1,024 and 4,096 tokens, of 8 answers at once, and of reading 512. All
engines have the same bf16 weights, and must agree. The share is that of the rate at which the threads can read the
weights' file, which takes its turn among the lanes: bytes of weights, keys and values that a token needs, by tokens a
second, medians both.
"""
import json
import os
import subprocess
import sys
import time

import common

args = common.arguments(__doc__, encoder=False, cache=(common.KEPT, "for checkpoints"),
                        layers=(28, "fewer for a quick look"), only=("", "works, comma separated"),
                        lanes=("", "lanes, comma separated"))

import numpy as np
import torch

import llm_checkpoint as checkpoint

torch.set_num_threads(args.threads)
# name: context, answers, tokens written behind it (0: reading the context is timed)
WORKS = {"decode": (16, 1, 32), "decode at 1024": (1024, 1, 16), "decode at 4096": (4096, 1, 16),
         "8 answers": (16, 8, 16), "prefill 512": (512, 1, 0)}
LANES = ["emily bf16", "llama.cpp bf16", "hf bf16", "emily 4-bit", "llama.cpp Q4_0", "llama.cpp Q4_K",
         "llama.cpp Q8_0"]
SHORT = {"hf bf16": ("decode", "prefill 512"), "llama.cpp Q4_K": ("decode", "prefill 512"),
         "llama.cpp Q8_0": ("decode", "prefill 512")}  # lanes that take part in these works only
READ = "read the weights"
PAIRS = [("emily bf16", "llama.cpp bf16"), ("emily 4-bit", "llama.cpp Q4_0")]


def prompt(n, answer=0):
    """The ids that bench/emily_generate makes."""
    seed, ids = 1 + answer, []
    for _ in range(n):
        seed = (seed * 1664525 + 1013904223) % 2 ** 32
        ids.append((seed >> 8) % checkpoint.VOCABULARY)
    return ids


class Emily:
    """bench/emily_generate, a process that waits for lines; keys and values in bf16."""

    def __init__(self, directory):
        self.bytes = checkpoint.file_bytes(directory)
        self.process = subprocess.Popen([os.path.join(args.build, "bench/emily_generate"), directory],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, context, answers, tokens):
        self.process.stdin.write(f"{context} {answers} {tokens}\n")
        line = self.process.stdout.readline()
        return json.loads(line) if line else sys.exit("bench/emily_generate ended")

    def seconds(self, context, answers, tokens):
        if tokens == 0:
            self.process.stdin.write("reset\n")
        return self.ask(context, answers, tokens)["decode_s" if tokens else "prefill_s"]

    def first(self):
        return self.ask(16, 1, 0)["first"]


class Llama:
    """One file in llama.cpp; keys and values in f16. A context is made when a work needs it, and keeps its prompt."""

    def __init__(self, path):
        self.bytes = os.path.getsize(path)
        self.model = lc.llama_model_load_from_file(path.encode(), lc.llama_model_default_params())
        self.contexts = {}

    def context(self, tokens, answers):
        key = (tokens, answers)
        if key not in self.contexts:
            p = lc.llama_context_default_params()
            p.n_ctx, p.n_batch, p.n_ubatch = answers * (tokens + 256), 512, 512
            p.n_seq_max, p.kv_unified = answers, True
            p.n_threads = p.n_threads_batch = args.threads
            self.contexts[key] = lc.llama_init_from_model(self.model, p)
            for answer in range(answers):
                self.read(self.contexts[key], prompt(tokens, answer), answer)
        return self.contexts[key]

    def read(self, context, ids, answer):
        for at in range(0, len(ids), 512):
            part = ids[at:at + 512]
            self.forward(context, [(t, at + i, answer, at + i + 1 == len(ids)) for i, t in enumerate(part)])

    def forward(self, context, rows):
        """Rows are (id, position, answer, whether its logits are wanted)."""
        batch = lc.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, answer, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = answer, wanted
        failed = lc.llama_decode(context, batch)
        lc.llama_batch_free(batch)
        if failed:
            sys.exit(f"llama_decode: {failed}")

    def logits(self, context, row):
        return np.ctypeslib.as_array(lc.llama_get_logits_ith(context, row), (checkpoint.VOCABULARY,))

    def seconds(self, tokens, answers, written):
        context = self.context(tokens, answers)
        memory = lc.llama_get_memory(context)
        if written == 0:
            lc.llama_memory_clear(memory, True)
            start = time.perf_counter()
            self.read(context, prompt(tokens), 0)
            self.logits(context, -1)
            return time.perf_counter() - start
        ids, start = [100 + a for a in range(answers)], time.perf_counter()
        for i in range(written):
            self.forward(context, [(t, tokens + i, a, True) for a, t in enumerate(ids)])
            ids = [int(np.argmax(self.logits(context, a))) for a in range(answers)]
        took = time.perf_counter() - start
        for a in range(answers):
            lc.llama_memory_seq_rm(memory, a, tokens, -1)
        return took

    def first(self):
        context = self.context(16, 1)
        lc.llama_memory_clear(lc.llama_get_memory(context), True)
        self.read(context, prompt(16), 0)
        return self.logits(context, -1).copy()


class HF:
    def __init__(self, directory):
        from transformers import AutoModelForCausalLM
        self.bytes = checkpoint.file_bytes(directory)
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).eval()

    @torch.inference_mode()
    def seconds(self, context, _answers, tokens):
        ids, start = torch.tensor([prompt(context)]), time.perf_counter()
        out = self.model(ids, use_cache=True, logits_to_keep=1)
        if tokens == 0:
            return time.perf_counter() - start
        start = time.perf_counter()
        for _ in range(tokens):
            out = self.model(out.logits[:, -1:].argmax(-1), past_key_values=out.past_key_values, use_cache=True)
        return time.perf_counter() - start

    @torch.inference_mode()
    def first(self):
        return self.model(torch.tensor([prompt(16)]), logits_to_keep=1).logits[0, -1].float().numpy()


def engines(names):
    dense = checkpoint.dense(args.cache, args.layers)
    made = {}
    for name in names:
        kind = name.split()[-1]
        if name.startswith("emily"):
            made[name] = Emily(dense if kind == "bf16" else checkpoint.four_bits(args.cache, args.layers))
        elif name.startswith("hf"):
            made[name] = HF(dense)
        else:
            made[name] = Llama(checkpoint.gguf(args.cache, args.layers) if kind == "bf16" else
                               checkpoint.quantized_gguf(args.cache, args.layers, kind, args.threads))
    return made


def agree(made):
    """The dense engines' first logits are one direction, and emily's choice is at the top of them."""
    logits = {n: e.first() for n, e in made.items() if n.endswith("bf16") and not n.startswith("emily")}
    known = list(logits.values())
    for name, l in logits.items():
        cosine = l @ known[0] / np.linalg.norm(l) / np.linalg.norm(known[0])
        if cosine < 0.999:
            sys.exit(f"{name} computes something else: cosine {cosine:.4f}")
    if "emily bf16" in made and known:
        below = (known[0].max() - known[0][made["emily bf16"].first()]) / known[0].std()
        if below > 0.1:
            sys.exit(f"emily chooses an id {below:.2f} deviations below the best")


def read_limit():
    """A lane: milliseconds of reading the dense weights once."""
    tool, path = os.path.join(args.build, "bench/limits"), checkpoint.dense(args.cache, args.layers)
    command = [tool, str(args.threads), os.path.join(path, "model.safetensors")]

    def run():
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [s * 1e3 for s in json.loads(out)["seconds"]]
    return run


def lane(engine, work):
    context, answers, tokens = WORKS[work]
    if isinstance(engine, HF) and tokens:
        tokens = 8

    def run():
        """Milliseconds for a token of all answers together, or of the prompt."""
        return [engine.seconds(context, answers, tokens) * 1e3 / (answers * (tokens or context))]
    return run


def share(engine, work, got, read_gbs):
    """Of the read bandwidth; reading a prompt is bound by arithmetic."""
    context, answers, tokens = WORKS[work]
    if not tokens:
        return None
    read = engine.bytes + answers * checkpoint.cache_bytes(args.layers, context + tokens / 2, 2)
    return read / answers / got["median"] / 1e6 / read_gbs


def row_of(work, made, got, read_gbs):
    cells = [f"{1e3 / got[n]['median']:.1f} ({1e3 / got[n]['best']:.1f})" if n in got else "" for n in made]
    ratios = {ours: got[theirs]["median"] / got[ours]["median"] for ours, theirs in PAIRS
              if ours in got and theirs in got}
    shares = {n: share(made[n], work, got[n], read_gbs) for n in got}
    for ours, _ in PAIRS:
        cells.append(f"{ratios[ours]:.2f}x" if ours in ratios else "")
        cells.append(f"{shares[ours]:.0%}" if shares.get(ours) else "")
    result = {"what": work, "unit": "ms a token", "got": got, "ratios": ratios, "shares": shares, "read_gbs": read_gbs}
    return [work] + cells + [f"{read_gbs:.1f} GB/s"], result


def main():
    names = args.lanes.split(",") if args.lanes else LANES
    if not os.path.exists(os.path.join(args.build, "bench/emily_generate")):
        names = [n for n in names if not n.startswith("emily")]
    made, rows, results = engines(names), [], []
    agree(made)
    for work in args.only.split(",") if args.only else WORKS:
        lanes = {n: lane(e, work) for n, e in made.items() if work in SHORT.get(n, WORKS)}
        got = common.interleave({**lanes, READ: read_limit()}, args.rounds, args.gap)
        read_gbs = checkpoint.file_bytes(checkpoint.dense(args.cache, args.layers)) / got.pop(READ)["median"] / 1e6
        row, result = row_of(work, made, got, read_gbs)
        rows.append(row)
        results.append(result)
        print(" | ".join(row), file=sys.stderr, flush=True)
    heads = [f"{ours} / {theirs.split()[-1]}" for ours, theirs in PAIRS]
    common.report(args, "llm", "Text generation, Qwen3-0.6B's shape: tokens a second, median (best)",
                  ["work"] + list(made) + [heads[0], "of the limit", heads[1], "of the limit", "read limit"], rows,
                  {"results": results}, ["llama_cpp_python", "torch", "transformers"])


try:
    import llama_cpp as lc
    QUIET = lc.llama_log_callback(lambda *a: None)
    lc.llama_log_set(QUIET, None)
    lc.llama_backend_init()
except ImportError:
    sys.exit("llama.cpp is not installed: pip install gguf llama-cpp-python")
main()
