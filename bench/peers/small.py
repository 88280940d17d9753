"""What an op costs beside its arithmetic: 1,000 adds and muls over 16 floats, against NumPy, PyTorch and JAX.

emily is bench/emily_small, a process run once a round. Eager lanes make a new array an op. JAX's jit is timed twice: the
first call of a new function (trace, compile) and later calls.
"""
import json
import os
import statistics
import subprocess
import time

import common

args = common.arguments(__doc__, ops=(1000, "length of the chain"))

import jax
import jax.numpy as jnp
import numpy as np
import torch

torch.set_num_threads(args.threads)
X, C, D = np.ones(16, np.float32), np.full(16, 0.001, np.float32), np.full(16, 0.999, np.float32)


def chain(x, c, d):
    for _ in range(args.ops // 2):
        x = (x + c) * d
    return x


def best(function, times=30):
    found = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return min(found)


def emily():
    tool = os.path.join(args.build, "bench/emily_small")
    got = json.loads(subprocess.run([tool, str(args.ops), "60"], check=True, capture_output=True, text=True).stdout)
    return {"emily eager": got["eager_us"], "emily native": got["native_us"], "emily fuse": got["fuse_us"],
            "emily compile (ms)": got["compile_ms"]}


def peers():
    tensors = [torch.from_numpy(a) for a in (X, C, D)]
    arrays = [jnp.asarray(a) for a in (X, C, D)]
    jitted = jax.jit(lambda x, c, d: chain(x, c, d))  # a new function: nothing is cached
    start = time.perf_counter()
    jitted(*arrays).block_until_ready()
    compiled = time.perf_counter() - start
    us = {"numpy": best(lambda: chain(X, C, D)), "torch": best(lambda: chain(*tensors)),
          "jax.jit": best(lambda: jitted(*arrays).block_until_ready())}
    return {**{name: seconds / args.ops * 1e6 for name, seconds in us.items()}, "jax.jit compile (ms)": compiled * 1e3}


def main():
    rounds = []
    for _ in range(args.rounds):
        rounds.append({**emily(), **peers()})
    got = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    lanes = {name: value for name, value in got.items() if "compile" not in name}
    rows = [[name, f"{value:.3f}"] for name, value in lanes.items()]
    eager = min(got["numpy"], got["torch"]) / got["emily eager"]
    compiled = [got[f"{name} compile (ms)"] for name in ("emily", "jax.jit")]
    rows += [["eager against the better of numpy and torch", f"{eager:.2f}x"],
             ["compiling: emily", f"{compiled[0]:.2f} ms"],
             ["compiling: jax.jit", f"{compiled[1]:.0f} ms, {compiled[1] / compiled[0]:.0f}x"]]
    common.report(args, "small", f"What an op costs beside its arithmetic: a chain of {args.ops} over 16 floats",
                  ["lane", "microseconds an op"], rows, {"small": got}, ["numpy", "torch", "jax"])


if __name__ == "__main__":
    main()
