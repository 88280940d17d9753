"""A WordPiece vocabulary of some 200 entries and the tokenizer files of a checkpoint over it.

The vocabulary is written by hand, not trained: single characters, their continuations, and a few words, so that most
words fall apart into pieces and the rest become [UNK].
"""
import json
import os
import string

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

WORDS = ("the a an and man woman dog cat is are eat eating food read reads book books in of to good bad big small house "
         "sleep sleeps together here line lines space spaces text query passage he she it they we you run runs").split()
ENDINGS = "ing ed s er ly ion al en th ou ea st nd".split()
OTHER = "\u00e9 \u00ef \u00e5 \u00f6 \u4e2d \u6587 \u65e5 \u672c \u0431 ##\u043e ##\u043b".split()


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


def build(kind):
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
    """tokenizer.json, tokenizer_config.json, special_tokens_map.json, vocab.txt."""
    tokenizer = build(kind)
    if kind != "cased":
        # As many published files do: a truncation and a padding that the caller overrides.
        tokenizer.enable_truncation(max_length=16)
        pad = "<pad>" if kind == "mpnet" else "[PAD]"
        tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad, length=16)
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(json.loads(tokenizer.to_str()), f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    if kind == "mpnet":
        special = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>",
                   "unk_token": "[UNK]", "pad_token": "<pad>", "mask_token": "<mask>"}
    else:
        special = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
                   "mask_token": "[MASK]"}
    config = {**special, "do_lower_case": kind != "cased", "tokenize_chinese_chars": True, "strip_accents": None,
              "tokenizer_class": "MPNetTokenizer" if kind == "mpnet" else "BertTokenizer",
              "model_max_length": model_max_length}
    if truncation_side:
        config["truncation_side"] = truncation_side
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=1)
            f.write("\n")
    return tokenizer
