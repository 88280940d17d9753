"""Unary, binary, comparison, select and cast. Float results are computed in double from the operands' exact values and
rounded once; integer results wrap. Meanings are Nx's where NumPy's differ, and each such place says so.
"""
import numpy as np
import scipy.special as sp

from book import DENORMAL, EPSILON, FLOATS, NUMPY, rounded

EDGE = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49999997, 3.0, -3.3, 7.1, -7.1, 1e-3, -1e-3, 1e-7,
        1e-38, 1e-41, -1e-41, 9.5, -9.5, 16.6, -16.6, 20.0, -20.0, 60.0, 87.3, 88.72, 88.8, -87.4, -95.0, -103.9, -110.0,
        1234.5, 8388609.0, -8388607.5, 1e10, -1e10, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan, 1.5707964, 3.1415927,
        100.25, -1000.75, 0.7, -0.7, 0.99999994, -0.99999994, 0.625, 0.1, -0.2]
rng = np.random.Generator(np.random.PCG64(7))


def half_away(x):
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


# name -> (function in double, error allowed in units of the dtype's epsilon, domain)
FLOAT_OPS = {
    "reciprocal": (lambda x: 1 / x, 0.5, None), "sqrt": (np.sqrt, 0.5, None), "rsqrt": (lambda x: 1 / np.sqrt(x), 2, None),
    "cbrt": (np.cbrt, 4, None), "log2": (np.log2, 4, None), "exp": (np.exp, 4, None),
    "expm1": (np.expm1, 4, None), "log": (np.log, 4, None),
    "log1p": (np.log1p, 4, None), "sin": (np.sin, 4, 1e5), "cos": (np.cos, 4, 1e5), "tan": (np.tan, 6, 1e5),
    "asin": (np.arcsin, 4, None), "acos": (np.arccos, 4, None), "atan": (np.arctan, 4, None),
    "sinh": (np.sinh, 6, None), "cosh": (np.cosh, 6, None), "tanh": (np.tanh, 4, None), "asinh": (np.arcsinh, 6, None),
    "acosh": (np.arccosh, 6, None), "atanh": (np.arctanh, 6, None), "erf": (sp.erf, 4, None), "erfc": (sp.erfc, 16, 20.0),
    "erf_inv": (sp.erfinv, 16, 0.999), "sigmoid": (sp.expit, 6, None),
    "silu": (lambda x: x * sp.expit(x), 6, 1e30), "gelu": (lambda x: 0.5 * x * sp.erfc(-x / np.sqrt(2)), 16, 12.0),
    "gelu_tanh": (gelu_tanh, 16, 12.0)}
EXACT_OPS = {"neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "floor": np.floor, "ceil": np.ceil,
             "round": half_away, "relu": lambda x: np.where(np.isnan(x), x, np.maximum(x, 0))}


def inside(x, domain):
    return x if domain is None else x[np.abs(x) <= domain]


def unary(book):
    values = np.concatenate([EDGE, rng.standard_normal(40), rng.uniform(-10, 10, 40), rng.uniform(0, 1, 16)])
    for dtype in FLOATS:
        few = values if dtype in ("f32", "f64") else values[:80]
        for op, (f, units, domain) in FLOAT_OPS.items():
            x = inside(rounded(few, dtype).astype(np.float64), domain)
            with np.errstate(all="ignore"):
                y = f(x)
            # gelu and silu of large negative values cancel: what is left is judged against the operand's scale.
            scale = np.max(np.abs(inside(x, 12.0))) if op.startswith("gelu") else 0
            slack = max(units, 1 if dtype in ("f16", "bf16") else units) * EPSILON[dtype]
            slack *= 4 if (op, dtype) == ("erfc", "f64") else 1
            # 1 / (1 + exp(95)) may be 0: exp overflows before the quotient is denormal.
            floor = 4e-36 if op in ("sigmoid", "silu") and dtype != "f16" else 2 * DENORMAL[dtype]
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(y, dtype)],
                     abs=floor + 0.25 * scale * EPSILON[dtype], rel=slack)
        for op, f in EXACT_OPS.items():
            x = rounded(few, dtype).astype(np.float64)
            x = x[np.abs(x) < 1e19] if op == "square" else x
            with np.errstate(all="ignore"):
                y = f(x)
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(y, dtype)], abs=DENORMAL[dtype] if op == "square" else 0,
                     zero_sign=op in ("neg", "abs"))
        x = rounded(EDGE, dtype)
        book.add("is_nan", f"is_nan {dtype}", [(x, dtype)], [(np.isnan(x), "pred")])
        book.add("is_inf", f"is_inf {dtype}", [(x, dtype)], [(np.isinf(x), "pred")])
        x = x[~np.isnan(x)]
        book.add("logical_not", f"logical_not {dtype}", [(x, dtype)], [(x == 0, "pred")])
    for dtype in ("s32", "s64", "u8", "s8"):
        info = np.iinfo(NUMPY[dtype])
        x = np.array([0, 1, 2, 3, 7, 11, 100, info.max, info.max - 1, info.min, info.min + 1], NUMPY[dtype])
        with np.errstate(all="ignore"):
            for op, f in (("neg", np.negative), ("abs", np.abs), ("sign", np.sign), ("square", np.square),
                          ("floor", lambda v: v), ("round", lambda v: v), ("relu", lambda v: np.maximum(v, 0)),
                          ("bitwise_not", np.invert)):
                book.add(op, f"{op} {dtype}", [(x, dtype)], [(f(x), dtype)])
        book.add("logical_not", f"logical_not {dtype}", [(x, dtype)], [(x == 0, "pred")])
        # Integers given to a float op become f32 first.
        y = np.exp(np.minimum(x, 20).astype(np.float32).astype(np.float64))
        book.add("exp", f"exp {dtype}", [(np.minimum(x, 20), dtype)], [(y, "f32")], rel=4 * EPSILON["f32"], abs=3e-45)


