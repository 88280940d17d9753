"""Random numbers: jax.random's with jax_threefry_partitionable off, which Nx.Random gives too. Bits, whole numbers and
decisions are exact. Uniform numbers are exact in [0, 1); in other ranges JAX's compiler may fuse the multiplication and
the addition. What goes through erf_inv and log differs by those functions' errors."""
import jax
import jax.numpy as jnp
import numpy as np

from book import EPSILON, NUMPY

FLOATS = {"f32": jnp.float32, "f64": jnp.float64, "f16": jnp.float16, "bf16": jnp.bfloat16}
KEYS = [0, 7, 0x123456789ABCD]
SHAPES = [(), (1,), (2,), (7,), (4, 8), (3, 5, 7), (0,), (2, 0)]


def keyed(seed):
    key = jax.random.PRNGKey(seed)
    return key, (np.asarray(key), "u32")


def keys(book):
    for seed in KEYS + [0xFFFFFFFF]:
        key, row = keyed(seed)
        book.add("random_key", f"key {seed}", [], [row], {"seed": seed})
        for n in (1, 2, 3, 10):
            book.add("random_split", f"split {seed} {n}", [row], [(jax.random.split(key, n), "u32")], {"n": n})
        for i in range(3):
            book.add("random_split_at", f"split {seed} at {i}", [row], [(jax.random.split(key, 3)[i], "u32")],
                     {"n": 3, "i": i})
        for data in (0, 1, 77, 0xFFFFFFFF):
            book.add("random_fold_in", f"fold_in {seed} {data}", [row], [(jax.random.fold_in(key, data), "u32")],
                     {"data": data})


def numbers(book):
    for seed in KEYS:
        key, row = keyed(seed)
        for dims in SHAPES + [(300,)]:
            for dtype in ("u8", "u16", "u32", "u64"):
                book.add("random_bits", f"bits {seed} {dtype} {dims}", [row],
                         [(jax.random.bits(key, dims, NUMPY[dtype]), dtype)], {"dtype": dtype, "dims": list(dims)})
        for dtype, kind in FLOATS.items():
            attrs = {"dtype": dtype, "dims": [5, 23]}
            wide = lambda x: np.asarray(x.astype(jnp.float64))
            book.add("random_uniform", f"uniform {seed} {dtype}", [row],
                     [(wide(jax.random.uniform(key, (5, 23), kind)), dtype)], attrs)
            for low, high in ((-1.0, 1.0), (2.5, 10.0), (-3.0, 0.1)):
                book.add("random_uniform", f"uniform {seed} {dtype} {low} {high}", [row],
                         [(wide(jax.random.uniform(key, (5, 23), kind, low, high)), dtype)],
                         {**attrs, "low": low, "high": high}, abs=EPSILON[dtype] * max(-low, high) / 2, rel=EPSILON[dtype] / 2)
            book.add("random_normal", f"normal {seed} {dtype}", [row],
                     [(wide(jax.random.normal(key, (5, 23), kind)), dtype)], attrs, rel=(50 if dtype == "f64" else 4) * EPSILON[dtype],
                     abs=EPSILON[dtype] / 4)
            book.add("random_gumbel", f"gumbel {seed} {dtype}", [row],
                     [(wide(jax.random.gumbel(key, (5, 23), kind)), dtype)], attrs, rel=4 * EPSILON[dtype],
                     abs=8 * EPSILON[dtype])


def integers(book):
    for seed in KEYS:
        key, row = keyed(seed)
        for dtype, low, high in (("s32", 0, 10), ("s32", -5, 6), ("s32", -2**31, 2**31 - 1), ("s32", -2**31, 2**31),
                                 ("s32", 5, 5), ("s32", 9, 2), ("u32", 0, 2**32), ("u32", 3, 3000000000),
                                 ("s64", -10**15, 10**15), ("s64", 0, 7), ("u64", 0, 10**18), ("u8", 0, 256),
                                 ("u8", 0, 100), ("s8", -128, 128), ("s8", -300, 50), ("s16", -7, 1000),
                                 ("u16", 0, 65536), ("s32", 0, 1 << 20)):
            out = jax.random.randint(key, (6, 10), np.int64(low), np.int64(high), NUMPY[dtype])
            book.add("random_randint", f"randint {seed} {dtype} {low} {high}", [row], [(out, dtype)],
                     {"dtype": dtype, "dims": [6, 10], "low": low, "high": high})
        for p, dtype in ((0.3, "f32"), (0.5, "f64"), (1.0, "f32"), (0.0, "f32")):
            p = np.asarray(p, NUMPY[dtype])
            book.add("random_bernoulli", f"bernoulli {seed} {p} {dtype}", [row, (p, dtype)],
                     [(jax.random.bernoulli(key, p, (9, 11)), "pred")], {"dims": [9, 11]})
        p = np.linspace(0, 1, 11, dtype=np.float32)
        book.add("random_bernoulli", f"bernoulli {seed} row", [row, (p, "f32")],
                 [(jax.random.bernoulli(key, p, (9, 11)), "pred")], {"dims": [9, 11]})


def choices(book):
    rng = np.random.Generator(np.random.PCG64(23))
    logits = rng.standard_normal((4, 6)).astype(np.float32)
    for seed in KEYS:
        key, row = keyed(seed)
        for axis in (0, 1, -1):
            book.add("random_categorical", f"categorical {seed} {axis}", [row, (logits, "f32")],
                     [(jax.random.categorical(key, logits, axis), "s64")], {"axis": axis})
            rest = logits.shape[1 - axis % 2]
            book.add("random_categorical", f"categorical {seed} {axis} 5 of each", [row, (logits, "f32")],
                     [(jax.random.categorical(key, logits, axis, (5, rest)), "s64")], {"axis": axis, "count": 5})
        for n in (0, 1, 2, 50, 2000):
            book.add("random_permutation", f"permutation {seed} {n}", [row], [(jax.random.permutation(key, n), "s64")],
                     {"n": n})
        for axis in (0, 1):
            book.add("random_permutation", f"shuffle {seed} {axis}", [row, (logits, "f32")],
                     [(jax.random.permutation(key, logits, axis), "f32")], {"axis": axis})
        with jax.enable_x64(False):
            narrow = jax.random.PRNGKey(seed & 0x7FFFFFFF)
            for replace in (False, True):
                book.add("random_choice", f"choice {seed} {replace}", [(np.asarray(narrow), "u32"), (logits, "f32")],
                         [(jax.random.choice(narrow, logits, (3,), replace, axis=1), "f32")],
                         {"axis": 1, "count": 3, "replace": replace})


def record(book):
    jax.config.update("jax_threefry_partitionable", False)
    jax.config.update("jax_enable_x64", True)
    for part in (keys, numbers, integers, choices):
        part(book)
