"""Ops that read and write by index, arrange elements, run along an axis and slide windows. Elements that move are exact;
sums are taken in double by NumPy and JAX. JAX clamps starts of slices and drops updates out of range, as XLA does."""
import jax
import jax.numpy as jnp
import numpy as np
import torch

from book import EPSILON, FLOATS, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(14))
MOVED = ["f32", "u8", "s64", "bf16", "pred"]


def values(shape, dtype, low=-90, high=90):
    if dtype == "pred":
        return rng.integers(0, 2, shape)
    if dtype in FLOATS:
        return rounded(rng.standard_normal(shape), dtype).astype(np.float64)
    return rng.integers(0 if dtype[0] == "u" else low, high, shape)


def along(book):
    for shape, axis in (((7,), 0), ((3, 5), 0), ((3, 5), 1), ((2, 3, 4), 1), ((2, 3, 4), -1), ((1, 2, 1, 3, 1, 2, 1, 2), 3)):
        n = shape[axis]
        for dtype in MOVED if len(shape) == 3 else ["f32"]:
            for kind in ("s64", "u8", "s32") if dtype == "f32" else ("s32",):
                wide = list(shape)
                wide[axis] = 6
                x, index = values(shape, dtype), rng.integers(0 if kind == "u8" else -3, n + 3, wide)
                y = np.take_along_axis(x, np.clip(index, 0, n - 1), axis)
                book.add("take_along_axis", f"take_along_axis {dtype} {kind} {list(shape)} {axis}",
                         [(x, dtype), (index, kind)], [(y, dtype)], {"axis": axis})
    x = values((2, 3), "f32")
    book.add("take_along_axis", "take_along_axis none", [(x, "f32"), (np.zeros((2, 0), int), "s64")],
             [(np.zeros((2, 0)), "f32")], {"axis": 1})


def picked(x, index, axes):
    """x at the clamped positions index [.., k] of the axes, which come first in x's place."""
    front = np.moveaxis(x, axes, range(len(axes)))
    at = tuple(np.clip(index[..., i], 0, x.shape[a] - 1) for i, a in enumerate(axes))
    return front[at] if axes else np.broadcast_to(x, index.shape[:-1] + x.shape)


PLACES = (((6, 4), [0], (5,)), ((6, 4), [1], (5,)), ((6, 4), [0, 1], (5,)), ((6, 4), [1, 0], (2, 3)), ((3, 4, 5), [0, 2], (4,)),
          ((3, 4, 5), [1], (2, 2)), ((3, 4, 5), [2], ()), ((3, 4, 5), [2, 0, 1], (7,)), ((6, 4), [0], (0,)), ((6, 0), [0], (3,)),
          ((2, 1, 2, 1, 3, 1, 2, 2), [0, 2, 4, 6, 7], (3,)), ((4,), [0], (2, 1, 2, 1, 1, 2)))


def gather(book):
    for shape, axes, batch in PLACES:
        for dtype in MOVED if len(shape) == 3 else ["f32"]:
            x = values(shape, dtype)
            index = np.stack([rng.integers(-2, shape[a] + 2, batch) for a in axes], -1)
            for kind in ("s64", "s32", "s8") if dtype == "f32" else ("s32",):
                book.add("gather", f"gather {dtype} {kind} {list(shape)} {axes} {list(batch)}", [(x, dtype), (index, kind)],
                         [(picked(x, index, axes), dtype)], {"axes": axes})