def quotient(a, b):
    """Truncates toward zero; by zero it is 0."""
    safe = np.where(b == 0, 1, b)
    q = np.abs(a.astype(object)) // np.abs(safe.astype(object)) * np.where((a < 0) != (safe < 0), -1, 1)
    return np.where(b == 0, 0, q).astype(np.float64 if a.dtype == object else a.dtype)


def pairs(values):
    a, b = np.meshgrid(values, values, indexing="ij")
    return a.ravel(), b.ravel()


def binary_float(book):
    edge = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.25, -1e-3, 1e30, -1e-41, np.inf, -np.inf, np.nan]
    ops = {"add": (np.add, 0.5), "sub": (np.subtract, 0.5), "mul": (np.multiply, 0.5), "div": (np.divide, 0.5),
           "remainder": (np.fmod, 0), "pow": (np.power, 8), "maximum": (np.maximum, 0), "minimum": (np.minimum, 0),
           "atan2": (np.arctan2, 4)}
    for dtype in FLOATS:
        a, b = pairs(rounded(edge, dtype).astype(np.float64))
        for op, (f, units) in ops.items():
            with np.errstate(all="ignore"):
                y = f(a, b)
            if op == "remainder":       # of a huge by a tiny: meaningless digits, and slow
                keep = ~((np.abs(a) > 1e20) & (np.abs(b) < 1e20))
                a2, b2, y = a[keep], b[keep], y[keep]
            else:
                a2, b2 = a, b
            book.add(op, f"{op} {dtype}", [(a2, dtype), (b2, dtype)], [(y, dtype)], abs=2 * DENORMAL[dtype],
                     rel=units * EPSILON[dtype])
        for op, f in (("equal", np.equal), ("not_equal", np.not_equal), ("less", np.less), ("greater", np.greater),
                      ("less_equal", np.less_equal), ("greater_equal", np.greater_equal)):
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), "pred")])


def binary_integer(book):
    for dtype in ("s32", "s64", "u8"):
        info = np.iinfo(NUMPY[dtype])
        a, b = pairs(np.array([0, 1, 2, 3, 5, 7, 100, info.max, info.min, info.min + 1], NUMPY[dtype]))
        nz = b != 0
        # The lowest value divided by -1 does not fit: left to the implementation.
        nz &= ~((a == info.min) & (b.astype(np.int64) == -1))
        with np.errstate(all="ignore"):
            for op, f in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("maximum", np.maximum),
                          ("minimum", np.minimum), ("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or),
                          ("bitwise_xor", np.bitwise_xor)):
                book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), dtype)])
            book.add("quotient", f"quotient {dtype}", [(a, dtype), (b, dtype)], [(quotient(a, b), dtype)])
            book.add("remainder", f"remainder {dtype}", [(a[nz], dtype), (b[nz], dtype)],
                     [(np.fmod(a[nz], b[nz]), dtype)])
            y = a.astype(np.float32).astype(np.float64) / b.astype(np.float32)
            book.add("div", f"div {dtype}", [(a, dtype), (b, dtype)], [(y, "f32")], rel=EPSILON["f32"] / 2)
        for op, f in (("equal", np.equal), ("less", np.less), ("greater_equal", np.greater_equal),
                      ("logical_and", np.logical_and), ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)):
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), "pred")])
        bits = info.bits
        x = np.array([1, 3, 100, info.max, info.min, info.min + 5], NUMPY[dtype])
        x, n = (v.ravel() for v in np.meshgrid(x, np.array([0, 1, 3, bits - 1], NUMPY[dtype]), indexing="ij"))
        book.add("left_shift", f"left_shift {dtype}", [(x, dtype), (n, dtype)], [(np.left_shift(x, n), dtype)])
        book.add("right_shift", f"right_shift {dtype}", [(x, dtype), (n, dtype)], [(np.right_shift(x, n), dtype)])
        base, power = np.array([0, 1, 2, 3, 5, 2, 7], NUMPY[dtype]), np.array([0, 5, 7, 4, 3, 0, 2], NUMPY[dtype])
        book.add("pow", f"pow {dtype}", [(base, dtype), (power, dtype)], [(base**power, dtype)])
    p, q = pairs(np.array([False, True]))
    for op in ("bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or", "logical_xor", "equal"):
        f = getattr(np, op)
        book.add(op, f"{op} pred", [(p, "pred"), (q, "pred")], [(f(p, q), "pred")])


