"""Convolutions of ResNet-50 and Whisper, f32: emily against PyTorch (oneDNN) and JAX.

emily is bench/emily_conv, a process that waits for a line with a shape and a time and answers with its median and best;
so it takes its turn between the peers with its arrays warm, as theirs are. Every lane makes a new result on every run.
"""
import json
import math
import os
import subprocess
import sys

import common

# name: images, channels, height, width, outputs, taps, stride, padding, groups; height 1 stands for one axis
SHAPES = {
    "7x7/2 3-64 at 224": (1, 3, 224, 224, 64, 7, 2, 3, 1), "3x3 64 at 56": (1, 64, 56, 56, 64, 3, 1, 1, 1),
    "3x3 128 at 28": (1, 128, 28, 28, 128, 3, 1, 1, 1), "3x3 256 at 14": (1, 256, 14, 14, 256, 3, 1, 1, 1),
    "3x3 512 at 7": (1, 512, 7, 7, 512, 3, 1, 1, 1), "3x3/2 128 at 56": (1, 128, 56, 56, 128, 3, 2, 1, 1),
    "1x1 64-256 at 56": (1, 64, 56, 56, 256, 1, 1, 0, 1), "1x1 256-64 at 56": (1, 256, 56, 56, 64, 1, 1, 0, 1),
    "1x1 512-128 at 28": (1, 512, 28, 28, 128, 1, 1, 0, 1), "1x1 128-512 at 28": (1, 128, 28, 28, 512, 1, 1, 0, 1),
    "1x1 1024-256 at 14": (1, 1024, 14, 14, 256, 1, 1, 0, 1), "1x1 256-1024 at 14": (1, 256, 14, 14, 1024, 1, 1, 0, 1),
    "1x1 2048-512 at 7": (1, 2048, 7, 7, 512, 1, 1, 0, 1), "1x1 512-2048 at 7": (1, 512, 7, 7, 2048, 1, 1, 0, 1),
    "1x1/2 256-512 at 56": (1, 256, 56, 56, 512, 1, 2, 0, 1), "8 images 3x3 256 at 14": (8, 256, 14, 14, 256, 3, 1, 1, 1),
    "8 images 3x3 512 at 7": (8, 512, 7, 7, 512, 3, 1, 1, 1),
    "depthwise 3x3 192 at 56": (1, 192, 56, 56, 192, 3, 1, 1, 192),
    "whisper tiny 80-384": (1, 80, 1, 3000, 384, 3, 1, 1, 1), "whisper tiny 384-384/2": (1, 384, 1, 3000, 384, 3, 2, 1, 1),
    "whisper large 80-1280": (1, 80, 1, 3000, 1280, 3, 1, 1, 1),
    "whisper large 1280-1280/2": (1, 1280, 1, 3000, 1280, 3, 2, 1, 1),
}
args = common.arguments(__doc__, only=("", "names that contain this"))

import numpy as np
import torch

torch.set_num_threads(args.threads)
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None


def work(n, c, h, w, o, k, stride, pad, groups):
    side = lambda x: (x + 2 * pad - k) // stride + 1
    return 2 * n * o * c // groups * (k if h == 1 else k * k) * side(w) * (1 if h == 1 else side(h))


def arrays(n, c, h, w, o, k, _stride, _pad, groups):
    rng = np.random.default_rng(0)
    shapes = ([n, c, w], [o, c // groups, k]) if h == 1 else ([n, c, h, w], [o, c // groups, k, k])
    return [rng.standard_normal(s, dtype=np.float32) for s in shapes]


class Emily:
    def __init__(self):
        self.process = subprocess.Popen([os.path.join(args.build, "bench/emily_conv")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, shape, replay):
        def run():
            self.process.stdin.write(" ".join(map(str, shape)) + f" {replay} 60\n")
            answer = json.loads(self.process.stdout.readline())
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def peers(shape):
    x, w = arrays(*shape)
    _, _, h, _, _, _, stride, pad, groups = shape
    n = x.ndim - 2
    tx, tw = torch.from_numpy(x), torch.from_numpy(w)
    f = torch.nn.functional.conv1d if h == 1 else torch.nn.functional.conv2d
    def run_torch():
        with torch.inference_mode():
            return f(tx, tw, None, stride, pad, 1, groups)
    lanes = {"torch": run_torch}
    if jax:
        jx, jw = jnp.asarray(x), jnp.asarray(w)
        jitted = jax.jit(lambda a, b: jax.lax.conv_general_dilated(a, b, [stride] * n, [(pad, pad)] * n,
                                                                   feature_group_count=groups, precision="highest"))
        lanes["jax"] = lambda: jitted(jx, jw).block_until_ready()
    return {name: common.timed(g, budget=0.06, most=200) for name, g in lanes.items()}


def main():
    own, rows, results = Emily(), [], []
    limits = common.limits(args)
    for name, shape in SHAPES.items():
        if args.only not in name:
            continue
        got = common.interleave({"emily": own.lane(shape, 0), "emily program": own.lane(shape, 1), **peers(shape)}, args.rounds,
                                args.gap / 4)
        theirs = [k for k in got if k in ("torch", "jax")]
        fastest = min(theirs, key=lambda k: got[k]["median"])
        ratio = got[fastest]["median"] / got["emily"]["median"]
        best = min(got[k]["best"] for k in theirs) / got["emily"]["best"]
        cells = [f"{got[k]['median'] * 1e3:.0f}" if k in got else "" for k in ("emily", "emily program", "torch", "jax")]
        rate = work(*shape) / got["emily"]["best"] / 1e6
        rows.append([name] + cells + [f"{ratio:.2f}x {fastest} ({best:.2f}x)", f"{rate:.0f} GFLOP/s"])
        results.append({"what": name, "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best})
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    mean, best = (math.exp(sum(math.log(r[k]) for r in results) / len(results)) for k in ("ratio", "best"))
    rows.append(["geometric mean", "", "", "", "", f"{mean:.2f}x ({best:.2f}x)",
                 f"lowest {min(r['ratio'] for r in results):.2f}x"])
    common.report(args, "conv", "Convolutions, f32: microseconds, median; ratios of medians (of bests)",
                  ["images, kernel, channels", "emily", "program", "torch", "jax", "eager against the fastest peer",
                   "emily's rate"], rows, {"results": results, "limits": limits}, ["torch", "jax"])


main()
