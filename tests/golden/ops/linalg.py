"""Linear algebra by SciPy and NumPy (their LAPACK), in double from the operands' exact values. What a decomposition
leaves open, the signs of its vectors, is recorded as absolute values, of matrices whose eigenvalues and singular values
are far apart; tests/ops/test_linalg.c has the properties, of any matrix."""
import numpy as np
import scipy.linalg

from book import EPSILON, rounded

rng = np.random.Generator(np.random.PCG64(31))
DTYPES = ["f32", "f64", "c64", "c128"]
SMALL = ["f16", "bf16"]
WIDE = {"f32": "f64", "f64": "f64", "c64": "c128", "c128": "c128"}


def is_complex(dtype):
    return dtype[0] == "c"


def real(dtype):
    return {"c64": "f32", "c128": "f64"}.get(dtype, dtype)


def exact(x, dtype):
    """x rounded to the dtype, as doubles."""
    return rounded(x, dtype).astype(np.complex128 if is_complex(dtype) else np.float64)


def normal(shape, dtype):
    x = rng.standard_normal(shape)
    return exact(x + 1j * rng.standard_normal(shape) if is_complex(dtype) else x, dtype)


def dominant(shape, dtype):
    return exact(normal(shape, dtype) + (shape[-1] + 2) * np.eye(shape[-1]), dtype)


def batched(function, *operands):
    """function over the leading axes, which all operands have alike; a tuple of arrays."""
    lead = operands[0].shape[:-2]
    flat = [o.reshape((-1,) + o.shape[len(lead):]) for o in operands]
    rows = [function(*(f[i] for f in flat)) for i in range(len(flat[0]))]
    rows = [r if isinstance(r, tuple) else (r,) for r in rows]
    return [np.stack([r[i] for r in rows]).reshape(lead + np.shape(rows[0][i])) for i in range(len(rows[0]))]


def slack(dtype, result, scale=60.0):
    """An absolute error for results of well-conditioned matrices, in f32 for the small floats."""
    work = "f32" if dtype in SMALL or dtype[0] in "sup" else dtype
    return {"abs": scale * EPSILON[work] * max(1.0, np.max(np.abs(result), initial=0)),
            "rel": EPSILON[dtype] if dtype in SMALL else 0.0}


def spread(m, n, dtype):
    """A matrix whose singular values are 1, 2, 3...; symmetric positive definite when square and asked to be."""
    k = min(m, n)
    u, v = np.linalg.qr(normal((m, m), dtype))[0], np.linalg.qr(normal((n, n), dtype))[0]
    return exact(u[:, :k] * np.arange(1, k + 1) @ v[:, :k].conj().T, dtype)


def hermitian(n, dtype):
    u = np.linalg.qr(normal((n, n), dtype))[0]
    a = exact(u * np.arange(1, n + 1) @ u.conj().T, dtype)
    return np.tril(a) + np.tril(a, -1).conj().T


def factors(book):
    for shape in ([3, 3], [5, 3], [3, 5], [2, 4, 4], [2, 2, 3, 2], [1, 1], [9, 9]):
        for dtype in DTYPES + SMALL if shape == [3, 3] else DTYPES:
            a = normal(shape, dtype)
            for i, y in enumerate(batched(scipy.linalg.lu, a)):
                book.add("lu", f"lu {dtype} {shape} {'PLU'[i]}", [(a, dtype)], [(y, dtype)], {"output": i},
                         **slack(dtype, y, 200))
            for complete in (0, 1):
                mode = "full" if complete else "economic"
                for i, y in enumerate(batched(lambda x: scipy.linalg.qr(x, mode=mode), a)):
                    book.add("qr", f"qr {dtype} {shape} {mode} {'QR'[i]}", [(a, dtype)], [(y, dtype)],
                             {"output": i, "complete": complete}, **slack(dtype, y, 200))
    a = np.array([[2, 1], [4, 3]])
    for i, y in enumerate(scipy.linalg.lu(a.astype(float))):
        book.add("lu", f"lu s32 {'PLU'[i]}", [(a, "s32")], [(y, "f32")], {"output": i})
    singular = np.array([[1.0, 2, 3], [2, 4, 6], [1, 1, 1]])
    for i, y in enumerate(scipy.linalg.lu(singular)):
        book.add("lu", f"lu singular {'PLU'[i]}", [(singular, "f64")], [(y, "f64")], {"output": i}, abs=1e-14)


