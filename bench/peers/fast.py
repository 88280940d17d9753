"""Attention, rotary embedding, norms and written-out chains: emily against PyTorch and JAX.

emily is bench/emily_fast, a process that waits for a line with a case and a time and answers with its median and best.
"written" rows are spelled in primitive ops: jitted by JAX, compiled by torch.compile where that works (else run as they
are), and given to emily's fuse lane, which must find what they are.
"""
import json
import math
import os
import subprocess
import sys

import common

# what, dtype, B, H, Hkv, Lq, Lk, D
CASES = [("attention", "f32", 1, 12, 12, 128, 128, 64), ("attention_written", "f32", 1, 12, 12, 128, 128, 64),
         ("attention", "f32", 1, 12, 12, 512, 512, 64), ("causal", "f32", 1, 12, 12, 512, 512, 64),
         ("attention", "bf16", 1, 12, 12, 128, 128, 64), ("attention", "f32", 1, 32, 8, 1, 4096, 128),
         ("attention", "bf16", 1, 32, 8, 1, 4096, 128), ("attention", "f32", 1, 12, 12, 1, 1024, 64),
         ("rope", "f32", 1, 12, 12, 128, 128, 64), ("rotary_written", "f32", 1, 12, 12, 128, 128, 64),
         ("rotary_written", "f32", 1, 32, 32, 512, 512, 128), ("rotary_written", "bf16", 1, 32, 32, 512, 512, 128)]
CASES += [(what, dtype, 1, 1, 1, rows, 1, 1024)
          for what in ("rms_norm_written", "layer_norm_written", "softmax_written", "gelu_written", "swiglu_written")
          for dtype, rows in (("f32", 64), ("f32", 1024), ("f32", 16384), ("bf16", 1024))]
args = common.arguments(__doc__, only=("", "names that contain this"), compile=(1, "0: no torch.compile"))

import numpy as np
import torch

torch.set_num_threads(args.threads)
import jax
import jax.numpy as jnp

NAMES = {"f32": (torch.float32, jnp.float32), "bf16": (torch.bfloat16, jnp.bfloat16)}


