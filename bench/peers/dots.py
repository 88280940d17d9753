"""Matrix products that are not one large f32 one: batches of small matrices, vectors, other dtypes, against NumPy,
PyTorch and JAX. emily is bench/emily_dot, which takes its turn between the peers with its arrays warm, as theirs are.
"""
import json
import math
import os
import subprocess
import sys

import common

# dtype, batch (0: none), m, n, k
SHAPES = [("f32", b, n, n, n) for n in (16, 32, 64) for b in (64, 512, 4096)]
SHAPES += [("f32", 512, 24, 40, 20), ("f32", 256, 128, 128, 64), ("f32", 0, 1, 1024, 1024), ("f32", 0, 1024, 1, 1024),
           ("f32", 512, 1, 64, 64), ("f64", 512, 32, 32, 32), ("f64", 0, 512, 512, 512), ("f64", 0, 1024, 1024, 1024),
           ("f64", 0, 1000, 200, 300), ("c64", 0, 512, 512, 512), ("c128", 0, 512, 512, 512), ("s32", 0, 512, 512, 512),
           ("s64", 0, 512, 512, 512), ("s8", 0, 512, 512, 512)]
args = common.arguments(__doc__, only=("", "shapes whose name contains this"))

import numpy as np
import torch

torch.set_num_threads(args.threads)
try:
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None
NUMPY = {"f32": np.float32, "f64": np.float64, "c64": np.complex64, "c128": np.complex128, "s32": np.int32,
         "s64": np.int64, "s8": np.int8}


class Emily:
    def __init__(self):
        self.process = subprocess.Popen([os.path.join(args.build, "bench/emily_dot")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, shape):
        def run():
            self.process.stdin.write(" ".join(map(str, shape)) + " 60\n")
            answer = json.loads(self.process.stdout.readline())
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def peers(dtype, batch, m, n, k):
    rng = np.random.default_rng(0)
    a, b = ((5 * rng.standard_normal(([batch] if batch else []) + s)).astype(NUMPY[dtype]) for s in ([m, k], [k, n]))
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    def run_torch():
        with torch.inference_mode():
            return ta @ tb
    lanes = {"numpy": lambda: a @ b, "torch": run_torch}
    if jax:
        ja, jb = jnp.asarray(a), jnp.asarray(b)
        jitted = jax.jit(lambda x, y: jnp.matmul(x, y, precision="highest"))
        lanes["jax"] = lambda: jitted(ja, jb).block_until_ready()
    return {name: common.timed(f, budget=0.06, most=1000) for name, f in lanes.items()}


def main():
    own, rows, results = Emily(), [], []
    for shape in SHAPES:
        name = f"{shape[0]} {shape[1]} x " * bool(shape[1]) + f"{shape[0]} " * (not shape[1]) + "x".join(map(str, shape[2:]))
        if args.only not in name:
            continue
        got = common.interleave({"emily": own.lane(shape), **peers(*shape)}, args.rounds, args.gap / 4)
        theirs = [k for k in got if k != "emily"]
        fastest = min(theirs, key=lambda k: got[k]["median"])
        ratio = got[fastest]["median"] / got["emily"]["median"]
        best = min(got[k]["best"] for k in theirs) / got["emily"]["best"]
        cells = [f"{got[k]['best'] * 1e3:.1f}" if k in got else "" for k in ("emily", "numpy", "torch", "jax")]
        rate = 2 * max(shape[1], 1) * shape[2] * shape[3] * shape[4] * (4 if shape[0][0] == "c" else 1)
        rows.append([name] + cells + [f"{best:.2f}x ({ratio:.2f}x {fastest})", f"{rate / got['emily']['best'] / 1e6:.0f} G/s"])
        results.append({"what": name, "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best})
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    mean, best = (math.exp(sum(math.log(r[k]) for r in results) / len(results)) for k in ("ratio", "best"))
    rows.append(["geometric mean", "", "", "", "", f"{best:.2f}x ({mean:.2f}x)",
                 f"lowest {min(r['best'] for r in results):.2f}x"])
    common.report(args, "dots", "Products, m x n x k: microseconds, best of all runs; ratios of bests (of medians)",
                  ["dtype, batch, shape", "emily", "numpy", "torch", "jax", "against the fastest peer", "operations"], rows,
                  {"results": results}, ["numpy", "torch", "jax"])


main()
