"""Ops and programs on a GPU: emily's cuda device against PyTorch, torch.compile and JAX, in one run.

emily is bench/emily_gpu, which waits for "OP DTYPE N MILLISECONDS" on its standard input, so that it takes its turn with
its arrays warm. Every lane asks for many results one after another and then waits: what is timed is the device, or the
host where it is the slower. The limit is what a sum over 4 GB reads, and what the fastest library makes of an 8192^3
product, both measured before the rest. Models: gpu_models.py.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

import common

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import torch

SETS, NODES = 4, 1000
# arrays read and written
BYTES = {"add": 3, "exp": 2, "gelu": 2, "pow": 3, "softmax": 2, "layer_norm": 2, "sum_rows": 1, "argmax": 1, "sort": 2}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def arguments(about, **extra):
    parser = argparse.ArgumentParser(description=about.strip().splitlines()[0])
    parser.add_argument("--build", default=os.path.join(common.ROOT, "build"), help="where emily was built")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default=None, help="where results go as JSON (BUILD/bench)")
    parser.add_argument("--peers", default="torch,compile,jax", help="which")
    for name, (default, text) in extra.items():
        parser.add_argument("--" + name, default=default, type=type(default), help=text)
    args = parser.parse_args()
    args.out = args.out or os.path.join(args.build, "bench")
    args.peers = args.peers.split(",")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    return args


class Emily:
    def __init__(self, args):
        places = [os.path.join(args.build, where, "emily_gpu") for where in ("bench", "")]
        tool = next((p for p in places if os.path.exists(p)), None) or sys.exit(f"{places[0]} is not built")
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        env={"EMILY_DEVICE": "cuda", **os.environ})

    def lane(self, op, dtype, n):
        def run():
            self.process.stdin.write(f"{op} {dtype} {n} 40\n")
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"emily_gpu stopped at {op} {dtype} {n}")
            return [json.loads(line)["median_us"]]
        return run


def timed(function, wait=torch.cuda.synchronize, each=1, budget=0.04):
    """A lane of microseconds: rounds of about 2 ms of calls, then a wait. function(i): call i of a round."""
    def lane():
        function(0), function(1), wait()
        start = time.perf_counter()
        for i in range(3):
            function(i)
        wait()
        once = (time.perf_counter() - start) / 3
        count, runs, end = max(1, int(2e-3 / once)), [], time.perf_counter() + budget
        while len(runs) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            for i in range(count):
                function(i)
            wait()
            runs.append((time.perf_counter() - start) / count / each * 1e6)
        return [statistics.median(runs)]
    return lane


def interleave(lanes, rounds):
    got = {name: [] for name in lanes}
    for turn in range(rounds):
        for name in list(lanes)[turn % len(lanes):] + list(lanes)[:turn % len(lanes)]:
            got[name] += lanes[name]()
    return {name: statistics.median(values) for name, values in got.items()}


def limits():
    """Bytes a second that a sum reads, and FLOP a second of large products."""
    x = torch.empty(1 << 30, device="cuda").normal_()
    read = x.numel() * 4 / (timed(lambda i: x.sum())()[0] * 1e-6)
    del x
    found = {"read": read}
    for name, dtype in DTYPES.items():
        a = torch.randn(8192, 8192, device="cuda").to(dtype)
        found[name] = 2 * 8192**3 / (timed(lambda i: a @ a)()[0] * 1e-6)
    torch.cuda.empty_cache()
    return found


def torch_op(op):
    f = torch.nn.functional
    return {"add": lambda x, y, w: x + y, "exp": lambda x, y, w: x.exp(), "softmax": lambda x, y, w: x.softmax(-1),
            "gelu": lambda x, y, w: f.gelu(x), "pow": lambda x, y, w: x ** y, "sort": lambda x, y, w: x.sort(-1)[0],
            "sum_rows": lambda x, y, w: x.sum(-1), "argmax": lambda x, y, w: x.argmax(-1),
            "matmul": lambda x, y, w: x @ y,
            "layer_norm": lambda x, y, w: f.layer_norm(x, w.shape, w, w, 1e-5)}[op]


def jax_lanes(op, n, dtype):
    import jax
    import jax.numpy as jnp
    kind = {"f32": jnp.float32, "bf16": jnp.bfloat16, "f16": jnp.float16}[dtype]
    keys = jax.random.split(jax.random.PRNGKey(0), 2 * SETS + 1)
    data = [(jax.random.normal(keys[2 * i], (n, n), kind), jax.random.normal(keys[2 * i + 1], (n, n), kind))
            for i in range(SETS)]
    if op == "pow":
        data = [(jnp.exp(jnp.sin(x)), y) for x, y in data]
    w = jax.random.normal(keys[-1], (n,), kind)

    def norm(x, y, w):
        m = x.mean(-1, keepdims=True)
        return (x - m) * jax.lax.rsqrt(((x - m) ** 2).mean(-1, keepdims=True) + 1e-5) * w + w
    f = jax.jit({"add": lambda x, y, w: x + y, "exp": lambda x, y, w: jnp.exp(x), "layer_norm": norm,
                 "softmax": lambda x, y, w: jax.nn.softmax(x, -1), "sum_rows": lambda x, y, w: x.sum(-1),
                 "gelu": lambda x, y, w: jax.nn.gelu(x, approximate=False), "pow": lambda x, y, w: x ** y,
                 "argmax": lambda x, y, w: x.argmax(-1), "sort": lambda x, y, w: jnp.sort(x, -1),
                 "matmul": lambda x, y, w: jax.lax.dot(x, y, precision="highest" if dtype == "f32" else None)}[op])
    last = [None]

    def call(i):
        last[0] = f(*data[i % SETS], w)
    return {"jax": timed(call, lambda: last[0].block_until_ready())}


def op_lanes(args, own, op, n, dtype):
    lanes = {"emily": own.lane(op, dtype, n)}
    x = [torch.randn(n, n, device="cuda").to(DTYPES[dtype]) for _ in range(SETS)]
    y = [torch.randn(n, n, device="cuda").to(DTYPES[dtype]) for _ in range(SETS)]
    w, f = torch.randn(n, device="cuda").to(DTYPES[dtype]), torch_op(op)
    if op == "pow":
        x = [each.sin().exp() for each in x]
    if "torch" in args.peers:
        lanes["torch"] = timed(lambda i: f(x[i % SETS], y[i % SETS], w))
    if "compile" in args.peers and op != "matmul":
        torch._dynamo.reset()
        fast = torch.compile(f, dynamic=False)
        lanes["compile"] = timed(lambda i: fast(x[i % SETS], y[i % SETS], w))
    if "jax" in args.peers:
        lanes.update(jax_lanes(op, n, dtype))
    return lanes


def eager_lanes(args, own, n):
    x, y = torch.randn(n, device="cuda"), torch.randn(n, device="cuda")

    def chain(i):
        z = x
        for _ in range(NODES):
            z = z + y
        return z
    return {"emily": own.lane("eager", "f32", n), "torch": timed(chain, each=NODES)}


def product_lanes(args, own, n):
    x, y = torch.randn(n, n, device="cuda"), torch.randn(n, n, device="cuda")

    def chain(i):
        z = x
        for _ in range(NODES):
            z = z @ y
        return z
    return {"emily": own.lane("eager_matmul", "f32", n), "torch": timed(chain, each=NODES)}


def graph_lanes(args, own, n):
    """1,000 dependent nodes: replayed one by one (native, a CUDA graph), and merged (fuse, torch.compile)."""
    x, y = torch.randn(n, device="cuda"), torch.randn(n, device="cuda")

    def chain(z, y):
        for _ in range(NODES // 2):
            z = torch.tanh(z) * y
        return z
    graph = torch.cuda.CUDAGraph()
    chain(x, y), torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        chain(x, y)
    return ({"emily": own.lane("native", "f32", n), "torch": timed(lambda i: graph.replay())},
            {"emily": own.lane("fuse", "f32", n)})


def upload_lanes(args, own, n):
    """Host memory of n MiB to the GPU; PyTorch's is pinned already."""
    host, device = torch.ones(n << 18).pin_memory(), torch.empty(n << 18, device="cuda")
    return {"emily": own.lane("upload", "f32", n), "torch": timed(lambda i: device.copy_(host, non_blocking=True))}


