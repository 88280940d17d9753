"""mean, variance, standard deviation, logsumexp, all_close. Integers become f32; half types and f8 are computed in f32."""
import numpy as np
import scipy.special as sp

from book import DENORMAL, EPSILON, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(14))
FLOATS = ("f32", "f64", "f16", "bf16", "f8_e4m3fn", "f8_e5m2")


def moments(book):
    for dtype in FLOATS + ("u8", "s16", "s32", "s64", "u64"):
        whole = dtype[0] in "su"
        out = "f32" if whole else dtype
        for shape, axes in (((4, 9), [1]), ((4, 9), [0]), ((3, 2, 5), [0, 2]), ((50,), [0]), ((2, 3), [0, 1])):
            x = rng.integers(0, 100, shape) if whole else rng.standard_normal(shape) + 1
            x = rounded(x, dtype).astype(np.float64)
            at = tuple(axes)
            for keep, ddof in ((False, 0), (True, 1)):
                attrs = {"axes": axes, "keep": keep, "ddof": ddof}
                name, more = f"{dtype} {list(shape)} {axes}", {"rel": 8 * EPSILON[out], "abs": 2 * EPSILON[out]}
                book.add("mean", f"mean {name}", [(x, dtype)], [(x.mean(at, keepdims=keep), out)], attrs, **more)
                for op, f in (("variance", np.var), ("standard_deviation", np.std)):
                    book.add(op, f"{op} {name}", [(x, dtype)], [(f(x, at, ddof=ddof, keepdims=keep), out)], attrs, **more)
    one = np.array([[3.0], [np.nan]])
    book.add("variance", "variance of one, ddof 1", [(one, "f32")], [(np.array([np.nan, np.nan]), "f32")],
             {"axes": [1], "ddof": 1})
    book.add("mean", "mean of nothing", [(np.zeros((2, 0)), "f32")], [(np.array([np.nan, np.nan]), "f32")], {"axes": [1]})


def logsumexp(book):
    for dtype in FLOATS + ("s32", "u8"):
        out = "f32" if dtype[0] in "su" else dtype
        for shape, axes in (((4, 9), [1]), ((4, 9), [0]), ((3, 2, 5), [0, 2]), ((7,), [0])):
            x = rounded(rng.uniform(0, 9, shape), dtype).astype(np.float64)
            if dtype in ("f32", "f64", "bf16"):
                x = rounded(x * 100, dtype).astype(np.float64)
            for keep in (False, True):
                book.add("logsumexp", f"logsumexp {dtype} {axes}", [(x, dtype)],
                         [(sp.logsumexp(x, tuple(axes), keepdims=keep), out)], {"axes": axes, "keep": keep},
                         rel=4 * EPSILON[out], abs=DENORMAL[out])
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, -inf], [inf, 1], [inf, -inf], [nan, 1], [-inf, 3], [inf, inf]])
    for dtype in ("f32", "f64", "f16"):
        book.add("logsumexp", f"logsumexp edges {dtype}", [(x, dtype)],
                 [(np.array([-inf, inf, inf, nan, 3, inf]), dtype)], {"axes": [1]})
    book.add("logsumexp", "logsumexp of nothing", [(np.zeros((2, 0)), "f32")], [(np.full(2, -inf), "f32")], {"axes": [1]})


def all_close(book):
    inf, nan = np.inf, np.nan
    for dtype in ("f32", "f64", "f16", "bf16"):
        for a, b, attrs in (([1.0, 2.0], [1.0, 2.0], {}), ([1.0, 2.0], [1.0, 2.5], {}), ([1.0, 2.0], [1.0, 2.5], {"rtol": 0.3}),
                            ([inf, -inf], [inf, -inf], {}), ([inf], [-inf], {}), ([1.0], [inf], {}), ([inf], [1.0], {"rtol": 9}),
                            ([nan], [nan], {}), ([nan], [nan], {"equal_nan": True}), ([nan], [1.0], {"equal_nan": True}),
                            ([], [], {}), ([0.0], [-0.0], {"rtol": 0, "atol": 0}), ([1.0], [1.5], {"atol": 0.5, "rtol": 0})):
            y = np.allclose(a, b, rtol=attrs.get("rtol", 1e-5), atol=attrs.get("atol", 1e-8),
                            equal_nan=attrs.get("equal_nan", False))
            book.add("all_close", f"all_close {dtype} {a} {b} {attrs}", [(np.array(a), dtype), (np.array(b), dtype)],
                     [(np.array(y), "pred")], attrs)
    big = 2**62 + 1
    for dtype, a, b, attrs, y in (("s64", [big], [big + 1], {"rtol": 0, "atol": 0.5}, True), ("s64", [big], [big], {}, True),
                                  ("u8", [1], [255], {}, False), ("u8", [1], [255], {"atol": 254}, True),
                                  ("s32", [-5], [5], {"atol": 9}, False), ("pred", [1], [1], {}, True)):
        book.add("all_close", f"all_close {dtype} {a} {b} {attrs}", [(np.array(a), dtype), (np.array(b), dtype)],
                 [(np.array(y), "pred")], attrs)


def record(book):
    for part in (moments, logsumexp, all_close):
        part(book)
