"""Integers of 2 and 4 bits, exact: every value with every other, wrapping as the dtype does, and the ops that move them, at
places within a byte; casts from and to every dtype. Computed with Python's integers; casts of them and sums, differences and
products are asked of ml_dtypes too."""
import numpy as np

from book import NUMPY, rounded
from integers import power, quotient, shifted

rng = np.random.Generator(np.random.PCG64(31))
ALL = ("u2", "u4", "s2", "s4")
WIDE = {"u": "u32", "s": "s32"}
OTHERS = ("pred", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f8_e4m3fn", "f8_e5m2", "f16", "bf16", "f32", "f64",
          "c64", "c128")


def ends(dtype):
    bits = int(dtype[1:])
    return (0, (1 << bits) - 1) if dtype[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)


def wrap(x, dtype):
    low, high = ends(dtype)
    return np.array([(int(v) - low) % (high - low + 1) + low for v in np.ravel(x)], np.int64).reshape(np.shape(x))


def every(dtype):
    """An odd number of values, all there are among them."""
    low, high = ends(dtype)
    return np.array(list(range(low, high + 1)) + [high, low, high])


def values(dtype, shape):
    low, high = ends(dtype)
    return rng.integers(low, high + 1, shape)


def unary(book):
    for dtype in ALL:
        bits, x = int(dtype[1:]), every(dtype)
        ops = {"neg": lambda v: -v, "abs": abs, "sign": lambda v: (v > 0) - (v < 0), "square": lambda v: v * v,
               "bitwise_not": lambda v: ~v, "relu": lambda v: max(v, 0), "floor": int, "rint": int,
               "population_count": lambda v: bin(v % (1 << bits)).count("1"),
               "count_leading_zeros": lambda v: bits - (v % (1 << bits)).bit_length()}
        for op, f in ops.items():
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(wrap([f(int(v)) for v in x], dtype), dtype)])
        for op, y in (("logical_not", x == 0), ("is_nan", x != x), ("is_finite", x == x)):
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(y, "pred")])
        book.add("exp", f"exp {dtype}", [(x, dtype)], [(np.exp(x.astype(np.float64)), "f32")], rel=1e-6)


def binary(book):
    for dtype in ALL:
        left, right = shifted(int(dtype[1:]))
        pairs = [(int(a), int(b)) for a in every(dtype) for b in every(dtype)]
        a, b = (np.array(v) for v in zip(*pairs))
        own = [v.astype(NUMPY[dtype]) for v in (a, b)]
        ops = {"add": lambda p, q: p + q, "sub": lambda p, q: p - q, "mul": lambda p, q: p * q, "quotient": quotient,
               "remainder": lambda p, q: 0 if q == 0 else p - q * quotient(p, q), "pow": power, "maximum": max,
               "minimum": min, "bitwise_and": lambda p, q: p & q, "bitwise_or": lambda p, q: p | q,
               "bitwise_xor": lambda p, q: p ^ q, "left_shift": left, "right_shift": right}
        for op, f in ops.items():
            y = wrap([f(p, q) for p, q in pairs], dtype)
            if op in ("add", "sub", "mul"):
                assert (y == {"add": np.add, "sub": np.subtract, "mul": np.multiply}[op](*own).astype(np.int64)).all()
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(y, dtype)])
        for op, f in (("equal", np.equal), ("less", np.less), ("greater_equal", np.greater_equal),
                      ("logical_and", np.logical_and), ("logical_xor", np.logical_xor)):
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), "pred")])
        book.add("div", f"div {dtype}", [(a, dtype), (np.abs(b) + 1 & 1 | 1, dtype)], [(a / (np.abs(b) + 1 & 1 | 1), "f32")])
        low, high = np.array(0), np.array(1)
        book.add("clip", f"clip {dtype}", [(every(dtype), dtype), (low, dtype), (high, dtype)],
                 [(np.clip(every(dtype), 0, 1), dtype)])
        book.add("select", f"select {dtype}", [(a > b, "pred"), (a, dtype), (np.array(1), dtype)],
                 [(np.where(a > b, a, 1), dtype)])
    for da, db, out in (("s4", "u8", "s16"), ("u4", "s4", "s8"), ("u2", "s2", "s4"), ("u2", "s4", "s4"), ("u4", "s2", "s8"),
                        ("u2", "u4", "u4"), ("s2", "s4", "s4"), ("pred", "s2", "s2"), ("u4", "s8", "s8"),
                        ("s4", "u64", "s64"), ("s4", "f16", "f16"), ("u2", "c64", "c64")):
        a, b = np.array([0, 1, 1]), np.array([1, 0, 1])
        book.add("add", f"add {da} {db}", [(a, da), (b, db)], [(wrap(a + b, out) if out in ALL else a + b, out)])


