"""einsum against numpy.einsum, in double or in integers from the operands' exact values."""
import numpy as np

from book import EPSILON, NUMPY, rounded

rng = np.random.Generator(np.random.PCG64(12))


def values(shape, dtype):
    if dtype[0] in "su":
        return rng.integers(-9, 9, shape).astype(NUMPY[dtype])
    if dtype == "pred":
        return rng.random(shape) < 0.4
    if dtype[0] == "c":
        return rounded(rng.standard_normal(shape) + 1j * rng.standard_normal(shape), dtype).astype(np.complex128)
    return rounded(rng.standard_normal(shape), dtype).astype(np.float64)


def add(book, subscripts, *shapes, dtype="f32"):
    arrays = [values(shape, dtype) for shape in shapes]
    y = np.einsum(subscripts, *arrays)
    if dtype[0] in "su" or dtype == "pred":
        slack = (0, 0)
    else:
        size = np.max(np.einsum(subscripts, *[np.abs(a) for a in arrays]), initial=0)
        acc = "f32" if dtype in ("f16", "bf16") and len(arrays) < 3 else dtype
        slack = (4 * size * EPSILON[acc], EPSILON[dtype])
    book.add("einsum", f"einsum {dtype} {subscripts} {list(map(list, shapes))}", [(a, dtype) for a in arrays],
             [(y, dtype)], {"subscripts": subscripts}, abs=slack[0], rel=slack[1])


CASES = [
    ("ij,jk->ik", (3, 4), (4, 5)), ("ij,jk", (3, 4), (4, 5)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)), ("ij,jk,kl->il", (3, 4), (4, 5), (5, 2)),
    ("i,i", (5,), (5,)), ("i,i->i", (5,), (5,)), ("i,j", (3,), (4,)), ("i,j->ji", (3,), (4,)),
    ("ii", (4, 4)), ("ii->i", (4, 4)), ("iji->j", (3, 4, 3)), ("iij->ji", (3, 3, 2)), ("iii->i", (3, 3, 3)),
    ("iijj->ij", (2, 2, 3, 3)), ("ijij->ji", (2, 3, 2, 3)),
    ("ij->ji", (3, 4)), ("ba", (3, 4)), ("ij->", (3, 4)), ("ij->i", (3, 4)), ("ijk->ki", (2, 3, 4)),
    ("->", ()), (",ij->ij", (), (2, 3)), ("i->i", (4,)), ("Ab,bA->A", (2, 3), (3, 2)), ("zA", (2, 3)),
    ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)), ("...ij,jk", (2, 3, 4), (4, 5)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("i...->...", (3, 2, 2)), ("...i->i...", (2, 3, 4)),
    ("i...,i...->i...", (3, 2), (3, 2)), ("...,...", (2, 3), (2, 3)), ("...ii->...i", (2, 3, 3)),
    ("i...i", (3, 2, 3)), ("a...b,b...->...a", (2, 3, 4), (4, 3)), ("... , ...->...", (4,), (3, 1)),
    (" i j , j k -> i k ", (2, 3), (3, 2)), ("ij,ij->", (3, 4), (3, 4)), ("ij,j->i", (3, 4), (4,)),
    ("ij,ik->jk", (4, 2), (4, 3)), ("ijk,jil->kl", (3, 4, 5), (4, 3, 2)), ("bi,bj->bij", (2, 3), (2, 4)),
    ("ij,kl->ijkl", (2, 2), (2, 3)), ("ab,cb,db->acd", (2, 4), (3, 4), (2, 4)),
    ("ijk,ilm,njm,nlk,abc->", (2, 3, 2), (2, 2, 2), (3, 3, 2), (3, 2, 2), (2, 2, 2)),
    ("ea,fb,abcd,gc,hd->efgh", (2, 3), (2, 3), (3, 3, 3, 3), (2, 3), (2, 3)),
    ("ab,bc,cd,de,ef,fg->ag", (2, 3), (3, 2), (2, 4), (4, 2), (2, 3), (3, 2)),
    ("i,i,i->i", (4,), (4,), (4,)), ("ij,jj->i", (3, 4), (4, 4)), ("ij,jk->ik", (0, 4), (4, 5)),
    ("ij,jk->ik", (3, 0), (0, 5)), ("bsd,dhk->bhsk", (2, 3, 4), (4, 2, 3)), ("bhst,bthd->bshd", (1, 2, 3, 4), (1, 4, 2, 3)),
]


def record(book):
    for subscripts, *shapes in CASES:
        add(book, subscripts, *shapes)
    for dtype in ("f64", "f16", "bf16", "s32", "s64", "s8", "pred", "c64", "c128"):
        for i in (0, 4, 5, 6, 9, 12, 18, 19, 28, 47):
            add(book, CASES[i][0], *CASES[i][1:], dtype=dtype)
