"""Ops that move, accumulate and slide: emily against NumPy, PyTorch and JAX.

emily is bench/emily_index, a process that waits for "OP MILLISECONDS" on its standard input and answers each with a line
{"op", "median_us", "best_us", "runs"}. Every lane makes a new result array on every run. JAX is jitted.
"""
import json
import math
import os
import subprocess
import sys

import common

args = common.arguments(__doc__, ops=("", "which, comma separated; all"), skip=("", "peers to leave out"))

import numpy as np
import torch

torch.set_num_threads(args.threads)
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None
    print("jax is not installed", file=sys.stderr)

ROWS, SIDE = 100000, 1000
rng = np.random.default_rng(0)
data = {"line": rng.standard_normal(SIDE * SIDE, np.float32), "square": rng.standard_normal((SIDE, SIDE), np.float32),
        "bytes": rng.integers(0, 100, (SIDE, SIDE)).astype(np.uint8), "wide": rng.standard_normal((SIDE, SIDE)),
        "table": rng.standard_normal((ROWS, 64), np.float32), "updates": rng.standard_normal((ROWS, 64), np.float32),
        "rows": rng.integers(0, ROWS, ROWS), "places": rng.integers(0, SIDE * SIDE, SIDE * SIDE),
        "along": rng.integers(0, SIDE, (SIDE, SIDE)), "image": rng.standard_normal((8, 64, 56, 56), np.float32),
        "pooled": rng.standard_normal((8, 64, 28, 28), np.float32), "inner": rng.standard_normal((8, 64, 27, 27), np.float32)}
N = data
T = {k: torch.from_numpy(v) for k, v in data.items()}


def added(to, at, updates):
    y = to.copy()
    np.add.at(y, at, updates)
    return y


def put(to, at, updates):
    y = to.copy()
    y[at] = updates
    return y


def pool(f):
    return lambda: f(T["image"])


def window(x, init, f, size, strides, pads):
    return jax.lax.reduce_window(x, init, f, (1, 1, size, size), (1, 1, strides, strides), [(0, 0), (0, 0), pads, pads])


F = torch.nn.functional


def backward(size, pads, of="pooled", step=2):
    _, chosen = F.max_pool2d(T["image"], size, step, pads, return_indices=True)
    return lambda: torch.ops.aten.max_pool2d_with_indices_backward(T[of], T["image"], [size] * 2, [step] * 2, [pads] * 2,
                                                                   [1, 1], False, chosen)


def vjp(size, pads, of="pooled", step=2):
    return (lambda x, g: jax.vjp(lambda y: window(y, -jnp.inf, jax.lax.max, size, step, pads), x)[1](g)[0], f"image {of}")


