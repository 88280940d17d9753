"""What the comparisons of order.py, fourier.py and random_numbers.py share: rows of (op, dtype, rows, n), emily's side
of them (bench/emily_lines, a process that takes its turn between the peers), and the table.
"""
import json
import math
import os
import subprocess
import sys

import common

BUDGET = 0.06


class Emily:
    def __init__(self, args):
        tool = os.path.join(args.build, "bench/emily_lines")
        if not os.path.exists(tool):
            sys.exit(f"{tool} is not built")
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def lane(self, op, dtype, rows, n):
        def run():
            self.process.stdin.write(f"{op} {dtype} {rows} {n} {BUDGET * 1e3}\n")
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"emily_lines stopped at {op} {dtype} {rows} {n}")
            answer = json.loads(line)
            return [answer["median_us"] / 1e3, answer["best_us"] / 1e3, answer["median_us"] / 1e3]
        return run


def compare(args, name, title, work, lanes_of, names, packages):
    """work: list of (op, dtype, rows, n); lanes_of(op, dtype, rows, n): peer's name -> function, or None."""
    own, rows, results = Emily(args), [], []
    for op, dtype, count, n in work:
        peers = {k: common.timed(f, budget=BUDGET, most=200) for k, f in lanes_of(op, dtype, count, n).items() if f}
        got = common.interleave({"emily": own.lane(op, dtype, count, n), **peers}, args.rounds, args.gap / 4)
        fastest = min((k for k in got if k != "emily"), key=lambda k: got[k]["median"])
        ratio = got[fastest]["median"] / got["emily"]["median"]
        best = min(g["best"] for k, g in got.items() if k != "emily") / got["emily"]["best"]
        what = f"{op} {dtype} " + (f"{count} x {n}" if count > 1 else f"{n}")
        cells = [f"{got[k]['median'] * 1e3:.1f}" if k in got else "" for k in ["emily"] + names]
        rows.append([what] + cells + [f"{ratio:.2f}x {fastest} ({best:.2f}x)"])
        results.append({"what": what, "unit": "us", "got": got, "fastest": fastest, "ratio": ratio, "best": best})
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    mean, best = (math.exp(sum(math.log(r[k]) for r in results) / len(results)) for k in ("ratio", "best"))
    lowest = min(r["ratio"] for r in results)
    rows.append(["geometric mean"] + [""] * (1 + len(names)) + [f"{mean:.2f}x ({best:.2f}x), lowest {lowest:.2f}x"])
    common.report(args, name, title, ["what", "emily"] + names + ["against the fastest peer"], rows,
                  {"results": results}, packages)
