"""f8_e4m3fn and f8_e5m2 wherever floats go: computed in double from the exact values and rounded once; what rounds past
the largest value is infinite, of f8_e4m3fn NaN. And what the other books lack of floats: rint, trunc, exp2, log10, hypot,
logaddexp, is_finite, the edges of erf_inv."""
import numpy as np
import scipy.special as sp

from book import DENORMAL, EPSILON, F8_VALUES, NUMPY, from_f8, rounded
from elementwise import EXACT_OPS, FLOAT_OPS, cast_to_integer, inside

rng = np.random.Generator(np.random.PCG64(13))
F8 = ("f8_e4m3fn", "f8_e5m2")
FLOATS = ("f32", "f64", "f16", "bf16") + F8


def every(dtype):
    return from_f8(np.arange(256), dtype).astype(np.float64)


def unary(book):
    for dtype in F8:
        for op, (f, _, domain) in FLOAT_OPS.items():
            x = inside(every(dtype), domain) if domain else every(dtype)
            with np.errstate(all="ignore"):
                y = f(x)
            if op in ("silu", "gelu", "gelu_tanh"):
                x, y = x[np.isfinite(x)], y[np.isfinite(x)]
            # f32 on the way may turn a tie: half a unit more.
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(y, dtype)], rel=EPSILON[dtype], abs=DENORMAL[dtype])
        for op, f in EXACT_OPS.items():
            with np.errstate(all="ignore"):
                book.add(op, f"{op} {dtype}", [(every(dtype), dtype)], [(f(every(dtype)), dtype)],
                         zero_sign=op in ("neg", "abs"))
        x = every(dtype)
        for op, y in (("is_nan", np.isnan(x)), ("is_inf", np.isinf(x)), ("is_finite", np.isfinite(x)),
                      ("logical_not", x == 0)):
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(y, "pred")])
    edge = np.array([0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.5, 0.49999997, 8388609.0, -8388607.5, 4503599627370497.5,
                     1e30, np.inf, -np.inf, np.nan, 1e-41, -0.7, 0.7, 126.5, -3.3])
    for dtype in FLOATS:
        x = rounded(edge, dtype).astype(np.float64)
        for op, f in (("rint", np.rint), ("trunc", np.trunc)):
            book.add(op, f"{op} {dtype}", [(x, dtype)], [(f(x), dtype)], zero_sign=True)
        book.add("is_finite", f"is_finite {dtype}", [(x, dtype)], [(np.isfinite(x), "pred")])
        x = rounded(np.concatenate([edge, rng.uniform(-30, 30, 40), [127.5, -126.5, -140.0, -149.0, 10.0, 100.0, 1000.0]]),
                    dtype).astype(np.float64)
        with np.errstate(all="ignore"):
            for op, f in (("exp2", np.exp2), ("log10", np.log10)):
                book.add(op, f"{op} {dtype}", [(x, dtype)], [(f(x), dtype)], rel=4 * EPSILON[dtype], abs=2 * DENORMAL[dtype])
        x = rounded([0.0, -0.0, 1.0, -1.0, 1.5, -2.0, np.nan, 1e-30, -1e-10, 0.999, -0.9999], dtype).astype(np.float64)
        x = x[np.isnan(x) | (np.abs(x) < 0.9995) | (np.abs(x) >= 1)]
        with np.errstate(all="ignore"):
            y = np.where(np.abs(x) > 1, np.nan, sp.erfinv(x))
        book.add("erf_inv", f"erf_inv edges {dtype}", [(x, dtype)], [(y, dtype)], rel=16 * EPSILON[dtype],
                 abs=2 * DENORMAL[dtype])


