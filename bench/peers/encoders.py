"""Forward of all-MiniLM-L6-v2 in f32: emily against PyTorch, torch.compile, ONNX Runtime and OpenVINO.

Every lane computes the last hidden state of the same batch x tokens ids without padding. emily runs as a process of its
own each round (`emily bench` times the forward alone, after warm-up); the peers run in this one. ONNX Runtime runs the
graph that its own transformer optimiser made; OpenVINO is held to f32, or it would choose bf16 where the CPU has it.
"""
import json
import os
import subprocess
import sys

import common

args = common.arguments(__doc__, shapes=("1x16,1x32,10x32,100x32,32x128,1x256", "batch x tokens, comma separated"),
                        lanes=("", "only these, comma separated"))

import numpy as np
import torch

import onnx_graph

torch.set_num_threads(args.threads)
with open(os.path.join(args.model, "config.json"), encoding="utf-8") as f:
    CONFIG = json.load(f)
H, F, LAYERS, HEADS = (CONFIG[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers",
                                           "num_attention_heads"))


def peers():
    """name -> function(ids, mask) -> hidden states as numpy."""
    eager, made = onnx_graph.load(args.model, "sdpa"), {}
    compiled = torch.compile(eager, dynamic=False)

    def in_torch(model):
        def run(x, m):
            with torch.inference_mode():
                return model(torch.from_numpy(x), torch.from_numpy(m)).numpy()
        return run
    made["torch"], made["torch.compile"] = in_torch(eager), in_torch(compiled)
    plain, better = onnx_graph.exported(args.model, args.out, HEADS, H)
    try:
        session = onnx_graph.session(better, args.threads)
        made["onnxruntime"] = lambda x, m: session.run(None, {"input_ids": x, "attention_mask": m})[0]
    except ImportError:
        print("onnxruntime is not installed", file=sys.stderr)
    try:
        import openvino
        graph = openvino.Core().compile_model(plain, "CPU", {"INFERENCE_PRECISION_HINT": "f32",
                                                             "INFERENCE_NUM_THREADS": args.threads,
                                                             "PERFORMANCE_HINT": "LATENCY"})
        request = graph.create_infer_request()
        made["openvino"] = lambda x, m: request.infer({"input_ids": x, "attention_mask": m})[0]
    except ImportError:
        print("openvino is not installed", file=sys.stderr)
    return made


def emily(shape):
    command = [args.emily, "bench", args.model, "--shapes", shape, "--json"]

    def lane():
        """As many runs as the peers get, once it is known how long one takes."""
        out = subprocess.run(command, capture_output=True, text=True)
        if out.returncode:
            sys.exit(f"emily bench: {out.stderr.strip()}")
        line = json.loads(out.stdout.splitlines()[0])
        if "--runs" not in command:
            command.extend(["--runs", str(max(2, min(40, int(150 / line["median_ms"]))))])
        return [line["median_ms"], line["best_ms"], line["median_ms"]]
    return lane


def operations(b, t):
    """Multiplications and additions of the forward, 2 each a multiply-add."""
    return b * LAYERS * (2 * (4 * H * H + 2 * H * F) * t + 4 * t * t * H)


def main():
    made, rows, results, limits = peers(), [], [], common.limits(args)
    peak = limits.get("fma_gflops")
    chosen = args.lanes.split(",") if args.lanes else ["emily"] + list(made)
    names = [n for n in ["emily"] + list(made) if n in chosen]
    rng = np.random.default_rng(1)
    for shape in args.shapes.split(","):
        b, t = map(int, shape.split("x"))
        x, m = rng.integers(1000, 30000, (b, t)), np.ones((b, t), np.int64)
        lanes = {n: emily(shape) if n == "emily" else common.timed(lambda f=made.get(n): f(x, m)) for n in names}
        outputs = [made[n](x, m) for n in names if n != "emily"]
        if any(np.abs(o - outputs[0]).max() > 1e-3 for o in outputs):
            sys.exit("the peers disagree: they do not compute the same thing")
        got = common.interleave(lanes, args.rounds, args.gap)
        fastest = min((n for n in names if n != "emily"), key=lambda n: got[n]["median"], default=None)
        row = [shape] + [common.milliseconds(got[n]["median"]) + f" ({common.milliseconds(got[n]['best'])})"
                         for n in names]
        ratio = best = None
        if "emily" in got and fastest:
            ratio = got[fastest]["median"] / got["emily"]["median"]
            best = min(g["best"] for n, g in got.items() if n != "emily") / got["emily"]["best"]
        share = operations(b, t) / got["emily"]["median"] / 1e6 / peak if peak and "emily" in got else None
        rows.append(row + [f"{ratio:.2f}x {fastest} ({best:.2f}x)" if ratio else "", f"{share:.0%}" if share else ""])
        results.append({"what": shape, "unit": "ms", "got": got, "fastest": fastest, "ratio": ratio, "best": best,
                        "share": share})
        print(" | ".join(map(str, rows[-1])), file=sys.stderr, flush=True)
    peak_text = f"of {peak:.0f} GFLOP/s" if peak else "of peak"
    common.report(args, "encoders", "Encoder forward, f32: milliseconds, median (best); ratios alike",
                  ["batch x tokens"] + names + ["against the fastest peer", peak_text], rows,
                  {"results": results, "limits": limits}, ["torch", "transformers", "onnxruntime", "openvino"])


main()