# case: NumPy, PyTorch, JAX (a function and the names of its operands); None where a peer has no such op
CASES = {
    "cumsum_line": (lambda: np.cumsum(N["line"]), lambda: T["line"].cumsum(0), (lambda x: jnp.cumsum(x), "line")),
    "cumsum_rows": (lambda: np.cumsum(N["square"], 1), lambda: T["square"].cumsum(1), (lambda x: jnp.cumsum(x, 1), "square")),
    "cumsum_columns": (lambda: np.cumsum(N["square"], 0), lambda: T["square"].cumsum(0),
                       (lambda x: jnp.cumsum(x, 0), "square")),
    "cumsum_f64": (lambda: np.cumsum(N["wide"], 1), lambda: T["wide"].cumsum(1), None),
    "cummax_rows": (lambda: np.maximum.accumulate(N["square"], 1), lambda: T["square"].cummax(1)[0],
                    (lambda x: jax.lax.cummax(x, 1), "square")),
    "gather_rows": (lambda: np.take(N["table"], N["rows"], 0), lambda: torch.index_select(T["table"], 0, T["rows"]),
                    (lambda x, i: jnp.take(x, i, 0, mode="clip"), "table rows")),
    "take_elements": (lambda: np.take(N["line"], N["places"]), lambda: torch.take(T["line"], T["places"]),
                      (lambda x, i: jnp.take(x, i, 0, mode="clip"), "line places")),
    "take_along_rows": (lambda: np.take_along_axis(N["square"], N["along"], 1), lambda: torch.gather(T["square"], 1, T["along"]),
                        (lambda x, i: jnp.take_along_axis(x, i, 1, mode="clip"), "square along")),
    "take_along_columns": (lambda: np.take_along_axis(N["square"], N["along"], 0),
                           lambda: torch.gather(T["square"], 0, T["along"]),
                           (lambda x, i: jnp.take_along_axis(x, i, 0, mode="clip"), "square along")),
    "scatter_add_rows": (lambda: added(N["table"], N["rows"], N["updates"]),
                         lambda: torch.index_add(T["table"], 0, T["rows"], T["updates"]),
                         (lambda x, i, u: x.at[i].add(u), "table rows updates")),
    "scatter_put_rows": (lambda: put(N["table"], N["rows"], N["updates"]),
                         lambda: torch.index_put(T["table"], (T["rows"],), T["updates"]),
                         (lambda x, i, u: x.at[i].set(u), "table rows updates")),
    "scatter_add_elements": (lambda: added(N["line"], N["places"], N["line"]),
                             lambda: torch.scatter_add(T["line"], 0, T["places"], T["line"]),
                             (lambda x, i: x.at[i].add(x), "line places")),
    "max_pool_2": (None, pool(lambda x: F.max_pool2d(x, 2)),
                   (lambda x: window(x, -jnp.inf, jax.lax.max, 2, 2, (0, 0)), "image")),
    "max_pool_3": (None, pool(lambda x: F.max_pool2d(x, 3, 2, 1)),
                   (lambda x: window(x, -jnp.inf, jax.lax.max, 3, 2, (1, 1)), "image")),
    "sum_pool_3": (None, pool(lambda x: F.avg_pool2d(x, 3, 1, divisor_override=1)),
                   (lambda x: window(x, 0.0, jax.lax.add, 3, 1, (0, 0)), "image")),
    "max_pool_2_backward": (None, backward(2, 0), vjp(2, (0, 0))),
    "max_pool_3_backward": (None, backward(3, 1), vjp(3, (1, 1))),
    "max_pool_3_bare_backward": (None, backward(3, 0, "inner"), vjp(3, (0, 0), "inner")),
    "max_pool_3_by_1_backward": (None, backward(3, 1, "image", 1), vjp(3, (1, 1), "image", 1)),
    "concat_f32": (lambda: np.concatenate([N["square"]] * 2, 1), lambda: torch.cat([T["square"]] * 2, 1),
                   (lambda x, y: jnp.concatenate([x, y], 1), "square square")),
    "concat_u8": (lambda: np.concatenate([N["bytes"]] * 2, 1), lambda: torch.cat([T["bytes"]] * 2, 1),
                  (lambda x, y: jnp.concatenate([x, y], 1), "bytes bytes")),
    "pad_f32": (lambda: np.pad(N["square"], 1), lambda: F.pad(T["square"], (1, 1, 1, 1)), (lambda x: jnp.pad(x, 1), "square")),
    "pad_u8": (lambda: np.pad(N["bytes"], 1), lambda: F.pad(T["bytes"], (1, 1, 1, 1)), (lambda x: jnp.pad(x, 1), "bytes")),
}


class Emily:
    def __init__(self):
        tool = os.path.join(args.build, "bench/emily_index")
        if not os.path.exists(tool):
            sys.exit(f"{tool} is not built")
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, op):
        def run():
            self.process.stdin.write(f"{op} 60\n")
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"emily_index stopped at {op}")
            answer = json.loads(line)
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def peers(op):
    numpy, torch_, jax_ = CASES[op]
    lanes = {"numpy": numpy, "torch": torch_}
    if jax and jax_:
        operands = [jnp.asarray(data[name]) for name in jax_[1].split()]
        jitted = jax.jit(jax_[0])
        lanes["jax"] = lambda: jitted(*operands).block_until_ready()
    return {k: common.timed(f, budget=0.06, most=200) for k, f in lanes.items() if f and k not in args.skip.split(",")}


def main():
    own, rows, results = Emily(), [], []
    for op in args.ops.split(",") if args.ops else CASES:
        got = common.interleave({"emily": own.lane(op), **peers(op)}, args.rounds, args.gap / 4)
        fastest = min((k for k in got if k != "emily"), key=lambda k: got[k]["median"])
        ratio = got[fastest]["median"] / got["emily"]["median"]
        best = min(g["best"] for k, g in got.items() if k != "emily") / got["emily"]["best"]
        cells = [f"{got[k]['median'] * 1e3:.1f}" if k in got else "" for k in ("emily", "numpy", "torch", "jax")]
        rows.append([op] + cells + [f"{ratio:.2f}x {fastest} ({best:.2f}x)"])
        results.append({"what": op, "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best})
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    mean, best = (math.exp(sum(math.log(r[k]) for r in results) / len(results)) for k in ("ratio", "best"))
    rows.append(["geometric mean", "", "", "", "", f"{mean:.2f}x ({best:.2f}x), lowest {min(r['ratio'] for r in results):.2f}x"])
    common.report(args, "index", "Indexing, running sums, windows: microseconds, median; ratios of medians (of bests)",
                  ["case", "emily", "numpy", "torch", "jax", "against the fastest peer"], rows, {"results": results},
                  ["numpy", "torch", "jax"])


main()