def indexed(book):
    for shape, axes, batch in PLACES:
        for dtype in ("f32", "f64", "f16", "bf16", "s32", "u8", "s64") if len(shape) < 4 else ("f32",):
            x, rest = values(shape, dtype), [d for i, d in enumerate(shape) if i not in axes]
            u = values(list(batch) + rest, dtype)
            # Few places, so that indices repeat; some out of range.
            index = np.stack([rng.integers(-1, min(shape[a], 2) + 1, batch) for a in axes], -1)
            index = np.where(index >= np.minimum([shape[a] for a in axes], 2), 10**6 if dtype != "f32" else 120, index)
            put = np.array(np.moveaxis(x, axes, range(len(axes))))
            added = put.astype(np.float64 if dtype in FLOATS else np.int64)
            for n in np.ndindex(*batch):
                at = tuple(index[n])
                if all(0 <= i < d for i, d in zip(at, put.shape)):
                    put[at] = u[n]
                    added[at] = rounded(added[at] + u[n], dtype)  # each sum is rounded
            kind = "s8" if dtype == "f32" else "s32"
            inputs = [(x, dtype), (index, kind), (u, dtype)]
            name = f"{dtype} {list(shape)} {axes} {list(batch)}"
            for op, y in (("indexed_put", put), ("indexed_add", added)):
                book.add(op, f"{op} {name}", inputs, [(np.moveaxis(y, range(len(axes)), axes), dtype)], {"axes": axes})
    # JAX, which drops what is out of range, on indices that differ.
    x, u, index = values((8, 3), "f32"), values((4, 3), "f32"), np.array([[7], [2], [100], [0]])
    y = np.asarray(jnp.asarray(x, jnp.float32).at[index[:, 0]].add(jnp.asarray(u, jnp.float32), mode="drop"))
    book.add("indexed_add", "indexed_add as JAX", [(x, "f32"), (index, "s64"), (u, "f32")], [(y, "f32")], {"axes": [0]})
    y = np.zeros(5)
    np.add.at(y, [1, 1, 3, 1], 1.0)
    book.add("indexed_add", "indexed_add promoted", [(np.zeros(5), "s32"), (np.array([[1], [1], [3], [1]]), "u8"),
                                                     (np.ones(4), "f16")], [(y, "f16")], {"axes": [0]})


def slices(book):
    with jax.enable_x64(True):
        for shape, lengths, starts in (((5,), (3,), [4]), ((5,), (3,), [-2]), ((4, 6), (2, 3), [1, 2]), ((4, 6), (2, 3), [3, 9]),
                                       ((2, 3, 4), (2, 1, 2), [-1, 1, 1]), ((2, 3, 4), (1, 0, 4), [0, 2, 0]), ((), (), []),
                                       ((2, 3, 1, 2), (1, 2, 1, 1), [1, 0, 0, 1])):
            for dtype in MOVED if len(shape) == 3 else ["f32"]:
                for kind in ("s32", "u8") if min(starts, default=0) >= 0 else ("s32", "s64"):
                    x, u = values(shape, dtype), values(lengths, dtype)
                    ops = [(np.array(s), kind) for s in starts]
                    at = [max(0, i) for i in starts]  # JAX counts negative starts from the end, XLA and Nx clamp
                    y = np.asarray(jax.lax.dynamic_slice(jnp.asarray(x), at, lengths))
                    name = f"{dtype} {kind} {list(shape)} {starts}"
                    book.add("dynamic_slice", "dynamic_slice " + name, [(x, dtype)] + ops, [(y, dtype)],
                             {"lengths": list(lengths), "strides": [1] * len(shape)})
                    y = y[tuple(slice(None, None, 2) for _ in shape)]
                    book.add("dynamic_slice", "dynamic_slice by twos " + name, [(x, dtype)] + ops, [(y, dtype)],
                             {"lengths": list(lengths), "strides": [2] * len(shape)})
                    y = np.asarray(jax.lax.dynamic_update_slice(jnp.asarray(x), jnp.asarray(u), at))
                    book.add("put_slice", "put_slice " + name, [(x, dtype), (u, dtype)] + ops, [(y, dtype)])
    book.add("put_slice", "put_slice promoted", [(np.arange(4), "s32"), (np.array([0.5]), "f32"), (np.array(2), "s64")],
             [(np.array([0, 1, 0.5, 3]), "f32")])