def broadcast_and_promote(book):
    a, b = rng.standard_normal((2, 1, 4)), rng.standard_normal((3, 1))
    for op, f in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("maximum", np.maximum)):
        x, y = rounded(a, "f32").astype(float), rounded(b, "f32").astype(float)
        book.add(op, f"{op} broadcast", [(x, "f32"), (y, "f32")], [(f(x, y), "f32")], rel=EPSILON["f32"] / 2)
    small = np.array([1, 2, 3])
    for da, db, out in (("f16", "bf16", "f16"), ("f16", "f32", "f32"), ("f32", "f64", "f64"), ("s32", "f32", "f32"),
                        ("s64", "f16", "f16"), ("s64", "bf16", "bf16"), ("u8", "s32", "s32"), ("s32", "s64", "s64"),
                        ("u8", "f64", "f64"), ("u8", "s8", "s16"), ("u32", "s32", "s64")):
        book.add("add", f"add {da} {db}", [(small, da), (small, db)], [(small + small, out)])
    c = np.array([[True], [False]])
    x, y = np.array([1.5, np.nan, -0.0]), np.array(7.0)
    book.add("select", "select broadcast", [(c, "pred"), (x, "f32"), (y, "f32")], [(np.where(c, x, y), "f32")])
    book.add("select", "select promote", [(c, "pred"), (small, "s32"), (x, "f32")], [(np.where(c, small, x), "f32")])


def cast_to_integer(x, dtype):
    """Truncates and saturates, NaN is 0."""
    info = np.iinfo(NUMPY[dtype])
    whole = [0 if np.isnan(v) else info.max if v >= info.max else info.min if v <= info.min else int(v) for v in x]
    return np.array(whole, NUMPY[dtype])


def cast(book):
    edge = EDGE + [254.5, 255.0, 256.0, 300.0, -0.9, -5.0, 65504.0, 65519.0, 65520.0, 6e-8, 2.9e-8, 3e-8, 1 + 2.0**-11,
                   1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-11 + 2.0**-40, 2147483648.0,
                   -2147483649.0, 9.3e18, -9.3e18, 16777217.0, 1e300, -1e-300]
    for da in FLOATS:
        x = rounded(edge, da).astype(np.float64)
        for db in FLOATS:
            book.add("cast", f"cast {da} {db}", [(x, da)], [(x, db)], {"dtype": db})
        for db in ("s32", "s64", "u8", "s8"):
            book.add("cast", f"cast {da} {db}", [(x, da)], [(cast_to_integer(x, db), db)], {"dtype": db})
        book.add("cast", f"cast {da} pred", [(x, da)], [(x != 0, "pred")], {"dtype": "pred"})
    wide = [0, 1, 2, 127, 128, 255, 256, 300, 65535, 16777217, 2**31 - 1, -1, -2, -128, -129, -2**31]
    for da, x in (("s32", wide), ("s64", wide + [2**31, 2**40 + 1, 2**53 + 1, 2**63 - 1, -2**63, 9007199791611905]),
                  ("u8", [0, 1, 127, 128, 255]), ("pred", [0, 1])):
        x = np.array(x, NUMPY[da])
        for db in FLOATS:
            # numpy takes 64-bit integers to f16 and f32 in one rounding; doubles hold the rest exactly.
            y = x.astype(np.float32).astype(np.float64) if db == "f32" else x.astype(np.float64)
            if db in ("f16", "bf16"):
                keep = np.abs(x.astype(np.float64)) < 2.0**53
                book.add("cast", f"cast {da} {db}", [(x[keep], da)], [(y[keep], db)], {"dtype": db})
            else:
                book.add("cast", f"cast {da} {db}", [(x, da)], [(y, db)], {"dtype": db})
        for db in ("s32", "s64", "u8"):
            book.add("cast", f"cast {da} {db}", [(x, da)], [(x.astype(NUMPY[db]), db)], {"dtype": db})
        book.add("cast", f"cast {da} pred", [(x, da)], [(x != 0, "pred")], {"dtype": "pred"})


def record(book):
    for part in (unary, binary_float, binary_integer, broadcast_and_promote, cast):
        part(book)
