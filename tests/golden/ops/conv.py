"""conv against jax.lax.conv_general_dilated, in double from the operands' exact values; some against PyTorch too."""
import jax
import numpy as np
import torch

from book import EPSILON, rounded

rng = np.random.Generator(np.random.PCG64(11))
jax.config.update("jax_enable_x64", True)
WIDE = {"c64": np.complex128, "c128": np.complex128}
# of the accumulator; of the result, half of its spacing
ACCUMULATOR = {"f16": "f32", "bf16": "f32", "f8_e4m3fn": "f32", "f8_e5m2": "f32", "s32": "f32", "u8": "f32", "s64": "f32",
               "pred": "f32"}


def values(shape, dtype):
    if dtype[0] in "su":
        return rng.integers(0 if dtype[0] == "u" else -9, 9, shape)
    if dtype == "pred":
        return rng.random(shape) < 0.5
    if dtype[0] == "c":
        return rounded(rng.standard_normal(shape) + 1j * rng.standard_normal(shape), dtype).astype(np.complex128)
    return rounded(rng.standard_normal(shape), dtype).astype(np.float64)


def reference(x, w, o, padding):
    n = x.ndim - 2
    return np.asarray(jax.lax.conv_general_dilated(
        x, w, o.get("strides", [1] * n), padding, o.get("input_dilation"), o.get("kernel_dilation"),
        feature_group_count=o.get("feature_groups", 1), batch_group_count=o.get("batch_groups", 1),
        precision="highest"))


def add(book, name, x_shape, w_shape, dtype="f32", **o):
    """Shapes are canonical: [N, C, spatial], [O, C / groups, spatial]; input_axes and so on turn the recorded arrays."""
    n = len(x_shape) - 2
    x, w = values(x_shape, dtype), values(w_shape, dtype)
    wide = WIDE.get(dtype, np.float64)
    padding = list(zip(o.get("low", [0] * n), o.get("high", [0] * n)))
    if o.get("same"):
        padding = jax.lax.padtype_to_pads(x_shape[2:], [(k - 1) * d + 1 for k, d in
                                                       zip(w_shape[2:], o.get("kernel_dilation", [1] * n))],
                                          o.get("strides", [1] * n), "SAME")
    y = reference(x.astype(wide), w.astype(wide), o, padding)
    size = np.max(reference(np.abs(x).astype(np.float64), np.abs(w).astype(np.float64), o, padding), initial=0)
    if not o.get("batch_groups") and not o.get("input_dilation") and n <= 3 and dtype == "f32" and x.size and w.size and min(
            sum(map(list, padding), [0])) >= 0:
        padded = np.pad(x, [(0, 0), (0, 0)] + list(padding))
        f = [torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d][n - 1]
        other = f(torch.from_numpy(padded), torch.from_numpy(w), None, o.get("strides", 1), 0,
                  o.get("kernel_dilation", 1), o.get("feature_groups", 1)).numpy()
        if not np.allclose(other, y, 1e-9, 1e-9):
            raise SystemExit(f"conv {name}: JAX and PyTorch differ")

    def turn(a, key):
        """The array whose axis order[i] is axis i of a."""
        order = o.get(key)
        return np.transpose(a, np.argsort(order)) if order else a

    out = "f32" if dtype in ("s32", "u8", "s64", "pred") else dtype
    book.add("conv", f"conv {dtype} {name}", [(turn(x, "input_axes"), dtype), (turn(w, "kernel_axes"), dtype)],
             [(turn(y, "output_axes"), out)], o, abs=4 * size * EPSILON[ACCUMULATOR.get(dtype, dtype)],
             rel=0.51 * EPSILON[out])


