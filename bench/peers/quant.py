"""Products with 4-bit weights in groups of 64: emily against MLX (CPU) and PyTorch's weight-only int4.

x [m, k] times w [n, k] transposed. emily is called through its C API, eagerly: a run makes the lazy product, evaluates it
and drops it. All lanes hold their weights packed; MLX and emily share codes, scales and biases, and must agree.
"""
import ctypes
import math
import sys

import common

args = common.arguments(__doc__, shapes=("1024x3072,4096x4096", "k x n, comma separated"),
                        rows=("1,16,512", "m, comma separated"))

import mlx.core as mx
import numpy as np
import torch

torch.set_num_threads(args.threads)
mx.set_default_device(mx.cpu)
GROUP, BITS = 64, 4
F32, BF16, U32 = "f32", "bf16", "u32"


class Dims(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dims", ctypes.c_int64 * 8)]


class Scheme(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("mode", ctypes.c_int), ("group", ctypes.c_int),
                ("bits", ctypes.c_int)]


class Quantized(ctypes.Structure):
    _fields_ = [("codes", ctypes.c_void_p), ("scales", ctypes.c_void_p), ("biases", ctypes.c_void_p)]


class Emily:
    def __init__(self):
        self.lib = lib = common.library(args)
        lib.em_scope_new.restype = lib.em_constant.restype = lib.em_quantized_matmul.restype = ctypes.c_void_p
        lib.em_array_data.restype = ctypes.c_void_p
        lib.em_constant.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, Dims]
        lib.em_quantized_matmul.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_bool]
        lib.em_scope_free.argtypes = [ctypes.c_void_p]
        lib.em_array_eval.argtypes = lib.em_array_data.argtypes = [ctypes.c_void_p]
        self.scheme = Scheme(ctypes.sizeof(Scheme), 0, GROUP, BITS)
        self.scope = lib.em_scope_new(None)

    def constant(self, dtype, array):
        kind = ctypes.c_int()
        if self.lib.em_dtype_parse(dtype.encode(), ctypes.byref(kind)):
            sys.exit(self.lib.em_last_error().decode())
        dims = Dims(array.ndim, (ctypes.c_int64 * 8)(*array.shape))
        return self.lib.em_constant(self.scope, kind, np.ascontiguousarray(array).ctypes.data, dims)

    def product(self, x, w):
        scope = self.lib.em_scope_new(None)
        y = self.lib.em_quantized_matmul(scope, x, ctypes.addressof(w), ctypes.addressof(self.scheme), True)
        if not y or self.lib.em_array_eval(y):
            sys.exit(self.lib.em_last_error().decode())
        return scope, y

    def run(self, x, w):
        self.lib.em_scope_free(self.product(x, w)[0])

    def result(self, x, w, shape):
        scope, y = self.product(x, w)
        values = np.ctypeslib.as_array(ctypes.cast(self.lib.em_array_data(y), ctypes.POINTER(ctypes.c_float)), shape)
        copy = values.copy()
        self.lib.em_scope_free(scope)
        return copy


def bits16(a):
    """A bf16 array of MLX as its 16 bits."""
    return np.array(a.view(mx.uint16))


def lanes(emily, m, k, n):
    rng = np.random.default_rng(m + k)
    x, w = rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((n, k), dtype=np.float32)
    found = {}
    for name, dtype in ((F32, mx.float32), (BF16, mx.bfloat16)):
        mw, mxx = mx.quantize(mx.array(w).astype(dtype), GROUP, BITS), mx.array(x).astype(dtype)
        mx.eval(mw, mxx)
        raw = np.array if name == F32 else bits16
        own = Quantized(emily.constant(U32, np.array(mw[0])), emily.constant(name, raw(mw[1])),
                        emily.constant(name, raw(mw[2])))
        ox = emily.constant(name, raw(mxx))
        product = lambda mxx=mxx, mw=mw: mx.quantized_matmul(mxx, *mw, transpose=True, group_size=GROUP, bits=BITS)
        if name == F32 and m == 1:
            worst = np.max(np.abs(emily.result(ox, own, (m, n)) - np.array(product())))
            if not worst < 1e-3 * math.sqrt(k):
                sys.exit(f"emily and MLX differ by {worst} at {m} x {k} x {n}")
        found[f"emily {name}"] = lambda ox=ox, own=own: emily.run(ox, own)
        if m == 1:  # its products of many rows take seconds
            found[f"mlx {name}"] = lambda product=product: mx.eval(product())
    codes = torch.randint(0, 16, (n, k), dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
    zeros = torch.rand(k // GROUP, n, 2).to(torch.bfloat16)
    tx = torch.from_numpy(x).to(torch.bfloat16)
    found["torch bf16"] = lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(tx, packed, GROUP, zeros)
    return found


def main():
    emily, rows, results = Emily(), [], []
    limits = common.limits(args)
    names = ["emily f32", "emily bf16", "mlx f32", "mlx bf16", "torch bf16"]
    for shape in args.shapes.split(","):
        k, n = map(int, shape.split("x"))
        for m in map(int, args.rows.split(",")):
            work = {name: common.timed(f, budget=0.1, most=100) for name, f in lanes(emily, m, k, n).items()}
            got = common.interleave(work, args.rounds, args.gap / 4)
            ratios = {d: min((g["best"] for name, g in got.items() if name in (f"mlx {d}", f"torch {d}")),
                             default=math.nan) / got[f"emily {d}"]["best"] for d in (F32, BF16)}
            bytes_read = n * k * BITS / 8 + 2 * n * (k // GROUP) * 4
            rate = bytes_read / got["emily f32"]["best"] / 1e6
            share = f"{rate:.1f} GB/s" if m == 1 else f"{2e-6 * m * n * k / got['emily f32']['best']:.0f} GFLOP/s"
            rows.append([f"{m} x {k} x {n}"] + [f"{got[name]['best'] * 1e3:.0f}" if name in got else "" for name in names]
                        + [", ".join("" if math.isnan(r) else f"{r:.2f}x" for r in (ratios[F32], ratios[BF16])), share])
            results.append({"what": rows[-1][0], "unit": "us", "got": got, "ratios": {d: r for d, r in ratios.items() if not math.isnan(r)},
                            "share": rate / limits["read_gbs"] if m == 1 and limits else None})
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    common.report(args, "quant", "4-bit weights, groups of 64, x wT: microseconds, best", ["m x k x n"] + names
                  + ["best peer / emily, f32, bf16", "emily f32"], rows, {"results": results, "limits": limits},
                  ["mlx", "torch"])


main()