def arrange(book):
    for dtype in ("f32", "u8", "pred"):
        x = values((2, 3, 4), dtype)
        d = [(x, dtype)]
        for reps in ([1, 1, 1], [2, 1, 3], [1, 2, 1], [2, 3, 2], [0, 1, 2]):
            book.add("tile", f"tile {dtype} {reps}", d, [(np.tile(x, reps), dtype)], {"reps": reps})
        for count, axis in ((2, 0), (3, 1), (2, -1), (0, 1), (1, 2)):
            book.add("repeat", f"repeat {dtype} {count} {axis}", d, [(np.repeat(x, count, axis), dtype)],
                     {"count": count, "axis": axis})
        for axis in (0, 1, 3, -1):
            book.add("stack", f"stack {dtype} {axis}", [(x, dtype), (x[::-1], dtype), (x, dtype)],
                     [(np.stack([x, x[::-1], x], axis), dtype)], {"axis": axis})
        for shift, axis in ((1, 0), (-1, 1), (5, 2), (0, 1), (-9, 2)):
            book.add("roll", f"roll {dtype} {shift} {axis}", d, [(np.roll(x, shift, axis), dtype)],
                     {"shift": shift, "axis": axis})
        for k in (0, 1, -1, 3, 4, -2, -3):
            book.add("diagonal", f"diagonal {dtype} {k}", d, [(np.diagonal(x, k, -2, -1), dtype)], {"offset": k})
            for op, f in (("tril", np.tril), ("triu", np.triu)):
                book.add(op, f"{op} {dtype} {k}", d, [(f(x, k), dtype)], {"offset": k})
            book.add("eye", f"eye {dtype} {k}", [], [(np.broadcast_to(np.eye(3, 4, k), (2, 3, 4)), dtype)],
                     {"dtype": dtype, "dims": [2, 3, 4], "offset": k})
            book.add("tri", f"tri {dtype} {k}", [], [(np.tri(3, 4, k), dtype)],
                     {"dtype": dtype, "dims": [3, 4], "offset": k})
        for k in (0, 2, -1):
            book.add("make_diagonal", f"make_diagonal {dtype} {k}", [(x[0, 0], dtype)], [(np.diag(x[0, 0], k), dtype)],
                     {"offset": k})
        if dtype != "pred":
            a, b = values((2, 2), dtype, high=11), values((3,), dtype, high=11)
            y = rounded(np.outer(a, b), dtype)
            book.add("outer", f"outer {dtype}", [(a, dtype), (b, dtype)], [(y, dtype)])
        book.add("full", f"full {dtype}", [], [(np.full((2, 0, 3), 1), dtype)],
                 {"dtype": dtype, "dims": [2, 0, 3], "value": 1})
        book.add("full", f"full 1 {dtype}", [], [(np.full((2, 3), 1), dtype)], {"dtype": dtype, "dims": [2, 3], "value": 1})
    x = values((2, 1, 2, 1, 2, 3, 1, 2), "f32")
    for reps in ([2, 2, 1, 3, 2, 1, 2, 2], [1, 1, 1, 1, 1, 1, 1, 3]):
        book.add("tile", f"tile rank 8 {reps}", [(x, "f32")], [(np.tile(x, reps), "f32")], {"reps": reps})
    book.add("tile", "tile rank 0", [(np.array(3.0), "f32")], [(np.array(3.0), "f32")], {"reps": []})
    book.add("make_diagonal", "make_diagonal of nothing", [(np.zeros(0), "f32")], [(np.zeros((2, 2)), "f32")], {"offset": -2})


CUMULATIVE = {"cumulative_sum": np.cumsum, "cumulative_product": np.cumprod, "cumulative_max": np.maximum.accumulate,
              "cumulative_min": np.minimum.accumulate}


def cumulative(book):
    shared = {}
    for op, f in CUMULATIVE.items():
        for dtype in FLOATS + ["s32", "u8", "s8", "s64", "u64", "u16"]:
            for shape, axis in (((9,), 0), ((3, 5), 0), ((2, 3, 4), 1), ((2, 19), -1), ((21, 5), 0), ((1, 2, 1, 3, 1, 2, 1, 2), 3)):
                if dtype not in ("f32", "s32") and shape not in ((2, 3, 4), (2, 19)):
                    continue
                x = shared.setdefault((dtype, shape), values(shape, dtype))
                if op == "cumulative_product" and dtype in FLOATS:
                    x = rounded(rng.uniform(0.8, 1.25, shape), dtype).astype(np.float64)
                for reverse in (False, True):
                    flip = (lambda v: np.flip(v, axis)) if reverse else (lambda v: v)
                    with np.errstate(all="ignore"):
                        wide = x if dtype in FLOATS else x.astype(NUMPY[dtype])
                        y = flip(f(flip(wide), axis=axis)) if "m" in op[-3:-1] or op[-3:] in ("max", "min") else \
                            flip(f(flip(wide), axis=axis, dtype=wide.dtype))
                    unit = EPSILON.get("f32" if dtype in ("f16", "bf16") else dtype, 0)
                    loose = op in ("cumulative_sum", "cumulative_product") and dtype in FLOATS
                    book.add(op, f"{op} {dtype} {list(shape)} {axis} {'reverse' if reverse else ''}", [(x, dtype)],
                             [(y, dtype)], {"axis": axis, "reverse": reverse},
                             abs=np.abs(x).sum() * unit if loose else 0, rel=EPSILON[dtype] + 32 * unit if loose else 0)
        nan = np.array([[1.0, np.nan, 3.0, 0.0], [np.inf, 2.0, -np.inf, 5.0], [-1.0, -np.inf, np.nan, np.inf]])
        for reverse in (False, True):
            flip = np.fliplr if reverse else (lambda v: v)
            with np.errstate(all="ignore"):
                book.add(op, f"{op} special values {reverse}", [(nan, "f32")], [(flip(f(flip(nan), axis=1)), "f32")],
                         {"axis": 1, "reverse": reverse})
        book.add(op, f"{op} of nothing", [(np.zeros((2, 0, 3)), "f32")], [(np.zeros((2, 0, 3)), "f32")],
                 {"axis": 1, "reverse": False})
    # Long lines, in blocks: the running total keeps its small parts.
    x = rounded(np.where(np.arange(8300) % 64 == 0, 1e3, 1e-3) * rng.uniform(0.5, 1, 8300), "f32").astype(np.float64)
    book.add("cumulative_sum", "cumulative_sum long", [(x, "f32")], [(np.cumsum(x), "f32")], {"axis": 0, "reverse": False},
             rel=3e-5)


