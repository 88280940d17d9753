"""dot_general and the fast ops. All in double from the operands' exact values, checked here against a second opinion
(PyTorch or JAX) where one means the same."""
import jax
import numpy as np
import torch

from book import EPSILON, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(9))
torch.set_num_threads(1)
jax.config.update("jax_enable_x64", True)


def normal(shape, dtype="f32", scale=1.0):
    return rounded(scale * rng.standard_normal(shape), dtype).astype(np.float64)


def agree(ours, theirs, what):
    worst = np.max(np.abs(np.asarray(ours) - np.asarray(theirs)), initial=0)
    if not worst < 1e-9:
        raise SystemExit(f"{what}: two references differ by {worst}")


def unit(dtype):
    """Rounding of the accumulator, then of the result."""
    return EPSILON["f32" if dtype in ("f16", "bf16") else dtype], EPSILON[dtype] / 2


DOTS = [([7], [7], [0], [0], [], []), ([3, 4], [4, 5], [1], [0], [], []), ([3, 4], [5, 4], [1], [1], [], []),
        ([4, 3], [4, 5], [0], [0], [], []), ([2, 3, 4], [2, 4, 5], [2], [1], [0], [0]),
        ([2, 3, 4, 5], [2, 3, 6, 5], [3], [3], [0, 1], [0, 1]), ([2, 3, 4], [3, 4, 5], [1, 2], [0, 1], [], []),
        ([3, 2, 4], [4, 2, 5], [2], [0], [1], [1]), ([17, 33], [33, 19], [1], [0], [], []),
        ([1, 65], [65, 48], [1], [0], [], []), ([6, 5], [3], [], [], [], []), ([3, 0], [0, 2], [1], [0], [], []),
        ([2, 4, 3], [4, 2, 3], [0, 1], [1, 0], [], [])]


def dot(book):
    for a_shape, b_shape, ca, cb, ba, bb in DOTS:
        attrs = {"contract_a": ca, "batch_a": ba, "contract_b": cb, "batch_b": bb}
        dims = ((tuple(ca), tuple(cb)), (tuple(ba), tuple(bb)))
        large = max(a_shape + b_shape) > 16
        for dtype in ("f32", "bf16") if large else ("f32", "f64", "f16", "bf16", "s32", "s64"):
            if dtype[0] == "s":
                a, b = (rng.integers(-9, 9, s).astype(NUMPY[dtype]) for s in (a_shape, b_shape))
                big, slack = 0, (0, 0)
            else:
                a, b = normal(a_shape, dtype), normal(b_shape, dtype)
                big, slack = np.max(np.asarray(jax.lax.dot_general(np.abs(a), np.abs(b), dims)), initial=0), unit(dtype)
            y = np.asarray(jax.lax.dot_general(a, b, dims))
            book.add("dot_general", f"dot_general {dtype} {a_shape} {b_shape} {ca}", [(a, dtype), (b, dtype)],
                     [(y, dtype)], attrs, abs=2 * big * slack[0], rel=slack[1])
    agree(np.asarray(jax.lax.dot_general(a, b, dims)), np.einsum("abc,bad->cd", a, b) if a.ndim == 3 else y, "dot")


def mixed(book):
    """f32 with a half operand 1, which is read as it is."""
    own = np.random.Generator(np.random.PCG64(10))
    for a_shape, b_shape, ca, cb, ba, bb in DOTS:
        if ba:
            continue
        for dtype in ("bf16", "f16"):
            a = rounded(own.standard_normal(a_shape), "f32").astype(np.float64)
            b = rounded(own.standard_normal(b_shape), dtype).astype(np.float64)
            y = np.tensordot(a, b, (ca, cb))
            agree(y, jax.lax.dot_general(a, b, ((tuple(ca), tuple(cb)), ((), ()))), "mixed dot")
            big = np.max(np.tensordot(np.abs(a), np.abs(b), (ca, cb)), initial=0)
            book.add("dot_general", f"dot_general f32 {dtype} {a_shape} {b_shape} {ca}", [(a, "f32"), (b, dtype)],
                     [(y, "f32")], {"contract_a": ca, "batch_a": [], "contract_b": cb, "batch_b": []},
                     abs=2 * big * EPSILON["f32"], rel=EPSILON["f32"] / 2)


def softmax(book):
    rows = {"plain": normal((3, 4, 7), scale=3), "long": normal((2, 150)), "one": np.ones((3, 1)),
            "large": np.array([[1e4, 9999.0, -1e4], [-3e38, 3e38, 0.0], [0.0, -np.inf, -np.inf], [88, -88, 0.0]])}
    for name, x in rows.items():
        for dtype in ("f32", "f64", "f16", "bf16"):
            v = rounded(x, dtype).astype(np.float64)
            if dtype == "f16" and name == "large":
                v = np.clip(v, -60000, 60000)
            for axis in range(-1, x.ndim - 1):
                if name == "large" and axis != -1:
                    continue
                with np.errstate(all="ignore"):
                    e = np.exp(v - v.max(axis, keepdims=True))
                y = e / e.sum(axis, keepdims=True)
                agree(y, torch.softmax(torch.from_numpy(v), axis), "softmax")
                book.add("softmax", f"softmax {dtype} {name} {axis}", [(v, dtype)], [(y, dtype)], {"axis": axis},
                         abs=1e-45 if dtype != "f16" else 6e-8, rel=max(2e-6 if dtype != "f64" else 1e-14,
                                                                        EPSILON[dtype]))