def cast(book):
    for da in ALL:
        x = every(da)
        for db in ALL + OTHERS:
            y = wrap(x, db) if db in ALL else x != 0 if db == "pred" else x
            if db[0] == "u" and db not in ALL:
                y = np.array([int(v) % 2**int(db[1:]) for v in x], np.uint64)
            if db in ALL:
                assert (y == x.astype(NUMPY[db]).astype(np.int64)).all()
            book.add("cast", f"cast {da} {db}", [(x, da)], [(y, db)], {"dtype": db})
        for db in ALL:
            if da[1:] == db[1:]:
                book.add("bitcast", f"bitcast {da} {db}", [(x, da)], [(wrap(x, db), db)], {"dtype": db})
        for db in OTHERS:
            if db[0] in "us":
                info = np.iinfo(NUMPY[db])
                v = np.array([info.min, info.max, info.max - 6, 0, 1, 2, 3, 7, 8, 9, 15, 16, 100], NUMPY[db])
                book.add("cast", f"cast {db} {da}", [(v, db)], [(wrap(v, da), da)], {"dtype": da})
            elif db == "pred":
                v = np.array([True, False, True])
                book.add("cast", f"cast {db} {da}", [(v, db)], [(wrap(v, da), da)], {"dtype": da})
            else:  # a float is truncated and saturates, NaN is 0
                v = np.array([-9, -8.5, -2.75, -2, -1.5, -0.5, -0.0, 0.5, 0.875, 1, 1.5, 2.5, 3.5, 7, 7.5, 8, 14, 15, 16, 300,
                              np.nan, 448, -448] + ([] if db == "f8_e4m3fn" else [np.inf, -np.inf]))
                v = v if db[0] == "c" else rounded(v, db).astype(np.float64)
                y = np.clip(np.trunc(np.nan_to_num(v, nan=0, posinf=1e9, neginf=-1e9)), *ends(da))
                book.add("cast", f"cast {db} {da}", [(v, db)], [(y, da)], {"dtype": da})
    many = rng.integers(-40, 40, 70001)
    close = np.array([np.nextafter(k, k - 1) for k in range(-8, 17)])
    for dtype in ALL:
        y = np.clip(np.trunc(close), *ends(dtype))
        book.add("cast", f"cast close {dtype}", [(close, "f64")], [(y, dtype)], {"dtype": dtype})
        book.add("cast", f"cast one {dtype}", [(np.array(-1.0), "f32")], [(np.array(max(-1, ends(dtype)[0])), dtype)],
                 {"dtype": dtype})
        book.add("cast", f"cast none {dtype}", [(np.zeros((3, 0)), "f32")], [(np.zeros((3, 0)), dtype)], {"dtype": dtype})
        book.add("cast", f"cast many {dtype}", [(many, "s8")], [(wrap(many, dtype), dtype)], {"dtype": dtype})


def moves(book):
    for dtype in ALL:
        x, y = values(dtype, (3, 5, 7)), values(dtype, (3, 3, 7))
        d = [(x, dtype)]
        book.add("reshape", f"reshape {dtype}", d, [(x.reshape(7, 15), dtype)], {"dims": [7, -1]})
        book.add("transpose", f"transpose {dtype}", d, [(x.transpose(2, 0, 1), dtype)], {"axes": [2, 0, 1]})
        book.add("slice", f"slice {dtype}", d, [(x[1:3, 1:5:2, 1:6], dtype)],
                 {"start": [1, 1, 1], "stop": [3, 5, 6], "stride": [1, 2, 1]})
        book.add("reverse", f"reverse {dtype}", d, [(np.flip(x, (0, 2)), dtype)], {"axes": [0, 2]})
        book.add("concatenate", f"concatenate {dtype}", d + [(y, dtype)], [(np.concatenate([x, y], 1), dtype)], {"axis": 1})
        book.add("broadcast_to", f"broadcast_to {dtype}", [(x[0, 0], dtype)], [(np.broadcast_to(x[0, 0], (5, 7)), dtype)],
                 {"dims": [5, 7]})
        padded = np.ones((3, 9), np.int64)
        padded[1:, 1:8:2] = x[:2, 0, :4]
        book.add("pad", f"pad {dtype}", [(x[:2, 0, :4], dtype), (np.array(1), dtype)], [(padded, dtype)],
                 {"low": [1, 1], "high": [0, 1], "interior": [0, 1]})
        for dims, axis in (([5], 0), ([3, 7], 1), ([19], 0), ([300], 0)):
            book.add("iota", f"iota {dtype} {dims}", [], [(wrap(np.indices(dims)[axis], dtype), dtype)],
                     {"dtype": dtype, "dims": dims, "axis": axis})
        index = np.array([2, 0, 2])
        book.add("take", f"take {dtype}", d + [(index, "s32")], [(np.take(x, index, 0), dtype)], {"axis": 0})
        book.add("take", f"take by {dtype}", [(np.arange(5.0), "f32"), (np.array([1, 0, 1]), dtype)],
                 [(np.array([1.0, 0.0, 1.0]), "f32")], {"axis": 0})
        at = rng.integers(0, 7, (3, 5, 3))
        book.add("take_along_axis", f"take_along_axis {dtype}", d + [(at, "s64")], [(np.take_along_axis(x, at, 2), dtype)],
                 {"axis": 2})
        book.add("gather", f"gather {dtype}", d + [(index[:, None], "u8")], [(x[index], dtype)], {"axes": [0]})
        starts = [(np.array(v), "s32") for v in (1, 1, 3)]
        book.add("dynamic_slice", f"dynamic_slice {dtype}", d + starts, [(x[1:3, 1:4, 3:6], dtype)],
                 {"lengths": [2, 3, 3], "strides": [1, 1, 1]})
        laid, added, put = x.copy(), x.copy(), x.copy()
        laid[1:3, 1:4, 3:6] = y[:2, :, :3]
        book.add("put_slice", f"put_slice {dtype}", d + [(y[:2, :, :3], dtype)] + starts, [(laid, dtype)])
        rows = values(dtype, (3, 5, 7))
        for i, row in zip(index, rows):
            added[i] += row
            put[i] = row
        book.add("indexed_add", f"indexed_add {dtype}", d + [(index[:, None], "s32"), (rows, dtype)],
                 [(wrap(added, dtype), dtype)], {"axes": [0]})
        book.add("indexed_put", f"indexed_put {dtype}", d + [(index[:, None], "s32"), (rows, dtype)], [(put, dtype)],
                 {"axes": [0]})


