"""Complex numbers: maths on c64 and c128, their parts, casts to and from them, reductions. Everything is computed in
c128 from the operands' exact values and rounded once. Principal branches; on a cut the sign of zero picks the side."""
import numpy as np

from book import EPSILON, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(11))
COMPLEX = ("c64", "c128")
PART = {"c64": "f32", "c128": "f64"}
CUTS = [complex(a, b) for a in (-2.5, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 3.0) for b in (-2.0, -0.0, 0.0, 1e-3, 1.5)]
SPECIAL = [complex(a, b) for a in (np.inf, -np.inf, np.nan, 1.0, 0.0) for b in (np.inf, -np.inf, np.nan, -1.0)]


def operands(dtype, n=60):
    z = rng.uniform(-4, 4, n) + 1j * rng.uniform(-4, 4, n)
    z[: n // 4] *= 10.0 ** rng.integers(-6, 3, n // 4)
    return rounded(np.concatenate([np.array(CUTS), z]), dtype).astype(np.complex128)


def log1p(z):
    """NumPy's takes log|1 + z|, which loses the digits of small z."""
    x, y = z.real.astype(np.longdouble), z.imag.astype(np.longdouble)
    return (np.log1p(x * (2 + x) + y * y) / 2 + 1j * np.arctan2(y, 1 + x)).astype(np.complex128)


def maths(book):
    ops = {"neg": (np.negative, 0), "sign": (np.sign, 2), "square": (np.square, 2), "reciprocal": (np.reciprocal, 4),
           "sqrt": (np.sqrt, 4), "rsqrt": (lambda z: 1 / np.sqrt(z), 6), "cbrt": (lambda z: z ** (1 / 3), 8),
           "exp": (np.exp, 4), "exp2": (np.exp2, 8), "expm1": (np.expm1, 8), "log": (np.log, 4), "log1p": (log1p, 8),
           "log2": (np.log2, 6), "log10": (np.log10, 6), "sin": (np.sin, 6), "cos": (np.cos, 6), "tan": (np.tan, 8),
           "asin": (np.arcsin, 8), "acos": (np.arccos, 8), "atan": (np.arctan, 8), "sinh": (np.sinh, 6),
           "cosh": (np.cosh, 6), "tanh": (np.tanh, 8), "asinh": (np.arcsinh, 8), "acosh": (np.arccosh, 8),
           "atanh": (np.arctanh, 8), "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), 12), "conjugate": (np.conjugate, 0)}
    for dtype in COMPLEX:
        z = operands(dtype)
        for op, (f, units) in ops.items():
            x = z
            if op in ("reciprocal", "rsqrt", "log", "log2", "log10", "cbrt", "sign"):
                x = x[x != 0]
            if op == "log1p":
                x = x[np.abs(1 + x) > 0.05]
            if op in ("atan", "atanh", "tan", "tanh", "sigmoid", "exp", "exp2", "sin", "cos", "sinh", "cosh", "expm1"):
                x = x[np.abs(x) < 20]
            if op in ("atan", "atanh"):
                x = x[np.abs(x * x + (1 if op == "atan" else -1)) > 0.05]
            with np.errstate(all="ignore"):
                y = f(x)
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(y, dtype)], abs=1e-40 if dtype == "c64" else 1e-300,
                     rel=units * EPSILON[dtype])
        with np.errstate(all="ignore"):
            wide = np.concatenate([z, rounded(SPECIAL, dtype).astype(np.complex128), rounded([3e38 + 1e38j], dtype)])
            for op, f in (("abs", np.abs), ("real", np.real), ("imag", np.imag), ("phase", np.angle)):
                book.add(op, f"{op} {dtype}", [(wide, dtype)], [(f(wide), PART[dtype])], rel=2 * EPSILON[dtype])
            for op, f in (("is_nan", np.isnan), ("is_inf", np.isinf), ("is_finite", np.isfinite),
                          ("logical_not", lambda v: v == 0)):
                book.add(op, f"{op} {dtype}", [(wide, dtype)], [(f(wide), "pred")])
    real = np.array([1.5, -2.0, 0.0, -0.0, np.inf, -np.inf, np.nan])
    for dtype in ("f32", "f64", "f16", "bf16", "f8_e5m2"):
        for op, f in (("real", np.real), ("imag", np.imag), ("phase", np.angle)):
            book.add(op, f"{op} {dtype}", [(real, dtype)], [(f(rounded(real, dtype)), dtype)], rel=EPSILON[dtype])
    for dtype, wide in (("f32", "c64"), ("f64", "c128"), ("f16", "c64"), ("s32", "c64"), ("s64", "c64"), ("u8", "c64")):
        x = np.array([1, 2, 3])
        book.add("conjugate", f"conjugate {dtype}", [(x, dtype)], [(np.conjugate(x.astype(complex)), wide)])
    whole = np.array([3, -4, 0])
    book.add("real", "real s32", [(whole, "s32")], [(whole, "f32")])
    book.add("phase", "phase s32", [(whole, "s32")], [(np.angle(whole), "f32")], rel=1e-7)
    for parts, dtype in ((("f32", "f32"), "c64"), (("f64", "f32"), "c128"), (("s32", "f16"), "c64"), (("u8", "f64"), "c128")):
        a, b = np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0])
        book.add("make_complex", f"make_complex {parts}", [(a, parts[0]), (b, parts[1])], [(a + 1j * b, dtype)])


