"""The tiny decoder checkpoints that record.py makes, and the cases recorded of each.

A checkpoint is a family's config, a seed and a way of storing. A case is a checkpoint read with a change of its
config.json: "set" gives members, "remove" takes them away. A spelling is a change that must not alter any answer:
Transformers 5 writes rope_parameters and dtype, older versions wrote rope_theta, rope_scaling and torch_dtype.
"""

SMALL = {"hidden_size": 64, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
         "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}


def rope(theta, kind="default", **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


def checkpoint(name, family, seed, stored="f32", shards=1, extra=(), quantization=None, **config):
    """extra: what old files also hold: "inv_freq" buffers, "lm_head" beside a tied embedding; or "own_head", one
    that is not the embedding.
    quantization: as in config.json; False for a layer that stays dense."""
    return {"name": name, "family": family, "seed": seed, "stored": stored, "shards": shards, "extra": extra,
            "quantization": quantization, "config": {**SMALL, **config}}


CHECKPOINTS = [
    # head_dim is not hidden / heads; two query heads share a key head; the head is the embedding
    checkpoint("qwen3", "qwen3", 381, head_dim=32, tie_word_embeddings=True, rope_parameters=rope(1e6)),
    checkpoint("qwen3-untied", "qwen3", 2, head_dim=16, num_key_value_heads=4, num_hidden_layers=3, vocab_size=300,
               attention_bias=True, tie_word_embeddings=False, rope_parameters=rope(1e4)),
    # as published: the tied head lies in the file as well
    checkpoint("qwen3-bf16", "qwen3", 3, stored="bf16", extra=("lm_head",), head_dim=32, num_hidden_layers=3,
               tie_word_embeddings=True, rope_parameters=rope(1e6)),
    checkpoint("qwen3-shards", "qwen3", 4, shards=3, head_dim=16, num_key_value_heads=1, tie_word_embeddings=False,
               rope_parameters=rope(1e6)),
    checkpoint("qwen2", "qwen2", 45, tie_word_embeddings=True, use_sliding_window=False, sliding_window=8,
               max_window_layers=1, rope_parameters=rope(1e6)),
    checkpoint("qwen2-f16", "qwen2", 26, stored="f16", num_key_value_heads=1, num_hidden_layers=3, vocab_size=320,
               tie_word_embeddings=False, rope_parameters=rope(1e4)),
    checkpoint("llama3", "llama", 47, num_attention_heads=8, head_dim=8, tie_word_embeddings=False, rms_norm_eps=1e-5,
               rope_parameters=rope(5e5, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=64)),
    checkpoint("llama-bias", "llama", 8, head_dim=24, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
               rope_parameters=rope(5e4)),
    # its config says nothing of rope nor head_dim
    checkpoint("tinyllama", "llama", 29, extra=("inv_freq",), num_attention_heads=8, num_key_value_heads=4,
               tie_word_embeddings=False, rms_norm_eps=1e-5, rope_parameters=rope(1e4)),
    checkpoint("mistral", "mistral", 10, head_dim=24, sliding_window=12, tie_word_embeddings=False,
               rope_parameters=rope(1e4)),
    checkpoint("mistral-bf16", "mistral", 11, stored="bf16", head_dim=16, sliding_window=None, num_hidden_layers=3,
               tie_word_embeddings=False, rope_parameters=rope(1e6)),
    # every fourth layer has no positions
    checkpoint("smollm3", "smollm3", 152, stored="bf16", num_hidden_layers=4, tie_word_embeddings=True,
               rope_parameters=rope(2e6)),
    checkpoint("smollm3-list", "smollm3", 13, stored="f16", num_hidden_layers=3, no_rope_layers=[0, 1, 0],
               tie_word_embeddings=False, rope_parameters=rope(5e6)),
    checkpoint("qwen3-4bit", "qwen3", 14, quantization={"group_size": 64, "bits": 4}, head_dim=32, num_hidden_layers=3,
               intermediate_size=128, tie_word_embeddings=True, rope_parameters=rope(1e6)),
    checkpoint("llama-mixed-bits", "llama", 15, stored="bf16", num_hidden_layers=3, intermediate_size=192,
               tie_word_embeddings=False, rope_parameters=rope(1e4),
               quantization={"group_size": 32, "bits": 4, "mode": "affine",
                             "lm_head": {"group_size": 64, "bits": 6, "mode": "affine"},
                             "model.embed_tokens": {"group_size": 64, "bits": 8, "mode": "affine"},
                             "model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 8},
                             "model.layers.1.mlp.down_proj": {"group_size": 64, "bits": 3},
                             "model.layers.1.self_attn.v_proj": {"group_size": 32, "bits": 5},
                             "model.layers.2.self_attn.o_proj": {"group_size": 64, "bits": 2},
                             "model.layers.2.self_attn.v_proj": False}),
    checkpoint("qwen3-mxfp4", "qwen3", 16, stored="bf16", quantization={"group_size": 32, "bits": 4, "mode": "mxfp4"},
               head_dim=32, intermediate_size=96, tie_word_embeddings=False, rope_parameters=rope(1e6)),
    # what is not quantized is f32
    checkpoint("llama-mxfp4", "llama", 17, quantization={"group_size": 32, "bits": 4, "mode": "mxfp4"},
               intermediate_size=96, tie_word_embeddings=True, rope_parameters=rope(1e4)),
    checkpoint("qwen2-mxfp8", "qwen2", 18, quantization={"group_size": 32, "bits": 8, "mode": "mxfp8"},
               intermediate_size=96, tie_word_embeddings=True, rope_parameters=rope(1e6)),
    checkpoint("qwen3-nvfp4", "qwen3", 190, quantization={"group_size": 16, "bits": 4, "mode": "nvfp4"}, head_dim=32,
               intermediate_size=96, tie_word_embeddings=True, rope_parameters=rope(1e6)),
    # "tied", with a head that is another
    checkpoint("qwen3-own-head", "qwen3", 20, extra=("own_head",), head_dim=32, tie_word_embeddings=True,
               rope_parameters=rope(1e6)),
]


def case(name, of, chunks=True, spellings=(), steps=False, **change):
    """chunks: whether an answer may not depend on how the prompt is cut; steps: keep the logits of each greedy step."""
    return {"name": name, "checkpoint": of, "chunks": chunks, "steps": steps, "set": change.get("set", {}),
            "remove": change.get("remove", []), "spellings": list(spellings)}


def older(theta=None, scaling=None, more=None, without=()):
    """The spelling of Transformers 4."""
    given = {"rope_scaling": scaling, "torch_dtype": "float32", **(more or {})}
    if theta is not None:
        given["rope_theta"] = theta
    return {"set": given, "remove": ["rope_parameters", "dtype", *without]}


def in_part(theta):
    """The plain rope of these families turns whole heads, whatever is said of parts."""
    return {"set": {"rope_parameters": rope(theta, partial_rotary_factor=0.5)}, "remove": []}


def scaled(scaling, positions, theta=1e6):
    """A case's change and its older spellings: `rope_type` as version 4.45 wrote it and `type` as those before it."""
    kind, rest = scaling["rope_type"], {k: v for k, v in scaling.items() if k != "rope_type"}
    return {"set": {"rope_parameters": {"rope_theta": theta, **scaling}, "max_position_embeddings": positions},
            "spellings": [older(theta, scaling), older(theta, {"type": kind, **rest})]}


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}

CASES = [
    case("qwen3", "qwen3", steps=True, spellings=[older(1e6), older(1000000), older(1e6, without=("layer_types",))]),
    case("qwen3-linear", "qwen3", **scaled({"rope_type": "linear", "factor": 4.0}, 512)),
    # 128 positions are never exceeded: as if nothing were scaled
    case("qwen3-dynamic-within", "qwen3", **scaled({"rope_type": "dynamic", "factor": 2.0}, 128)),
    # beyond 16 the frequencies follow the length of the call, so that a prompt in pieces is another computation
    case("qwen3-dynamic", "qwen3", chunks=False, steps=True, **scaled({"rope_type": "dynamic", "factor": 2.0}, 16)),
    case("qwen3-yarn", "qwen3", steps=True,
         **scaled({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}, 128)),
    case("qwen3-yarn-options", "qwen3",
         **scaled({"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 8.0,
                   "beta_slow": 2.0, "truncate": False, "mscale": 1.5, "mscale_all_dim": 0.5}, 512, theta=1e4)),
    case("qwen3-yarn-factor", "qwen3",
         **scaled({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32,
                   "attention_factor": 0.75}, 128)),
    case("qwen3-untied", "qwen3-untied", spellings=[older(1e4), older(), in_part(1e4)]),
    case("qwen3-bf16", "qwen3-bf16", steps=True, spellings=[older(1e6, more={"torch_dtype": "bfloat16"})]),
    case("qwen3-shards", "qwen3-shards"),
    case("qwen2", "qwen2", steps=True,
         spellings=[older(1e6, more={"sliding_window": 8, "max_window_layers": 1}, without=("layer_types",))]),
    case("qwen2-f16", "qwen2-f16", spellings=[in_part(1e4)]),
    case("llama3", "llama3", steps=True, spellings=[older(5e5, LLAMA3), older(5e5, LLAMA3, without=("head_dim",))]),
    case("llama-bias", "llama-bias", spellings=[in_part(5e4)]),
    case("llama-linear", "llama-bias", **scaled({"rope_type": "linear", "factor": 2.5}, 512, theta=1e4)),
    case("tinyllama", "tinyllama", spellings=[older(1e4), older(without=("head_dim",), more={"pretraining_tp": 1})]),
    case("mistral", "mistral", steps=True, spellings=[older(1e4)]),
    case("mistral-bf16", "mistral-bf16", spellings=[in_part(1e6)]),
    case("smollm3", "smollm3", steps=True,
         spellings=[older(2e6), older(), older(2e6, without=("no_rope_layers", "layer_types"))]),
    case("smollm3-interval", "smollm3", set={"no_rope_layer_interval": 2}, remove=["no_rope_layers"]),
    case("smollm3-list", "smollm3-list", spellings=[older(5e6), in_part(5e6)]),
    case("qwen3-4bit", "qwen3-4bit", steps=True),
    case("llama-mixed-bits", "llama-mixed-bits"),
    case("qwen3-mxfp4", "qwen3-mxfp4"),
    case("llama-mxfp4", "llama-mxfp4", steps=True),
    case("qwen2-mxfp8", "qwen2-mxfp8", steps=True),
    case("qwen3-nvfp4", "qwen3-nvfp4", steps=True),
    case("qwen3-own-head", "qwen3-own-head"),
]
