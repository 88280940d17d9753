"""Cold `emily embed` of one sentence, page cache warm: wall milliseconds and peak resident memory of the process.

Resident memory counts the mapped weights, so it is also given beyond the size of model.safetensors. The peer is a
Python process that does the same with sentence-transformers; it is run few times, being slow.
"""
import os
import statistics
import subprocess
import sys
import time

import common

args = common.arguments(__doc__, runs=(21, "of emily"), sentence=("A man is eating food.", "what to embed"))
PEER = ("import sys; from sentence_transformers import SentenceTransformer as S; "
        "print(S(sys.argv[1], device='cpu').encode([sys.argv[2]])[0, :3])")


def once(command):
    """(wall milliseconds, peak resident bytes) of a process."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        error = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = (time.perf_counter() - start) * 1e3
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]}: {error.decode(errors='replace').strip()[-300:]}")
    return wall, usage.ru_maxrss * 1024


def main():
    weights = os.path.getsize(os.path.join(args.model, "model.safetensors"))
    commands = {"emily embed": ([args.emily, "embed", args.model, args.sentence], args.runs),
                "sentence-transformers": ([sys.executable, "-c", PEER, args.model, args.sentence], 2)}
    rows, results = [], []
    for name, (command, runs) in commands.items():
        once(command)
        got = []
        for _ in range(runs):
            time.sleep(args.gap / 4)
            got.append(once(command))
        wall, memory = statistics.median(g[0] for g in got), max(g[1] for g in got)
        rows.append([name, common.milliseconds(wall), common.milliseconds(min(g[0] for g in got)),
                     f"{memory / 1e6:.1f}", f"{(memory - weights) / 1e6:+.1f}"])
        results.append({"what": name, "median": wall, "memory": memory, "weights": weights})
    common.report(args, "cold", "One sentence from a cold start, page cache warm",
                  ["process", "median ms", "best ms", "peak resident MB", "beyond the weights, MB"], rows,
                  {"results": results}, ["sentence-transformers", "torch"])


main()
