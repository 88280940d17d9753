"""Every dtype through the ops that move, choose, make or test elements: what the books of single families leave out."""
import numpy as np

from book import F8_VALUES, NUMPY, rounded

COMPLEX = ("c64", "c128")
ALL = tuple(NUMPY)


def values(dtype, shape):
    n = int(np.prod(shape))
    x = np.arange(n) % 2 if dtype == "pred" else np.arange(n) * (1 + 0.5j) if dtype in COMPLEX else np.arange(n)
    return x.reshape(shape)


def moves(book):
    for dtype in ALL:
        x = values(dtype, (2, 3, 4))
        d = [(x, dtype)]
        book.add("reshape", f"reshape {dtype}", d, [(x.reshape(6, 4), dtype)], {"dims": [6, 4]})
        book.add("transpose", f"transpose {dtype}", d, [(x.transpose(2, 0, 1), dtype)], {"axes": [2, 0, 1]})
        book.add("reverse", f"reverse {dtype}", d, [(x[:, ::-1, ::-1], dtype)], {"axes": [1, 2]})
        book.add("slice", f"slice {dtype}", d, [(x[1:, ::2, 1:3], dtype)],
                 {"start": [1, 0, 1], "stop": [2, 3, 3], "stride": [1, 2, 1]})
        book.add("broadcast_to", f"broadcast_to {dtype}", [(x[0], dtype)], [(np.broadcast_to(x[0], (2, 3, 4)), dtype)],
                 {"dims": [2, 3, 4]})
        book.add("concatenate", f"concatenate {dtype}", [(x, dtype), (x[:, :1], dtype)],
                 [(np.concatenate([x, x[:, :1]], 1), dtype)], {"axis": 1})
        out = np.full((2, 7, 3), 1, x.dtype)
        out[:, 1:6:2] = x[:, :, 1:]
        book.add("pad", f"pad {dtype}", [(x, dtype), (np.array(1), dtype)], [(out, dtype)],
                 {"low": [0, 1, -1], "high": [0, 1, 0], "interior": [0, 1, 0]})
        book.add("take", f"take {dtype}", d + [(np.array([2, 0, 9]), "s32")], [(x[:, [2, 0, 2]], dtype)], {"axis": 1})
        c = np.arange(24).reshape(2, 3, 4) % 3 == 0
        y = x[::-1]
        book.add("select", f"select {dtype}", [(c, "pred")] + d + [(y, dtype)], [(np.where(c, x, y), dtype)])
        book.add("select", f"select broadcast {dtype}", [(c, "pred"), (x[0, 0, 1], dtype), (y[:, :1], dtype)],
                 [(np.where(c, x[0, 0, 1], y[:, :1]), dtype)])
        for axis in (0, 2):
            index = np.indices((2, 3, 4))[axis]
            book.add("iota", f"iota {dtype} {axis}", [], [(index != 0 if dtype == "pred" else index, dtype)],
                     {"dtype": dtype, "dims": [2, 3, 4], "axis": axis})


def tests(book):
    for dtype in ("f32", "f64", "f16", "bf16"):
        a, b = (v.ravel() for v in np.meshgrid([0.0, -0.0, 1.5, np.inf, np.nan], [0.0, -2.0, np.nan], indexing="ij"))
        for op in ("logical_and", "logical_or", "logical_xor"):
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(getattr(np, op)(a, b), "pred")])
        x = np.array([[1.0, -0.0, 2.0], [np.nan, 1.0, -1.0], [0.0, 0.0, -0.0]])
        for op in ("all", "any"):
            for axes in ([0], [1], [0, 1]):
                book.add(op, f"{op} {dtype} {axes}", [(x, dtype)], [(getattr(np, op)(x, tuple(axes)), "pred")],
                         {"axes": axes, "keep": False})
    p = np.array([True, False])
    for op, y in (("logical_not", ~p), ("is_nan", p & False), ("is_inf", p & False), ("is_finite", p | True)):
        book.add(op, f"{op} pred", [(p, "pred")], [(y, "pred")])
    book.add("not_equal", "not_equal pred", [(p, "pred"), (~p, "pred")], [(p | True, "pred")])
    for op, f in (("real", np.real), ("imag", np.imag), ("phase", np.angle)):
        x = rounded(np.array([1.5, -2.0, 0.0]), "f8_e4m3fn").astype(np.float64)
        book.add(op, f"{op} f8_e4m3fn", [(x, "f8_e4m3fn")], [(f(x), "f8_e4m3fn")], rel=2.0**-4)
    for dtype in ALL:
        if dtype not in ("pred", "u32", "s32", "f32"):
            same = {"u8": "s8", "s8": "u8", "u16": "s16", "s16": "u16", "f16": "s16", "bf16": "u16", "u64": "s64", "s64": "f64",
                    "f64": "c64", "c64": "s64", "f8_e4m3fn": "u8", "f8_e5m2": "s8", "c128": "c128"}[dtype]
            if dtype in F8_VALUES or dtype == "bf16":
                x, bits = np.array([1.0, -2.0]), {"bf16": [0x3F80, 0xC000], "f8_e4m3fn": [0x38, 0xC0], "f8_e5m2": [0x3C, -64]}
                y = np.array(bits[dtype])
            else:
                x = np.array([1, 2], NUMPY[dtype])
                y = x.view(NUMPY[same])
            book.add("bitcast", f"bitcast {dtype} {same}", [(x, dtype)], [(y, same)], {"dtype": same})


def record(book):
    for part in (moves, tests):
        part(book)
