"""Caches of keys and values in halves beside f32: rows cast as they are written, attention that reads them as they
are. In double from the operands' exact values, as attention.py has it."""
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


def record(book):
    kv_update(book)
    sdpa(book)
