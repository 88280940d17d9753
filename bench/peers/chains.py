"""Chains of primitive ops, f32: emily's fuse lane against JAX jitted and torch.compile.

emily is bench/chains, a process that waits for "CHAIN ELEMENTS MILLISECONDS" on its standard input and answers each with
a line {"chain", "elements", "median_us", "best_us", "runs"}. Every lane makes a new result array on every run and starts
from the same primitives: nobody is told that they are a softmax. The last row is the time from a function of 1,000 ops to
a program that is ready to run, against jax.jit's trace, lowering and compilation.
"""
import json
import math
import os
import subprocess
import sys
import time

import common

args = common.arguments(__doc__, sizes=("65536,1048576,16777216", "elements, comma separated"), ops=(1000, "of the compiled graph"),
                        chains=("gelu_tanh,softmax,layer_norm,rms_norm,rope,affine,gate", "which, comma separated"))

import jax
import jax.numpy as jnp
import numpy as np
import torch

torch.set_num_threads(args.threads)
C, HEAD = 1024, 64
# Arrays of the result's size that must move to and from memory: what a perfect kernel pays.
MOVES = {"gelu_tanh": 2, "softmax": 2, "layer_norm": 2, "rms_norm": 2, "rope": 2 + 2 * HEAD / C, "affine": 4, "gate": 3}


def chains(np_, last, cat):
    """name -> function of three arrays, over numpy-like primitives."""
    def gelu_tanh(x, *_):
        return (x * 0.5) * (np_.tanh((x + (x * x * x) * 0.044715) * 0.7978845608) + 1)

    def softmax(x, *_):
        e = np_.exp(x - last("max", x))
        return e / last("sum", e)

    def layer_norm(x, w, b):
        d = x - last("mean", x)
        return d * (1 / np_.sqrt(last("mean", d * d) + 1e-5)) * w + b

    def rms_norm(x, w, b):
        return x * (1 / np_.sqrt(last("mean", x * x) + 1e-6)) * w

    def rope(x, c, s):
        return x * c + cat(-x[..., HEAD // 2:], x[..., :HEAD // 2]) * s

    def affine(x, w, y):
        return x * w + y

    def gate(x, y, _):
        return x * (1 / (1 + np_.exp(-y)))
    return locals()


def shapes(name, n):
    if name == "rope":
        return (n // C, C // HEAD, HEAD), (n // C, 1, HEAD), (n // C, 1, HEAD)
    return ((n // C, C),) * 3 if name in ("affine", "gate") else ((n // C, C), (C,), (C,))


def torch_last(what, x):
    return x.amax(-1, keepdim=True) if what == "max" else getattr(x, what)(-1, keepdim=True)


IN_JAX = chains(jnp, lambda what, x: getattr(x, what)(-1, keepdims=True), lambda a, b: jnp.concatenate([a, b], -1))
IN_TORCH = chains(torch, torch_last, lambda a, b: torch.cat([a, b], -1))


class Emily:
    def __init__(self, *lane):
        tool = os.path.join(args.build, "bench/chains")
        if not os.path.exists(tool):
            sys.exit(f"{tool} is not built")
        self.process = subprocess.Popen([tool, *lane], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, chain, n, budget=80):
        def run():
            self.process.stdin.write(f"{chain} {n} {budget}\n")
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"chains stopped at {chain} {n}")
            answer = json.loads(line)
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def peers(name, arrays):
    ts, js = [torch.from_numpy(a) for a in arrays], [jnp.asarray(a) for a in arrays]
    torch.compiler.reset()
    compiled, jitted = torch.compile(IN_TORCH[name], dynamic=False), jax.jit(IN_JAX[name])
    with torch.inference_mode():
        off = np.abs(compiled(*ts).numpy() - np.asarray(jitted(*js))).max()
    if not off < 1e-3:
        sys.exit(f"{name}: the peers differ by {off}")

    def in_torch():
        with torch.inference_mode():
            compiled(*ts)
    lanes = {"torch.compile": in_torch, "jax": lambda: jitted(*js).block_until_ready()}
    return {k: common.timed(f, budget=0.08, most=200) for k, f in lanes.items()}


def compile_jax():
    def layers(x, w, b):
        for _ in range(0, args.ops, 4):
            x = jnp.tanh((x @ w) * 0.1 + b)
        return x
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((16, HEAD), (HEAD, HEAD), (HEAD,))]
    start = time.perf_counter()
    jax.jit(layers).lower(*shapes).compile()
    return [(time.perf_counter() - start) * 1e3]


def row_of(what, got, work, copy):
    """work: bytes moved; copy: GB/s that the machine copied before and after."""
    fastest = min((k for k in got if k != "emily"), key=lambda k: got[k]["median"])
    ratio = got[fastest]["median"] / got["emily"]["median"]
    best = min(g["best"] for k, g in got.items() if k != "emily") / got["emily"]["best"]
    cells = [f"{got[k]['median'] * 1e3:.1f}" if k in got else "" for k in ("emily", "torch.compile", "jax")]
    share = work / got["emily"]["best"] / 1e6 / max(copy) if copy else None
    result = {"what": what, "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best, "share": share,
              "copy_gbs": copy}
    row = [what] + cells + [f"{ratio:.2f}x {fastest} ({best:.2f}x)", f"{100 * share:.0f} %" if share else "",
                            ", ".join(f"{x:.1f}" for x in copy or [])]
    print(" | ".join(row), file=sys.stderr, flush=True)
    return row, result


def main():
    rng, own, rows, results = np.random.default_rng(0), Emily(), [], []
    copied = [limit["copy_gbs"] for limit in [common.limits(args, 1)] if limit]  # what a neighbour leaves changes
    for name in args.chains.split(","):
        for n in map(int, args.sizes.split(",")):
            arrays = [rng.standard_normal(s, dtype=np.float32) for s in shapes(name, n)]
            got = common.interleave({"emily": own.lane(name, n), **peers(name, arrays)}, args.rounds, args.gap / 4)
            copied += [limit["copy_gbs"] for limit in [common.limits(args, 1)] if limit]
            row, result = row_of(f"{name} {n}", got, 4 * n * MOVES[name], copied[-2:])
            rows.append(row)
            results.append(result)
    got = common.interleave({"emily": own.lane("compile", args.ops, 20), "jax": compile_jax}, 2, args.gap)
    mean = math.exp(sum(math.log(r["ratio"]) for r in results) / len(results))
    row, result = row_of(f"compile {args.ops} ops", got, None, None)
    rows += [["geometric mean", "", "", "", f"{mean:.2f}x", "", ""], row]
    common.report(args, "chains", "Chains of primitives, f32: microseconds, median; ratios of medians (of bests)",
                  ["chain, elements", "emily", "torch.compile", "jax", "against the fastest peer",
                   "share of the copy limit", "GB/s copied before, after"], rows, {"results": results + [result]},
                  ["torch", "jax"])


main()
