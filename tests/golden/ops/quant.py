"""Quantized weights: codes, scales, biases and what they stand for as MLX gives them on a CPU, bit for bit; products in
double from those values, checked against MLX's own.

MLX differs from its documentation, and the record follows what it does: affine takes the end of larger magnitude as the
bias (the text says the minimum) and scales it so that zero is a code; the exponents of mxfp4 and mxfp8 are the ceiling of
log2(amax / largest) (the OCP text floors log2 of amax, older MLX rounded); e2m1 ties go to the smaller magnitude (OCP: to
even) and a zero loses its sign. Groups with NaN, infinities, or so small that MLX's exponent byte wraps are not recorded.
"""
import functools

import mlx.core as mx
import numpy as np

from book import EPSILON, rounded

mx.set_default_device(mx.cpu)
rng = np.random.Generator(np.random.PCG64(12))
MX = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}
HALVES = (mx.float16, mx.bfloat16)
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])
SCHEMES = [("affine", g, b) for b in (2, 3, 4, 5, 6, 8) for g in (32, 64, 128)]
SCHEMES += [("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]


def numpy_of(a):
    return np.array(a.astype(mx.float32) if a.dtype in HALVES else a)


def dtype_of(a):
    return {mx.float32: "f32", mx.float16: "f16", mx.bfloat16: "bf16", mx.uint32: "u32", mx.uint8: "u8"}[a.dtype]


@functools.lru_cache(None)
def weights(shape, dtype):
    """Normal values of several magnitudes, and rows of edges."""
    w = rng.standard_normal(shape) * np.exp2(rng.integers(-8, 5, shape[:-1] + (1,)).astype(float))
    flat = w.reshape(-1, shape[-1])
    if len(flat) > 6:
        flat[0, : shape[-1] // 2] = 0
        flat[1] = -np.abs(flat[1])
        flat[2] = np.abs(flat[2]) + 1
        flat[3] = 0.75
        flat[4] = rng.choice([0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6, -0.25, -0.75, -1.25, -5, -6], shape[-1])
        flat[5] = 1e-6 * flat[5]
    return rounded(w, dtype).astype(np.float64)


def quantized(w, dtype, mode, group, bits):
    return mx.quantize(mx.array(w.astype(np.float32)).astype(MX[dtype]), group, bits, mode)


def unpack(codes, bits):
    stream = np.unpackbits(np.ascontiguousarray(codes).view(np.uint8), axis=-1, bitorder="little")
    digits = stream.reshape(codes.shape[:-1] + (-1, bits)).astype(np.int64)
    return (digits << np.arange(bits)).sum(-1)


def e4m3(byte):
    byte = np.asarray(byte).astype(np.int64)
    e, m = byte >> 3 & 15, byte & 7
    v = np.where(e > 0, (1 + m / 8) * np.exp2(e - 7.0), m * 2.0**-9)
    return np.where(byte & 128, -v, v)


def exact(parts, mode, group, bits):
    """What the codes stand for, in double, not rounded to any dtype."""
    codes = unpack(np.array(parts[0]), bits)
    scales = numpy_of(parts[1]).astype(np.float64)
    if mode == "affine":
        values, shift = codes, numpy_of(parts[2]).astype(np.float64)
    else:
        values, shift = e4m3(codes) if bits == 8 else E2M1[codes], np.zeros_like(scales)
        scales = e4m3(scales) if mode == "nvfp4" else np.exp2(scales - 127)
    return values * np.repeat(scales, group, -1) + np.repeat(shift, group, -1)


def operands(parts):
    return [(numpy_of(p), dtype_of(p)) for p in parts]


def one_scheme(book, shape, dtype, mode, group, bits):
    attrs = {"mode": mode, "group": group, "bits": bits}
    name = f"{mode} {group} {bits} {dtype} {list(shape)}"
    w = weights(shape, dtype)
    parts = quantized(w, dtype, mode, group, bits)
    for i, part in enumerate(parts):
        book.add("quantize", f"quantize {name} {i}", [(w, dtype)], [(numpy_of(part), dtype_of(part))],
                 {**attrs, "output": i})
    whole = mx.dequantize(*parts, *([] if mode == "affine" else [None]), group, bits, mode)
    again = exact(parts, mode, group, bits)
    slack = 2 * EPSILON[dtype_of(whole)] * np.max(np.abs(again)) if mode == "affine" else 0
    if not np.allclose(numpy_of(whole), again, rtol=0, atol=slack):
        raise SystemExit(f"{name}: the codes do not stand for what MLX gives back")
    if group == 64 and bits not in (4, 8) or group == 128 and bits != 3 or group > 32 and dtype != "f32":
        return
    book.add("dequantize", f"dequantize {name}", operands(parts), [(numpy_of(whole), dtype_of(whole))], attrs)


def product(book, x_shape, w_shape, dtypes, mode, group, bits, transpose):
    dtype, w_dtype = dtypes
    x = rounded(rng.standard_normal(x_shape), dtype).astype(np.float64)
    parts = quantized(rounded(rng.standard_normal(w_shape), w_dtype).astype(np.float64), w_dtype, mode, group, bits)
    w = exact(parts, mode, group, bits)
    w = np.swapaxes(w, -1, -2) if transpose else w
    y, size = x @ w, np.max(np.abs(x) @ np.abs(w), initial=0)
    out = dtype if mode != "affine" or dtype == w_dtype else "f32"
    name = f"quantized_matmul {mode} {group} {bits} {dtype} {w_dtype} {list(x_shape)} {list(w_shape)} {transpose}"
    if dtype == "f32" and w_dtype == "f32" and x.ndim > 1:
        theirs = mx.quantized_matmul(mx.array(x.astype(np.float32)), *parts, transpose=transpose, group_size=group,
                                     bits=bits, mode=mode) if mode == "affine" else mx.quantized_matmul(
            mx.array(x.astype(np.float32)), *parts, None, transpose, group, bits, mode)
        if not np.allclose(np.array(theirs), y, atol=1e-6 * size):
            raise SystemExit(f"{name}: MLX is off by {np.max(np.abs(np.array(theirs) - y))}")
    book.add("quantized_matmul", name, [(x, dtype), *operands(parts)], [(y, out)],
             {"mode": mode, "group": group, "bits": bits, "transpose": transpose}, abs=5e-7 * size,
             rel=EPSILON[out] / 2)


def record(book):
    for dtype in MX:
        for scheme in SCHEMES:
            one_scheme(book, (7, 128), dtype, *scheme)
    one_scheme(book, (2, 3, 64), "f32", "affine", 32, 4)
    one_scheme(book, (2, 2, 32), "bf16", "nvfp4", 16, 4)
    for mode, group, bits in SCHEMES:
        if group == 64 and bits not in (4, 8) or group == 128 and bits != 3:
            continue
        product(book, (3, 128), (5, 128), ("f32", "f32"), mode, group, bits, True)
        product(book, (3, 5), (5, 128), ("f32", "f32"), mode, group, bits, False)
    for pair in (("f16", "f16"), ("bf16", "bf16"), ("f32", "bf16"), ("bf16", "f16")):
        for mode, group, bits in (("affine", 64, 4), ("affine", 32, 6), ("mxfp4", 32, 4), ("nvfp4", 16, 4)):
            product(book, (2, 64), (9, 64), pair, mode, group, bits, True)
            product(book, (2, 9), (9, 64), pair, mode, group, bits, False)
    product(book, (64,), (3, 64), ("f32", "f32"), "affine", 64, 4, True)
    product(book, (2, 3, 64), (3, 64), ("f32", "f32"), "affine", 32, 4, True)
    product(book, (2, 3, 64), (2, 4, 64), ("f32", "f32"), "affine", 32, 4, True)
    product(book, (2, 3, 4), (2, 4, 64), ("f32", "f32"), "affine", 32, 4, False)
    product(book, (3, 1, 2, 64), (2, 4, 64), ("f32", "f32"), "mxfp8", 32, 8, True)
