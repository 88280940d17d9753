"""Fourier transforms: SciPy's in double (long double where that is what it computes from) and an error bound of a few
units in the last place of the transform's size, times the root of log2 n."""
import numpy as np
import scipy.fft

from book import EPSILON, rounded

rng = np.random.Generator(np.random.PCG64(22))
WIDE = {"f32": "c64", "c64": "c64", "f64": "c128", "c128": "c128", "s32": "c64", "f16": "c64"}
UNIT = {"f32": EPSILON["f32"], "c64": EPSILON["f32"], "f64": EPSILON["f64"], "c128": EPSILON["f64"],
        "s32": EPSILON["f32"], "f16": EPSILON["f32"]}


def operand(dtype, shape):
    x = rng.standard_normal(shape)
    if dtype in ("c64", "c128"):
        x = x + 1j * rng.standard_normal(shape)
        return x.astype(np.complex64).astype(np.complex128) if dtype == "c64" else x
    return rounded(np.trunc(10 * x) if dtype == "s32" else x, dtype).astype(np.float64)


def add(book, op, x, dtype, out, out_dtype, attrs, name=""):
    size = max(np.sqrt(np.mean(np.abs(out) ** 2)), 1e-30) if out.size else 1.0
    n = max(2, x.size)
    book.add(op, f"{op} {name}{dtype} {list(x.shape)} {attrs}", [(x, dtype)], [(out, out_dtype)], attrs,
             abs=3 * UNIT[dtype] * size * np.sqrt(np.log2(n)) + (UNIT[dtype] * size if op == "irfft" else 0))


def one(book, dtype, shape, axis, n):
    x = operand(dtype, shape)
    attrs = {"axis": axis, **({"n": n} if n else {})}
    add(book, "fft", x, dtype, scipy.fft.fft(x, n or None, axis), WIDE[dtype], attrs)
    add(book, "ifft", x, dtype, scipy.fft.ifft(x, n or None, axis), WIDE[dtype], attrs)


def real(book, dtype, shape, axis, n):
    attrs = {"axis": axis, **({"n": n} if n else {})}
    x = operand(dtype, shape)
    add(book, "rfft", x, dtype, scipy.fft.rfft(x, n or None, axis), WIDE[dtype], attrs)
    z = operand("c64" if dtype == "f32" else "c128", shape)
    if (n or 2 * (shape[axis] - 1)) >= 1:
        add(book, "irfft", z, WIDE[dtype], scipy.fft.irfft(z, n or None, axis), dtype, attrs)


def record(book):
    for n in list(range(1, 28)) + [30, 32, 36, 49, 64, 77, 97, 100, 128, 139]:
        one(book, "c64", (n,), 0, 0)
        real(book, "f32", (n,), 0, n)
    for n in (210, 243, 256, 257, 360, 509):
        one(book, "c64", (n,), 0, 0)
    for n in (60, 97, 128, 210):
        one(book, "c128", (n,), 0, 0)
        real(book, "f64", (n,), 0, n)
    for n in (1000, 1009, 1024):
        x = operand("c64", (n,))
        add(book, "fft", x, "c64", scipy.fft.fft(x), "c64", {"axis": 0})
    for dtype in ("f32", "f64", "c64", "c128", "s32", "f16"):
        one(book, dtype, (3, 20), 1, 0)
        one(book, dtype, (3, 20), 1, 16)
        one(book, dtype, (3, 20), -1, 27)
        one(book, dtype, (12, 5), 0, 0)
    one(book, "c64", (2, 15, 3), 1, 0)
    one(book, "c64", (18, 32), -1, 0)
    one(book, "c64", (16, 20), 0, 0)
    one(book, "c64", (11, 17, 1), 1, 19)
    for dtype in ("f32", "f64"):
        for shape, axis, n in (((4, 9), 1, 0), ((4, 9), 0, 0), ((4, 10), 1, 6), ((4, 10), 1, 13), ((17, 30), 1, 30),
                               ((3, 8, 5), 1, 16), ((3, 5), 1, 1), ((6, 2), 0, 2)):
            real(book, dtype, shape, axis, n)
    for shape, axes, lengths in (((6, 8), [0, 1], None), ((3, 4, 5), [0, 2], None), ((3, 4, 5), [-2, -1], [6, 3]),
                                 ((12, 11), [0, 1], None)):
        for dtype in ("c64", "f32", "c128"):
            x = operand(dtype, shape)
            attrs = {"axes": axes, **({"lengths": lengths} if lengths else {})}
            add(book, "fft2", x, dtype, scipy.fft.fft2(x, lengths, axes), WIDE[dtype], attrs)
            add(book, "ifft2", x, dtype, scipy.fft.ifft2(x, lengths, axes), WIDE[dtype], attrs)
    book.add("fft", "fft of no rows", [(np.zeros((0, 4)), "f32")], [(np.zeros((0, 4)), "c64")], {"axis": 1})
    book.add("fft", "fft of nothing, filled up", [(np.zeros((2, 0)), "f32")], [(np.zeros((2, 4)), "c64")],
             {"axis": 1, "n": 4})