def norms(book):
    inputs = {"plain": normal((3, 5, 16)), "odd": normal((4, 37), scale=2), "offset": 1000 + normal((3, 64)),
              "constant": np.full((2, 8), 3.0), "one": normal((4, 1)), "wide": normal((2, 192))}
    for name, x in inputs.items():
        for dtype in ("f32", "f64", "f16", "bf16"):
            v = rounded(x, dtype).astype(np.float64)
            n = v.shape[-1]
            w, b = normal((n,), dtype), normal((n,), dtype)
            if (n > 64 and dtype != "f32") or (n > 16 and dtype == "f64"):
                continue
            for eps in (1e-12, 1e-5) if name in ("plain", "constant") else (1e-5,):
                mean = v.mean(-1, keepdims=True)
                layer = (v - mean) / np.sqrt(((v - mean)**2).mean(-1, keepdims=True) + eps)
                rms = v / np.sqrt((v * v).mean(-1, keepdims=True) + eps)
                agree(layer * w + b, torch.nn.functional.layer_norm(*map(torch.from_numpy, (v,)), (n,),
                                                                    torch.from_numpy(w), torch.from_numpy(b), eps)
                      if name not in ("constant", "one") else layer * w + b, "layer_norm")
                half = dtype in ("f16", "bf16")
                # Centring values far from zero costs digits; a half result is rounded before and after the weight.
                slack = {"abs": 3 * EPSILON[dtype] if half else 16 * EPSILON[dtype] * max(1, np.abs(v).max()),
                         "rel": 3 * EPSILON[dtype] if half else 8 * EPSILON[dtype]}
                if name in ("constant", "one") and eps == 1e-12 and not half:
                    slack["abs"] = 1e-6
                for ww, bb in ((w, b), (w, None), (None, None)) if name in ("plain", "odd") else ((w, b),):
                    given = [(v, dtype)] + [None if p is None else (p, dtype) for p in (ww, bb)]
                    y = layer * (1 if ww is None else ww) + (0 if bb is None else bb)
                    what = f"{dtype} {name} {eps} {'w' if ww is not None else '-'}{'b' if bb is not None else '-'}"
                    book.add("layer_norm", "layer_norm " + what, given, [(y, dtype)], {"eps": eps}, **slack)
                    if bb is None or name not in ("plain", "odd"):
                        y = rms * (1 if ww is None else ww)
                        book.add("rms_norm", "rms_norm " + what, given[:2], [(y, dtype)], {"eps": eps},
                                 abs=0, rel=slack["rel"])


def rope_reference(x, offset, dims, interleaved, base, scale):
    half = dims // 2
    angle = ((np.arange(x.shape[-2]) + offset) * scale)[:, None] * base ** (-2.0 * np.arange(half) / dims)
    cos, sin, y = np.cos(angle), np.sin(angle), x.copy()
    first, second = (slice(0, dims, 2), slice(1, dims, 2)) if interleaved else (slice(0, half), slice(half, dims))
    y[..., first] = x[..., first] * cos - x[..., second] * sin
    y[..., second] = x[..., first] * sin + x[..., second] * cos
    return y


def rope(book):
    for shape, offset, dims, base, scale in (((5, 8), 0, 8, 1e4, 1.0), ((2, 2, 5, 16), 11, 16, 1e4, 1.0),
                                             ((1, 2, 4, 12), 3, 8, 1e4, 1.0), ((2, 1, 32), 100, 32, 5e5, 0.25),
                                             ((1, 1, 6, 6), 0, 2, 100.0, 2.0)):
        for dtype in ("f32", "f64", "bf16"):
            x = normal(shape, dtype)
            for interleaved in (False, True):
                y = rope_reference(x, offset, dims, interleaved, base, scale)
                attrs = {"dims": dims, "interleaved": interleaved, "base": base, "scale": scale}
                given = [(x, dtype), (np.array(offset), "s32") if offset else None]
                # Angles are allowed to be formed in f32: an error of a few units of the largest angle.
                largest = (shape[-2] + offset) * scale
                e = EPSILON["f32"] if dtype != "f64" else EPSILON["f64"]
                book.add("rope", f"rope {dtype} {list(shape)} {offset} {dims} {'pairs' if interleaved else 'halves'}",
                         given, [(y, dtype)], attrs, abs=4 * e * max(1, largest) * 3, rel=EPSILON[dtype])


