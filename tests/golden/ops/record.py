"""Records what the ops of emily/ops.def must give, a book a family: FAMILY.json and FAMILY.bin beside this file, made by
FAMILY.py (layout: book.py): all the files here that are not book.py or this one.

Use: record.py [FAMILY...]    Needs: numpy, scipy, torch, jax, mlx[cpu].
"""
import importlib
import importlib.metadata
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
from collections import Counter

import jax
import numpy as np
import scipy
import torch

import book

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = sorted(name[:-3] for name in os.listdir(HERE) if name.endswith(".py") and name not in ("book.py", "record.py"))


def main():
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "torch": torch.__version__,
                "jax": jax.__version__, "mlx": importlib.metadata.version("mlx")}
    for family in sys.argv[1:] or FAMILIES:
        made = book.Book()
        importlib.import_module(family).record(made)
        made.write(os.path.join(HERE, family), versions)
        print(family, len(made.cases), "cases,", os.path.getsize(os.path.join(HERE, family + ".bin")), "bytes;",
              ", ".join(f"{op} {n}" for op, n in sorted(Counter(c["op"] for c in made.cases).items())))


if __name__ == "__main__":
    main()
