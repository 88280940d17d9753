"""A million random numbers: emily against JAX, which computes the same bits (jax_threefry_partitionable off), and against
NumPy (PCG64) and PyTorch (Philox, Mersenne Twister), whose generators are cheaper and another thing. JAX is jitted.
"""
import common

args = common.arguments(__doc__, count=(1000000, "how many numbers"))

import numpy as np
import torch

import lines

torch.set_num_threads(args.threads)
try:
    import jax
    jax.config.update("jax_threefry_partitionable", False)
except ImportError:
    jax = None
rng = np.random.default_rng(0)


def lanes_of(op, dtype, rows, n):
    lanes = {"numpy": {"bits": lambda: rng.integers(0, 2**32, n, dtype=np.uint32),
                       "uniform": lambda: rng.random(n, dtype=np.float32),
                       "normal": lambda: rng.standard_normal(n, dtype=np.float32),
                       "randint": lambda: rng.integers(0, 1000, n, dtype=np.int32),
                       "permutation": lambda: rng.permutation(n)}[op],
             "torch": {"bits": None, "uniform": lambda: torch.rand(n), "normal": lambda: torch.randn(n),
                       "randint": lambda: torch.randint(0, 1000, (n,), dtype=torch.int32),
                       "permutation": lambda: torch.randperm(n)}[op]}
    if jax:
        key = jax.random.PRNGKey(7)
        f = jax.jit({"bits": lambda k: jax.random.bits(k, (n,), np.uint32), "uniform": lambda k: jax.random.uniform(k, (n,)),
                     "normal": lambda k: jax.random.normal(k, (n,)), "randint": lambda k: jax.random.randint(k, (n,), 0, 1000),
                     "permutation": lambda k: jax.random.permutation(k, n)}[op])
        lanes["jax"] = lambda: f(key).block_until_ready()
    return lanes


work = [("bits", "u32", 1, args.count), ("uniform", "f32", 1, args.count), ("normal", "f32", 1, args.count),
        ("randint", "s32", 1, args.count), ("permutation", "s64", 1, args.count)]
lines.compare(args, "random_numbers", "Random numbers: microseconds, median; ratios of medians (of bests)", work,
              lanes_of, ["numpy", "torch", "jax"], ["numpy", "torch", "jax"])