class Emily:
    def __init__(self):
        self.process = subprocess.Popen([os.path.join(args.build, "bench/emily_fast")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, case, mode):
        def run():
            self.process.stdin.write(" ".join(map(str, case)) + f" {mode} 60\n")
            answer = json.loads(self.process.stdout.readline())
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def arrays(what, b, h, hkv, lq, lk, d):
    rng = np.random.default_rng(0)
    if what.startswith(("attention", "causal")):
        shapes = [(b, h, lq, d), (b, hkv, lk, d), (b, hkv, lk, d)]
    elif what.startswith("ro"):
        shapes = [(b, h, lq, d), (lq, d), (lq, d)]
    else:
        shapes = [(lq, d), (lq, d) if what.startswith("swi") else (d,), (d,)]
    return [rng.standard_normal(s, dtype=np.float32) for s in shapes]


def chains(what, d, xp, exp, tanh, sigmoid, cat):
    """The written-out cases over either library."""
    def mean(x):
        return x.mean(-1, keepdims=True)
    def softmax(x):
        e = exp(x - (x.max(-1, keepdims=True) if xp is jnp else x.amax(-1, keepdim=True)))
        return e / e.sum(-1, keepdims=True)
    def layer_norm(x, w, b):
        c = x - mean(x)
        return c * xp.sqrt(mean(c * c) + 1e-5) ** -1 * w + b
    return {"attention_written": lambda q, k, v: softmax(q @ k.swapaxes(-1, -2) / math.sqrt(d)) @ v,
            "rotary_written": lambda x, c, s: x * c + cat([-x[..., d // 2:], x[..., :d // 2]], -1) * s,
            "rms_norm_written": lambda x, w, _: x * (mean(x * x) + 1e-6) ** -0.5 * w,
            "layer_norm_written": layer_norm, "softmax_written": lambda x, *_: softmax(x),
            "gelu_written": lambda x, *_: x * 0.5 * (tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1),
            "swiglu_written": lambda a, b, *_: a * sigmoid(a) * b}.get(what)


def torch_rope(x, *_):
    d = x.shape[-1]
    angle = torch.arange(x.shape[-2])[:, None] * 10000.0 ** (-2.0 * torch.arange(d // 2) / d)
    c, s = torch.cos(angle).repeat(1, 2), torch.sin(angle).repeat(1, 2)
    return x * c + torch.cat([-x[..., d // 2:], x[..., :d // 2]], -1) * s


def jax_rope(x, *_):
    d = x.shape[-1]
    angle = jnp.arange(x.shape[-2])[:, None] * 10000.0 ** (-2.0 * jnp.arange(d // 2) / d)
    c, s = jnp.tile(jnp.cos(angle), 2), jnp.tile(jnp.sin(angle), 2)
    return x * c + jnp.concatenate([-x[..., d // 2:], x[..., :d // 2]], -1) * s


def torch_lane(what, d, x, causal):
    attention = torch.nn.functional.scaled_dot_product_attention
    f = {"attention": lambda q, k, v: attention(q, k, v, enable_gqa=q.shape[1] != k.shape[1]),
         "causal": lambda q, k, v: attention(q, k, v, is_causal=True), "rope": torch_rope}.get(what)
    f = f or chains(what, d, torch, torch.exp, torch.tanh, torch.sigmoid, torch.cat)
    if what.endswith("written") and args.compile:
        compiled = torch.compile(f, dynamic=False)
        try:
            with torch.inference_mode():
                compiled(*x)
            f = compiled
        except Exception as why:
            print(f"torch.compile of {what}: {str(why).splitlines()[0]}", file=sys.stderr)
    def run():
        with torch.inference_mode():
            return f(*x)
    return run


def jax_lane(what, d, x):
    def attention(q, k, v, causal=False):
        q, k, v = (a.swapaxes(1, 2) for a in (q, k, v))
        return jax.nn.dot_product_attention(q, k, v, is_causal=causal).swapaxes(1, 2)
    f = {"attention": attention, "causal": lambda *a: attention(*a, causal=True), "rope": jax_rope}.get(what)
    f = jax.jit(f or chains(what, d, jnp, jnp.exp, jnp.tanh, jax.nn.sigmoid, jnp.concatenate))
    return lambda: f(*x).block_until_ready()


def peers(case):
    what, dtype, *sizes = case
    t, j = NAMES[dtype]
    x = arrays(what, *sizes)
    lanes = {"torch": torch_lane(what, sizes[-1], [torch.from_numpy(a).to(t) for a in x], what == "causal"),
             "jax": jax_lane(what, sizes[-1], [jnp.asarray(a).astype(j) for a in x])}
    return {name: common.timed(f, budget=0.06, most=300) for name, f in lanes.items()}


def main():
    own, rows, results = Emily(), [], []
    limits = common.limits(args)
    for case in CASES:
        what, dtype, b, h, hkv, lq, lk, d = case
        rowwise = not what.startswith(("attention", "causal", "ro"))
        name = f"{what} {dtype} " + (f"{lq} x {d}" if rowwise else f"{h}/{hkv} heads, {lq} x {lk} x {d}")
        if args.only not in name:
            continue
        got = common.interleave({"emily": own.lane(case, 1), **peers(case)}, args.rounds, args.gap / 4)
        fastest = min(("torch", "jax"), key=lambda k: got[k]["median"])
        ratio = got[fastest]["median"] / got["emily"]["median"]
        best = min(got[k]["best"] for k in ("torch", "jax")) / got["emily"]["best"]
        cells = [f"{got[k]['median'] * 1e3:.1f}" for k in ("emily", "torch", "jax")]
        rows.append([name] + cells + [f"{ratio:.2f}x {fastest} ({best:.2f}x)"])
        results.append({"what": name, "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best})
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    mean, best = (math.exp(sum(math.log(r[k]) for r in results) / len(results)) for k in ("ratio", "best"))
    rows.append(["geometric mean", "", "", "", f"{mean:.2f}x ({best:.2f}x)"])
    common.report(args, "fast", "Fast ops and written-out chains: microseconds, median; ratios of medians (of bests)",
                  ["case", "emily", "torch", "jax", "against the fastest peer"], rows,
                  {"results": results, "limits": limits}, ["torch", "jax"])


main()
