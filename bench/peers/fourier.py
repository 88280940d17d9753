"""Fourier transforms of powers of two, of smooth lengths and of primes: emily against NumPy and SciPy (pocketfft), PyTorch
(MKL) and JAX. SciPy may use as many workers as the others have threads; JAX is jitted, its results are waited for.
"""
import common

args = common.arguments(__doc__, powers=("10,12,14,16,18,20", "of two, comma separated"))

import numpy as np
import scipy.fft
import torch

import lines

torch.set_num_threads(args.threads)
try:
    import jax
    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None
NUMPY = {"f32": np.float32, "f64": np.float64, "c64": np.complex64, "c128": np.complex128}
rng = np.random.default_rng(0)


def lanes_of(op, dtype, rows, n):
    x = rng.standard_normal((rows, n))
    if dtype[0] == "c":
        x = x + 1j * rng.standard_normal((rows, n))
    x = x.astype(NUMPY[dtype])
    t = torch.from_numpy(x)
    want, mine = getattr(scipy.fft, op)(x), getattr(torch.fft, op)(t).numpy()
    assert np.abs(want - mine).max() < 1e-3 * np.abs(want).max(), "the peers disagree"
    lanes = {"numpy": lambda: getattr(np.fft, op)(x), "scipy": lambda: getattr(scipy.fft, op)(x, workers=args.threads),
             "torch": lambda: getattr(torch.fft, op)(t)}
    if jax:
        j, f = jax.numpy.asarray(x), jax.jit(getattr(jax.numpy.fft, op))
        lanes["jax"] = lambda: f(j).block_until_ready()
    return lanes


powers = [2**int(p) for p in args.powers.split(",")]
primes = [1009, 10007, 65537, 1000003]
work = [("fft", "c64", 1, n) for n in powers + [1000, 5040, 100000] + primes] + \
       [("fft", "c128", 1, n) for n in powers[::2] + primes[:2]] + \
       [("rfft", "f32", 1, n) for n in powers + primes[:3]] + \
       [("fft", "c64", rows, n) for rows, n in ((1000, 64), (1000, 1000), (100, 4096), (400, 101))]
lines.compare(args, "fourier", "Fourier transforms: microseconds, median; ratios of medians (of bests)", work, lanes_of,
              ["numpy", "scipy", "torch", "jax"], ["numpy", "scipy", "torch", "jax"])
