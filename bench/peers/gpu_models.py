"""Models on a GPU, random weights at real shapes: emily's cuda device against PyTorch, torch.compile and JAX, in one run.

emily runs as `emily bench`, on checkpoints that this script writes once (CACHE). Encoders: a forward of B texts of 32
tokens, ids and hidden states on the device. Decoders: a prompt read, then greedy tokens one by one. The peers' decoder
keeps its cache in place; PyTorch runs it under torch.compile with CUDA graphs, JAX as one scan with the choice of the
token inside.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

import common
import gpu

ENCODERS = {"minilm": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
            "e5-small": dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536)}
DECODERS = {"qwen3-0.6b": dict(layers=28, hidden=1024, heads=16, kv=8, head=128, wide=3072, words=151936),
            "qwen3-4b": dict(layers=36, hidden=2560, heads=32, kv=8, head=128, wide=9728, words=151936)}
BATCHES, LENGTH = (1, 10, 100), 32
KINDS = {"f32": torch.float32, "bf16": torch.bfloat16}


def emily(args, *words):
    """The lines of JSON that a command of emily prints."""
    places = [os.path.join(args.build, "emily")]
    out = subprocess.run([places[0], *words], capture_output=True, text=True, env={"EMILY_DEVICE": "cuda", **os.environ})
    if out.returncode:
        sys.exit(f"emily {' '.join(words)}: {out.stderr}")
    return [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]


def checkpoint(args, name, make):
    path = os.path.join(args.cache, name)
    if not os.path.exists(os.path.join(path, "config.json")):
        torch.manual_seed(0)
        with torch.device("cuda"):
            model = make()
        model.save_pretrained(path)
        del model
        torch.cuda.empty_cache()
    return path


# ---- encoders ----

def encoder_checkpoint(args, name):
    """With a tokenizer of two entries: `emily bench` makes its ids itself, but opens a whole model."""
    from transformers import BertConfig, BertModel
    path = checkpoint(args, name, lambda: BertModel(BertConfig(**ENCODERS[name])))
    words = {"[UNK]": 0, "[PAD]": 1}
    with open(os.path.join(path, "tokenizer.json"), "w") as out:
        json.dump({"version": "1.0", "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": words,
                                               "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}, out)
    return path


def jax_encoder(c, dtype, batch):
    import jax
    import jax.numpy as jnp
    kind = jnp.dtype({"f32": "float32", "bf16": "bfloat16"}[dtype])
    d, heads, wide = c["hidden_size"], c["num_attention_heads"], c["intermediate_size"]
    key = iter(jax.random.split(jax.random.PRNGKey(0), 1000))
    weight = lambda *shape: jax.random.normal(next(key), shape, kind) * 0.02
    words = weight(30522, d)
    layers = [dict(qkv=weight(d, 3 * d), qkv_b=weight(3 * d), out=weight(d, d), out_b=weight(d), up=weight(d, wide),
                   up_b=weight(wide), down=weight(wide, d), down_b=weight(d), norms=weight(4, d))
              for _ in range(c["num_hidden_layers"])]

    def norm(x, scale, shift):
        mean = x.mean(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-12) * scale + shift

    @jax.jit
    def forward(words, layers, ids):
        h = norm(words[ids], 1, 0)
        for p in layers:
            parts = jnp.split(h @ p["qkv"] + p["qkv_b"], 3, -1)
            q, k, v = (t.reshape(batch, LENGTH, heads, d // heads).transpose(0, 2, 1, 3) for t in parts)
            scores = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / math.sqrt(d // heads), -1)
            a = (scores @ v).transpose(0, 2, 1, 3).reshape(batch, LENGTH, d)
            h = norm(h + a @ p["out"] + p["out_b"], p["norms"][0], p["norms"][1])
            inner = jax.nn.gelu(h @ p["up"] + p["up_b"], approximate=False)
            h = norm(h + inner @ p["down"] + p["down_b"], p["norms"][2], p["norms"][3])
        return h
    ids, last = jax.numpy.arange(batch * LENGTH).reshape(batch, LENGTH) % 30000, [None]

    def call(i):
        with jax.default_matmul_precision("highest" if dtype == "f32" else "default"):
            last[0] = forward(words, layers, ids)
            last[0].block_until_ready()
    return call


def encoder_rows(args, name, found):
    from transformers import BertModel
    c, path = ENCODERS[name], encoder_checkpoint(args, name)
    per_token = c["num_hidden_layers"] * (8 * c["hidden_size"]**2 + 4 * c["hidden_size"] * c["intermediate_size"]
                                          + 4 * LENGTH * c["hidden_size"])
    for dtype in args.dtypes.split(","):
        shapes = ",".join(f"{b}x{LENGTH}" for b in BATCHES)
        answers = [emily(args, "bench", path, "--shapes", shapes, "--dtype", dtype, "--json", "--runs", "100")
                   for _ in range(3)]
        with torch.inference_mode():
            model = BertModel.from_pretrained(path, add_pooling_layer=False).cuda().to(KINDS[dtype]).eval()
            for i, batch in enumerate(BATCHES):
                ids = torch.randint(0, 30000, (batch, LENGTH), device="cuda")
                lanes = {"emily": lambda: [statistics.median(a[i]["median_ms"] * 1e3 for a in answers)]}
                if "torch" in args.peers:
                    lanes["torch"] = single(lambda i: model(input_ids=ids))
                if "compile" in args.peers:
                    torch._dynamo.reset()
                    fast = torch.compile(model, mode="reduce-overhead", dynamic=False)
                    lanes["compile"] = single(lambda i: fast(input_ids=ids))
                if "jax" in args.peers:
                    lanes["jax"] = single(jax_encoder(c, dtype, batch), wait=lambda: None)
                got = gpu.interleave(lanes, args.rounds)
                share = per_token * batch * LENGTH / (got["emily"] * 1e-6) / found[dtype]
                yield gpu.row(f"{name} {batch}x{LENGTH} {dtype}", got, f"{share:.0%}")


def single(function, wait=torch.cuda.synchronize):
    """As `emily bench` times: one forward, then a wait. Microseconds."""
    def lane():
        for i in range(4):
            function(i)
        runs = []
        for i in range(30):
            wait()
            start = time.perf_counter()
            function(i)
            wait()
            runs.append((time.perf_counter() - start) * 1e6)
        return [statistics.median(runs)]
    return lane


# ---- decoders ----

class Decoder(torch.nn.Module):
    """Qwen3 with a cache of `context` rows that is written in place."""

    def __init__(self, c, context):
        super().__init__()
        def weight(*shape):
            return torch.nn.Parameter(torch.randn(*shape, device="cuda", dtype=torch.bfloat16) * 0.02, False)
        self.c, d, q = c, c["hidden"], (c["heads"] + 2 * c["kv"]) * c["head"]
        self.words, self.norm = weight(c["words"], d), weight(d)
        self.parts = torch.nn.ModuleList()
        for _ in range(c["layers"]):
            m = torch.nn.Module()
            m.qkv, m.out, m.up = weight(q, d), weight(d, c["heads"] * c["head"]), weight(2 * c["wide"], d)
            m.down, m.n1, m.n2 = weight(d, c["wide"]), weight(d), weight(d)
            m.qn, m.kn = weight(c["head"]), weight(c["head"])
            self.parts.append(m)
        angles = torch.outer(torch.arange(context).float(), 1e6 ** (-torch.arange(0, c["head"], 2) / c["head"]))
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos().cuda().bfloat16())
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin().cuda().bfloat16())
        empty = torch.zeros(2, c["layers"], 1, c["kv"], context, c["head"], device="cuda", dtype=torch.bfloat16)
        self.register_buffer("cache", empty)
        self.register_buffer("rows", torch.arange(context, device="cuda"))

    def turned(self, x, at):
        half = self.c["head"] // 2
        return x * self.cos[at] + torch.cat([-x[..., half:], x[..., :half]], -1) * self.sin[at]

    def forward(self, ids, at):
        c, h, n = self.c, self.words[ids], ids.shape[0]
        seen = (self.rows[None] <= at[:, None])[None, None]
        for i, m in enumerate(self.parts):
            x = F.linear(F.rms_norm(h, (c["hidden"],), m.n1, 1e-6), m.qkv).view(n, -1, c["head"])
            q, k, v = (t.transpose(0, 1) for t in x.split([c["heads"], c["kv"], c["kv"]], 1))
            q = self.turned(F.rms_norm(q, (c["head"],), m.qn, 1e-6), at)
            self.cache[0, i, 0, :, at] = self.turned(F.rms_norm(k, (c["head"],), m.kn, 1e-6), at)
            self.cache[1, i, 0, :, at] = v
            a = F.scaled_dot_product_attention(q[None], self.cache[0, i], self.cache[1, i], attn_mask=seen,
                                               enable_gqa=True)
            h = h + F.linear(a[0].transpose(0, 1).reshape(n, -1), m.out)
            gate, up = F.linear(F.rms_norm(h, (c["hidden"],), m.n2, 1e-6), m.up).chunk(2, -1)
            h = h + F.linear(F.silu(gate) * up, m.down)
        return F.linear(F.rms_norm(h[-1:], (c["hidden"],), self.norm, 1e-6), self.words).argmax(-1)


def torch_decoder(args, c, mode):
    """Tokens a second, and seconds that a prompt takes."""
    torch._dynamo.reset()
    with torch.inference_mode():
        model = Decoder(c, args.prompt + args.tokens)
        step, whole = (torch.compile(model, mode=mode, fullgraph=True, dynamic=False) for _ in range(2))
        places = [torch.tensor([i], device="cuda") for i in range(args.prompt, args.prompt + args.tokens)]
        ids, at = torch.randint(0, 1000, (args.prompt,), device="cuda"), torch.arange(args.prompt, device="cuda")
        prompt = statistics.median(single(lambda i: whole(ids, at))() for _ in range(3)) / 1e6
        rates = []
        for _ in range(4):
            token = torch.tensor([5], device="cuda")
            torch.cuda.synchronize()
            start = time.perf_counter()
            for place in places:
                token = step(token, place).clone()
            torch.cuda.synchronize()
            rates.append(args.tokens / (time.perf_counter() - start))
        return statistics.median(rates[1:]), prompt


def jax_decoder(args, c):
    import jax
    import jax.numpy as jnp
    half, kind = c["head"] // 2, jnp.bfloat16
    key = iter(jax.random.split(jax.random.PRNGKey(0), 2000))
    weight = lambda *shape: jax.random.normal(next(key), shape, kind) * 0.02
    d, q = c["hidden"], (c["heads"] + 2 * c["kv"]) * c["head"]
    words, last = weight(c["words"], d), weight(d)
    layers = [dict(qkv=weight(d, q), out=weight(c["heads"] * c["head"], d), up=weight(d, 2 * c["wide"]),
                   down=weight(c["wide"], d), n1=weight(d), n2=weight(d), qn=weight(c["head"]), kn=weight(c["head"]))
              for _ in range(c["layers"])]
    context = args.prompt + args.tokens
    angles = jnp.outer(jnp.arange(context), 1e6 ** (-jnp.arange(0, c["head"], 2) / c["head"]))
    cos, sin = (f(jnp.concatenate([angles, angles], -1)).astype(kind) for f in (jnp.cos, jnp.sin))

    def norm(x, scale):
        wide = x.astype(jnp.float32)
        return (wide * jax.lax.rsqrt((wide * wide).mean(-1, keepdims=True) + 1e-6)).astype(kind) * scale

    def turned(x, at):
        return x * cos[at] + jnp.concatenate([-x[..., half:], x[..., :half]], -1) * sin[at]

    def step(words, last, layers, caches, token, at):
        h, kept = words[token], []
        for p, (keys, values) in zip(layers, caches):
            x = (norm(h, p["n1"]) @ p["qkv"]).reshape(-1, c["head"])
            k = turned(norm(x[c["heads"]:c["heads"] + c["kv"]], p["kn"]), at)
            keys = jax.lax.dynamic_update_slice(keys, k[:, None], (0, at, 0))
            values = jax.lax.dynamic_update_slice(values, x[c["heads"] + c["kv"]:][:, None], (0, at, 0))
            kept.append((keys, values))
            heads = turned(norm(x[:c["heads"]], p["qn"]), at).reshape(c["kv"], -1, c["head"])
            scores = jnp.einsum("kgd,ksd->kgs", heads, keys, preferred_element_type=jnp.float32)
            scores = jnp.where(jnp.arange(context) <= at, scores / math.sqrt(c["head"]), -1e30)
            h = h + jnp.einsum("kgs,ksd->kgd", jax.nn.softmax(scores, -1).astype(kind), values).reshape(-1) @ p["out"]
            gate, up = jnp.split(norm(h, p["n2"]) @ p["up"], 2, -1)
            h = h + (jax.nn.silu(gate) * up) @ p["down"]
        return kept, jnp.argmax(norm(h, last) @ words.T)

    @jax.jit
    def answer(words, last, layers, caches):
        def body(state, at):
            caches, token = step(words, last, layers, *state, at)
            return (caches, token), token
        return jax.lax.scan(body, (caches, jnp.int32(5)), jnp.arange(args.prompt, context))[1]
    caches = [(jnp.zeros((c["kv"], context, c["head"]), kind),) * 2 for _ in layers]
    times = [0] * 4
    for i in range(4):
        start = time.perf_counter()
        answer(words, last, layers, caches).block_until_ready()
        times[i] = time.perf_counter() - start
    return args.tokens / statistics.median(times[1:])


def decoder_checkpoint(args, name):
    from transformers import Qwen3Config, Qwen3ForCausalLM
    c = DECODERS[name]

    def make():
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen3ForCausalLM(Qwen3Config(
            vocab_size=c["words"], hidden_size=c["hidden"], intermediate_size=c["wide"], head_dim=c["head"],
            num_hidden_layers=c["layers"], num_attention_heads=c["heads"], num_key_value_heads=c["kv"],
            tie_word_embeddings=True, max_position_embeddings=40960))
        torch.set_default_dtype(torch.float32)
        return model
    return checkpoint(args, name, make)


def decoder_rows(args, name, found):
    c, path = DECODERS[name], decoder_checkpoint(args, name)
    body = c["layers"] * (c["hidden"] * (2 * c["heads"] + 2 * c["kv"]) * c["head"] + 3 * c["hidden"] * c["wide"])
    weights = 2 * (body + c["words"] * c["hidden"])
    limit = found["read"] / (weights + c["layers"] * c["kv"] * c["head"] * 4 * (args.prompt + args.tokens / 2))
    work = 2 * body * args.prompt + 2 * c["layers"] * c["heads"] * c["head"] * args.prompt**2
    decode, prompt = {}, {}
    answer = emily(args, "bench", path, "--prefill", str(args.prompt), "--decode", str(args.tokens), "--runs", "3",
                   "--json")[0]
    decode["emily"], prompt["emily"] = 1e6 / answer["decode_tok_s"], args.prompt / answer["prefill_tok_s"] * 1e6
    if "compile" in args.peers:
        rate, seconds = torch_decoder(args, c, args.mode)
        decode["compile"], prompt["compile"] = 1e6 / rate, seconds * 1e6
    if "jax" in args.peers:
        decode["jax"] = 1e6 / jax_decoder(args, c)
    yield gpu.row(f"{name} a token behind {args.prompt}", decode, f"{1e6 / decode['emily'] / limit:.0%}")
    yield gpu.row(f"{name} {args.prompt} tokens read", prompt, f"{work / (prompt['emily'] * 1e-6) / found['bf16']:.0%}")


def main():
    args = gpu.arguments(__doc__, encoders=("minilm,e5-small", "which"), decoders=("qwen3-0.6b", "which"),
                         dtypes=("f32,bf16", "of encoders"), cache=(common.KEPT, "where checkpoints are kept"),
                         prompt=(1024, "tokens of a decoder's prompt"), tokens=(128, "tokens of its answer"),
                         mode=("reduce-overhead", "of torch.compile"))
    found, rows = gpu.limits(), []
    for name in filter(None, args.encoders.split(",")):
        rows += encoder_rows(args, name, found)
    for name in filter(None, args.decoders.split(",")):
        rows += decoder_rows(args, name, found)
    gpu.show(args, "gpu_models", "Models on a GPU: microseconds, median; share of what memory or products give",
             ["model", "emily", "torch", "torch.compile", "jax", "against the fastest peer", "of the limit"], rows, found)


if __name__ == "__main__":
    main()