def cholesky(book):
    for shape in ([3], [1], [2, 4], [17]):
        for dtype in DTYPES + SMALL if shape == [3] else DTYPES:
            a = np.stack([hermitian(shape[-1], dtype) for _ in range(int(np.prod(shape[:-1])))])
            a = a.reshape(shape[:-1] + [shape[-1]] * 2)
            y = np.linalg.cholesky(a)
            t = np.swapaxes(y, -1, -2).conj()
            # The other triangle is not read.
            low, high = (a + np.triu(np.full(a.shape, 7.0), 1), a + np.tril(np.full(a.shape, 7.0), -1))
            if dtype in SMALL:
                low, high = exact(low, dtype), exact(high, dtype)
            book.add("cholesky", f"cholesky {dtype} {shape}", [(low, dtype)], [(y, dtype)], **slack(dtype, y))
            book.add("cholesky", f"cholesky {dtype} {shape} upper", [(high, dtype)], [(t, dtype)], {"upper": 1},
                     **slack(dtype, y))


def spectra(book):
    for n in (1, 2, 5, 12):
        for dtype in DTYPES + SMALL if n == 2 else DTYPES:
            a = hermitian(n, dtype)
            w, v = np.linalg.eigh(a)
            a = a + np.triu(np.full(a.shape, 5.0), 1)
            if dtype in SMALL:
                a = exact(a, dtype)
                w, v = np.linalg.eigh(a)
            for vectors in (0, 1):
                book.add("eigh", f"eigh {dtype} {n} values {vectors}", [(a, dtype)], [(w, real(dtype))],
                         {"vectors": vectors}, **slack(dtype, w))
            if not is_complex(dtype):
                book.add("eigh", f"eigh {dtype} {n} vectors", [(a, dtype)], [(np.abs(v), dtype)], {"output": 1, "abs": 1},
                         **slack(dtype, v, 300 * n))
    for m, n in ((3, 3), (6, 3), (3, 6), (1, 4), (4, 1), (9, 14)):
        for dtype in DTYPES + SMALL if (m, n) == (6, 3) else DTYPES:
            a = spread(m, n, dtype)
            for full in (0, 1):
                u, s, vt = np.linalg.svd(a, full_matrices=bool(full))
                for vectors in (0, 1):
                    book.add("svd", f"svd {dtype} {m} {n} {full} values {vectors}", [(a, dtype)], [(s, real(dtype))],
                             {"full": full, "vectors": vectors}, **slack(dtype, s))
                k = min(m, n)
                if not is_complex(dtype) and (not full or m == n):
                    for i, y in ((1, u), (2, vt)):
                        book.add("svd", f"svd {dtype} {m} {n} {full} abs {i}", [(a, dtype)], [(np.abs(y), dtype)],
                                 {"full": full, "output": i, "abs": 1}, **slack(dtype, y, 300 * k))


