"""Sort, argsort and top_k (100) along the last axis: emily against NumPy, PyTorch and JAX.

emily's argsort is stable, and so is JAX's; NumPy's and PyTorch's are asked for the order of equals as they like it. JAX
is jitted, its results are waited for.
"""
import common

args = common.arguments(__doc__, ops=("sort,argsort,top_k", "which, comma separated"))

import numpy as np
import torch

import lines

torch.set_num_threads(args.threads)
try:
    import jax
    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None
NUMPY = {"f32": np.float32, "f64": np.float64, "s32": np.int32, "s64": np.int64, "u8": np.uint8}
rng = np.random.default_rng(0)


def lanes_of(op, dtype, rows, n):
    kind = NUMPY[dtype]
    x = rng.standard_normal((rows, n)).astype(kind) if np.issubdtype(kind, np.floating) else \
        rng.integers(-2**30, 2**30, (rows, n)).astype(kind)
    t, k = torch.from_numpy(x), min(n, 100)
    lanes = {"numpy": {"sort": lambda: np.sort(x), "argsort": lambda: np.argsort(x),
                       "top_k": lambda: np.argpartition(x, n - k)[:, n - k:]}[op],
             "torch": {"sort": lambda: torch.sort(t), "argsort": lambda: torch.argsort(t),
                       "top_k": lambda: torch.topk(t, k)}[op]}
    if jax:
        j = jax.numpy.asarray(x)
        f = jax.jit({"sort": jax.numpy.sort, "argsort": jax.numpy.argsort, "top_k": lambda a: jax.lax.top_k(a, k)}[op])
        lanes["jax"] = lambda: jax.block_until_ready(f(j))
    return lanes


work = [(op, dtype, rows, n) for op in args.ops.split(",")
        for dtype, rows, n in (("f32", 1, 1000000), ("f64", 1, 1000000), ("s32", 1, 1000000), ("s64", 1, 1000000),
                               ("u8", 1, 1000000), ("f32", 1, 10000), ("f32", 1000, 1000), ("f32", 10000, 100),
                               ("s64", 10000, 100))]
lines.compare(args, "order", "Order along the last axis: microseconds, median; ratios of medians (of bests)", work,
              lanes_of, ["numpy", "torch", "jax"], ["numpy", "torch", "jax"])
