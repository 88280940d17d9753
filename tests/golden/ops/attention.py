"""Rotary embedding, attention with all that it can do, caches of keys and values, gated activations, norms of mixed
dtypes. In double from the operands' exact values; PyTorch and transformers are the second opinion where they have the
op."""
import numpy as np
import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from book import EPSILON, rounded
from products import agree, normal

rng = np.random.Generator(np.random.PCG64(12))


def turned(x, cos, sin, dims, interleaved):
    """cos, sin: [.., dims]."""
    first, second = (slice(0, dims, 2), slice(1, dims, 2)) if interleaved else (slice(0, dims // 2),
                                                                                 slice(dims // 2, dims))
    y, c, s = x.copy(), np.broadcast_to(cos, x[..., :dims].shape), np.broadcast_to(sin, x[..., :dims].shape)
    y[..., first] = x[..., first] * c[..., first] - x[..., second] * s[..., first]
    y[..., second] = x[..., second] * c[..., second] + x[..., first] * s[..., second]
    return y


def rope(book):
    shapes = (((2, 2, 3, 16), 16, -2), ((2, 3, 2, 16), 8, 1), ((3, 2, 36), 36, -2), ((2, 1, 1, 64), 32, -2))
    for shape, dims, axis in shapes:
        for dtype in ("f32", "f16", "bf16", "f64"):
            if dtype == "f64" and shape[-1] != 16:
                continue
            x = normal(shape, dtype)
            offsets = {"none": None, "scalar": np.array(7), "batch": rng.integers(0, 90, shape[0])}
            for name, offset in offsets.items():
                for given in ("base", "freqs"):
                    if (given == "freqs") != (name == "batch") and dtype != "f32":
                        continue
                    interleaved = bool(rng.integers(2))
                    half, scale = dims // 2, 0.5 if name == "scalar" else 1.0
                    base = 500.0
                    wave = rounded(base ** (2.0 * np.arange(half) / dims) * (1.3 if given == "freqs" else 1), "f32")
                    wave = wave.astype(np.float64) if given == "freqs" else base ** (2.0 * np.arange(half) / dims)
                    t = np.arange(shape[axis]) + (0 if offset is None else offset[..., None])
                    angle = (t * scale)[..., None] / wave
                    where = [1] * len(shape)
                    where[axis], where[-1] = shape[axis], half
                    where[0] = shape[0] if t.ndim == 2 else where[0]
                    angle = angle.reshape(where)
                    full = np.repeat(angle, 2, -1) if interleaved else np.concatenate([angle, angle], -1)
                    y = turned(x, np.cos(full), np.sin(full), dims, interleaved)
                    attrs = {"dims": dims, "interleaved": interleaved, "scale": scale}
                    attrs.update({"axis": axis} if axis != -2 else {}, **({"base": base} if given == "base" else {}))
                    operands = [(x, dtype), None if offset is None else (offset, "s32" if name == "batch" else "u8"),
                                (wave, "f32") if given == "freqs" else None]
                    largest = np.max(np.abs(angle))
                    e = EPSILON["f32" if dtype != "f64" else "f64"]
                    book.add("rope", f"rope {dtype} {list(shape)} {dims} {name} {given}", operands, [(y, dtype)], attrs,
                             abs=12 * e * max(1, largest), rel=EPSILON[dtype])


def rotary(book):
    for shape, table, dims in (((2, 2, 3, 16), (2, 1, 3, 16), 16), ((2, 2, 3, 16), (3, 4), 8),
                               ((1, 2, 2, 70), (1, 1, 2, 70), 70), ((4, 66), (4, 33), 66)):
        for dtype in ("f32", "f16", "bf16", "f64"):
            if dtype in ("f16", "f64") and shape[-1] > 16:
                continue
            for interleaved in (False, True):
                kind = "f64" if dtype == "f64" else "f32"
                x, angle = normal(shape, dtype), normal(table, scale=4)
                cos, sin = (rounded(f(angle), kind).astype(np.float64) for f in (np.cos, np.sin))
                half = table[-1] != dims
                wide = (lambda a: np.repeat(a, 2, -1) if interleaved else np.concatenate([a, a], -1)) if half else (
                    lambda a: a)
                y = turned(x, wide(cos), wide(sin), dims, interleaved)
                if not interleaved and not half and dims == shape[-1]:
                    q = apply_rotary_pos_emb(*(torch.from_numpy(np.array(a)) for a in (
                        x, x, np.broadcast_to(cos, table)[:, 0], np.broadcast_to(sin, table)[:, 0])))[0]
                    agree(y, q, "rotary")
                book.add("rotary", f"rotary {dtype} {list(shape)} {list(table)} {interleaved}",
                         [(x, dtype), (cos, kind), (sin, kind)], [(y, dtype)],
                         {"dims": dims, "interleaved": interleaved}, abs=8 * EPSILON[kind], rel=EPSILON[dtype])


def kv_update(book):
    for shape, length, position in (((2, 3, 6, 4), 1, 2), ((2, 3, 6, 4), 2, [1, 3]), ((2, 2, 5, 3), 3, [-4, 99]),
                                    ((7, 2), 7, 1), ((3, 4, 5), 0, 1), ((1, 2, 9, 8), 4, 5)):
        for dtype in ("f32", "bf16", "s8"):
            rows_shape = list(shape)
            rows_shape[-2] = length
            make = (lambda s: rng.integers(-99, 99, s)) if dtype == "s8" else (lambda s: normal(s, dtype))
            cache, rows = make(shape), make(rows_shape)
            y, most = cache.copy(), shape[-2] - length
            if isinstance(position, list):
                for b, p in enumerate(position):
                    y[b, ..., min(max(p, 0), most):min(max(p, 0), most) + length, :] = rows[b]
            else:
                p = min(max(position, 0), most)
                y[..., p:p + length, :] = rows
            book.add("kv_update", f"kv_update {dtype} {list(shape)} {length} {position}",
                     [(cache, dtype), (rows, dtype), (np.array(position), "s32" if length % 2 else "s64")],
                     [(y, dtype)])


def attention(q, k, v, scale, mask=None, causal=False, sinks=None, lengths=None, window=0, softcap=0):
    group, lk, (b, h, lq, _) = q.shape[1] // k.shape[1], k.shape[2], q.shape
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scores = scale * q @ np.swapaxes(k, -1, -2)
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    n = np.full(b, lk) if lengths is None else np.clip(np.broadcast_to(lengths, (b,)), 0, lk)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    place, j = (np.arange(lq) + n[:, None] - lq)[:, None, :, None], np.arange(lk)
    seen = j < n[:, None, None, None]
    if causal:
        seen = seen & (j <= place)
    if window:
        seen = seen & (np.abs(place - j) < window)
    scores = np.where(seen, scores, -np.inf)
    sink = np.full(h, -np.inf) if sinks is None else sinks
    sink = np.broadcast_to(sink[:, None, None], scores.shape[:3] + (1,))
    top = np.maximum(scores.max(-1, keepdims=True, initial=-np.inf), sink)
    top = np.where(np.isfinite(top), top, 0)
    e = np.exp(scores - top)
    total = e.sum(-1, keepdims=True) + np.exp(sink - top)
    return np.where(total > 0, e / np.where(total > 0, total, 1), 0) @ v


def sdpa(book):
    sizes = ((2, 4, 2, 3, 7, 8, 8), (2, 2, 2, 5, 5, 16, 4), (1, 8, 1, 1, 40, 32, 32), (1, 2, 1, 1, 530, 2, 4),
             (1, 4, 2, 3, 33, 8, 20))
    for b, h, hkv, lq, lk, d, dv in sizes:
        for dtype in ("f32", "f16", "bf16"):
            if (lk != 7 and dtype == "f16") or (lk in (5, 530) and dtype == "bf16"):
                continue
            q, k, v = normal((b, h, lq, d), dtype), normal((b, hkv, lk, d), dtype), normal((b, hkv, lk, dv), dtype)
            sinks = normal((h,), "f32")
            sinks[0] = -np.inf
            keep = rng.random((b, 1, lq, lk)) < 0.6
            keep[0, 0, 0] = False
            kinds = {"sinks": dict(sinks=sinks), "lengths": dict(lengths=rng.integers(1, lk + 1, b)),
                     "length": dict(lengths=np.array(lk - 2), causal=True),
                     "no key": dict(lengths=np.array([0] + [lk + 5] * (b - 1)), sinks=sinks),
                     "window": dict(window=3, causal=True), "local": dict(window=2),
                     "window of a cache": dict(window=2, causal=True, lengths=np.array(lk // 2)),
                     "softcap": dict(softcap=2.0, mask=keep),
                     "all": dict(softcap=5.0, mask=normal((h, 1, lk), dtype), sinks=sinks, causal=True, window=20,
                                 lengths=np.array([lk] * b))}
            for name, kind in kinds.items():
                if lk == 530 and name not in ("sinks", "length", "all"):
                    continue
                scale = 0.2
                y = attention(q, k, v, scale, **kind)
                if name == "length":
                    n, group = lk - 2, h // hkv
                    t = [torch.from_numpy(a) for a in (q, np.repeat(k, group, 1)[:, :, :n], np.repeat(v, group, 1)[:, :, :n])]
                    hide = np.arange(n) <= np.arange(lq)[:, None] + n - lq
                    agree(y, torch.nn.functional.scaled_dot_product_attention(
                        *t, attn_mask=torch.from_numpy(hide), scale=scale), "sdpa")
                mask = kind.get("mask")
                given = [(q, dtype), (k, dtype), (v, dtype),
                         None if mask is None else (mask, "pred" if mask.dtype == bool else dtype),
                         (sinks, "f32") if "sinks" in kind else None,
                         (kind["lengths"], "s32") if "lengths" in kind else None]
                attrs = {"scale": scale, **{key: kind[key] for key in ("causal", "window", "softcap") if key in kind}}
                e = 4 * max(EPSILON[dtype], EPSILON["f32"])
                book.add("sdpa", f"sdpa {dtype} {b},{h},{hkv},{lq},{lk} {name}", given, [(y, dtype)], attrs, abs=e * 4,
                         rel=e)


def gated(book):
    edge = np.array([0.0, -0.0, 1.0, -1.0, 3.5, -6.0, 20.0, -30.0, 1e4, np.inf, np.nan])
    gate, up = (m.ravel() for m in np.meshgrid(edge, np.array([0.0, 1.0, -2.5, 0.01, 300.0, np.nan])))
    acts = {"swiglu": torch.nn.functional.silu, "geglu": torch.nn.functional.gelu,
            "geglu_tanh": lambda t: torch.nn.functional.gelu(t, approximate="tanh")}
    for op, act in acts.items():
        for dtype in ("f32", "f16", "bf16", "f64"):
            a, b = (rounded(m, dtype).astype(np.float64) for m in (gate, up))
            with np.errstate(invalid="ignore"):
                y = act(torch.from_numpy(a)).numpy() * b
            # The activation loses digits where it is small beside the gate; that comes out times up.
            slack = 8 * EPSILON["f32" if dtype != "f64" else "f64"] * 30 * 300
            book.add(op, f"{op} {dtype}", [(a, dtype), (b, dtype)], [(y, dtype)], abs=slack,
                     rel=EPSILON[dtype])
            g, u = normal((3, 1, 40), dtype, 3), normal((2, 1), dtype)
            book.add(op, f"{op} {dtype} broadcast", [(g, dtype), (u, dtype)],
                     [(act(torch.from_numpy(g)).numpy() * u, dtype)], abs=40 * EPSILON["f32"], rel=EPSILON[dtype])


def norms(book):
    for x_dtype, w_dtype, out in (("bf16", "f32", "f32"), ("f16", "f32", "f32"), ("f32", "bf16", "f32"),
                                  ("f16", "bf16", "f32"), ("bf16", "bf16", "bf16"), ("f16", "f16", "f16")):
        x, w, b = normal((3, 2, 24), x_dtype, 2), normal((24,), w_dtype), normal((24,), w_dtype)
        rms = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w
        layer = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b
        e = 16 * EPSILON["f32"] if out == "f32" else EPSILON[out]
        book.add("rms_norm", f"rms_norm {x_dtype} {w_dtype}", [(x, x_dtype), (w, w_dtype)], [(rms, out)], {"eps": 1e-6},
                 abs=e, rel=e)
        book.add("layer_norm", f"layer_norm {x_dtype} {w_dtype}", [(x, x_dtype), (w, w_dtype), (b, w_dtype)],
                 [(layer, out)], {"eps": 1e-5}, abs=e, rel=e)


def packed(book):
    """Segments that are causal, see a window, and share heads of keys."""
    for h, hkv, d, dv, lengths, tail in ((4, 2, 8, 8, [3, 1, 5], 0), (3, 1, 16, 6, [1, 0, 9], 2), (2, 1, 8, 8, [37], 1),
                                         (4, 4, 4, 4, [6], 0)):
        offsets = np.cumsum([0] + lengths)
        t, longest = offsets[-1] + tail, max(lengths)
        q, k, v = normal((t, h, d)), normal((t, hkv, d)), normal((t, hkv, dv))
        bias = normal((h, 2 * longest - 1))
        for causal, window in ((False, 0), (True, 0), (True, 3), (False, 3), (True, 33)):
            for name, table in (("", None), (" bias", bias)):
                if longest == 37 and not (causal and window == (33 if table is not None else 0)):
                    continue
                y = np.zeros((t, h, dv))
                for lo, hi in zip(offsets, offsets[1:]):
                    part = [np.swapaxes(x[None, lo:hi], 1, 2) for x in (q, k, v)]
                    index = np.arange(hi - lo) - np.arange(hi - lo)[:, None] + longest - 1
                    mask = None if table is None else table[None][:, :, index]
                    if hi > lo:
                        y[lo:hi] = np.swapaxes(attention(*part, 0.4, mask, causal=causal, window=window), 1, 2)[0]
                book.add("sdpa_segments", f"sdpa_segments {h}/{hkv} {lengths}{' causal' * causal} {window}{name}",
                         [(q, "f32"), (k, "f32"), (v, "f32"), (offsets, "s32"),
                          None if table is None else (table, "f32")],
                         [(y, "f32")], {"scale": 0.4, "causal": causal, "window": window}, abs=4e-6, rel=4e-6)


def record(book):
    for part in (rope, rotary, kv_update, sdpa, gated, norms, packed):
        part(book)