def record(book):
    add(book, "1-d", (2, 3, 11), (4, 3, 3))
    add(book, "1-d pad stride 2", (1, 5, 20), (6, 5, 3), strides=[2], low=[1], high=[1])
    add(book, "1-d long", (1, 20, 75), (9, 20, 3), low=[1], high=[1])
    add(book, "1-d long stride 2", (1, 20, 90), (9, 20, 3), strides=[2], low=[1], high=[1])
    add(book, "2-d", (2, 3, 8, 9), (4, 3, 3, 2))
    add(book, "2-d wide", (1, 2, 11, 41), (5, 2, 3, 3), low=[1, 1], high=[1, 1])
    add(book, "2-d many channels", (1, 19, 7, 7), (16, 19, 3, 3), low=[1, 1], high=[1, 1])
    add(book, "2-d 7x7 stride 2", (1, 3, 30, 26), (8, 3, 7, 7), strides=[2, 2], low=[3, 3], high=[3, 3])
    add(book, "2-d one by one", (2, 9, 6, 7), (5, 9, 1, 1))
    add(book, "2-d one by one stride 2", (1, 9, 7, 8), (5, 9, 1, 1), strides=[2, 2])
    add(book, "2-d same", (1, 3, 9, 10), (4, 3, 3, 4), same=True)
    add(book, "2-d same stride", (1, 3, 9, 10), (4, 3, 4, 3), same=True, strides=[2, 3])
    add(book, "2-d same dilated", (1, 2, 12, 11), (3, 2, 3, 3), same=True, kernel_dilation=[2, 3])
    add(book, "2-d lopsided pads", (1, 2, 7, 6), (3, 2, 3, 3), low=[0, 2], high=[3, 1])
    add(book, "2-d negative pads", (1, 2, 9, 10), (3, 2, 3, 3), low=[-1, 2], high=[1, -3])
    add(book, "2-d kernel dilation", (1, 3, 12, 13), (2, 3, 3, 3), kernel_dilation=[2, 3], strides=[1, 2])
    add(book, "2-d input dilation", (1, 3, 5, 6), (4, 3, 3, 3), input_dilation=[2, 3], low=[1, 0], high=[2, 1])
    add(book, "2-d transposed", (1, 4, 6, 5), (3, 4, 4, 4), input_dilation=[2, 2], low=[2, 2], high=[2, 2])
    add(book, "2-d all at once", (2, 4, 9, 8), (6, 2, 3, 2), strides=[2, 1], low=[1, -1], high=[2, 3],
        input_dilation=[1, 2], kernel_dilation=[2, 1], feature_groups=2)
    add(book, "2-d groups", (2, 6, 7, 8), (9, 2, 3, 3), feature_groups=3, low=[1, 1], high=[1, 1])
    add(book, "2-d depthwise", (2, 5, 9, 19), (5, 1, 3, 3), feature_groups=5, low=[1, 1], high=[1, 1])
    add(book, "2-d depthwise twice", (1, 4, 9, 21), (8, 1, 3, 5), feature_groups=4, strides=[2, 2])
    add(book, "1-d depthwise", (2, 6, 40), (6, 1, 4), feature_groups=6, low=[3], high=[0])
    add(book, "2-d batch groups", (4, 3, 6, 7), (6, 3, 3, 3), batch_groups=2)
    add(book, "1-d batch groups", (6, 2, 9), (3, 2, 2), batch_groups=3)
    add(book, "2-d channels last", (2, 3, 7, 8), (4, 3, 3, 3), input_axes=[0, 3, 1, 2], kernel_axes=[3, 2, 0, 1],
        output_axes=[0, 3, 1, 2], low=[1, 1], high=[1, 1])
    add(book, "2-d odd axes", (2, 3, 7, 8), (4, 3, 2, 3), input_axes=[3, 1, 0, 2], kernel_axes=[1, 3, 2, 0],
        output_axes=[2, 0, 3, 1])
    add(book, "1-d channels last", (2, 3, 17), (4, 3, 3), input_axes=[0, 2, 1], output_axes=[0, 2, 1])
    add(book, "3-d", (1, 2, 5, 6, 7), (3, 2, 2, 3, 3), low=[0, 1, 1], high=[1, 1, 1], strides=[1, 2, 1])
    add(book, "3-d groups", (1, 4, 4, 5, 6), (4, 2, 3, 3, 1), feature_groups=2, kernel_dilation=[1, 2, 1])
    add(book, "4-d", (1, 2, 3, 4, 3, 4), (2, 2, 2, 2, 2, 2))
    add(book, "kernel as large", (3, 2, 5, 4), (7, 2, 5, 4))
    add(book, "one pixel", (1, 5, 1, 1), (3, 5, 3, 3), low=[1, 1], high=[1, 1])
    add(book, "no images", (0, 2, 5, 4), (3, 2, 2, 2))
    add(book, "no channels", (1, 0, 5, 4), (3, 0, 2, 2))
    add(book, "no outputs", (1, 2, 5, 4), (0, 2, 2, 2))
    for dtype in ("f64", "f16", "bf16", "f8_e4m3fn", "f8_e5m2", "c64", "c128", "s32", "s64", "u8", "pred"):
        add(book, "2-d", (2, 3, 6, 7), (4, 3, 3, 2), dtype, strides=[1, 2], low=[1, 0], high=[0, 1])
        add(book, "1-d groups dilated", (1, 4, 10), (4, 2, 3), dtype, kernel_dilation=[2], feature_groups=2)
    for dtype in ("f64", "f16", "bf16", "c64"):
        add(book, "2-d depthwise", (1, 3, 5, 18), (3, 1, 3, 3), dtype, feature_groups=3)
        add(book, "2-d batch groups last", (2, 3, 5, 6), (4, 3, 2, 2), dtype, batch_groups=2,
            input_axes=[0, 3, 1, 2], output_axes=[0, 3, 1, 2])