WINDOWS = {"window_sum": (0, jax.lax.add), "window_product": (1, jax.lax.mul), "window_max": (-np.inf, jax.lax.max),
           "window_min": (np.inf, jax.lax.min)}
# shape, window, strides, dilations, low, high
SLIDES = (((9,), [3], [1], [1], [0], [0]), ((9,), [2], [2], [3], [1], [2]), ((5, 6), [2, 3], [1, 2], [1, 1], [0, 1], [1, 1]),
          ((5, 6), [1, 2], [2, 2], [1, 1], [0, 0], [0, 0]), ((2, 5, 6, 2), [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1], [0, 1, 0, 0],
          [0, 1, 0, 0]), ((2, 3, 8, 8), [1, 1, 2, 2], [1, 1, 2, 2], [1] * 4, [0] * 4, [0] * 4), ((7, 4), [3, 2], [1, 1], [2, 2],
          [-1, 0], [0, -1]), ((), [], [], [], [], []), ((2, 1, 2, 1, 3, 2, 1, 2), [2, 1, 1, 1, 2, 1, 1, 2], [1] * 8, [1] * 8, [0] * 8,
          [0, 0, 0, 0, 1, 0, 0, 0]), ((4,), [2], [1], [1], [3], [2]), ((0, 4), [2, 2], [1, 1], [1, 1], [0, 0], [0, 0]),
          ((0, 4), [2, 2], [1, 1], [1, 1], [2, 0], [1, 0]), ((2, 20), [1, 9], [1, 1], [1, 1], [0, 4], [0, 4]),
          ((20, 2), [11, 1], [3, 1], [1, 1], [5, 0], [5, 0]))


def windows(book):
    with jax.enable_x64(True):
        for n, slide in enumerate(SLIDES):
            shape, window, strides, dilations, low, high = slide
            attrs = dict(zip(("window", "strides", "dilations", "low", "high"), slide[1:]))
            for dtype in FLOATS + ["s32", "u8", "s8", "s64"] if n in (2, 6) else ["f32", "s32"]:
                x = values(shape, dtype)
                for op, (start, f) in WINDOWS.items():
                    if dtype in FLOATS:
                        init, wide = np.float64(start), x
                    else:
                        info = np.iinfo(NUMPY[dtype])
                        init, wide = np.int64(start) if np.isfinite(start) else np.int64(info.min if start < 0 else info.max), x
                    # The pads and the nothing of integers are the lowest or the highest value.
                    y = np.asarray(jax.lax.reduce_window(jnp.asarray(wide, init.dtype), init, f, window, strides, list(zip(low, high)),
                                                         window_dilation=dilations))
                    unit = EPSILON.get("f32" if dtype in ("f16", "bf16") else dtype, 0)
                    loose = op in ("window_sum", "window_product") and dtype in FLOATS
                    book.add(op, f"{op} {dtype} {list(shape)} {window} {strides} {dilations} {low} {high}", [(x, dtype)],
                             [(y, dtype)], attrs, abs=unit * np.abs(x).sum() if loose else 0, rel=EPSILON[dtype] if loose else 0)
        x = values((2, 5, 7), "f32")
        for strides in ([1, 1, 1], [1, 2, 3]):
            y = np.asarray(jax.lax.reduce_window(jnp.asarray(x), 0.0, jax.lax.add, (1, 2, 3), strides, "SAME"))
            for op, v in (("window_sum", y), ("window_mean", y / 6)):
                book.add(op, f"{op} same {strides}", [(x, "f32")], [(v, "f32")],
                         {"window": [1, 2, 3], "strides": strides, "same": True}, abs=1e-6, rel=1e-6)
    book.add("window_mean", "window_mean s32", [(np.array([1, 2, 4]), "s32")], [(np.array([1.5, 3.0]), "f32")], {"window": [2]})
    nan = np.array([1.0, np.nan, 3.0, 4.0, np.inf, -np.inf])
    for op, y in (("window_max", [np.nan, np.nan, 4, np.inf, np.inf]), ("window_min", [np.nan, np.nan, 3, 4, -np.inf]),
                  ("window_sum", [np.nan, np.nan, 7, np.inf, np.nan])):
        book.add(op, f"{op} special values", [(nan, "f32")], [(np.array(y), "f32")], {"window": [2]})