def attention(q, k, v, scale, mask=None, causal=False):
    """Rows without a key give 0. mask: bool (true keeps) or additive."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scores = scale * q @ np.swapaxes(k, -1, -2)
    lq, lk = scores.shape[-2:]
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.arange(lk) <= np.arange(lq)[:, None] + lk - lq, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    with np.errstate(all="ignore"):
        e = np.where(np.isfinite(top), np.exp(scores - np.where(np.isfinite(top), top, 0)), 0)
        total = e.sum(-1, keepdims=True)
        return np.where(total > 0, e / np.where(total > 0, total, 1), 0) @ v


def sdpa(book):
    for b, h, hkv, lq, lk, d, dv in ((1, 1, 1, 3, 3, 4, 4), (2, 4, 4, 5, 5, 8, 8), (2, 4, 2, 3, 7, 8, 8),
                                     (1, 6, 1, 1, 9, 16, 16), (1, 2, 2, 6, 4, 8, 5), (1, 2, 1, 33, 33, 16, 16)):
        for dtype in ("f32", "f64", "f16", "bf16"):
            q, k, v = normal((b, h, lq, d), dtype), normal((b, hkv, lk, d), dtype), normal((b, hkv, lk, dv), dtype)
            keep = rng.random((b, 1, lq, lk)) < 0.7
            keep[..., 0] = True
            full = keep.copy()
            full[0, 0, 0] = False
            masks = {"none": (None, None), "bool": (keep, "pred"), "row without keys": (full, "pred"),
                     "bool row": (keep[:, :, :1], "pred"), "additive": (normal((h, lq, lk), dtype), dtype),
                     "padding": (np.where(keep[:1, :, :1], 0, -1e9 if dtype in ("f32", "f64") else -1e4), dtype)}
            for name, (mask, kind) in masks.items():
                if lq == 33 and (dtype != "f32" or name not in ("none", "padding")):
                    continue
                if dtype in ("f64", "f16") and (lq, lk) != (3, 3):
                    continue
                for causal in (False, True):
                    scale = 1 / np.sqrt(d) if name != "additive" else 0.3
                    y = attention(q, k, v, scale, mask, causal)
                    if name == "none" and not causal:
                        t = torch.nn.functional.scaled_dot_product_attention(
                            *map(torch.from_numpy, (q, np.repeat(k, h // hkv, 1), np.repeat(v, h // hkv, 1))))
                        agree(y, t, "sdpa")
                    given = [(q, dtype), (k, dtype), (v, dtype), None if mask is None else (mask, kind)]
                    e = 4 * max(EPSILON[dtype], EPSILON["f32"] * (dtype != "f64"))
                    book.add("sdpa", f"sdpa {dtype} {b},{h},{hkv},{lq},{lk} {name}{' causal' if causal else ''}", given,
                             [(y, dtype)], {"scale": scale, "causal": causal}, abs=e * 4, rel=e)


def segments(book):
    for h, d, dv, lengths, tail in ((2, 8, 8, [3, 1, 5], 0), (3, 4, 6, [1], 2), (1, 16, 16, [17, 0, 20], 0)):
        offsets = np.cumsum([0] + lengths)
        t, longest = offsets[-1] + tail, max(lengths)
        q, k, v = normal((t, h, d)), normal((t, h, d)), normal((t, h, dv))
        bias = normal((h, 2 * longest - 1))
        for name, table in (("", None), (" bias", bias)):
            y = np.zeros((t, h, dv))
            for lo, hi in zip(offsets, offsets[1:]):
                part = [np.swapaxes(x[None, lo:hi], 1, 2) for x in (q, k, v)]
                index = np.arange(hi - lo) - np.arange(hi - lo)[:, None] + longest - 1
                if hi > lo:
                    y[lo:hi] = np.swapaxes(attention(*part, 0.4, None if table is None else table[None][:, :, index]),
                                           1, 2)[0]
            book.add("sdpa_segments", f"sdpa_segments {h} {lengths}{name}",
                     [(q, "f32"), (k, "f32"), (v, "f32"), (offsets, "s32"), None if table is None else (table, "f32")],
                     [(y, "f32")], {"scale": 0.4}, abs=2e-6, rel=2e-6)
        x = normal((t, 5))
        pools = {"mean": lambda s: s.mean(0), "cls": lambda s: s[0], "max": lambda s: s.max(0), "last": lambda s: s[-1],
                 "mean_sqrt": lambda s: s.sum(0) / np.sqrt(len(s)),
                 "weighted": lambda s: (s * np.arange(1, len(s) + 1)[:, None]).sum(0) / np.arange(1, len(s) + 1).sum()}
        for pool, f in pools.items():
            y = np.stack([f(x[lo:hi]) if hi > lo else np.zeros(5) for lo, hi in zip(offsets, offsets[1:])])
            book.add("segment_pool", f"segment_pool {pool} {lengths}", [(x, "f32"), (offsets, "s32")], [(y, "f32")],
                     {"pool": pool}, abs=1e-6, rel=1e-6)


def record(book):
    for part in (dot, softmax, norms, rope, sdpa, segments, mixed):
        part(book)
