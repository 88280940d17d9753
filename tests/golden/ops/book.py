"""The container of recorded ops, a family each: FAMILY.json lists the cases, FAMILY.bin holds every array they name.

A case: {"op", "name", "attrs", "inputs", "outputs", "abs", "rel"}, what is empty or 0 left out; an array in it is [dtype, shape, offset] into
FAMILY.bin (little endian, row-major, 16-byte aligned; bf16 and f8 as their bits, pred as one byte 0 or 1; u2, u4, s2 and s4 several to a byte, the first lowest), or null for an
operand that is left out. An output element y agrees with the recorded r if y == r, or both are NaN, or both are finite
and |y - r| <= abs + rel * |r|; of complex elements each part must, with |r| the modulus. The sign of a zero does not count, but for cases with "zero_sign": true. With
"dtype_open": true the values count and the result's dtype does not.
"""
import json

import ml_dtypes
import numpy as np

NUMPY = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": np.float32, "s64": np.int64,
         "s32": np.int32, "s16": np.int16, "s8": np.int8, "u64": np.uint64, "u32": np.uint32, "u16": np.uint16,
         "u8": np.uint8, "pred": np.bool_, "c64": np.complex64, "c128": np.complex128,
         "f8_e4m3fn": ml_dtypes.float8_e4m3fn, "f8_e5m2": ml_dtypes.float8_e5m2, "u2": ml_dtypes.uint2,
         "u4": ml_dtypes.uint4, "s2": ml_dtypes.int2, "s4": ml_dtypes.int4}
EPSILON = {"f64": 2.0**-52, "f32": 2.0**-23, "f16": 2.0**-10, "bf16": 2.0**-7, "f8_e4m3fn": 2.0**-3,
           "f8_e5m2": 2.0**-2, "c64": 2.0**-23, "c128": 2.0**-52}
FLOATS = ["f32", "f64", "f16", "bf16"]
DENORMAL = {"f64": 5e-324, "f32": 1.5e-45, "f16": 6e-8, "bf16": 1e-40, "f8_e4m3fn": 2.0**-9, "f8_e5m2": 2.0**-16}
# The finite values of the positive codes 0, 1, 2...; then what lies beyond them.
F8_VALUES = {"f8_e4m3fn": [(c & 7 | (8 if c >> 3 else 0)) * 2.0**(max(c >> 3, 1) - 10) for c in range(0x7F)],
             "f8_e5m2": [(c & 3 | (4 if c >> 2 else 0)) * 2.0**(max(c >> 2, 1) - 17) for c in range(0x7C)]}
F8_NAN = {"f8_e4m3fn": 0x7F, "f8_e5m2": 0x7E}


def to_bf16(x):
    """Nearest bf16 (ties to even) of doubles, rounded once: first to f32 with the last bit sticky, then to 16 bits."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        near = x.astype(np.float32)
    toward = np.where(np.abs(near.astype(np.float64)) > np.abs(x), np.nextafter(near, np.float32(0)), near)
    toward = toward.astype(np.float32)
    bits = toward.view(np.uint32) | ((toward.astype(np.float64) != x) & np.isfinite(x)).astype(np.uint32)
    bits = np.where(np.isnan(x), np.uint32(0x7FC00000), bits).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    rounded = np.where(np.isfinite(x), rounded, bits >> 16)
    return rounded.astype(np.uint16)


def to_f8(x, dtype):
    """Nearest f8 (ties to even) of doubles. What rounds past the largest is infinite, of f8_e4m3fn NaN."""
    x, values = np.asarray(x, np.float64), np.array(F8_VALUES[dtype])
    step = values[-1] - values[-2]
    middles = np.append((values[1:] + values[:-1]) / 2, values[-1] + step / 2)
    size = np.abs(x)
    code = np.searchsorted(middles, size, "left")
    tie = (code < len(middles)) & (size == middles[np.minimum(code, len(middles) - 1)])
    code = code + (tie & (code % 2 == 1))
    code = np.where(np.isnan(x), F8_NAN[dtype], code)
    return (code | np.where(np.signbit(x), 0x80, 0)).astype(np.uint8)


def from_f8(code, dtype):
    values = F8_VALUES[dtype] + [np.inf if dtype == "f8_e5m2" else np.nan]
    values = np.array(values + [np.nan] * (128 - len(values)), np.float32)
    return np.where(code & 0x80, -values[code & 0x7F], values[code & 0x7F])


def rounded(x, dtype):
    """x (doubles or integers) as numpy holds dtype; bf16 and f8 are held as f32 with such a value."""
    if dtype in F8_VALUES:
        return from_f8(to_f8(x, dtype), dtype)
    if dtype == "bf16":
        return (to_bf16(x).astype(np.uint32) << 16).view(np.float32)
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(NUMPY[dtype])


def packed(x, dtype):
    """Integers below a byte, side by side from the lowest bits on."""
    bits = int(dtype[1:])
    codes = np.asarray(x).astype(np.int64).ravel() & (1 << bits) - 1
    codes = np.append(codes, [0] * (-len(codes) % (8 // bits))).astype(np.int64).reshape(-1, 8 // bits)
    return (codes << np.arange(0, 8, bits)).sum(1).astype(np.uint8)


class Book:
    def __init__(self):
        self.cases, self.blob, self.places = [], bytearray(), {}

    def array(self, value, dtype):
        value = np.asarray(value)
        raw = (to_bf16(value) if dtype == "bf16" else to_f8(value, dtype) if dtype in F8_VALUES
               else packed(value, dtype) if dtype[1:] in ("2", "4")
               else np.ascontiguousarray(rounded(value, dtype))).tobytes()
        place = self.places.get(raw)
        if place is None:
            self.blob += b"\0" * (-len(self.blob) % 16)
            place = self.places[raw] = len(self.blob)
            self.blob += raw
        return [dtype, list(value.shape), place]

    def add(self, op, name, inputs, outputs, attrs=None, abs=0.0, rel=0.0, **more):
        """inputs, outputs: lists of (values, dtype), or None for an operand left out."""
        rows = [[None if a is None else self.array(*a) for a in arrays] for arrays in (inputs, outputs)]
        case = {"op": op, "name": name, "attrs": attrs, "inputs": rows[0], "outputs": rows[1],
                "abs": float(f"{abs:.3g}"), "rel": float(f"{rel:.3g}"), **more}
        self.cases.append({k: v for k, v in case.items() if v})

    def write(self, path, versions):
        with open(path + ".bin", "wb") as f:
            f.write(self.blob)
        with open(path + ".json", "w", encoding="utf-8") as f:
            f.write('{"versions": %s,\n"cases": [\n' % json.dumps(versions))
            f.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in self.cases))
            f.write("\n]}\n")
