"""Caches of keys and values in halves and in 8 bits beside f32: rows cast or coded as they are written, attention
that reads them as they are. In double from the operands' exact values, as attention.py has it."""
import numpy as np

from attention import attention
from book import EPSILON, rounded
from products import normal

rng = np.random.Generator(np.random.PCG64(41))


def kv_update(book):
    for shape, length, position in (((2, 3, 6, 4), 1, 2), ((2, 2, 9, 40), 5, [1, 99]), ((7, 33), 3, 0)):
        for dtype in ("bf16", "f16"):
            rows_shape = list(shape)
            rows_shape[-2] = length
            cache, rows = normal(shape, dtype), rng.standard_normal(rows_shape).astype(np.float32)
            rows.flat[:2] = 7e4, -1e-9
            y, most = cache.copy(), shape[-2] - length
            with np.errstate(over="ignore"):
                written = rounded(rows, dtype)
            for b, p in enumerate(position if isinstance(position, list) else [position] * shape[0]):
                p = min(max(p, 0), most)
                where = (b,) if isinstance(position, list) else ()
                y[where + (..., slice(p, p + length), slice(None))] = written[where]
            book.add("kv_update", f"kv_update f32 into {dtype} {list(shape)} {length} {position}",
                     [(cache, dtype), (rows, "f32"), (np.array(position), "s32")], [(y, dtype)])


def sdpa(book):
    sizes = ((2, 4, 2, 1, 40, 16, 16), (2, 4, 2, 3, 70, 20, 8), (1, 2, 1, 12, 33, 8, 20), (1, 2, 1, 20, 530, 2, 5))
    for b, h, hkv, lq, lk, d, dv in sizes:
        for dtype in ("bf16", "f16"):
            q = normal((b, h, lq, d), "f32")
            k, v = normal((b, hkv, lk, d), dtype), normal((b, hkv, lk, dv), dtype)
            kinds = {"plain": {}, "lengths": dict(lengths=rng.integers(lq, lk + 1, b), causal=True),
                     "ring": dict(lengths=np.array(lk - 5)),
                     "window": dict(window=7, causal=True, lengths=np.array(lk - 3)),
                     "all": dict(softcap=5.0, mask=normal((h, 1, lk), "f32"), sinks=normal((h,), "f32"), causal=True,
                                 window=20, lengths=np.array([lk - 1] * b))}
            for name, kind in kinds.items():
                if lk == 530 and name not in ("window", "all"):
                    continue
                y = attention(q, k, v, 0.2, **kind)
                given = [(q, "f32"), (k, dtype), (v, dtype),
                         (kind["mask"], "f32") if "mask" in kind else None,
                         (kind["sinks"], "f32") if "sinks" in kind else None,
                         (kind["lengths"], "s32") if "lengths" in kind else None]
                attrs = {"scale": 0.2, **{key: kind[key] for key in ("causal", "window", "softcap") if key in kind}}
                e = 4 * EPSILON["f32"]
                book.add("sdpa", f"sdpa f32 of {dtype} {b},{h},{hkv},{lq},{lk} {name}", given, [(y, "f32")], attrs,
                         abs=e * 4, rel=e)


def coded(rows):
    """Codes and scales of rows, as f32 arithmetic has them."""
    top = np.abs(rows).max(-1, initial=0)
    scales = np.where(np.isfinite(rows).all(-1), top / np.float32(127), np.float32(np.nan))
    with np.errstate(all="ignore"):
        codes = np.clip(np.rint(rows / scales[..., None]), -127, 127)
    return np.where(scales[..., None] > 0, codes, 0).astype(np.int8), scales.astype(np.float32)


def kv_codes(book):
    for shape, length, position in (((2, 3, 6, 4), 1, 2), ((2, 2, 9, 40), 5, [1, 99]), ((7, 33), 3, 0),
                                    ((1, 8, 20, 128), 1, [19])):
        rows_shape = list(shape)
        rows_shape[-2] = length
        rows = rng.standard_normal(rows_shape).astype(np.float32)
        if length == 5:
            rows[0, 0, :, 3] = 3e38, np.inf, np.nan, 1e-44, -0.0
            rows[0, 0, 3:, :3] = rows[0, 0, 3:, 4:] = 0
        codes, scales = rng.integers(-127, 128, shape).astype(np.int8), rng.random(shape[:-1]).astype(np.float32)
        new_codes, new_scales, most = codes.copy(), scales.copy(), shape[-2] - length
        row_codes, row_scales = coded(rows)
        for b, p in enumerate(position if isinstance(position, list) else [position] * shape[0]):
            p = min(max(p, 0), most)
            where = (b,) if isinstance(position, list) else ()
            new_codes[where + (..., slice(p, p + length), slice(None))] = row_codes[where]
            new_scales[where + (..., slice(p, p + length))] = row_scales[where]
        at = (np.array(position), "s32")
        name = f"{list(shape)} {length} {position}"
        book.add("kv_codes", f"kv_codes {name}", [(codes, "s8"), (rows, "f32"), at], [(new_codes, "s8")])
        book.add("kv_scales", f"kv_scales {name}", [(scales, "f32"), (rows, "f32"), at], [(new_scales, "f32")])


def sdpa_coded(book):
    for b, h, hkv, lq, lk, d, dv in ((2, 4, 2, 1, 40, 16, 16), (1, 6, 2, 5, 300, 20, 33), (1, 2, 1, 12, 33, 8, 20)):
        q = normal((b, h, lq, d), "f32")
        k, k_scales = coded(rng.standard_normal((b, hkv, lk, d)).astype(np.float32))
        v, v_scales = coded(rng.standard_normal((b, hkv, lk, dv)).astype(np.float32))
        wide = [codes.astype(np.float64) * scales[..., None] for codes, scales in ((k, k_scales), (v, v_scales))]
        for name, kind in {"plain": {}, "lengths": dict(lengths=rng.integers(lq, lk + 1, b), causal=True),
                           "all": dict(softcap=5.0, mask=normal((h, 1, lk), "f32"), sinks=normal((h,), "f32"),
                                       causal=True, window=20, lengths=np.array([lk - 1] * b))}.items():
            y = attention(q, *wide, 0.2, **kind)
            given = [(q, "f32"), (k, "s8"), (v, "s8"), (kind["mask"], "f32") if "mask" in kind else None,
                     (kind["sinks"], "f32") if "sinks" in kind else None,
                     (kind["lengths"], "s32") if "lengths" in kind else None, (k_scales, "f32"), (v_scales, "f32")]
            attrs = {"scale": 0.2, **{key: kind[key] for key in ("causal", "window", "softcap") if key in kind}}
            e = 4 * EPSILON["f32"]
            book.add("sdpa", f"sdpa of codes {b},{h},{hkv},{lq},{lk} {name}", given, [(y, "f32")], attrs, abs=e * 4,
                     rel=e)


def record(book):
    kv_update(book)
    sdpa(book)
    kv_codes(book)
    sdpa_coded(book)
