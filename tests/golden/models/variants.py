"""The tiny checkpoints: one dictionary each, all of them together covering what the readers must honour.

config        keys, as BertConfig names them, that differ from BASE
weights       prefix ("bert."), gamma_beta (LayerNorm.gamma/beta names), dtype as stored, shards, pooler, buffers
pooling       a mode, several (concatenated), or None: no modules.json at all, a plain Transformers directory
dense         (width, activation, bias) or None; normalize: a 2_Normalize module
form          "legacy": files as sentence-transformers 2 wrote them; "new": as the installed one writes them
truncate_dim  of config_sentence_transformers.json, or None
text          cased tokenizer, do_lower_case of sentence_bert_config.json, max_seq_length, prompts;
              truncation_side of tokenizer_config.json, processing_kwargs of sentence_bert_config.json
lengths       of the recorded id sequences; pad_inside: the longest has padding tokens in it
head_named    of a decoder (config: keys that differ from DECODER): its architecture is the one with a head; a prefix
              in weights: as that one's state dictionary, with the head where it is not tied
"""
SHORT = [1, 2, 3, 5, 8, 17, 33]
LONG = SHORT + [16, 64, 65, 150]

BASE = {
    "family": "bert",
    "vocab": "uncased",
    "config": {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "num_hidden_layers": 1,
               "hidden_act": "gelu", "type_vocab_size": 2, "layer_norm_eps": 1e-12, "max_position_embeddings": 40},
    "weights": {"prefix": "", "gamma_beta": False, "dtype": "f32", "shards": 1, "pooler": False, "buffers": False,
                "extra": []},
    "pooling": ["mean"], "dense": None, "normalize": False, "truncate_dim": None, "form": "legacy", "include_prompt": True,
    "do_lower_case": False, "truncation_side": None, "processing_kwargs": None, "max_seq_length": 24, "prompts": None, "default_prompt_name": None,
    "lengths": SHORT, "pad_inside": False,
}

DECODER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
           "num_key_value_heads": 2, "head_dim": 16, "hidden_act": "silu", "rms_norm_eps": 1e-6,
           "max_position_embeddings": 160, "rope_theta": 10000.0, "tie_word_embeddings": True}


def variant(name, seed, **changes):
    """BASE with changes; the dictionaries "config" and "weights" are merged key by key."""
    made = {k: (dict(v) if isinstance(v, dict) else v) for k, v in BASE.items()}
    if changes.get("family") in ("qwen3", "qwen2", "mistral"):
        made.update(config=dict(DECODER), vocab="bytes", pooling=["lasttoken"], head_named=True)
    for key, value in changes.items():
        if key in ("config", "weights"):
            made[key].update(value)
        else:
            made[key] = value
    return {"name": name, "seed": seed, **made}