def binary(book):
    for dtype in COMPLEX:
        a, b = operands(dtype, 120), operands(dtype, 120)
        b = rng.permutation(b)
        tiny = {"c64": 1e-40, "c128": 1e-300}[dtype]
        ops = {"add": (np.add, 1), "sub": (np.subtract, 1), "mul": (np.multiply, 2), "div": (np.divide, 4)}
        for op, (f, units) in ops.items():
            keep = b != 0 if op == "div" else b == b
            book.add(op, f"{op} {dtype}", [(a[keep], dtype), (b[keep], dtype)], [(f(a[keep], b[keep]), dtype)],
                     rel=units * EPSILON[dtype], abs=tiny)
        keep = (a != 0) & (np.abs(a) > 1e-3) & (np.abs(b) < 6)
        x, y = a[keep], b[keep]
        book.add("pow", f"pow {dtype}", [(x, dtype), (y, dtype)], [(np.power(x, y), dtype)], rel=64 * EPSILON[dtype])
        x = np.array([0, 0, 2j, -3 + 1j, 1 + 1j, 2, 1 - 1j, 0])
        y = np.array([0, 2, 2, 3, -2, 10, 0.5, 1.5])
        book.add("pow", f"pow whole {dtype}", [(x, dtype), (y, dtype)], [(np.power(x, y.astype(complex)), dtype)],
                 rel=8 * EPSILON[dtype], abs=1e-13 if dtype == "c128" else 1e-5)
        u = np.array([1 + 2j, 1 + 2j, 1 - 2j, 0, np.nan, complex(1, np.nan), -0.0])
        v = np.array([1 + 2j, 1 + 3j, 1 + 2j, -0.0, np.nan, complex(1, np.nan), 1j])
        for op, f in (("equal", np.equal), ("not_equal", np.not_equal), ("logical_and", np.logical_and),
                      ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)):
            book.add(op, f"{op} {dtype}", [(u, dtype), (v, dtype)], [(f(u, v), "pred")])
        c = np.array([True, False, True, False, True, False, True])
        book.add("select", f"select {dtype}", [(c, "pred"), (u, dtype), (v, dtype)], [(np.where(c, u, v), dtype)])
    for da, db, out in (("c64", "f32", "c64"), ("c64", "f64", "c128"), ("s64", "c64", "c64"), ("c64", "c128", "c128"),
                        ("u8", "c128", "c128"), ("bf16", "c64", "c64"), ("pred", "c64", "c64")):
        x, y = np.array([0, 1, 1]), np.array([1, 0, 1])
        book.add("add", f"add {da} {db}", [(x, da), (y, db)], [(x + y, out)])
    z, w = operands("c64", 0)[:8].reshape(2, 1, 4), operands("c64", 0)[8:11].reshape(3, 1)
    book.add("mul", "mul broadcast c64", [(z, "c64"), (w, "c64")], [(z * w, "c64")], rel=2 * EPSILON["c64"])


