"""Reductions, argmax, and the ops that move elements: reshape to take. Sums are taken in double; half types accumulate
in f32, so their results are within one rounding. Sums of integers under 32 bits are 32 bits wide."""
import numpy as np

from book import EPSILON, FLOATS, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(8))
WIDE = {"u8": "u32", "s8": "s32", "s32": "s32", "s64": "s64", "pred": "u32"}


def axes_of(rank):
    return {1: [[0]], 2: [[0], [1], [0, 1]], 3: [[0], [1], [2], [-1], [0, 2], [1, 2], [0, 1, 2]]}[rank]


def reductions(book):
    shapes = [(7,), (3, 5), (2, 3, 4), (33, 17), (1000,), (2, 600), (5, 1, 3)]
    for dtype in FLOATS:
        for shape in shapes if dtype == "f32" else shapes[2:5]:
            x = rounded(rng.standard_normal(shape), dtype).astype(np.float64)
            for i, axes in enumerate(axes_of(len(shape))):
                keep = i % 2 == 1
                at = tuple(axes)
                attrs = {"axes": axes, "keep": keep}
                name = f"{dtype} {list(shape)} {axes}"
                size = np.abs(x).sum(at).max()
                unit = EPSILON["f32" if dtype in ("f16", "bf16") else dtype]
                book.add("sum", "sum " + name, [(x, dtype)], [(x.sum(at, keepdims=keep), dtype)], attrs,
                         abs=size * unit, rel=EPSILON[dtype] / 2)
                book.add("max", "max " + name, [(x, dtype)], [(x.max(at, keepdims=keep), dtype)], attrs)
                book.add("min", "min " + name, [(x, dtype)], [(x.min(at, keepdims=keep), dtype)], attrs)
        y = rounded(rng.uniform(0.8, 1.25, (4, 9)), dtype).astype(np.float64)
        book.add("product", f"product {dtype}", [(y, dtype)], [(y.prod(-1), dtype)], {"axes": [-1], "keep": False},
                 rel=10 * EPSILON[dtype])
    for dtype in ("u8", "s8", "s32", "s64", "pred"):
        low = 0 if dtype in ("u8", "pred") else -100
        x = rng.integers(low, 2 if dtype == "pred" else 100, (3, 2, 30)).astype(NUMPY[dtype])
        for axes in ([2], [0, 1], [0, 1, 2]):
            attrs, open_ = {"axes": axes, "keep": False}, {"dtype_open": dtype == "pred"}
            total = x.astype(np.int64).sum(tuple(axes))
            book.add("sum", f"sum {dtype} {axes}", [(x, dtype)], [(total, WIDE[dtype])], attrs, **open_)
            for op in ("all", "any"):
                book.add(op, f"{op} {dtype} {axes}", [(x, dtype)], [(getattr(np, op)(x, tuple(axes)), "pred")], attrs)
            if dtype != "pred":
                for op in ("max", "min"):
                    book.add(op, f"{op} {dtype} {axes}", [(x, dtype)], [(getattr(x, op)(tuple(axes)), dtype)], attrs)
    ones = np.array([[255, 255, 255], [1, 2, 3]], np.uint8)
    book.add("product", "product u8", [(ones, "u8")], [(np.array([255**3, 6]), "u32")], {"axes": [1], "keep": False})
    nan = np.array([[1.0, np.nan, 3.0], [-np.inf, 2.0, np.inf], [4.0, 5.0, 6.0], [np.inf, -np.inf, 0.0]])
    with np.errstate(all="ignore"):
        for op in ("sum", "max", "min"):
            book.add(op, f"{op} special values", [(nan, "f32")], [(getattr(nan, op)(1), "f32")],
                     {"axes": [1], "keep": False})
    empty = np.zeros((2, 0, 3))
    for op, value in (("sum", 0.0), ("product", 1.0), ("max", -np.inf), ("min", np.inf)):
        book.add(op, f"{op} of nothing", [(empty, "f32")], [(np.full((2, 3), value), "f32")],
                 {"axes": [1], "keep": False})
    book.add("sum", "sum to empty", [(empty, "f32")], [(np.zeros((2, 0)), "f32")], {"axes": [2], "keep": False})
    # One million-to-one ratio: a running f32 sum in order would lose the small ones.
    x = rounded(np.where(np.arange(1024) % 64 == 0, 1e4, 1e-3), "f32").astype(np.float64)
    book.add("sum", "sum uneven", [(x, "f32")], [(x.sum(), "f32")], {"axes": [0], "keep": False}, rel=1e-5)


def arg(book):
    """The first of equals; NaN first of all (Nx)."""
    def first(x, axis, sign):
        return np.argmax(np.where(np.isnan(x), np.inf, sign * x.astype(np.float64)), axis) if not np.isnan(x).any() \
            else np.argmax(np.isnan(x), axis) * np.isnan(x).any(axis) + \
            np.argmax(sign * np.where(np.isnan(x), 0, x), axis) * ~np.isnan(x).any(axis)
    ties = np.array([[3, 1, 3, 2], [0, 0, 0, 0], [-1, 5, -7, 5]])
    nan = np.array([[1.0, np.nan, 9.0, np.nan], [2.0, 2.0, 1.0, 0.0], [np.inf, -np.inf, np.inf, 1.0]])
    long = rng.permutation(1000).reshape(2, 500)
    for op, sign in (("argmax", 1), ("argmin", -1)):
        for dtype in ("f32", "bf16", "s32", "s64"):
            for axis in (0, 1, -1):
                book.add(op, f"{op} ties {dtype} {axis}", [(ties, dtype)], [(first(ties, axis, sign), "s64")],
                         {"axis": axis})
        for axis in (0, 1):
            book.add(op, f"{op} NaN {axis}", [(nan, "f32")], [(first(nan, axis, sign), "s64")], {"axis": axis})
        book.add(op, f"{op} long", [(long, "f32")], [(first(long, 1, sign), "s64")], {"axis": 1})


