"""Records what the ops of emily/ops.def must give: cases.json and arrays.bin beside this file (layout: book.py).

Use: record.py    Needs: numpy, scipy, torch, jax.
"""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
from collections import Counter

import jax
import numpy as np
import scipy
import torch

import book
import elementwise
import products
import shapes


def main():
    made = book.Book()
    for room in (elementwise, shapes, products):
        room.record(made)
    here = os.path.dirname(os.path.abspath(__file__))
    made.write(here, {"numpy": np.__version__, "scipy": scipy.__version__, "torch": torch.__version__,
                      "jax": jax.__version__})
    sizes = {n: os.path.getsize(os.path.join(here, n)) for n in ("cases.json", "arrays.bin")}
    print(len(made.cases), "cases;", ", ".join(f"{n} {s} bytes" for n, s in sizes.items()))
    print(", ".join(f"{op} {n}" for op, n in sorted(Counter(c["op"] for c in made.cases).items())))


if __name__ == "__main__":
    main()
