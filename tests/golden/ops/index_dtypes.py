"""The ops of index.py over the dtypes that it leaves out. Elements are small whole numbers, exact in every one of them."""
import numpy as np

rng = np.random.Generator(np.random.PCG64(15))
DTYPES = ["pred", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f8_e4m3fn", "f8_e5m2", "f16", "bf16", "f32", "f64", "c64", "c128"]


def values(dtype, shape, most=4):
    x = rng.integers(0, 2 if dtype == "pred" else most, shape)
    return x + 1j * rng.integers(0, most, shape) if dtype[0] == "c" else x


def windows(x, f):
    return np.stack([np.stack([f(x[i:i + 2, j:j + 2].ravel()) for j in range(x.shape[1] - 1)]) for i in range(x.shape[0] - 1)])


def record(book):
    index, starts = np.array([[2, 0, 2, 1], [1, 1, 0, 2], [0, 2, 1, 0]]), [(np.array(1), "s32"), (np.array(2), "u8")]
    rows = np.array([[2], [0], [2]])
    attrs = {"window": [2, 2], "strides": [1, 1], "low": [0, 0], "high": [0, 0]}
    for dtype in DTYPES:
        x, u = values(dtype, (3, 4)), values(dtype, (3, 4))
        d = [(x, dtype)]
        book.add("take_along_axis", f"take_along_axis {dtype}", d + [(index, "s64")], [(np.take_along_axis(x, index, 0), dtype)],
                 {"axis": 0})
        book.add("gather", f"gather {dtype}", d + [(rows, "u16")], [(x[rows[:, 0]], dtype)], {"axes": [0]})
        book.add("dynamic_slice", f"dynamic_slice {dtype}", d + starts, [(x[1:3, 2:4], dtype)],
                 {"lengths": [2, 2], "strides": [1, 1]})
        laid, put = x.copy(), x.copy()
        laid[1:3, 2:4] = u[:2, :2]
        book.add("put_slice", f"put_slice {dtype}", d + [(u[:2, :2], dtype)] + starts, [(laid, dtype)])
        for at, row in zip(rows[:, 0], u):
            put[at] = row
        book.add("indexed_put", f"indexed_put {dtype}", d + [(rows, "s16"), (u, dtype)], [(put, dtype)], {"axes": [0]})
        if dtype == "pred":
            continue
        added = x.copy()
        np.add.at(added, rows[:, 0], u)
        book.add("indexed_add", f"indexed_add {dtype}", d + [(rows, "u32"), (u, dtype)], [(added, dtype)], {"axes": [0]})
        small = values(dtype, (3, 4), 3)
        for name, running, over in (("sum", np.cumsum, np.sum), ("product", np.cumprod, np.prod), ("max", np.maximum.accumulate, np.max),
                                    ("min", np.minimum.accumulate, np.min)):
            if dtype[0] == "c" and name in ("max", "min"):
                continue
            book.add(f"cumulative_{name}", f"cumulative_{name} {dtype}", [(small, dtype)], [(running(small, 1), dtype)],
                     {"axis": 1, "reverse": False})
            book.add(f"window_{name}", f"window_{name} {dtype}", [(small, dtype)], [(windows(small, over), dtype)], attrs)
        if dtype[0] == "c":
            continue
        source, init = values(dtype, (1, 2)), np.array(1)
        for op, better in (("window_scatter_max", np.greater_equal), ("window_scatter_min", np.less_equal)):
            y = np.ones((3, 4), np.int64)
            for j in range(2):
                best = None
                for at in ((r, c) for r in range(2) for c in (2 * j, 2 * j + 1)):
                    best = at if best is None or better(x[at], x[best]) else best
                y[best] += source[0, j]
            book.add(op, f"{op} {dtype}", d + [(source, dtype), (init, dtype)], [(y, dtype)], {**attrs, "strides": [2, 2]})
