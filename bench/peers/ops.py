"""Single f32 ops on n x n arrays: emily against NumPy, PyTorch and JAX.

emily is bench/emily_ops, a process that waits for "OP N MILLISECONDS" on its standard input and answers each with a line
{"op", "n", "median_us", "best_us", "runs"}; so it takes its turn between the peers with its arrays warm, as theirs are.
Every lane makes a new result array on every run. JAX is jitted, its results are waited for.
"""
import json
import math
import os
import subprocess
import sys
import time

import common

args = common.arguments(__doc__, sizes=("128,512,1024,2048,4096", "n, comma separated"),
                        ops=("add,exp,softmax,sum_rows,matmul", "which, comma separated"))

import numpy as np
import torch

torch.set_num_threads(args.threads)
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None
    print("jax is not installed", file=sys.stderr)
WORK = {"add": (lambda n: 12 * n * n, "GB/s"), "exp": (lambda n: 8 * n * n, "GB/s"),
        "softmax": (lambda n: 8 * n * n, "GB/s"), "sum_rows": (lambda n: 4 * n * n, "GB/s"),
        "matmul": (lambda n: 2 * n**3, "GFLOP/s")}


class Emily:
    def __init__(self):
        tool = os.path.join(args.build, "bench/emily_ops")
        if not os.path.exists(tool):
            sys.exit(f"{tool} is not built")
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, op, n):
        def run():
            self.process.stdin.write(f"{op} {n} 60\n")
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"emily_ops stopped at {op} {n}")
            answer = json.loads(line)
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def peers(op, a, b):
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    lanes = {"numpy": {"add": lambda: a + b, "exp": lambda: np.exp(a), "sum_rows": lambda: a.sum(-1),
                       "matmul": lambda: a @ b}.get(op),
             "torch": {"add": lambda: ta + tb, "exp": lambda: ta.exp(), "softmax": lambda: ta.softmax(-1),
                       "sum_rows": lambda: ta.sum(-1), "matmul": lambda: ta @ tb}[op]}
    if jax:
        ja, jb = jnp.asarray(a), jnp.asarray(b)
        f = {"add": jnp.add, "exp": lambda x, _: jnp.exp(x), "softmax": lambda x, _: jax.nn.softmax(x, -1),
             "sum_rows": lambda x, _: x.sum(-1), "matmul": lambda x, y: jax.lax.dot(x, y, precision="highest")}[op]
        jitted = jax.jit(f)
        lanes["jax"] = lambda: jitted(ja, jb).block_until_ready()
    return {name: common.timed(f, budget=0.06, most=200) for name, f in lanes.items() if f}


def main():
    rng, own, rows, results = np.random.default_rng(0), Emily(), [], []
    limits = common.limits(args)
    for op in args.ops.split(","):
        for n in map(int, args.sizes.split(",")):
            a, b = rng.standard_normal((2, n, n), dtype=np.float32)
            got = common.interleave({"emily": own.lane(op, n), **peers(op, a, b)}, args.rounds, args.gap / 4)
            work, unit = WORK[op]
            fastest = min((k for k in got if k != "emily"), key=lambda k: got[k]["median"])
            ratio = got[fastest]["median"] / got["emily"]["median"]
            best = min(g["best"] for k, g in got.items() if k != "emily") / got["emily"]["best"]
            cells = [f"{got[k]['median'] * 1e3:.1f}" if k in got else "" for k in ("emily", "numpy", "torch", "jax")]
            rate = work(n) / got["emily"]["median"] / 1e6
            rows.append([f"{op} {n}"] + cells + [f"{ratio:.2f}x {fastest} ({best:.2f}x)", f"{rate:.1f} {unit}"])
            results.append({"what": f"{op} {n}", "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best,
                            "share": rate / limits["fma_gflops"] if unit == "GFLOP/s" and limits else None})
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    mean, best = (math.exp(sum(math.log(r[k]) for r in results) / len(results)) for k in ("ratio", "best"))
    lowest = min(r["ratio"] for r in results)
    rows.append(["geometric mean", "", "", "", "", f"{mean:.2f}x ({best:.2f}x)", f"lowest {lowest:.2f}x"])
    common.report(args, "ops", "Ops, f32, n x n: microseconds, median; ratios of medians (of bests)", ["op, n", "emily", "numpy", "torch", "jax",
                  "against the fastest peer", "emily's rate"], rows, {"results": results, "limits": limits},
                  ["numpy", "torch", "jax"])


main()