def binary(book):
    values = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.0, -1e-2, 100.0, -320.0, 448.0, np.inf, -np.inf, np.nan]
    ops = {"add": (np.add, 1), "sub": (np.subtract, 1), "mul": (np.multiply, 1), "div": (np.divide, 1),
           "remainder": (np.fmod, 0), "pow": (np.power, 1), "maximum": (np.maximum, 0), "minimum": (np.minimum, 0),
           "atan2": (np.arctan2, 1), "hypot": (np.hypot, 1), "logaddexp": (np.logaddexp, 1)}
    tests = {"equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
             "greater": np.greater, "greater_equal": np.greater_equal}
    for dtype in F8:
        a, b = (v.ravel() for v in np.meshgrid(*[rounded(values, dtype).astype(np.float64)] * 2, indexing="ij"))
        with np.errstate(all="ignore"):
            for op, (f, units) in ops.items():
                book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), dtype)], rel=units * EPSILON[dtype],
                         abs=DENORMAL[dtype])
            for op, f in tests.items():
                book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), "pred")])
        for op in ("logical_and", "logical_or", "logical_xor"):
            keep = ~np.isnan(a) & ~np.isnan(b)
            book.add(op, f"{op} {dtype}", [(a[keep], dtype), (b[keep], dtype)],
                     [(getattr(np, op)(a[keep], b[keep]), "pred")])
        c = np.arange(len(a)) % 3 == 0
        book.add("select", f"select {dtype}", [(c, "pred"), (a, dtype), (b, dtype)], [(np.where(c, a, b), dtype)])
        low, high = np.array(-2.0), np.array(90.0)
        y = np.where(np.isnan(a), np.nan, np.clip(a, low, rounded(high, dtype)))
        book.add("clip", f"clip {dtype}", [(a, dtype), (low, dtype), (high, dtype)], [(y, dtype)])
    for dtype in ("f32", "f64", "f16", "bf16"):
        x = rounded([0.0, -0.0, 3.0, -4.0, 1e-3, 50.0, -60.0, 1e4, np.inf, -np.inf, np.nan, 0.7], dtype).astype(np.float64)
        a, b = (v.ravel() for v in np.meshgrid(x, x, indexing="ij"))
        with np.errstate(all="ignore"):
            for op in ("hypot", "logaddexp"):
                f = getattr(np, op)
                book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(f(a, b), dtype)], rel=4 * EPSILON[dtype],
                         abs=2 * DENORMAL[dtype] + (EPSILON[dtype] if op == "logaddexp" else 0))
    for da, db, out in (("f16", "bf16", "f16"), ("f8_e4m3fn", "f8_e5m2", "f16"), ("f8_e5m2", "bf16", "f8_e5m2"),
                        ("f8_e4m3fn", "f32", "f32"), ("s64", "f8_e5m2", "f8_e5m2"), ("f8_e4m3fn", "c64", "c64")):
        x = np.array([1, 2, 3])
        book.add("add", f"add {da} {db}", [(x, da), (x, db)], [(x + x, out)])


def cast(book):
    for db in F8:
        values = np.array(F8_VALUES[db])
        middle = (values[1:] + values[:-1]) / 2
        x = np.concatenate([values, middle, middle * (1 + 2.0**-40), middle * (1 - 2.0**-40), [1e300, 464.0, 464.00001, 480.0,
                            61439.0, 61440.0, 65536.0, np.inf, np.nan, 1e-300, 2.0**-10, 2.0**-10 * 1.01, 2.0**-17]])
        x = np.concatenate([x, -x])
        for da in ("f64", "f32", "f16", "bf16"):
            v = rounded(x if da == "f64" else x[::3], da).astype(np.float64)
            book.add("cast", f"cast {da} {db}", [(v, da)], [(v, db)], {"dtype": db}, zero_sign=True)
        for da in ("u8", "s8", "s16", "s32", "s64", "u64", "u32", "u16", "pred"):
            info = np.iinfo(NUMPY[da]) if da != "pred" else None
            v = np.array([0, 1] + ([3, 17, 25, 26, 27, 100, info.max, info.min] if info else []), NUMPY[da])
            book.add("cast", f"cast {da} {db}", [(v, da)], [(v.astype(np.float64), db)], {"dtype": db})
    for da in F8:
        v = every(da)
        for db in FLOATS:
            book.add("cast", f"cast {da} {db}", [(v, da)], [(v, db)], {"dtype": db}, zero_sign=True)
        for db in ("u8", "s8", "s16", "s32", "u32", "s64", "u64"):
            book.add("cast", f"cast {da} {db}", [(v, da)], [(cast_to_integer(v, db), db)], {"dtype": db})
        book.add("cast", f"cast {da} pred", [(v, da)], [(v != 0, "pred")], {"dtype": "pred"})


