"""Checkpoints of Qwen3-0.6B's shape with random weights: as Hugging Face (bf16), as mlx-lm (4 bits) and as GGUF.

All stand for the same bf16 values, so that engines can be compared by their answers. They are made once and kept in a
folder (about 3 GB with 28 layers).
"""
import json
import os
import zlib

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

HIDDEN, HEADS, KV_HEADS, HEAD, WIDE, VOCABULARY, POSITIONS = 1024, 16, 8, 128, 3072, 151936, 40960
GROUP, BITS = 64, 4


def config(layers):
    return {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN, "intermediate_size": WIDE, "num_hidden_layers": layers,
            "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD,
            "max_position_embeddings": POSITIONS, "rms_norm_eps": 1e-6, "rope_theta": 1000000, "rope_scaling": None,
            "hidden_act": "silu", "attention_bias": False, "tie_word_embeddings": True, "use_sliding_window": False,
            "sliding_window": None, "bos_token_id": 151643, "eos_token_id": 151645, "use_cache": True,
            "torch_dtype": "bfloat16"}


def shapes(layers):
    made = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for i in range(layers):
        at = f"model.layers.{i}."
        made.update({at + "input_layernorm.weight": (HIDDEN,), at + "post_attention_layernorm.weight": (HIDDEN,),
                     at + "self_attn.q_norm.weight": (HEAD,), at + "self_attn.k_norm.weight": (HEAD,),
                     at + "self_attn.q_proj.weight": (HEADS * HEAD, HIDDEN),
                     at + "self_attn.k_proj.weight": (KV_HEADS * HEAD, HIDDEN),
                     at + "self_attn.v_proj.weight": (KV_HEADS * HEAD, HIDDEN),
                     at + "self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD),
                     at + "mlp.gate_proj.weight": (WIDE, HIDDEN), at + "mlp.up_proj.weight": (WIDE, HIDDEN),
                     at + "mlp.down_proj.weight": (HIDDEN, WIDE)})
    return made


def made_once(path, make):
    """`make(temporary)` fills a path that then gets its name, so that a half-made one is never taken for whole."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = f"{path}.{os.getpid()}"
        make(part)
        os.rename(part, path)
    return path


def directory(cache, layers, name, tensors, settings, kind):
    def make(part):
        os.makedirs(part)
        save_file(tensors(), os.path.join(part, "model.safetensors"), metadata={"format": kind})
        with open(os.path.join(part, "config.json"), "w", encoding="utf-8") as f:
            json.dump({**config(layers), **settings}, f, indent=1)
    return made_once(os.path.join(cache, f"qwen3-0.6b-{layers}-{name}"), make)


def dense(cache, layers):
    """The Hugging Face directory."""
    def tensors():
        made = {}
        for name, shape in shapes(layers).items():
            x = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
            made[name] = (1 + 0.1 * x if "norm" in name else 0.02 * x).to(torch.bfloat16)
        return made
    return directory(cache, layers, "bf16", tensors, {}, "pt")


def four_bits(cache, layers):
    """The mlx-lm directory: affine, groups of 64, bf16 scales, embedding and head too."""
    def tensors():
        import mlx.core as mx
        mx.set_default_device(mx.cpu)
        made = {}
        with safe_open(os.path.join(dense(cache, layers), "model.safetensors"), "pt") as f:
            for name in f.keys():
                x = f.get_tensor(name)
                if x.ndim == 1:
                    made[name] = x
                    continue
                parts = mx.quantize(mx.array(x.float().numpy()).astype(mx.bfloat16), GROUP, BITS)
                made[name] = torch_of(parts[0], torch.uint32)
                stem = name.removesuffix(".weight")
                made[stem + ".scales"] = torch_of(parts[1].view(mx.uint16), torch.bfloat16)
                made[stem + ".biases"] = torch_of(parts[2].view(mx.uint16), torch.bfloat16)
        return made
    how = {"group_size": GROUP, "bits": BITS, "mode": "affine"}
    return directory(cache, layers, "4bit", tensors, {"quantization": how, "quantization_config": how}, "mlx")


def torch_of(array, dtype):
    """An MLX array's bits as a tensor of `dtype`."""
    return torch.from_numpy(np.array(array)).view(dtype)


GGUF_NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_norm": "attn_q_norm",
              "self_attn.k_norm": "attn_k_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
              "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    stem = name.removesuffix(".weight").removeprefix("model.")
    if stem == "embed_tokens":
        return "token_embd.weight"
    if stem == "norm":
        return "output_norm.weight"
    _, layer, part = stem.split(".", 2)
    return f"blk.{layer}.{GGUF_NAMES[part]}.weight"


def gguf(cache, layers):
    """The bf16 GGUF file, without a tokenizer."""
    def make(part):
        import gguf as package
        w = package.GGUFWriter(part, "qwen3")
        w.add_block_count(layers)
        w.add_context_length(POSITIONS)
        w.add_embedding_length(HIDDEN)
        w.add_feed_forward_length(WIDE)
        w.add_head_count(HEADS)
        w.add_head_count_kv(KV_HEADS)
        w.add_key_length(HEAD)
        w.add_value_length(HEAD)
        w.add_rope_freq_base(1e6)
        w.add_layer_norm_rms_eps(1e-6)
        w.add_vocab_size(VOCABULARY)
        w.add_tokenizer_model("none")
        with safe_open(os.path.join(dense(cache, layers), "model.safetensors"), "pt") as f:
            for name in f.keys():
                x = f.get_tensor(name)
                if x.ndim == 1:
                    w.add_tensor(gguf_name(name), x.float().numpy())
                    continue
                bits = x.view(torch.uint16).numpy()
                w.add_tensor(gguf_name(name), bits.view("u1").reshape(x.shape[0], -1),
                             raw_dtype=package.GGMLQuantizationType.BF16)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
    return made_once(os.path.join(cache, f"qwen3-0.6b-{layers}-bf16.gguf"), make)


def quantized_gguf(cache, layers, kind, threads):
    """The GGUF file quantized by llama.cpp itself: kind is Q8_0, Q4_0 or Q4_K."""
    def make(part):
        import ctypes
        import llama_cpp as lc
        p = lc.llama_model_quantize_default_params()
        p.ftype = getattr(lc, f"LLAMA_FTYPE_MOSTLY_{kind}" + ("_M" if kind.endswith("_K") else ""))
        p.nthread = threads
        if lc.llama_model_quantize(gguf(cache, layers).encode(), part.encode(), ctypes.byref(p)):
            raise SystemExit(f"llama.cpp could not make {part}")
    return made_once(os.path.join(cache, f"qwen3-0.6b-{layers}-{kind}.gguf"), make)


def file_bytes(path):
    """Bytes of the weights in a directory, or of a file."""
    return os.path.getsize(os.path.join(path, "model.safetensors") if os.path.isdir(path) else path)


def cache_bytes(layers, context, size):
    """Keys and values of so many tokens, `size` bytes each."""
    return 2 * layers * KV_HEADS * HEAD * context * size
