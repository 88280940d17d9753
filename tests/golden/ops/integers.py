"""Integers of all widths, exact, with their corners: wrapping, the lowest number by -1, shifts by the width, negative
powers, counts of bits; and bit patterns. Computed with Python's integers."""
import numpy as np

from book import NUMPY

rng = np.random.Generator(np.random.PCG64(12))
ALL = ("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64")


def wrap(values, dtype):
    info = np.iinfo(NUMPY[dtype])
    return np.array([(int(v) - info.min) % (1 << info.bits) + info.min for v in values], dtype=object).astype(NUMPY[dtype])


def corners(dtype):
    info = np.iinfo(NUMPY[dtype])
    few = {0, 1, 2, 3, 7, 100, info.max, info.max - 1, info.max // 2 + 1, info.min}
    few |= {-1, -2, -7, info.min + 1} if info.min else set()
    if info.bits == 64:
        few |= {2**53 + 1, 2**62 + 3}
    return sorted(few)


def quotient(a, b):
    return 0 if b == 0 else abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)


def power(a, b):
    return a**b if 0 <= b < 200 else pow(a, b, 1 << 64) if b >= 0 else a if a in (1,) else (-1)**(b & 1) if a == -1 else 0


def shifted(bits):
    left = lambda a, b: a << b if 0 <= b < bits else 0
    right = lambda a, b: a >> b if 0 <= b < bits else (-1 if a < 0 else 0)
    return left, right


def unary(book):
    for dtype in ALL:
        bits = np.iinfo(NUMPY[dtype]).bits
        x = corners(dtype)
        ops = {"neg": lambda v: -v, "abs": abs, "sign": lambda v: (v > 0) - (v < 0), "square": lambda v: v * v,
               "bitwise_not": lambda v: ~v, "relu": lambda v: max(v, 0), "floor": int, "ceil": int, "round": int,
               "rint": int, "trunc": int, "population_count": lambda v: bin(v % (1 << bits)).count("1"),
               "count_leading_zeros": lambda v: bits - (v % (1 << bits)).bit_length()}
        a = np.array(x, object).astype(NUMPY[dtype])
        for op, f in ops.items():
            book.add(op, f"{op} {dtype}", [(a, dtype)], [(wrap(map(f, x), dtype), dtype)])
        for op, y in (("logical_not", a == 0), ("is_nan", a != a), ("is_inf", a != a), ("is_finite", a == a)):
            book.add(op, f"{op} {dtype}", [(a, dtype)], [(y, "pred")])


def binary(book):
    for dtype in ALL:
        info = np.iinfo(NUMPY[dtype])
        left, right = shifted(info.bits)
        x = [(a, b) for a in corners(dtype) for b in corners(dtype)]
        a, b = (np.array(v, object).astype(NUMPY[dtype]) for v in zip(*x))
        ops = {"add": lambda p, q: p + q, "sub": lambda p, q: p - q, "mul": lambda p, q: p * q, "quotient": quotient,
               "remainder": lambda p, q: 0 if q == 0 else p - q * quotient(p, q), "pow": power, "maximum": max,
               "minimum": min, "bitwise_and": lambda p, q: p & q, "bitwise_or": lambda p, q: p | q,
               "bitwise_xor": lambda p, q: p ^ q}
        for op, f in ops.items():
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(wrap((f(p, q) for p, q in x), dtype), dtype)])
        for op, f in (("equal", np.equal), ("not_equal", np.not_equal), ("less", np.less), ("less_equal", np.less_equal),
                      ("greater", np.greater), ("greater_equal", np.greater_equal), ("logical_and", np.logical_and),
                      ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)):
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), "pred")])
        by = [0, 1, info.bits // 2, info.bits - 1, info.bits, info.bits + 1, 127] + ([-1, info.min] if info.min else [])
        x = [(p, q) for p in corners(dtype) for q in by]
        a, b = (np.array(v, object).astype(NUMPY[dtype]) for v in zip(*x))
        for op, f in (("left_shift", left), ("right_shift", right)):
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(wrap((f(p, q) for p, q in x), dtype), dtype)])
        low, high = np.array(3, NUMPY[dtype]), np.array(90, NUMPY[dtype])
        x = np.array(corners(dtype), object).astype(NUMPY[dtype])
        book.add("clip", f"clip {dtype}", [(x, dtype), (low, dtype), (high, dtype)], [(np.clip(x, low, high), dtype)])
    # u64 with s64 is s64, by the bits.
    u, s = np.array([2**63 + 1, 2**64 - 1, 5, 2**53 + 1], np.uint64), np.array([-1, -1, 5, 2**53], np.int64)
    book.add("equal", "equal u64 s64", [(u, "u64"), (s, "s64")], [(u.view(np.int64) == s, "pred")])
    book.add("greater", "greater u64 s64", [(u, "u64"), (s, "s64")], [(u.view(np.int64) > s, "pred")])
    book.add("maximum", "maximum u64 s64", [(u, "u64"), (s, "s64")], [(np.maximum(u.view(np.int64), s), "s64")])
    p, q = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    for op in ("less", "less_equal", "greater", "greater_equal", "maximum", "minimum"):
        f = getattr(np, op)
        book.add(op, f"{op} pred", [(p, "pred"), (q, "pred")], [(f(p, q), "pred")])