def cast(book):
    z = np.array([1.5 - 2j, -300.75 + 1j, 0 + 5j, 0, np.nan + 1j, complex(np.inf, 2), 1e20 + 0j, 65519 + 1j, 127.9])
    for da in COMPLEX:
        for db in ("f32", "f64", "f16", "bf16", "f8_e4m3fn", "f8_e5m2", "c64", "c128"):
            y = rounded(z, da).astype(np.complex128)
            book.add("cast", f"cast {da} {db}", [(z, da)], [(y if db in COMPLEX else y.real, db)], {"dtype": db})
        for db in ("s8", "u8", "s32", "u32", "s64", "u64"):
            info = np.iinfo(NUMPY[db])
            y = [0 if np.isnan(v) else int(min(max(v, float(info.min)), float(info.max) * 2)) for v in z.real]
            y = np.array([min(max(v, info.min), info.max) for v in y], NUMPY[db])
            book.add("cast", f"cast {da} {db}", [(z, da)], [(y, db)], {"dtype": db})
        book.add("cast", f"cast {da} pred", [(z, da)], [(z != 0, "pred")], {"dtype": "pred"})
        for db in ("f32", "f64", "f16", "bf16", "f8_e4m3fn", "f8_e5m2"):
            x = rounded(np.array([0.0, -1.5, 3.25, np.nan, 448.0]), db)
            book.add("cast", f"cast {db} {da}", [(x, db)], [(x.astype(np.complex128), da)], {"dtype": da})
        for db in ("s8", "u8", "s16", "u16", "s32", "u32", "pred", "s64", "u64"):
            top = 1 if db == "pred" else np.iinfo(NUMPY[db]).max
            x = np.array([0, 1, top], NUMPY[db])
            y = x.astype(np.float32 if da == "c64" else np.float64)
            book.add("cast", f"cast {db} {da}", [(x, db)], [(y.astype(np.complex128), da)], {"dtype": da})
    bits = np.array([1.5, -2.0], np.complex64)
    book.add("bitcast", "bitcast c64 u64", [(bits, "c64")], [(bits.view(np.uint64), "u64")], {"dtype": "u64"})
    book.add("bitcast", "bitcast u64 c64", [(bits.view(np.uint64), "u64")], [(bits, "c64")], {"dtype": "c64"})


def reductions(book):
    for dtype in COMPLEX:
        for shape, axes in (((3, 5), [1]), ((3, 5), [0]), ((2, 40, 3), [1]), ((2, 3, 4), [0, 2]), ((500,), [0]), ((2, 3), [])):
            z = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
            z = rounded(z / np.abs(z) * rng.uniform(0.9, 1.1, shape), dtype).astype(np.complex128)
            for keep in (False, True):
                attrs, at = {"axes": axes, "keep": keep}, tuple(axes)
                size = np.abs(z).sum(at, keepdims=keep).max() * EPSILON[dtype]
                book.add("sum", f"sum {dtype} {shape} {axes}", [(z, dtype)], [(z.sum(at, keepdims=keep), dtype)], attrs,
                         abs=4 * size)
                if axes:
                    book.add("mean", f"mean {dtype} {shape} {axes}", [(z, dtype)], [(z.mean(at, keepdims=keep), dtype)],
                             attrs, abs=4 * size)
            n = max(1, int(np.prod([shape[a] for a in axes])))
            book.add("product", f"product {dtype} {shape} {axes}", [(z, dtype)], [(z.prod(at), dtype)],
                     {"axes": axes, "keep": False}, rel=2 * n * EPSILON[dtype])
        z = np.array([[0, 1j, 1], [0, 0, 0], [1, 2j, np.nan]])
        for op in ("all", "any"):
            for axes in ([0], [1], [0, 1]):
                book.add(op, f"{op} {dtype} {axes}", [(z, dtype)], [(getattr(np, op)(z, tuple(axes)), "pred")],
                         {"axes": axes, "keep": False})
        w = rounded(rng.standard_normal((4, 30)) + 1j * rng.standard_normal((4, 30)), dtype).astype(np.complex128)
        book.add("variance", f"variance {dtype}", [(w, dtype)], [(w.var(1, ddof=1), PART[dtype])],
                 {"axes": [1], "ddof": 1}, rel=32 * EPSILON[dtype])
        near = w + 1e-7 * (1 + 1j)
        book.add("all_close", f"all_close {dtype}", [(w, dtype), (near, dtype)], [(np.array(True), "pred")], {"rtol": 1e-5})
        near[1, 3] += 1
        book.add("all_close", f"all_close not {dtype}", [(w, dtype), (near, dtype)], [(np.array(False), "pred")], {})


def record(book):
    for part in (maths, binary, cast, reductions):
        part(book)