def scattered(x, source, init, window, strides, low, high, better):
    padded = np.pad(x.astype(np.float64), list(zip(low, high)), constant_values=init) if low else np.array(x, np.float64)
    out = np.full(padded.shape, init, np.float64)
    for place in np.ndindex(*source.shape):
        best = None
        for element in np.ndindex(*window):
            at = tuple(p * s + e for p, s, e in zip(place, strides, element))
            if best is None or better(padded[at], padded[best]):
                best = at
        out[best] += source[place]
    return out[tuple(slice(lo, lo + n) for lo, n in zip(low, x.shape))]


def scatters(book):
    cases = (((6,), [2], [2], [0], [0]), ((5, 6), [2, 3], [1, 2], [0, 1], [1, 1]), ((2, 4, 4), [1, 2, 2], [1, 2, 2], [0] * 3, [0] * 3),
             ((7,), [3], [1], [1], [1]), ((), [], [], [], []), ((2, 0), [1, 2], [1, 1], [0, 0], [0, 0]),
             ((1, 2, 1, 3, 1, 2, 1, 2), [1, 2, 1, 2, 1, 1, 1, 1], [1] * 8, [0] * 8, [0] * 8))
    for shape, window, strides, low, high in cases:
        places = [max(0, (n + a + b - w) // s + 1) for n, w, s, a, b in zip(shape, window, strides, low, high)]
        for dtype, init in (("f32", 0.0), ("f32", 2.5), ("s32", 1), ("u8", 0), ("bf16", 0.0)):
            x = np.round(values(shape, dtype) * (1.5 if dtype in FLOATS else 1))  # few values: ties
            source = np.round(values(places, dtype, -5, 6)) if dtype in FLOATS else values(places, dtype, -5, 6)
            attrs = {"window": window, "strides": strides, "low": low, "high": high}
            for op, better in (("window_scatter_max", np.greater_equal), ("window_scatter_min", np.less_equal)):
                y = scattered(x, source, init, window, strides, low, high, better)
                book.add(op, f"{op} {dtype} {list(shape)} {window} {low} {init}",
                         [(x, dtype), (source, dtype), (np.array(init), dtype)], [(y, dtype)], attrs)
    # No ties, no padding: the gradient of PyTorch's max_pool2d.
    x = torch.from_numpy(rng.permutation(64).reshape(1, 1, 8, 8).astype(np.float32)).requires_grad_()
    y = torch.nn.functional.max_pool2d(x, (3, 2), (2, 1))
    source = torch.from_numpy(rng.standard_normal(y.shape).astype(np.float32))
    y.backward(source)
    book.add("window_scatter_max", "window_scatter_max as PyTorch", [(x.detach().numpy(), "f32"), (source.numpy(), "f32"),
             (np.array(0.0), "f32")], [(x.grad.numpy(), "f32")], {"window": [1, 1, 3, 2], "strides": [1, 1, 2, 1],
                                                                  "low": [0] * 4, "high": [0] * 4}, abs=1e-6)


def edges(book):
    """pad where there is little to pad."""
    for low, high, interior, x in (([], [], [], np.array(3.0)), ([2], [1], [3], np.zeros(0)), ([-1], [0], [2], np.arange(4.0)),
                                   ([-2], [-3], [2], np.arange(4.0)), ([-4], [1], [1], np.arange(3.0)), ([1], [0], [1], np.arange(1.0)),
                                   ([0, 1], [0, 1], [0, 2], np.zeros((0, 2))), ([-3], [-2], [0], np.arange(5.0))):
        y = np.asarray(jax.lax.pad(jnp.asarray(x, jnp.float32), jnp.float32(9), list(zip(low, high, interior))))
        for dtype in ("f32", "u8"):
            book.add("pad", f"pad edge {dtype} {low} {high} {interior} {list(x.shape)}", [(x, dtype), (np.array(9.0), dtype)],
                     [(y, dtype)], {"low": low, "high": high, "interior": interior})


def record(book):
    for part in (along, gather, indexed, slices, arrange, cumulative, windows, scatters, edges):
        part(book)
