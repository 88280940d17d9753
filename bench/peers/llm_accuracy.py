"""Distance to f32 at Qwen3-0.6B's shape, random bf16 weights: emily's, and that of Transformers in bf16.

emily continues a prompt greedily (`emily generate --prompt-ids ... --logits`). Transformers in f32, the same bf16
weights widened, reads prompt and answer at once and says what each step's logits are; Transformers in bf16 does so for
its own distance. Asked: emily's distance is at most that of bf16, and its ids are those of f32 up to ties within the
rounding of bf16.
"""
import json
import os
import subprocess
import sys
import tempfile

import common

args = common.arguments(__doc__, encoder=False, cache=(common.KEPT, "for checkpoints"),
                        layers=(28, "fewer for a quick look"), steps=(32, "ids to write"),
                        prompt=("9707,11,1879,0,358,1079,264,4128,1614,13", "its ids"))

import numpy as np
import torch
from transformers import AutoModelForCausalLM

import llm_checkpoint as checkpoint

torch.set_num_threads(args.threads)
PROMPT = [int(i) for i in args.prompt.split(",")]
ULP = 2.0 ** -8  # of bf16: neighbours near 1 are this far apart


def emily(directory, *options):
    """(ids, logits [steps, vocabulary]) of the greedy answer."""
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "logits.npy")
        out = subprocess.run([args.emily, "generate", directory, "--prompt-ids", args.prompt, "--max-tokens",
                              str(args.steps), "--output", "ids", "--temperature", "0", "--ignore-eos", "--logits",
                              path, *options], capture_output=True, text=True)
        if out.returncode:
            sys.exit(f"emily generate: {out.stderr.strip()}")
        return [int(i) for i in out.stdout.replace(",", " ").split()], np.load(path).reshape(args.steps, -1)


@torch.inference_mode()
def transformers(directory, dtype, ids):
    """Logits [steps, vocabulary] of the steps that follow the prompt when the answer is `ids`."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).eval()
    out = model(torch.tensor([PROMPT + ids[:-1]]), use_cache=False, logits_to_keep=len(ids))
    return out.logits[0].float().numpy()


def main():
    directory = checkpoint.dense(args.cache, args.layers)
    ids, ours = emily(directory)
    truth = transformers(directory, torch.float32, ids).astype(np.float64)
    theirs = transformers(directory, torch.bfloat16, ids)
    got = {"emily": ours - truth, "Transformers bf16": theirs - truth}
    other, wide = emily(directory, "--cache", "f32")
    if other == ids:
        got["emily, keys and values in f32"] = wide - truth
    distance = {name: {"max": np.abs(d).max(), "rms": np.sqrt((d * d).mean())} for name, d in got.items()}
    # Of ids that differ, how far the chosen logit is below the best, in spacings of bf16 at its size.
    below = [(truth[i].max() - truth[i][t]) / (ULP * max(abs(truth[i].max()), 1e-6)) for i, t in enumerate(ids)]
    same = sum(b == 0 for b in below)
    passed = {"distance": all(distance["emily"][k] <= distance["Transformers bf16"][k] for k in ("max", "rms")),
              "ids": max(below) <= 2}
    rows = [[name] + [f"{d[k]:.3e}" for k in ("max", "rms")] for name, d in distance.items()]
    results = [{"what": "accuracy", "distance": distance, "same_ids": same, "steps": len(ids), "below": max(below),
                "passed": {k: bool(v) for k, v in passed.items()}}]
    common.report(args, "llm_accuracy", f"Logits against Transformers in f32, {len(ids)} greedy steps",
                  ["logits", "max", "rms"], rows, {"results": json.loads(json.dumps(results, default=float))},
                  ["transformers", "torch"])
    print(f"{same} of {len(ids)} ids are f32's best, the others at most {max(below):.2f} spacings of bf16 below; " +
          ", ".join(f"{k} {'holds' if v else 'FAILS'}" for k, v in passed.items()))
    sys.exit(0 if all(passed.values()) else 1)


main()