def solving(book):
    shapes = [([3, 3], [3]), ([3, 3], [3, 2]), ([2, 4, 4], [2, 4]), ([2, 4, 4], [2, 4, 3]), ([4, 4], [3, 4, 2]),
              ([2, 1, 3, 3], [1, 3, 3, 2]), ([1, 1], [1]), ([20, 20], [20, 3])]
    for sa, sb in shapes:
        for dtype in DTYPES + SMALL if sb == [3] else DTYPES:
            a, b = dominant(sa, dtype), normal(sb, dtype)
            vector = len(sb) == len(sa) - 1
            x = np.linalg.solve(a, b[..., None])[..., 0] if vector else np.linalg.solve(a, b)
            book.add("solve", f"solve {dtype} {sa} {sb}", [(a, dtype), (b, dtype)], [(x, dtype)], **slack(dtype, x, 300))
            for triangle in range(32):
                upper, transpose, adjoint, right, unit = (triangle >> i & 1 for i in range(5))
                if (transpose and adjoint) or (len(sa) > 2 and triangle not in (0, 9, 14)) or (
                        adjoint and not is_complex(dtype)) or (dtype not in ("f64", "c64") and triangle > 11) or (
                        max(sa) > 9 and triangle not in (0, 13)):
                    continue
                t = np.triu(a) if upper else np.tril(a)
                if unit:
                    t = t - t * np.eye(sa[-1]) + np.eye(sa[-1])
                t = np.swapaxes(t, -1, -2) if transpose else np.swapaxes(t, -1, -2).conj() if adjoint else t
                if vector:
                    rhs = b[..., None, :] if right else b[..., None]
                else:
                    rhs = np.swapaxes(b, -1, -2) if right else b
                if right:
                    x = np.swapaxes(np.linalg.solve(np.swapaxes(t, -1, -2), np.swapaxes(rhs, -1, -2)), -1, -2)
                else:
                    x = np.linalg.solve(t, rhs)
                if vector:
                    x, rhs = (x[..., 0, :], rhs[..., 0, :]) if right else (x[..., 0], rhs[..., 0])
                book.add("triangular_solve", f"triangular_solve {dtype} {sa} {sb} {triangle}", [(a, dtype), (rhs, dtype)],
                         [(x, dtype)], {"triangle": triangle}, **slack(dtype, x, 300))
    a, b = np.array([[2, 1], [1, 3]]), np.array([3, 5])
    book.add("solve", "solve s32", [(a, "s32"), (b, "s64")], [(np.linalg.solve(a, b), "f32")], abs=1e-6)


