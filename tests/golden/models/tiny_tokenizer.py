"""Vocabularies of some hundred entries and the tokenizer files of a checkpoint over them.

They are written by hand, not trained: single characters or bytes, continuations, and a few words, so that most words
fall apart into pieces and the rest become the unknown token.
"""
import base64
import importlib.util
import json
import os
import string

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram, WordPiece

HERE = os.path.dirname(os.path.abspath(__file__))

WORDS = ("the a an and man woman dog cat is are eat eating food read reads book books in of to good bad big small house "
         "sleep sleeps together here line lines space spaces text query passage he she it they we you run runs").split()
ENDINGS = "ing ed s er ly ion al en th ou ea st nd".split()
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
OTHER = "\u00e9 \u00ef \u00e5 \u00f6 \u4e2d \u6587 \u65e5 \u672c \u0431 ##\u043e ##\u043b".split()


CLASSES = {"mpnet": "MPNetTokenizer", "roberta": "RobertaTokenizer", "xlmr": "XLMRobertaTokenizer"}


def vocabulary(kind):
    """kind: "uncased", "cased" (capitals too), "mpnet" (its special tokens and their ids)."""
    if kind == "mpnet":
        special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    else:
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + (string.ascii_uppercase if kind == "cased" else "")
    pieces = list(letters + string.digits) + list(".,;:!?#@%-[]<>/()'\"")
    pieces += ["##" + c for c in letters + string.digits] + ["##" + e for e in ENDINGS] + WORDS + OTHER
    return {piece: i for i, piece in enumerate(dict.fromkeys(special + pieces))}


def build_roberta():
    """Bytes, and the words that some merges make of them, from left to right."""
    vocab = {t: i for i, t in enumerate(ROBERTA_SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = {}
    for word in WORDS[:40]:
        left = "\u0120"
        for c in word:
            merges[left, c] = None
            left += c
            vocab.setdefault(left, len(vocab))
    tokenizer = Tokenizer(BPE(vocab, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(ROBERTA_SPECIAL)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]),
                                                            trim_offsets=True, add_prefix_space=False)
    return tokenizer


def charsmap():
    """The small character map of the golden tokenizers."""
    spec = importlib.util.spec_from_file_location("configs", os.path.join(HERE, "../tokenizer/configs.py"))
    configs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(configs)
    return configs.charsmap()


def build_xlmr():
    """SentencePiece's Unigram as XLM-RoBERTa's tokenizer.json has it: the longer a piece, the likelier."""
    pieces = ["\u2581" + w for w in WORDS] + ENDINGS + [o.replace("##", "") for o in OTHER]
    pieces += list("\u2581" + string.ascii_letters + string.digits + ".,;:!?#@%-[]<>/()'\"")
    scores = {p: round(-9 + 1.75 * len(p) - 0.01 * i, 2) for i, p in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(Unigram([(t, 0.0) for t in ROBERTA_SPECIAL[:4]] + list(scores.items()) + [("<mask>", 0.0)],
                                  unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(base64.b64decode(charsmap()))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(ROBERTA_SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def byte_level(kind):
    """Bytes and a few merges; texts end with a token, those of "turns" also begin with one."""
    special = ["<|endoftext|>", "<|begin|>", "<|end|>"]
    pieces = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("i", "n"), ("in", "g"), ("\u0120", "a"), ("e", "r")]
    vocab = {piece: i for i, piece in enumerate(pieces + [a + b for a, b in merges])}
    tokenizer = Tokenizer(BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    turns = kind == "turns"
    around = [("<|begin|>", 1), ("<|end|>", 2)] if turns else [("<|endoftext|>", 0)]
    template = "<|begin|>:0 $A:0 <|end|>:0" if turns else "$A:0 <|endoftext|>:0"
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=template, pair=template + " $B:1", special_tokens=around)])
    return tokenizer


def build(kind):
    if kind in ("roberta", "xlmr"):
        return build_roberta() if kind == "roberta" else build_xlmr()
    if kind in ("bytes", "turns"):
        return byte_level(kind)
    vocab = vocabulary(kind)
    tokenizer = Tokenizer(WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None,
                                                      lowercase=kind != "cased")
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    if kind == "mpnet":
        tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]),
                                                                trim_offsets=True, add_prefix_space=False)
    else:
        tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    return tokenizer


def write(directory, kind, model_max_length, truncation_side):
    """tokenizer.json, tokenizer_config.json, special_tokens_map.json."""
    tokenizer = build(kind)
    if kind not in ("cased", "bytes", "turns"):
        # As many published files do: a truncation and a padding that the caller overrides.
        tokenizer.enable_truncation(max_length=16)
        pad = "<pad>" if tokenizer.token_to_id("<pad>") else "[PAD]"
        tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad, length=16)
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(json.loads(tokenizer.to_str()), f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    if kind == "turns":
        special = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|endoftext|>"}
    elif kind == "bytes":
        special = {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    elif kind in CLASSES:
        special = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>",
                   "unk_token": "[UNK]" if kind == "mpnet" else "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    else:
        special = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
                   "mask_token": "[MASK]"}
    config = {**special, "do_lower_case": kind != "cased", "tokenize_chinese_chars": True, "strip_accents": None,
              "tokenizer_class": CLASSES.get(kind, "BertTokenizer"), "model_max_length": model_max_length}
    if kind in ("bytes", "turns"):
        config = {**special, "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": model_max_length}
    if truncation_side:
        config["truncation_side"] = truncation_side
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=1)
            f.write("\n")
    return tokenizer
