"""dot_general over every dtype, batch and contraction axis: integers wrap as the dtype does, exactly; pred is any(and);
floats in double from the operands' exact values."""
import numpy as np

from book import EPSILON, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(13))
ACCUMULATOR = {"f16": "f32", "bf16": "f32", "f8_e4m3fn": "f32", "f8_e5m2": "f32"}
# a, b, contracted axes of a and of b, batch axes of a and of b
SHAPES = [([3, 4], [4, 5], [1], [0], [], []), ([2, 3, 4], [2, 4, 5], [2], [1], [0], [0]),
          ([3, 2, 4], [4, 2, 5], [2], [0], [1], [1]), ([2, 4, 3], [4, 2, 3], [0, 1], [1, 0], [], []),
          ([17, 37], [33, 37], [1], [1], [], []), ([21, 19], [21, 40], [0], [0], [], []), ([150], [150], [0], [0], [], []),
          ([3, 0], [0, 2], [1], [0], [], []), ([2, 0], [2, 3], [], [], [0], [0])]


def values(shape, dtype):
    if dtype == "pred":
        return rng.random(shape) < 0.2
    if dtype[0] in "su":
        info = np.iinfo(NUMPY[dtype])
        return rng.integers(info.min, info.max, shape, dtype=NUMPY[dtype], endpoint=True)
    if dtype[0] == "c":
        return rounded(rng.standard_normal(shape) + 1j * rng.standard_normal(shape), dtype).astype(np.complex128)
    return rounded(rng.standard_normal(shape), dtype).astype(np.float64)


def product(a, b, ca, cb, ba, bb):
    letters = iter("abcdefghijklmnop")
    la, lb = [next(letters) for _ in a.shape], [next(letters) for _ in b.shape]
    for x, y in list(zip(ca, cb)) + list(zip(ba, bb)):
        lb[y] = la[x]
    free = [c for i, c in enumerate(la) if i not in ca + ba] + [c for i, c in enumerate(lb) if i not in cb + bb]
    return np.einsum("".join(la) + "," + "".join(lb) + "->" + "".join([la[x] for x in ba] + free), a, b)


def record(book):
    for shapes in SHAPES:
        a_shape, b_shape, ca, cb, ba, bb = shapes
        for dtype in ("f64", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "pred", "c64", "c128", "f8_e4m3fn",
                      "f8_e5m2"):
            if max(a_shape + b_shape) < 100 and max(a_shape + b_shape) > 16 and dtype not in ("f64", "s8", "u16", "s32",
                                                                                              "u64", "c64"):
                continue
            a, b = values(a_shape, dtype), values(b_shape, dtype)
            if dtype[0] in "su":  # exact, then wrapped
                y = product(a.astype(object), b.astype(object), *shapes[2:])
                y = np.array([int(v) % 2**64 for v in np.ravel(y)], np.uint64).reshape(np.shape(y)).astype(NUMPY[dtype])
                slack = (0, 0)
            else:
                y = product(a, b, *shapes[2:])
                most = 0 if dtype == "pred" else np.max(product(np.abs(a), np.abs(b), *shapes[2:]), initial=0)
                slack = (0, 0) if dtype == "pred" else (4 * most * EPSILON[ACCUMULATOR.get(dtype, dtype)],
                                                        0.51 * EPSILON[dtype])
            attrs = {"contract_a": ca, "batch_a": ba, "contract_b": cb, "batch_b": bb}
            book.add("dot_general", f"dots {dtype} {a_shape} {b_shape} {ca} {ba}", [(a, dtype), (b, dtype)],
                     [(y, dtype)], attrs, abs=slack[0], rel=slack[1])