def composed(book):
    for shape in ([1, 1], [2, 2], [3, 3], [2, 3, 3], [4, 5, 5], [0, 0], [3, 0, 0], [0, 3, 3]):
        for dtype in DTYPES + SMALL if shape == [2, 2] else DTYPES:
            a = dominant(shape, dtype)
            y = np.linalg.det(a)
            work = EPSILON[dtype] / 2 if dtype in WIDE and WIDE[dtype] != dtype else EPSILON[dtype]
            book.add("determinant", f"determinant {dtype} {shape}", [(a, dtype)], [(y, dtype)],
                     abs=1e-12 * max(1.0, np.max(np.abs(y), initial=0)), rel=work * (2 if is_complex(dtype) else 1))
            y = np.linalg.inv(a)
            book.add("inverse", f"inverse {dtype} {shape}", [(a, dtype)], [(y, dtype)], **slack(dtype, y, 300))
    book.add("determinant", "determinant s64", [(np.array([[1, 2], [3, 4]]), "s64")], [(np.array(-2.0), "f32")])
    book.add("determinant", "determinant singular", [(np.ones((3, 3)), "f32")], [(np.array(0.0), "f32")])
    orders = ["fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf]
    for shape in ([3, 4], [2, 5, 2], [1, 1]):
        for dtype in DTYPES + SMALL:
            a = normal(shape, dtype)
            for i, order in enumerate(orders):
                y = np.linalg.norm(a, order, axis=(-2, -1))
                book.add("matrix_norm", f"matrix_norm {dtype} {shape} {order}", [(a, dtype)], [(y, real(dtype))], {"norm": i},
                         **slack(dtype, y))
    for dtype in DTYPES:
        a = np.stack([np.outer(normal(4, dtype), normal(3, dtype)), normal((4, 3), dtype), np.zeros((4, 3))])
        a = exact(a, dtype)
        low = np.linalg.matrix_rank(a.astype(np.complex128), rtol=4 * EPSILON[dtype] * 4)
        book.add("matrix_rank", f"matrix_rank {dtype}", [(a, dtype)], [(low, "s32")], {"tolerance": 4 * EPSILON[dtype]})
        book.add("matrix_rank", f"matrix_rank {dtype} coarse", [(a[1:2], dtype)], [(np.array([0]), "s32")],
                 {"tolerance": 0.5})
    for shape in ([3, 3], [5, 3], [3, 5], [2, 4, 2]):
        for dtype in ("f32", "f64", "bf16"):
            a = spread(*shape[-2:], dtype)
            a = np.broadcast_to(a, shape)
            y = np.linalg.pinv(a)
            book.add("pseudo_inverse", f"pseudo_inverse {dtype} {shape}", [(a, dtype)], [(y, dtype)], **slack(dtype, y, 300))
    thin = exact(np.outer([1.0, 2, 3, 4], [1.0, -1, 2]), "f64")
    book.add("pseudo_inverse", "pseudo_inverse of rank 1", [(thin, "f64")], [(np.linalg.pinv(thin), "f64")], abs=1e-14)


def strange(book):
    """A matrix with a NaN or an infinity gives NaN, and the others of its batch what they give alone."""
    for bad in (np.nan, np.inf):
        a = np.stack([np.diag([4.0, 9.0]), np.array([[1, 0], [bad, 1]])])
        nan = np.full((2, 2), np.nan)
        ok = np.stack([np.diag([2.0, 3.0]), nan])
        book.add("cholesky", f"cholesky {bad}", [(a, "f32")], [(ok, "f32")])
        book.add("determinant", f"determinant {bad}", [(a, "f32")], [(np.array([36.0, np.nan]), "f32")])
        book.add("inverse", f"inverse {bad}", [(a, "f64")], [(np.stack([np.diag([0.25, 1 / 9]), nan]), "f64")], abs=1e-16)
        book.add("eigh", f"eigh {bad}", [(a, "f32")], [(np.array([[4, 9], [np.nan, np.nan]]), "f32")])
        book.add("svd", f"svd {bad}", [(a, "f32")], [(np.array([[9, 4], [np.nan, np.nan]]), "f32")], abs=4e-6)
        book.add("lu", f"lu {bad}", [(a, "f32")], [(np.stack([np.eye(2), nan]), "f32")], {"output": 0})
        book.add("qr", f"qr {bad}", [(a, "f32")], [(np.stack([np.diag([-4.0, 9.0]) @ np.diag([-1, 1]), nan]), "f32")],
                 {"output": 1})
    for shape in ([0, 3], [3, 0], [0, 0], [2, 0, 3], [0, 2, 2]):
        a = np.zeros(shape)
        m, n = shape[-2:]
        k, lead = min(m, n), shape[:-2]
        eye = lambda r, c: np.broadcast_to(np.eye(r, c), lead + [r, c])
        for i, y in enumerate((eye(m, m), eye(m, k), eye(k, n))):
            book.add("lu", f"lu {shape} {i}", [(a, "f32")], [(y, "f32")], {"output": i})
        for complete in (0, 1):
            for i, y in enumerate((eye(m, m if complete else k), eye(m if complete else k, n))):
                book.add("qr", f"qr {shape} {complete} {i}", [(a, "f32")], [(y, "f32")], {"output": i, "complete": complete})
            for i, y in enumerate((np.zeros(lead + [k]), eye(m, m if complete else k), eye(n if complete else k, n))):
                book.add("svd", f"svd {shape} {complete} {i}", [(a, "f32")], [(y, "f32")], {"output": i, "full": complete})
    book.add("solve", "solve nothing", [(np.zeros((0, 0)), "f32"), (np.zeros((0, 2)), "f32")], [(np.zeros((0, 2)), "f32")])
    book.add("solve", "solve no columns", [(np.eye(3), "f32"), (np.zeros((3, 0)), "f32")], [(np.zeros((3, 0)), "f32")])
    book.add("eigh", "eigh nothing", [(np.zeros((0, 0)), "f32")], [(np.zeros((0,)), "f32")])
    book.add("cholesky", "cholesky nothing", [(np.zeros((2, 0, 0)), "f32")], [(np.zeros((2, 0, 0)), "f32")])


def record(book):
    factors(book)
    cholesky(book)
    spectra(book)
    solving(book)
    composed(book)
    strange(book)
