"""Sorting and selecting: NumPy's stable sort, where descending order is that of the reversed row, read backwards, which
keeps equals in place; NaN is the greatest (jax.lax.top_k agrees, and is asked too)."""
import jax
import numpy as np

from book import NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(21))
ALL = ["f32", "f64", "f16", "bf16", "f8_e4m3fn", "f8_e5m2", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64",
       "pred"]


def indices(x, axis, descending):
    if not descending:
        return np.argsort(x, axis, kind="stable")
    back = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return x.shape[axis] - 1 - back


def add(book, name, x, dtype, axis, ops=("sort", "argsort")):
    x = np.asarray(x) if NUMPY[dtype] == np.bool_ or np.issubdtype(NUMPY[dtype], np.integer) else \
        rounded(x, dtype).astype(np.float64)
    for descending in (False, True):
        at = indices(x, axis, descending)
        attrs = {"axis": axis, "descending": descending}
        tail = f"{name} {dtype} {list(x.shape)} {axis}{' descending' if descending else ''}"
        if "sort" in ops:
            book.add("sort", "sort " + tail, [(x, dtype)], [(np.take_along_axis(x, at, axis), dtype)], attrs,
                     zero_sign=True)
        if "argsort" in ops:
            book.add("argsort", "argsort " + tail, [(x, dtype)], [(at, "s64")], attrs)


def values(dtype, shape):
    kind = NUMPY[dtype]
    if kind == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    if np.issubdtype(kind, np.integer):
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        wide = rng.integers(low, high, shape, dtype=kind, endpoint=True)
        return np.where(rng.random(shape) < 0.1, rng.choice(np.array([low, high, 0], kind), shape), wide)
    x = rng.standard_normal(shape) * 3
    special = np.array([0.0, -0.0, np.nan] + ([] if dtype == "f8_e4m3fn" else [np.inf, -np.inf]))
    return np.where(rng.random(shape) < 0.25, rng.choice(special, shape), x)


def sorts(book):
    for dtype in ALL:
        add(book, "sort", values(dtype, (5, 37)), dtype, 1)
        add(book, "sort", values(dtype, (3, 6, 5)), dtype, 1)
    for shape, axis in (((33,), 0), ((9, 4), 0), ((2, 3, 4), -2), ((1,), 0), ((3, 1), 1), ((0, 4), 0), ((4, 0), 0),
                        ((1, 300), 1), ((18, 32), 1), ((3, 129), 1), ((64, 7), 0)):
        dtype = "s64" if shape[0] == 18 else "f32"
        add(book, "sort", values(dtype, shape), dtype, axis)
    for dtype in ("f32", "s32", "u8"):
        add(book, "ties", rng.integers(0, 3, (3, 40)).astype(np.float64 if dtype == "f32" else NUMPY[dtype]), dtype, 1)
    ramp = np.arange(250) // 3
    for name, x in (("rising", ramp), ("falling", ramp[::-1].copy()), ("equal", ramp * 0)):
        add(book, name, x.astype(np.int32), "s32", 0, ops=("argsort",))


def top_k(book):
    for dtype in ALL:
        for shape, axis, k in (((3, 40), 1, 5), ((6, 3), 0, 2)):
            x = values(dtype, shape)
            x = x if x.dtype != np.float64 else rounded(x, dtype).astype(np.float64)
            at = np.take(indices(x, axis, True), range(k), axis)
            for output, out in enumerate(((np.take_along_axis(x, at, axis), dtype), (at, "s64"))):
                book.add("top_k", f"top_k {dtype} {list(shape)} {axis} {k} output {output}", [(x, dtype)], [out],
                         {"axis": axis, "k": k, "output": output})
    x = values("f32", (2, 600)).astype(np.float32)
    x = np.where(x == 0, np.float32(0), x)  # jax.lax.top_k puts 0 before -0
    for k in (0, 1, 7, 60, 600):
        found = jax.lax.top_k(x, k)
        for output, out in enumerate(((found[0], "f32"), (found[1], "s64"))):
            book.add("top_k", f"top_k as jax {k} output {output}", [(x, "f32")], [out],
                     {"axis": -1, "k": k, "output": output})
    for name, x in (("rising", np.arange(900.0)), ("falling", -np.arange(900.0)), ("equal", np.ones(900))):
        at = indices(x, 0, True)[:50]
        book.add("top_k", f"top_k {name}", [(x, "f32")], [(at, "s64")], {"axis": 0, "k": 50, "output": 1})


def record(book):
    sorts(book)
    top_k(book)