def cast(book):
    for da in ALL:
        x = np.array(corners(da), object).astype(NUMPY[da])
        for db in ALL:
            book.add("cast", f"cast {da} {db}", [(x, da)], [(wrap(map(int, x), db), db)], {"dtype": db})
    # One rounding, from integers that neither f32 nor f64 holds: just above and at the middle of two values.
    for da in ("u64", "s64"):
        x = [2**62 + 2**38 + 1, 2**62 + 2**38, 2**62 + 3 * 2**38, 2**62 + 2**54 + 1, 2**62 + 2**54, 2**62 + 2**54 + 2**9,
             2**53 + 1, 2**24 + 1, 65519, 65520, 2**63 - 1] + ([2**64 - 1] if da == "u64" else [-2**62 - 2**54 - 1])
        for db, digits in (("f64", 53), ("f32", 24), ("bf16", 8)):
            y = []
            for v in x:
                cut = max(0, abs(v).bit_length() - digits)
                low, whole = abs(v) & (1 << cut) - 1, abs(v) >> cut
                whole += cut > 0 and (low > 1 << cut - 1 or (low == 1 << cut - 1 and whole & 1))
                y.append(float(whole << cut) * (1 if v > 0 else -1))
            book.add("cast", f"cast once {da} {db}", [(np.array(x, NUMPY[da]), da)], [(np.array(y), db)], {"dtype": db})
    raw = rng.integers(0, 256, 64).astype(np.uint8).tobytes()
    raw = raw[:-4] + b"\0\0\x80\x3f"
    for da, db in (("u32", "f32"), ("f32", "u32"), ("s32", "u32"), ("f64", "s64"), ("u64", "f64"), ("f16", "u16"),
                   ("u8", "s8"), ("s16", "f16"), ("f32", "s32"), ("s64", "u64")):
        a, b = np.frombuffer(raw, NUMPY[da]), np.frombuffer(raw, NUMPY[db])
        keep = ~np.isnan(a) & ~np.isnan(b)      # which NaN it is does not count in this book
        book.add("bitcast", f"bitcast {da} {db}", [(a[keep], da)], [(b[keep], db)], {"dtype": db})


def reductions(book):
    wide = {"u8": "u32", "u16": "u32", "s8": "s32", "s16": "s32"}
    for dtype in ALL:
        info = np.iinfo(NUMPY[dtype])
        x = rng.integers(info.min, info.max, (3, 40, 2), dtype=NUMPY[dtype], endpoint=True)
        x[0, 0, 0], x[1, 0, 0], x[2] = info.max, info.min, 7
        out = wide.get(dtype, dtype)
        for axes in ([1], [0], [0, 1, 2]):
            at, attrs = tuple(axes), {"axes": axes, "keep": False}
            exact = x.astype(object)
            book.add("sum", f"sum {dtype} {axes}", [(x, dtype)],
                     [(wrap(np.ravel(exact.sum(at)), out).reshape(np.shape(exact.sum(at))), out)], attrs)
            book.add("product", f"product {dtype} {axes}", [(x, dtype)],
                     [(wrap(np.ravel(exact.prod(at)), out).reshape(np.shape(exact.sum(at))), out)], attrs)
            for op in ("max", "min"):
                book.add(op, f"{op} {dtype} {axes}", [(x, dtype)], [(getattr(x, op)(at), dtype)], attrs)
            for op in ("all", "any"):
                book.add(op, f"{op} {dtype} {axes}", [(x, dtype)], [(getattr(np, op)(x, at), "pred")], attrs)
    p = np.array([[True, False, True], [True, True, True], [False, False, False]])
    for op in ("max", "min"):
        book.add(op, f"{op} pred", [(p, "pred")], [(getattr(p, op)(1), "pred")], {"axes": [1], "keep": False})
    ties = np.array([[3, 1, 3, 2, 1], [0, 0, 0, 0, 0], [5, 5, 1, 2, 1]])
    for dtype in ALL + ("f32", "f64", "f16", "bf16", "f8_e4m3fn", "f8_e5m2", "pred"):
        x = ties % 2 if dtype == "pred" else ties
        for op, f in (("argmax_with", np.argmax), ("argmin_with", np.argmin)):
            for axis, last, keep in ((0, False, True), (1, True, False), (0, True, False), (1, False, True)):
                y = f(x, axis) if not last else x.shape[axis] - 1 - f(np.flip(x, axis), axis)
                y = np.expand_dims(y, axis) if keep else y
                book.add(op, f"{op} {dtype} {axis} last {last}", [(x, dtype)], [(y, "s64")],
                         {"axis": axis, "last": last, "keep": keep})
            for last, keep in ((False, False), (True, True)):
                y = np.array(f(x) if not last else x.size - 1 - f(np.flip(x.ravel())))
                book.add(op, f"{op} {dtype} flat last {last}", [(x, dtype)], [(y.reshape([1, 1] if keep else []), "s64")],
                         {"flat": True, "last": last, "keep": keep})
    nan = np.array([[1.0, np.nan, 9.0, np.nan], [2.0, 2.0, 1.0, 1.0]])
    for op, y in (("argmax_with", [1, 1]), ("argmin_with", [1, 3])):
        for dtype in ("f32", "f64", "bf16", "f8_e5m2"):
            book.add(op, f"{op} NaN {dtype}", [(nan, dtype)], [(np.array(y), "s64")], {"axis": 1, "last": True})


def record(book):
    for part in (unary, binary, cast, reductions):
        part(book)