def reductions(book):
    for dtype in F8:
        for shape, axes in (((3, 5), [1]), ((4, 6), [0]), ((2, 30, 3), [1]), ((2, 3, 4), [0, 2]), ((300,), [0])):
            x = rounded(rng.integers(-2, 3, shape) * 0.25, dtype).astype(np.float64)
            at, attrs = tuple(axes), {"axes": axes, "keep": False}
            book.add("sum", f"sum {dtype} {shape} {axes}", [(x, dtype)], [(x.sum(at), dtype)], attrs)
            book.add("mean", f"mean {dtype} {shape} {axes}", [(x, dtype)], [(x.mean(at), dtype)], attrs, rel=EPSILON[dtype],
                     abs=DENORMAL[dtype])
            book.add("product", f"product {dtype} {shape} {axes}", [(np.sign(x) + 2, dtype)],
                     [((np.sign(x) + 2).prod(at), dtype)], attrs, rel=EPSILON[dtype])
            for op in ("max", "min"):
                book.add(op, f"{op} {dtype} {shape} {axes}", [(x, dtype)], [(getattr(x, op)(at), dtype)], attrs)
            for op in ("all", "any"):
                book.add(op, f"{op} {dtype} {shape} {axes}", [(x, dtype)], [(getattr(np, op)(x, at), "pred")], attrs)
        nan = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]])
        for op in ("sum", "max", "min"):
            book.add(op, f"{op} NaN {dtype}", [(nan, dtype)], [(getattr(nan, op)(1), dtype)], {"axes": [1], "keep": False})
        soft = rounded(rng.uniform(-3, 3, (4, 6)), dtype).astype(np.float64)
        book.add("softmax", f"softmax {dtype}", [(soft, dtype)], [(sp.softmax(soft, 1), dtype)], {"axis": 1},
                 rel=EPSILON[dtype], abs=DENORMAL[dtype])
        for op, row in (("reshape", {"dims": [24]}), ("transpose", {"axes": [1, 0]}), ("reverse", {"axes": [1]})):
            y = {"reshape": soft.reshape(24), "transpose": soft.T, "reverse": soft[:, ::-1]}[op]
            book.add(op, f"{op} {dtype}", [(soft, dtype)], [(y, dtype)], row)
        index = np.indices((3, 9))[1]
        book.add("iota", f"iota {dtype}", [], [(index, dtype)], {"dtype": dtype, "dims": [3, 9], "axis": 1})


def fast(book):
    """Fast ops in dtypes narrower than f32: computed there, rounded once."""
    for dtype in ("f16", "bf16") + F8:
        unit = {"rel": EPSILON[dtype], "abs": max(DENORMAL[dtype], EPSILON[dtype] / 16)}
        x = rounded(rng.standard_normal((7, 16)), dtype).astype(np.float64)
        w, b = (rounded(v, dtype).astype(np.float64) for v in (rng.uniform(0.5, 1.5, 16), rng.standard_normal(16)))
        centred = x - x.mean(-1, keepdims=True)
        norm = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        args = [(x, dtype), (w, dtype)]
        book.add("layer_norm", f"layer_norm {dtype}", args + [(b, dtype)], [(norm * w + b, dtype)], {"eps": 1e-5}, **unit)
        norm = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        book.add("rms_norm", f"rms_norm {dtype}", args, [(norm * w, dtype)], {"eps": 1e-6}, **unit)
        cuts, parts = np.array([0, 3, 3, 7]), (slice(0, 3), slice(3, 7))
        mean = np.stack([x[0:3].mean(0), np.zeros(16), x[3:7].mean(0)])
        book.add("segment_pool", f"segment_pool {dtype}", [(x, dtype), (cuts, "s32")], [(mean, dtype)], {"pool": "mean"}, **unit)
        q, k, v = (rounded(rng.standard_normal((7, 2, 8)), dtype).astype(np.float64) for _ in range(3))
        out = np.zeros((7, 2, 8))
        for rows in parts:
            scores = np.einsum("qhd,khd->hqk", q[rows], k[rows]) * 0.3
            out[rows] = np.einsum("hqk,khd->qhd", sp.softmax(scores, -1), v[rows])
        book.add("sdpa_segments", f"sdpa_segments {dtype}", [(q, dtype), (k, dtype), (v, dtype), (cuts, "s32"), None],
                 [(out, dtype)], {"scale": 0.3}, **unit)
        t = [a.transpose(1, 0, 2)[None] for a in (q, k, v)]
        scores = np.einsum("bhqd,bhkd->bhqk", t[0], t[1]) * 0.3
        whole = np.einsum("bhqk,bhkd->bhqd", sp.softmax(scores, -1), t[2])
        book.add("sdpa", f"sdpa {dtype}", [(a, dtype) for a in t] + [None, None], [(whole, dtype)],
                 {"scale": 0.3, "causal": False}, **unit)


def record(book):
    for part in (unary, binary, cast, reductions, fast):
        part(book)