def row(what, got, share, compare=True):
    peers = {k: v for k, v in got.items() if k != "emily" and compare}
    fastest = min(peers, key=peers.get) if peers else None
    ratio = f"{peers[fastest] / got['emily']:.2f}x {fastest}" if fastest else ""
    cells = [what] + [f"{got[k]:.2f}" if k in got else "" for k in ("emily", "torch", "compile", "jax")]
    cells += [ratio, share]
    print(" | ".join(cells), file=sys.stderr, flush=True)
    return cells


def show(args, name, title, header, rows, found):
    text = common.markdown(header, rows)
    machine = torch.cuda.get_device_name(0)
    print(f"### {title}\n\n{text}\n\n{machine}; reads {found['read'] / 1e12:.2f} TB/s, bf16 products "
          f"{found['bf16'] / 1e12:.0f} TFLOP/s; {common.versions('torch', 'jax', 'transformers')}\n", flush=True)
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, name + ".json"), "w", encoding="utf-8") as f:
        json.dump({"name": name, "title": title, "header": header, "rows": rows, "machine": machine, "limits": found,
                   "versions": common.versions("torch", "jax", "transformers")}, f, indent=1)


def main():
    args = arguments(__doc__, ops=("add,exp,gelu,pow,softmax,sum_rows,argmax,sort,layer_norm", "which"),
                     dtypes=("f32,bf16", "of those"), n=(4096, "of those"),
                     matmuls=("512,1024,2048,4096,8192", "n"), small=(1, "0: not the small ones"))
    own, rows, found = Emily(args), [], limits()
    for op in filter(None, args.ops.split(",")):
        for dtype in args.dtypes.split(","):
            got = interleave(op_lanes(args, own, op, args.n, dtype), args.rounds)
            moved = BYTES[op] * args.n**2 * DTYPES[dtype].itemsize
            rows.append(row(f"{op} {args.n} {dtype}", got, f"{moved / (got['emily'] * 1e-6) / found['read']:.0%}"))
    for n in map(int, filter(None, args.matmuls.split(","))):
        for dtype in DTYPES:
            got = interleave(op_lanes(args, own, "matmul", n, dtype), args.rounds)
            rows.append(row(f"matmul {n} {dtype}", got, f"{2 * n**3 / (got['emily'] * 1e-6) / found[dtype]:.0%}"))
    if args.small:
        for n in (16, 1024):
            rows.append(row(f"eager add of {n}, an op", interleave(eager_lanes(args, own, n), args.rounds), ""))
        rows.append(row("eager matmul of 64 x 64, an op", interleave(product_lanes(args, own, 64), args.rounds), ""))
        for n in (4, 256):
            got = interleave(upload_lanes(args, own, n), args.rounds)
            share = f"{got['torch'] / got['emily']:.0%}"
            rows.append(row(f"upload of {n} MiB that are not pinned; torch's are", got, share, compare=False))
        for name, lanes in zip(("replayed", "fuse lane"), graph_lanes(args, own, 1024)):
            rows.append(row(f"1,000 nodes of 1,024, {name}", interleave(lanes, args.rounds), ""))
    ratios = [float(r[5].split("x")[0]) for r in rows if r[5]]
    print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}x, lowest {min(ratios):.2f}x")
    show(args, "gpu", "Ops on a GPU: microseconds, median; share of what memory or products give",
         ["op", "emily", "torch", "torch.compile", "jax", "against the fastest peer", "of the limit"], rows, found)


if __name__ == "__main__":
    main()