def results(book):
    for dtype in ALL:
        x, low, high = values(dtype, (3, 5, 7)), *ends(dtype)
        d = [(x, dtype)]
        for axes in ([0], [2], [0, 1, 2]):
            attrs, at, out = {"axes": axes, "keep": False}, tuple(axes), WIDE[dtype[0]]
            book.add("sum", f"sum {dtype} {axes}", d, [(x.sum(at), out)], attrs)
            product = np.array([int(v) % 2**32 for v in np.ravel(x.astype(object).prod(at))]).astype(np.uint32)
            book.add("product", f"product {dtype} {axes}", d, [(product.view(NUMPY[out]).reshape(np.shape(x.sum(at))), out)],
                     attrs)
            for op in ("max", "min"):
                book.add(op, f"{op} {dtype} {axes}", d, [(getattr(x, op)(at), dtype)], attrs)
            for op in ("all", "any"):
                book.add(op, f"{op} {dtype} {axes}", d, [(getattr(np, op)(x, at), "pred")], attrs)
        for op, y in (("max", low), ("min", high)):
            book.add(op, f"{op} of nothing {dtype}", [(np.zeros((3, 0)), dtype)], [(np.full(3, y), dtype)],
                     {"axes": [1], "keep": False})
        book.add("argmax", f"argmax {dtype}", d, [(x.argmax(1), "s64")], {"axis": 1})
        book.add("mean", f"mean {dtype}", d, [(x.mean(2), "f32")], {"axes": [2], "keep": False}, rel=1e-6, abs=1e-6)
        for op, f in (("sum", np.cumsum), ("product", np.cumprod), ("max", np.maximum.accumulate)):
            book.add(f"cumulative_{op}", f"cumulative_{op} {dtype}", d, [(wrap(f(x, 1), dtype), dtype)],
                     {"axis": 1, "reverse": False})
        line, attrs = values(dtype, 5), {"window": [2], "strides": [1], "low": [3], "high": [0]}
        for op, f, none in (("max", max, low), ("min", min, high), ("sum", lambda a, b: a + b, 0)):
            wide = [none] * 3 + [int(v) for v in line]  # the first windows hold nothing
            y = wrap([f(a, b) for a, b in zip(wide, wide[1:])], dtype)
            book.add(f"window_{op}", f"window_{op} {dtype}", [(line, dtype)], [(y, dtype)], attrs)
        for down in (False, True):
            order = np.argsort(-x if down else x, 2, kind="stable")
            attrs = {"axis": 2, "descending": down}
            book.add("sort", f"sort {dtype} {down}", d, [(np.take_along_axis(x, order, 2), dtype)], attrs)
            book.add("argsort", f"argsort {dtype} {down}", d, [(order, "s64")], attrs)
        a, b = values(dtype, (3, 5)), values(dtype, (5, 7))
        book.add("dot_general", f"dot_general {dtype}", [(a, dtype), (b, dtype)], [(wrap(a @ b, dtype), dtype)],
                 {"contract_a": [1], "batch_a": [], "contract_b": [0], "batch_b": []})


def record(book):
    for part in (unary, binary, cast, moves, results):
        part(book)