VARIANTS = [
    variant("bert-mean-gelu", 1, normalize=True, lengths=LONG, max_seq_length=128,
            config={"num_hidden_layers": 2, "intermediate_size": 37, "max_position_embeddings": 160}),
    variant("bert-cls-relu-prefix", 2, pooling=["cls"], form="new", max_seq_length=32,
            prompts={"query": "query: ", "passage": "passage: "}, default_prompt_name="query",
            config={"hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 96, "hidden_act": "relu",
                    "type_vocab_size": 1, "layer_norm_eps": 1e-5},
            weights={"prefix": "bert.", "gamma_beta": True, "extra": ["cls.predictions.bias"]}),
    variant("bert-max-gelu-new-shards", 3, pooling=["max"],
            config={"hidden_size": 64, "num_attention_heads": 8, "intermediate_size": 72, "num_hidden_layers": 3,
                    "hidden_act": "gelu_new", "layer_norm_eps": 1e-5},
            weights={"shards": 3}),
    variant("bert-last-silu-f16", 4, pooling=["lasttoken"], form="new", vocab="cased", normalize=True,
            config={"num_attention_heads": 2, "intermediate_size": 51, "hidden_act": "silu"},
            weights={"dtype": "f16"}),
    variant("bert-sqrt-dense-tanh-bf16", 5, pooling=["mean_sqrt_len_tokens"], dense=(20, "Tanh", True), normalize=True,
            config={"hidden_size": 48, "num_attention_heads": 6, "intermediate_size": 40, "num_hidden_layers": 2},
            weights={"dtype": "bf16", "pooler": True, "buffers": True}),
    variant("bert-weighted-dense-lower", 6, pooling=["weightedmean"], dense=(50, "Identity", False), form="new",
            vocab="cased", do_lower_case=True, include_prompt=False, prompts={"s": "the food: ", "none": ""},
            config={"type_vocab_size": 3, "hidden_act": "gelu_pytorch_tanh"},
            weights={"pooler": True}),
    variant("bert-concat-pooling", 7, pooling=["cls", "max", "mean"], normalize=True,
            config={"num_attention_heads": 1, "intermediate_size": 16}),
    variant("bert-plain", 8, pooling=None, max_seq_length=None, config={"intermediate_size": 33},
            weights={"pooler": True, "buffers": True}),
    variant("mpnet-mean", 9, family="mpnet", vocab="mpnet", normalize=True, lengths=LONG, max_seq_length=128,
            config={"num_hidden_layers": 2, "max_position_embeddings": 162}, weights={"pooler": True}),
    variant("mpnet-cls-prefix", 10, family="mpnet", vocab="mpnet", pooling=["cls"], form="new",
            config={"hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 49, "hidden_act": "relu",
                    "layer_norm_eps": 1e-5, "relative_attention_num_buckets": 40},
            weights={"prefix": "mpnet.", "buffers": True}),
    variant("bert-truncate-dim", 11, normalize=True, truncate_dim=20, lengths=SHORT[:4],
            config={"num_attention_heads": 2, "intermediate_size": 16}),
    variant("bert-truncation-left", 12, pooling=["cls", "lasttoken"], form="new", truncation_side="left",
            processing_kwargs={"text": {"max_length": 10, "truncation": True}}, lengths=SHORT[:4],
            config={"num_attention_heads": 2, "intermediate_size": 16}),
    variant("roberta-mean", 13, family="roberta", vocab="roberta", normalize=True, lengths=SHORT + [80], max_seq_length=80,
            pad_inside=True, config={"num_hidden_layers": 2, "intermediate_size": 37, "type_vocab_size": 1,
                                     "layer_norm_eps": 1e-5, "max_position_embeddings": 82},
            weights={"pooler": True}),
    variant("roberta-weighted-prefix-pad", 14, family="roberta", vocab="roberta", pooling=["weightedmean"], form="new",
            pad_inside=True, include_prompt=False, prompts={"query": "the query: "},
            config={"pad_token_id": 5, "num_attention_heads": 2, "intermediate_size": 24},
            weights={"prefix": "roberta.", "buffers": True, "extra": ["lm_head.bias"]}),
    variant("xlm-roberta-cls", 15, family="xlm-roberta", vocab="xlmr", pooling=["cls"], normalize=True,
            config={"type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 42}),
    variant("camembert-mean-f16", 16, family="camembert", vocab="xlmr", lengths=SHORT[:4],
            config={"num_attention_heads": 2, "intermediate_size": 16, "type_vocab_size": 1},
            weights={"dtype": "f16", "prefix": "roberta.", "pooler": True}),
    variant("distilbert-mean", 17, family="distilbert", normalize=True,
            config={"num_hidden_layers": 2, "intermediate_size": 37}),
    variant("distilbert-dense-prefix", 18, family="distilbert", vocab="cased", dense=(20, "Tanh", True), form="new",
            config={"hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 49, "hidden_act": "relu",
                    "sinusoidal_pos_embds": True},
            weights={"prefix": "distilbert.", "extra": ["vocab_projector.bias"]}),
    variant("qwen3-last", 13, family="qwen3", normalize=True, lengths=LONG, max_seq_length=128,
            prompts={"query": "Instruct: Find what answers\nQuery:", "document": ""}),
    variant("mistral-mean-dense-window", 14, family="mistral", vocab="turns", pooling=["mean"], form="new",
            dense=(20, "Tanh", True), normalize=True, include_prompt=False, head_named=False, lengths=LONG,
            max_seq_length=120, truncation_side="left", prompts={"s": "the food: "},
            config={"sliding_window": 12, "tie_word_embeddings": False, "head_dim": 8, "num_key_value_heads": 4}),
    variant("qwen2-both-ways-bf16", 15, family="qwen2", pooling=["weightedmean", "lasttoken"], truncate_dim=40,
            max_seq_length=100, config={"is_causal": False, "tie_word_embeddings": False, "head_dim": 8,
                                        "num_key_value_heads": 1},
            weights={"prefix": "model.", "dtype": "bf16"}),
]

# What each checkpoint is asked to embed.
TEXTS = [
    "A man is eating food.",
    "the",
    "",
    "The woman reads 3 books, and the dog sleeps!",
    "Caf\u00e9 na\u00efve \u00c5ngstr\u00f6m",
    "\u4e2d\u6587 and \u65e5\u672c together",
    "emoji \U0001f469\u200d\U0001f680 in the \u0431\u043e\u043b\u044c\u0448\u043e\u0439 text",
    "  spaces\tand\nlines \u00a0 here  ",
    "[CLS] special [SEP] tokens <s> typed </s>",
    "the man and the woman and the dog and the cat eat good food in the big house " * 4,
    "cat, dog; man: woman. " * 2,
    "Xyzzy plugh 2024-11-21 #tag @name 50%",
]