def moves(book):
    x = np.arange(2 * 3 * 4, dtype=np.float64).reshape(2, 3, 4)
    for dtype in ("f32", "u8", "s64", "bf16"):
        d = [(x, dtype)]
        book.add("reshape", f"reshape {dtype}", d, [(x.reshape(4, 6), dtype)], {"dims": [4, 6]})
        book.add("reshape", f"reshape inferred {dtype}", d, [(x.reshape(6, 1, 4), dtype)], {"dims": [6, 1, -1]})
        for axes in ([2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0]):
            book.add("transpose", f"transpose {dtype} {axes}", d, [(x.transpose(axes), dtype)], {"axes": axes})
        for start, stop, stride in (([0, 1, 1], [2, 3, 4], [1, 1, 1]), ([0, 0, 0], [2, 3, 4], [1, 2, 3]),
                                    ([1, 2, 3], [2, 3, 4], [1, 1, 1]), ([0, 1, 0], [2, 1, 4], [1, 1, 2])):
            at = tuple(slice(*s) for s in zip(start, stop, stride))
            book.add("slice", f"slice {dtype} {start} {stop} {stride}", d, [(x[at], dtype)],
                     {"start": start, "stop": stop, "stride": stride})
        for axes in ([0], [1, 2], [0, 1, 2]):
            book.add("reverse", f"reverse {dtype} {axes}", d, [(np.flip(x, axes), dtype)], {"axes": axes})
        for axis in (0, 1, 2, -1):
            parts = [x, x + 100, np.take(x, [0], axis)]
            book.add("concatenate", f"concatenate {dtype} {axis}", [(p, dtype) for p in parts],
                     [(np.concatenate(parts, axis), dtype)], {"axis": axis})
    row = np.array([[1.0, 2.0, 3.0]])
    for shape in ((2, 3), (4, 2, 3)):
        book.add("broadcast_to", f"broadcast_to {shape}", [(row, "f32")], [(np.broadcast_to(row, shape), "f32")],
                 {"dims": list(shape)})
    for dims, axis in (([5], 0), ([2, 3], 0), ([2, 3], 1), ([2, 3, 4], -2)):
        index = np.indices(dims)[axis]
        for dtype in ("s64", "f32", "u8", "bf16"):
            book.add("iota", f"iota {dtype} {dims} {axis}", [], [(index, dtype)],
                     {"dtype": dtype, "dims": dims, "axis": axis})


def pad(book):
    def reference(x, value, low, high, interior):
        for axis, (lo, hi, gap) in enumerate(zip(low, high, interior)):
            n = x.shape[axis]
            wide = max(0, n + gap * max(0, n - 1))
            out = np.full(x.shape[:axis] + (wide,) + x.shape[axis + 1:], value)
            at = [slice(None)] * x.ndim
            at[axis] = slice(None, None, gap + 1)
            out[tuple(at)] = x
            x = np.pad(out, [(max(lo, 0), max(hi, 0)) if i == axis else (0, 0) for i in range(x.ndim)],
                       constant_values=value)
            at[axis] = slice(-min(lo, 0), x.shape[axis] + min(hi, 0))
            x = x[tuple(at)]
        return x
    x = np.arange(1.0, 7.0).reshape(2, 3)
    for low, high, interior in (([1, 2], [0, 1], [0, 0]), ([-1, 0], [0, -1], [0, 0]), ([0, 1], [1, 0], [1, 2]),
                                ([-1, 2], [3, -2], [2, 1]), ([0, 0], [0, 0], [0, 0])):
        for dtype in ("f32", "s32"):
            book.add("pad", f"pad {dtype} {low} {high} {interior}", [(x, dtype), (np.array(9.0), dtype)],
                     [(reference(x, 9.0, low, high, interior), dtype)], {"low": low, "high": high, "interior": interior})


def take(book):
    x = rng.standard_normal((6, 3, 4))
    for dtype in ("f32", "f16", "s32"):
        v = np.trunc(10 * x) if dtype == "s32" else rounded(x, dtype).astype(np.float64)
        for axis in (0, 1, -1):
            n = x.shape[axis]
            for name, index in (("inside", [0, n - 1, 1, 1]), ("clamped", [-5, n, n + 1000, -1]),
                                ("matrix", [[0, 1], [n - 1, 0]]), ("scalar", 1), ("none", np.zeros((0,), int))):
                index = np.asarray(index)
                out = np.take(v, np.clip(index, 0, n - 1), axis)
                for kind in ("s32", "s64") if name in ("inside", "clamped") else ("s64",):
                    book.add("take", f"take {dtype} {kind} {name} {axis}", [(v, dtype), (index, kind)], [(out, dtype)],
                             {"axis": axis})
    book.add("take", "take u8 indices", [(x, "f32"), (np.array([200, 2]), "u8")], [(x[[5, 2]], "f32")], {"axis": 0})


def record(book):
    for part in (reductions, arg, moves, pad, take):
        part(book)
